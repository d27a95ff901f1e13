"""A picture of a mapping: the chip's cores by what they hold and by how full they are.

Drawn by matplotlib, without smoothing, chips beside each other.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from neurosam._util.atomic_write import write_bytes
from neurosam.report.raster import SMALL
from neurosam_hw.mappers.utilisation import Utilisation
from neurosam_hw.mapping.floor import Floor, by_population, by_value, frame
from neurosam_hw.mapping.mapping import CoreMapping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mapping_picture", "save_picture"]

WIDTH = 4.6
"""Of a panel, inches."""
LARGEST = 0.45
"""Largest side of a core, inches."""
DPI = 160


def mapping_picture(mapping: CoreMapping, used: Utilisation, title: str = "") -> Figure:
    """The cores at their places: on the left by population, on the right by utilisation.

    Parameters
    ----------
    mapping : CoreMapping
    used : Utilisation
        Of its cores: the largest share of anything that a core has is drawn.
    title : str
    """
    from matplotlib.figure import Figure

    floor = Floor.of(mapping)
    height = floor.height * min(WIDTH / floor.width, LARGEST)
    figure = Figure(figsize=(2 * WIDTH, height + 0.95), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[height, 0.35])
    for column in range(2):
        axes, below = (figure.add_subplot(grid[row, column]) for row in range(2))
        frame(axes, floor)
        if column == 0:
            by_population(axes, below, mapping, floor, "populations")
        else:
            by_value(axes, below, floor, "utilisation: the fullest store of each core", used.share, 1.0, percent=True)
    if title:
        figure.suptitle(title.replace("$", r"\$"), fontsize=SMALL + 1)
    return figure


def save_picture(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, or as SVG if the name says so; whole or not at all, without a date."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    kind = path.suffix[1:].lower()
    with rc_context({"svg.hashsalt": "neurosam"}):
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return write_bytes(path, buffer.getvalue())
