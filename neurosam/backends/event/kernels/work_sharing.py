"""A chain of layers and poolings in one call, whose pieces are shared by all threads that make the same call.

Two counters per stage, each in a cache line of its own, hold the next piece to be taken, and minus the number of pieces
that are not done yet. A piece belongs to the thread that claims it. Every thread goes on when all pieces of a stage are
done; it spins for a while, which costs less than being woken, and then returns to Python. So a thread that starts late,
or never, finds its pieces done.

The arrays of two stages differ in size, not in type. Passing them from Python for each stage would take five
microseconds, so all stages are stored in memory in the form that the kernel uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.core.errors import TypingError

from neurosam.backends.event.kernels.layer import layer
from neurosam.backends.event.kernels.layout import COUNTER_PITCH, OPERATIONS, Conv, Rule, State, Workspace
from neurosam.backends.event.kernels.synapses import pool_or
from neurosam.backends.event.runtime.jit import inlined, inlined_source, kernel
from neurosam.backends.event.simd.atomics import claim, observe, read_struct, struct_size, write_struct
from neurosam.backends.event.simd.vectors import aligned
from neurosam.errors import BackendError

__all__ = ["Stage", "pack_stages", "run_stages", "stage_counters"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

MAX_SPINS = 2**20
"""How often a thread checks whether a stage is done before it gives up: for some hundreds of microseconds, several
times as long as being woken takes."""
TAKEN, LEFT, SLOT = 0, COUNTER_PITCH, 2 * COUNTER_PITCH
"""Offsets of a stage's two counters, and the distance between two stages."""


class Stage(NamedTuple):
    """A layer, or a max pooling, in one sample's memory.

    Parameters
    ----------
    pooling : bool
    ahead : int
        Plane of the source that arrives in the first step of a chunk.
    tail : int
        Steps of the state before the chunk.
    sides : (H, W, H', W')
    planes : (kept, H * W, words) array
        Of the source.
    conv, rule, state
        As :func:`~neurosam.backends.event.kernels.layer.layer` takes them; a pooling's `conv` has no weights.
    pieces : (n, 2) array
        Rows ``top:bottom`` of each piece.
    counts : (n, K) array
        Spikes by piece, as `state.counts`; 0 between two calls.
    work : (n, 4) array
        See :class:`Work`, by piece; 0 between two calls.
    """

    pooling: bool
    ahead: int
    tail: int
    sides: Int
    planes: Array
    conv: Conv
    rule: Rule
    state: State
    pieces: Int
    counts: Int
    work: Int


def pack_stages(stages: Sequence[Stage]) -> Array:
    """Stages in the form that :func:`run_stages` takes, ``(n, bytes)``; their arrays must stay alive and in place."""
    out = aligned((len(stages), _size(stages[0])), np.uint8)
    try:
        for k, stage in enumerate(stages):
            _stash(stages[0], stage, out, k)
    except TypingError as error:
        raise BackendError("event back end: chain", "got stages whose arrays differ in type") from error
    return out


@kernel
def _size(stage: Stage) -> int:
    return int(struct_size(stage))


@kernel
def _stash(like: Stage, stage: Stage, stages: Array, k: int) -> None:
    write_struct(like, stage, stages, k * stages.shape[1])


def stage_counters(pieces: list[int]) -> Int:
    """The counters of stages with these numbers of pieces."""
    out = aligned((len(pieces) * SLOT,), np.int64)
    out[LEFT::SLOT] = [-n for n in pieces]
    return out


@inlined
def _take(counters: Int, slot: int, pieces: int) -> int:
    """Claim the next free piece; `pieces` if there is none."""
    piece: int = observe(counters, slot * SLOT + TAKEN)
    while piece < pieces and not claim(counters, slot * SLOT + TAKEN, piece):
        piece = observe(counters, slot * SLOT + TAKEN)
    return piece


@inlined
def _finish(counters: Int, slot: int) -> None:
    """Count a piece as done."""
    while not claim(counters, slot * SLOT + LEFT, observe(counters, slot * SLOT + LEFT)):
        pass


@inlined_source
def _run_piece(stage: Stage, piece: int, first: int, steps: int, force: int, workspace: Workspace) -> None:
    """Run a piece."""
    top, bottom, base = stage.pieces[piece, 0], stage.pieces[piece, 1], first - stage.tail
    counts, work, state = stage.counts[piece], stage.work[piece], stage.state
    if stage.pooling:
        work[OPERATIONS] += pool_or(
            stage.planes, stage.ahead, steps, stage.sides, stage.conv.geometry, first, base, top, bottom, counts,
            state.planes,
        )  # fmt: skip
        return
    piece_state = State(
        state.u, state.v, state.trace, state.last, state.spikes, state.planes, counts, state.sam, state.membranes,
        state.currents,
    )  # fmt: skip
    work[OPERATIONS] += layer(
        stage.planes,
        stage.ahead,
        stage.conv,
        steps,
        first,
        base,
        top,
        bottom,
        force,
        stage.rule,
        piece_state,
        workspace,
        work,
    )


@kernel
def _collect(stage: Stage, work: Int) -> None:
    """Add up the counts of a stage's pieces."""
    for piece in range(stage.pieces.shape[0]):
        for k in range(stage.counts.shape[1]):
            stage.state.counts[k] += stage.counts[piece, k]
            stage.counts[piece, k] = 0
        for k in range(work.size):
            work[k] += stage.work[piece, k]
            stage.work[piece, k] = 0


@kernel
def run_stages(
    like: Stage, stages: Array, counters: Int, slot: int, end: int, first: int, steps: int, force: int, thread: int,
    work: Int, workspace: Workspace,
) -> int:  # fmt: skip
    """Run pieces of the stages ``slot:end``, one stage after the other.

    Parameters
    ----------
    like : Stage
        Any one of them.
    stages : (n, bytes) uint8 array
        All, :func:`pack_stages`.
    counters : int64 array
        A :func:`stage_counters`.
    slot, end : int
    first, steps : int
        Own steps: a chunk, or its first steps.
    force : int
        As :func:`~neurosam.backends.event.kernels.layer.layer` takes it.
    thread : int
        Thread 0 takes part in all stages, others only in those of several pieces.
    work : (n, 4) array
        For thread 0: see :class:`Work`, by stage; added to.
    workspace : Workspace
        This thread's.

    Returns
    -------
    int
        `end`, or a stage that is still not done after MAX_SPINS checks.
    """
    while slot < end:
        stage = read_struct(like, stages, slot * stages.shape[1])
        pieces = stage.pieces.shape[0]
        if thread == 0 or pieces > 1:
            piece = _take(counters, slot, pieces)
            while piece < pieces:
                _run_piece(stage, piece, first, steps, force, workspace)
                _finish(counters, slot)
                piece = _take(counters, slot, pieces)
        spins = 0
        while observe(counters, slot * SLOT + LEFT) != 0:
            spins += 1
            if spins == MAX_SPINS:
                return slot
        if thread == 0:
            _collect(stage, work[slot])
        slot += 1
    return slot
