"""What comes into a run, as kernels take it: spikes as bit planes, values as lists of events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.runtime.jit import kernel

__all__ = ["count_events", "examine", "fill_planes", "list_events", "pack_plane"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


@kernel
def count_events(time: Array, sample: Array, counts: Int) -> None:
    """Count events by step and sample."""
    for e in range(time.size):
        counts[time[e], sample[e]] += 1


@kernel
def fill_planes(neuron: Array, start: Int, samples: int, sample: int, first: int, end: int, planes: Array) -> None:
    """Write the bit planes of a sample's steps.

    Events are in order of (step, sample, neuron): those of step t and sample b begin at ``start[t * samples + b]``.
    """
    pixels = planes.shape[1]
    for t in range(first, end):
        plane = planes[t - first]
        plane[:] = 0
        channel = origin = 0
        for e in range(start[t * samples + sample], start[t * samples + sample + 1]):
            pixel = neuron[e] - origin
            if pixel >= pixels:
                skipped = pixel // pixels
                channel += skipped
                origin += skipped * pixels
                pixel -= skipped * pixels
            plane[pixel, channel >> 6] |= np.uint64(1) << np.uint64(channel & 63)


@kernel
def examine(values: Array) -> tuple[bool, bool, float]:
    """Whether any value is neither 0 nor 1, whether all are whole, and the largest magnitude (infinite for NaN)."""
    graded, whole, largest = False, True, 0.0
    for x in values:
        if x != 0.0:
            if x != 1.0:
                graded = True
                whole = whole and x == np.rint(x)
            largest = max(largest, abs(x) if x == x else np.inf)
    return graded, whole, largest


@kernel
def pack_plane(values: Array, plane: Array) -> None:
    """Write ``values (C, P)`` as a bit plane."""
    plane[:] = 0
    for c in range(values.shape[0]):
        for p in range(values.shape[1]):
            if values[c, p] != 0.0:
                plane[p, c >> 6] |= np.uint64(1) << np.uint64(c & 63)


@kernel
def list_events(rows: Array, start: Array, index: Array, value: Array) -> None:
    """List the events of ``rows (steps, C, P)`` by step and pixel (plan/inputs.py)."""
    channels, pixels = rows.shape[1], rows.shape[2]
    count = 0
    for k in range(rows.shape[0]):
        for p in range(pixels):
            start[k * pixels + p] = count
            for c in range(channels):
                if rows[k, c, p] != 0.0:
                    index[count] = p * channels + c
                    value[count] = rows[k, c, p]
                    count += 1
    start[rows.shape[0] * pixels] = count
