"""What a report says: plain values that are checked once, here, and drawn by figures.py, raster.py and page.py.

A :class:`Report` is a title, where the numbers come from, tables, and :class:`Sample` after sample: an image, the maps
of each layer over time, and what the readout made of them.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.signals.recording import Recording

__all__ = ["Cell", "Report", "Sample", "Table", "from_recording"]

Cell = str | int | float | bool | np.generic | None
"""One entry of a table or of the provenance; None stands for "not known"."""


class Table(NamedTuple):
    """A table; a plain tuple ``(heading, columns, rows)`` serves as well.

    Attributes
    ----------
    heading : str
    columns : sequence of str
        Names, with the unit where there is one: "energy (nJ)".
    rows : sequence of sequences of Cell
        One cell a column. Numbers stay numbers: the page rounds what it shows, the JSON file does not.
    note : str
        How to read it, in a sentence or two.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """One input and what the network did with it.

    Parameters
    ----------
    image : (C, H, W) uint8 array
        One channel is shown in grey, three as red, green and blue; of any other number the largest of each pixel.
    maps : mapping of str to (T, h, w) array
        Explanation maps by layer; finite, >= 0.
    mask : (H, W) bool array, optional
        The pixels of the thing that the label names.
    name : str
        What the sample is called, "" for its number.
    label, prediction : int, optional
        Classes, as indices.
    readout : (T, classes) array, optional
        Output after each step (readout membrane, or spikes counted so far).
    counts : mapping of str to (T,) int array
        Spikes of each population in each step.

    Raises
    ------
    NeurosamError
        If a shape, a type or a value does not fit.
    """

    image: npt.NDArray[np.uint8]
    maps: Mapping[str, npt.NDArray[Any]]
    mask: npt.NDArray[np.bool_] | None = None
    name: str = ""
    label: int | None = None
    prediction: int | None = None
    readout: npt.NDArray[Any] | None = None
    counts: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"sample {self.name!r}"
        image = np.asarray(self.image)
        if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
            raise NeurosamError(f"{where}: image", f"got {image.dtype} {image.shape}; uint8 (C, H, W) is required")
        maps = {name: _numbers(f"{where}: map {name!r}", x, 3) for name, x in self.maps.items()}
        for name, x in maps.items():
            if x.min() < 0:
                raise NeurosamError(f"{where}: map {name!r}", f"got {x.min():g}; take the absolute or positive part")
        counts = {name: _numbers(f"{where}: counts {name!r}", x, 1) for name, x in self.counts.items()}
        if self.readout is not None:
            object.__setattr__(self, "readout", _numbers(f"{where}: readout", self.readout, 2))
        if self.mask is not None:
            mask = np.asarray(self.mask)
            if mask.dtype != np.bool_ or mask.shape != image.shape[1:]:
                raise NeurosamError(
                    f"{where}: mask", f"got {mask.dtype} {mask.shape}; needed is bool {image.shape[1:]}"
                )
            object.__setattr__(self, "mask", mask)
        for what in ("label", "prediction"):
            object.__setattr__(self, what, _index(f"{where}: {what}", getattr(self, what)))
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "maps", maps)
        object.__setattr__(self, "counts", counts)
        lengths = sorted({len(x) for x in self._series()})
        if len(lengths) != 1:
            raise NeurosamError(where, f"has series of {lengths} steps; maps, counts and readout share one length")

    def _series(self) -> list[npt.NDArray[Any]]:
        """Everything that has a value a step."""
        series = [*self.maps.values(), *self.counts.values()]
        return series if self.readout is None else [*series, self.readout]

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self._series()[0])

    @property
    def predictions(self) -> npt.NDArray[np.int64] | None:
        """Class with the largest readout after each step (the first of equals), ``[T]``; None without a readout."""
        return None if self.readout is None else np.asarray(np.argmax(self.readout, axis=1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on one page.

    Parameters
    ----------
    title : str
    samples : sequence of Sample
        All of one number of steps, with the same layers, populations and number of classes.
    classes : sequence of str
        Class names in label order; a class without one is called by its index.
    provenance : mapping of str to Cell
        Where the numbers come from: network, precision, backend, steps, seed, ... in the order given.
    highlights : mapping of str to Cell
        The few numbers to see first, by name: {"accuracy (fixed point)": "97.1 %"}.
    tables : sequence of Table, or of (heading, columns, rows)
        Accuracy, equivalence, localisation with its baselines, throughput, ...
    neurons : mapping of str to int
        Neurons of each population in `Sample.counts`; where all are known, activity is shown as a rate.
    unit : str
        Unit of the maps, "" for none.

    Raises
    ------
    NeurosamError
        If samples or tables do not fit together.
    """

    title: str
    samples: Sequence[Sample] = ()
    classes: Sequence[str] = ()
    provenance: Mapping[str, Cell] = field(default_factory=dict)
    highlights: Mapping[str, Cell] = field(default_factory=dict)
    tables: Sequence[Table | tuple[str, Sequence[str], Sequence[Sequence[Cell]]]] = ()
    neurons: Mapping[str, int] = field(default_factory=dict)
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        object.__setattr__(self, "tables", tuple(Table(*table) for table in self.tables))
        for table in self.tables:
            for at, row in enumerate(table[2]):
                if len(row) != len(table[1]):
                    raise NeurosamError(
                        f"table {table[0]!r}", f"row {at} has {len(row)} cells for {len(table[1])} columns"
                    )
        kinds = {(s.steps, tuple(s.maps), tuple(s.counts), _classes(s)) for s in self.samples}
        if len(kinds) > 1:
            got = "; ".join(sorted(f"{kind[0]} steps, layers {kind[1:3]}, {kind[3]} classes" for kind in kinds))
            raise NeurosamError("report: samples", f"got {got}; all samples need the same steps, layers and classes")
        for at, sample in enumerate(self.samples):
            size = _classes(sample) or len(self.classes)
            for what, index in (("label", sample.label), ("prediction", sample.prediction)):
                if index is not None and (index < 0 or (size and index >= size)):
                    raise NeurosamError(f"report: sample {at}", f"{what} is {index}; allowed is 0..{size - 1}")

    @property
    def steps(self) -> int:
        """Number of steps of every sample, 0 without samples."""
        return self.samples[0].steps if self.samples else 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that have maps."""
        return tuple(self.samples[0].maps) if self.samples else ()

    def class_name(self, index: int) -> str:
        """Name of a class, or its index where it has none."""
        return str(self.classes[index]) if index < len(self.classes) else str(index)


def from_recording(
    recording: Recording,
    images: npt.NDArray[np.uint8],
    *,
    labels: npt.ArrayLike | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
    readout: str | None = None,
    select: Sequence[int] | None = None,
) -> tuple[Sample, ...]:
    """Samples with the maps (in the float trace's unit), counts and predictions of a recording.

    Parameters
    ----------
    recording : Recording
        Of all the images, in their order.
    images : (B, C, H, W) uint8 array
    labels : (B,) int array, optional
    masks : (B, H, W) bool array, optional
    readout : str, optional
        Population whose recorded membrane is the output after each step.
    select : sequence of int, optional
        Samples to take; all if None.

    Raises
    ------
    NeurosamError
        If the images are not those of the recording, or `readout` was not recorded.
    """
    if len(images) != recording.samples:
        raise NeurosamError("report: images", f"got {len(images)}; the recording has {recording.samples} samples")
    if readout is not None and readout not in recording.membrane:
        raise NeurosamError(f"report: readout {readout!r}", "its membrane was not recorded; Record(membrane=...) does")
    membrane = None if readout is None else recording.membrane[readout]
    known = None if labels is None else np.asarray(labels)
    return tuple(
        Sample(
            image=images[b],
            maps={name: x[:, b] / recording.sam_scale.get(name, 1.0) for name, x in recording.sam.items()},
            mask=None if masks is None else masks[b],
            label=None if known is None else int(known[b]),
            prediction=int(recording.predictions[b]),
            readout=None if membrane is None else membrane[:, b].reshape(recording.steps, -1),
            counts={name: x[:, b] for name, x in recording.counts.items()},
        )
        for b in (range(recording.samples) if select is None else select)
    )


def _classes(sample: Sample) -> int:
    return 0 if sample.readout is None else sample.readout.shape[1]


def _index(where: str, value: Any) -> int | None:
    try:
        return None if value is None else operator.index(value)
    except TypeError:
        raise NeurosamError(where, f"got {value!r}; the index of a class is required, or None") from None


def _numbers(where: str, value: npt.ArrayLike, ndim: int) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.ndim != ndim or 0 in array.shape:
        raise NeurosamError(where, f"got {array.dtype} {array.shape}; {ndim} dimension(s) of numbers are required")
    if not np.isfinite(array).all():
        raise NeurosamError(where, "got NaN or infinite values; all must be finite")
    return array
