"""Validation of numbers and arrays at construction: every range is checked once, here, and never again.

Each function returns the value in its canonical form: a Python int, or a read-only contiguous copy of an array. A value
that is not allowed raises :class:`~neurosam.errors.NetworkError`, since most values belong to a network, or the class
that the caller passes as `error`; the message says what was got and what is allowed.
"""

from __future__ import annotations

import operator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam.errors import NetworkError, NeurosamError

__all__ = ["choice", "frozen", "identical", "integer", "integers", "pair", "reals"]

ErrorClass: TypeAlias = type[NeurosamError]


def frozen(array: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """A read-only, contiguous copy of `array` in `dtype`."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


def integer(where: str, value: Any, low: int, high: int, error: ErrorClass = NetworkError) -> int:
    """An int in ``low..high`` (inclusive); floats, even whole ones, and bools are refused."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise error(where, f"got {value!r}; an integer in {low}..{high} is required") from None
    if not low <= number <= high:
        raise error(where, f"got {number}; allowed is {low}..{high}")
    return number


def pair(where: str, value: Any, low: int, high: int, error: ErrorClass = NetworkError) -> tuple[int, int]:
    """Two ints (height, width), each in ``low..high``; one int stands for both."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(items) != 2:
        raise error(where, f"got {value!r}; one integer or a pair (height, width) is required")
    return integer(where, items[0], low, high, error), integer(where, items[1], low, high, error)


def choice(where: str, value: Any, allowed: tuple[str, ...], error: ErrorClass = NetworkError) -> str:
    """One of the `allowed` strings."""
    if value not in allowed:
        raise error(where, f"got {value!r}; allowed is {' or '.join(map(repr, allowed))}")
    return str(value)


def reals(
    where: str,
    value: Any,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    above: float = -np.inf,
    ndim: tuple[int, ...],
    error: ErrorClass = NetworkError,
) -> npt.NDArray[np.float64]:
    """Finite float64 values with ``low <= x <= high`` and ``x > above``; float32 input widens without loss."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise error(where, f"got {type(value).__name__}; an array of numbers is required") from None
    _dimensions(where, array, ndim, error)
    out = frozen(array, np.float64)
    if not np.isfinite(out).all():
        count = int(out.size - np.count_nonzero(np.isfinite(out)))
        raise error(where, f"got {count} value(s) that are NaN or infinite; all must be finite")
    if out.size and (out.min() < low or out.max() > high or out.min() <= above):
        limits = f"above {above:g}" if above > -np.inf else f"in [{low:g}, {high:g}]"
        raise error(where, f"got values in [{out.min():g}, {out.max():g}]; allowed is {limits}")
    return out


def integers(
    where: str,
    value: Any,
    *,
    low: int,
    high: int,
    ndim: tuple[int, ...],
    dtype: Any = np.int64,
    error: ErrorClass = NetworkError,
) -> npt.NDArray[Any]:
    """Integers in ``low..high`` as `dtype`; an array of another kind is refused rather than rounded."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise error(where, f"got dtype {array.dtype}; integers in {low}..{high} are required")
    _dimensions(where, array, ndim, error)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise error(where, f"got values in {array.min()}..{array.max()}; allowed is {low}..{high}")
    return frozen(array, dtype)


def _dimensions(where: str, array: npt.NDArray[Any], ndim: tuple[int, ...], error: ErrorClass) -> None:
    if array.ndim not in ndim:
        allowed = " or ".join(map(str, ndim))
        raise error(where, f"got an array of shape {array.shape}; {allowed} dimension(s) are required")


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
