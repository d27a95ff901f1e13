"""The variables that two recordings both hold, side by side, in causal order (divergence.py)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from neurosam.equivalence.divergence import OF_RUNS, OF_STATES, OF_STEPS, VARIABLES, Values, Variable
from neurosam.equivalence.tolerance import magnitude
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, neurons
from neurosam.signals.recording import Recording

__all__ = ["Shared", "common_steps", "shared"]


class Shared(NamedTuple):
    """What two recordings both hold, and what they do not.

    Attributes
    ----------
    variables : list of Variable
    not_compared : tuple of str
    in_one : tuple of (population, variable)
        What only one of them holds.
    steps_in_one : int
        Steps that only one of them holds.
    """

    variables: list[Variable]
    not_compared: tuple[str, ...]
    in_one: tuple[tuple[str, str], ...]
    steps_in_one: int


def shared(a: Recording, b: Recording, network: Network | None, largest: Mapping[str, float] | None = None) -> Shared:
    """The variables that both recordings hold, in causal order, and what is not compared.

    Of variables by step, the steps that both hold are taken. What belongs to a whole run is compared only if both hold
    the same steps. `largest` events of a float network's inputs: see :func:`neurosam.equivalence.tolerance.magnitude`.

    Raises
    ------
    NeurosamError
        If the recordings differ in samples, shapes, number types or units, or have nothing in common.
    """
    where = f"recordings of {a.backend!r} and {b.backend!r}"
    if a.samples != b.samples:
        raise NeurosamError(where, f"have {a.samples} and {b.samples} samples")
    steps = common_steps(a, b)
    same_steps = (a.first_step, a.steps) == (b.first_step, b.steps)
    if same_steps and a.state is not None and b.state is not None and a.state.step != b.state.step:
        raise NeurosamError(where, f"end at own steps {a.state.step} and {b.state.step}; give both the same start")
    held = _held(a, network), _held(b, network)
    pair = _Pair(a, b, network, steps, largest)
    variables: list[Variable] = []
    in_one: list[tuple[str, str]] = []
    not_compared = [*_steps_of_one(a, steps), *_steps_of_one(b, steps)]
    for name, order in _order(held, network).items():
        for kind in VARIABLES:
            key = kind, name
            if (key in held[0]) != (key in held[1]):
                in_one.append((name, kind))
                not_compared.append(f"{name}: {kind} (only in {a.backend if key in held[0] else b.backend})")
            elif key in held[0] and kind not in OF_STEPS and not same_steps:
                not_compared.append(f"{name}: {kind} (of other steps)")
            elif key in held[0]:
                variables.append(pair.variable(name, kind, order, held[0][key], held[1][key]))
    if not sum(v.a.size for v in variables):
        raise NeurosamError(where, "hold no value in common; nothing can be compared")
    return Shared(variables, tuple(not_compared), tuple(in_one), a.steps + b.steps - 2 * len(steps))


def common_steps(a: Recording, b: Recording) -> range:
    """The own steps that both recordings hold.

    Raises
    ------
    NeurosamError
        If there is none.
    """
    ours, theirs = (range(r.first_step, r.first_step + r.steps) for r in (a, b))
    common = range(max(ours.start, theirs.start), min(ours.stop, theirs.stop))
    if not common and ours != theirs:
        raise NeurosamError(
            f"recordings of {a.backend!r} and {b.backend!r}",
            f"hold own steps {_span(ours)} and {_span(theirs)}, none of which is in both; nothing can be compared",
        )
    return common if common else ours


def _steps_of_one(recording: Recording, common: range) -> list[str]:
    """The steps of a recording that the other one does not hold, described."""
    held = range(recording.first_step, recording.first_step + recording.steps)
    alone = [part for part in (range(held.start, common.start), range(common.stop, held.stop)) if part]
    return [f"steps {' and '.join(map(_span, alone))} (only in {recording.backend})"] if alone else []


def _span(steps: range) -> str:
    """Steps in words."""
    if not steps:
        return "none"
    return f"{steps.start} to {steps.stop - 1}" if len(steps) > 1 else str(steps.start)


def _held(recording: Recording, network: Network | None) -> dict[tuple[str, str], Any]:
    """Everything that a recording holds, by variable and population: arrays ``[T, B, ...]``, and Spikes."""
    held: dict[tuple[str, str], Any] = {}
    for kind in OF_STEPS:
        held |= {(kind, name): x for name, x in getattr(recording, kind).items()}
    for kind in OF_RUNS:
        held |= {(kind, name): x[None] for name, x in getattr(recording, kind).items()}
    if recording.state is not None:
        for name, values in recording.state.neurons.items():
            held |= {(f"state.{variable}", name): x[None] for variable, x in values.items()}
        held |= {("state.recent", name): x for name, x in recording.state.recent.items()}
        held |= {("state.answers", name): x[None] for name, x in recording.state.answers.items()}
    answers = {network.output if network else "output": recording.output} if recording.has_output else {}
    return held | {("output", name): x[None] for name, x in {**answers, **recording.other_outputs}.items()}


def _order(held: tuple[Mapping[tuple[str, str], Any], ...], network: Network | None) -> dict[str, int]:
    """Rank of each population: its place in the order of evaluation, or without a network in the recordings."""
    kinds = ("counts", "membrane", "spikes", "current", "sam", *OF_RUNS, *OF_STATES, "output")
    named = [name for kind in kinds for arrays in held for variable, name in arrays if variable == kind]
    names = list(dict.fromkeys(named))
    if network is not None:
        for name in names:
            _ = network[name]  # refuses a population that the network does not have
        names = list(chain.from_iterable(network.groups))
    return {name: i for i, name in enumerate(names)}


class _Pair:
    """Two recordings of one run."""

    def __init__(
        self,
        a: Recording,
        b: Recording,
        network: Network | None,
        steps: range,
        largest: Mapping[str, float] | None,
    ) -> None:
        self._a, self._b, self._network = a, b, network
        self._steps, self._largest = steps, largest
        self._fixed = network.fixed if network is not None else bool(a.saturated or b.saturated)

    def variable(self, name: str, kind: str, order: int, of_a: Any, of_b: Any) -> Variable:
        """A variable of both, if their forms agree."""
        a, b, where = self._a, self._b, f"{name}: {kind}"
        shapes: list[Shape] = [x.shape if kind == "spikes" else tuple(x.shape[2:]) for x in (of_a, of_b)]
        sides = [self._values(where, kind, *side) for side in ((a, of_a), (b, of_b))]
        if shapes[0] != shapes[1] or sides[0].shape != sides[1].shape:
            raise NeurosamError(
                where, f"has shape {sides[0].shape} in {a.backend!r} and {sides[1].shape} in {b.backend!r}"
            )
        if (sides[0].dtype.kind == "f") != (sides[1].dtype.kind == "f"):
            raise NeurosamError(
                where,
                f"is {sides[0].dtype} in {a.backend!r} and {sides[1].dtype} in {b.backend!r}; quantise both or none",
            )
        if kind == "sam" and a.sam_scale.get(name) != b.sam_scale.get(name):
            raise NeurosamError(
                where,
                f"has scale {a.sam_scale.get(name)} in {a.backend!r} and {b.sam_scale.get(name)} in {b.backend!r}",
            )
        shape, network = shapes[0], self._network
        if kind in ("output", "state.answers") and network is not None:
            population = network[name].shape
            shape = population if neurons(shape) == neurons(population) else shape
        x, y = (side.reshape(*side.shape[:2], neurons(shape)) for side in sides)
        first = self._steps.start if kind in OF_STEPS else self._steps.stop - len(x)
        return Variable(name, kind, order, first, shape, x, y, self._scale(name, kind, x, y), self._fixed)

    def _values(self, where: str, kind: str, recording: Recording, held: Any) -> Any:
        """The values of the common steps, ``[T, B, ...]``, or of the whole run."""
        if kind not in OF_STEPS:
            return held
        values = held.planes if kind == "spikes" else held
        if values.shape[:2] != (recording.steps, recording.samples):
            raise NeurosamError(
                where,
                f"has shape {values.shape} in {recording.backend!r}, whose {recording.steps} steps of "
                f"{recording.samples} samples come first",
            )
        start = self._steps.start - recording.first_step
        chosen = slice(start, start + len(self._steps))
        return held.steps(chosen.start, chosen.stop).dense() if kind == "spikes" else held[chosen]

    def _scale(self, name: str, kind: str, x: Values, y: Values) -> float:
        """Magnitude of the numbers that a float variable adds up."""
        if x.dtype.kind != "f" or kind in ("sam", "state.trace", "state.recent"):
            return 1.0
        if self._network is None:
            return max(float(np.abs(side).max(initial=0.0, where=np.isfinite(side))) for side in (x, y))
        step = magnitude(self._network, name, self._largest)
        state = self._a.state
        return step if kind != "state.answers" or state is None else step * state.step
