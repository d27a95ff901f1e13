"""Pictures of a run: heat-map sheets, spike rasters, spikes per step, and one page that opens without a network.

Importing this package loads NumPy only; matplotlib is imported by the functions that draw with it.
"""

from __future__ import annotations

from neurosam.report.figures import heat_sheet, sample_sheet, save
from neurosam.report.model import Cell, Report, Sample, Table, from_recording
from neurosam.report.page import write_page
from neurosam.report.raster import raster, spikes_per_step

__all__ = [
    "Cell",
    "Report",
    "Sample",
    "Table",
    "from_recording",
    "heat_sheet",
    "raster",
    "sample_sheet",
    "save",
    "spikes_per_step",
    "write_page",
]
