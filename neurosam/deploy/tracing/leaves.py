"""Layers of neurons in a recording: a reader says what they are; their forward runs unrecorded.

What a layer gets says which step is which. One that takes single steps is in step k at its k-th call; of one that takes
all steps, each call is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from neurosam.deploy.readers.protocol import Feedback, Reading
from neurosam.deploy.tracing.axes import STATIC, Misread, Rows, Value
from neurosam.deploy.tracing.calls import Call, NotExpressible, array, compact
from neurosam.deploy.tracing.nodes import Membrane, Node, OverTime, Source, Tables
from neurosam.deploy.tracing.recording import Recording, tensors_in
from neurosam.errors import ExportError
from neurosam.graph.layers import Neurons, Scale, Weights
from neurosam.network.neuron import Readout
from neurosam.network.synapse import Conv2d, Dense

Array = npt.NDArray[Any]

__all__ = ["Leaf", "SeveralCalls", "TableLeaf"]


class SeveralCalls(Misread):
    """A layer that takes single steps was called again within one: the module has a loop of its own."""


class Leaf:
    """A module of neurons in a copy that is traced.

    Parameters
    ----------
    recording : Recording
    path : str
        Of the module.
    module : nn.Module
        Its forward is replaced.
    reading : Reading
    once : bool
        A second call in the same pass is an error, since every pass is one step.
    unfold : bool
        Where all steps are expected as ``[T, B, ...]``, ``[T * B, ...]`` is brought into that form.
    """

    def __init__(
        self, recording: Recording, path: str, module: nn.Module, reading: Reading, *, once: bool, unfold: bool
    ) -> None:
        self.recording, self.path, self.kind, self.reading = recording, path, type(module).__name__, reading
        self.once, self.unfold = once, unfold
        self.label = f"layer {path!r} ({self.kind})"
        self.nodes: list[Node] = []
        self.drives: list[tuple[Source, ...]] = []
        self.calls_in_pass = 0
        self._forward: Callable[..., Any] = module.forward
        module.forward = self
        for inner in module.modules():  # recurrent synapses, which are given spikes that may be float32
            if inner is not module and isinstance(getattr(inner, "weight", None), Tensor):
                inner.register_forward_pre_hook(lambda _, given: _in_float64(given))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module; record what it got and gave."""
        x = args[0] if args else next(iter(kwargs.values()), None)
        if self.recording.paused or not isinstance(x, Tensor):
            return self._forward(*args, **kwargs)
        self.calls_in_pass += 1
        if self.once and self.calls_in_pass > 1 and self.reading.time == "step":
            raise SeveralCalls(self.label, "is called several times in one step; call it once, or once in every step")
        value = self.recording.value(x)
        if value is not None and value.refused is not None:
            raise ExportError(value.refused.label, value.refused.what.problem)  # type: ignore[union-attr]
        folded = self.unfold and self.reading.time == "first" and self._is_folded(x)
        if folded:
            x = x.unflatten(0, (self.recording.steps, self.recording.samples))
            value = self.recording.value(x)
        sources, rows, shape = self._behind_weights(*self._drive(x, value))
        with self.recording.pause():
            out = self._forward(x, *args[1:], **kwargs) if args else self._forward(**{**kwargs, next(iter(kwargs)): x})
            out = _in_float64(out)
        node = self._node(shape)
        if self.recording.watched:
            node.received.extend(self._by_step(rows, x))
        self.drives.append(sources)
        self._answers(node, rows, out, (*rows.lead, *shape))
        return out.flatten(0, 1) if folded else out

    def finish(self) -> None:
        """Give the layer its sources: those of the last step, and the one before must have had the same."""
        if self.reading.time != "step" or not self.nodes:
            return
        node = self.nodes[0]
        last = self.drives[-1]
        if len(self.drives) > 2 and [s.key for s in last] != [s.key for s in self.drives[-2]]:
            raise ExportError(
                self.label,
                f"gets its input from other layers in step {len(self.drives) - 1} than in the step before; a network "
                "does the same in every step",
            )
        if not last:
            raise ExportError(self.label, "gets input that does not depend on the module's input")
        node.sources = (*last, *node.sources)

    def _is_folded(self, x: Tensor) -> bool:
        value = self.recording.value(x)
        if value is None or x.shape[0] != self.recording.steps * self.recording.samples:
            return False
        try:
            self.recording.addresses.trace([value], self.label, 1, self._grid((x.shape[0],), by_sample=False))
        except Misread:
            return False
        return True

    def _grid(self, lead: tuple[int, ...], by_sample: bool) -> Rows:
        steps, samples = self.recording.steps, self.recording.samples
        table = np.indices((samples, steps) if by_sample else (steps, samples)).reshape(2, -1)
        return Rows(table[int(by_sample)], table[1 - int(by_sample)], lead)

    def _rows(self, x: Tensor) -> Rows:
        """Steps and samples of the leading axes."""
        if not self.recording.steps and self.reading.time != "step":  # the module presents a still input itself
            axis = 1 if self.reading.time == "second" and x.ndim > 1 else 0
            folded = self.recording.samples if self.reading.time == "folded" else 1
            self.recording.steps = x.shape[axis] // folded
        steps, samples = self.recording.steps, self.recording.samples
        if self.reading.time == "step":
            return Rows(np.full(samples, len(self.drives)), np.arange(samples), (samples,))
        if self.reading.time == "first":
            return self._grid((steps, samples), by_sample=False)
        return self._grid((samples, steps) if self.reading.time == "second" else (samples * steps,), by_sample=True)

    def _drive(self, x: Tensor, value: Value | None) -> tuple[tuple[Source, ...], Rows, tuple[int, ...]]:
        rows = self._rows(x)
        lead = len(rows.lead)
        if x.ndim <= lead or tuple(x.shape[:lead]) != rows.lead:
            names = {"step": "one step [B, ...]", "first": "[T, B, ...]", "second": "[B, T, ...]"}
            wanted = names.get(self.reading.time, "[B * T, ...]")
            raise Misread(self.label, f"gets {tuple(x.shape)}; it takes {wanted}, here {(*rows.lead, '...')}")
        if value is None:
            if self.reading.time != "step" or self.drives:
                raise Misread(self.label, "gets input that does not depend on the module's input")
            return (), rows, tuple(x.shape[lead:])
        if self.reading.time == "step":
            at = int(self.recording.addresses.trace([value], self.label, lead)[0].steps.max())
            if at > len(self.drives):
                raise ExportError(
                    self.label,
                    f"is called for the {_ordinal(len(self.drives) + 1)} time in step {at}; a network calls every "
                    "layer once in every step",
                )
        _, (sources,), shape = self.recording.addresses.trace([value], self.label, lead, rows)
        for source in sources:
            if (problem := source.node.unusable) is not None and not isinstance(source.node.what, Tables):
                raise ExportError(self.label, problem)
        return sources, rows, shape

    def _behind_weights(
        self, sources: tuple[Source, ...], rows: Rows, shape: tuple[int, ...]
    ) -> tuple[tuple[Source, ...], Rows, tuple[int, ...]]:
        """What reaches the neurons, behind synapses that are inside the module."""
        weight, call = array(self.reading.weight), Call(self.recording, (self.path, self.kind), None, (), {}, None)
        if weight.ndim != 2:
            return call.scaled(sources, shape, weight) if sources else sources, rows, shape
        if shape != weight.shape[1:]:
            raise Misread(self.label, f"gets {(*rows.lead, *shape)}; it takes {(*rows.lead, *weight.shape[1:])}")
        synapses = call.node(Weights(Dense(weight)), sources, weight.shape[:1])
        return (Source(synapses),) if sources else sources, rows, weight.shape[:1]

    def _node(self, shape: tuple[int, ...]) -> Node:
        if self.nodes and self.reading.time == "step":
            if self.nodes[0].shape != shape:
                raise ExportError(self.label, f"gets {shape} after {self.nodes[0].shape}; use a module for each place")
            return self.nodes[0]
        node = Node(Neurons(self.reading.neuron, self.reading.lag), (), shape, self.path, self.kind)
        self.nodes.append(self.recording.add(node))
        return node

    def _answers(self, node: Node, rows: Rows, out: Any, shape: Any) -> None:
        outputs = list(tensors_in(out))
        if not outputs:
            raise ExportError(self.label, "returns no tensor")
        if self.reading.time != "step":
            node.sources = self.drives[-1]
        if self.reading.feedback is not None and not node.calls:
            node.sources = (*node.sources, _feedback(self.recording, node, self.reading.feedback))
        node.calls += 1
        recording, place = self.recording, (self.path, self.kind)
        graded = isinstance(self.reading.neuron, Readout)
        answer = outputs[0]
        source = (Source(node),)
        if graded and answer.shape != shape and tuple(answer.shape) == (recording.samples, *node.shape):
            final = recording.node(OverTime("last"), source, node.shape, place, ("last", id(node)))
            once = Rows(np.full(recording.samples, STATIC), np.arange(recording.samples), (recording.samples,))
            recording.values[answer] = recording.addresses.new(final, once)
            return
        if answer.shape != shape:
            raise ExportError(
                self.label, f"returns {tuple(answer.shape)} for input of {tuple(shape)}; spikes were expected"
            )
        membrane = recording.node(Membrane(), source, node.shape, place, ("membrane", id(node)))
        recording.values[answer] = recording.addresses.new(membrane if graded else node, rows)
        if self.reading.membrane is not None and len(outputs) > self.reading.membrane:
            recording.values[outputs[self.reading.membrane]] = recording.addresses.new(membrane, rows)
        node.values.extend(self._by_step(rows, answer))

    def _by_step(self, rows: Rows, x: Tensor) -> list[Array]:
        """Values of one step or of all, each ``[B, elements]``; spikes in as few bytes as they fit."""
        flat = x.detach().reshape(rows.steps.size, -1).numpy()
        with np.errstate(invalid="ignore"):
            bytes_ = flat.astype(np.uint8)
        flat = bytes_ if (bytes_ == flat).all() else flat
        if self.reading.time == "step":
            return [flat.copy()]
        by_step = np.zeros((self.recording.steps, self.recording.samples, flat.shape[1]), flat.dtype)
        by_step[rows.steps, rows.samples] = flat
        return list(by_step)


class TableLeaf:
    """A module that multiplies and adds tables, with a row for each step (BNTT), in front of neurons.

    The smallest power of two per channel that no gain exceeds moves into the weights before it.
    """

    def __init__(self, recording: Recording, path: str, module: nn.Module, gain: Any, offset: Any) -> None:
        self.recording, self.place = recording, (path, type(module).__name__)
        self.gain, self.offset = array(gain), array(offset)
        self._forward: Callable[..., Any] = module.forward
        module.forward = self

    def __call__(self, x: Tensor) -> Tensor:
        """Run the module; record it."""
        value = self.recording.value(x)
        with self.recording.pause():
            out: Tensor = self._forward(x)
        if value is None or self.recording.paused:
            return out
        call = Call(self.recording, self.place, None, (), {}, out)
        try:
            if value.refused is not None:
                call.block(value.refused)
                return out
            rows, sources, shape = call.trace(x, lead=2)
        except NotExpressible as problem:
            call.refuse(str(problem))
            return out
        peak = np.abs(self.gain).max(axis=0)
        power = np.where(peak > 0, np.exp2(np.ceil(np.log2(np.where(peak > 0, peak, 1.0)))), 1.0)
        tables = Tables(self.gain / power, self.offset)
        call.give(rows, call.node(tables, call.scaled(sources, shape, power), shape, key=("tables", id(self))))
        return out


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _in_float64(items: Any) -> Any:
    """Spikes that are float32 whatever the module is given, as in snnTorch and Sinabs: they are whole numbers."""
    if isinstance(items, Tensor):
        return items.double() if items.is_floating_point() else items
    return type(items)(map(_in_float64, items)) if type(items) in (tuple, list) else items


def _feedback(recording: Recording, node: Node, feedback: Feedback) -> Source:
    """Synapses from a layer's spikes of the step before to itself."""
    call = Call(recording, (node.path, node.kind), None, (), {}, None)
    weight = array(feedback.weight)
    what: Weights | Scale
    if weight.ndim == 2:
        what = Weights(Dense(weight))
    elif weight.ndim == 4:
        what = Weights(Conv2d(weight, padding=(weight.shape[2] // 2, weight.shape[3] // 2)))
    else:
        what = Scale(compact(weight, node.shape))
    before = call.node(what, (Source(node, steps=1),), node.shape)
    (source,) = call.shifted((Source(before),), node.shape, array(feedback.bias))
    return replace(source)
