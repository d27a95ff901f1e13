"""What each core of a mapping uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.arrival import Part, Senders
from neurosam_hw.resources.fan_in import fan_in
from neurosam_hw.resources.figures import number
from neurosam_hw.resources.layers import layer_memory, takes_layers
from neurosam_hw.resources.profiles import Profiles
from neurosam_hw.resources.rows import SynapseFormat
from neurosam_hw.resources.use import Excess, Limits, Use
from neurosam_hw.resources.wiring import Wiring

__all__ = ["Demand", "Extra", "axons_out", "parts", "use"]

Counts = npt.NDArray[np.int64]

STATE_BITS = 24
"""Width of a membrane, or current, in the deployed network, for chips that do not say what they have."""


class Extra(NamedTuple):
    """Memory that neurons of a population take beside their membranes and currents, such as traces (cost/sam/).

    Parameters
    ----------
    neuron_bits : int
        Of each neuron.
    core_bits : int
        Of each core that holds some of them.
    """

    neuron_bits: int
    core_bits: int


def use(mapping: CoreMapping, extra: Mapping[str, Extra] | None = None) -> list[Use]:
    """What each core uses.

    Parameters
    ----------
    mapping : CoreMapping
    extra : mapping of str to Extra, optional
        Memory that is kept free, by population.

    Returns
    -------
    list of Use
        By logical core.

    Raises
    ------
    MappingError
        If the network has no schedule on a chip (a cycle with fewer steps than hops).

    Examples
    --------
    A layer of 20 neurons with 100 inputs, on one core: 100 lists of 20 synapses of 8 bits, rounded up to 192.

    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> net = ns.Network(
    ...     [ns.Population("in", (100,)), ns.Population("out", (20,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.full((20, 100), 101, np.int8)))],
    ... )
    >>> (core,) = use(CoreMapping(net, load_chip("loihi1"), (Piece("out", 0, ((0, 20), (0, 1), (0, 1))),)))
    >>> core.neurons, core.axons_in, core.synapses, core.synapse_bits, core.fan_in
    (20, 100, 2000, 19200, 100)
    """
    demand = Demand(mapping.network, mapping.chip, extra)
    out, destinations = _sent(mapping, demand.wiring)
    return [
        replace(demand.of(mapping.pieces_on(core)), axons_out=int(out[core]), destinations=int(destinations[core]))
        for core in range(mapping.cores)
    ]


class Demand:
    """What pieces of a network need on a core of a chip.

    Parameters
    ----------
    network : Network
    chip : Chip
    extra : mapping of str to Extra, optional
        Memory that is kept free, by population.
    """

    def __init__(self, network: Network, chip: Chip, extra: Mapping[str, Extra] | None = None) -> None:
        self.network, self.chip, self.extra = network, chip, extra or {}
        self.wiring = Wiring(network, chip)
        self.profiles = {p.name: Profiles(p) for p in network.populations}
        self.fans = {p.name: fan_in(network, p.name) for p in network.populations}
        self.limits = Limits.of(chip)
        self._layers = takes_layers(chip)
        self.neuron_bits = {p.name: self._neuron_bits(p) for p in network.populations}

    def excesses(self, pieces: Sequence[Piece]) -> list[Excess]:
        """What a core with these pieces would have too much of, output axons aside; for chips whose cores are alike."""
        return self.limits.exceeded(self.of(pieces))

    def of(self, pieces: Sequence[Piece]) -> Use:
        """What a core with these pieces uses, without what it needs in order to send."""
        decays: set[tuple[float, ...]] = set()
        thresholds: set[tuple[float, ...]] = set()
        for piece in pieces:
            decay, threshold = self.profiles[piece.population].of(piece)
            decays |= decay
            thresholds |= threshold
        arrivals = [self.wiring.arrival(some) for some in parts(self.wiring, pieces).values()]
        formats = frozenset[SynapseFormat]().union(*(arrival.formats for arrival in arrivals))
        memory = [layer_memory(self.network, piece) for piece in pieces] if self._layers else []
        bits = sum(arrival.bits for arrival in arrivals)
        held = sum(self.extra[name].core_bits for name in {piece.population for piece in pieces} & self.extra.keys())
        return Use(
            neurons=sum(piece.size for piece in pieces),
            synapses=sum(arrival.synapses for arrival in arrivals),
            synapse_bits=bits,
            memory_bits=bits + held + sum(piece.size * self.neuron_bits[piece.population] for piece in pieces),
            axons_in=sum(arrival.axons for arrival in arrivals),
            fan_in=max(_largest(self.fans[piece.population], piece) for piece in pieces),
            decay_profiles=len(decays),
            threshold_profiles=len(thresholds),
            synapse_formats=len(formats),
            kernel_memory=sum(m.kernel for m in memory),
            neuron_memory=sum(m.neurons for m in memory),
            bias_memory=sum(m.biases for m in memory),
        )

    def _neuron_bits(self, population: Population) -> int:
        """Bits of a neuron's membrane and current, which an input has not, and what is kept free beside them."""
        more = self.extra[population.name].neuron_bits if population.name in self.extra else 0
        if population.neuron is None:
            return more
        membrane = number(self.chip, "numbers.membrane_bits") or STATE_BITS
        current = number(self.chip, "numbers.current_bits") or STATE_BITS
        return membrane + (current if population.has_current else 0) + more


def parts(wiring: Wiring, pieces: Sequence[Piece]) -> dict[str, list[Part]]:
    """The synapses onto a core with these pieces, by source; neurons are numbered in the order of the pieces."""
    found: dict[str, list[Part]] = {}
    offset = 0
    for piece in pieces:
        for source, projections in wiring.incoming(piece.population).items():
            found.setdefault(source, []).extend(Part(p, piece, offset) for p in projections)
        offset += piece.size
    return found


def axons_out(core_of: npt.NDArray[np.int32], shape: Shape, cores: int, senders: Senders) -> Counts:
    """Slots that each core needs for what a population sends to one core, ``[cores]``.

    Parameters
    ----------
    core_of : (neurons,) int32 array
        Core of each neuron of the source; below 0 for those outside the chip.
    shape : tuple of int
        Of the source.
    cores : int
    senders : Senders
    """
    if senders.channels is None:
        at = core_of[senders.neurons]
        return np.bincount(at[at >= 0], minlength=cores) * senders.slots
    channels, height, width = as_chw(shape)
    first, stop = senders.channels
    at = core_of.reshape(channels, height * width)[first:stop, senders.neurons]
    pairs = np.unique((at.astype(np.int64) * (height * width) + senders.neurons)[at >= 0])
    return np.bincount(pairs // (height * width), minlength=cores) * senders.slots


def _sent(mapping: CoreMapping, wiring: Wiring) -> tuple[Counts, Counts]:
    """Slots of output axons, and destinations, of each core."""
    out, destinations = np.zeros(mapping.cores, dtype=np.int64), np.zeros(mapping.cores, dtype=np.int64)
    for core in range(mapping.cores):
        senders = np.zeros(mapping.cores, dtype=bool)
        for source, some in parts(wiring, mapping.pieces_on(core)).items():
            at = mapping.core_of(source)
            if at[0] >= 0:
                slots = axons_out(at, mapping.network[source].shape, mapping.cores, wiring.senders(some))
                out += slots
                senders |= slots > 0
        destinations += senders
    return out, destinations


def _largest(fan: Counts, piece: Piece) -> int:
    if piece.box is None:
        return int(fan.reshape(-1)[piece.listed].max())
    return int(fan[tuple(slice(first, stop) for first, stop in piece.box)].max())
