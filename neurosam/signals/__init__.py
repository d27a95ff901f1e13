"""What goes into a network and what comes out: events, recordings, and pictures encoded on the way in."""

from neurosam.signals.events import CODINGS, Events, encode
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam.signals.stimulus import Stimulus

__all__ = ["CODINGS", "Events", "Record", "Recording", "Spikes", "Stimulus", "encode"]
