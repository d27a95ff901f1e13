"""Spike activation maps: computing them, aggregating them, drawing them over an image, and scoring them on masks."""

from neurosam.explain.maps import aggregate, normalise, overlay, upsample
from neurosam.explain.narrow_trace import NarrowTrace, collapse_bits, loihi_trace, narrow_maps, narrow_trace
from neurosam.explain.sam import SAM, from_spikes

__all__ = [
    "SAM",
    "NarrowTrace",
    "aggregate",
    "collapse_bits",
    "from_spikes",
    "loihi_trace",
    "narrow_maps",
    "narrow_trace",
    "normalise",
    "overlay",
    "upsample",
]
