"""A torch module on a given input: what its layers of neurons received and sent (:class:`LayerRun`).

The module is called in the way that tracing/steps.py found, on a float64 copy in evaluation mode; only its layers of
neurons are watched. The tracing pass before that also tells which layer becomes which population.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.deploy.layer_run import LayerRun
from neurosam.deploy.readers.protocol import Feedback, Reading, read, reset
from neurosam.deploy.tracing.drawing import Drawing, draw
from neurosam.deploy.tracing.nodes import population_shape
from neurosam.deploy.tracing.recording import tensors_in
from neurosam.deploy.tracing.steps import Run, float64, record, takes_state, traceable
from neurosam.errors import ExportError
from neurosam.graph.layers import Input, Neurons
from neurosam.network.neuron import LIF, Readout

__all__ = ["run_module"]

Array = npt.NDArray[np.float64]


def run_module(module: nn.Module, x: Array, *, time: str = "auto", run: Run | None = None) -> dict[str, LayerRun]:
    """Run a module.

    Parameters
    ----------
    module : nn.Module
        It is not changed.
    x : (T, B, ...) array
        Its input.
    time, run
        How it is called: as in :func:`neurosam.export`.

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
    recorded = record(traceable(module), shape, Input(population_shape(shape)), time=time, run=run)
    drawing = draw(recorded, chain=isinstance(module, nn.Sequential))
    copy = traceable(module)
    parts = dict(copy.named_modules())
    watched = {node.path: _Watched(node.path, parts[node.path], x.shape[:2]) for node in drawing.neurons.values()}
    with torch.no_grad(), float64():
        returned = _call(copy, torch.from_numpy(np.array(x, np.float64)), recorded.time, run)
    runs = dict(_layers(drawing, watched))
    for name, layer in drawing.graph.layers.items():
        if isinstance(layer, Neurons) and isinstance(layer.neuron, Readout) and name not in runs:
            answer = None if drawing.notes else _answer(returned, recorded.time, x.shape[:2])
            if answer is not None:
                runs[name] = LayerRun(layer.neuron, answer, module="what the module returns", summed=len(answer) == 1)
    return runs


def _call(module: nn.Module, x: Tensor, way: str, run: Run | None) -> list[Any]:
    """Call a module on ``[T, B, ...]``; returns what it returns, step by step if it is called so."""
    if run is not None:
        return [run(module, x)]
    if way == "step":
        outputs: list[Any] = []
        state: tuple[Any, ...] = ()
        for now in x:
            out = module(now, *state)
            if isinstance(out, tuple) and len(out) == 2 and takes_state(module):
                state = (out[1],)
            outputs.append(out)
        return outputs
    if way == "inside":
        if (x != x[:1]).any():
            raise ExportError(
                "module", "presents one input in every step of its own loop; give inputs that do not change"
            )
        return [module(x[0])]
    if way == "second":
        return [module(x.transpose(0, 1))]
    return [module(x.transpose(0, 1).flatten(0, 1) if way == "folded" else x)]


class _Watched:
    """A layer of neurons whose calls are kept."""

    def __init__(self, path: str, module: nn.Module, extent: tuple[int, ...]) -> None:
        reading = read(module)
        if reading is None:
            raise ExportError(f"layer {path!r}", "is no layer of neurons in a second copy of the module")
        self.reading: Reading = reading
        self.where = f"layer {path!r} ({type(module).__name__})"
        self._extent = extent
        self._calls: list[tuple[Array, Array]] = []
        self._forward: Callable[..., Any] = module.forward
        reset(module)
        module.forward = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer; keep what it got and gave."""
        x: Tensor = args[0] if args else next(iter(kwargs.values()))
        steps, samples = self._extent
        folded = self.reading.time == "first" and x.shape[0] == steps * samples and x.shape[:2] != self._extent
        if folded:  # an own layer inside of one that takes each step by itself
            x = x.unflatten(0, (steps, samples))
        out = self._forward(x, *args[1:], **kwargs) if args else self._forward(**{**kwargs, next(iter(kwargs)): x})
        self._calls.append((x.numpy().copy(), next(iter(tensors_in(out))).numpy().copy()))
        return out.flatten(0, 1) if folded else out

    def values(self, use: int) -> tuple[Array, Array]:
        """Drive and output of the place in the module that calls it as number `use`, ``[T, B, ...]``."""
        if self.reading.time == "step":
            steps, calls = self._extent[0], len(self._calls)
            if calls != steps:
                raise ExportError(self.where, f"ran for {calls} steps; the input has {steps}")
            drive, out = (np.stack(sides) for sides in zip(*self._calls, strict=True))
        else:
            drive, out = (self._in_steps(side) for side in self._calls[use])
        if self.reading.feedback is not None:
            drive = drive + _fed_back(self.reading.feedback, out)
        shape = population_shape(drive.shape[2:])
        return drive.reshape(*self._extent, *shape), out.reshape(-1, self._extent[1], *shape)

    def _in_steps(self, side: Array) -> Array:
        if self.reading.time == "folded":
            side = side.reshape(self._extent[1], self._extent[0], *side.shape[1:])
        return side if self.reading.time == "first" else np.swapaxes(side, 0, 1)


def _fed_back(feedback: Feedback, spikes: Array) -> Array:
    """What arrives from a layer's own spikes of the step before, and the constant that comes with it."""
    before = np.concatenate([np.zeros_like(spikes[:1]), spikes[:-1]])
    weight, bias = (np.asarray(value, np.float64) for value in (feedback.weight, feedback.bias))
    if weight.ndim == 4:
        flat = torch.from_numpy(before.reshape(-1, *before.shape[2:]))
        back = torch.nn.functional.conv2d(flat, torch.from_numpy(weight), padding="same").numpy().reshape(before.shape)
        return np.asarray(back + (bias[:, None, None] if bias.ndim == 1 else bias))
    return np.asarray((before @ weight.T if weight.ndim == 2 else before * weight) + bias)


def _layers(drawing: Drawing, watched: dict[str, _Watched]) -> Iterator[tuple[str, LayerRun]]:
    """The layers by population; a module that is used in several places has a call for each."""
    uses = dict.fromkeys(watched, 0)
    for name, node in drawing.neurons.items():
        drive, out = watched[node.path].values(uses[node.path])
        uses[node.path] += 1
        if isinstance(node.what, Neurons):
            sent = out if isinstance(node.what.neuron, LIF) else None
            yield name, LayerRun(node.what.neuron, drive, sent, node.what.lag, node.path)


def _answer(returned: list[Any], way: str, extent: tuple[int, ...]) -> Array | None:
    """What a module returned: ``[T, B, K]``, or the sum over steps as ``[1, B, K]``; None for anything else."""
    found = [next(iter(tensors_in(out)), None) for out in returned]
    if any(x is None for x in found):
        return None
    values = np.stack([x.numpy() for x in found if x is not None])
    values = values if way == "step" else values[0]
    if way == "second" and values.shape[:2] == extent[::-1]:
        values = np.swapaxes(values, 0, 1)
    if values.ndim == 3 and values.shape[:2] == extent:
        return values
    return values[None] if values.ndim == 2 and len(values) == extent[1] else None
