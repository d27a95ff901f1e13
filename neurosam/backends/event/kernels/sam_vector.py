"""SAM of up to 128 neurons at a time: a step's traces in vectors, for integer traces of short tables (trace.py).

For each word of spikes, all its traces are decayed, and those of the neurons that fired are kept and summed: a fixed
number of instructions, whatever the spikes, with no branch to mispredict. Pixels are the outer loop, so that traces
stay in registers for a block of steps. A lane holds a trace X and its age, the number of steps since the last spike:

    K = table[min(age, 63)]                                  one look-up in two registers
    decayed = (X * K) >> f = hi * K' + (lo * K' >> 16)       with X = 2^16 hi + lo and K' = 2^(16 - f) K, of 16 bits

which is exact: no product exceeds 32 bits. Traces below 2^24 and their ages, at most 63, share 32 bits in memory.

Two words are processed at a time, since each decay depends on the previous one: while one waits, the other proceeds.
Cost: 3 to 5 ns per word in vgg11-64 on one core of an EPYC (Zen 5), where a word has three spikes; silent words are
skipped. CPUs without AVX-512 have no such look-up: there, and for all other traces, kernels/sam_by_spike.py updates
traces spike by spike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from neurosam.backends.event.kernels.layout import MODE, Rule, State
from neurosam.backends.event.runtime.jit import inlined, kernel
from neurosam.backends.event.simd.bits import has_compress, mask_from_bits, popcount
from neurosam.backends.event.simd.int16 import HALF_TILE, TILE, to_int32, zeros_i16x32, zeros_i16x64
from neurosam.backends.event.simd.load_store import (
    address,
    element_pointer,
    item,
    load_like,
    load_same_count,
    put,
    store,
    store_first,
)
from neurosam.backends.event.simd.vectors import I16, I32, I64, LANES, Lanes, instruction, llvm_function, select, splat
from neurosam.network.trace import MODES, FixedSamTrace

__all__ = ["is_vectorised", "trace_vectorised"]

Array = npt.NDArray[Any]

LOOKS_UP = has_compress()
"""Whether kernels are compiled for a CPU with AVX-512, whose permutation of 16-bit lanes is the look-up."""
AGES = 64
"""Distinct ages; the last one means this age or more."""
AGE_BITS = 6
BORN = 2**16 - AGES
"""Age 0 as represented in a register: ages saturate at 2^16 - 1, and their low 6 bits are the age."""
WORD = 16
BLOCK = 32
"""Largest number of steps that traces stay in registers: the sums of 16 pixels, one cache line each, stay in L1."""
GROUP_WORDS = 16
"""Words copied for all steps of a block before they are used: two cache lines, and one of maps."""
ROW = GROUP_WORDS * LANES
"""Sums of a step: sixteen per pixel."""
INCLUSIVE = MODES.index("inclusive")

_ROW, _WORDS = ir.VectorType(I32, LANES), ir.VectorType(I16, 2 * LANES)


def is_vectorised(trace: FixedSamTrace) -> bool:
    """Whether :func:`trace_vectorised` can update a trace.

    Its ages must fit the look-up, K' must fit 16 bits, and the mode must not count spikes.
    :meth:`FixedSamTrace.check` ensures that the largest trace fits 24 bits.
    """
    short = trace.table.size <= AGES and int(trace.table[1]) < 1 << trace.shift
    return LOOKS_UP and short and trace.mode != "official"


# --- vectors ---


def _split(builder: Any, x: Any, count: int) -> list[Any]:
    """A vector cut into vectors of `count` lanes."""
    nothing, kind = ir.Constant(x.type, ir.Undefined), ir.VectorType(I32, count)
    cuts = range(0, x.type.count, count)
    return [builder.shuffle_vector(x, nothing, ir.Constant(kind, list(range(c, c + count)))) for c in cuts]


def _concatenate(builder: Any, parts: list[Any]) -> Any:
    """Vectors concatenated."""
    while len(parts) > 1:
        order = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
        parts = [builder.shuffle_vector(x, y, order) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _as_words(builder: Any, lanes: Any) -> list[Any]:
    """Lanes of int32 as registers of 16-bit halves, the lower half of each lane first."""
    return [builder.bitcast(part, _WORDS) for part in _split(builder, lanes, LANES)]


@instruction
def _look_up(typing: Any, table: Any, ages: Any) -> Any:
    """``table[age % 64]`` in the low half of every lane, by the low half, and entry 0 in the high half."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(_WORDS, [_WORDS, _WORDS, _WORDS])
        permute = llvm_function(builder, "llvm.x86.avx512.vpermi2var.hi.512", kind)
        low, high = _split(builder, args[0], 2 * LANES)
        factors = [builder.call(permute, [low, part, high]) for part in _as_words(builder, args[1])]
        return builder.bitcast(_concatenate(builder, factors), sig.return_type.form)

    return ages(table, ages), build


@instruction
def _add_age(typing: Any, ages: Any, steps: Any) -> Any:
    """Ages after more steps (below 2^16), saturating at 2^16 - 1."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        words = ir.VectorType(I16, 2 * ages.count)
        add = llvm_function(builder, f"llvm.uadd.sat.v{words.count}i16", ir.FunctionType(words, [words, words]))
        both = [builder.bitcast(x, words) for x in args]
        return builder.bitcast(builder.call(add, both), sig.return_type.form)

    return ages(ages, ages), build


@instruction
def _high_product(typing: Any, x: Any, y: Any) -> Any:
    """``(x * y) >> 16`` of the unsigned low halves; the high half of `y` is 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        multiply = llvm_function(builder, "llvm.x86.avx512.pmulhu.w.512", ir.FunctionType(_WORDS, [_WORDS, _WORDS]))
        pairs = zip(*(_as_words(builder, side) for side in args), strict=True)
        return builder.bitcast(
            _concatenate(builder, [builder.call(multiply, pair) for pair in pairs]), sig.return_type.form
        )

    return x(x, y), build


def _build_fold(builder: Any, x: Any) -> Any:
    """All lanes added up to sixteen."""
    parts = _split(builder, x, LANES)
    while len(parts) > 1:
        parts = [builder.add(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


@instruction
def _fold(typing: Any, x: Any) -> Any:
    """All lanes added up to sixteen."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _build_fold(builder, args[0])

    return Lanes(LANES)(x), build


@instruction
def _fold_halves(typing: Any, x: Any) -> Any:
    """The first half of the lanes added up to sixteen, followed by the second half likewise."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _concatenate(builder, [_build_fold(builder, half) for half in _split(builder, args[0], x.count // 2)])

    return Lanes(2 * LANES)(x), build


@instruction
def _zeros_twice(typing: Any, x: Any) -> Any:
    """0 in every lane, with twice as many lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, None)

    return Lanes(2 * x.count)(x), build


@instruction
def _sums(typing: Any, array: Any, at: Any, pitch: Any) -> Any:
    """The sums of sixteen rows of sixteen numbers, which begin `pitch` apart from ``array[at]`` on.

    Rows are added in pairs: of x and y whose sums have w lanes each, the halves of both are added to sums of w / 2
    lanes, x's before y's.
    """

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = []
        for i in range(LANES):
            place = builder.add(args[1], builder.mul(args[2], ir.Constant(I64, i)))
            rows.append(builder.load(element_pointer(context, builder, sig.args[0], args[0], place, _ROW)))
            rows[-1].align = 4
        width = LANES
        while width > 1:
            half, pairs = width // 2, zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True)
            firsts = [side + w + j for w in range(0, LANES, width) for side in (0, LANES) for j in range(half)]
            orders = [ir.Constant(_ROW, [j + more for j in firsts]) for more in (0, half)]
            rows = [builder.add(*(builder.shuffle_vector(x, y, order) for order in orders)) for x, y in pairs]
            width = half
        return rows[0]

    return Lanes(LANES)(array, types.intp, types.intp), build


# --- kernels ---


@inlined
def _trace_words(
    nothing: Any, both: bool, separate: bool, first: int, steps: int, table: Any, impulse: int, words: Any, pitch: int,
    totals: Any, begins: bool, state: Any, place: int,
) -> None:  # fmt: skip
    """Update the traces of one word of neurons, or of two (`both`), from `place` of the state on, for a block of steps.

    ``words[k * pitch]`` and the next are the spikes. The decayed traces of neurons that fired are folded to sixteen
    sums, which are added to ``totals[k * ROW :]``, or replace them if this word `begins` a pixel. The two words may
    belong to two pixels, whose sums are then `separate`, sixteen each.
    """
    born, more = splat(nothing, BORN), splat(nothing, impulse)
    if first == 0:
        x, age = nothing, splat(nothing, 2**16 - 1)
    else:
        packed = load_same_count(nothing, state, place)
        x, age = packed >> AGE_BITS, (packed & (AGES - 1)) + BORN
    seen = -1
    for k in range(steps):
        low = np.uint64(item(words, k * pitch))
        high = np.uint64(item(words, k * pitch + 1)) if both else np.uint64(0)
        if low | high != np.uint64(0):
            age = _add_age(age, splat(nothing, k - seen))
            seen = k
            factor = _look_up(table, age)
            decayed = _high_product(x, factor) + (x >> WORD) * factor
            fired = mask_from_bits(low, high, nothing)
            if separate:
                store(_fold_halves(fired * decayed), totals, ROW * k)
            else:
                total = _fold(fired * decayed)
                store(total if begins else total + load_same_count(total, totals, ROW * k), totals, ROW * k)
            x = select(fired, decayed + more, x)
            age = select(fired, born, age)
        elif separate:
            store(_fold_halves(nothing), totals, ROW * k)
        elif begins:
            store(_fold(nothing), totals, ROW * k)
    age = _add_age(age, splat(nothing, steps - 1 - seen)) - BORN
    store((x << AGE_BITS) + age, state, place)


@kernel
def _trace_pixels(
    first: int, steps: int, p: int, count: int, rule: Rule, state: State, table: Array, words: Array, totals: Array
) -> None:  # fmt: skip
    """Update `count` pixels from `p` on for at most BLOCK steps; `totals` get sixteen sums per step and pixel."""
    tile, half = to_int32(zeros_i16x64()), to_int32(zeros_i16x32())
    pair = _zeros_twice(tile)
    impulse = rule.impulse
    width, row = state.planes.shape[2], state.trace.shape[1]
    pitch = max(1, GROUP_WORDS // width) * width
    factors = load_like(zeros_i16x64(), address(table, 0), 0)
    traces = address(state.trace, 0)
    q = 0
    while q < count:
        spikes, lanes, place = address(words, q * width), address(totals, q * LANES), (p + q) * row
        if row == TILE and q + 1 < count:
            _trace_words(pair, True, True, first, steps, factors, impulse, spikes, pitch, lanes, True, traces, place)
            q += 2
            continue
        if row == HALF_TILE and q + 1 < count:
            for k in range(steps):
                low, high = np.uint64(item(spikes, k * pitch)), np.uint64(item(spikes, k * pitch + 1))
                put(low | high << np.uint64(HALF_TILE), spikes, k * pitch)
            _trace_words(tile, False, True, first, steps, factors, impulse, spikes, pitch, lanes, True, traces, place)
            q += 2
            continue
        whole = row // TILE
        for w in range(0, whole - 1, 2):
            spikes, at = address(words, q * width + w), place + w * TILE
            _trace_words(
                pair, True, False, first, steps, factors, impulse, spikes, pitch, lanes, w == 0, traces, at
            )  # fmt: skip
        if whole % 2:
            spikes, at = address(words, q * width + whole - 1), place + (whole - 1) * TILE
            _trace_words(
                tile, False, False, first, steps, factors, impulse, spikes, pitch, lanes, whole == 1, traces, at
            )  # fmt: skip
        if row % TILE:
            spikes, at = address(words, q * width + whole), place + whole * TILE
            _trace_words(
                half, False, False, first, steps, factors, impulse, spikes, pitch, lanes, whole == 0, traces, at
            )  # fmt: skip
        q += 1


@kernel
def trace_vectorised(first: int, steps: int, begin: int, end: int, at: int, rule: Rule, state: State) -> None:
    """Update the traces of pixels ``begin:end`` by the spikes of steps from `first` on, and write their maps.

    Parameters
    ----------
    first, steps : int
        Own steps; calls cover all steps from 0 on, in order.
    begin, end : int
    at : int
        Row of the first step in planes and maps.
    rule, state
        ``state.trace`` is (P, tiles of C) int32, and need not be cleared.
    """
    image, width = state.planes.shape[1], state.planes.shape[2]
    group = max(1, GROUP_WORDS // width)
    pitch = group * width
    table = np.zeros(AGES, np.uint16)
    for age in range(1, rule.table.size):  # entry 0, an age that no spike has, is what the high halves look up
        table[age] = rule.table[age] << (WORD - rule.trace_shift)
    words, totals = np.empty(pitch * BLOCK, np.uint64), np.empty(ROW * BLOCK, np.int32)
    more = rule.impulse if rule.flags[MODE] == INCLUSIVE else 0
    for done in range(0, steps, BLOCK):
        length = min(BLOCK, steps - done)
        planes, maps = address(state.planes, (at + done) * image * width), address(state.sam, (at + done) * image)
        for p in range(begin, end, group):
            count = min(group, end - p)
            for k in range(length):
                for i in range(count * width):
                    put(np.uint64(item(planes, (k * image + p) * width + i)), words, k * pitch + i)
            _trace_pixels(first + done, length, p, count, rule, state, table, words, totals)
            for k in range(length):
                store_first(_sums(totals, k * ROW, LANES), maps, k * image + p, count)
                if more != 0:
                    for q in range(count):
                        fired = 0
                        for i in range((p + q) * width, (p + q + 1) * width):
                            fired += popcount(np.uint64(item(planes, k * image * width + i)))
                        put(item(maps, k * image + p + q) + more * fired, maps, k * image + p + q)
