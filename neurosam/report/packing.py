"""The samples of a report as the page's script takes them: an index, and one buffer that it points into.

Images are bytes ``[C, H, W]``, masks are bytes 0 or 1, and the map of a step is ``round(255 * map / peak)`` with that
step's peak, so that the error is at most 0.2 % of the peak at every step. Spikes and membranes are exact integers:

    bits      one bit a value, in C order, the first in the lowest bit of a byte     values 0 and 1
    int       n byte planes, the lowest first, in two's complement                    n the fewest that hold all values
    float     four byte planes of float32, the lowest first                           membranes of a float network

Byte planes compress well, since high bytes are nearly all alike. Membranes are most of a page: they are taken sample
by sample, populations with maps first, until they fill `membrane_mb` (:func:`chosen`), and spikes until half of it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.report.figures import visible
from neurosam.report.model import NeuronKind, Report, Sample

__all__ = ["MEMBRANE_MB", "chosen", "packed"]

MEMBRANE_MB = 8.0
"""Default size of all membranes in a page, uncompressed, in 10^6 bytes."""

Entry = dict[str, Any]


def chosen(sizes: Sequence[Mapping[str, int]], first: Iterable[str], limit: int) -> list[list[str]]:
    """Which arrays of each sample to take: sample by sample, those in `first` before others, while they fit `limit`.

    Examples
    --------
    >>> from neurosam.report.packing import chosen
    >>> chosen([{"out": 1, "conv": 5}] * 3, ["conv"], 11)
    [['conv', 'out'], ['conv'], []]
    """
    taken: list[list[str]] = []
    preferred = list(first)
    for one in sizes:
        names = [*(name for name in preferred if name in one), *(name for name in one if name not in preferred)]
        kept = []
        for name in names:
            if one[name] <= limit:
                kept.append(name)
                limit -= one[name]
        taken.append(kept)
    return taken


class _Buffer:
    """Bytes of all arrays, one after another."""

    def __init__(self) -> None:
        self.content = bytearray()

    def store(self, array: npt.NDArray[np.uint8], **more: Any) -> Entry:
        at = len(self.content)
        self.content.extend(array.tobytes())
        return {"at": at, "shape": array.shape, **more}

    def store_numbers(self, array: npt.NDArray[Any]) -> Entry:
        """Integers exactly, floats as float32."""
        if array.dtype.kind == "f":
            planes = np.ascontiguousarray(array, dtype="<f4").reshape(-1, 1).view(np.uint8).T
            return {**self.store(planes), "shape": array.shape, "kind": "float"}
        if array.size and array.min() >= 0 and array.max() <= 1:
            bits = np.packbits(array.ravel().astype(np.uint8), bitorder="little")
            return {**self.store(bits), "shape": array.shape, "kind": "bits"}
        planes = np.ascontiguousarray(array, dtype="<i4").reshape(-1, 1).view(np.uint8).T[: _width(array)]
        return {**self.store(planes), "shape": array.shape, "kind": "int", "bytes": len(planes)}


def packed(report: Report, membrane_mb: float = MEMBRANE_MB) -> tuple[dict[str, Any], str]:
    """The index, and the buffer: zlib-compressed, in base64."""
    buffer = _Buffer()
    limit = round(membrane_mb * 1e6)
    spikes = chosen(
        [{n: -(-x.size // 8) for n, x in s.spikes.items()} for s in report.samples], report.layers, limit // 2
    )
    membranes = chosen(
        [{n: _size(x) + _size(s.threshold.get(n)) for n, x in s.membrane.items()} for s in report.samples],
        report.layers,
        limit,
    )
    samples = [
        _packed(buffer, sample, kept, whole)
        for sample, kept, whole in zip(report.samples, spikes, membranes, strict=True)
    ]
    readout_classes = max((0 if s.readout is None else s.readout.shape[1] for s in report.samples), default=0)
    class_count = max([len(report.classes), readout_classes, *(i + 1 for s in report.samples for i in _indices(s))])
    index = {
        "steps": report.steps,
        "layers": report.layers,
        "classes": [report.class_name(i) for i in range(class_count)],
        "neurons": {name: int(count) for name, count in report.neurons.items()},
        "populations": list(samples[0]["counts"]) if samples else [],
        "unit": report.unit,
        "labels": list(report.labels),
        "kinds": [[name, _kind(kind)] for name, kind in report.kinds.items()],
        "modes": dict(report.modes),
        "output": report.output,
        "answer": report.answer,
        "membrane_mb": membrane_mb,
        "needed_mb": _needed_mb(report),
        "samples": samples,
    }
    return index, base64.b64encode(zlib.compress(bytes(buffer.content))).decode("ascii")


def _packed(buffer: _Buffer, sample: Sample, spikes: Sequence[str], membranes: Sequence[str]) -> dict[str, Any]:
    beside = sample.beside
    return {
        "name": sample.name,
        "label": sample.label,
        "prediction": sample.prediction,
        "image": buffer.store(visible(sample.image)),
        "frames": None if sample.frames is None else buffer.store(sample.frames),
        "mask": None if sample.mask is None else buffer.store(sample.mask.astype(np.uint8)),
        "maps": {layer: _map(buffer, x) for layer, x in sample.maps.items()},
        "counts": {name: x.tolist() for name, x in sample.counts.items()},
        "readout": None if sample.readout is None else [_short(row) for row in sample.readout],
        "spikes": {name: buffer.store_numbers(sample.spikes[name]) for name in spikes},
        "membrane": {name: buffer.store_numbers(sample.membrane[name]) for name in membranes},
        "threshold": {
            name: buffer.store_numbers(sample.threshold[name]) for name in membranes if name in sample.threshold
        },
        "beside": None if beside is None else {
            "name": beside.name,
            "prediction": beside.prediction,
            "maps": {layer: _map(buffer, x) for layer, x in beside.maps.items()},
        },
    }  # fmt: skip


def _map(buffer: _Buffer, x: npt.NDArray[Any]) -> Entry:
    peaks = x.max(axis=(1, 2)).astype(np.float64)
    divisor = np.where(peaks > 0, peaks, 1.0)[:, None, None]
    return buffer.store(np.rint(x / divisor * 255).astype(np.uint8), peaks=_short(peaks))


def _kind(kind: NeuronKind) -> dict[str, Any]:
    return {
        "shape": list(kind.shape),
        "role": kind.role,
        "threshold": _by_neuron(kind.threshold),
        "at": kind.at,
        "moves": kind.moves,
        "reset": kind.reset,
        "amount": _by_neuron(kind.amount),
        "jump": kind.jump,
        "note": kind.note,
        "unit": kind.unit,
    }


def _by_neuron(values: npt.ArrayLike | None) -> list[float] | None:
    """One number for all neurons, one for each channel, or one for each neuron; integers stay exact."""
    return None if values is None else [x.item() for x in np.asarray(values).ravel()]


def _width(array: npt.NDArray[Any]) -> int:
    """The fewest bytes that hold all values in two's complement."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return next((n for n in (1, 2, 3) if -(1 << 8 * n - 1) <= low and high < 1 << 8 * n - 1), 4)


def _size(array: npt.NDArray[Any] | None) -> int:
    if array is None:
        return 0
    return array.size * (4 if array.dtype.kind == "f" else _width(array))


def _needed_mb(report: Report) -> int:
    """A limit that holds the membranes of all populations and samples."""
    sizes = [int(np.prod(kind.shape)) for kind in report.kinds.values() if kind.role != "input"]
    return -(-sum(sizes) * report.steps * len(report.samples) * 4 // 1_000_000)


def _indices(sample: Sample) -> list[int]:
    return [index for index in (sample.label, sample.prediction) if index is not None]


def _short(values: Iterable[Any]) -> list[float]:
    """Round numbers to six digits, which is enough to draw them."""
    return [int(number) if number == int(number) else float(f"{number:.6g}") for number in values]
