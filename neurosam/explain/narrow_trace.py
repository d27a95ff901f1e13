"""SAM traces of few bits: what the maps lose on hardware whose trace is narrower than the 24 bits of a state.

A neuron holds a register X of `bits` bits, unsigned, and the step of its last spike modulo ``2^stamp_bits``. With the
table K and the shift f of a :class:`~neurosam.FixedSamTrace`, a step in which it fires ``s`` times does

    interval = (t - t_last) mod 2^stamp_bits            (0 before the first spike, when X is 0 anyway)
    decayed  = round(X * K[interval] / 2^f)
    X       <- min(decayed + s * impulse, 2^bits - 1)

and emits what its mode says (network/trace.py): ``s * decayed`` in strict mode, ``s`` times the new X in inclusive
mode, and ``s`` times the new X plus the part of the silent steps in official mode. ``round`` is one of

    floor        p >> f
    nearest      (p + 2^(f-1)) >> f
    stochastic   (p + r) >> f, with r drawn from 0 .. 2^f - 1

where r is drawn for every neuron (`random` "own") or once per step for all of them ("shared", as from one register of a
core). Numbers are a hash of the seed, the step and the neuron, so that they do not depend on which neurons fire.

A trace that is decayed in each step instead (`decay` "step") needs no time stamp: ``X <- round(X * K[1] / 2^f)`` in
every step, spike or not. The traces of Loihi 1 are of this kind: 7 bits, rounded at random (:func:`loihi_trace`; with
the random numbers of Lava's model, bit for bit: ``neurosam_hw.lava.loihi1``).

With floor and an impulse that can never overflow, a trace of b bits keeps nothing of a spike once the impulse is as
small as 1, since ``floor(1 * K / 2^f)`` is 0. The impulse is about ``2^b`` over the largest number of spikes that a
trace remembers, so a map is expected to collapse below :func:`collapse_bits`

    b* = ceil(log2(min(T, 1 / (1 - exp(-gamma))))) + 1.

Sources: M. Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro 38(1), 2018
(traces of 7 bits and their stochastic rounding); the rest is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer, reals
from neurosam.arithmetic import contribution
from neurosam.errors import ArgumentError
from neurosam.explain.spike_train import spike_train
from neurosam.network.synapse import Shape, as_chw
from neurosam.network.trace import FixedSamTrace
from neurosam.signals.recording import Spikes

__all__ = [
    "ROUNDINGS", "NarrowTrace", "SpikeLists", "collapse_bits", "loihi_trace", "narrow_maps", "narrow_trace",
    "spike_lists",
]  # fmt: skip

ROUNDINGS = ("floor", "nearest", "stochastic")
MAX_BITS = 24
MAX_TABLE_BITS = 16


@dataclass(frozen=True, eq=False)
class NarrowTrace:
    """A trace in registers of given widths.

    Parameters
    ----------
    trace : FixedSamTrace
        Table, shift, impulse and mode.
    bits : int
        Width of X, 1..24; it saturates at ``2^bits - 1``.
    rounding : {"floor", "nearest", "stochastic"}
    random : {"own", "shared"}
        Random numbers of stochastic rounding.
    stamp_bits : int, optional
        Width of the time stamp, 1..24; None for one that never wraps around.
    decay : {"spike", "step"}
        When X decays: at the neuron's own spikes, or in each step.

    Examples
    --------
    >>> narrow = ns.narrow_trace(gamma=0.5, bits=4, steps=10)
    >>> narrow.trace.impulse, narrow.trace.table.tolist()
    (6, [255, 155, 94, 57, 35, 21, 13, 8, 5, 3, 0])
    """

    trace: FixedSamTrace
    bits: int
    rounding: str = "floor"
    random: str = "own"
    stamp_bits: int | None = None
    decay: str = "spike"

    def __post_init__(self) -> None:
        where = "NarrowTrace"
        integer(f"{where}: bits", self.bits, 1, MAX_BITS, ArgumentError)
        choice(f"{where}: rounding", self.rounding, ROUNDINGS, ArgumentError)
        choice(f"{where}: random", self.random, ("own", "shared"), ArgumentError)
        choice(f"{where}: decay", self.decay, ("spike", "step"), ArgumentError)
        if self.stamp_bits is not None:
            integer(f"{where}: stamp_bits", self.stamp_bits, 1, MAX_BITS, ArgumentError)
            if self.decay == "step":
                raise ArgumentError(f"{where}: stamp_bits", "is of no use in a trace that decays in each step")

    @property
    def largest(self) -> int:
        """Largest value of the register."""
        return (1 << self.bits) - 1

    def state_bits(self, steps: int) -> int:
        """Bits of a neuron in runs of `steps`: its trace, and its time stamp where there is one."""
        if self.decay == "step":
            return self.bits
        return self.bits + (max(1, math.ceil(math.log2(steps))) if self.stamp_bits is None else self.stamp_bits)


def narrow_trace(
    gamma: float,
    bits: int,
    *,
    steps: int,
    mode: str = "strict",
    rounding: str = "floor",
    random: str = "own",
    table_bits: int = 8,
    table_length: int | None = None,
    stamp_bits: int | None = None,
    decay: str = "spike",
    impulse: int | None = None,
) -> NarrowTrace:
    """The trace of `bits` bits with the largest impulse that cannot overflow in `steps` steps (at least 1).

    Parameters
    ----------
    gamma : float
        Decay rate per step, >= 0.
    bits : int
    steps : int
        Length of the longest run, >= 1.
    mode : {"strict", "inclusive", "official"}
    rounding, random, stamp_bits, decay
        See :class:`NarrowTrace`.
    table_bits : int
        Width of the table's entries, 1..16: ``K[n] = round((2^table_bits - 1) * exp(-gamma n))``, and
        ``f = table_bits``.
    table_length : int, optional
        Entries before the final 0; None for as many as are not 0, or as the run can ask for.
    impulse : int, optional
        What a spike adds, in place of the largest safe one; a larger one makes the register saturate.

    Returns
    -------
    NarrowTrace

    Examples
    --------
    >>> wide, narrow = (ns.narrow_trace(gamma=0.5, bits=bits, steps=30) for bits in (8, 3))
    >>> wide.trace.impulse, narrow.trace.impulse, narrow.state_bits(steps=30)
    (101, 3, 8)
    """
    where = "narrow_trace"
    gamma = float(reals(f"{where}: gamma", gamma, low=0.0, ndim=(0,), error=ArgumentError))
    bits = integer(f"{where}: bits", bits, 1, MAX_BITS, ArgumentError)
    table_bits = integer(f"{where}: table_bits", table_bits, 1, MAX_TABLE_BITS, ArgumentError)
    steps = integer(f"{where}: steps", steps, 1, 1 << 30, ArgumentError)
    length = (
        min(steps, 4096)
        if table_length is None
        else integer(f"{where}: table_length", table_length, 1, 4096, ArgumentError)
    )
    entries = np.rint(np.exp(-gamma * np.arange(max(length, 2))) * ((1 << table_bits) - 1)).astype(np.int64)
    table = np.append(entries[: max(int(np.count_nonzero(entries)), 1)], 0)
    if impulse is None:
        impulse = _largest_impulse(table, table_bits, bits, steps, rounding)
    base = FixedSamTrace(table, table_bits, impulse, mode)
    return NarrowTrace(base, bits, rounding, random, stamp_bits, decay)


def loihi_trace(
    gamma: float, *, impulse: int | None = None, mode: str = "strict", random: str = "shared"
) -> NarrowTrace:
    """A trace as Loihi 1 holds it for learning: 7 bits, decayed in each step with stochastic rounding.

    Its random numbers are ours. ``neurosam_hw.lava.loihi1`` has Lava's, bit for bit.

    Parameters
    ----------
    gamma : float
        Decay rate per step, > 0.
    impulse : int, optional
        1..127; None for the largest that does not saturate in expectation, ``127 * (1 - exp(-gamma))``.
    mode : {"strict", "inclusive", "official"}
    random : {"shared", "own"}
        One number per step for all neurons, as Lava's model of the chip draws them, or one for each.

    Examples
    --------
    >>> trace = ns.loihi_trace(gamma=0.5)
    >>> trace.bits, trace.rounding, trace.decay, trace.trace.impulse
    (7, 'stochastic', 'step', 49)
    """
    gamma = float(reals("loihi_trace: gamma", gamma, low=0.0, ndim=(0,), error=ArgumentError))
    if impulse is None:
        impulse = max(1, int(127 * -math.expm1(-gamma)))
    impulse = integer("loihi_trace: impulse", impulse, 1, 127, ArgumentError)
    return narrow_trace(
        gamma, 7, steps=2, mode=mode, rounding="stochastic", random=random, table_bits=12, decay="step",
        impulse=impulse,
    )  # fmt: skip


def collapse_bits(gamma: float, steps: int) -> int:
    """The width b* below which a trace that rounds down is expected to keep nothing.

    Examples
    --------
    >>> [ns.collapse_bits(gamma, steps=100) for gamma in (0.02, 0.1, 0.5, 1.0)]
    [7, 5, 3, 2]
    """
    gamma = float(reals("collapse_bits: gamma", gamma, low=0.0, ndim=(0,), error=ArgumentError))
    steps = integer("collapse_bits: steps", steps, 1, 1 << 30, ArgumentError)
    remembered = float(steps) if gamma == 0 else min(steps, 1 / -math.expm1(-gamma))
    return math.ceil(math.log2(remembered)) + 1


class SpikeLists(NamedTuple):
    """A spike train as lists of those that fire, for several traces of the same train.

    Attributes
    ----------
    samples : int
    shape : tuple of int
        Of the population.
    neurons, pixels, times : list of (K,) int32 arrays
        Of each step: the flat indices into (B, C, H, W) and (B, H, W) of those that fire, and how often they do.
    """

    samples: int
    shape: Shape
    neurons: list[npt.NDArray[np.int32]]
    pixels: list[npt.NDArray[np.int32]]
    times: list[npt.NDArray[np.int32]]


def spike_lists(spikes: npt.ArrayLike | Spikes) -> SpikeLists:
    """The lists of a spike train, ``[T, B, C, H, W]``, ``[T, B, N]`` or packed; 12 bytes for each spike.

    Raises
    ------
    NeurosamError
        If the array is not a spike train, or has 2^31 neurons or more in all samples.
    """
    _, samples, shape, planes = spike_train("narrow_maps", spikes)
    channels, height, width = as_chw(shape)
    area = height * width
    integer("narrow_maps: neurons of all samples", samples * channels * area, 0, (1 << 31) - 1, ArgumentError)
    lists = SpikeLists(samples, shape, [], [], [])
    for plane in planes():
        fired = np.flatnonzero(plane)
        lists.neurons.append(fired.astype(np.int32))
        lists.pixels.append((fired // (channels * area) * area + fired % area).astype(np.int32))
        lists.times.append(plane[fired].astype(np.int32))
    return lists


def narrow_maps(
    spikes: npt.ArrayLike | Spikes | SpikeLists, trace: NarrowTrace, *, seed: int = 0, first: int = 0
) -> npt.NDArray[np.int64]:
    """The maps of a spike train by a narrow trace.

    Parameters
    ----------
    spikes : Spikes, SpikeLists, or (T, B, C, H, W) or (T, B, N) array
        How often each neuron fires in each step; ``narrow_trace.spike_lists`` saves time if several traces follow.
    trace : NarrowTrace
    seed : int
        Of the random numbers of stochastic rounding, 0..2^63 - 1.
    first : int
        Number of the first sample, which its random numbers depend on (own ones): the maps of a sample are the same
        alone and in a batch.

    Returns
    -------
    (T, B, H, W) int64 array
        Sums over channels; divide by ``trace.trace.impulse`` for the unit of the float trace.

    Raises
    ------
    NeurosamError
        If the array is not a spike train.

    Examples
    --------
    One neuron with intervals of 1 and 2 steps; the trace of 4 bits has an impulse of 6 (0.607 and 0.591 in float):

    >>> spikes = np.array([1, 1, 0, 1]).reshape(4, 1, 1)
    >>> (ns.narrow_maps(spikes, ns.narrow_trace(0.5, 4, steps=10)).ravel() / 6).round(3).tolist()
    [0.0, 0.5, 0.0, 0.5]
    """
    seed = integer("narrow_maps: seed", seed, 0, (1 << 63) - 1, ArgumentError)
    first = integer("narrow_maps: first", first, 0, (1 << 31) - 1, ArgumentError)
    lists = spikes if isinstance(spikes, SpikeLists) else spike_lists(spikes)
    samples = lists.samples
    channels, height, width = as_chw(lists.shape)
    area = height * width
    begin = first * channels * area
    base = trace.trace
    size = samples * channels * area
    state, last = np.zeros(size, np.int32), np.zeros(size, np.int32)  # 32 bits: gathers from them take most of the time
    count = np.zeros(size if base.mode == "official" else 0, np.int32)
    maps = np.zeros((len(lists.neurons), samples, height, width), np.int64)
    end = base.table.size - 1
    for t, (fired, pixels, s) in enumerate(zip(lists.neurons, lists.pixels, lists.times, strict=True)):
        if trace.decay == "step" and t:
            alive = np.flatnonzero(state)
            state[alive] = _rounded(trace, state[alive] * base.table[1], seed, t, begin + alive)
        neuron, s = begin + fired.astype(np.int64), s.astype(np.int64)  # products need 64 bits
        decayed = state[fired].astype(np.int64)
        if trace.decay == "spike":
            interval = t - last[fired]
            if trace.stamp_bits is not None:
                interval &= (1 << trace.stamp_bits) - 1
            decayed = _rounded(trace, decayed * base.table[np.minimum(interval, end)], seed, t, neuron)
        after = np.minimum(decayed + s * base.impulse, trace.largest)
        state[fired] = after
        last[fired] = t
        score = decayed if base.mode == "strict" else after
        if base.mode == "official":
            count[fired] += 1
            silent = (t + 1 - count[fired].astype(np.int64)) * base.impulse * base.table[min(t, end)]
            score = score + _rounded(trace, silent, seed, t, ~neuron)
        # float64 sums of integers below 2^53 are exact
        maps[t] = np.bincount(pixels, s * score, samples * area).reshape(samples, height, width)
    return maps


def _rounded(
    trace: NarrowTrace, product: npt.NDArray[np.int64], seed: int, t: int, neuron: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """``product / 2^f``, rounded."""
    shift = trace.trace.shift
    if trace.rounding == "floor":
        return product >> shift
    if trace.rounding == "nearest":
        return (product + (1 << shift >> 1)) >> shift
    draws = _hashed(seed, t, neuron if trace.random == "own" else np.zeros(1, np.int64))
    return (product + (draws >> np.uint64(64 - shift)).astype(np.int64)) >> shift


def _hashed(seed: int, t: int, neuron: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A random number of 64 bits for each neuron: two rounds of SplitMix64 (G. Steele et al., OOPSLA 2014)."""
    return _mixed(_mixed(neuron.astype(np.uint64) ^ np.uint64(seed << 1)) + np.uint64(t))


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _largest_impulse(table: npt.NDArray[np.int64], shift: int, bits: int, steps: int, rounding: str) -> int:
    """The largest impulse whose trace stays below ``2^bits`` when a neuron spikes in each of `steps` steps.

    Exact for floor. Other roundings may exceed it by chance, and then saturate: their bound is the expected trace.
    """
    factor, limit = int(table[1]), (1 << bits) - 1
    if rounding != "floor":
        remembered = sum((factor / (1 << shift)) ** n for n in range(min(steps, 1 << 16)))
        return max(1, min(int(limit / remembered), 1 << 16))

    def peak(impulse: int) -> int:
        trace = 0
        for _ in range(steps):
            after = contribution(trace, factor, shift) + impulse
            if after == trace or after > limit:
                return int(after)
            trace = after
        return trace

    low, high = 1, min(limit, 1 << 16)  # a FixedSamTrace holds impulses up to 2^16
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if peak(middle) <= limit else (low, middle - 1)
    return low
