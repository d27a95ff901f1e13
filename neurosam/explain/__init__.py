"""Spike activation maps: how they are computed, combined, drawn over a picture, and held against an object's mask."""

from neurosam.explain.maps import aggregate, normalise, overlay, upsample
from neurosam.explain.sam import SAM, from_spikes

__all__ = ["SAM", "aggregate", "from_spikes", "normalise", "overlay", "upsample"]
