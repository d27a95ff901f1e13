"""Whether the layers of a network do what those of a module did on the same input.

Two questions are asked of each layer, with the spikes that the *module's* layers sent:

    synapses    does what arrives equal what the module's layer was given?        explain_synapses.py
    neurons     given that, do the neurons fire as the module's did?              explain_neurons.py, explain_readout.py

If both answers are yes for every layer, the two networks are equal on this input, by induction over steps and layers
(but for membranes within rounding of a threshold). And a fault is told where it is, not where it shows: no answer
depends on another layer's. Besides, both run freely, and the spikes that differ are counted and the first is located.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run as run_network
from neurosam.deploy.checking.explain_difference import Explanation, first_of, place_of
from neurosam.deploy.checking.explain_neurons import explain_neurons
from neurosam.deploy.checking.explain_readout import explain_readout
from neurosam.deploy.checking.explain_rounding import explain_quantisation, explain_rounding
from neurosam.deploy.checking.explain_synapses import explain_synapses
from neurosam.deploy.checking.layer_run import LayerRun
from neurosam.deploy.checking.result import ExportCheck, FirstSpike, LayerCheck
from neurosam.errors import EventError, ExportError
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record

__all__ = ["check_layers"]


class _Sides(NamedTuple):
    """Spikes of one layer of both, in own time, ``[T, B, N]``, and its rank in the order of evaluation."""

    module: npt.NDArray[Any]
    network: npt.NDArray[Any]
    rank: int

    @property
    def differ(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.module != self.network)


def check_layers(network: Network, runs: Mapping[str, LayerRun], inputs: Inputs) -> ExportCheck:
    """Compare a network with what the layers of a module did on the same input.

    Parameters
    ----------
    network : Network
        In float, or quantised.
    runs : mapping of str to LayerRun
        By population.
    inputs : Inputs
        What the network is given.

    Returns
    -------
    ExportCheck

    Raises
    ------
    ExportError
        If a layer is not in the network, has another shape there, or ran for another number of steps or samples.
    """
    order = {name: i for i, name in enumerate(name for group in network.groups for name in group)}
    _check(network, runs, inputs)
    runs = {name: runs[name] for name in sorted(runs, key=order.__getitem__)}
    firing = tuple(name for name in runs if isinstance(network[name].neuron, (LIF, FixedLIF)))
    recording = run_network(network, inputs, "reference", Record(spikes=firing))
    sides: dict[str, _Sides] = {}
    for name in firing:
        sent = runs[name].sent
        dense = recording.spikes[name].dense()[: len(sent)]
        sides[name] = _Sides(sent.reshape(*sent.shape[:2], -1), dense.reshape(*dense.shape[:2], -1), order[name])
    first = _first(network, sides)
    explanations = (
        explain_quantisation(network, runs, first) if network.fixed else _explain(network, runs, inputs, sides)
    )
    others = (p.name for p in network.populations if p.neuron is not None and p.name not in runs)
    return ExportCheck(
        inputs.steps, inputs.samples, network.fixed,
        tuple(_layer(name, run, sides.get(name)) for name, run in runs.items()),
        first, tuple(explanations), tuple(others),
    )  # fmt: skip


def _check(network: Network, runs: Mapping[str, LayerRun], inputs: Inputs) -> None:
    if not runs:
        raise ExportError("module", "has no layer of neurons that the network has too; nothing can be compared")
    if not inputs.samples:
        raise EventError("check: events", "hold no samples; nothing can be compared")
    for name, run in runs.items():
        where = f"layer {run.module or name!r}"
        if all(p.name != name for p in network.populations):
            has = ", ".join(p.name for p in network.populations if p.neuron is not None)
            raise ExportError(
                where, f"is to be population {name!r}, which the network does not have; it has {has}. Give the names: "
                f"layers={{{run.module or name!r}: ...}}",
            )  # fmt: skip
        if neurons(run.shape) != neurons(network[name].shape):
            raise ExportError(where, f"has shape {run.shape}; population {name!r} has {network[name].shape}")
        if (run.spikes is not None) != network[name].fires:
            sides = ("fires", "does not") if run.spikes is not None else ("never fires", "does")
            raise ExportError(where, f"{sides[0]} in the module; population {name!r} {sides[1]}")
        if run.drive.shape[:2] != (1 if run.summed else inputs.steps, inputs.samples):
            got = f"{run.drive.shape[0]} steps of {run.drive.shape[1]} samples"
            raise ExportError(where, f"ran for {got}; the input has {inputs.steps} of {inputs.samples}")


def _layer(name: str, run: LayerRun, sides: _Sides | None) -> LayerCheck:
    if sides is None:
        return LayerCheck(name, run.module or name, 0, 0, 0, 0, None)
    steps = np.flatnonzero(sides.differ.any(axis=(1, 2)))
    return LayerCheck(
        name, run.module or name, sides.module.size, int(sides.module.sum()), int(sides.network.sum()),
        int(np.count_nonzero(sides.differ)), int(steps[0]) if steps.size else None,
    )  # fmt: skip


def _first(network: Network, sides: Mapping[str, _Sides], sample: int | None = None) -> FirstSpike | None:
    """The first spike that differs, in order of (step, order of evaluation, sample, neuron), of all samples or one."""
    found = []
    for name, side in sides.items():
        differ = side.differ
        if sample is not None:
            differ = differ & (np.arange(differ.shape[1]) == sample)[:, None]
        if differ.any():
            at = first_of(differ)
            values = float(side.module[at]), float(side.network[at])
            found.append((at[0], side.rank, FirstSpike(name, place_of(at, network[name].shape), *values)))
    return min(found, key=lambda f: f[:2])[2] if found else None


def _explain(
    network: Network, runs: Mapping[str, LayerRun], inputs: Inputs, sides: Mapping[str, _Sides]
) -> list[Explanation]:
    """Faults of single layers, and what rounding decided where there is none."""
    steps = inputs.steps - max(run.lag for run in runs.values())
    sent: dict[str, npt.NDArray[Any]] = {name: inputs[name].dense() for name in inputs}
    for name, run in runs.items():
        padded = np.zeros(run.drive.shape)
        padded[: len(run.sent)] = run.sent
        sent[name] = padded
    faults: list[Explanation] = []
    for name, run in runs.items():
        neuron = network[name].neuron
        synapses = explain_synapses(network, name, run, sent, steps)
        rule = None
        if isinstance(neuron, LIF):
            rule = explain_neurons(name, run, neuron)
        elif isinstance(neuron, Readout):
            rule = explain_readout(name, run, neuron)
        if synapses and rule and synapses.kind == "bias" and rule.text.startswith("initial_current"):
            rule = None  # a bias on the membrane of a neuron with a current: the same thing (layer_run.py)
        faults += [explanation for explanation in (synapses, rule) if explanation is not None]
    faulty = {explanation.population for explanation in faults}
    rounded: dict[str, list[Explanation]] = {}
    for sample in range(inputs.samples):
        first = _first(network, sides, sample)
        if first is not None and first.population not in faulty:
            explanation = explain_rounding(network, runs[first.population], first)
            rounded.setdefault(first.population, []).append(explanation)
    ranks = {name: i for i, name in enumerate(runs)}
    everything = [*faults, *(_merged(explanations) for explanations in rounded.values())]
    return sorted(everything, key=lambda e: ranks[e.population])


def _merged(explanations: list[Explanation]) -> Explanation:
    """One explanation for the samples of a layer: the first that is not explained, or else the first."""
    first = min(explanations, key=lambda e: (e.kind == "rounding", e.place.step))
    return replace(first, count=len(explanations))
