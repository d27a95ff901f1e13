"""Is a network the same as the module that it was exported from: both run, and every layer is compared step by step.

Two questions are asked of each layer, with the spikes that the *module's* layers sent:

    synapses    does what arrives equal what the module's layer was given?        explain_synapses.py
    neurons     given that, do the neurons fire as the module's did?              explain_neurons.py

If both answers are yes for every layer, the two networks are equal on this input, by induction over steps and layers
(but for membranes within rounding of a threshold). And a fault is told where it is, not where it shows: no answer
depends on another layer's. Besides, both run freely, and the spikes that differ are counted and the first is located.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from neurosam.backends.registry import run as run_network
from neurosam.deploy.explain_difference import ROUNDING, Explanation, first_of, place_of
from neurosam.deploy.explain_neurons import differing_parameters, explain_neurons, margins
from neurosam.deploy.explain_synapses import explain_synapses
from neurosam.deploy.export_check import ExportCheck, FirstSpike, LayerCheck
from neurosam.deploy.layer_run import LayerRun
from neurosam.deploy.module_run import run_module
from neurosam.errors import EventError, ExportError
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record

__all__ = ["check_export", "check_layers"]


def check_export(
    module: nn.Module,
    network: Network,
    inputs: Events | npt.NDArray[Any],
    *,
    input_unit: float = 1.0,
    time: str = "auto",
    run: Callable[[nn.Module, Tensor], Any] | None = None,
    layers: Mapping[str, str] | None = None,
) -> ExportCheck:
    """Run a module and the network that was exported from it, compare them layer by layer, and explain differences.

    Parameters
    ----------
    module : nn.Module
        The original, of any framework that :func:`neurosam.export` reads. It is not changed; a float64 copy runs.
    network : Network
        Exported from it, or made in another way: by hand, through NIR. In float every spike should be equal; of a
        quantised network the agreement is measured.
    inputs : Events or (T, B, ...) array
        A few samples are enough. An array is the module's own input; events are the network's.
    input_unit : float
        Input of the module that an event of value 1 stands for, as in the export.
    time, run
        How the module is called: see :func:`neurosam.export`.
    layers : mapping of str to str, optional
        Population of each layer that an export would name otherwise: ``{"features.1": "conv1"}``. Without it, layers
        whose names the network does not have are matched in order, if their number and sizes are the same.

    Returns
    -------
    ExportCheck
        Prints as a few lines; ``table()`` and ``to_dict()`` for the terminal and JSON.

    Raises
    ------
    ExportError
        If the module cannot be run, or its layers are not those of the network.
    EventError
        If the input does not fit the network.

    Examples
    --------
    >>> import torch
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8)).eval()
    >>> spikes = ns.encode(np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), np.uint8), steps=10)
    >>> print(ns.check_export(module, ns.export(module, (1, 8, 8)), spikes))
    the same network
    2 sample(s), 10 steps

    With another leak, the layer and the reason are named:

    >>> other = training.build("4C3-P2-D10", (1, 8, 8), leak=0.75).eval()
    >>> _ = other.load_state_dict(module.state_dict())
    >>> result = ns.check_export(module, ns.export(other, (1, 8, 8)), spikes)
    >>> print(result.explanations[0])
    conv1: parameter: leak 0.9 in the module, 0.75 in the network
    """
    if isinstance(inputs, Events):
        x, events = inputs.dense() * input_unit, inputs
    else:
        x = np.asarray(inputs, np.float64)
        if x.ndim < 3:
            raise EventError("check_export: inputs", f"got an array of shape {x.shape}; [T, B, ...] is required")
        events = _events(network, x / input_unit)
    runs = run_module(module, np.asarray(x, np.float64), time=time, run=run)
    return check_layers(network, _matched(network, runs, layers or {}), Inputs.of(network, events))


def _matched(network: Network, runs: dict[str, LayerRun], layers: Mapping[str, str]) -> dict[str, LayerRun]:
    """What the layers did, by population."""
    named = {layers.get(run.module, layers.get(name, name)): run for name, run in runs.items()}
    names = {p.name for p in network.populations}
    if layers or names.issuperset(named):
        return named
    matched: dict[str, LayerRun] = {}
    for fires in (True, False):
        theirs = [run for run in runs.values() if (run.spikes is not None) == fires]
        ours = [network[name] for group in network.groups for name in group]
        ours = [p for p in ours if p.neuron is not None and p.fires == fires]
        if [neurons(run.shape) for run in theirs] != [neurons(p.shape) for p in ours]:
            return named
        matched |= {p.name: run for p, run in zip(ours, theirs, strict=True)}
    return matched


def _events(network: Network, x: npt.NDArray[np.float64]) -> Events:
    """A module's input as events of the network's shape: integers where they are ones, but for rounding."""
    whole = np.rint(x)
    x = whole if (np.abs(x - whole) <= ROUNDING * np.maximum(1, np.abs(x))).all() else x
    shape = network.input.shape
    if x[0, 0].size != neurons(shape):
        raise EventError("check_export: inputs", f"have shape {x.shape[2:]}; the network's input has {shape}")
    return Events.from_dense(x.reshape(*x.shape[:2], *shape))


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
    explanations = _quantisation(network, runs, first) if network.fixed else _explain(network, runs, inputs, sides)
    others = (p.name for p in network.populations if p.neuron is not None and p.name not in runs)
    return ExportCheck(
        inputs.steps, inputs.samples, network.fixed,
        tuple(_layer(name, run, sides.get(name)) for name, run in runs.items()),
        first, tuple(explanations), tuple(others),
    )  # fmt: skip


def _check(network: Network, runs: Mapping[str, LayerRun], inputs: Inputs) -> None:
    if not runs:
        raise ExportError("module", "has no layer of neurons that the network has too; nothing can be compared")
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
        rule = explain_neurons(name, run, neuron) if isinstance(neuron, LIF) else None
        if synapses and rule and synapses.kind == "bias" and rule.text.startswith("initial_current"):
            rule = None  # a bias on the membrane of a neuron with a current: the same thing (layer_run.py)
        faults += [explanation for explanation in (synapses, rule) if explanation is not None]
    faulty = {explanation.population for explanation in faults}
    rounded: dict[str, list[Explanation]] = {}
    for sample in range(inputs.samples):
        first = _first(network, sides, sample)
        if first is not None and first.population not in faulty:
            explanation = _rounding(network, runs[first.population], first)
            rounded.setdefault(first.population, []).append(explanation)
    ranks = {name: i for i, name in enumerate(runs)}
    everything = [*faults, *(_merged(explanations) for explanations in rounded.values())]
    return sorted(everything, key=lambda e: ranks[e.population])


def _rounding(network: Network, run: LayerRun, first: FirstSpike) -> Explanation:
    """Why a spike differs in a layer that is the same in both."""
    neuron = network[first.population].neuron
    if not isinstance(neuron, LIF):
        raise ExportError(f"population {first.population!r}", "is no population of float neurons that fire")
    by_step, scale = margins(run, neuron, first.place.sample, first.place.neuron)
    margin = float(by_step[first.place.step])
    if abs(margin) <= ROUNDING * scale:
        kind = "rounding"
        how_far = "exactly at" if margin == 0 else f"{abs(margin):.2g} {'above' if margin > 0 else 'below'}"
        text = f"the membrane is {how_far} the threshold; sums in another order may end on its other side"
        if isinstance(run.neuron, LIF):
            differing = differing_parameters(run.neuron, neuron)[1]
            text += f" ({differing})" if differing else ""
    else:
        kind = "unexplained"
        text = f"the layer by itself does what the module's does, but here it differs {abs(margin):.2g} from threshold"
    return Explanation(first.population, kind, text, first.place, first.module, first.network, 1)


def _merged(explanations: list[Explanation]) -> Explanation:
    """One explanation for the samples of a layer: the first that is not explained, or else the first."""
    first = min(explanations, key=lambda e: (e.kind == "rounding", e.place.step))
    return replace(first, count=len(explanations))


def _quantisation(network: Network, runs: Mapping[str, LayerRun], first: FirstSpike | None) -> list[Explanation]:
    """What the first spike that differs says of a fixed-point network."""
    if first is None:
        return []
    run = runs[first.population]
    bits = "" if network.precision is None else f", with weights of {network.precision.weight_bits} bits"
    text = (
        f"the network computes in integers{bits}, so single spikes differ; whether it is the same network otherwise is "
        "told by the float export (precision=None)"
    )
    if isinstance(run.neuron, LIF):
        by_step, _ = margins(run, run.neuron, first.place.sample, first.place.neuron)
        distance = abs(float(by_step[first.place.step])) / float(np.mean(run.neuron.threshold))
        text += f". The module's membrane is off its threshold by {distance:.1%} of it here"
    return [Explanation(first.population, "quantisation", text, first.place, first.module, first.network, 1)]
