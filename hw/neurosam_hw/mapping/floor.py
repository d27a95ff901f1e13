"""The floor of a chip in pictures: cores at their places in the mesh, several chips beside each other.

Drawn by matplotlib, which is imported when something is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.report.colours import LINES
from neurosam.report.raster import SMALL, TINY
from neurosam_hw.mapping.mapping import CoreMapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Floor", "by_population", "by_value", "frame"]

Array = npt.NDArray[np.float64]
EMPTY = "#e6e8eb"
GAP = 0.35
"""Space between tiles, in cores."""
MARGIN = 0.04
"""Space around a core, in cores."""


@dataclass(frozen=True)
class Floor:
    """Where the cores are in a picture: left and top of those in use and of the others, and the size of everything."""

    used: Array
    unused: Array
    width: float
    height: float
    chips: Array

    @classmethod
    def of(cls, mapping: CoreMapping) -> Floor:
        """Chips beside each other, tiles at their places in the mesh; without a mesh, the cores in use alone."""
        rows = _whole(mapping, "noc.mesh_height")
        if rows is None:
            side = math.ceil(math.sqrt(2 * mapping.cores))
            number = np.arange(mapping.cores)
            used = np.stack([number % side, number // side], axis=1).astype(float)
            return cls(used, np.zeros((0, 2)), side, -(-mapping.cores // side), np.zeros((0, 2)))
        each = _whole(mapping, "noc.cores_per_tile") or 1
        columns = _whole(mapping, "noc.mesh_width") or 1 + max(mapping.tile(k).column for k in range(mapping.cores))
        across = math.ceil(math.sqrt(mapping.chips / 2)) if mapping.chips > 1 else 1
        side = math.ceil(math.sqrt(each))
        chip, within = np.divmod(np.arange(mapping.chips * rows * columns * each), rows * columns * each)
        tile, core = np.divmod(within, each)
        chip_width, chip_height = columns * (side + GAP) + 1, rows * (-(-each // side) + GAP) + 1
        left = chip % across * chip_width + tile // rows * (side + GAP) + core % side
        top = chip // across * chip_height + tile % rows * (-(-each // side) + GAP) + core // side
        everywhere = np.stack([left, top], axis=1)
        places = mapping.positions[:, 0] * rows * columns * each + mapping.positions[:, 1]
        down = -(-mapping.chips // across)
        corners = [[n % across * chip_width, n // across * chip_height] for n in range(mapping.chips)]
        return cls(
            everywhere[places], np.delete(everywhere, places, axis=0), across * chip_width - 1 - GAP,
            down * chip_height - 1 - GAP, np.array(corners, dtype=float),
        )  # fmt: skip


def frame(axes: Axes, floor: Floor) -> None:
    """The cores that are not in use, the numbers of chips where there are several, and no axes."""
    _rectangles(axes, floor.unused, np.ones(len(floor.unused)), [EMPTY] * len(floor.unused))
    several = len(floor.chips) > 1
    for number, (left, top) in enumerate(floor.chips if several else ()):
        axes.text(left + MARGIN, top - 0.15, f"chip {number}", fontsize=TINY, color="0.35", va="bottom")
    axes.set_xlim(-0.1, floor.width + 0.1)
    axes.set_ylim(floor.height + 0.1, -1.1 if several else -0.1)
    axes.set_aspect("equal")
    axes.axis("off")


def by_population(axes: Axes, below: Axes, mapping: CoreMapping, floor: Floor, title: str) -> None:
    """Each core in the colours of what it holds, in stripes by neurons; the names in `below`."""
    from matplotlib.patches import Patch

    names = [p.name for p in mapping.network.populations if mapping.pieces_of(p.name)]
    places, widths, colours = [], [], []
    for core in range(mapping.cores):
        pieces, left = mapping.pieces_on(core), 0.0
        size = sum(piece.size for piece in pieces)
        for name in names:
            held = sum(piece.size for piece in pieces if piece.population == name) / size
            if held:
                places.append(floor.used[core] + [left * (1 - 2 * MARGIN), 0])
                widths.append(held)
                colours.append(_colour(names.index(name), len(names)))
                left += held
    _rectangles(axes, np.array(places).reshape(-1, 2), np.array(widths), colours)
    axes.set_title(title, fontsize=SMALL)
    patches = [Patch(color=_colour(i, len(names)), label=_short(name)) for i, name in enumerate(names)]
    below.axis("off")
    below.legend(
        handles=patches, fontsize=TINY, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.3), borderpad=0,
        ncols=min(6, len(patches)), handlelength=1, handleheight=1, columnspacing=1,
    )  # fmt: skip


def by_value(
    axes: Axes, below: Axes, floor: Floor, title: str, values: Array, top: float, percent: bool = False
) -> None:
    """Each core in the colour of its value, from 0 to `top`; the scale in `below`."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shades = ScalarMappable(Normalize(0, top or 1), "viridis")
    _rectangles(axes, floor.used, np.ones(len(values)), list(shades.to_rgba(values)))
    axes.set_title(title, fontsize=SMALL)
    strip = below.inset_axes((0.1, 0.55, 0.8, 0.4))
    below.axis("off")
    bar = below.figure.colorbar(shades, cax=strip, orientation="horizontal")
    bar.locator = MaxNLocator(5)
    if percent:
        bar.formatter = FuncFormatter(lambda value, _: f"{value:.0%}")
    else:
        bar.formatter = FuncFormatter(lambda value, _: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    bar.ax.tick_params(labelsize=TINY, length=2, pad=1)
    bar.outline.set_visible(False)


def _whole(mapping: CoreMapping, name: str) -> int | None:
    value = mapping.chip.figure(name).value_si
    return int(value) if isinstance(value, (int, float)) else None


def _rectangles(axes: Axes, places: Array, widths: Array, colours: Sequence[Any]) -> None:
    """Cores, or stripes of some, as one collection: vector graphics stay small."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    side = 1 - 2 * MARGIN
    made = [
        Rectangle((x + MARGIN, y + MARGIN), width * side, side)
        for (x, y), width in zip(places, widths.tolist(), strict=True)
    ]
    axes.add_collection(PatchCollection(made, facecolors=list(colours), edgecolors="none"))


def _colour(i: int, count: int) -> Any:
    from matplotlib import colormaps

    return LINES[i] if count <= 6 else colormaps["turbo"]((i + 0.5) / count)


def _short(name: str) -> str:
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")
