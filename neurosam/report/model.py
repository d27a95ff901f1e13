"""The content of a report: plain values, validated here and drawn by figures.py, raster.py and page.py.

A :class:`Report` has a title, the provenance of its numbers, tables, and one :class:`Sample` per input: an image, the
maps of each layer over time, and the readout.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.signals.answer import NO_ANSWER, answer_name, predicted
from neurosam.signals.recording import Recording

__all__ = ["Cell", "Picture", "Report", "Sample", "Table", "from_recording"]

Cell = str | int | float | bool | np.generic | None
"""One entry of a table or of the provenance; None means "unknown"."""


class Table(NamedTuple):
    """A table; a plain tuple ``(heading, columns, rows)`` is accepted as well.

    Attributes
    ----------
    heading : str
    columns : sequence of str
        Names, with the unit if there is one: "energy (nJ)".
    rows : sequence of sequences of Cell
        One cell per column. Give numbers as numbers: the page rounds them, the JSON file does not.
    note : str
        How to read the table, in a sentence or two.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Picture(NamedTuple):
    """A picture that a page shows beside its tables.

    Attributes
    ----------
    heading : str
    svg : bytes
        An SVG file. The page embeds it as an image, so that no script or request in it is followed.
    text : str
        What it shows, for those who do not see it.
    note : str
        How to read it, in a sentence or two.
    """

    heading: str
    svg: bytes
    text: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """One input and the network's response to it.

    Parameters
    ----------
    image : (C, H, W) uint8 array
        One channel is shown in grey, three as RGB; of any other number, the maximum over channels.
    maps : mapping of str to (T, h, w) array
        Explanation maps of each layer; finite, >= 0.
    mask : (H, W) bool array, optional
        The pixels of the labelled object.
    name : str
        Name of the sample; "" to use its index.
    label, prediction : int, optional
        Classes, as indices; a prediction of -1 is no answer (signals/answer.py).
    readout : (T, classes) array, optional
        Output after each step (readout membrane, or spike counts so far).
    counts : mapping of str to (T,) int array
        Spikes of each population at each step.
    frames : (T, C, H, W) uint8 array, optional
        What the input was at each step, shown in place of `image`; C is 1 or 3.

    Raises
    ------
    NeurosamError
        If a shape, type or value is not as above.
    """

    image: npt.NDArray[np.uint8]
    maps: Mapping[str, npt.NDArray[Any]]
    mask: npt.NDArray[np.bool_] | None = None
    name: str = ""
    label: int | None = None
    prediction: int | None = None
    readout: npt.NDArray[Any] | None = None
    counts: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    frames: npt.NDArray[np.uint8] | None = None

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
                    f"{where}: mask", f"got {mask.dtype} {mask.shape}; bool {image.shape[1:]} is required"
                )
            object.__setattr__(self, "mask", mask)
        for name in ("label", "prediction"):
            object.__setattr__(self, name, _index(f"{where}: {name}", getattr(self, name)))
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "maps", maps)
        object.__setattr__(self, "counts", counts)
        if self.frames is not None:
            frames = np.asarray(self.frames)
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1] not in (1, 3):
                raise NeurosamError(
                    f"{where}: frames", f"got {frames.dtype} {frames.shape}; uint8 (T, 1 or 3, H, W) is required"
                )
            if frames.shape[2:] != image.shape[1:]:
                raise NeurosamError(
                    f"{where}: frames", f"got {frames.shape[2:]} pixels; {image.shape[1:]} as the image"
                )
            object.__setattr__(self, "frames", frames)
        lengths = sorted({len(x) for x in self._series()})
        if len(lengths) != 1:
            raise NeurosamError(where, f"has series of {lengths} steps; maps, counts and readout must be equally long")

    def _series(self) -> list[npt.NDArray[Any]]:
        """All arrays with one value per step."""
        series = [*self.maps.values(), *self.counts.values()]
        return [*series, *(x for x in (self.readout, self.frames) if x is not None)]

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return len(self._series()[0])

    @property
    def predictions(self) -> npt.NDArray[np.int64] | None:
        """Class with the largest readout after each step, ``[T]``, as `prediction`; None without a readout."""
        return None if self.readout is None else predicted(self.readout)


@dataclass(frozen=True, eq=False)
class Report:
    """The content of one page.

    Parameters
    ----------
    title : str
    samples : sequence of Sample
        All with the same number of steps, layers, populations and number of classes.
    classes : sequence of str
        Class names in label order; a class without a name is shown by its index.
    provenance : mapping of str to Cell
        Where the numbers come from: network, precision, backend, steps, seed, ..., shown in this order.
    highlights : mapping of str to Cell
        The most important numbers, shown first: {"accuracy (fixed point)": "97.1 %"}.
    tables : sequence of Table, or of (heading, columns, rows)
        Accuracy, equivalence, localisation with its baselines, throughput, ...
    pictures : sequence of Picture
        Shown in front of the tables.
    neurons : mapping of str to int
        Neurons of each population in `Sample.counts`; if all are given, activity is shown as a rate.
    unit : str
        Unit of the maps, "" for none.
    labels : sequence of str
        Names of the steps where each is a window of several steps of a run: "steps 60-64, from 60 ms".

    Raises
    ------
    NeurosamError
        If samples are not alike, or a table's rows do not match its columns.
    """

    title: str
    samples: Sequence[Sample] = ()
    classes: Sequence[str] = ()
    provenance: Mapping[str, Cell] = field(default_factory=dict)
    highlights: Mapping[str, Cell] = field(default_factory=dict)
    tables: Sequence[Table | tuple[str, Sequence[str], Sequence[Sequence[Cell]]]] = ()
    pictures: Sequence[Picture] = ()
    neurons: Mapping[str, int] = field(default_factory=dict)
    unit: str = ""
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        object.__setattr__(self, "tables", tuple(Table(*table) for table in self.tables))
        for table in self.tables:
            for i, row in enumerate(table[2]):
                if len(row) != len(table[1]):
                    raise NeurosamError(
                        f"table {table[0]!r}", f"row {i} has {len(row)} cells for {len(table[1])} columns"
                    )
        kinds = {(s.steps, tuple(s.maps), tuple(s.counts), _classes(s)) for s in self.samples}
        if len(kinds) > 1:
            got = "; ".join(sorted(f"{kind[0]} steps, layers {kind[1:3]}, {kind[3]} classes" for kind in kinds))
            raise NeurosamError("report: samples", f"got {got}; all samples need the same steps, layers and classes")
        if self.labels and len(self.labels) != self.steps:
            raise NeurosamError(
                "report: labels", f"got {len(self.labels)}; one for each of {self.steps} steps is required"
            )
        for i, sample in enumerate(self.samples):
            size = _classes(sample) or len(self.classes)
            for name, index in (("label", sample.label), ("prediction", sample.prediction)):
                if name == "prediction" and index == NO_ANSWER:
                    continue
                if index is not None and (index < 0 or (size and index >= size)):
                    raise NeurosamError(f"report: sample {i}", f"{name} is {index}; allowed is 0..{size - 1}")

    @property
    def steps(self) -> int:
        """Number of steps of every sample, 0 without samples."""
        return self.samples[0].steps if self.samples else 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that have maps."""
        return tuple(self.samples[0].maps) if self.samples else ()

    def class_name(self, index: int) -> str:
        """Name of a class, or its index if it has none; "no answer" for a prediction of none."""
        return answer_name(index, self.classes)


def from_recording(
    recording: Recording,
    images: npt.NDArray[np.uint8],
    *,
    labels: npt.ArrayLike | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
    readout: str | None = None,
    answer: str = "last",
    select: Sequence[int] | None = None,
) -> tuple[Sample, ...]:
    """Make samples of a recording: maps (in units of the float trace), counts and predictions.

    Parameters
    ----------
    recording : Recording
        Of all images, in the same order.
    images : (B, C, H, W) uint8 array
    labels : (B,) int array, optional
    masks : (B, H, W) bool array, optional
    readout : str, optional
        Population whose membrane, which must be recorded, gives the output after each step.
    answer : {"last", "mean", "max"}
        Its answer over the steps so far (``Network.answers``).
    select : sequence of int, optional
        Indices of the samples to use; all if None.

    Raises
    ------
    NeurosamError
        If the images are not those of the recording, or `readout` was not recorded.
    """
    if len(images) != recording.samples:
        raise NeurosamError("report: images", f"got {len(images)}; the recording has {recording.samples} samples")
    if readout is not None and readout not in recording.membrane:
        raise NeurosamError(f"report: readout {readout!r}", "its membrane was not recorded; use Record(membrane=...)")
    membrane = None if readout is None else _so_far(recording.membrane[readout], answer)
    label_array = None if labels is None else np.asarray(labels)
    return tuple(
        Sample(
            image=images[b],
            maps={name: x[:, b] / recording.sam_scale.get(name, 1.0) for name, x in recording.sam.items()},
            mask=None if masks is None else masks[b],
            label=None if label_array is None else int(label_array[b]),
            prediction=int(recording.predictions[b]),
            readout=None if membrane is None else membrane[:, b].reshape(recording.steps, -1),
            counts={name: x[:, b] for name, x in recording.counts.items()},
        )
        for b in (range(recording.samples) if select is None else select)
    )


def _so_far(membrane: npt.NDArray[Any], answer: str) -> npt.NDArray[Any]:
    """The answer that a run would give if it ended after each of its steps, ``[T, ...]``."""
    if answer == "max":
        return np.maximum.accumulate(membrane, axis=0)
    if answer == "mean":
        steps = np.arange(1, len(membrane) + 1).reshape(-1, *[1] * (membrane.ndim - 1))
        return np.asarray(np.cumsum(membrane, axis=0, dtype=np.float64) / steps)
    return np.asarray(membrane)


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
