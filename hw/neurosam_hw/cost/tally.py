"""Adds what spikes and updates amount to into arrays ``[S, B, cores]``, one part of a run at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam_hw.cost.firing import Part, Sent
from neurosam_hw.cost.traffic import Traffic, expand

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
    cores = arrays["messages"].shape[2]
    if not caused.outside:
        home = sent.row * cores + caused.core[sent.neuron]
        if spikes:
            _add(arrays["spikes"], part, depth, home)
        for name, each in caused.sender.items():
            if each.any():
                _add(arrays[name], part, depth, home, each[sent.neuron])
    for spike, entry in expand(caused.messages.starts, sent.neuron):
        away = sent.row[spike] * cores + caused.messages.cores[entry]
        _add(arrays["messages"], part, depth, away)
        if caused.outside:
            _add(arrays["injected"], part, depth, away)
    for kind, table in caused.deliveries:
        for spike, entry in expand(table.starts, sent.neuron):
            away = sent.row[spike] * cores + table.cores[entry]
            _add(arrays[kind], part, depth, away, table.deliveries[entry])


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


def _add(array: Array, part: Part, depth: int, key: Array, amount: Array | None = None) -> None:
    """Add 1, or an amount, for each ``row * cores + core``. Sums are exact: NumPy adds below 2^53."""
    found = np.bincount(key, amount, minlength=part.rows * array.shape[2])
    where = _where(array, part, depth)
    where += found.astype(np.int64).reshape(where.shape)


def _where(array: Array, part: Part, depth: int) -> Array:
    """The hardware steps and samples of a part, as a view."""
    return array[part.first + depth : part.stop + depth, part.start : part.end]
