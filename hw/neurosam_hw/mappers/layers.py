"""A layer a core, on chips whose cores differ in memory (Speck): each population gets a core that is large enough."""

from __future__ import annotations

import numpy as np

from neurosam.network.network import Network
from neurosam.network.synapse import as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.cores import Demand
from neurosam_hw.resources.figures import number
from neurosam_hw.resources.use import excesses

__all__ = ["map_layers"]


def map_layers(network: Network, chip: Chip) -> CoreMapping:
    """The mapping of a network whose layers each take one core; inputs come from outside.

    Raises
    ------
    MappingError
        If a layer is larger than every core, or more layers need large cores than there are.
    """
    cores = number(chip, "limits.cores") or 0
    demand = Demand(network, chip)
    layers = [p for p in network.populations if p.neuron is not None]
    pieces = [Piece(p.name, n, ((0, c), (0, h), (0, w))) for n, p in enumerate(layers) for c, h, w in [as_chw(p.shape)]]
    uses = [demand.of((piece,)) for piece in pieces]
    fitting = [[core for core in range(cores) if not excesses(use, chip, core)] for use in uses]
    for layer, use, some in zip(layers, uses, fitting, strict=True):
        if not some:
            core = min(range(cores), key=lambda core: sum(e.used / e.allowed for e in excesses(use, chip, core)))
            what, used, limit = excesses(use, chip, core)[0]
            raise MappingError(
                f"population {layer.name!r}",
                f"needs {used:,} numbers of {what.replace('_', ' ')}; the best core of {chip.name} has {limit:,}. "
                "Use fewer channels, or a stride",
            )
    owner: dict[int, int] = {}
    for n in range(len(layers)):
        if not _seat(n, fitting, owner, set()):
            raise MappingError(
                f"population {layers[n].name!r}",
                f"finds no core left: {chip.name} has {cores}, of which {len(fitting[n])} could hold it. "
                "Use fewer layers, or fewer channels in some",
            )
    core_of = {n: core for core, n in owner.items()}
    positions = np.array([[0, core_of[n]] for n in range(len(layers))], dtype=np.int64)
    return CoreMapping(network, chip, tuple(pieces), positions)


def _seat(layer: int, fitting: list[list[int]], owner: dict[int, int], tried: set[int]) -> bool:
    """Give a layer a core, moving others where that helps (augmenting paths)."""
    for core in fitting[layer]:
        if core not in tried:
            tried.add(core)
            if core not in owner or _seat(owner[core], fitting, owner, tried):
                owner[core] = layer
                return True
    return False
