"""The content of a report: plain values, validated here and drawn by figures.py, raster.py and page.py.

A :class:`Report` has a title, the provenance of its numbers, tables, and one :class:`Sample` per input: an image, the
maps of each layer over time, the readout, and what single neurons did. samples.py makes samples of recordings.
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

__all__ = ["Beside", "Cell", "NeuronKind", "Picture", "Report", "Sample", "Table"]

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
class NeuronKind:
    """What one has to know of a population to read its membranes.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` or ``(N,)``.
    role : {"input", "spiking", "readout"}
    threshold : number or (C,) or (C, H, W) array, optional
        In the unit of its membranes; None for an input and a readout.
    at : bool
        Whether a membrane that equals the threshold fires.
    moves : bool
        Whether spikes raise the threshold for a while, so that `threshold` is only where it starts.
    reset : str
        What a spike does, in words, in front of `amount` if there is one: "a spike subtracts".
    amount : number or (C,) or (C, H, W) array, optional
        What is subtracted, or what is left, in the unit of its membranes.
    jump : bool
        Whether a membrane before its reset is the one after it plus `amount` times the spikes.
    note : str
        Further things to know, such as a refractory period.
    unit : str
        Of its membranes: "64ths of a weight".
    """

    shape: tuple[int, ...]
    role: str = "spiking"
    threshold: npt.ArrayLike | None = None
    at: bool = False
    moves: bool = False
    reset: str = ""
    amount: npt.ArrayLike | None = None
    jump: bool = False
    note: str = ""
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Beside:
    """The same sample in another run, such as that of the float network.

    Parameters
    ----------
    name : str
        What ran: "float64".
    maps : mapping of str to (T, h, w) array
        Of some layers of the sample, with the same shapes and in the same unit.
    prediction : int, optional
        Its answer, as a class index; -1 for no answer, None if unknown.
    """

    name: str
    maps: Mapping[str, npt.NDArray[Any]]
    prediction: int | None = None


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
    spikes : mapping of str to (T, C, H, W) or (T, N) int array
        How often each neuron fired at each step; of an input population, the values of its events.
    membrane : mapping of str to (T, C, H, W) or (T, N) array
        Membrane after each step: int32, or floats, which the page shows with float32's precision.
    threshold : mapping of str to (T, C, H, W) or (T, N) array
        What the membrane was compared with at each step, of populations whose spikes raise it (thresholds.py).
    beside : Beside, optional
        The same sample in another run.

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
    spikes: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    membrane: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    threshold: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    beside: Beside | None = None

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
        for variable in ("spikes", "membrane", "threshold"):
            given = getattr(self, variable)
            object.__setattr__(
                self,
                variable,
                {name: _neurons(f"{where}: {variable} {name!r}", variable, x) for name, x in given.items()},
            )
        if self.beside is not None:
            _check_beside(where, self.beside, maps)
        lengths = sorted({len(x) for x in self._series()})
        if len(lengths) != 1:
            raise NeurosamError(where, f"has series of {lengths} steps; maps, counts and readout must be equally long")

    def _series(self) -> list[npt.NDArray[Any]]:
        """All arrays with one value per step."""
        neurons = [*self.spikes.values(), *self.membrane.values(), *self.threshold.values()]
        series = [*self.maps.values(), *self.counts.values(), *neurons]
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
    kinds : mapping of str to NeuronKind
        Of the populations in `Sample.spikes` and `Sample.membrane`; of others, nothing but the shape is known.
    modes : mapping of str to str
        SAM mode of each layer: "strict", "inclusive" or "official".
    output, answer : str
        Population that answers, whose neurons are the classes, and how: "last", "mean", "max" or "count".
    explanations : sequence of (str, str)
        Terms and what they mean, in a sentence each.

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
    kinds: Mapping[str, NeuronKind] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    output: str = ""
    answer: str = ""
    explanations: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        object.__setattr__(self, "tables", tuple(Table(*table) for table in self.tables))
        for table in self.tables:
            for i, row in enumerate(table[2]):
                if len(row) != len(table[1]):
                    raise NeurosamError(
                        f"table {table[0]!r}", f"row {i} has {len(row)} cells for {len(table[1])} columns"
                    )
        forms = {(s.steps, tuple(s.maps), tuple(s.counts), _classes(s)) for s in self.samples}
        if len(forms) > 1:
            got = "; ".join(sorted(f"{kind[0]} steps, layers {kind[1:3]}, {kind[3]} classes" for kind in forms))
            raise NeurosamError("report: samples", f"got {got}; all samples need the same steps, layers and classes")
        if self.labels and len(self.labels) != self.steps:
            raise NeurosamError(
                "report: labels", f"got {len(self.labels)}; one for each of {self.steps} steps is required"
            )
        kinds = dict(self.kinds)
        object.__setattr__(self, "kinds", kinds)
        for i, sample in enumerate(self.samples):
            for name, x in [*sample.spikes.items(), *sample.membrane.items(), *sample.threshold.items()]:
                kind = kinds.setdefault(name, NeuronKind(x.shape[1:]))
                if tuple(kind.shape) != x.shape[1:]:
                    raise NeurosamError(
                        f"report: sample {i}: {name!r}",
                        f"has neurons of shape {x.shape[1:]}; its kind has {kind.shape}",
                    )
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


def _neurons(where: str, variable: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Values of every neuron at every step, checked."""
    array = np.asarray(value)
    array = _numbers(where, array, 4 if array.ndim == 4 else 2)
    whole = array.dtype.kind in "biu"
    if variable == "spikes" and not whole:
        raise NeurosamError(where, f"got {array.dtype}; integers are required")
    if whole and (int(array.min()) < -(2**31) or int(array.max()) >= 2**31):
        raise NeurosamError(where, f"got {array.min()}..{array.max()}; 32 bits are allowed")
    return array


def _check_beside(where: str, beside: Beside, maps: Mapping[str, npt.NDArray[Any]]) -> None:
    for name, x in beside.maps.items():
        place = f"{where}: beside {beside.name!r}: map {name!r}"
        if name not in maps or np.shape(x) != maps[name].shape:
            known = maps[name].shape if name in maps else "none"
            raise NeurosamError(place, f"got shape {np.shape(x)}; the sample's own map has {known}")
        if _numbers(place, x, 3).min() < 0:
            raise NeurosamError(place, f"got {np.min(x):g}; take the absolute or positive part")
