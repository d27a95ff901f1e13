"""Inputs on cores of their own: SANA-FE has none outside the chip."""

from __future__ import annotations

import numpy as np

from neurosam.errors import ExportError
from neurosam.network.synapse import neurons
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.sanafe.architecture import number

__all__ = ["place_inputs"]


def place_inputs(mapping: CoreMapping) -> CoreMapping:
    """The same mapping with the inputs that come from outside on cores that are free, as many a core as it holds.

    Their packets then cost what those of neurons cost, and their tiles count for the barrier.

    Raises
    ------
    ExportError
        If the chip has too few cores, or does not say how many neurons a core holds.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> from neurosam_hw.sanafe import place_inputs
    >>> net = ns.Network(
    ...     [ns.Population("in", (1500,)), ns.Population("out", (1,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((1, 1500), np.int8)))],
    ... )
    >>> mapping = CoreMapping(net, load_chip("sanafe-loihi"), (Piece("out", 0, neurons=np.array([0])),))
    >>> placed = place_inputs(mapping)
    >>> placed.cores, [piece.size for piece in placed.pieces_of("in")]
    (3, [1024, 476])
    """
    room = int(number(mapping.chip, "limits.neurons_per_core"))
    pieces, core = list(mapping.pieces), mapping.cores
    for population in mapping.network.inputs:
        size = 0 if mapping.pieces_of(population.name) else neurons(population.shape)
        for first in range(0, size, room):
            pieces.append(Piece(population.name, core, neurons=np.arange(first, min(first + room, size))))
            core += 1
    limit = mapping.cores_per_chip or core
    taken = mapping.positions[mapping.positions[:, 0] == 0, 1]
    free = np.setdiff1d(np.arange(limit), taken)[: core - mapping.cores]
    if free.size < core - mapping.cores:
        raise ExportError(
            "mapping: inputs",
            f"need {core - mapping.cores} cores of their own on the first chip, which has {free.size} left; use fewer "
            "cores for the network",
        )
    places = np.stack([np.zeros_like(free), free], axis=1)
    return CoreMapping(mapping.network, mapping.chip, tuple(pieces), np.concatenate([mapping.positions, places]))
