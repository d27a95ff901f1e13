"""A torch module on a given input: what its layers of neurons received and sent (:class:`LayerRun`).

This is the recording of an export (tracing/steps.py) made on that input: a float64 copy of the module runs, in the way
in which it wants to be called, and its layers of neurons are watched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam.deploy.checking.layer_run import LayerRun
from neurosam.deploy.readers.protocol import Feedback, Reading
from neurosam.deploy.tracing.copies import traceable
from neurosam.deploy.tracing.drawing import Drawing, draw
from neurosam.deploy.tracing.nodes import Node, population_shape
from neurosam.deploy.tracing.steps import Presented, Recorded, Run, record
from neurosam.errors import ExportError
from neurosam.graph.layers import Input, Neurons
from neurosam.network.neuron import LIF

__all__ = ["layers_of", "run_module"]

Array = npt.NDArray[np.float64]


def run_module(
    module: nn.Module, x: Array, *, time: str = "auto", run: Run | None = None, mean: Any = None, std: Any = None
) -> dict[str, LayerRun]:
    """Run a module.

    Parameters
    ----------
    module : nn.Module
        It is not changed.
    x : (T, B, ...) array
        Its input, before it is standardised.
    time, run
        How it is called: as in :func:`neurosam.export`.
    mean, std : (C,) array, optional
        The module is given (x - mean) / std.

    Returns
    -------
    dict of str to LayerRun
        By the name that the population has in an export. A readout that is no layer of the module, but what its last
        weights give, is among them if the module returns it, in every step or added up.

    Raises
    ------
    ExportError
        If the module cannot be run, or ran for another number of steps.
    """
    shape = tuple(int(side) for side in x.shape[2:])
    given = torch.from_numpy(np.array(x, np.float64))
    presented = Presented(Input(population_shape(shape)), shape, True, mean, std, x=given)
    recorded = _recorded(module, presented, time, run)
    if recorded.recording.steps != x.shape[0]:
        raise ExportError("module", f"runs for {recorded.recording.steps} steps; the input has {x.shape[0]}")
    return layers_of(recorded, draw(recorded, chain=isinstance(module, nn.Sequential)))


def layers_of(recorded: Recorded, drawing: Drawing) -> dict[str, LayerRun]:
    """What the layers of a recorded module did, by population."""
    extent = recorded.recording.steps, recorded.recording.samples
    readings = {leaf.path: leaf.reading for leaf in recorded.leaves}
    runs = {
        name: _layer(node, readings[node.path], extent)
        for name, node in drawing.neurons.items()
        if node.received  # neurons that stand for a function (a product of spikes) have no layer in the module
    }
    for name, total in drawing.totals.items():
        layer = drawing.graph.layers[name]
        if name not in runs and not drawing.notes and isinstance(layer, Neurons):
            runs[name] = LayerRun(layer.neuron, total[None], module="what the module returns", summed=True)
    return runs


def _recorded(module: nn.Module, presented: Presented, time: str, run: Run | None) -> Recorded:
    """Record the module; how it is called is found out on few steps and samples of different numbers, if possible."""
    x = presented.draw(0)
    if time == "auto" and run is None:
        drawn = replace(presented, x=None)
        try:
            time = record(traceable(module), drawn).way
        except ExportError:  # a module that has its batch size inside
            time = record(traceable(module), replace(drawn, samples=x.shape[1])).way
    if time == "inside" and bool((x != x[:1]).any()):
        raise ExportError(
            "module", "presents one input in every step of its own loop; give inputs that are the same in every step"
        )
    return record(traceable(module), presented, time="auto" if run is not None else time, run=run)


def _layer(node: Node, reading: Reading, extent: tuple[int, ...]) -> LayerRun:
    """What one layer did."""
    shape = population_shape(node.shape)
    neuron = reading.neuron
    drive = np.stack(node.received).astype(np.float64)
    weight = np.asarray(reading.weight, np.float64)
    drive = (drive @ weight.T if weight.ndim == 2 else drive * weight).reshape(*extent, *shape)
    given = np.stack(node.values).astype(np.float64).reshape(drive.shape) if node.values else None
    sent, membrane = (given, None) if isinstance(neuron, LIF) else (None, given)
    if reading.feedback is not None and sent is not None:
        drive = drive + _fed_back(reading.feedback, sent.reshape(*extent, *node.shape)).reshape(drive.shape)
    return LayerRun(neuron, drive, sent, reading.lag, node.path, membrane=membrane)


def _fed_back(feedback: Feedback, spikes: Array) -> Any:
    """What arrives from a layer's own spikes of the step before, and the constant that comes with it."""
    before = np.concatenate([np.zeros_like(spikes[:1]), spikes[:-1]])
    weight, bias = (np.asarray(value, np.float64) for value in (feedback.weight, feedback.bias))
    if weight.ndim < 4:
        return (before @ weight.T if weight.ndim == 2 else before * weight) + bias
    flat = torch.from_numpy(before.reshape(-1, *before.shape[2:]))
    back = nn.functional.conv2d(flat, torch.from_numpy(weight), padding="same").numpy().reshape(before.shape)
    return back + (bias[:, None, None] if bias.ndim == 1 else bias)
