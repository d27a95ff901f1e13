"""When two recordings say the same: bit for bit for integers, to rounding for floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.signals.recording import Recording
from neurosam.signals.state import State

__all__ = ["assert_agree", "assert_identical"]


def assert_identical(expected: Recording, got: Recording, case: object = "") -> None:
    """Every number is equal, in value, type and shape."""
    _spikes(expected, got, case)
    _equal("output", expected.output, got.output, case)
    for variable in ("sam", "membrane", "current", "other_outputs", "saturated", "wrapped"):
        for name, values in _pairs(expected, got, variable, case).items():
            _equal(f"{variable} of {name!r}", values, getattr(got, variable)[name], case)
    _state(expected, got, 0.0, case)


def assert_agree(expected: Recording, got: Recording, case: object = "") -> None:
    """Every spike is equal (random reals do not lie within rounding of a threshold); the rest to rounding."""
    _spikes(expected, got, case)
    _near("output", expected.output, got.output, 1e-9, case)
    for variable, tolerance in (("sam", 1e-12), ("membrane", 1e-9), ("current", 1e-9), ("other_outputs", 1e-9)):
        for name, values in _pairs(expected, got, variable, case).items():
            _near(f"{variable} of {name!r}", values, getattr(got, variable)[name], tolerance, case)
    _state(expected, got, 1e-9, case)


def _state(expected: Recording, got: Recording, tolerance: float, case: object) -> None:
    """The same steps, and the same arrays under the same names, to a relative tolerance (of reals)."""
    assert (got.state is None) == (expected.state is None), f"{case}: a state"
    if expected.state is None or got.state is None:
        return
    assert (got.state.step, got.state.samples) == (expected.state.step, expected.state.samples), case
    mine, theirs = _arrays(expected.state), _arrays(got.state)
    assert list(mine) == list(theirs), f"{case}: the state has {list(theirs)}, expected {list(mine)}"
    for what, values in mine.items():
        if values.dtype.kind == "f" and tolerance:
            finite = np.where(np.isinf(values), 0.0, values)  # the largest of no membrane is -inf
            _near(f"state: {what}", finite, np.where(np.isinf(theirs[what]), 0.0, theirs[what]), tolerance, case)
        else:
            _equal(f"state: {what}", values, theirs[what], case)


def _arrays(state: State) -> dict[str, npt.NDArray[Any]]:
    """Every array of a state by name."""
    held = {f"{name}.{variable}": x for name, own in state.neurons.items() for variable, x in own.items()}
    recent = {f"recent {name}": x for name, x in state.recent.items()}
    return held | recent | {f"answer {name}": x for name, x in state.answers.items()}


def _spikes(expected: Recording, got: Recording, case: object) -> None:
    assert (expected.steps, expected.samples) == (got.steps, got.samples), case
    assert dict(expected.sam_scale) == dict(got.sam_scale), case
    assert dict(expected.operations) == dict(got.operations), case
    for name, counts in _pairs(expected, got, "counts", case).items():
        _equal(f"counts of {name!r}", counts, got.counts[name], case)
    for name, spikes in _pairs(expected, got, "spikes", case).items():
        assert spikes.shape == got.spikes[name].shape, case
        assert (spikes.magnitude is None) == (got.spikes[name].magnitude is None), f"{case}: magnitudes of {name!r}"
        _equal(f"spikes of {name!r}", spikes.dense(), got.spikes[name].dense(), case)
        _equal(f"planes of {name!r}", spikes.planes, got.spikes[name].planes, case)


def _pairs(expected: Recording, got: Recording, variable: str, case: object) -> Mapping[str, Any]:
    mine: Mapping[str, Any] = getattr(expected, variable)
    assert list(mine) == list(getattr(got, variable)), (
        f"{case}: {variable} names other populations, or in another order"
    )
    return mine


def _equal(what: str, expected: npt.NDArray[Any], got: npt.NDArray[Any], case: object) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), f"{case}: {what}"
    differ = np.argwhere(expected != got)
    if len(differ):
        at = tuple(int(k) for k in differ[0])
        message = f"{case}: {what} differs in {len(differ)} places, first at {at}: {got[at]}, expected {expected[at]}"
        raise AssertionError(message)


def _near(what: str, expected: npt.NDArray[Any], got: npt.NDArray[Any], tolerance: float, case: object) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), f"{case}: {what}"
    error = np.abs(expected - got) / np.maximum(1.0, np.abs(expected))
    assert error.max(initial=0.0) <= tolerance, f"{case}: {what} differs by {error.max()}"
