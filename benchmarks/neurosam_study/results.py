"""What an experiment found for one seed, and a cache that keeps it: one experiment can be run again without the others.

    <cache>/<plan>-<seed>/<experiment>.json    version, figures, courses, notes
    <cache>/<plan>-<seed>/<experiment>.npz     example maps, as plain arrays: reading them runs no code

An experiment counts as done if its file has the experiment's present version. The arrays are written before the JSON
that lists them, each atomically, so that an interruption leaves a whole experiment or none.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_bytes, write_text
from neurosam.errors import DataError

__all__ = ["Found", "keep", "kept", "without_nan"]


@dataclass(frozen=True)
class Found:
    """Results of an experiment.

    Attributes
    ----------
    figures : mapping of str to float
        By name; NaN where nothing could be measured.
    courses : mapping of str to list of float
        Figures over an axis such as time, likewise.
    arrays : mapping of str to array
        Example maps and pictures, for drawing.
    notes : tuple of str
        What was left out, and why.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    courses: Mapping[str, list[float]] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def keep(folder: Path, name: str, version: int, found: Found) -> None:
    """Write what an experiment found."""
    place = _place(folder, name)
    if found.arrays:
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(found.arrays)
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_bytes(place.with_suffix(".npz"), buffer.getvalue())
    content = {
        "version": version, "figures": found.figures, "courses": found.courses, "notes": found.notes,
        "arrays": sorted(found.arrays),
    }  # fmt: skip
    write_text(place, json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n")


def kept(folder: Path, name: str, version: int) -> Found | None:
    """What an earlier run found; None if there is nothing, or something of another version.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    place = _place(folder, name)
    if not place.exists():
        return None
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        if content["version"] != version:
            return None
        courses = {
            course: [math.nan if value is None else float(value) for value in values]
            for course, values in content["courses"].items()
        }
        figures = {figure: math.nan if value is None else float(value) for figure, value in content["figures"].items()}
        arrays = _arrays(place.with_suffix(".npz"), content["arrays"])
        return Found(figures, courses, arrays, tuple(str(note) for note in content["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(str(place), f"cannot be read ({error}); remove it to run that experiment again") from error


def _arrays(place: Path, names: list[str]) -> dict[str, npt.NDArray[Any]]:
    if not names:
        return {}
    with np.load(place, allow_pickle=False) as file:
        return {name: file[name] for name in names}


def _place(folder: Path, name: str) -> Path:
    return folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")


def without_nan(value: Any) -> Any:
    """Lists and mappings with None for NaN and infinities, which JSON has not."""
    if isinstance(value, Mapping):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
