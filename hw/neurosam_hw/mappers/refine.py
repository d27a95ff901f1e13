"""Kernels that refine a partition: neurons move between cores, each move with its exact effect on packets and memory.

A net is a source neuron with the neurons that it reaches. A core is a destination of a net if it holds one of them, and

    cost = sum over nets of rate * destinations

counts the packets exactly. For neuron v on core a, ``leave`` is the rate of the nets that only v has on a, ``meet[v,
b]`` that of its nets that have a neuron on b, and ``all`` that of all its nets. So moving v from a to b saves

    gain = leave[v] + meet[v, b] - all[v].

Each move keeps the three up to date: only a net's first and last neuron on a core change them. Rates are integers, so
that no rounding lets the result depend on the order of additions.

Cores are usually full, where no single move is allowed. So a move may overfill a core, which then gives up the neuron
whose departure costs the least, and so on, until none is overfull: a chain. It is undone unless the cost is lower at
its end. Gains and their upkeep are those of Fiduccia and Mattheyses (A linear-time heuristic for improving network
partitions, DAC 1982), with chains in place of passes.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.runtime.jit import kernel

__all__ = ["AXONS_IN", "AXONS_OUT", "BITS", "NET", "NEURON", "NEURONS", "NONE", "PIN", "SLOT", "State", "solve"]

NEURONS, AXONS_IN, AXONS_OUT, BITS = 0, 1, 2, 3
"""Columns of `State.used` and `State.limits`."""

NONE: Any = np.int64(-1)  # of this type, so that Numba compiles each function for one type of argument
ATTEMPTS = 64
"""Neurons that a repair tries to move out of an overfull core before it gives up."""
WORK = 2**32
"""Entries that a refinement looks at, at most: some ten seconds."""
LEAST: Any = np.int64(-(2**62))

NEURON = np.dtype([(name, np.int64) for name in (
    "core",
    "best",  # core that it would best go to; NONE: to be looked for
    "after", "before",  # neighbours in the list of its core's neurons
    "own",  # net of its own spikes, or NONE
    "first", "stop",  # its entries in `pins`
    "leave", "all",  # rates of nets
    "bits", "axons_out",  # what it takes wherever it is
)])  # fmt: skip

NET = np.dtype([(name, np.int64) for name in (
    "rate",
    "source",  # neuron whose spikes it carries, or NONE if that is not among those to place
    "first", "stop",  # its entries in `targets`
    "slot", "destinations",  # its destinations are so many slots from there on, in no order
)])  # fmt: skip

PIN = np.dtype([("net", np.int64), ("synapses", np.int64)])

SLOT = np.dtype([(name, np.int64) for name in (
    "core", "neurons", "synapses",
    "sum",  # of the neurons' numbers: where there is one neuron, which one
)])  # fmt: skip


class State(NamedTuple):
    """A partition with all that a move needs: n neurons, m nets, k cores."""

    neurons: npt.NDArray[Any]  # (n,) NEURON
    nets: npt.NDArray[Any]  # (m,) NET
    targets: npt.NDArray[np.int64]  # neurons of each net
    pins: npt.NDArray[Any]  # PIN: nets of each neuron
    slots: npt.NDArray[Any]  # SLOT
    meet: npt.NDArray[np.int64]  # (n, k)
    heads: npt.NDArray[np.int64]  # (k,) first neuron of each core, or NONE
    used: npt.NDArray[np.int64]  # (k, 4)
    limits: npt.NDArray[np.int64]  # (4,)
    row_bits: npt.NDArray[np.int64]  # bits of the synapses of one net on one core, by their number
    cost: npt.NDArray[np.int64]  # (2,): the cost, and the work that was done for it, in entries looked at


@kernel
def slot_of(s: Any, net: int, core: int) -> Any:
    """Where a net's entry for a core is; NONE if the core is no destination."""
    first = s.nets[net].slot
    s.cost[1] += s.nets[net].destinations
    for slot in range(first, first + s.nets[net].destinations):
        if s.slots[slot].core == core:
            return slot
    return NONE


@kernel
def arrive(s: Any, v: int, core: int) -> None:
    """Put a neuron that is on no core on `core`."""
    for entry in range(s.neurons[v].first, s.neurons[v].stop):
        net, synapses = s.pins[entry].net, s.pins[entry].synapses
        at = slot_of(s, net, core)
        if at == NONE:
            at = s.nets[net].slot + s.nets[net].destinations
            s.slots[at].core = core
            s.slots[at].neurons = 0
            s.slots[at].synapses = 0
            s.slots[at].sum = 0
            _destination(s, net, v, core, np.int64(1))
        elif s.slots[at].neurons == 1:
            s.neurons[s.slots[at].sum].leave -= s.nets[net].rate
        s.slots[at].neurons += 1
        s.slots[at].sum += v
        before = s.slots[at].synapses
        s.slots[at].synapses = before + synapses
        s.used[core, BITS] += s.row_bits[before + synapses] - s.row_bits[before]
    s.used[core, NEURONS] += 1
    s.used[core, BITS] += s.neurons[v].bits
    s.used[core, AXONS_OUT] += s.neurons[v].axons_out
    own = s.neurons[v].own
    if own != NONE:
        s.used[core, AXONS_OUT] += s.nets[own].destinations
    s.neurons[v].core = core
    s.neurons[v].best = NONE
    s.neurons[v].before = NONE
    s.neurons[v].after = s.heads[core]
    if s.heads[core] != NONE:
        s.neurons[s.heads[core]].before = v
    s.heads[core] = v


@kernel
def depart(s: Any, v: int) -> None:
    """Take a neuron off its core."""
    core = s.neurons[v].core
    s.used[core, NEURONS] -= 1
    s.used[core, BITS] -= s.neurons[v].bits
    s.used[core, AXONS_OUT] -= s.neurons[v].axons_out
    own = s.neurons[v].own
    if own != NONE:
        s.used[core, AXONS_OUT] -= s.nets[own].destinations
    s.neurons[v].core = NONE
    for entry in range(s.neurons[v].first, s.neurons[v].stop):
        net, synapses = s.pins[entry].net, s.pins[entry].synapses
        at = slot_of(s, net, core)
        s.slots[at].neurons -= 1
        s.slots[at].sum -= v
        before = s.slots[at].synapses
        s.slots[at].synapses = before - synapses
        s.used[core, BITS] -= s.row_bits[before] - s.row_bits[before - synapses]
        if s.slots[at].neurons == 1:
            s.neurons[s.slots[at].sum].leave += s.nets[net].rate
        elif s.slots[at].neurons == 0:
            last = s.nets[net].slot + s.nets[net].destinations - 1
            s.slots[at].core = s.slots[last].core
            s.slots[at].neurons = s.slots[last].neurons
            s.slots[at].synapses = s.slots[last].synapses
            s.slots[at].sum = s.slots[last].sum
            _destination(s, net, v, core, np.int64(-1))
    after, before = s.neurons[v].after, s.neurons[v].before
    if before != NONE:
        s.neurons[before].after = after
    else:
        s.heads[core] = after
    if after != NONE:
        s.neurons[after].before = before


@kernel
def _destination(s: Any, net: int, v: int, core: int, sign: int) -> None:
    """Neuron v makes a core a destination of a net (sign 1), or was the last to do so (-1)."""
    rate = sign * s.nets[net].rate
    s.nets[net].destinations += sign
    s.cost[0] += rate
    s.cost[1] += s.nets[net].stop - s.nets[net].first
    s.neurons[v].leave += rate
    s.used[core, AXONS_IN] += sign
    source = s.nets[net].source
    if source != NONE and s.neurons[source].core != NONE:
        s.used[s.neurons[source].core, AXONS_OUT] += sign
    for entry in range(s.nets[net].first, s.nets[net].stop):
        u = s.targets[entry]
        s.meet[u, core] += rate
        best = s.neurons[u].best
        if best == core:
            if sign < 0:
                s.neurons[u].best = NONE
        elif best != NONE and s.neurons[u].core != core and s.meet[u, core] > s.meet[u, best]:
            s.neurons[u].best = core


@kernel
def best_of(s: Any, v: int) -> Any:
    """The other core that a neuron would best go to; NONE if there is no other."""
    if s.neurons[v].best == NONE:
        own, found = s.neurons[v].core, NONE
        for core in range(s.used.shape[0]):
            if core != own and (found == NONE or s.meet[v, core] > s.meet[v, found]):
                found = core
        s.neurons[v].best = found
    return s.neurons[v].best


@kernel
def first_overfull(s: Any) -> Any:
    """The first core that holds more than it can, or NONE."""
    for core in range(s.used.shape[0]):
        for r in range(s.limits.size):
            if s.used[core, r] > s.limits[r]:
                return core
    return NONE


@kernel
def has_room(s: Any, core: int) -> bool:
    """Whether a core is full in nothing. Whether a neuron fits is known only once it is there."""
    for r in range(s.limits.size):  # noqa: SIM110 - Numba does not compile all() of a generator
        if s.used[core, r] >= s.limits[r]:
            return False
    return True


@kernel
def excess(s: Any) -> float:
    """By how much all cores together exceed the limits, each as a part of the limit."""
    total = 0.0
    for core in range(s.used.shape[0]):
        for r in range(s.limits.size):
            if s.used[core, r] > s.limits[r]:
                total += (s.used[core, r] - s.limits[r]) / s.limits[r]
    return total


@kernel
def grow(s: Any) -> None:
    """Place all neurons, core after core: next to come is who shares the most with the core already.

    A core takes its even share of the neurons, or less where it is full. Who is left goes to the last core.
    """
    n, k = s.neurons.size, s.used.shape[0]
    placed, seed = 0, 0
    for core in range(k):
        share = (n - placed + k - core - 1) // (k - core)
        queue = [(0, 0)]
        queue.pop()
        while share > 0:
            v = NONE
            while len(queue) and v == NONE:
                known, u = heapq.heappop(queue)
                if s.neurons[u].core == NONE and -known == s.meet[u, core]:
                    v = u
            while v == NONE and seed < n:
                if s.neurons[seed].core == NONE:
                    v = seed
                else:
                    seed += 1
            if v == NONE:
                return
            arrive(s, v, core)
            if core < k - 1 and first_overfull(s) != NONE:
                depart(s, v)
                break
            placed += 1
            share -= 1
            for entry in range(s.neurons[v].first, s.neurons[v].stop):
                net = s.pins[entry].net
                if s.slots[slot_of(s, net, core)].neurons == 1:
                    for other in range(s.nets[net].first, s.nets[net].stop):
                        u = s.targets[other]
                        if s.neurons[u].core == NONE:
                            heapq.heappush(queue, (-s.meet[u, core], u))
    for v in range(n):
        if s.neurons[v].core == NONE:
            arrive(s, v, k - 1)


@kernel
def chain(s: Any, v: int, target: int, moved: Any, stamp: int, log: Any) -> bool:
    """Move v to `target`, and what that pushes out; undone, and False, unless the cost is lower at the end."""
    home, start, length = s.neurons[v].core, s.cost[0], 0
    u, to = v, target
    while u != NONE and length < log.shape[0]:
        log[length, 0], log[length, 1] = u, s.neurons[u].core
        length += 1
        moved[u] = stamp
        depart(s, u)
        arrive(s, u, to)
        full = first_overfull(s)
        if full == NONE:
            if s.cost[0] < start:
                return True
            break
        # Who leaves: one for whom there is room elsewhere, if that ends the chain with a gain; else the cheapest.
        u = to = last = end = NONE
        most = highest = LEAST
        w = s.heads[full]
        while w != NONE:
            if moved[w] != stamp:
                best, base = best_of(s, w), s.neurons[w].leave - s.neurons[w].all
                gain = base + s.meet[w, best]
                if gain > most or (gain == most and w < u):
                    most, u, to = gain, w, best
                if (gain > highest or (gain == highest and w < last)) and has_room(s, best):
                    highest, last, end = gain, w, best
                if home != full and has_room(s, home):
                    gain = base + s.meet[w, home]
                    if gain > highest or (gain == highest and w < last):
                        highest, last, end = gain, w, home
            w = s.neurons[w].after
        if last != NONE and s.cost[0] - highest < start:
            u, to = last, end
    for i in range(length - 1, -1, -1):
        depart(s, log[i, 0])
        arrive(s, log[i, 0], log[i, 1])
    return False


@kernel
def improve(s: Any, passes: int, depth: int) -> int:
    """Start chains from every neuron, best first, until a pass saves less than a thousandth; returns how many stay."""
    n, kept, stamp = s.neurons.size, 0, 0
    moved, log = np.zeros(n, np.int64), np.zeros((depth, 2), np.int64)
    for _ in range(passes):
        before = s.cost[0]
        queue = [(s.neurons[v].all - s.neurons[v].leave - s.meet[v, best_of(s, v)], v) for v in range(n)]
        heapq.heapify(queue)
        while len(queue) and s.cost[1] < WORK:
            _, v = heapq.heappop(queue)
            stamp += 1
            if chain(s, v, best_of(s, v), moved, stamp, log):
                kept += 1
        if (before - s.cost[0]) * 1000 <= before:
            break
    return kept


@kernel
def repair(s: Any) -> bool:
    """Move neurons out of overfull cores at the least cost; whether none is overfull at the end."""
    moved, stamp = np.zeros(s.neurons.size, np.int64), 0
    while True:
        full = first_overfull(s)
        if full == NONE:
            return True
        stamp += 1
        before = excess(s)
        for attempt in range(ATTEMPTS + 1):
            v = to = NONE
            most = LEAST
            w = s.heads[full]
            while w != NONE:
                if moved[w] != stamp:
                    for core in range(s.used.shape[0]):
                        gain = s.neurons[w].leave + s.meet[w, core] - s.neurons[w].all
                        if core != full and (gain > most or (gain == most and w < v)) and has_room(s, core):
                            most, v, to = gain, w, core
                w = s.neurons[w].after
            if v == NONE or attempt == ATTEMPTS:
                return False
            moved[v] = stamp
            depart(s, v)
            arrive(s, v, to)
            if excess(s) < before:
                break
            depart(s, v)
            arrive(s, v, full)


@kernel
def solve(s: Any, start: Any, passes: int, depth: int) -> bool:
    """Place all neurons, within the limits and then with few packets; whether the limits could be kept.

    Parameters
    ----------
    s : State
        In which no neuron is on a core.
    start : (n,) int64 array
        Core of each neuron to begin with; empty: cores are grown.
    passes, depth : int
        Passes of the refinement, and moves in a chain, at most.
    """
    if start.size:
        for v in range(start.size):
            arrive(s, v, start[v])
    else:
        grow(s)
    for r in range(s.limits.size):
        if s.used[:, r].sum() > s.limits[r] * s.used.shape[0]:  # limits are up to 2^53: no overflow
            return False
    if not repair(s):
        return False
    if passes > 0 and s.used.shape[0] > 1:
        improve(s, passes, depth)
    return True
