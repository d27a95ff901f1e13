"""Let small pieces share a core.

A piece that takes at most half of everything goes onto the first shared core on which there is room, in the order of
the pieces; a new one is opened if there is none. The room is counted anew for the pieces together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.cores import Demand
from neurosam_hw.resources.use import Use, allowed, excesses

__all__ = ["share"]

OPEN = 8
"""Shared cores that a piece is tried on: those opened last."""


def share(demand: Demand, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same pieces on fewer cores, numbered without gaps in the order of their first pieces.

    Parameters
    ----------
    demand : Demand
    pieces : sequence of Piece
        Each on a core of its own.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> net = ns.Network(
    ...     [ns.Population("in", (9,)), ns.Population("out", (9,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((9, 9), np.int8)))],
    ... )
    >>> halves = [Piece("out", n, neurons=np.arange(n, 9, 2)) for n in range(2)]
    >>> [piece.core for piece in share(Demand(net, load_chip("loihi1")), halves)]
    [0, 0]
    """
    groups: list[list[Piece]] = []
    shared: list[list[Piece]] = []
    for piece in pieces:
        small = _is_small(demand.of((piece,)), demand)
        home = next((g for g in shared[-OPEN:] if _fit(demand, [*g, piece])), None) if small else None
        if home is not None:
            home.append(piece)
            continue
        groups.append([piece])
        if small:
            shared.append(groups[-1])
    return tuple(replace(piece, core=core) for core, group in enumerate(groups) for piece in group)


def _fit(demand: Demand, pieces: Sequence[Piece]) -> bool:
    return not excesses(demand.of(pieces), demand.chip)


def _is_small(use: Use, demand: Demand) -> bool:
    """Whether it takes at most half of each thing that adds up."""
    for what in ("neurons", "synapses", "synapse_bits", "memory_bits", "axons_in"):
        limit = allowed(demand.chip, what)
        if limit is not None and 2 * getattr(use, what) > limit:
            return False
    return True
