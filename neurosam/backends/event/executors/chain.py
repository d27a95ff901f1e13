"""A chain of layers in one sample (kernels/layer.py, and max pooling): how each is cut into pieces, and who does them.

Every thread walks the whole chain and takes pieces of one layer after the other (kernels/work_sharing.py). A layer is
cut into strips of rows; tiles of channels, whose weights only one thread would read, were no faster on vgg11-64.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_X, STRIDE_Y, Conv, Workspace
from neurosam.backends.event.kernels.work_sharing import Stage, pack_stages, run_stages, stage_counters
from neurosam.backends.event.plan.compiled import Prepared
from neurosam.backends.event.plan.populations import Cells
from neurosam.backends.event.plan.projections import Link
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.backends.event.simd.int16 import GROUP, HALF_TILE, TILE
from neurosam.errors import BackendError

if TYPE_CHECKING:
    from neurosam.backends.event.backend import Run
    from neurosam.backends.event.worker import Sample

__all__ = ["BLOCK_BYTES", "BLOCK_SPIKES", "Chain"]

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
HELPER_S = 1e-4
"""Estimated time of a chain that is worth a thread more: waking one takes a few microseconds here, and 20 there."""
LEAST_POOLED = 2**12
"""Words of a max pooling from which on threads share it."""
PIECES = 2
"""Pieces of a layer a thread: more level out the threads' speed, fewer list less twice."""
USUAL_ACTIVITY = 0.05
"""Spikes a source and step, for that estimate."""
CALL_S = 0.05
"""About the longest call: an interrupt waits for its end."""
PAUSE_S = 2e-5
"""A look at the other threads' fate every so often, while a thread waits for them."""

Sizes = tuple[int, ...]


class Chain:
    """Layers and poolings that follow each other, in one sample.

    Parameters
    ----------
    prepared : Prepared
    sample : Sample
        Its memory, in which the chain will always work.
    names : sequence of str
        Populations in order of evaluation.
    """

    def __init__(self, prepared: Prepared, sample: Sample, names: Sequence[str]) -> None:
        links = [prepared.links[name][0] for name in names]
        self.force, self.number = prepared.force, prepared.number
        self.place = prepared.places[names[0]]
        self.work = sample.work[self.place : self.place + len(names)]
        seconds = [_seconds(prepared.cells[link.target], link.conv, prepared.chunk) for link in links]
        threads = min(prepared.threads, max(1, int(sum(seconds) / HELPER_S)))
        self.stages = [
            _stage(prepared, sample, link, time_s, threads) for link, time_s in zip(links, seconds, strict=True)
        ]
        self.threads = min(threads, max(len(stage.pieces) for stage in self.stages))
        self.memory = pack_stages(self.stages)
        self.counters = stage_counters([len(stage.pieces) for stage in self.stages])
        sizes = [_sizes(stage, prepared.chunk) for stage in self.stages if not stage.pooling]
        self.sizes = tuple(max(size) for size in zip((0, 0, 0, 0, 0), *sizes, strict=True))
        calls = [int(total / CALL_S) for total in itertools.accumulate(seconds)]
        self.ends = [k for k in range(1, len(calls)) if calls[k - 1] != calls[k]] + [len(calls)]

    def advance(self, run: Run, sample: Sample, first: int, end: int) -> None:
        """Run the own steps ``first:end``, a chunk, on this thread and its helpers."""
        counters = self.counters.copy()
        run_parallel(lambda thread: self._walk(run, sample, counters, thread, first, end - first), self.threads)

    def _walk(self, run: Run, sample: Sample, counters: Int, thread: int, first: int, steps: int) -> None:
        """Take pieces of all stages; whatever happens, nobody waits for this thread in vain."""
        slot, begin = 0, time.perf_counter()
        try:
            with _room(self.sizes, self.number) as room:
                for end in range(1, len(self.stages) + 1) if run.timed else self.ends:
                    while slot < end:
                        slot = run_stages(
                            self.stages[0], self.memory, counters, slot, end, first, steps, self.force, thread,
                            self.work, room,
                        )  # fmt: skip
                        if run.stopped:
                            return
                        if slot < end:
                            time.sleep(PAUSE_S)
                    if run.timed and thread == 0:
                        done = time.perf_counter()
                        sample.seconds[self.place + end - 1] += done - begin
                        begin = done
        except BaseException:
            run.stopped = True
            raise


def _stage(prepared: Prepared, sample: Sample, link: Link, seconds: float, threads: int) -> Stage:
    """A population of the chain, which takes about so many seconds and is shared by so many threads."""
    p, state = prepared.cells[link.target], sample.states[link.target]
    pooling = prepared.paths[p.name] == "or"
    if pooling:
        conv = _no_weights(link, p, prepared)
        worth_it = prepared.chunk * p.pixels * p.words >= LEAST_POOLED
        pieces = _cuts(p.shape[1], min(p.shape[1], threads) if worth_it else 1)
    elif link.conv is None:
        raise BackendError(f"population {p.name!r}", "has no fast path")
    else:
        conv = link.conv
        pieces = _pieces(conv, seconds, threads, prepared.number.itemsize)
    return Stage(
        pooling, prepared.tails[link.source] - link.lag, prepared.tails[p.name],
        np.array([*link.source_shape[1:], *p.shape[1:]], np.int64), sample.planes[link.source], conv, p.rule, state,
        np.array(pieces, np.int64), np.zeros((len(pieces), state.counts.size), np.int64),
        np.zeros((len(pieces), 4), np.int64),
    )  # fmt: skip


def _no_weights(link: Link, p: Cells, prepared: Prepared) -> Conv:
    """The convolution of a pooling, which needs no weights."""
    weight, table = (np.zeros(0, part if prepared.fixed else prepared.number) for part in (np.int8, np.int16))
    return Conv(link.source_shape, link.arrays[1], np.array(p.shape[1:], np.int64), weight, weight, table, 0, False)


def _cuts(size: int, parts: int) -> list[tuple[int, int]]:
    """``range(size)`` in equal parts."""
    return list(itertools.pairwise(size * i // parts for i in range(parts + 1)))


def _seconds(p: Cells, conv: Conv | None, steps: int) -> float:
    """About how long a layer takes, and a pooling next to nothing; only calls, threads and pieces depend on it."""
    if conv is None:
        return 0.0
    fan_in = int(conv.geometry[KERNEL_HEIGHT] * conv.geometry[KERNEL_WIDTH] * conv.source[0])
    return float(steps * p.pixels * p.channels * (1 / 4e9 + fan_in * USUAL_ACTIVITY / 5e10))


def _pieces(conv: Conv, seconds: float, threads: int, itemsize: int) -> list[tuple[int, int]]:
    """Rows of the pieces of a layer that takes so many seconds; results do not depend on them."""
    height = int(conv.size[0])
    strips = max(1, -(-height * int(conv.size[1]) * TILE * itemsize // STRIP_BYTES))
    if threads > 1 and seconds >= SHARED_WORK_S:
        strips = max(strips, PIECES * threads)
    return _cuts(height, min(height, strips))


def _sizes(stage: Stage, steps: int) -> Sizes:
    """Sides of the room for any piece of a layer."""
    conv, v, rows = stage.conv, stage.state.v, int(np.diff(stage.pieces).max())
    channels, height, width = conv.source.tolist()
    geometry, out_width = conv.geometry.tolist(), int(conv.size[1])
    out_pixels, pitch = rows * out_width, v.shape[1]
    heard_rows = (rows - 1) * geometry[STRIDE_Y] + geometry[KERNEL_HEIGHT]
    source_rows = min(heard_rows, height)
    reach = -(-geometry[KERNEL_HEIGHT] // geometry[STRIDE_Y]) * -(-geometry[KERNEL_WIDTH] // geometry[STRIDE_X])
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


_rooms: dict[np.dtype[Any], deque[Workspace]] = {}
"""A room a thread that a chain has used, by the type of its sums, kept for the next: fresh memory is slow."""


@contextmanager
def _room(sizes: Sizes, number: np.dtype[Any]) -> Iterator[Workspace]:
    """Memory for one thread."""
    rooms = _rooms.setdefault(number, deque())
    try:
        room = rooms.pop()
    except IndexError:
        room = Workspace(*(np.empty(0, part) for part in (np.int32, np.int32, np.uint16, np.int32, number)))
    if any(part.size < size for part, size in zip(room, sizes, strict=True)):
        room = Workspace(*(np.empty(max(part.size, size), part.dtype) for part, size in zip(room, sizes, strict=True)))
    try:
        yield room
    finally:
        rooms.append(room)
