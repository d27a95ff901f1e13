"""How a module is run for a recording: step by step, with all steps at once, or with a loop of its own.

    step      net(x[t]), t = 0, 1, ...; what it returns beside the output as a state is given back to it
    first     net(x), x of shape [T, B, ...]
    second    net(x), x of shape [B, T, ...]
    folded    net(x), x of shape [B * T, ...]
    inside    net(x), x of shape [B, ...], which the module presents in every step
    run       run(net, x), x of shape [T, B, ...]: a function of the user's

With ``time="auto"`` they are tried in an order that the layers of neurons suggest; the axes that these receive tell
whether it fits.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice
from neurosam.deploy.readers import own
from neurosam.deploy.readers.protocol import Reading, read, reset, resize
from neurosam.deploy.tracing.axes import STATIC, Misread
from neurosam.deploy.tracing.calls import Call, per_channel
from neurosam.deploy.tracing.copies import InOrder, copied
from neurosam.deploy.tracing.functions import ATTENTION
from neurosam.deploy.tracing.functions import record as record_function
from neurosam.deploy.tracing.leaves import Leaf, TableLeaf
from neurosam.deploy.tracing.nodes import Source
from neurosam.deploy.tracing.recording import Recording
from neurosam.errors import ExportError, NetworkError
from neurosam.graph.layers import Input
from neurosam.training.sequential import SpikingSequential

__all__ = ["Presented", "Recorded", "Run", "record"]

WAYS = ("auto", "step", "first", "second", "folded", "inside")
STEPS, SAMPLES = 4, 5
LARGE = 2**16
"""Elements of the input above which two samples are recorded instead of five, and not what neurons received."""

Run = Callable[[nn.Module, Tensor], Any]


@dataclass(frozen=True, eq=False)
class Presented:
    """The input of a recording.

    Parameters
    ----------
    source : Input
    shape : tuple of int
        Of one step of one sample, as torch has it.
    real : bool
        Whether it consists of fractions of the largest event; else of events.
    mean, std : (C,) array or None
        The module takes (x - mean) / std.
    samples : int, optional
        Batch size, for a module that has it inside.
    x : (T, B, ...) tensor, optional
        The input itself; random numbers if None.
    seed : int
        Of those.
    """

    source: Input
    shape: tuple[int, ...]
    real: bool = False
    mean: npt.NDArray[np.float64] | None = None
    std: npt.NDArray[np.float64] | None = None
    samples: int | None = None
    x: Tensor | None = None
    seed: int = 0

    def draw(self, most: int) -> Tensor:
        """The input ``[T, B, ...]``, of at most `most` steps if it is random; before it is standardised."""
        if self.x is not None:
            return self.x
        size = (most, self.samples or (2 if int(np.prod(self.shape)) > LARGE else SAMPLES), *self.shape)
        uniform = torch.rand(size, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64)
        largest = self.source.magnitude
        return (uniform if self.real and largest == 1 else (uniform * (largest + 1)).floor()) * self.source.unit


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording, its input ``[T, B, ...]``, and what the module returned: per step if it was called step by step."""

    recording: Recording
    leaves: tuple[Leaf, ...]
    outputs: list[Any]
    input: Tensor
    way: str


def record(module: nn.Module, presented: Presented, time: str = "auto", run: Run | None = None) -> Recorded:
    """Record a module (from :func:`~neurosam.deploy.tracing.copies.traceable`).

    Parameters
    ----------
    module : nn.Module
    presented : Presented
    time : {"auto", "step", "first", "second", "folded", "inside"}
    run : function, optional
        ``run(module, x)`` with x of shape ``[T, B, ...]``.

    Raises
    ------
    ExportError
        If no way of calling the module works, or a layer cannot be read.
    """
    choice("export: time", time, WAYS)
    readings = {
        path: reading for path, part in module.named_modules() if (reading := _read(path, part)) is not None
    }  # fmt: skip
    ways = ["run"] if run is not None else [time] if time != "auto" else _ways(readings, module)
    failures: list[tuple[bool, int, ExportError]] = []
    for way in ways:
        attempt = _Attempt(copied(module), presented, readings, way, run)
        try:
            return attempt.go(found=len(ways) > 1)
        except ExportError as error:
            failures.append((not isinstance(error, Misread), len(attempt.recording.nodes), error))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError, NetworkError) as error:
            failures.append((False, len(attempt.recording.nodes), attempt.explained(error)))
    told = max(failures, key=lambda failure: failure[:2])[2]  # of a layer; else of the way that came furthest
    raise ExportError(told.where, told.problem)


class _Attempt:
    """One way of calling a module."""

    def __init__(
        self, module: nn.Module, presented: Presented, readings: dict[str, Reading], way: str, run: Run | None
    ) -> None:
        self.module, self.presented, self.way, self.run = module, presented, way, run
        paths = dict(module.named_modules())
        lengths = [len(tables[0]) for part in paths.values() if (tables := own.tables(part)) is not None]
        self.drawn = presented.draw(min([STEPS, *lengths]))
        steps, samples = self.drawn.shape[:2]
        self.recording = Recording(record_function, presented.source, presented.shape, steps, samples)
        self.recording.watched = presented.x is not None or int(np.prod(presented.shape)) <= LARGE
        self.leaves = []
        for path, part in paths.items():
            self.recording.attach(path, part)
            if path in readings:
                once, unfold = way == "step", isinstance(module, InOrder)
                self.leaves.append(Leaf(self.recording, path, part, readings[path], once=once, unfold=unfold))
                reset(part)
                resize(part, steps, samples)
            elif (tables := own.tables(part)) is not None:
                TableLeaf(self.recording, path, part, *tables)
        self.x = self._standardised()

    def go(self, found: bool) -> Recorded:
        """Run the module; a way that was not asked for, but is `found` out, has to be seen for two steps at least."""
        with torch.no_grad(), _float64(), self.recording:
            outputs = self._outputs()
        for leaf in self.leaves:
            leaf.finish()
        counts = {leaf.nodes[0].calls: leaf for leaf in self.leaves if leaf.nodes and leaf.reading.time == "step"}
        if len(counts) > 1:
            least, most = min(counts), max(counts)
            raise ExportError(
                counts[least].label,
                f"is called {least} times while {counts[most].label} is called {most} times; a network calls both "
                "once in every step",
            )
        if found and self.way == "inside" and next(iter(counts), self.recording.steps) < 2:
            raise Misread("module", "runs for a single step; time='inside' is for a loop over a still input")
        shown = self.drawn
        if self.way == "inside":
            self.recording.steps = next(iter(counts), self.recording.steps)
            shown = shown[:1].expand(self.recording.steps, *shown.shape[1:])
        return Recorded(self.recording, tuple(self.leaves), outputs, shown, self.way)

    def explained(self, error: Exception) -> ExportError:
        """What torch could not do, with the layer that was running."""
        if self.recording.failure is not None:
            return ExportError(*self.recording.failure)
        if isinstance(error, NetworkError) and error.where in (paths := dict(self.module.named_modules())):
            return ExportError(f"layer {error.where!r} ({type(paths[error.where]).__name__})", error.problem)
        if isinstance(self.recording.running, nn.MultiheadAttention):
            return ExportError(self.recording.label(), ATTENTION)
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ExportError(self.recording.label(), f"cannot be run on {tuple(self.x.shape[1:])}: {problem}")

    def _standardised(self) -> Tensor:
        """What the module takes; the network standardises by itself."""
        mean, std = self.presented.mean, self.presented.std
        if mean is None or std is None:
            return self.drawn
        recording, shape = self.recording, self.recording.input.shape
        call = Call(recording, ("", "standardisation"), None, (), {}, None)
        shift, factor = per_channel(-mean, shape), per_channel(1 / std, shape)
        sources = call.scaled(call.shifted((Source(recording.input),), shape, shift), shape, factor)
        recording.entry = call.one(sources, shape)
        return torch.tensor((self.drawn.numpy() + shift) * factor)

    def _outputs(self) -> list[Any]:
        recording, x = self.recording, self.x
        steps, samples = recording.steps, recording.samples
        if self.way == "step":
            return list(self._step_by_step())
        if self.way == "inside":
            recording.steps, recording.looped = 0, True
            return [self.module(recording.enter(x[0], np.full(samples, STATIC), (samples,)))]
        x = recording.enter(x, np.repeat(np.arange(steps), samples), (steps, samples))
        if self.way == "run" and self.run is not None:
            return [self.run(self.module, x)]
        if self.way == "second":
            x = x.transpose(0, 1)
        elif self.way == "folded":
            x = x.transpose(0, 1).flatten(0, 1)
        return [self.module(x)]

    def _step_by_step(self) -> Iterator[Any]:
        recording = self.recording
        state: tuple[Any, ...] = ()
        for step in range(recording.steps):
            for leaf in self.leaves:
                leaf.calls_in_pass = 0
            x = recording.enter(self.x[step], np.full(recording.samples, step), (recording.samples,))
            out = self.module(x, *state)
            if isinstance(out, tuple) and len(out) == 2 and _takes_state(self.module):
                state = (out[1],)
            yield out


def _read(path: str, module: nn.Module) -> Reading | None:
    try:
        return read(module)
    except (ExportError, NetworkError) as error:
        raise ExportError(f"layer {path!r} ({type(module).__name__})", error.problem) from None


def _ways(readings: dict[str, Reading], module: nn.Module) -> list[str]:
    """Ways to try, in this order."""
    times = {reading.time for reading in readings.values()}
    if isinstance(module, SpikingSequential):
        return ["first"]
    if "folded" in times:
        return ["folded", "first", "second"]
    if times & {"first", "second"}:
        return [*sorted(times & {"first", "second"}), *sorted({"first", "second"} - times), "inside"]
    return ["step", "inside", "first", "second"]


def _takes_state(module: nn.Module) -> bool:
    """Whether a module takes, as its second argument, the state that it returned (Norse)."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and "state" in positional[1].name


@contextmanager
def _float64() -> Iterator[None]:
    """What forward makes itself (zero states) is float64 too; what it warns of concerns its own runs."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(before)
