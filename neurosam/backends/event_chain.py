"""A chain of layers in one sample (event_layer.py, and max pooling): how each is cut into pieces, and who does them.

Every thread walks the whole chain and takes pieces of one layer after the other (event_share.py). A layer is cut into
strips of rows; tiles of channels, whose weights only one thread would read, were no faster on vgg11-64.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_cells import Cells
from neurosam.backends.event_list import Conv, Room
from neurosam.backends.event_share import NOT_YET, board, share_layer, share_or
from neurosam.backends.event_short import GROUP, HALF_TILE, TILE
from neurosam.errors import BackendError

if TYPE_CHECKING:
    from neurosam.backends.event_sample import Sample

__all__ = ["run_chain"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

BLOCK_BYTES = 2**19
"""Sums that a block of steps may hold; a single step is never cut."""
BLOCK_SPIKES = 2**15
"""Spikes that a block of steps may list beside those of its last step."""
BLOCK_STEPS = 64
"""Steps of a block at most."""
STRIP_BYTES = 2**18
"""Membranes of a strip of rows, in one tile of channels."""
SHARED_WORK_S = 2e-5
"""Estimated time from which on a layer is cut for threads."""
SHARED_LAYERS = 25
"""Layers of that size from which on a chain is worth waking a thread for."""
LEAST_POOLED = 2**12
"""Words of a max pooling from which on threads share it."""
PIECES = 2
"""Pieces of a layer a thread: more level out the threads' speed, fewer list less twice."""
USUAL_ACTIVITY = 0.05
"""Spikes a source and step, for that estimate."""
PAUSE_S = 2e-5
"""A look at the other threads' fate every so often, while a thread waits for them."""

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """One layer of a chain: its pieces, the kernel that takes them, what they count, and about how long they take."""

    name: str
    label: str
    pieces: Int
    counts: Int
    work: Int
    sizes: Sizes
    seconds: float
    share: Callable[[Int, int, Room], int]


def run_chain(sample: Sample, names: Sequence[str], first: int, end: int) -> None:
    """Run populations over the own steps ``first:end``, within one chunk, on this thread and its helpers."""
    run = sample.shared
    begin = time.perf_counter()
    works = [_layer(sample, name, first, end) if run.paths[name] == "layer" else _or(sample, name, first, end)
             for name in names]  # fmt: skip
    counters = board([len(work.pieces) for work in works])
    sizes = tuple(max(size) for size in zip(*(work.sizes for work in works), strict=True))
    worth_it = sum(work.seconds for work in works) >= SHARED_LAYERS * SHARED_WORK_S
    threads = min(run.threads, max(len(work.pieces) for work in works)) if worth_it else 1
    ends = np.zeros((threads, len(works)))

    def walk(thread: int) -> None:
        try:
            with _room(sizes, run.number) as room:
                for slot, work in enumerate(works):
                    if thread and len(work.pieces) == 1:
                        continue
                    while (done := work.share(counters, slot, room)) == NOT_YET:
                        if run.stopped:
                            return
                        time.sleep(PAUSE_S)
                    if run.stopped:
                        return
                    if done:
                        ends[thread, slot] = time.perf_counter()
        except BaseException:
            run.stopped = True  # nobody waits for this thread in vain
            raise

    helping = [] if run.helpers is None else [run.helpers.submit(walk, thread) for thread in range(1, threads)]
    try:
        walk(0)
    finally:
        begun = [helper for helper in helping if not helper.cancel()]  # on a busy machine a helper may come late
        wait(begun)
    for helper in begun:
        helper.result()
    for work, finished in zip(works, ends.max(axis=0).tolist(), strict=True):
        sample.states[work.name].counts[:] += work.counts.sum(axis=0)
        total = work.work.sum(axis=0)
        sample.operations[work.label] += int(total[3])
        sample.blocks[work.name] += total[:3]
        sample.seconds[work.name] += max(finished - begin, 0.0)
        begin = max(begin, finished)


def _layer(sample: Sample, name: str, first: int, end: int) -> Work:
    run, p, state = sample.shared, sample.shared.cells[name], sample.states[name]
    source = run.links[name][0]
    conv = source.conv
    if conv is None:
        raise BackendError(f"population {name!r}", "has no fast path")
    seconds = _seconds(p, conv, end - first)
    pieces = _pieces(conv, seconds, run.threads, run.number.itemsize)
    rows = max(bottom - top for top, bottom in pieces)
    planes, at, base = sample.planes[source.source], sample.at(source, first), sample.own_base(name)
    counts, work = np.zeros((len(pieces), state.counts.size), np.int64), np.zeros((len(pieces), 4), np.int64)
    cut, force = np.array(pieces, np.int64), run.force
    rule, steps = p.rule, end - first

    def share(counters: Int, slot: int, room: Room) -> int:
        return int(share_layer(
            counters, slot, cut, planes, at, conv, steps, first, base, force, rule, state, counts, work, room
        ))  # fmt: skip

    return Work(name, source.label, cut, counts, work, _sizes(conv, rows, steps, state.v), seconds, share)


def _or(sample: Sample, name: str, first: int, end: int) -> Work:
    run, p, state = sample.shared, sample.shared.cells[name], sample.states[name]
    source = run.links[name][0]
    shape, geometry = np.array([*source.source_shape[1:], *p.shape[1:]], dtype=np.int64), source.arrays[1]
    planes, at, base = sample.planes[source.source], sample.at(source, first), sample.own_base(name)
    strips = min(p.shape[1], run.threads) if (end - first) * p.pixels * p.words >= LEAST_POOLED else 1
    cut = np.array(_cuts(p.shape[1], strips), np.int64)
    counts, work = np.zeros((len(cut), state.counts.size), np.int64), np.zeros((len(cut), 4), np.int64)
    steps = end - first

    def share(counters: Int, slot: int, room: Room) -> int:
        return int(share_or(
            counters, slot, cut, planes, at, steps, shape, geometry, first, base, counts, state.planes, work
        ))  # fmt: skip

    return Work(name, source.label, cut, counts, work, (0, 0, 0, 0, 0), 0.0, share)


def _cuts(size: int, parts: int) -> list[tuple[int, int]]:
    """``range(size)`` in equal parts."""
    return list(itertools.pairwise(size * i // parts for i in range(parts + 1)))


def _seconds(p: Cells, conv: Conv, steps: int) -> float:
    """About how long a layer takes; only the number of threads and pieces depends on it."""
    fan_in = int(conv.geometry[0] * conv.geometry[1] * conv.source[0])
    return float(steps * p.pixels * p.channels * (1 / 4e9 + fan_in * USUAL_ACTIVITY / 5e10))


def _pieces(conv: Conv, seconds: float, threads: int, itemsize: int) -> list[tuple[int, int]]:
    """Rows of the pieces of a layer that takes so many seconds; results do not depend on them."""
    height = int(conv.size[0])
    strips = max(1, -(-height * int(conv.size[1]) * TILE * itemsize // STRIP_BYTES))
    if threads > 1 and seconds >= SHARED_WORK_S:
        strips = max(strips, PIECES * threads)
    return _cuts(height, min(height, strips))


def _sizes(conv: Conv, rows: int, steps: int, v: Array) -> Sizes:
    """Sides of the room for strips of so many rows of a layer with membranes `v`."""
    channels, height, width = conv.source.tolist()
    geometry, out_width = conv.geometry.tolist(), int(conv.size[1])
    out_pixels, pitch = rows * out_width, v.shape[1]
    heard_rows = (rows - 1) * geometry[2] + geometry[0]
    source_rows = min(heard_rows, height)
    reach = -(-geometry[0] // geometry[2]) * -(-geometry[1] // geometry[3])
    together = min(steps, BLOCK_STEPS)
    worst = source_rows * width * channels + TILE
    listed = worst + min(BLOCK_SPIKES, (together - 1) * worst)
    most = max(1, min(steps, BLOCK_BYTES // (v.itemsize * out_pixels * pitch)))
    return (
        max(together * source_rows * width, out_pixels) + 1, listed,
        max(listed * reach + GROUP * together * out_pixels, together * heard_rows * out_width + HALF_TILE),
        together * out_pixels + 1,
        most * out_pixels * pitch,
    )  # fmt: skip


_rooms: dict[np.dtype[Any], deque[Room]] = {}
"""A room a thread that a chain has used, by the type of its sums, kept for the next: fresh memory is slow."""


@contextmanager
def _room(sizes: Sizes, number: np.dtype[Any]) -> Iterator[Room]:
    """Memory for one thread."""
    rooms = _rooms.setdefault(number, deque())
    try:
        room = rooms.pop()
    except IndexError:
        room = Room(*(np.empty(0, part) for part in (np.int32, np.int32, np.uint16, np.int32, number)))
    if any(part.size < size for part, size in zip(room, sizes, strict=True)):
        room = Room(*(np.empty(max(part.size, size), part.dtype) for part, size in zip(room, sizes, strict=True)))
    try:
        yield room
    finally:
        rooms.append(room)
