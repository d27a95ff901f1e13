"""Write a mapped network and one sample for SANA-FE, a simulator of neuromorphic chips with energy and time (GPL-3).

SANA-FE is a separate program: nothing of it is imported here, its files are written from its documentation and source
(2.2.9). A folder holds

    arch.yaml    the chip (architecture.py)
    snn.yaml     the network, its mapping and input (snn.py)
    edges.npz    in place of snn.yaml, for SANA-FE's Python interface, where there are more than 100,000 synapses, or of
                 several kinds into one population: source, target and weight of each
    plan.json    groups, their own time, and what files cannot say
    run.py       runs either in an environment that has SANA-FE, and writes spikes.csv and perf.csv (runner.py)
    network.h5, events.h5    what it was made of, to compare the results with
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from neurosam._util.atomic_write import replacing, write_bytes, write_text
from neurosam.backends.registry import run
from neurosam.hdf5.files import save
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.sanafe.architecture import architecture
from neurosam_hw.sanafe.edges import Edges, edges
from neurosam_hw.sanafe.plan import Plan, plan
from neurosam_hw.sanafe.refusals import check, check_range
from neurosam_hw.sanafe.snn import snn

__all__ = ["MOST_EDGES", "export", "silent_after", "whole_run"]

MOST_EDGES = 100_000
"""Synapses up to which the network is written as text."""


def export(mapping: CoreMapping, events: Events | Mapping[str, Events], folder: str | Path, *, sample: int = 0) -> Plan:
    """Write the files for SANA-FE.

    The network runs once, to see that no integer leaves its 24 bits, which SANA-FE does not have. SAM traces are left
    out: they change no spike.

    Parameters
    ----------
    mapping : CoreMapping
        With its inputs on cores, on one chip that has the figures which SANA-FE needs, such as ``sanafe-loihi``.
    events : Events or mapping of str to Events
        Input without values.
    folder : str or Path
        Made if it is missing; older files are replaced.
    sample : int
        Which sample of the events.

    Raises
    ------
    ExportError
        For what SANA-FE would run or count differently, by name, with a remedy.
    """
    network = replace(mapping.network, sam={})
    inputs = Inputs.of(network, events).select(sample, sample + 1)
    check(mapping, inputs)
    check_range(network, whole_run(network, inputs))
    target = Path(folder)
    made = plan(mapping, inputs)
    found = [_narrow(edges(network, projection)) for projection in network.projections]
    write_text(target / "arch.yaml", architecture(mapping.chip, _inputs_on_a_core(mapping)))
    _write_network(target, made, found)
    write_text(target / "plan.json", json.dumps(asdict(made)))
    write_bytes(target / "run.py", Path(__file__).with_name("runner.py").read_bytes())
    save(network, target / "network.h5")
    save(inputs, target / "events.h5")
    return made


def whole_run(network: Network, inputs: Inputs) -> Recording:
    """A run of all that SANA-FE computes: every population goes on until the last one has made its own steps."""
    return run(network, silent_after(network, inputs), record=Record.everything(network))


def silent_after(network: Network, inputs: Inputs) -> Inputs:
    """The input for as many steps as the chip runs, without events in those that are added."""
    steps = HardwareSchedule.of(network).steps(inputs.steps)
    return Inputs({name: replace(events, steps=steps) for name, events in inputs.items()})


def _inputs_on_a_core(mapping: CoreMapping) -> int:
    """Most input neurons on one core."""
    cores = [mapping.core_of(population.name) for population in mapping.network.inputs]
    return int(np.bincount(np.concatenate(cores), minlength=1).max())


def _narrow(found: Edges) -> Edges:
    """The same in 32 bits, which hold every neuron and every weight with its exponent."""
    return Edges(*(column.astype(np.int32) for column in found))


def _write_network(folder: Path, made: Plan, found: list[Edges]) -> None:
    """As text or as arrays; what an earlier export wrote in the other form is removed."""
    text, arrays = folder / "snn.yaml", folder / "edges.npz"
    as_text = not made.mixed and made.synapses <= MOST_EDGES
    (arrays if as_text else text).unlink(missing_ok=True)
    if as_text:
        write_text(text, snn(made, found))
        return
    columns = {f"{name}_{i}": column for i, part in enumerate(found) for name, column in part._asdict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(arrays) as temporary, temporary.open("wb") as file:
        np.savez(file, **columns)
