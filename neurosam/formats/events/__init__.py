"""Recordings of event cameras: files, arrays and data sets, as the input of a network."""

from neurosam.formats.events.binning import Tally
from neurosam.formats.events.read import chunks, from_array, from_dataset, open_recording, read_events_file
from neurosam.formats.events.rules import EventRules

__all__ = ["EventRules", "Tally", "chunks", "from_array", "from_dataset", "open_recording", "read_events_file"]
