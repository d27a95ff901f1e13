"""A chain of layers and max poolings (kernels/layer.py): how each is divided into pieces, and which thread takes them.

Every thread goes through the whole chain and takes pieces of one layer after another (kernels/work_sharing.py). A piece
is a strip of rows; dividing by tiles of channels, so that only one thread reads a weight, was no faster on vgg11-64.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.context import RunContext
from neurosam.backends.event.executors.base import Executor
from neurosam.backends.event.kernels.layout import Conv, Geometry, Work, Workspace
from neurosam.backends.event.kernels.work_sharing import Stage, pack_stages, run_stages, stage_counters
from neurosam.backends.event.memory import SampleMemory
from neurosam.backends.event.plan import blocks
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.populations import CompiledPopulation
from neurosam.backends.event.plan.projections import CompiledProjection
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.backends.event.simd.int16 import GROUP, HALF_TILE, TILE
from neurosam.errors import BackendError

__all__ = ["ChainExecutor"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

SHARED_WORK_S = 2e-5
"""Estimated time from which on a layer is divided for threads."""
HELPER_S = 1e-4
"""Estimated time of a chain for which one more thread is woken; that takes from a few to 20 microseconds."""
LEAST_POOLED = 2**12
"""Words of a max pooling from which on threads share it."""
PIECES = 2
"""Pieces of a layer per thread: more pieces balance threads of different speed, fewer list fewer spikes twice."""
USUAL_ACTIVITY = 0.05
"""Spikes per source and step, for these estimates."""
CALL_S = 0.05
"""About the longest call of the kernel: an interrupt waits for its end."""
PAUSE_S = 2e-5
"""A thread that waits for others checks this often whether the run was stopped."""

Sizes = tuple[int, ...]


class ChainExecutor(Executor):
    """Layers and poolings that follow each other."""

    def __init__(self, plan: Plan, memory: SampleMemory, names: Sequence[str]) -> None:
        super().__init__(plan, memory, names)
        self.index = plan.index_of[names[0]]
        self.work = memory.work[self.index : self.index + len(names)]
        seconds = [_seconds(plan.populations[p.target], p.conv, plan.chunk) for p in self.projections]
        threads = min(plan.threads, max(1, int(sum(seconds) / HELPER_S)))
        self.stages = [
            _stage(plan, memory, projection, time_s, threads)
            for projection, time_s in zip(self.projections, seconds, strict=True)
        ]
        self.threads = min(threads, max(len(stage.pieces) for stage in self.stages))
        self.packed_stages = pack_stages(self.stages)
        self.counters = stage_counters([len(stage.pieces) for stage in self.stages])
        sizes = [_sizes(stage, plan.chunk) for stage in self.stages if not stage.pooling]
        self.sizes = tuple(max(size) for size in zip((0, 0, 0, 0, 0), *sizes, strict=True))
        calls = [int(total / CALL_S) for total in itertools.accumulate(seconds)]
        self.ends = [k for k in range(1, len(calls)) if calls[k - 1] != calls[k]] + [len(calls)]

    def run(self, context: RunContext, first: int, end: int) -> None:
        """Run the steps ``first:end`` on this thread and those that help it."""
        counters = self.counters.copy()
        run_parallel(lambda thread: self._work(context, counters, thread, first, end - first), self.threads)

    def _work(self, context: RunContext, counters: Int, thread: int, first: int, steps: int) -> None:
        """Take pieces of all stages; a thread that fails stops the run, since the others would wait for its piece."""
        stage, begin = 0, time.perf_counter()
        try:
            with _workspace(self.sizes, self.plan.dtype) as workspace:
                for end in range(1, len(self.stages) + 1) if context.timed else self.ends:
                    while stage < end:
                        stage = run_stages(
                            self.stages[0], self.packed_stages, counters, stage, end, first, steps, self.plan.way,
                            thread, self.work, workspace,
                        )  # fmt: skip
                        if context.stopped:
                            return
                        if stage < end:
                            time.sleep(PAUSE_S)
                    if context.timed and thread == 0:
                        done = time.perf_counter()
                        self.memory.seconds[self.index + end - 1] += done - begin
                        begin = done
        except BaseException:
            context.stopped = True
            raise


def _stage(plan: Plan, memory: SampleMemory, projection: CompiledProjection, seconds: float, threads: int) -> Stage:
    """A population of the chain, which takes about so many seconds and is shared by so many threads."""
    p, state = plan.populations[projection.target], memory.states[projection.target]
    pooling = plan.paths[p.name] == "or"
    if pooling:
        conv = _no_weights(projection, p, plan)
        shared = plan.chunk * p.pixels * p.words >= LEAST_POOLED
        pieces = _divided(p.shape[1], min(p.shape[1], threads) if shared else 1)
    elif projection.conv is None:
        raise BackendError(f"population {p.name!r}", "has no fast path")
    else:
        conv = projection.conv
        pieces = _pieces(conv, seconds, threads, plan.dtype.itemsize)
    return Stage(
        pooling, plan.history[projection.source] - projection.lag, plan.history[p.name],
        np.array([*projection.source_shape[1:], *p.shape[1:]], np.int64), memory.planes[projection.source], conv,
        p.rule, state, np.array(pieces, np.int64), np.zeros((len(pieces), state.counts.size), np.int64),
        np.zeros((len(pieces), len(Work)), np.int64),
    )  # fmt: skip


def _no_weights(projection: CompiledProjection, p: CompiledPopulation, plan: Plan) -> Conv:
    """The convolution of a pooling, which needs no weights."""
    weight, table = (np.zeros(0, dtype if plan.fixed else plan.dtype) for dtype in (np.int8, np.int16))
    size = np.array(p.shape[1:], np.int64)
    return Conv(projection.source_shape, projection.arrays[1], size, weight, weight, table, 0, False)


def _divided(size: int, parts: int) -> list[tuple[int, int]]:
    """``range(size)`` in equal parts."""
    return list(itertools.pairwise(size * i // parts for i in range(parts + 1)))


def _seconds(p: CompiledPopulation, conv: Conv | None, steps: int) -> float:
    """Estimated time of a layer (a pooling takes next to none); only calls, threads and pieces depend on it."""
    if conv is None:
        return 0.0
    fan_in = int(conv.geometry[Geometry.KERNEL_HEIGHT] * conv.geometry[Geometry.KERNEL_WIDTH] * conv.source[0])
    return float(steps * p.pixels * p.channels * (1 / 4e9 + fan_in * USUAL_ACTIVITY / 5e10))


def _pieces(conv: Conv, seconds: float, threads: int, itemsize: int) -> list[tuple[int, int]]:
    """Rows ``top:bottom`` of each piece of a layer that takes so many seconds; results do not depend on them."""
    height = int(conv.size[0])
    strips = max(1, -(-height * int(conv.size[1]) * TILE * itemsize // blocks.STRIP_BYTES))
    if threads > 1 and seconds >= SHARED_WORK_S:
        strips = max(strips, PIECES * threads)
    return _divided(height, min(height, strips))


def _sizes(stage: Stage, chunk: int) -> Sizes:
    """Sizes of the arrays of a workspace that serves any piece of a layer."""
    conv, v, rows = stage.conv, stage.state.v, int(np.diff(stage.pieces).max())
    channels, height, width = conv.source.tolist()
    kernel_height, kernel_width, stride_y, stride_x = conv.geometry[: Geometry.PADDING_Y].tolist()
    out_width = int(conv.size[1])
    out_pixels, pitch = rows * out_width, v.shape[1]
    padded_rows = (rows - 1) * stride_y + kernel_height
    source_rows = min(padded_rows, height)
    windows = -(-kernel_height // stride_y) * -(-kernel_width // stride_x)
    steps = min(chunk, blocks.BLOCK_STEPS)
    most_spikes = source_rows * width * channels + TILE
    listed = most_spikes + min(blocks.BLOCK_SPIKES, (steps - 1) * most_spikes)
    summed = max(1, min(chunk, blocks.BLOCK_BYTES // (v.itemsize * out_pixels * pitch)))
    return (
        max(steps * source_rows * width, out_pixels) + 1, listed,
        max(listed * windows + GROUP * steps * out_pixels, steps * padded_rows * out_width + HALF_TILE),
        steps * out_pixels + 1,
        summed * out_pixels * pitch,
    )  # fmt: skip


_workspaces: dict[np.dtype[Any], deque[Workspace]] = {}
"""Workspaces that no thread uses now, by the type of their sums: fresh memory is slow."""


@contextmanager
def _workspace(sizes: Sizes, dtype: np.dtype[Any]) -> Iterator[Workspace]:
    """A workspace for one thread."""
    spare = _workspaces.setdefault(dtype, deque())
    try:
        workspace = spare.pop()
    except IndexError:
        workspace = Workspace(*(np.empty(0, of) for of in (np.int32, np.int32, np.uint16, np.int32, dtype)))
    if any(array.size < size for array, size in zip(workspace, sizes, strict=True)):
        grown = (np.empty(max(array.size, size), array.dtype) for array, size in zip(workspace, sizes, strict=True))
        workspace = Workspace(*grown)
    try:
        yield workspace
    finally:
        spare.append(workspace)
