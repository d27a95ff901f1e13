"""Read what SANA-FE wrote of a run: spikes.csv and perf.csv, of its command line or of run.py (runner.py).

    spikes.csv    neuron,timestep                        one line a spike: ``h.3,17``; steps are counted from 1
    perf.csv      timestep,fired,updated,packets,...     one line a step; other columns are passed over

SANA-FE's command line writes energies and times with seven digits, run.py with all. Its Python interface leaves out the
packets.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam.errors import FormatError
from neurosam_hw.sanafe.plan import Plan

__all__ = ["COUNTS", "ENERGIES", "PERF", "SPIKES", "Results", "read_results"]

SPIKES, PERF = "spikes.csv", "perf.csv"
COUNTS = ("fired", "updated", "hops", "spikes")
OPTIONAL = ("packets",)
ENERGIES = ("synapse_energy", "soma_energy", "network_energy")
FLOATS = ("sim_time", *ENERGIES)
LINE_BYTES = 2**16
"""More than a line of either file can have."""


@dataclass(frozen=True, eq=False)
class Results:
    """A run on SANA-FE, in hardware steps.

    Parameters
    ----------
    fired : mapping of str to (S, N) bool array
        Spikes by population, inputs too.
    counts : mapping of str to (S,) int64 array
        By SANA-FE's names: fired and updated neurons (inputs too), hops, "spikes" (which are synaptic operations), and
        packets where they are given.
    costs : mapping of str to (S,) float64 array
        ``sim_time`` in seconds, and energies in joules.
    """

    fired: Mapping[str, npt.NDArray[np.bool_]]
    counts: Mapping[str, npt.NDArray[np.int64]]
    costs: Mapping[str, npt.NDArray[np.float64]]


def read_results(folder: str | Path, plan: Plan) -> Results:
    """Read spikes.csv and perf.csv.

    Raises
    ------
    FormatError
        If a file is missing, too large, not of this form, or of another run than the plan's; names the line.
    """
    path = Path(folder)
    counts, costs = _perf(path / PERF, plan.steps)
    return Results(_spikes(path / SPIKES, plan), counts, costs)


def _spikes(path: Path, plan: Plan) -> dict[str, npt.NDArray[np.bool_]]:
    """Spikes by population, ``[S, N]``."""
    found = {group.name: np.zeros((plan.steps, group.size), dtype=np.bool_) for group in plan.groups}
    most = sum(array.size for array in found.values())
    for number, row in _rows(path, most, ("neuron", "timestep")):
        where = f"{path}, line {number}"
        group, _, neuron = row["neuron"].rpartition(".")
        step = _whole(where, "timestep", row["timestep"], plan.steps)
        if group not in found:
            raise FormatError(where, f"names the group {group!r}; the plan has {', '.join(found)}")
        at = step - 1, _whole(where, "neuron", neuron, found[group].shape[1] - 1)
        if not step or found[group][at]:
            raise FormatError(where, f"repeats a spike of {row['neuron']}" if step else "got step 0; they start at 1")
        found[group][at] = True
    return {group.population: found[group.name] for group in plan.groups}


def _perf(path: Path, steps: int) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, npt.NDArray[np.float64]]]:
    """Counts and costs by step."""
    rows = list(_rows(path, steps, ("timestep", *COUNTS, *FLOATS)))
    if len(rows) != steps:
        raise FormatError(str(path), f"holds {len(rows)} steps; the plan has {steps}")
    for expected, (number, row) in enumerate(rows, start=1):
        if _whole(f"{path}, line {number}", "timestep", row["timestep"], steps) != expected:
            raise FormatError(f"{path}, line {number}", f"is of step {row['timestep']}; {expected} is required")
    names = (*COUNTS, *(name for name in OPTIONAL if name in rows[0][1]))
    most = 2**53
    counts = {
        name: np.array([_whole(f"{path}, line {at}", name, row[name], most) for at, row in rows]) for name in names
    }
    costs = {name: np.array([_real(f"{path}, line {at}", name, row[name]) for at, row in rows]) for name in FLOATS}
    return counts, costs


def _rows(path: Path, most: int, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines behind the header, by their number, with the columns by name."""
    try:
        if path.stat().st_size > LINE_BYTES * (most + 2):
            raise FormatError(str(path), f"is larger than {most} lines can be; it belongs to another run")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise FormatError(str(path), f"has no column {', '.join(missing)}; SANA-FE writes it in line 1")
            for row in reader:
                if None in row or None in row.values():
                    raise FormatError(f"{path}, line {reader.line_num}", "has another number of columns than line 1")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FormatError(str(path), f"cannot be read: {reason}") from None


def _whole(where: str, name: str, text: str, most: int) -> int:
    """A whole number from 0."""
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > most:
        raise FormatError(where, f"got {name} {text[:40]!r}; a whole number from 0 to {most} is required")
    return int(text)


def _real(where: str, name: str, text: str) -> float:
    """A finite number from 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise FormatError(where, f"got {name} {text[:40]!r}; a number from 0 is required")
    return value
