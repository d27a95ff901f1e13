"""Result of an experiment for one seed, and its cache, so that one experiment can be run again without the others.

    <cache>/<plan>-<seed>/<experiment>.json    version, figures, courses, notes
    <cache>/<plan>-<seed>/<experiment>.npz     example maps and figures of each picture: loading them runs no code

An experiment is done if its file has the experiment's current version. The arrays are written before the JSON file that
lists them, each atomically, so that an interruption leaves a complete result or none.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_bytes, write_text
from neurosam._util.untrusted import MALFORMED_ARCHIVE
from neurosam.errors import DataError

__all__ = ["Result", "load_result", "save_result", "without_nan"]

VALUES = "values: "
"""Beginning of the names that values have among the arrays."""


@dataclass(frozen=True)
class Result:
    """Result of an experiment for one seed.

    Attributes
    ----------
    figures : mapping of str to float
        By name; NaN if it could not be measured.
    courses : mapping of str to list of float
        Figures over an axis such as time, by name; NaN as above.
    arrays : mapping of str to array
        Example maps and images, for drawing.
    notes : tuple of str
        What was left out, and why.
    values : mapping of str to (P,) array
        Figures of each picture, by name, in the order of the pictures; NaN as above. Their means are figures too.
    seconds : float
        How long it took, with the trainings that it was the first to need; NaN if that is not known.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    courses: Mapping[str, list[float]] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    values: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    seconds: float = math.nan

    def __post_init__(self) -> None:
        means = {name: _mean(x) for name, x in self.values.items()}
        object.__setattr__(self, "figures", means | dict(self.figures))

    def of(self, name: str) -> npt.NDArray[np.float64]:
        """A figure of each picture, or of the seed (one value); NaN if it was not measured."""
        return np.asarray(self.values.get(name, self.figures.get(name, math.nan)), dtype=np.float64).reshape(-1)


def _mean(values: npt.NDArray[Any]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else math.nan


def save_result(folder: Path, name: str, version: int, result: Result) -> None:
    """Write the result of an experiment to the cache."""
    path = _path(folder, name)
    if result.arrays or result.values:
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(result.arrays)
        arrays |= {f"{VALUES}{key}": np.asarray(x, np.float64) for key, x in result.values.items()}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_bytes(path.with_suffix(".npz"), buffer.getvalue())
    content = {
        "version": version, "figures": result.figures, "courses": result.courses, "notes": result.notes,
        "arrays": sorted(result.arrays), "values": list(result.values), "seconds": result.seconds,
    }  # fmt: skip
    write_text(path, json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n")


def load_result(folder: Path, name: str, version: int) -> Result | None:
    """Load the result of an earlier run from the cache; None if there is none of this version.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    path = _path(folder, name)
    if not path.exists():
        return None
    if not path.is_file():
        raise DataError(str(path), "is not a regular file; remove it to run that experiment again")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != version:
            return None
        courses = {
            course: [math.nan if value is None else float(value) for value in values]
            for course, values in content["courses"].items()
        }
        figures = {figure: math.nan if value is None else float(value) for figure, value in content["figures"].items()}
        names = [*content["arrays"], *(f"{VALUES}{key}" for key in content["values"])]
        arrays = _arrays(path.with_suffix(".npz"), names)
        values = {key: arrays.pop(f"{VALUES}{key}") for key in content["values"]}
        seconds = content.get("seconds")
        notes = tuple(str(note) for note in content["notes"])
        return Result(figures, courses, arrays, notes, values, math.nan if seconds is None else float(seconds))
    except MALFORMED_ARCHIVE as error:
        raise DataError(str(path), f"cannot be read ({error}); remove it to run that experiment again") from error


def _arrays(path: Path, names: list[str]) -> dict[str, npt.NDArray[Any]]:
    if not names:
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names}


def _path(folder: Path, name: str) -> Path:
    return folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")


def without_nan(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by None in lists and mappings."""
    if isinstance(value, Mapping):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
