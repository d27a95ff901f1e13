"""Adds what spikes and updates amount to into arrays ``[S, B, cores]``, one part of a run at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam_hw.cost.firing import Part, Sent
from neurosam_hw.cost.traffic import Traffic, expand
from neurosam_hw.mapping.reach import Reach

__all__ = ["add_spikes", "add_updates"]

Array = npt.NDArray[np.int64]


def add_spikes(arrays: Mapping[str, Array], part: Part, depth: int, sent: Sent, caused: Traffic, spikes: bool) -> None:
    """Add what a population sends in a part.

    Parameters
    ----------
    arrays : mapping of str to (S, B, cores) array
        By name; changed in place.
    part : Part
        Own steps of the population, and samples.
    depth : int
        Hardware step of its own step 0.
    sent : Sent
    caused : Traffic
    spikes : bool
        Whether these are spikes of neurons, and not events of an input.
    """
    tally = _Tally(part, depth, sent.row)
    if not caused.outside:
        home = caused.core[sent.neuron]
        if spikes:
            tally.add(arrays["spikes"], home)
        for name, each in caused.sender.items():
            if each.any():
                tally.add(arrays[name], home, each[sent.neuron])
    reached = ["messages", "injected"] if caused.outside else ["messages"]
    tally.add_reach([arrays[name] for name in reached], caused.messages, sent.neuron)
    for kind, table in caused.deliveries:
        tally.add_reach([arrays[kind]], table, sent.neuron, deliveries=True)


class _Tally:
    """Adds numbers for the spikes of a part, whose rows rise."""

    def __init__(self, part: Part, depth: int, row: Array) -> None:
        self.part, self.depth, self.row = part, depth, row

    def add(self, array: Array, core: npt.NDArray[np.int32], amount: Array | None = None) -> None:
        """Add 1, or an amount, on one core for each spike."""
        cores = array.shape[2]
        found = np.bincount(self.row * cores + core, amount, minlength=self.part.rows * cores)
        self._put(array, found.astype(np.int64))  # sums of less than 2^53 are exact

    def add_reach(self, arrays: list[Array], table: Reach, neuron: Array, *, deliveries: bool = False) -> None:
        """Add 1, or the deliveries, on each core that a spike reaches, to each of the arrays."""
        cores = arrays[0].shape[2]
        found = np.zeros(self.part.rows * cores, dtype=np.int64)
        for spike, entry in expand(table.starts, neuron):
            key = self.row[spike] * cores + table.cores[entry]
            first = int(self.row[spike[0]]) * cores if spike.size else 0
            some = np.bincount(key - first, table.deliveries[entry] if deliveries else None)
            found[first : first + some.size] += some.astype(np.int64)
        for array in arrays:
            self._put(array, found)

    def _put(self, array: Array, found: Array) -> None:
        where = _where(array, self.part, self.depth)
        where += found.reshape(where.shape)


def add_updates(
    active: Array, part: Part, depth: int, awake: npt.NDArray[np.bool_], core: npt.NDArray[np.int32]
) -> None:
    """Add the active updates of a population in a part.

    Parameters
    ----------
    active : (S, B, cores) array
        Changed in place.
    part, depth
        As in :func:`add_spikes`.
    awake : (rows, neurons) array
    core : (neurons,) array
    """
    order = np.argsort(core, kind="stable")
    present, first = np.unique(core[order], return_index=True)
    found = np.add.reduceat(awake[:, order], first, axis=1, dtype=np.int64)
    _where(active, part, depth)[:, :, present] += found.reshape(part.stop - part.first, -1, present.size)


def _where(array: Array, part: Part, depth: int) -> Array:
    """The hardware steps and samples of a part, as a view."""
    return array[part.first + depth : part.stop + depth, part.start : part.end]
