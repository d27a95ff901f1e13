"""The kernels that a layer or a pooling calls by address, and which of them a stage needs.

A layer that looks its sums up needs neither the gather nor the scatter, one without a trace no trace, one of 10
channels no whole tile: what a stage does not need is not compiled.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from neurosam.backends.event.kernels.layout import (
    ANY_WAY,
    CLOCK,
    GATHER,
    LOOK_UP,
    SCATTER,
    Code,
    Conv,
    Flag,
    Geometry,
    Rule,
    State,
    Strip,
    Workspace,
)
from neurosam.backends.event.kernels.neurons import piece_state, record_state
from neurosam.backends.event.kernels.sam_by_spike import by_list, by_spike
from neurosam.backends.event.kernels.sam_vector import trace_vectorised
from neurosam.backends.event.kernels.scatter import scattered_strip
from neurosam.backends.event.kernels.spike_lists import decode, decode_short, windows
from neurosam.backends.event.kernels.spike_patterns import patterns
from neurosam.backends.event.kernels.synapses import pool_or
from neurosam.backends.event.kernels.tile import Variant, tile_kernel
from neurosam.backends.event.runtime.jit import by_address
from neurosam.backends.event.simd.int16 import HALF_TILE, TILE
from neurosam.backends.event.simd.vectors import LANES

__all__ = ["scatter_kernel", "stage_kernels"]


@by_address
def _record(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """Record the states of some pixels, of the channels of a tile or of all (column -1)."""
    channels = stage.state.v.shape[1]
    end = strip.column + TILE if strip.column >= 0 else channels
    first = max(0, strip.column)
    record_state(strip.at, strip.begin, strip.begin + strip.pixels, first, end, stage.rule, stage.state)
    return 0


@by_address
def _pool(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """A max pooling; returns its synaptic operations."""
    operations: int = pool_or(
        stage.planes, strip.at, strip.steps, stage.sides, stage.conv.geometry, strip.first, strip.base, strip.top,
        strip.bottom, stage.counts[strip.piece], stage.state.planes,
    )  # fmt: skip
    return operations


@cache
def scatter_kernel(literals: tuple[bool, bool, bool, bool]) -> Any:
    """The scatter for what :func:`scattered_strip` takes as literals: whole, options, plain, counted."""
    whole, options, plain, counted = literals

    def scatter(stage: Any, strip: Strip, workspace: Workspace) -> int:
        decode(
            stage.planes, strip.at, strip.steps, strip.begin, strip.begin + strip.pixels, stage.conv.source[0],
            workspace.start, workspace.spikes,
        )  # fmt: skip
        operations: int = scattered_strip(stage, strip, workspace, whole, options, plain, counted)
        return operations

    return by_address(scatter, (__name__, "scatter_kernel", (literals,)))


@by_address
def _list(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """List the weight rows of each output pixel for the gather; returns their number."""
    conv = stage.conv
    decode_short(
        stage.planes, strip.at, strip.steps, strip.begin, strip.begin + strip.pixels, conv.source[0], workspace.start,
        workspace.spikes.view(np.uint16),
    )  # fmt: skip
    rows: int = windows(conv, strip.begin, strip.pixels, strip.top, strip.bottom, strip.steps, workspace)
    return rows


@by_address
def _patterns(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """List the patterns of spikes for the look-up; returns the number of weight rows that they stand for."""
    rows: int = patterns(stage.planes, strip.at, stage.conv, strip.top, strip.bottom, strip.steps, workspace)
    return rows


@by_address
def _trace_vectorised(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """SAM, many neurons at a time."""
    width = stage.conv.size[1]
    trace_vectorised(
        strip.first, strip.steps, strip.top * width, strip.bottom * width, strip.first - strip.base, stage.rule,
        piece_state(stage, strip.piece),
    )  # fmt: skip
    return 0


@by_address
def _trace_by_list(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """SAM of integers, spike by spike."""
    width, rule = stage.conv.size[1], stage.rule
    by_list(
        strip.first + rule.flags[CLOCK], strip.steps, strip.top * width, strip.bottom * width,
        strip.first - strip.base, rule, piece_state(stage, strip.piece),
    )  # fmt: skip
    return 0


@by_address
def _trace_by_spike(stage: Any, strip: Strip, workspace: Workspace) -> int:
    """SAM of floats, spike by spike."""
    width, rule = stage.conv.size[1], stage.rule
    by_spike(
        strip.first + rule.flags[CLOCK], strip.steps, strip.top * width, strip.bottom * width,
        strip.first - strip.base, rule, piece_state(stage, strip.piece), None,
    )  # fmt: skip
    return 0


def stage_kernels(pooling: bool, conv: Conv, rule: Rule, state: State, way: int) -> dict[Code, Any]:
    """The kernels that a stage may call, if it adds up its sums as `way` (a Way) says."""
    if pooling:
        return {Code.POOL: _pool}
    flags, found = rule.flags, {}
    if flags[Flag.MEMBRANE] or flags[Flag.CURRENTS]:
        found[Code.RECORD] = _record
    if flags[Flag.SAM]:
        found[Code.TRACE] = _trace(rule, state)
    if conv.tables.size and way in (ANY_WAY, LOOK_UP):
        return {**found, Code.PATTERNS: _patterns, **_tiles(conv, rule, Code.LOOK_UP)}
    if conv.pairs.size and way != SCATTER:
        found |= {Code.LIST: _list, **_tiles(conv, rule, Code.GATHER)}
    if not conv.pairs.size or way < GATHER:
        found[Code.SCATTER] = scatter_kernel((state.v.shape[1] % LANES == 0, *_neurons(conv, rule)))
    return found


def _trace(rule: Rule, state: State) -> Any:
    """The kernel of a population's trace."""
    if np.issubdtype(state.trace.dtype, np.floating):
        return _trace_by_spike
    return _trace_vectorised if rule.flags[Flag.VECTORISED] else _trace_by_list


def _tiles(conv: Conv, rule: Rule, code: Code) -> dict[Code, Any]:
    """The kernels of whole tiles and of a half one, as far as there are any."""
    channels = int(conv.geometry[Geometry.OUTPUTS])
    options, plain, counted = _neurons(conv, rule)
    look_up, rest = code == Code.LOOK_UP, channels % TILE
    found = {}
    for half in (False, True):
        if 0 < rest <= HALF_TILE if half else channels > HALF_TILE:
            found[Code(code + half)] = tile_kernel(Variant(look_up, half, options, plain, counted))
    return found


def _neurons(conv: Conv, rule: Rule) -> tuple[bool, bool, bool]:
    """Whether neurons have options, are plain, and are counted: see :class:`Variant`."""
    flags = rule.flags
    options = bool(flags[Flag.CURRENT] or flags[Flag.TABLES] or flags[Flag.BOUNDED])
    plain = bool(not options and flags[Flag.FIRES] and conv.exponent == 0)
    return options, plain, not plain or bool(flags[Flag.SATURATES] or flags[Flag.WRAPS])
