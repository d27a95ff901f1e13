"""How full the cores of a mapping are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.resources.cores import use
from neurosam_hw.resources.use import Limits

__all__ = ["STORES", "Utilisation", "utilisation"]

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

STORES = {
    "neurons": "neurons",
    "synapses": "synapses",
    "synapse_bits": "synaptic memory",
    "memory_bits": "memory",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "kernel_memory": "kernel memory",
    "neuron_memory": "neuron memory",
    "bias_memory": "bias memory",
}
"""What a core has a store of, and what it is called."""


@dataclass(frozen=True, eq=False)
class Utilisation:
    """What cores use of what they have.

    Parameters
    ----------
    used, allowed : dict of str to (cores,) int64 array
        By store, for those of which the chip's file gives the size.
    """

    used: dict[str, Counts]
    allowed: dict[str, Counts]

    @property
    def shares(self) -> dict[str, Shares]:
        """Used by allowed, by store."""
        return {name: used / np.maximum(self.allowed[name], 1) for name, used in self.used.items()}

    @property
    def share(self) -> Shares:
        """The largest share of each core: how full it is, ``[cores]``."""
        largest: Shares = np.max(list(self.shares.values()), axis=0)
        return largest

    @property
    def fullest(self) -> list[str]:
        """Which store that is, core by core."""
        names, shares = list(self.used), np.stack(list(self.shares.values()))
        return [names[k] for k in shares.argmax(axis=0)]


def utilisation(mapping: CoreMapping) -> Utilisation:
    """How full the cores are.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mappers.utilisation import utilisation
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> net = ns.Network(
    ...     [ns.Population("in", (100,)), ns.Population("out", (20,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.full((20, 100), 101, np.int8)))],
    ... )
    >>> found = utilisation(CoreMapping(net, load_chip("loihi1"), (Piece("out", 0, ((0, 20), (0, 1), (0, 1))),)))
    >>> found.used["axons_in"], found.allowed["axons_in"], found.fullest
    (array([100]), array([4096]), ['axons_in'])
    """
    uses = use(mapping)
    limits = [dict(Limits.of(mapping.chip, int(core)).known) for _, core in mapping.positions]
    known = [name for name in STORES if all(name in limit for limit in limits)]
    used = {name: np.array([getattr(one, name) for one in uses], dtype=np.int64) for name in known}
    return Utilisation(used, {name: np.array([limit[name] for limit in limits], dtype=np.int64) for name in known})
