"""Integers that left their range in a run: membranes that saturated, and sums that wrapped around.

Both are counted by back ends in neuron-steps, per population and sample (``Recording.saturated``, ``.wrapped``). A
sound network has none: its results are those of unlimited integers with the same rounding. Where there are some, the
run is still the same bits on every back end, and on the chip; but what it computed is no longer what was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.signals.recording import Recording

__all__ = ["REMEDY", "Overflow", "overflow_warning", "overflows"]

REMEDY = "Quantise with a coarser unit (neurosam export --longest-run T gives room for T steps), or run fewer steps"
"""What to do about it."""


class Overflow(NamedTuple):
    """What left its range in one population.

    Attributes
    ----------
    saturated, wrapped : int
        Neuron-steps in which a membrane was clipped to 24 bits, and in which a sum wrapped around, over all samples.
    samples : int
        Samples with at least one of them.
    """

    saturated: int
    wrapped: int
    samples: int


def overflows(recording: Recording) -> dict[str, Overflow]:
    """What left its range, by population; only populations with any.

    Parameters
    ----------
    recording : Recording
        Of a fixed-point network; a float network has none.

    Examples
    --------
    A readout that keeps everything, to which 127 * 2^7 is added in every step (the largest sum that 8 bits give):

    >>> from neurosam import metrics
    >>> net = ns.Network(
    ...     populations=[ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())],
    ...     projections=[ns.Projection("in", "out", ns.Dense(np.array([[127]])), exponent=7)],
    ... )
    >>> recording = ns.run(net, ns.Events.from_dense(np.ones((10, 1, 1))), "reference")
    >>> metrics.overflows(recording)
    {'out': Overflow(saturated=2, wrapped=0, samples=1)}
    """
    found = {}
    for name in recording.saturated:
        saturated = recording.saturated[name]
        wrapped = recording.wrapped.get(name, np.zeros_like(saturated))
        affected = int(np.count_nonzero(saturated + wrapped))
        if affected:
            found[name] = Overflow(int(saturated.sum()), int(wrapped.sum()), affected)
    return found


def overflow_warning(recording: Recording) -> str:
    """What left its range, and what to do about it, in one line; "" if nothing did."""
    found = overflows(recording)
    if not found:
        return ""
    clauses = []
    for what, counts in (
        ("membranes saturated", {name: row.saturated for name, row in found.items()}),
        ("sums wrapped around", {name: row.wrapped for name, row in found.items()}),
    ):
        named = ", ".join(f"{name!r} {count:,}" for name, count in counts.items() if count)
        if named:
            clauses.append(f"{what} ({named} neuron-steps)")
    samples = _affected(recording.saturated, recording.wrapped)
    return f"{' and '.join(clauses)}, in {samples} of {recording.samples} samples, whose answers may be wrong. {REMEDY}"


def _affected(*counts: Mapping[str, npt.NDArray[np.int64]]) -> int:
    """Samples in which any population has a count above 0."""
    arrays = [array for by_name in counts for array in by_name.values()]
    return int(np.count_nonzero(np.sum(arrays, axis=0)))
