"""From a network to a mapping: populations are cut into pieces, and the pieces' cores get places on the chip."""

from neurosam_hw.mappers.nets import Nets
from neurosam_hw.mappers.partition import Partition, Room, partition
from neurosam_hw.mappers.place import Placement, place

__all__ = ["Nets", "Partition", "Placement", "Room", "partition", "place"]
