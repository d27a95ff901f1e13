"""Write all figures of one run to a folder: the page, its JSON, heat-map sheets, rasters, spikes per step.

report.html, report.json     the page and its numbers
samples.png                  several inputs side by side, with the sum of their maps
sheet-0.png, sheet-1.png     maps step by step, one input per file
raster-<layer>.png           spikes of the first input
spikes.png                   activity of every population at every step

The page needs no further package. The PNG files need matplotlib and Pillow, and are left out without them.
"""

from __future__ import annotations

from pathlib import Path

from neurosam._util.packages import missing_packages
from neurosam.report.figures import heat_sheet, sample_sheet, save
from neurosam.report.model import Report
from neurosam.report.packing import MEMBRANE_MB
from neurosam.report.page import write_page
from neurosam.report.raster import raster, spikes_per_step
from neurosam.signals.recording import Recording

__all__ = ["NEEDED", "write_folder"]

NEEDED = ("matplotlib", "PIL")
"""Packages that draw the PNG files."""
SHEETS = 2
SIDE_BY_SIDE = 8


def write_folder(
    folder: str | Path, report: Report, recording: Recording, membrane_mb: float = MEMBRANE_MB
) -> list[Path]:
    """Write the page, and the figures if the packages that draw them are installed.

    Parameters
    ----------
    folder : path
        Created if missing; files of the same names are replaced.
    report : Report
        Of the recording (:func:`neurosam.report.recorded.report_of`).
    recording : Recording
        Rasters are drawn of its spikes that have maps.
    membrane_mb : float
        See :func:`~neurosam.report.write_page`.

    Returns
    -------
    list of Path
        The files, the page first.
    """
    out = Path(folder)
    files = [*write_page(out / "report.html", report, membrane_mb=membrane_mb)]
    if missing_packages(*NEEDED):
        return files
    samples = report.samples
    files.append(save(sample_sheet(samples[:SIDE_BY_SIDE], report.classes), out / "samples.png"))
    for i, sample in enumerate(samples[:SHEETS]):
        sheet = heat_sheet(sample.image, sample.maps, mask=sample.mask, unit=report.unit)
        files.append(save(sheet, out / f"sheet-{i}.png"))
    for name, spikes in recording.spikes.items():
        if name in recording.sam:
            files.append(save(raster(spikes, 0, name=name), out / f"raster-{name}.png"))
    files.append(save(spikes_per_step(recording.counts, report.neurons), out / "spikes.png"))
    return files
