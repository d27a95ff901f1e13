"""Let small pieces share a core.

A piece that takes at most half of everything goes onto the first shared core on which there is room, in the order of
the pieces; a new one is opened if there is none. The room is counted anew for the pieces together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.cores import Demand
from neurosam_hw.resources.use import Use

__all__ = ["share"]

OPEN = 8
"""Shared cores that a piece is tried on: those opened last."""


def share(
    demand: Demand, pieces: Sequence[Piece], axons_out: Sequence[int], alone: Collection[str] = ()
) -> tuple[Piece, ...]:
    """The same pieces on fewer cores, numbered without gaps in the order of their first pieces.

    Parameters
    ----------
    demand : Demand
    pieces : sequence of Piece
        Each on a core of its own.
    axons_out : sequence of int
        Slots of output axons that each needs.
    alone : collection of str
        Populations that share no core.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> net = ns.Network(
    ...     [ns.Population("in", (9,)), ns.Population("out", (9,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((9, 9), np.int8)))],
    ... )
    >>> halves = [Piece("out", n, neurons=np.arange(n, 9, 2)) for n in range(2)]
    >>> [piece.core for piece in share(Demand(net, load_chip("loihi1")), halves, [0, 0])]
    [0, 0]
    """
    groups: list[_Core] = []
    shared: list[_Core] = []
    for piece, slots in zip(pieces, axons_out, strict=True):
        small = piece.population not in alone and _is_small(replace(demand.of((piece,)), axons_out=slots), demand)
        home = next((core for core in shared[-OPEN:] if core.fits(demand, piece, slots)), None) if small else None
        if home is not None:
            home.pieces.append(piece)
            home.axons_out += slots
            continue
        groups.append(_Core([piece], slots))
        if small:
            shared.append(groups[-1])
    return tuple(replace(piece, core=core) for core, group in enumerate(groups) for piece in group.pieces)


@dataclass
class _Core:
    pieces: list[Piece]
    axons_out: int

    def fits(self, demand: Demand, piece: Piece, slots: int) -> bool:
        """Whether there is room for a piece more."""
        together = replace(demand.of((*self.pieces, piece)), axons_out=self.axons_out + slots)
        return not demand.limits.exceeded(together)


def _is_small(use: Use, demand: Demand) -> bool:
    """Whether it takes at most half of each thing that adds up."""
    for what in ("neurons", "synapses", "synapse_bits", "memory_bits", "axons_in", "axons_out"):
        limit = demand.limits.get(what)
        if limit is not None and 2 * getattr(use, what) > limit:
            return False
    return True
