"""The price of SAM on a chip: bits, operations, messages, time and energy against the run without it."""

from neurosam_hw.cost.sam.maps import map_names, with_maps
from neurosam_hw.cost.sam.meter import SamMeter, sam_price
from neurosam_hw.cost.sam.place import place_maps
from neurosam_hw.cost.sam.price import LayerPrice, SamPrice
from neurosam_hw.cost.sam.room import trace_room
from neurosam_hw.cost.sam.state import TraceState, fixed_traces, trace_state
from neurosam_hw.cost.sam.tables import sam_document, sam_summary, sam_tables
from neurosam_hw.cost.sam.unit import TraceUnit, trace_unit

__all__ = [
    "LayerPrice", "SamMeter", "SamPrice", "TraceState", "TraceUnit", "fixed_traces", "map_names",
    "place_maps", "sam_document", "sam_price", "sam_summary", "sam_tables", "trace_room",
    "trace_state", "trace_unit", "with_maps",
]  # fmt: skip
