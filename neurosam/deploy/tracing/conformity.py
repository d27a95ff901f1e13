"""Whether a network has the spikes that were recorded from its module.

A sample is compared up to its first spike that rounding explains: one that a threshold larger or smaller by 1e-9 of
itself decides otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.deploy.tracing.drawing import Drawing
from neurosam.deploy.tracing.steps import Recorded
from neurosam.errors import ExportError
from neurosam.graph.layers import Input, Neurons
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.signals.events import Events
from neurosam.signals.recording import Record

__all__ = ["check_recorded"]

TIE = 1e-9
"""Change of a threshold, relative to it, that rounding amounts to at most."""


def check_recorded(network: Network, recorded: Recorded, drawing: Drawing) -> None:
    """Run the network on the recorded input and compare its spikes with the module's.

    Raises
    ------
    ExportError
        If a spike differs and rounding does not explain it; the message names layer, step and neuron.
    """
    theirs = _recorded(network, recorded, drawing)
    if not theirs:
        return
    events = _events(network, recorded)
    ours = _spikes(network, events, theirs)
    first = _first_differences(theirs, ours)
    if not first:
        return
    close = [_spikes(_with_thresholds(network, 1 + sign * TIE), events, theirs) for sign in (-1, 1)]
    for sample, (step, name, neuron) in first.items():
        fires = theirs[name][step, sample, neuron]
        if any(run_[name][step, sample, neuron] == fires for run_ in close):
            continue
        node = drawing.neurons[name]
        got = ours[name][step, sample, neuron]
        raise ExportError(
            node.label,
            f"gives {fires:g} in step {step}, neuron {neuron}, and the network's population {name!r} {got:g}; the "
            "module does something that was not read (a state that is not reset, a function outside torch); check=False "
            "exports it all the same",
        )


def _recorded(network: Network, recorded: Recorded, drawing: Drawing) -> dict[str, npt.NDArray[np.float64]]:
    """Spikes of the module, ``[T, B, neurons]`` in the population's own time."""
    out = {}
    for name, node in drawing.neurons.items():
        what = node.what
        if isinstance(what, Neurons) and isinstance(what.neuron, LIF) and node.values:
            values = np.stack(node.values)
            out[name] = values[what.lag :] if what.lag else values
    return {p.name: out[p.name] for p in network.populations if p.name in out}


def _events(network: Network, recorded: Recorded) -> Events:
    """The recorded input in units of events."""
    source: Any = recorded.recording.input.what
    unit = source.unit if isinstance(source, Input) else 1.0
    x = recorded.input.numpy().reshape(*recorded.input.shape[:2], *network.input.shape) / unit
    return Events.from_dense(np.rint(x) if np.all(np.abs(x - np.rint(x)) < TIE) else x)


def _spikes(network: Network, events: Events, theirs: Any) -> dict[str, npt.NDArray[np.float64]]:
    recording = run(network, events, "reference", Record(spikes=tuple(theirs)), threads=1)
    out = {}
    for name, spikes in theirs.items():
        dense = recording.spikes[name].dense().astype(np.float64)
        out[name] = dense.reshape(*dense.shape[:2], -1)[: len(spikes)]
    return out


def _first_differences(theirs: Any, ours: Any) -> dict[int, tuple[int, str, int]]:
    """The first difference of each sample that has one: step, population, neuron."""
    first: dict[int, tuple[int, str, int]] = {}
    for name, spikes in theirs.items():
        for step, sample, neuron in np.argwhere(spikes != ours[name]).tolist():
            if sample not in first or step < first[sample][0]:
                first[sample] = (step, name, neuron)
    return first


def _with_thresholds(network: Network, factor: float) -> Network:
    def scaled(neuron: Any) -> Any:
        return replace(neuron, threshold=neuron.threshold * factor) if isinstance(neuron, LIF) else neuron

    return replace(network, populations=[replace(p, neuron=scaled(p.neuron)) for p in network.populations])
