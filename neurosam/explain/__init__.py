"""Spike activation maps: computing them, aggregating them, drawing them over an image, and scoring them on masks."""

from neurosam.explain.maps import aggregate, normalise, overlay, upsample
from neurosam.explain.sam import SAM, from_spikes

__all__ = ["SAM", "aggregate", "from_spikes", "normalise", "overlay", "upsample"]
