"""What goes into a network and what comes out: events, images encoded as events, and recordings."""

from neurosam.signals.events import CODINGS, Events, encode
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam.signals.stimulus import Stimulus

__all__ = ["CODINGS", "Events", "Record", "Recording", "Spikes", "Stimulus", "encode"]
