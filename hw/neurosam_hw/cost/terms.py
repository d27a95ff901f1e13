"""Which counts meet which figures of a chip, for energy and for time alike.

Chips state their figures in different ways: Loihi's table has active and inactive neurons, SANA-FE an access, an update
and a spike. So each cause has alternatives, and a chip takes the first one of which its file has all figures; where it
has none, the one that its file comes closest to (the shorter of two), so that what is missing has a name.

    cause       alternatives: count times figure
    synapses    deliveries of each kind x synapse_dense, synapse_sparse, synapse_convolution
                deliveries x synaptic_operation
    neurons     neuron_steps x neuron_access + active x neuron_update + spikes x spike
                active x neuron_update_active + idle x neuron_update_inactive
    packets     packets x axon_out + messages x axon_in
                in_tile x spike_in_tile
    hops        hops_east_west x hop_east_west + hops_north_south x hop_north_south
                hops x hop
    crossings   crossings x hop_between_chips
    traces      trace_updates x trace_update + trace_reads x trace_read; in runs with SAM alone (sam/)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure
from neurosam_hw.chips.keys import SECTIONS

__all__ = ["CAUSES", "Term", "counted", "terms"]

Alternative = tuple[tuple[str, str], ...]

CAUSES: dict[str, tuple[Alternative, ...]] = {
    "synapses": (
        (
            ("deliveries_dense", "synapse_dense"),
            ("deliveries_sparse", "synapse_sparse"),
            ("deliveries_convolution", "synapse_convolution"),
        ),
        (("deliveries", "synaptic_operation"),),
    ),
    "neurons": (
        (("neuron_steps", "neuron_access"), ("active", "neuron_update"), ("spikes", "spike")),
        (("active", "neuron_update_active"), ("idle", "neuron_update_inactive")),
    ),
    "packets": (
        (("packets", "axon_out"), ("messages", "axon_in")),
        (("in_tile", "spike_in_tile"),),
    ),
    "hops": (
        (("hops_east_west", "hop_east_west"), ("hops_north_south", "hop_north_south")),
        (("hops", "hop"),),
    ),
    "crossings": ((("crossings", "hop_between_chips"),),),
    "traces": ((("trace_updates", "trace_update"), ("trace_reads", "trace_read")),),
}
"""Alternatives of each cause: names of counts (counts.py) and keys of figures (chips/keys.py)."""


@dataclass(frozen=True)
class Term:
    """A count and what each of it costs."""

    cause: str
    count: str
    figure: Figure


def counted(term: Term, counts: Mapping[str, Any]) -> bool:
    """Whether a term has a place in a sum: those of traces do in runs with SAM alone, which count them."""
    return term.cause != "traces" or term.count in counts


def terms(chip: Chip, section: str, causes: tuple[str, ...] = tuple(CAUSES)) -> tuple[Term, ...]:
    """The terms of some causes, as a chip states them.

    Parameters
    ----------
    chip : Chip
    section : {"energy", "time"}
    causes : tuple of str

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.cost.terms import terms
    >>> for term in terms(load_chip("loihi1"), "energy", ("neurons", "hops")):
    ...     print(term.cause, term.count, term.figure)
    neurons active 81 pJ (pre-silicon, per-term)
    neurons idle 52 pJ (pre-silicon, per-term)
    hops hops_east_west 3.0 pJ (pre-silicon, per-term)
    hops hops_north_south 4.0 pJ (pre-silicon, per-term)
    """
    return tuple(
        Term(cause, count, chip.figure(f"{section}.{key}"))
        for cause in causes
        for count, key in _closest(chip, section, CAUSES[cause])
    )


def _closest(chip: Chip, section: str, alternatives: tuple[Alternative, ...]) -> Alternative:
    """The first alternative whose figures are all known; else that of which the file says most."""
    possible = [a for a in alternatives if all(key in SECTIONS[section] for _, key in a)]

    def said(alternative: Alternative) -> tuple[bool, int, int, int]:
        names = [f"{section}.{key}" for _, key in alternative]
        known = sum(chip.figure(name).known for name in names)
        return known == len(names), known, sum(name in chip.figures for name in names), -len(names)

    return max(possible, key=said)
