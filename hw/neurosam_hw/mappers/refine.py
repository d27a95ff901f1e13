"""Kernels that refine a partition: moves and chains of moves of neurons between cores, each with its exact effect.

A net is a source neuron with the neurons that it reaches. A core is a destination of a net if it holds one of them, and

    cost = sum over nets of rate * destinations

counts the packets exactly. For neuron v on core a, `leave[v]` is the rate of the nets that only v has on a, `meet[v, b]` the
rate of its nets that have a neuron on b, and `all[v]` that of all its nets. So moving v from a to b saves

    gain = leave[v] + meet[v, b] - all[v].

The three are kept up to date by each move: only a net's first and last neuron on a core change them. Rates are integers,
so that no rounding makes the result depend on the order of additions.

Cores are usually full, where no single move is allowed. So a move may overfill a core, which then gives up the neuron whose
departure costs the least, and so on, until none is overfull: a chain. It is undone unless the cost is lower at its end.
The idea is that of Fiduccia and Mattheyses (A linear-time heuristic for improving network partitions, DAC 1982), with
chains in place of whole passes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.runtime.jit import kernel

__all__ = ["NEURONS", "AXONS_IN", "AXONS_OUT", "BITS", "State", "begin", "excess", "improve", "repair"]

NEURONS, AXONS_IN, AXONS_OUT, BITS = 0, 1, 2, 3
"""Columns of `State.used` and `State.limits`."""

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class State(NamedTuple):
    """A partition with all that a move needs, as flat arrays; n neurons, m nets, k cores.

    A net's destinations are entries ``slots[e] : slots[e] + destinations[e]`` of `slot_*`, in no order.
    """

    core: Int32  # (n,) core of each neuron
    starts: Int64  # (m + 1,) net -> neurons
    pins: Int32
    pin_starts: Int64  # (n + 1,) neuron -> nets
    nets: Int32
    net_synapses: Int32  # synapses of each (neuron, net), beside `nets`
    rates: Int64  # (m,)
    source: Int32  # (m,) the neuron whose spikes the net carries, or -1 if it is not among the n
    own: Int32  # (n,) the net of a neuron's own spikes, or -1
    slots: Int64  # (m + 1,)
    destinations: Int32  # (m,)
    slot_core: Int32
    slot_neurons: Int32
    slot_synapses: Int32
    slot_sum: Int64  # sum of the neurons' numbers: the number of the neuron where there is one
    meet: Int64  # (n, k)
    leave: Int64  # (n,)
    all: Int64  # (n,)
    best: Int32  # (n,) the core of the largest `meet` other than the neuron's own; -1: to be looked for
    first: Int32  # (k,) lists of the neurons of each core
    after: Int32  # (n,)
    before: Int32  # (n,)
    used: Int64  # (k, 4)
    limits: Int64  # (4,)
    row_bits: Int64  # bits of the synapses of one net on one core, by their number
    cost: Int64  # (1,)


def begin(state_arrays: dict[str, Any]) -> State:
    """A State in which no neuron has been placed yet, filled by :func:`place_all`."""
    return State(**state_arrays)


@kernel
def slot_of(s: Any, net: int, core: int) -> int:
    """Where a net's entry for a core is; -1 if the core is no destination."""
    for slot in range(s.slots[net], s.slots[net] + s.destinations[net]):
        if s.slot_core[slot] == core:
            return slot
    return -1


@kernel
def arrive(s: Any, v: int, core: int) -> None:
    """Put a neuron that is on no core on `core`."""
    for entry in range(s.pin_starts[v], s.pin_starts[v + 1]):
        net, synapses = s.nets[entry], s.net_synapses[entry]
        rate = s.rates[net]
        slot = slot_of(s, net, core)
        if slot < 0:
            slot = s.slots[net] + s.destinations[net]
            s.destinations[net] += 1
            s.slot_core[slot], s.slot_neurons[slot], s.slot_synapses[slot], s.slot_sum[slot] = core, 0, 0, 0
            s.used[core, AXONS_IN] += 1
            source = s.source[net]
            if source >= 0 and source != v and s.core[source] >= 0:
                s.used[s.core[source], AXONS_OUT] += 1
            s.cost[0] += rate
            s.leave[v] += rate
            for p in range(s.starts[net], s.starts[net + 1]):
                u = s.pins[p]
                s.meet[u, core] += rate
                b = s.best[u]
                if b >= 0 and s.core[u] != core and (
                    s.meet[u, core] > s.meet[u, b] or (s.meet[u, core] == s.meet[u, b] and core < b)
                ):
                    s.best[u] = core
        elif s.slot_neurons[slot] == 1:
            s.leave[s.slot_sum[slot]] -= rate
        s.slot_neurons[slot] += 1
        s.slot_sum[slot] += v
        s.used[core, BITS] += s.row_bits[s.slot_synapses[slot] + synapses] - s.row_bits[s.slot_synapses[slot]]
        s.slot_synapses[slot] += synapses
    s.core[v] = core
    s.best[v] = -1
    s.used[core, NEURONS] += 1
    if s.own[v] >= 0:
        s.used[core, AXONS_OUT] += s.destinations[s.own[v]]
    old = s.first[core]
    s.after[v], s.before[v] = old, -1
    if old >= 0:
        s.before[old] = v
    s.first[core] = v


@kernel
def depart(s: Any, v: int) -> None:
    """Take a neuron off its core."""
    core = s.core[v]
    if s.own[v] >= 0:
        s.used[core, AXONS_OUT] -= s.destinations[s.own[v]]
    s.core[v] = -1
    s.used[core, NEURONS] -= 1
    for entry in range(s.pin_starts[v], s.pin_starts[v + 1]):
        net, synapses = s.nets[entry], s.net_synapses[entry]
        rate = s.rates[net]
        slot = slot_of(s, net, core)
        s.slot_neurons[slot] -= 1
        s.slot_sum[slot] -= v
        s.used[core, BITS] -= s.row_bits[s.slot_synapses[slot]] - s.row_bits[s.slot_synapses[slot] - synapses]
        s.slot_synapses[slot] -= synapses
        if s.slot_neurons[slot] == 0:
            s.destinations[net] -= 1
            last = s.slots[net] + s.destinations[net]
            s.slot_core[slot], s.slot_neurons[slot] = s.slot_core[last], s.slot_neurons[last]
            s.slot_synapses[slot], s.slot_sum[slot] = s.slot_synapses[last], s.slot_sum[last]
            s.used[core, AXONS_IN] -= 1
            source = s.source[net]
            if source >= 0 and source != v and s.core[source] >= 0:
                s.used[s.core[source], AXONS_OUT] -= 1
            s.cost[0] -= rate
            s.leave[v] -= rate
            for p in range(s.starts[net], s.starts[net + 1]):
                u = s.pins[p]
                s.meet[u, core] -= rate
                if s.best[u] == core:
                    s.best[u] = -1
        elif s.slot_neurons[slot] == 1:
            s.leave[s.slot_sum[slot]] += rate
    after, before = s.after[v], s.before[v]
    if before >= 0:
        s.after[before] = after
    else:
        s.first[core] = after
    if after >= 0:
        s.before[after] = before


@kernel
def best_of(s: Any, v: int) -> int:
    """The core that a neuron would best go to, the first of equals; -1 if there is no other."""
    if s.best[v] < 0:
        own, found = s.core[v], -1
        for core in range(s.used.shape[0]):
            if core != own and (found < 0 or s.meet[v, core] > s.meet[v, found]):
                found = core
        s.best[v] = found
    return s.best[v]


@kernel
def is_over(s: Any, core: int) -> bool:
    """Whether a core holds more than it can."""
    for r in range(4):
        if s.used[core, r] > s.limits[r]:
            return True
    return False


@kernel
def has_room(s: Any, core: int) -> bool:
    """Whether a core could hold one neuron more, as far as that can be told without trying."""
    for r in range(4):
        if s.used[core, r] >= s.limits[r]:
            return False
    return True


@kernel
def excess(s: Any) -> float:
    """By how much all cores together exceed the limits, in limits; 0 if none does."""
    total = 0.0
    for core in range(s.used.shape[0]):
        for r in range(4):
            if s.used[core, r] > s.limits[r]:
                total += (s.used[core, r] - s.limits[r]) / s.limits[r]
    return total


@kernel
def place_all(s: Any, cores: Any) -> None:
    """Put every neuron on its core."""
    for v in range(cores.size):
        arrive(s, v, cores[v])


@kernel
def first_over(s: Any) -> int:
    for core in range(s.used.shape[0]):
        if is_over(s, core):
            return core
    return -1


@kernel
def chain(s: Any, v: int, target: int, locked: Any, stamp: int, log_v: Any, log_core: Any) -> bool:
    """Move v to `target`, then whatever that pushes out; undone, and False, unless the cost is lower at the end."""
    home, start = s.core[v], s.cost[0]
    length, u, to = 0, v, target
    while True:
        log_v[length], log_core[length] = u, s.core[u]
        length += 1
        locked[u] = stamp
        depart(s, u)
        arrive(s, u, to)
        over = first_over(s)
        if over < 0 and s.cost[0] < start:
            return True
        if over < 0 or length == log_v.size:
            break
        # Out of the overfull core: what ends the chain with a gain if there is such a neuron, else the cheapest.
        u = to = -1
        end_u = end_to = -1
        best = end = np.int64(-(2**62))
        w = s.first[over]
        while w >= 0:
            if locked[w] != stamp:
                base = s.leave[w] - s.all[w]
                b = best_of(s, w)
                gain = base + s.meet[w, b]
                if gain > best or (gain == best and w < u):
                    best, u, to = gain, w, b
                if gain > end and has_room(s, b):
                    end, end_u, end_to = gain, w, b
                if home != over:
                    gain = base + s.meet[w, home]
                    if (gain > end or (gain == end and w < end_u)) and has_room(s, home):
                        end, end_u, end_to = gain, w, home
            w = s.after[w]
        if end_u >= 0 and s.cost[0] - end < start:
            u, to = end_u, end_to
        if u < 0:
            break
    for i in range(length - 1, -1, -1):
        depart(s, log_v[i])
        arrive(s, log_v[i], log_core[i])
    return False


@kernel
def improve(s: Any, passes: int, depth: int) -> int:
    """Try a chain from every neuron, best first, until a pass finds little; returns the number of chains that stayed."""
    n = s.core.size
    locked = np.zeros(n, np.int64)
    log_v, log_core = np.empty(depth, np.int32), np.empty(depth, np.int32)
    gains = np.empty(n, np.int64)
    kept, stamp = 0, 0
    if s.used.shape[0] < 2:
        return kept
    for _ in range(passes):
        before = s.cost[0]
        for v in range(n):
            gains[v] = s.leave[v] + s.meet[v, best_of(s, v)] - s.all[v]
        for v in np.argsort(-gains, kind="mergesort"):
            stamp += 1
            if chain(s, v, best_of(s, v), locked, stamp, log_v, log_core):
                kept += 1
        if (before - s.cost[0]) * 1000 < before:
            break
    return kept


@kernel
def repair(s: Any) -> bool:
    """Move neurons out of overfull cores at the least cost; whether none is left."""
    k = s.used.shape[0]
    tried = np.zeros(s.core.size, np.int64)
    stamp = 0
    while True:
        over = first_over(s)
        if over < 0:
            return True
        stamp += 1
        before = excess(s)
        while True:
            u = to = -1
            best = np.int64(-(2**62))
            w = s.first[over]
            while w >= 0:
                if tried[w] != stamp:
                    base = s.leave[w] - s.all[w]
                    for core in range(k):
                        gain = base + s.meet[w, core]
                        if core != over and gain > best and has_room(s, core):
                            best, u, to = gain, w, core
                w = s.after[w]
            if u < 0:
                return False
            tried[u] = stamp
            depart(s, u)
            arrive(s, u, to)
            if excess(s) < before:
                break
            depart(s, u)
            arrive(s, u, over)
