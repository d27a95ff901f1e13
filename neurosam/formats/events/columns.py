"""Event columns by the names that people give them: structured arrays, dictionaries, archives and tables.

A field of an array may be called as in Tonic and Metavision (x, y, t, p), faery (t, x, y, on), dv (timestamp, x, y,
polarity) or slayer. The polarity is a bool, 0 and 1, or -1 and +1; without one, all events are on. Without y, the
sensor is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import EventError
from neurosam.formats.events.source import Block

__all__ = ["block", "columns_of", "is_event_record", "ordered"]

NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "t_us", "time_us", "timestamp_us"),
    "x": ("x", "xs", "col", "column", "addr", "address"),
    "y": ("y", "ys", "row"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on", "is_on"),
}


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """The name of the column t, x, y and p each, of those that are there."""
    by_lower = {str(name).strip().lower(): name for name in names}
    found = {}
    for column, allowed in NAMES.items():
        name = next((by_lower[key] for key in allowed if key in by_lower), None)
        if name is not None:
            found[column] = name
    return found


def is_event_record(dtype: np.dtype[Any]) -> bool:
    """Whether a structured array of this dtype holds events."""
    return dtype.names is not None and {"t", "x"} <= columns_of(dtype.names).keys()


def ordered(where: str, array: npt.NDArray[Any], columns: str) -> dict[str, npt.NDArray[Any]]:
    """The columns of a plain (N, 3) or (N, 4) array.

    Raises
    ------
    EventError
        If the order of its columns was not given, or is of another length.
    """
    if not columns:
        raise EventError(where, f"is a plain array of shape {array.shape}, whose columns have no names; give their "
                         "order, as in columns='txyp'")  # fmt: skip
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise EventError(where, f"has shape {array.shape}; columns {columns!r} need (N, {len(columns)})")
    return {name: array[:, i] for i, name in enumerate(columns)}


def block(where: str, fields: Mapping[str, Any], first: int = 0) -> Block:
    """Events from columns t, x, y and p; `first` is the number of the first one, for messages.

    Raises
    ------
    EventError
        If a column is missing, not of numbers, or of values that are no pixels or polarities.
    """
    if missing := [name for name in ("t", "x") if name not in fields]:
        raise EventError(where, f"has no column {missing[0]!r}; t, x, y and p are required")
    arrays = {name: np.asarray(column) for name, column in fields.items()}
    sizes = {name: array.shape for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or arrays["t"].ndim != 1:
        raise EventError(where, f"has columns of shapes {sizes}; one number per event is required in each")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise EventError(where, f"has {array.dtype} in column {name!r}; numbers are required")
    t = arrays["t"]
    if t.dtype.kind == "f" and not np.isfinite(t).all():
        raise EventError(where, f"event {first + int(np.argmin(np.isfinite(t)))} is at time "
                         f"{t[np.argmin(np.isfinite(t))]}; all times must be finite")  # fmt: skip
    if t.dtype == np.uint64 and t.size and int(t.max()) >= 2**63:
        raise EventError(where, f"has a time of {t.max()}; at most 2^63 - 1 is possible")
    x = _pixels(where, "x", arrays["x"], first)
    y = _pixels(where, "y", arrays["y"], first) if "y" in arrays else np.zeros_like(x)
    return Block(t if t.dtype.kind == "f" else t.astype(np.int64), x, y, _polarity(where, arrays.get("p"), x.size))


def _pixels(where: str, name: str, values: npt.NDArray[Any], first: int) -> npt.NDArray[np.int64]:
    """Pixel coordinates as integers >= 0."""
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise EventError(where, f"has fractions in column {name!r}; pixels are integers")
    whole = values.astype(np.int64)
    if whole.size and int(whole.min()) < 0:
        at = int(np.argmin(whole))
        raise EventError(where, f"event {first + at} has {name} = {whole[at]}; pixels count from 0")
    return whole


def _polarity(where: str, values: npt.NDArray[Any] | None, size: int) -> npt.NDArray[np.bool_]:
    """Which events are on."""
    if values is None:
        return np.ones(size, dtype=bool)
    if values.dtype == np.bool_:
        return values
    known = (values == 0) | (values == 1) | (values == -1)
    if not known.all():
        raise EventError(where, f"has the polarity {values[np.argmin(known)]}; allowed are 0 and 1, -1 and 1, or bools")
    return np.asarray(values > 0)
