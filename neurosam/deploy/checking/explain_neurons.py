"""Whether a network's neurons, given the module's own input, fire as the module's did; if not, which rule would.

The neurons of a layer do not depend on each other once their input is given, so each neuron in each sample is one case
(a *train* of inputs and spikes). A difference whose first spike has a margin within rounding is no fault of the rule.
For all others, the rule is varied - another reset, comparison, order, a delay, and two of them together - until one
gives exactly the module's spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.deploy.checking.explain_difference import ROUNDING, SINGLE_ROUNDING, Explanation, place_of
from neurosam.deploy.checking.layer_run import (
    AnyNeuron,
    LayerRun,
    Simulated,
    Trains,
    of_neurons,
    simulate,
    without_input,
)
from neurosam.errors import NetworkError
from neurosam.network.neuron import LIF
from neurosam.network.parameters import MAX_SPIKES
from neurosam.network.synapse import neurons

__all__ = ["differing_parameters", "explain_neurons", "margins", "membrane_scale"]

Mask = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]
Spikes = npt.NDArray[Any]

MOST_TRAINS = 1024
"""Trains that differ, and as many that do not, on which variants of the rule are tried."""

KIND_OF = {
    "fires": "comparison", "threshold": "threshold", "reset": "reset", "reset_amount": "reset", "reset_value": "reset",
    "reset_timing": "order",
}  # fmt: skip
COMPARED = tuple(name for name in LIF.__dataclass_fields__ if name not in ("gain", "offset", "bias"))


def explain_neurons(population: str, run: LayerRun, neuron: LIF) -> Explanation | None:
    """Why the network's neurons differ from the module's on the same input; None if they do not, beyond rounding.

    Parameters
    ----------
    population : str
    run : LayerRun
        What the module's layer did.
    neuron : LIF
        Of the network.
    """
    sent = run.sent.reshape(len(run.sent), -1)
    samples, count = run.drive.shape[1], neurons(run.shape)
    sample, index = (axis.ravel() for axis in np.indices((samples, count)))
    trains = Trains(sample, index, run.input.reshape(len(run.drive), -1)[: len(sent)])
    own = simulate(without_input(neuron), run.shape, trains)
    wrong, close = _compared(own, sent, membrane_scale(neuron, run, trains, own), ROUNDING)
    if not wrong.any() and not close.any():
        return None
    cause = _comparison(run, neuron, trains, own, sent) if not wrong.any() else _cause(run, neuron, trains, own, sent)
    if cause is None:
        return None
    differs = wrong if wrong.any() else close
    steps = np.argmax(own.spikes[:, differs] != sent[:, differs], axis=0)
    train = np.flatnonzero(differs)[int(np.argmin(steps))]
    step = int(steps.min())
    return Explanation(
        population, *cause, place_of((step, sample[train], index[train]), run.shape), float(sent[step, train]),
        float(own.spikes[step, train]), int(differs.sum()),
    )  # fmt: skip


def margins(run: LayerRun, neuron: LIF, sample: int, index: int) -> tuple[Reals, float]:
    """Margins of the network's neuron in every step, on the module's input, and the scale that rounding refers to."""
    trains = Trains(np.array([sample]), np.array([index]), run.input[:, sample, index, None])
    own = simulate(without_input(neuron), run.shape, trains)
    return own.margin[:, 0], float(membrane_scale(neuron, run, trains, own)[0])


def membrane_scale(neuron: LIF, run: LayerRun, trains: Trains, simulated: Simulated) -> Reals:
    """Magnitude of the numbers that each train's neuron adds up: input, threshold, membrane."""
    finite = np.where(np.isfinite(simulated.margin), np.abs(simulated.margin), 0.0)
    constants = (neuron.threshold, neuron.initial_membrane)
    return np.asarray(
        np.abs(trains.input).max(axis=0, initial=0.0) + finite.max(axis=0, initial=0.0)
        + sum(np.abs(of_neurons(value, run.shape, trains.neuron)) for value in constants)
    )  # fmt: skip


def differing_parameters(a: AnyNeuron, b: AnyNeuron) -> tuple[str, str]:
    """Kind of the first parameter in which the module's neurons `a` and the network's `b` differ, and all of them."""
    differences = []
    a, b = without_input(a), without_input(b)
    for name in (name for name in COMPARED if hasattr(a, name)):
        x, y = getattr(a, name), getattr(b, name)
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            if not _equal(x, y, 1e-12 if name == "initial_current" else 0.0):  # a bias is part of that (layer_run.py)
                differences.append((name, f"{name} {_shown(x, y)} in the module, {_shown(y, x)} in the network"))
        elif type(x) is not type(y) or x != y:
            differences.append((name, f"{name} {_shown(x)} in the module, {_shown(y)} in the network"))
    if not differences:
        return "", ""
    if getattr(a, "reset", None) != getattr(b, "reset", None):  # what belongs to one of the two goes without saying
        differences = [d for d in differences if d[0] not in ("reset_amount", "reset_value", "relative_leak")]
    return KIND_OF.get(differences[0][0], "parameter"), "; ".join(text for _, text in differences)


def _compared(simulated: Simulated, sent: Spikes, scale: Reals, tolerance: float) -> tuple[Mask, Mask]:
    """Trains that differ, by more than rounding and within it."""
    differs = simulated.spikes != sent
    first = np.argmax(differs, axis=0)[None]
    margin = np.abs(np.take_along_axis(simulated.margin, first, axis=0)[0])
    any_ = differs.any(axis=0)
    return any_ & ~(margin <= tolerance * scale), any_ & (margin <= tolerance * scale)


def _comparison(run: LayerRun, neuron: LIF, trains: Trains, own: Simulated, sent: Spikes) -> tuple[str, str] | None:
    """Whether spikes that differ at ties alone are a matter of the comparison, and not of rounding."""
    flipped = replace(without_input(neuron), fires="at" if neuron.fires == "above" else "above")
    decided = own.margin == 0
    same_reading = isinstance(run.neuron, LIF) and run.neuron.fires == neuron.fires
    if same_reading and np.count_nonzero(decided.any(axis=0)) < 2:
        return None
    if (simulate(flipped, run.shape, trains).spikes != sent).any():
        return None
    return "comparison", _fires(neuron)


def _fires(neuron: LIF) -> str:
    return (
        f"the module fires {'at its threshold or above' if neuron.fires == 'above' else 'only above its threshold'}, "
        f'the network {"only above" if neuron.fires == "above" else "at it too"} (fires="{neuron.fires}")'
    )


def _cause(run: LayerRun, neuron: LIF, trains: Trains, own: Simulated, sent: Spikes) -> tuple[str, str]:
    """Kind and sentence."""
    scale = membrane_scale(neuron, run, trains, own)
    if isinstance(run.neuron, LIF):
        kind, text = differing_parameters(run.neuron, neuron)
        if kind and not _differing(_Rule(run.neuron), run, trains, sent, scale)[0]:
            return kind, text
    differs = (own.spikes != sent).any(axis=0)
    within_rounding: tuple[_Change, ...] = ()
    chosen = np.concatenate([np.flatnonzero(differs)[:MOST_TRAINS], np.flatnonzero(~differs)[:MOST_TRAINS]])
    some = Trains(trains.sample[chosen], trains.neuron[chosen], trains.input[:, chosen])
    for changes in _combinations(neuron):
        rule = _Rule(neuron)
        try:
            for change in changes:
                rule = change.apply(rule)
            wrong, close = _differing(rule, run, some, sent[:, chosen], scale[chosen])
        except NetworkError:  # options that exclude each other
            continue
        if not wrong and not close:
            return _named(changes)
        if not wrong and not within_rounding:
            within_rounding = changes
    if within_rounding:
        return _named(within_rounding)
    if not _compared(own, sent, scale, SINGLE_ROUNDING)[0].any():
        return "rounding", (
            "membranes are as close to the threshold as single precision can tell; the module computes in float32 "
            "somewhere (a tensor that .double() does not reach)"
        )
    return "unexplained", (
        "on the module's own input the network's neurons fire otherwise, and no other reset, comparison, order or "
        "delay explains it; compare the neuron's equations with those of neurosam.LIF"
    )


class _Rule(NamedTuple):
    """A neuron, a factor on its input, and how many steps its spikes come late."""

    neuron: LIF
    factor: Any = 1.0
    late: int = 0


class _Change(NamedTuple):
    """One way in which the module may differ from the network."""

    aspect: str
    kind: str
    text: str
    apply: Callable[[_Rule], _Rule]


def _named(changes: tuple[_Change, ...]) -> tuple[str, str]:
    """Kind and sentence of changes that explain a difference."""
    return changes[0].kind, "; and ".join(change.text for change in changes)


def _differing(rule: _Rule, run: LayerRun, trains: Trains, sent: Spikes, scale: Reals) -> tuple[int, int]:
    """How many trains differ under a rule, by more than rounding (all, where no spike could tell), and within it."""
    moved = trains._replace(input=trains.input * of_neurons(rule.factor, run.shape, trains.neuron))
    simulated = simulate(without_input(rule.neuron), run.shape, moved)
    if rule.late:
        ahead, behind = max(-rule.late, 0), max(rule.late, 0)
        stop = len(sent) - abs(rule.late)
        simulated = Simulated(simulated.spikes[ahead : ahead + stop], simulated.margin[ahead : ahead + stop])
        sent = sent[behind : behind + stop]
    if not sent.any():
        return trains.sample.size, 0
    wrong, close = _compared(simulated, sent, scale, ROUNDING)
    return int(wrong.sum()), int(close.sum())


def _combinations(neuron: LIF) -> Iterator[tuple[_Change, ...]]:
    """Single changes, then pairs of different aspects."""
    changes = list(_changes(neuron))
    yield from ((change,) for change in changes)
    yield from (pair for pair in combinations(changes, 2) if pair[0].aspect != pair[1].aspect)


def _changes(neuron: LIF) -> Iterator[_Change]:
    def set_(**fields: Any) -> Callable[[_Rule], _Rule]:
        return lambda rule: rule._replace(neuron=replace(rule.neuron, **fields))

    does = {"zero": "to zero", "subtract": "by subtraction", "none": "not at all"}
    network = f'the network: reset="{neuron.reset}"'
    for reset, how in does.items():
        if reset != neuron.reset:
            fields = {"reset": reset, "reset_amount": None, "reset_value": None, "relative_leak": None}
            yield _Change("reset", "reset", f"the module resets {how}; {network}", set_(**fields))
    yield _Change("fires", "comparison", _fires(neuron), set_(fires="at" if neuron.fires == "above" else "above"))
    when = {"now": "in the step of the spike", "next": "in the next step", "both": "in both steps"}
    for timing, how in when.items():
        if timing != neuron.reset_timing:
            text = f'the module resets {how}; the network: reset_timing="{neuron.reset_timing}"'
            yield _Change("timing", "order", text, set_(reset_timing=timing))
    leak = np.asarray(neuron.leak)
    if neuron.reset_amount is not None:
        amount = neuron.reset_amount
        yield _Change(
            "amount", "order", "the module's reset is subtracted before the leak of its own step, so that it decays; "
            "the network's is not", set_(reset_amount=amount * leak),
        )  # fmt: skip
        if np.all(leak > 0):
            yield _Change(
                "amount", "order", "the module's reset is subtracted after the next leak and does not decay; the "
                "network's does", set_(reset_amount=amount / leak),
            )  # fmt: skip
    for steps in (1, 2, 3, -1, -2, -3):
        side = "late" if steps > 0 else "early"
        text = f"the module's spikes come {abs(steps)} step(s) {side} on the same input"
        if steps == 1:
            text += ": it fires from the membrane, or adds the current, of the step before"
        yield _Change("delay", "delay", text, lambda rule, steps=steps: rule._replace(late=steps))  # type: ignore[misc]
    if neuron.lower_bound is None:
        yield _Change("bound", "parameter", "the module's membrane is never below 0; the network's has no lower bound",
                      set_(lower_bound=0.0))  # fmt: skip
    else:
        yield _Change("bound", "parameter", "the module's membrane has no lower bound; the network's has",
                      set_(lower_bound=None))  # fmt: skip
    spikes = 1 if neuron.max_spikes > 1 else MAX_SPIKES
    often = "only once" if spikes == 1 else "several times"
    text = f"the module's neurons fire {often} in a step; the network: max_spikes={neuron.max_spikes}"
    yield _Change("spikes", "parameter", text, set_(max_spikes=spikes))
    yield _Change("input", "order", "the module's input decays in its own step, v <- leak (v + i); the network's not",
                  lambda rule: rule._replace(factor=leak))  # fmt: skip
    yield _Change("input", "scale", "the module multiplies its input by 1 - leak; the network does not",
                  lambda rule: rule._replace(factor=1 - leak))  # fmt: skip


def _equal(x: npt.NDArray[Any], y: npt.NDArray[Any], tolerance: float) -> bool:
    """Whether two parameters are equal, one of them perhaps folded."""
    x, y = (a[:, None, None] if a.ndim == 1 else a for a in (x, y))
    try:
        return bool(np.allclose(x, y, rtol=0, atol=tolerance))
    except ValueError:
        return False


def _shown(value: Any, other: Any = None) -> str:
    """A value, or the first of many that differs from another's."""
    if value is None or isinstance(value, (str, int)):
        return repr(value)
    array = np.asarray(value)
    if other is not None and array.ndim and np.shape(other) == array.shape:
        at = np.flatnonzero(array.ravel() != np.ravel(other))[0]
        return f"{float(array.ravel()[at])!r} (at {at})"
    return repr(float(array.ravel()[0])) if array.size == 1 else f"{array.min():g}..{array.max():g}"
