"""Write all figures of one recording to a folder: the page, its JSON, heat-map sheets, rasters, spikes per step.

report.html, report.json     the page and its numbers
samples.png                  several inputs side by side, with the sum of their maps
sheet-0.png, sheet-1.png     maps step by step, one input per file
raster-<layer>.png           spikes of the first input
spikes.png                   activity of every population at every step
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.figures import heat_sheet, sample_sheet, save
from neurosam.report.model import Cell, Report, Table
from neurosam.report.page import write_page
from neurosam.report.raster import raster, spikes_per_step
from neurosam.report.samples import from_recording
from neurosam.signals.overflow import overflows
from neurosam.signals.recording import Recording

__all__ = ["write_folder"]

SHEETS = 2
SIDE_BY_SIDE = 8


def write_folder(
    folder: str | Path,
    network: Network,
    recording: Recording,
    images: npt.NDArray[np.uint8],
    *,
    title: str,
    labels: npt.NDArray[np.int64] | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
    classes: Sequence[str] = (),
    shown: int = 12,
    provenance: Mapping[str, Cell] | None = None,
    highlights: Mapping[str, Cell] | None = None,
    tables: Sequence[Table] = (),
) -> list[Path]:
    """Write the page and the figures.

    Parameters
    ----------
    folder : path
        Created if missing; files of the same names are replaced.
    network : Network
    recording : Recording
        With SAM; spikes and the output's membrane are used if they were recorded.
    images, labels, masks
        Of the recording's samples, in the same order.
    classes : sequence of str
    shown : int
        Samples on the page: the first ones, without selection.
    title, provenance, highlights, tables
        See :class:`~neurosam.report.Report`. A table of saturated membranes and wrapped sums is added if there are any.

    Returns
    -------
    list of Path
        The files, the page first.
    """
    out = Path(folder)
    answer = network.answers[network.output]
    output = network.output if network.output in recording.membrane and answer != "count" else None
    first = range(min(shown, recording.samples))
    samples = from_recording(recording, images, labels=labels, masks=masks, readout=output, answer=answer, select=first)
    sizes = {name: neurons(network[name].shape) for name in recording.counts}
    precision = network.precision
    origin: dict[str, Any] = {
        "precision": "float64" if precision is None else f"{precision.name}, {precision.weight_bits}-bit weights",
        "back end": recording.backend,
        "steps": recording.steps,
        **(provenance or {}),
    }
    report = Report(
        title, samples, classes, provenance=origin, highlights=highlights or {},
        tables=[*tables, *_left_range(recording)], neurons=sizes, unit="summed contribution score",
    )  # fmt: skip
    files = [*write_page(out / "report.html", report)]
    files.append(save(sample_sheet(samples[:SIDE_BY_SIDE], classes), out / "samples.png"))
    for i, sample in enumerate(samples[:SHEETS]):
        sheet = heat_sheet(sample.image, sample.maps, mask=sample.mask, unit=report.unit)
        files.append(save(sheet, out / f"sheet-{i}.png"))
    for name, spikes in recording.spikes.items():
        if name in recording.sam:
            files.append(save(raster(spikes, 0, name=name), out / f"raster-{name}.png"))
    files.append(save(spikes_per_step(recording.counts, sizes), out / "spikes.png"))
    return files


def _left_range(recording: Recording) -> list[Table]:
    """A table of the populations whose integers left their range; none if all stayed within it."""
    found = overflows(recording)
    columns = ("population", "saturated (neuron-steps)", "wrapped (neuron-steps)", "samples")
    rows = [(name, row.saturated, row.wrapped, f"{row.samples} of {recording.samples}") for name, row in found.items()]
    note = "membranes that were clipped to 24 bits, and sums that wrapped around; quantise with a coarser unit"
    return [Table("Integers out of range", columns, rows, note)] if found else []
