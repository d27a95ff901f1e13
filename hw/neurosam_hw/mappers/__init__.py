"""From a network to a mapping: populations are cut into pieces, and the pieces' cores get places on the chip."""

from neurosam_hw.mappers.build import map_in_order, map_network
from neurosam_hw.mappers.nets import Nets
from neurosam_hw.mappers.partition import Partition, Room, partition
from neurosam_hw.mappers.place import place
from neurosam_hw.mappers.traffic import Ways, ways

__all__ = ["Nets", "Partition", "Room", "Ways", "map_in_order", "map_network", "partition", "place", "ways"]
