"""Counts under the names that the terms use, and their sums over samples, steps and layers.

deliveries        of all kinds of synapses together
hops_east_west    hops_east + hops_west
hops_north_south  hops_north + hops_south
hops              all four
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam_hw.cost.counts import Counts
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import KINDS

__all__ = ["Work", "layers", "work"]

Work = dict[str, npt.NDArray[np.int64] | None]


def work(counts: Counts) -> Work:
    """Arrays ``[S, B, cores]`` by the names of terms.py; None for what was not recorded."""
    east_west = counts.hops_east + counts.hops_west
    north_south = counts.hops_north + counts.hops_south
    found: Work = {f"deliveries_{kind}": counts.deliveries[kind] for kind in KINDS}
    return found | {
        "deliveries": sum(counts.deliveries.values(), start=np.zeros_like(counts.spikes)),
        "neuron_steps": counts.neuron_steps,
        "active": counts.active,
        "idle": counts.idle,
        "spikes": counts.spikes,
        "packets": counts.packets,
        "messages": counts.messages,
        "injected": counts.injected,
        "in_tile": counts.in_tile,
        "hops": east_west + north_south,
        "hops_east_west": east_west,
        "hops_north_south": north_south,
        "crossings": counts.crossings,
    }


def layers(mapping: CoreMapping) -> dict[str, npt.NDArray[np.int64]]:
    """Cores by what they hold: a population, or several that share cores ("conv1, conv2"), in the network's order."""
    order = [p.name for p in mapping.network.populations]
    found: dict[tuple[int, ...], list[int]] = {}
    for core in range(mapping.cores):
        held = sorted({order.index(piece.population) for piece in mapping.pieces_on(core)})
        found.setdefault(tuple(held), []).append(core)
    return {", ".join(order[k] for k in held): np.array(cores) for held, cores in sorted(found.items())}
