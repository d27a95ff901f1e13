"""Layers whose pieces are shared by threads that walk the same chain of calls, without a word of Python between them.

A board has two counters a layer, a cache line each: the next piece to be taken, and minus the pieces that are not done
yet. A piece belongs to the thread that claims it. A layer may begin when the one before is done; a thread that comes
too early waits for a while with open eyes, which costs less than to be woken, and then lets Python have a look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_compile import inlined, kernel
from neurosam.backends.event_layer import layer
from neurosam.backends.event_list import Conv, Room
from neurosam.backends.event_machine import claim, observe
from neurosam.backends.event_recurrent import LINE
from neurosam.backends.event_state import Rule, State
from neurosam.backends.event_synapse import pool_or

__all__ = ["NOT_YET", "board", "share_layer", "share_or"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

NOT_YET = -1
"""Returned by a kernel that has waited for long."""
LOOKS = 2**16
"""Looks at the layer before until a thread gives up: some tens of microseconds."""
TAKEN, LEFT, SLOT = 0, LINE, 2 * LINE
"""Places of a layer's counters, and the distance of two layers."""


def board(pieces: list[int]) -> Int:
    """The counters of layers of so many pieces."""
    out = np.zeros((len(pieces) + 1) * SLOT, np.int64)
    out[LEFT : len(pieces) * SLOT : SLOT] = [-n for n in pieces]
    return out


@kernel
def _ready(counters: Int, slot: int) -> bool:
    """Whether the layer before is done, after waiting for a while."""
    if slot == 0:
        return True
    looks = 0
    while observe(counters, (slot - 1) * SLOT + LEFT) != 0 and looks < LOOKS:
        looks += 1
    return looks < LOOKS


@inlined
def _take(counters: Int, slot: int, pieces: int) -> int:
    """The next piece that is nobody's, or `pieces` if there is none."""
    piece: int = observe(counters, slot * SLOT + TAKEN)
    while piece < pieces and not claim(counters, slot * SLOT + TAKEN, piece):
        piece = observe(counters, slot * SLOT + TAKEN)
    return piece


@inlined
def _finish(counters: Int, slot: int) -> None:
    """Count a piece as done."""
    while not claim(counters, slot * SLOT + LEFT, observe(counters, slot * SLOT + LEFT)):
        pass


@kernel
def share_layer(
    counters: Int, slot: int, pieces: Int, planes: Array, at: int, conv: Conv, steps: int, first: int, base: int,
    force: int, rule: Rule, state: State, counts: Int, work: Int, room: Room,
) -> int:  # fmt: skip
    """Do pieces of a layer (event_layer.layer) until none is left.

    Parameters
    ----------
    counters : int64 array
        A :func:`board`.
    slot : int
        The layer's place in the chain.
    pieces : (n, 2) array
        Rows ``top:bottom`` of each piece.
    planes, at, conv, steps, first, base, force, rule, state
        As :func:`~neurosam.backends.event_layer.layer` takes them.
    counts : (n, K) array
        Spikes by piece, as `state.counts`; added to.
    work : (n, 4) array
        Blocks scattered, gathered and looked up, and operations, by piece; added to.
    room : Room
        This thread's.

    Returns
    -------
    int
        The pieces that this thread has done, or NOT_YET.
    """
    if not _ready(counters, slot):
        return NOT_YET
    done = 0
    piece = _take(counters, slot, pieces.shape[0])
    while piece < pieces.shape[0]:
        top, bottom = pieces[piece, 0], pieces[piece, 1]
        own = State(
            state.u, state.v, state.trace, state.last, state.spikes, state.planes, counts[piece], state.sam,
            state.membranes, state.currents,
        )  # fmt: skip
        work[piece, 3] += layer(planes, at, conv, steps, first, base, top, bottom, force, rule, own, room, work[piece])
        _finish(counters, slot)
        done += 1
        piece = _take(counters, slot, pieces.shape[0])
    return done


@kernel
def share_or(
    counters: Int, slot: int, pieces: Int, source: Array, at: int, steps: int, shape: Int, geometry: Int, first: int,
    base: int, counts: Int, planes: Array, work: Int,
) -> int:  # fmt: skip
    """Do pieces of a max pooling (event_synapse.pool_or), as :func:`share_layer` does."""
    if not _ready(counters, slot):
        return NOT_YET
    done = 0
    piece = _take(counters, slot, pieces.shape[0])
    while piece < pieces.shape[0]:
        top, bottom = pieces[piece, 0], pieces[piece, 1]
        work[piece, 3] += pool_or(source, at, steps, shape, geometry, first, base, top, bottom, counts[piece], planes)
        _finish(counters, slot)
        done += 1
        piece = _take(counters, slot, pieces.shape[0])
    return done
