"""Figures of a run: heat-map sheets, spike rasters, spikes per step, and a web page that works offline.

Importing this package does not import matplotlib; the functions that draw do.
"""

from __future__ import annotations

from neurosam.report.diagram import diagram
from neurosam.report.figures import heat_sheet, sample_sheet, save, show, signed_overlay
from neurosam.report.film import Film
from neurosam.report.model import Beside, Cell, NeuronKind, Picture, Report, Sample, Table
from neurosam.report.page import write_page
from neurosam.report.raster import raster, spikes_per_step
from neurosam.report.samples import from_recording, neuron_kinds, record_neurons

__all__ = [
    "Beside",
    "Cell",
    "Film",
    "NeuronKind",
    "Picture",
    "Report",
    "Sample",
    "Table",
    "diagram",
    "from_recording",
    "heat_sheet",
    "neuron_kinds",
    "raster",
    "record_neurons",
    "sample_sheet",
    "save",
    "show",
    "signed_overlay",
    "spikes_per_step",
    "write_page",
]
