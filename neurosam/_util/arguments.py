"""Validation of numbers and arrays at construction: every range is checked once, here, and never again.

Each function returns the value in its canonical form (a Python int, or a read-only contiguous array of its own) and
raises :class:`~neurosam.errors.NetworkError` that says what was got and what is allowed.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NetworkError

__all__ = ["choice", "frozen", "identical", "integer", "integers", "pair", "reals"]


def frozen(array: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """A read-only, contiguous copy of `array` (which stays as it was) in `dtype`."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


def integer(where: str, value: Any, low: int, high: int) -> int:
    """An int in ``low..high`` (inclusive); floats, even whole ones, and bools are refused."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise NetworkError(where, f"got {value!r}; an integer in {low}..{high} is required") from None
    if not low <= number <= high:
        raise NetworkError(where, f"got {number}; allowed is {low}..{high}")
    return number


def pair(where: str, value: Any, low: int, high: int) -> tuple[int, int]:
    """Two ints (height, width), each in ``low..high``; one int stands for both."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(items) != 2:
        raise NetworkError(where, f"got {value!r}; one integer or a pair (height, width) is required")
    return integer(where, items[0], low, high), integer(where, items[1], low, high)


def choice(where: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of the `allowed` strings."""
    if value not in allowed:
        raise NetworkError(where, f"got {value!r}; allowed is {' or '.join(map(repr, allowed))}")
    return str(value)


def reals(
    where: str, value: Any, *, low: float = -np.inf, high: float = np.inf, above: float = -np.inf, ndim: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Finite float64 values with ``low <= x <= high`` and ``x > above``; float32 input widens without loss."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise NetworkError(where, f"got {type(value).__name__}; an array of numbers is required") from None
    _dimensions(where, array, ndim)
    out = frozen(array, np.float64)
    if not np.isfinite(out).all():
        bad = int(out.size - np.count_nonzero(np.isfinite(out)))
        raise NetworkError(where, f"got {bad} value(s) that are NaN or infinite; all must be finite")
    if out.size and (out.min() < low or out.max() > high or out.min() <= above):
        limits = f"above {above:g}" if above > -np.inf else f"in [{low:g}, {high:g}]"
        raise NetworkError(where, f"got values in [{out.min():g}, {out.max():g}]; allowed is {limits}")
    return out


def integers(
    where: str, value: Any, *, low: int, high: int, ndim: tuple[int, ...], dtype: Any = np.int64
) -> npt.NDArray[Any]:
    """Integers in ``low..high`` as `dtype`; an array of another kind is refused rather than rounded."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise NetworkError(where, f"got dtype {array.dtype}; integers in {low}..{high} are required")
    _dimensions(where, array, ndim)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise NetworkError(where, f"got values in {array.min()}..{array.max()}; allowed is {low}..{high}")
    return frozen(array, dtype)


def _dimensions(where: str, array: npt.NDArray[Any], ndim: tuple[int, ...]) -> None:
    if array.ndim not in ndim:
        allowed = " or ".join(map(str, ndim))
        raise NetworkError(where, f"got an array of shape {array.shape}; {allowed} dimension(s) are required")


def identical(a: Any, b: Any) -> bool:
    """Whether two descriptions are equal bit for bit: same types, same dtypes, same shapes, same bytes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(identical(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return bool(a == b)
