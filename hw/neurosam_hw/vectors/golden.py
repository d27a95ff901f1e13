"""What is golden: a run of a back end, taken apart into units that can be tested by themselves.

A unit is one population: the sums that arrive at its neurons in each step, its parameters, and what its neurons and
traces do. Before anything is written, each unit is computed again from its sums alone (network/dynamics.py on arrays),
and has to give what the back end recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import arrive, normalise
from neurosam.backends.registry import run, unrolled
from neurosam.errors import BackendError, ExportError
from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState, Parameters, Switches
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.network.trace import FixedSamTrace
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam.signals.state import State
from neurosam_hw.vectors.columns import Column
from neurosam_hw.vectors.drive import arriving

__all__ = ["Golden", "Unit", "golden"]

Integers = npt.NDArray[np.int64]

EACH_STEP = ("step", "sample", "neuron")


@dataclass(frozen=True)
class Unit:
    """A population to be tested.

    Parameters
    ----------
    population : Population
    switches : Switches
        Its options.
    gain_shift : int
    trace : FixedSamTrace, optional
    columns : mapping of str to Column
        a, s, u, v, and sam of each step; parameters of each neuron by their names; initial_u,
        initial_v; gain and offset of each step and channel, kernel of the trace.
    """

    population: Population
    switches: Switches
    gain_shift: int
    trace: FixedSamTrace | None
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Golden:
    """A run.

    Parameters
    ----------
    network : Network
    recording : Recording
    units : mapping of str to Unit
        By population, in the network's order.
    sent : mapping of str to Column
        Spikes or events of every source of a unit, and spikes of the units.
    """

    network: Network
    recording: Recording
    units: Mapping[str, Unit]
    sent: Mapping[str, Column]


def golden(network: Network, inputs: Inputs, names: Iterable[str], backend: str = "event") -> Golden:
    """Run a network, and take the run apart.

    Parameters
    ----------
    network : Network
    inputs : Inputs
    names : iterable of str
        Populations to be tested.
    backend : str
        Back end that gives the golden values.

    Raises
    ------
    ExportError
        For a float network, or an input among the names.
    """
    chosen = set(names)
    check(network, chosen)
    sources = {p.source for p in network.projections if p.target in chosen}
    populations = [p for p in network.populations if p.name in chosen | sources]
    record = Record(
        spikes=tuple(p.name for p in populations if p.neuron is not None and p.fires),
        sam=tuple(name for name in network.sam if name in chosen),
        membrane=tuple(p.name for p in populations if p.name in chosen),
        current=tuple(p.name for p in populations if p.name in chosen and p.has_current),
    )
    recording = run(network, inputs, backend, record)
    sent = {p.name: _sent(p, inputs, recording) for p in populations if p.fires}
    size = inputs.steps, inputs.samples
    values = {name: column.values.reshape(*size, *network[name].shape) for name, column in sent.items()}
    complete = unrolled(network, inputs.steps)
    units = {p.name: _unit(complete, p.name, values, recording) for p in populations if p.name in chosen}
    return Golden(network, recording, units, sent)


def check(network: Network, names: Iterable[str]) -> None:
    """Refuse networks and populations that have no integers to be tested."""
    if not network.fixed:
        raise ExportError("network", "computes in floats, which no test vector can hold to the bit; quantise it first")
    for name in names:
        if network[name].neuron is None:
            raise ExportError(f"population {name!r}", "is an input, which has no neurons to test")


def _sent(population: Population, inputs: Inputs, recording: Recording) -> Column:
    """Spikes of a population, or events of an input."""
    if population.neuron is None:
        events = inputs[population.name]
        values, bits = events.dense(), 1 if events.value is None else 32
    else:
        values, bits = recording.spikes[population.name].dense(), 1 if population.largest_event == 1 else 32
    return Column(_flat(values), bits, EACH_STEP)


def _unit(network: Network, name: str, sent: Mapping[str, Integers], recording: Recording) -> Unit:
    population = network[name]
    neuron = population.neuron
    parameters, switches = dynamics.resolve(neuron, network.precision)  # type: ignore[arg-type]  # no input
    each = Parameters(*(_each(value, population) for value in parameters))
    steps = recording.steps
    a = arriving(network, name, sent)
    held = State.initial(network, 1).neurons[name]
    zeros = np.zeros(population.shape)
    start = NeuronState(*(held.get(v, zeros).reshape(-1).astype(np.int64) for v in NeuronState._fields))
    tables = {}
    if isinstance(neuron, FixedLIF) and neuron.gain is not None and neuron.offset_64ths is not None:
        channels = as_chw(population.shape)[0]
        for key, table in (("gain", neuron.gain), ("offset", neuron.offset_64ths)):
            rows = np.broadcast_to(table[:steps], (steps, channels))
            tables[key] = Column(rows.astype(np.int64), 32, ("step", "channel"))
    shift = neuron.gain_shift if isinstance(neuron, FixedLIF) else 0
    u, v, s = _again(population, a, each, switches, start, tables, shift)
    columns = {
        "a": Column(a, 32, EACH_STEP),
        "s": Column(s, 1 if switches.max_spikes == 1 else 32, EACH_STEP),
        "u": Column(u, 32, EACH_STEP),
        "v": Column(v, 32, EACH_STEP),
        **{key: Column(value, 32, ("neuron",)) for key, value in each._asdict().items()},
        "initial_u": Column(start.u, 32, ("neuron",)),
        "initial_v": Column(start.v, 32, ("neuron",)),
        **tables,
    }
    _same(name, "membrane", v, recording.membrane[name])
    if population.has_current:
        _same(name, "current", u, recording.current[name])
    if population.fires:
        _same(name, "spike", s, recording.spikes[name].dense())
    trace = network.sam.get(name)
    if isinstance(trace, FixedSamTrace):
        columns["sam"] = Column(_flat(recording.sam[name]), 32, ("step", "sample", "pixel"))
        columns["kernel"] = Column(trace.table, 32, ("age",))
    return Unit(population, switches, shift, trace if isinstance(trace, FixedSamTrace) else None, columns)


def _again(
    population: Population, a: Integers, p: Parameters, o: Switches, start: NeuronState, tables: Mapping[str, Column],
    shift: int,
) -> tuple[Integers, Integers, Integers]:  # fmt: skip
    """Current, membrane and spikes of each step, from what arrives."""
    pixels = a.shape[2] // as_chw(population.shape)[0]
    state = NeuronState(*(np.broadcast_to(x, a.shape[1:]) for x in start))
    u, v, s = (np.zeros_like(a) for _ in range(3))
    for t, sums in enumerate(a):
        i = arrive(sums)
        if tables:
            gain, offset = (np.repeat(tables[key].values[t], pixels) for key in ("gain", "offset"))
            i = normalise(i, gain, shift, offset)
        state, s[t], _, _ = dynamics.step(i, state, p, o)
        u[t], v[t] = state.u, state.v
    return u, v, s


def _same(name: str, variable: str, again: Integers, recorded: Any) -> None:
    """Refuse golden values that do not follow from what arrives: a defect of a back end, which has to come out."""
    if not np.array_equal(again, _flat(recorded)):
        raise BackendError(
            f"population {name!r}",
            f"has a {variable} that does not follow from what arrives; run neurosam verify on this network",
        )


def _each(value: Any, population: Population) -> Integers:
    """A parameter of each neuron, ``[N]``."""
    array = np.asarray(value, dtype=np.int64)
    channels, height, width = as_chw(population.shape)
    column = array if array.ndim != 1 else array.reshape(-1, 1, 1)
    return np.broadcast_to(column, (channels, height, width)).reshape(neurons(population.shape))


def _flat(values: npt.NDArray[Any]) -> Integers:
    r"""``[T, B, \*shape]`` with flat neurons."""
    flat: Integers = values.reshape(*values.shape[:2], -1).astype(np.int64)
    return flat
