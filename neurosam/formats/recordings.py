"""Recordings that another implementation made, in files: spikes as .csv, or arrays as .npz; read for one network.

.csv    a header with the columns step, sample, population, neuron in any order, then a row for each spike. Steps are a
        population's own, neurons flat in C order over (C, H, W). A population without a row is not in the recording,
        unless it is said to have been silent.
.npz    the arrays of :func:`neurosam.formats.frames.to_numpy`: ``spikes.NAME``, ``membrane.NAME``, ``current.NAME``,
        ``sam.NAME``, ``output``, ``first_step``, and so on; as many of them as there are. ``spikes.NAME`` may also be
        rows (step, sample, neuron), ``[n, 3]``.

Files come from strangers: nothing is unpickled, and sizes, names and ranges are checked before memory is taken.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam.errors import ArgumentError, FormatError
from neurosam.formats.events.numpy_files import read_archive
from neurosam.hdf5.consistency import inconsistency
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.from_arrays import recording_from
from neurosam.signals.given import exact, numbers
from neurosam.signals.recording import Recording

__all__ = ["SUFFIXES", "read_recording"]

SUFFIXES = (".csv", ".npz")
COLUMNS = ("step", "sample", "population", "neuron")
MOST_BYTES = 2**30
MOST_CSV_BYTES = 2**26
MOST_INDEX = 2**31 - 1

VARIABLES = ("spikes", "membrane", "current", "sam")
COUNTED = {"counts": 2, "saturated": 1, "wrapped": 1, "operations": 0}
"""Further variables of integers that a recording may have, with their dimensions."""
IGNORED = ("predictions",)
"""Follows from the output."""

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Rows: TypeAlias = "dict[str, tuple[array[int], array[int], array[int]]]"
"""Step, sample and neuron of each spike, by population."""


def read_recording(
    path: str | Path,
    network: Network,
    *,
    first_step: int = 0,
    steps: int | None = None,
    samples: int | None = None,
    silent: Sequence[str] = (),
) -> Recording:
    r"""Read a recording that another implementation made of a network.

    Parameters
    ----------
    path : str or Path
        A .csv or .npz, see above.
    network : Network
        Which was run.
    first_step, steps, samples : int, optional
        As for :func:`neurosam.recording_from`; a first step that is in the file goes before.
    silent : sequence of str
        Of a .csv: populations that are in the recording even if they have no row.

    Raises
    ------
    FormatError
        With the file, the row or array, what was got and what is allowed.

    Examples
    --------
    >>> from neurosam.formats.recordings import read_recording
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (3,), ns.FixedLIF(membrane_decay=410, threshold=5))],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((3, 2), np.int8)))],
    ... )
    >>> with open("dut.csv", "w") as file:
    ...     _ = file.write("step,sample,population,neuron\n2,0,out,1\n3,0,out,2\n")
    >>> read_recording("dut.csv", network, steps=4, samples=1).spikes["out"].dense()[:, 0].tolist()
    [[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npz":
            arrays = read_archive(path, MOST_BYTES, "Give some samples or populations at a time")
            return _of_arrays(path, network, arrays, first_step, steps, samples)
        spikes = _spikes(path, network, silent)
        return recording_from(
            network, spikes=spikes, first_step=first_step, steps=steps, samples=samples, name=path.stem
        )
    except ArgumentError as error:
        raise FormatError(f"{path}: {error.where}", error.problem) from None


def _of_arrays(
    path: Path, network: Network, arrays: Arrays, first_step: int, steps: int | None, samples: int | None
) -> Recording:
    """A recording of the arrays of an .npz."""
    given: dict[str, dict[str, Any]] = {variable: {} for variable in (*VARIABLES, *COUNTED, "sam_scale", "output")}
    for key, values in arrays.items():
        variable, _, name = key.partition(".")
        if name and variable in given:
            given[variable][name] = values
        elif key not in ("output", "first_step", *IGNORED):
            allowed = ", ".join(f"{variable}.NAME" for variable in given)
            raise FormatError(str(path), f"has an array {key[:64]!r}; {allowed}, output and first_step are read")
    if "first_step" in arrays:
        first_step = int(_integers("first_step", arrays["first_step"], 0))
    for name, values in given["spikes"].items():
        if values.ndim == 2 and values.shape[1] == 3:
            given["spikes"][name] = (values[:, 0], values[:, 1], values[:, 2])
    made = recording_from(
        network, **{variable: given[variable] for variable in VARIABLES}, output=arrays.get("output"),
        first_step=first_step, steps=steps, samples=samples, name=path.stem,
    )  # fmt: skip
    for name, values in given["sam_scale"].items():
        if name in made.sam and float(numbers(f"sam_scale.{name}", values).reshape(-1)[0]) != made.sam_scale[name]:
            raise FormatError(
                f"{path}: sam_scale.{name}", f"is {values}; the network's trace has {made.sam_scale[name]}"
            )
    counted: dict[str, dict[str, Any]] = {
        variable: {name: _integers(f"{variable}.{name}", x, dimensions) for name, x in given[variable].items()}
        for variable, dimensions in COUNTED.items()
    }
    counted["operations"] = {label: int(number) for label, number in counted["operations"].items()}
    others = {name: numbers(f"output.{name}", values) for name, values in given["output"].items()}
    whole: Recording = replace(made, other_outputs=others, **counted)  # type: ignore[arg-type]  # its mappings
    for name in (*whole.counts, *whole.saturated, *whole.wrapped, *others):
        if name not in {p.name for p in network.populations}:
            raise FormatError(str(path), f"has an array of {name[:64]!r}, which is not in the network")
    if problem := inconsistency(whole):
        raise FormatError(str(path), problem)
    return whole


def _integers(where: str, values: npt.NDArray[Any], dimensions: int) -> npt.NDArray[np.int64]:
    if values.ndim != dimensions:
        raise ArgumentError(where, f"has shape {values.shape}; {dimensions} dimension(s) are required")
    whole = exact(where, numbers(where, values), np.dtype(np.int64))
    if whole.size and int(whole.min()) < 0:
        raise ArgumentError(where, f"has the value {whole.min()}; 0 or more is required")
    return whole


def _spikes(path: Path, network: Network, silent: Iterable[str]) -> dict[str, Any]:
    """Columns by population of a .csv."""
    rows: Rows = {name: (array("q"), array("q"), array("q")) for name in silent}
    if path.exists() and not path.is_file():
        raise FormatError(str(path), "is not a regular file; copy its content to one first")
    try:
        if path.stat().st_size > MOST_CSV_BYTES:
            raise FormatError(
                str(path), f"has {path.stat().st_size} bytes; at most {MOST_CSV_BYTES} are read. Write it as .npz"
            )
        with open(path, encoding="utf-8-sig", newline="") as file:
            _read_rows(path, file, network, rows)
    except FileNotFoundError:
        raise FormatError(str(path), "does not exist; check the name") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(str(path), f"is not a readable .csv ({reason})") from None
    if not rows:
        raise FormatError(str(path), "has no row, so no population; if some were recorded and silent, name them")
    known = [p.name for p in network.populations]
    ordered = sorted(rows, key=lambda name: known.index(name) if name in known else len(known))
    return {name: tuple(np.frombuffer(column, np.int64) for column in rows[name]) for name in ordered}


def _read_rows(path: Path, file: TextIO, network: Network, rows: Rows) -> None:
    """Sort the rows of a .csv by population; every number is checked here, where its row is known."""
    lines = csv.reader(file)
    header = [name.strip().lower() for name in next(lines, [])]
    if sorted(header) != sorted(COLUMNS):
        raise FormatError(
            f"{path}, row 1", f"is {', '.join(header)[:100]!r}; a header of {', '.join(COLUMNS)} is required"
        )
    places = [header.index(name) for name in COLUMNS]
    sizes = {p.name: neurons(p.shape) for p in network.populations if p.neuron is not None and p.fires}
    for row in lines:
        if not row:
            continue
        where = f"{path}, row {lines.line_num}"
        if len(row) != len(COLUMNS):
            raise FormatError(where, f"has {len(row)} fields; {', '.join(COLUMNS)} are required")
        step, sample, population, neuron = (row[place].strip() for place in places)
        if population not in sizes:
            raise FormatError(
                where, f"has population {population[:64]!r}; those of the network that fire are {', '.join(sizes)}"
            )
        columns = rows.setdefault(population, (array("q"), array("q"), array("q")))
        limits = (MOST_INDEX, MOST_INDEX, sizes[population] - 1)
        for column, name, text, high in zip(
            columns, ("step", "sample", "neuron"), (step, sample, neuron), limits, strict=True
        ):
            if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= high):
                raise FormatError(where, f"has {name} {text[:32]!r}; an integer in 0..{high} is required")
            column.append(int(text))
