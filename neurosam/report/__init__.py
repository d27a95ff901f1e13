"""Figures of a run: heat-map sheets, spike rasters, spikes per step, and a web page that works offline.

Importing this package does not import matplotlib; the functions that draw do.
"""

from __future__ import annotations

from neurosam.report.diagram import diagram
from neurosam.report.figures import heat_sheet, sample_sheet, save
from neurosam.report.film import Film
from neurosam.report.model import Cell, Picture, Report, Sample, Table, from_recording
from neurosam.report.page import write_page
from neurosam.report.raster import raster, spikes_per_step

__all__ = [
    "Cell",
    "Film",
    "Picture",
    "Report",
    "Sample",
    "Table",
    "diagram",
    "from_recording",
    "heat_sheet",
    "raster",
    "sample_sheet",
    "save",
    "spikes_per_step",
    "write_page",
]
