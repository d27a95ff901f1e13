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
from neurosam.deploy.checking.check_layers import check_layers
from neurosam.deploy.checking.module_run import layers_of
from neurosam.deploy.tracing.drawing import Drawing
from neurosam.deploy.tracing.steps import Recorded
from neurosam.errors import ExportError
from neurosam.graph.layers import Input, Neurons
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record

__all__ = ["check_recorded"]

Values = npt.NDArray[np.float64]
NOT_READ = (
    "the module does something that was not read, such as a state that is kept between calls, or a function outside of "
    "torch; check=False exports it all the same"
)
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
    events = _events(network, recorded)
    ours, output = _run(network, events, theirs)
    first = _first_differences(theirs, ours)
    if first:
        close = [_run(_with_thresholds(network, 1 + sign * TIE), events, theirs)[0] for sign in (-1, 1)]
    for sample, (step, name, neuron) in first.items():
        fires = theirs[name][step, sample, neuron]
        if not any(run_[name][step, sample, neuron] == fires for run_ in close):
            raise ExportError(
                drawing.neurons[name].label,
                f"gives {fires:g} in step {step}, neuron {neuron}, where the network gives "
                f"{ours[name][step, sample, neuron]:g}: {_reason(network, recorded, drawing, name)}",
            )
    for name, total in drawing.totals.items():
        if name in output and not _proportional(
            np.delete(total, list(first), 0), np.delete(output[name], list(first), 0)
        ):
            raise ExportError("output", f"differs from that of the network's readout {name!r}: {NOT_READ}")


def _reason(network: Network, recorded: Recorded, drawing: Drawing, name: str) -> str:
    """Why a population differs from the module's layer, if that can be told."""
    if not recorded.recording.watched:
        return NOT_READ
    inputs = Inputs.of(network, _events(network, recorded))
    result = check_layers(network, layers_of(recorded, drawing), inputs)
    told = [e.text for e in result.explained(name) if e.kind not in ("rounding", "unexplained", "weights")]
    if not told:
        return NOT_READ
    return f"{told[0]}. Correct the reader of these neurons; check=False exports it all the same"


def _recorded(network: Network, recorded: Recorded, drawing: Drawing) -> dict[str, Values]:
    """Spikes of the module, ``[T, B, neurons]`` in the population's own time."""
    out = {}
    for name, node in drawing.neurons.items():
        what = node.what
        if isinstance(what, Neurons) and isinstance(what.neuron, LIF) and node.values:
            values = np.stack(node.values).astype(np.float64)
            out[name] = values[what.lag :] if what.lag else values
    return {p.name: out[p.name] for p in network.populations if p.name in out}


def _events(network: Network, recorded: Recorded) -> Events:
    """The recorded input in units of events."""
    source: Any = recorded.recording.input.what
    unit = source.unit if isinstance(source, Input) else 1.0
    x = recorded.input.numpy().reshape(*recorded.input.shape[:2], *network.input.shape) / unit
    return Events.from_dense(np.rint(x) if np.all(np.abs(x - np.rint(x)) < TIE) else x)


def _run(network: Network, events: Events, theirs: Any) -> tuple[dict[str, Values], dict[str, Values]]:
    """Spikes of the layers that were recorded, ``[T, B, neurons]``, and outputs, ``[B, neurons]``."""
    recording = run(network, events, "reference", Record(spikes=tuple(theirs)), threads=1)
    answers = {network.output: recording.output, **recording.other_outputs}
    out = {}
    for name, spikes in theirs.items():
        dense = recording.spikes[name].dense().astype(np.float64)
        out[name] = dense.reshape(*dense.shape[:2], -1)[: len(spikes)]
    return out, {name: answer.reshape(len(answer), -1) for name, answer in answers.items()}


def _proportional(theirs: Values, ours: Values) -> bool:
    """Whether outputs are the same up to a positive factor and rounding."""
    scale = float((ours * ours).sum())
    factor = float((theirs * ours).sum()) / scale if scale else 1.0
    largest = np.abs(theirs).max(initial=0.0)
    return (factor > 0 or largest < TIE) and bool(np.allclose(theirs, factor * ours, rtol=0, atol=1e-6 * largest + TIE))


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
