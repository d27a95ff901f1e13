"""Bits that SAM traces take on a chip, proven from the integer trace and the length of the run.

Per traced neuron (network/trace.py has the rule):

    trace   X after a spike: largest when the neuron fires in every step, since the table never rises
    stamp   own step of the last spike, 0..T - 1
    count   in how many steps it has fired, 1..T; the official mode alone reads it

Per pixel of the map a sum of scores over the channels of that pixel, at most ``channels * largest score``; per core
the entries ``K[1] .. K[T - 1]`` of the table that a run of T steps can read (from ``K[0]`` in the official mode), up to
its last, which is 0. All widths are without a sign: nothing here is ever negative.

A trace that a chip updates in every step (Loihi's y1) needs neither stamp nor table: it has the width that the chip
gives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from neurosam._util.arguments import integer
from neurosam.errors import NetworkError
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.network.trace import FixedSamTrace

__all__ = ["TraceState", "fixed_traces", "trace_state"]


@dataclass(frozen=True)
class TraceState:
    """Bits that the trace of one layer takes.

    Parameters
    ----------
    layer : str
    neurons, pixels : int
        Neurons that have a trace, and pixels of their map.
    trace_bits, stamp_bits, count_bits : int
        Per neuron.
    score_bits : int
        Payload of the message that a spike sends.
    sum_bits : int
        Per pixel.
    table_entries, entry_bits : int
        Per core that holds such neurons.
    product_bits : int
        Width that the multiplication of a trace and an entry needs.
    """

    layer: str
    neurons: int
    pixels: int
    trace_bits: int
    stamp_bits: int
    count_bits: int
    score_bits: int
    sum_bits: int
    table_entries: int
    entry_bits: int
    product_bits: int

    @property
    def neuron_bits(self) -> int:
        """State of one neuron."""
        return self.trace_bits + self.stamp_bits + self.count_bits

    @property
    def table_bits(self) -> int:
        """The table, on each core that holds such neurons."""
        return self.table_entries * self.entry_bits

    @property
    def state_bits(self) -> int:
        """State of all neurons and pixels; tables come on top, once a core."""
        return self.neurons * self.neuron_bits + self.pixels * self.sum_bits


def fixed_traces(network: Network, layers: Iterable[str] | None = None) -> dict[str, FixedSamTrace]:
    """The integer traces of a network, of these layers if given.

    Raises
    ------
    NetworkError
        If there is none, a layer has none, or it is a float one.
    """
    names = tuple(network.sam if layers is None else layers)
    if not names:
        raise NetworkError("SAM", "the network has no traces; add them with Network.with_sam")
    found = {}
    for name in names:
        trace = network.sam.get(network[name].name)
        if trace is None:
            having = ", ".join(network.sam) or "none"
            raise NetworkError(f"SAM: layer {name!r}", f"has no trace; layers with one: {having}. Add it with with_sam")
        if not isinstance(trace, FixedSamTrace):
            raise NetworkError(
                f"SAM: layer {name!r}", "has a float trace, whose bits no chip defines; export the network at 8 bits"
            )
        found[name] = trace
    return found


def trace_state(network: Network, layer: str, steps: int) -> TraceState:
    """What the trace of a layer takes in a run of `steps`.

    Raises
    ------
    NetworkError
        If the layer has no integer trace, or the map could exceed 24 bits in that many steps.

    Examples
    --------
    >>> from neurosam_hw.cost.sam import trace_state
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 6, 6)), ns.Population("conv1", (8, 4, 4), ns.FixedLIF(410, 64))],
    ...     [ns.Projection("in", "conv1", ns.Conv2d(np.ones((8, 1, 3, 3), np.int8)))],
    ...     sam={"conv1": ns.FixedSamTrace(table=[8, 4, 2, 1, 0], shift=3, impulse=8)},
    ... )
    >>> state = trace_state(net, "conv1", steps=10)
    >>> state.trace_bits, state.stamp_bits, state.score_bits, state.sum_bits  # 8 + 7, 0..9, 7, 8 * 7
    (4, 4, 3, 6)
    >>> state.neurons * state.neuron_bits, state.pixels * state.sum_bits, state.table_bits
    (1024, 96, 12)
    """
    integer("steps", steps, 1, 2**31 - 1)
    trace = fixed_traces(network, (layer,))[layer]
    population = network[layer]
    channels, height, width = as_chw(population.shape)
    spikes = population.largest_event
    trace.check(f"SAM: layer {layer!r}", channels, steps, spikes)
    official = trace.mode == "official"
    largest = replace(trace, mode="inclusive").largest(steps, spikes) // spikes
    score = trace.largest(steps, spikes)
    read = trace.table[0 if official else 1 : max(steps, 1)]
    entry = int(read.max(initial=0))
    times = np.arange(min(steps, trace.table.size))
    waiting = int((times * trace.impulse * trace.table[times]).max()) if official else 0
    return TraceState(
        layer=layer,
        neurons=neurons(population.shape),
        pixels=height * width,
        trace_bits=largest.bit_length(),
        stamp_bits=(steps - 1).bit_length(),
        count_bits=steps.bit_length() if official else 0,
        score_bits=score.bit_length(),
        sum_bits=(channels * score).bit_length(),
        table_entries=int(read.size),
        entry_bits=entry.bit_length(),
        product_bits=max(largest * entry, waiting).bit_length(),
    )
