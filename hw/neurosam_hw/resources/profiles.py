"""Profiles: the parameters that neurons of a core share, and of which a core holds only so many different ones.

A decay profile is the pair of decays, of membrane and current, with the refractory period; a threshold profile is the
threshold. Readouts have no threshold, which counts as one.

Source: nengo-loihi, hardware/allocators.py, core_compartment_cfgs and core_vth_cfgs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import as_chw
from neurosam_hw.mapping.piece import Piece

__all__ = ["Profiles"]

NONE = -2.0
"""In place of a parameter that a neuron does not have; decays are at least -1."""


class Profiles:
    """Decay and threshold profiles of a population's neurons.

    Parameters
    ----------
    population : Population
    """

    def __init__(self, population: Population) -> None:
        decays, thresholds = _parameters(population.neuron)
        shape = as_chw(population.shape)
        self.decay, self._decays = _numbered(decays, shape)
        self.threshold, self._thresholds = _numbered(thresholds, shape)

    def of(self, piece: Piece) -> tuple[set[tuple[float, ...]], set[tuple[float, ...]]]:
        """Decay profiles and threshold profiles of a piece."""
        return (
            {self._decays[n] for n in _taken(self.decay, piece)},
            {self._thresholds[n] for n in _taken(self.threshold, piece)},
        )


def _parameters(neuron: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(neuron, FixedLIF):
        return [neuron.membrane_decay, neuron.current_decay, neuron.refractory], [neuron.threshold]
    if isinstance(neuron, FixedReadout):
        return [neuron.membrane_decay, neuron.current_decay, 0], [None]
    if isinstance(neuron, LIF):
        return [neuron.leak, neuron.current_leak, neuron.refractory], [neuron.threshold]
    if isinstance(neuron, Readout):
        return [neuron.leak, neuron.current_leak, 0], [None]
    return [None], [None]  # an input has neither


def _numbered(
    parameters: Iterable[Any], shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.int64], list[tuple[float, ...]]]:
    """Number of the profile of each neuron ``(C, H, W)``, and the profiles."""
    arrays = [np.asarray(NONE if value is None else value, np.float64) for value in parameters]
    spread = [array[:, None, None] if array.ndim == 1 else array for array in arrays]
    stacked = np.stack(np.broadcast_arrays(*spread), axis=-1)
    found, numbers = np.unique(stacked.reshape(-1, len(arrays)), axis=0, return_inverse=True)
    grid: npt.NDArray[np.int64] = np.broadcast_to(numbers.reshape(stacked.shape[:-1]), shape)
    return grid, [tuple(row) for row in found.tolist()]


def _taken(grid: npt.NDArray[np.int64], piece: Piece) -> Iterable[int]:
    if piece.box is None:
        some = grid.reshape(-1)[piece.listed] if any(grid.strides) else grid[:1, 0, 0]
    else:
        some = grid[tuple(slice(first, stop) for first, stop in piece.box)]
        some = some if any(grid.strides) else some[:1, 0, 0]
    found: list[int] = np.unique(some).tolist()
    return found
