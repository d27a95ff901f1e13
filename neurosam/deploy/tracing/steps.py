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

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice
from neurosam.deploy.readers import own
from neurosam.deploy.readers.protocol import Reading, read, reset, resize
from neurosam.deploy.tracing.axes import STATIC, Misread
from neurosam.deploy.tracing.calls import Call, per_channel
from neurosam.deploy.tracing.functions import record as record_function
from neurosam.deploy.tracing.leaves import Leaf, TableLeaf
from neurosam.deploy.tracing.nodes import Source
from neurosam.deploy.tracing.recording import Recording, tensors_in
from neurosam.errors import ExportError, NetworkError
from neurosam.graph.layers import Input
from neurosam.training.neurons import Temporal
from neurosam.training.sequential import SpikingSequential, named_layers

__all__ = ["TIMES", "Recorded", "Run", "record", "traceable"]

TIMES = ("auto", "step", "first", "second", "folded", "inside")
STEPS, SAMPLES = 4, 5
LARGE = 2**16
"""Elements of the input above which two samples are recorded instead of five."""

Run = Callable[[nn.Module, Tensor], Any]


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording, and what the module returned: per step if it was called step by step."""

    recording: Recording
    leaves: tuple[Leaf, ...]
    outputs: list[Any]
    input: Tensor
    time: str


def traceable(module: nn.Module) -> nn.Module:
    """A float64 copy in evaluation mode on the CPU, whose parameters can be read.

    Raises
    ------
    ExportError
        If it holds parameters that have no values yet.
    """
    while isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):  # torch.compile's wrapper
        module = inner
    for name, part in module.named_modules():
        if any(isinstance(p, nn.parameter.UninitializedTensorMixin) for p in part._parameters.values()):
            raise ExportError(
                f"layer {name!r} ({type(part).__name__})", "has no weights yet; run the module once on an input first"
            )
    out = copied(module).cpu().double().eval()
    return _over_time(out) if type(out) in (nn.Sequential, SpikingSequential) and _has_own(out) else out


def copied(module: nn.Module) -> nn.Module:
    """A deep copy, of a module that was trained a moment ago as well, with all of its options.

    States that a training step left behind belong to a graph, which ``deepcopy`` refuses; and a class with a
    ``__deepcopy__`` of its own may forget options (Sinabs' ALIF forgets ``norm_input``).
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in tensors_in({key: v for key, v in vars(part).items() if key not in ("_parameters", "_modules")}):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    for part in reversed(list(module.modules())):
        if hasattr(type(part), "__deepcopy__") and id(part) not in memo:
            memo[id(part)] = twin = object.__new__(type(part))
            vars(twin).update(copy.deepcopy(vars(part), memo))
    out: nn.Module = copy.deepcopy(module, memo)
    return out


def record(
    module: nn.Module, shape: tuple[int, ...], source: Input, *, time: str = "auto", run: Run | None = None,
    real: bool = False, mean: Sequence[float] = (), std: Sequence[float] = (), samples: int | None = None,
    x: Tensor | None = None,
) -> Recorded:  # fmt: skip
    """Record a module (from :func:`traceable`).

    Parameters
    ----------
    module : nn.Module
        Its layers of neurons are replaced; it is of no other use afterwards.
    shape : tuple of int
        Of one step of one sample of the input.
    source : Input
    time : str
        One of :data:`TIMES`.
    run : function, optional
        ``run(module, x)`` with x of shape ``[T, B, ...]``.
    real : bool
        Whether the recorded input consists of fractions of the largest event; else of events.
    mean, std : sequence of float
        The module takes (x - mean) / std, by channel.
    samples : int, optional
        Of the recorded pass, for a module that has its batch size inside.
    x : (T, B, ...) tensor, optional
        What to record it on; random numbers if None.

    Raises
    ------
    ExportError
        If no way of calling the module works, or a layer cannot be read.
    """
    choice("export: time", time, TIMES)
    paths = _paths(module)
    readings = {path: reading for path, part in paths.items() if (reading := _read(path, part)) is not None}
    ways = ["run"] if run is not None else [time] if time != "auto" else _ways(readings, module)
    failures: list[tuple[int, ExportError]] = []
    for way in ways:
        attempt = _Attempt(copied(module), shape, source, readings, way, run, real, samples, x)
        attempt.standardise(mean, std)
        try:
            return attempt.go()
        except Misread as error:
            failures.append((len(attempt.recording.nodes), ExportError(error.where, error.problem)))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError, NetworkError) as error:
            failures.append((len(attempt.recording.nodes), attempt.explained(error)))
    raise max(failures, key=lambda pair: pair[0])[1]  # of the way that came furthest; the first of them


class _Attempt:
    """One way of calling a module."""

    def __init__(
        self, module: nn.Module, shape: tuple[int, ...], source: Input, readings: dict[str, Reading], way: str,
        run: Run | None, real: bool, samples: int | None, x: Tensor | None,
    ) -> None:  # fmt: skip
        self.module, self.way, self.run = module, way, run
        paths = _paths(module)
        lengths = [len(t[0]) for part in paths.values() if (t := own.tables(part)) is not None]
        steps = min([STEPS, *lengths])
        if samples is None:
            samples = 2 if int(np.prod(shape)) > LARGE else SAMPLES
        if x is not None:
            steps, samples = x.shape[0], x.shape[1]
        self.recording = Recording(record_function, source, shape, steps, samples)
        self.leaves = []
        for path, part in paths.items():
            self.recording.attach(path, part)
            if path in readings:
                leaf = Leaf(
                    self.recording, path, part, readings[path], once=way == "step", unfold=isinstance(module, _InOrder)
                )
                self.leaves.append(leaf)
                reset(part)
                resize(part, steps, samples)
            elif (table := own.tables(part)) is not None:
                TableLeaf(self.recording, path, part, *table)
        self.x = self.given = _input((steps, samples, *shape), source, real) if x is None else x

    def standardise(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Give the module (x - mean) / std in place of x."""
        if mean:
            shape = self.recording.input.shape
            ones = np.ones(shape[0])
            call = Call(self.recording, ("", "standardisation"), None, (), {}, None)
            sources = call.shifted((Source(self.recording.input),), shape, per_channel(-np.asarray(mean) * ones, shape))
            sources = call.scaled(sources, shape, per_channel(1 / np.asarray(std) * ones, shape))
            self.recording.entry = call.one(sources, shape)
            self.given = (self.x - torch.tensor(per_channel(np.asarray(mean) * ones, shape))) / torch.tensor(
                per_channel(np.asarray(std) * ones, shape).copy()
            )

    def go(self) -> Recorded:
        """Run the module."""
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
        if self.way == "inside" and counts:
            self.recording.steps = next(iter(counts))
        if self.way == "inside":
            self.x = self.x[:1].expand(self.recording.steps, *self.x.shape[1:])
        return Recorded(self.recording, tuple(self.leaves), outputs, self.x, self.way)

    def explained(self, error: Exception) -> ExportError:
        """What torch could not do, with the layer that was running."""
        if self.recording.failure is not None:
            return ExportError(*self.recording.failure)
        if isinstance(error, NetworkError) and error.where in (paths := dict(self.module.named_modules())):
            return ExportError(f"layer {error.where!r} ({type(paths[error.where]).__name__})", error.problem)
        kind = "Sequential" if isinstance(self.module, _InOrder) else type(self.module).__name__
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ExportError(self.recording.label(kind), f"cannot be run on {tuple(self.x.shape[1:])}: {problem}")

    def _outputs(self) -> list[Any]:
        recording, x = self.recording, self.given
        steps, samples = recording.steps, recording.samples
        of_step = np.repeat(np.arange(steps), samples)
        if self.way == "step":
            return list(self._step_by_step())
        if self.way == "inside":
            recording.steps, recording.looped = 0, True
            return [self.module(recording.enter(x[0], np.full(samples, STATIC), (samples,)))]
        x = recording.enter(x, of_step, (steps, samples))
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
            x = recording.enter(self.given[step], np.full(recording.samples, step), (recording.samples,))
            out = self.module(x, *state)
            if isinstance(out, tuple) and len(out) == 2 and _takes_state(self.module):
                state = (out[1],)
            yield out


def _input(shape: tuple[int, ...], source: Input, real: bool) -> Tensor:
    """Random events, in the module's unit."""
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if real and source.magnitude == 1:
        return uniform * source.unit
    return (uniform * (source.magnitude + 1)).floor() * source.unit


class _InOrder(SpikingSequential):
    """A plain Sequential of our own neurons: layers act on each step, neurons on all of them."""


def _over_time(module: nn.Module) -> SpikingSequential:
    out = _InOrder() if type(module) is nn.Sequential else SpikingSequential()
    for name, layer in named_layers(module):  # type: ignore[arg-type]
        nested = isinstance(layer, nn.Sequential) and _has_own(layer)
        out.add_module(name, _over_time(layer) if nested else layer)
    return out.eval()


def _has_own(module: nn.Module) -> bool:
    return any(isinstance(part, Temporal) for part in module.modules())


def _paths(module: nn.Module) -> dict[str, nn.Module]:
    return dict(module.named_modules())


def _read(path: str, module: nn.Module) -> Reading | None:
    try:
        return read(module)
    except ExportError as error:
        raise ExportError(f"layer {path!r} ({type(module).__name__})", error.problem) from None


def _ways(readings: dict[str, Reading], module: nn.Module) -> list[str]:
    times = {reading.time for reading in readings.values()}
    if isinstance(module, SpikingSequential):
        return ["first"]
    if "folded" in times:
        return ["folded", "first", "second"]
    if times & {"first", "second"}:
        return sorted(times & {"first", "second"}) + sorted({"first", "second"} - times) + ["inside"]
    return ["step", "inside", "first", "second"]


def _takes_state(module: nn.Module) -> bool:
    """Whether a module takes, as its second argument, the state that it returned (Norse)."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and "state" in positional[1].name


@contextmanager
def _float64() -> Iterator[None]:
    """What forward makes itself (zero states) is float64 too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a module warns of concerns its own runs
            yield
    finally:
        torch.set_default_dtype(before)
