"""Recordings and events as NumPy arrays, pandas tables and xarray data sets.

    to_numpy    every array under a flat name ("spikes.conv1"), ready for ``np.savez(path, **arrays)``
    to_pandas   one row per spike, answer, ...: step, sample, population, neuron, c, y, x, value
    to_xarray   everything at once, with dimensions step, sample, conv1_c, conv1_y, conv1_x, ... and units

Steps are a population's own. Values of a fixed-point network stay integers: membranes and currents in units of 1/64
weight, maps with their scale beside them. Arrays of a mapped recording stay in its file until they are used; spikes,
which a recording packs into bits, are unpacked a block of steps at a time for a table, and as a whole, up to a limit,
for an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam._util.packages import require_package
from neurosam.errors import ArgumentError
from neurosam.network.synapse import Shape, as_chw, neurons
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, Spikes

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["VARIABLES", "to_numpy", "to_pandas", "to_xarray"]

VARIABLES = ("spikes", "sam", "membrane", "current", "counts", "output", "operations")
"""What :func:`to_pandas` makes a table of."""

BLOCK_BYTES = 2**24
MOST_BYTES = 2**30
"""Most bytes of unpacked spikes, and of a table."""

AXES = ("c", "y", "x")

Arrays = dict[str, npt.NDArray[Any]]


def to_numpy(data: Recording | Events) -> Arrays:
    """Every array of a recording, or the columns of events, under a flat name.

    Parameters
    ----------
    data : Recording or Events

    Returns
    -------
    dict of str to array
        Of a recording: ``output``, ``output.NAME`` of further outputs, ``predictions``, ``first_step`` if that is not
        0, and for each recorded population ``spikes.NAME`` (uint8, or int32 numbers of spikes) ``[T, B, *shape]``,
        ``membrane.NAME``, ``current.NAME``, ``sam.NAME`` with ``sam_scale.NAME``, ``counts.NAME``, ``saturated.NAME``,
        ``wrapped.NAME``; for each projection ``operations.LABEL``. :func:`neurosam.formats.recordings.read_recording`
        reads them back. Of events: step, sample, neuron, c, y, x and value.

    Raises
    ------
    ArgumentError
        If the unpacked spikes would take more than 1 GiB.

    Examples
    --------
    >>> from neurosam.formats.frames import to_numpy
    >>> recording = ns.Recording(
    ...     "event", steps=2, samples=1, output=np.array([[1, 0]]),
    ...     spikes={"conv1": ns.Spikes.from_dense(np.array([[[0, 1, 1]], [[1, 0, 0]]]))},
    ... )  # fmt: skip
    >>> arrays = to_numpy(recording)
    >>> arrays["spikes.conv1"][:, 0], arrays["predictions"]
    (array([[0, 1, 1],
           [1, 0, 0]], dtype=uint8), array([0]))
    >>> np.savez("recording.npz", **arrays)
    """
    if isinstance(data, Events):
        return _positions(data.shape, data.time, data.sample, data.neuron, _values(data))
    _check_bytes("spikes", sum(map(_dense_bytes, data.spikes.values())))
    arrays: Arrays = {"output": data.output, "predictions": data.predictions} if data.has_output else {}
    if data.first_step:
        arrays["first_step"] = np.asarray(data.first_step)
    arrays |= {f"output.{name}": array for name, array in data.other_outputs.items()}
    arrays |= {f"spikes.{name}": spikes.dense() for name, spikes in data.spikes.items()}
    for variable in ("sam", "sam_scale", "membrane", "current", "counts", "operations", "saturated", "wrapped"):
        arrays |= {f"{variable}.{name}": np.asarray(value) for name, value in getattr(data, variable).items()}
    return arrays


def to_pandas(data: Recording | Events, variable: str = "spikes") -> pandas.DataFrame:
    """One variable of a recording as a tidy table, or events.

    Parameters
    ----------
    data : Recording or Events
    variable : str
        Of a recording; all populations that were recorded are in one table.

        - "spikes": a row per spike, with columns step, sample, population, neuron (flat index), c, y, x, value (how
          often it fired)
        - "sam": a row per pixel of a map that is not 0, with columns step, sample, population, y, x, value; value is
          divided by the scale of the map
        - "membrane", "current": a row per neuron and step, with the columns of "spikes"
        - "counts": step, sample, population, value
        - "output": sample, output (its name; "" is the first), class, value, predicted
        - "operations": projection, value

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ArgumentError
        For an unknown variable, or a table of more than 1 GiB.
    MissingPackageError
        If pandas is not installed.

    Examples
    --------
    >>> from neurosam.formats.frames import to_pandas
    >>> events = ns.Events.from_unsorted([2, 0], [0, 0], [3, 1], steps=3, samples=1, shape=(1, 2, 2))
    >>> print(to_pandas(events))
       step  sample  neuron  c  y  x  value
    0     0       0       1  0  0  1      1
    1     2       0       3  0  1  1      1
    """
    table: Any = _package("pandas").DataFrame
    if isinstance(data, Events):
        return table(to_numpy(data))
    if variable == "operations":
        return table({"projection": list(data.operations), "value": list(data.operations.values())})
    if variable == "output":
        return table(_answers(data))
    if variable not in VARIABLES:
        raise ArgumentError("to_pandas: variable", f"got {variable!r}; allowed are {', '.join(VARIABLES)}")
    parts = [part for name in getattr(data, variable) for part in _rows(data, variable, name)]
    return _joined(table, variable, parts)


def to_xarray(data: Recording | Events) -> xarray.Dataset:
    """A recording or events with named dimensions, coordinates and units.

    Parameters
    ----------
    data : Recording or Events

    Returns
    -------
    xarray.Dataset
        Of a recording: ``conv1_spikes`` (step, sample, conv1_c, conv1_y, conv1_x) and so on, maps (step, sample,
        conv1_y, conv1_x) with the attribute ``scale`` that they are divided by to be in the unit of a float trace,
        ``conv1_counts`` (step, sample), ``output`` (sample, class), ``predictions``; back end, time and operations are
        attributes. Of events: ``events`` (step, sample, c, y, x).

    Raises
    ------
    ArgumentError
        If unpacked spikes or events would take more than 1 GiB.
    MissingPackageError
        If xarray is not installed.

    Examples
    --------
    >>> from neurosam.formats.frames import to_xarray
    >>> recording = ns.Recording(
    ...     "event", steps=3, samples=2, output=np.zeros((2, 10)), sam={"conv1": np.ones((3, 2, 4, 5))}
    ... )
    >>> data = to_xarray(recording)
    >>> data["conv1_sam"].sum("step").dims, dict(data.sizes)["conv1_x"]
    (('sample', 'conv1_y', 'conv1_x'), 5)
    """
    dataset: Any = _package("xarray").Dataset
    if isinstance(data, Events):
        _check_bytes("events", data.steps * data.samples * neurons(data.shape) * _values(data).itemsize)
        named = {"events": (("step", "sample", *AXES[: len(data.shape)]), data.dense(), {"units": "1"})}
        return dataset(named, coords=_steps(data))  # type: ignore[no-any-return]
    _check_bytes("spikes", sum(map(_dense_bytes, data.spikes.values())))
    variables: dict[str, Any] = {}
    for name, spikes in data.spikes.items():
        variables[f"{name}_spikes"] = (_dimensions(name, spikes.shape), spikes.dense(), {"units": "1"})
    for kind in ("membrane", "current"):
        for name, array in getattr(data, kind).items():
            units = "1/64 weight" if array.dtype.kind == "i" else "1"
            variables[f"{name}_{kind}"] = (_dimensions(name, array.shape[2:]), array, {"units": units})
    for name, maps in data.sam.items():
        dimensions = ("step", "sample", f"{name}_y", f"{name}_x")
        variables[f"{name}_sam"] = (dimensions, maps, {"units": "1", "scale": data.sam_scale.get(name, 1.0)})
    for name, counts in data.counts.items():
        variables[f"{name}_counts"] = (("step", "sample"), counts, {"units": "spikes"})
    if data.has_output:
        variables["output"] = (("sample", "class"), data.output.reshape(data.samples, -1))
        variables["predictions"] = (("sample",), data.predictions)
    for name, array in data.other_outputs.items():
        variables[f"{name}_output"] = (("sample", f"{name}_class"), array.reshape(data.samples, -1))
    attributes = {"backend": data.backend, "time_s": data.time_s}
    attributes |= {f"operations {label}": number for label, number in data.operations.items()}
    out: xarray.Dataset = dataset(variables, coords=_steps(data), attrs=attributes)
    return out


def _package(name: str) -> Any:
    """Import an optional package."""
    require_package(f"to_{name}", name)
    return import_module(name)


def _check_bytes(what: str, size: int) -> None:
    if size > MOST_BYTES:
        raise ArgumentError(
            what, f"would take {size / 2**30:.1f} GiB; at most {MOST_BYTES / 2**30:g} GiB is allowed. Convert some "
            "samples at a time (data.select(start, stop)), or record fewer populations",
        )  # fmt: skip


def _dense_bytes(spikes: Spikes) -> int:
    """Bytes that have to be taken to unpack spikes; magnitudes are there already."""
    steps, samples = spikes.planes.shape[:2]
    return steps * samples * neurons(spikes.shape) if spikes.magnitude is None else 0


def _values(events: Events) -> npt.NDArray[Any]:
    return np.ones(len(events), np.uint8) if events.value is None else events.value


def _positions(shape: Shape, step: Any, sample: Any, neuron: Any, value: npt.NDArray[Any]) -> Arrays:
    """The columns of a table of neurons."""
    c, y, x = np.unravel_index(neuron, as_chw(shape))
    columns = {"step": step, "sample": sample, "neuron": neuron, "c": c, "y": y, "x": x}
    return {name: np.asarray(column, np.int32) for name, column in columns.items()} | {"value": value}


def _rows(recording: Recording, variable: str, name: str) -> Iterator[tuple[str, Arrays]]:
    """The rows of one population, a block of steps at a time."""
    held = getattr(recording, variable)[name]
    if variable == "counts":
        at = np.indices(held.shape, np.int32)
        yield name, {"step": at[0].ravel() + recording.first_step, "sample": at[1].ravel(), "value": np.ravel(held)}
        return
    shape = held.shape if isinstance(held, Spikes) else held.shape[2:]
    if variable in ("membrane", "current"):
        _check_bytes(f"{variable} of {name!r}", recording.steps * recording.samples * neurons(shape) * 32)
    length = max(1, BLOCK_BYTES // max(1, 8 * recording.samples * neurons(shape)))
    for first in range(0, recording.steps, length):
        own = first + recording.first_step
        block = _block(held, first, first + length)
        flat = block.reshape(*block.shape[:2], -1)
        if variable in ("membrane", "current"):
            step, sample, neuron = np.indices(flat.shape).reshape(3, -1)
        else:
            step, sample, neuron = np.nonzero(flat)
        value = flat[step, sample, neuron]
        if variable == "sam":
            columns = _positions((1, *shape), step + own, sample, neuron, value / recording.sam_scale.get(name, 1.0))
            yield name, {key: column for key, column in columns.items() if key not in ("neuron", "c")}
        else:
            yield name, _positions(shape, step + own, sample, neuron, value)


def _block(held: Any, first: int, last: int) -> npt.NDArray[Any]:
    """Values of the steps ``first:last``, ``[steps, B, ...]``."""
    if not isinstance(held, Spikes):
        return np.asarray(held[first:last])
    return held.steps(first, last).dense()


def _joined(table: Any, variable: str, parts: list[tuple[str, Arrays]]) -> Any:
    """A table of all populations, whose name becomes the third column."""
    rows = [part["value"].size for _, part in parts]
    columns = list(parts[0][1]) if parts else ["step", "sample", "value"]
    _check_bytes(f"table of {variable}", sum(rows) * 32)
    joined: dict[str, Any] = {
        name: np.concatenate([part[name] for _, part in parts]) if parts else [] for name in columns
    }
    out = table(joined)
    names = list(dict.fromkeys(name for name, _ in parts))
    codes = np.repeat([names.index(name) for name, _ in parts], rows)
    out.insert(2, "population", _package("pandas").Categorical.from_codes(codes.astype(int), names))
    return out


def _answers(recording: Recording) -> dict[str, Any]:
    """The columns of the table of outputs."""
    first = recording.output.reshape(recording.samples, -1)
    others = {name: array.reshape(recording.samples, -1) for name, array in recording.other_outputs.items()}
    columns: dict[str, list[Any]] = {"sample": [], "output": [], "class": [], "value": [], "predicted": []}
    for name, array in {"": first, **others}.items():
        sample, class_ = np.indices(array.shape)
        columns["sample"].append(sample.ravel())
        columns["output"].append([name] * array.size)
        columns["class"].append(class_.ravel())
        columns["value"].append(array.ravel())
        columns["predicted"].append((class_ == predicted(array)[:, None]).ravel() if array.size else [])
    return {name: np.concatenate(column) for name, column in columns.items()}


def _dimensions(name: str, shape: Shape) -> tuple[str, ...]:
    return ("step", "sample", *(f"{name}_{axis}" for axis in AXES[: len(shape)]))


def _steps(data: Recording | Events) -> Mapping[str, Any]:
    """Coordinates that every variable shares."""
    first = data.first_step if isinstance(data, Recording) else 0
    return {
        "step": ("step", np.arange(first, first + data.steps), {"units": "steps"}),
        "sample": np.arange(data.samples),
    }
