"""Room for traces and sums: what cores use with them, by the chip's own formulas (resources/).

A core that would break a limit of the chip with a sum, and keeps it without, gets no sum. What is left over cannot be
helped by placing sums elsewhere: traces stand with their neurons, and take memory there (`limits.memory_per_core`);
messages need axons at their senders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from neurosam_hw.cost.sam.maps import map_names, place_maps
from neurosam_hw.cost.sam.state import TraceState
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.resources.cores import use
from neurosam_hw.resources.use import Excess, Use, excesses

__all__ = ["fit_maps", "no_room", "use_with_traces"]


def use_with_traces(mapping: CoreMapping, states: Mapping[str, TraceState]) -> list[Use]:
    """What each core uses, the traces of these layers included."""
    found = use(mapping)
    for layer, state in states.items():
        pieces = mapping.pieces_of(layer)
        for core in {piece.core for piece in pieces}:
            size = sum(piece.size for piece in pieces if piece.core == core)
            bits = found[core].memory_bits + size * state.neuron_bits + state.table_bits
            found[core] = replace(found[core], memory_bits=bits)
    return found


def fit_maps(mapping: CoreMapping, states: Mapping[str, TraceState]) -> CoreMapping:
    """The mapping with the sums of these layers (:func:`place_maps`), none where they would break a limit.

    Parameters
    ----------
    mapping : CoreMapping
    states : mapping of str to TraceState
        By layer.
    """
    before = use_with_traces(mapping, states)
    full: set[int] = set()
    while True:
        placed = place_maps(mapping, tuple(states), full)
        after = use_with_traces(placed, states)
        sums = set(map_names(mapping.network, states).values())
        holding = {piece.core for piece in placed.pieces if piece.population in sums and piece.core < mapping.cores}
        new = {core for core in holding if _worse(placed, core, before[core], after[core])}
        if not new:
            return placed
        full |= new


def no_room(mapping: CoreMapping, placed: CoreMapping, states: Mapping[str, TraceState]) -> dict[int, list[Excess]]:
    """By core, what is too much with traces and sums, and is not without."""
    before, after = use(mapping), use_with_traces(placed, states)
    found = {}
    for core, used in enumerate(after):
        known = {item.what for item in _excesses(mapping, core, before[core])} if core < mapping.cores else set()
        new = [item for item in _excesses(placed, core, used) if item.what not in known]
        if new:
            found[core] = new
    return found


def _worse(mapping: CoreMapping, core: int, before: Use, after: Use) -> bool:
    """Whether a core has more of something of which it has too much."""
    return any(item.used > getattr(before, item.what) for item in _excesses(mapping, core, after))


def _excesses(mapping: CoreMapping, core: int, used: Use) -> list[Excess]:
    return excesses(used, mapping.chip, int(mapping.positions[core, 1]))
