"""Room for traces and sums: what cores use with them, by the chip's own formulas (resources/).

Traces stand with their neurons and take memory there (`limits.memory_per_core`); messages need axons at their senders.
Sums are neurons with synapses; the first that makes a core break a limit goes elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.cost.sam.state import TraceState, fixed_traces, trace_state
from neurosam_hw.cost.sam.unit import AT_SPIKES, trace_unit
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.cores import Demand, Extra, use
from neurosam_hw.resources.use import Excess, Use, excesses

__all__ = ["Room", "no_room", "trace_room"]

Index = npt.NDArray[np.int64]


class Room:
    """Cores that take sums as long as they break no limit by it.

    Parameters
    ----------
    mapping : CoreMapping
        Of the network without sums.
    network : Network
        With sums.
    states : mapping of str to TraceState
        By traced layer.
    """

    def __init__(self, mapping: CoreMapping, network: Network, states: Mapping[str, TraceState]) -> None:
        self.mapping, self.network = mapping, network
        self._demand = Demand(network, mapping.chip)
        self._traces = trace_bits(mapping, states)
        self._sums: list[dict[str, Index]] = [{} for _ in range(mapping.cores)]

    @property
    def own(self) -> range:
        """Cores that hold nothing but sums."""
        return range(self.mapping.cores, len(self._sums))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Those of the mapping, and the sums."""
        return (*self.mapping.pieces, *(piece for core in range(len(self._sums)) for piece in self._placed(core)))

    def open(self) -> int:
        """A new core, for sums alone."""
        self._sums.append({})
        return len(self._sums) - 1

    def take(self, core: int, name: str, pixels: Index) -> Index:
        """Put some sums of a map on a core, from the first on, as far as it has room; what is left.

        An empty core takes one at least.
        """
        low, high = 0, pixels.size + 1
        while high - low > 1:
            middle = pixels.size if high > pixels.size else (low + high) // 2  # all, in most cases
            low, high = (middle, high) if self._fits(core, name, pixels[:middle]) else (low, middle)
        if not low and core in self.own and not self._sums[core]:
            low = min(1, pixels.size)
        if low:
            self._sums[core][name] = self._with(core, name, pixels[:low])
        return pixels[low:]

    def _with(self, core: int, name: str, pixels: Index) -> Index:
        held = self._sums[core].get(name)
        return pixels if held is None else np.sort(np.concatenate((held, pixels)))

    def _fits(self, core: int, name: str, pixels: Index) -> bool:
        """Whether a core breaks no limit with these sums that it keeps without any."""
        if not pixels.size:
            return True
        used = self._use(core, self._placed(core, name, pixels))
        before = self._use(core, ()) if core not in self.own else Use()
        over = excesses(used, self.mapping.chip, self._place(core))
        return all(item.used <= getattr(before, item.what) for item in over)

    def _use(self, core: int, sums: Iterable[Piece]) -> Use:
        """What a core uses with its traces and these sums, but for what it needs in order to send."""
        if core in self.own:
            return self._demand.of(tuple(sums))
        used = self._demand.of((*self.mapping.pieces_on(core), *sums))
        return replace(used, memory_bits=used.memory_bits + int(self._traces[core]))

    def _placed(self, core: int, name: str = "", pixels: Index | None = None) -> list[Piece]:
        """The sums on a core, with further ones if given; boxes where they are, so that shared kernels stay shared."""
        held = dict(self._sums[core])
        if pixels is not None:
            held[name] = self._with(core, name, pixels)
        return [_piece(sums, core, some, as_chw(self.network[sums].shape)[2]) for sums, some in held.items()]

    def _place(self, core: int) -> int:
        """The core's number on its chip, as far as it is known."""
        return 0 if core in self.own else int(self.mapping.positions[core, 1])


def trace_room(network: Network, chip: Chip, steps: int) -> dict[str, Extra]:
    """Memory for the traces of all layers in a run of `steps`, to be kept free by a mapper (map_network)."""
    if trace_unit(chip).way != AT_SPIKES:
        return {}
    states = {layer: trace_state(network, layer, steps) for layer in fixed_traces(network)}
    return {layer: Extra(state.neuron_bits, state.table_bits) for layer, state in states.items()}


def no_room(mapping: CoreMapping, placed: CoreMapping, states: Mapping[str, TraceState]) -> dict[int, list[Excess]]:
    """By core, what is too much with traces and sums, and is not without.

    Parameters
    ----------
    mapping, placed : CoreMapping
        Without and with sums.
    states : mapping of str to TraceState
        By traced layer.
    """
    before, after, traces = use(mapping), use(placed), trace_bits(placed, states)
    found = {}
    for core, used in enumerate(after):
        number = int(placed.positions[core, 1])
        known = {item.what for item in excesses(before[core], mapping.chip, number)} if core < mapping.cores else set()
        with_traces = replace(used, memory_bits=used.memory_bits + int(traces[core]))
        new = [item for item in excesses(with_traces, mapping.chip, number) if item.what not in known]
        if new:
            found[core] = new
    return found


def _piece(name: str, core: int, pixels: Index, width: int) -> Piece:
    rows, columns = np.divmod(pixels, width)
    sides = (int(rows[0]), int(rows[-1]) + 1), (int(columns.min()), int(columns.max()) + 1)
    if (sides[0][1] - sides[0][0]) * (sides[1][1] - sides[1][0]) == pixels.size:
        return Piece(name, core, box=((0, 1), *sides))
    return Piece(name, core, neurons=pixels)


def trace_bits(mapping: CoreMapping, states: Mapping[str, TraceState]) -> Index:
    """Memory of the traces on each core, with their tables; sums are neurons, and not in it."""
    found = np.zeros(mapping.cores, dtype=np.int64)
    for layer, state in states.items():
        pieces = mapping.pieces_of(layer)
        for piece in pieces:
            found[piece.core] += piece.size * state.neuron_bits
        found[list({piece.core for piece in pieces})] += state.table_bits
    return found
