"""Pictures of a cost: spikes, energy and time over steps; and the chip, with energy, work and time of each core.

Drawn by matplotlib, as SVG without a date.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.report.raster import LINES, SMALL, TINY
from neurosam_hw.cost.amount import prefix
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.ledger import energies
from neurosam_hw.cost.terms import CAUSES
from neurosam_hw.cost.work import layers
from neurosam_hw.mapping.mapping import CoreMapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["chip_picture", "over_steps", "svg"]

Array = npt.NDArray[np.float64]
EMPTY = "#e6e8eb"
GAP = 0.35
"""Space between tiles, in cores."""
LARGEST = 0.45
"""Largest side of a core, inches."""


def over_steps(cost: Cost) -> Figure:
    """Spikes, energy by cause and time of each step on the chip, the mean over samples; what is unknown is left out."""
    from matplotlib.figure import Figure

    took = cost.duration
    timed = took.step is not None
    figure = Figure(figsize=(8.0, 4.6 if timed else 3.4), layout="constrained")
    panels = figure.subplots(3 if timed else 2, 1, sharex=True, height_ratios=[1, 1.5, 1][: 3 if timed else 2])
    step = np.arange(len(cost.step_j))
    spikes = cost.work["spikes"]
    if spikes is not None:
        panels[0].bar(step, spikes.sum(axis=1) / cost.samples, width=0.85, color="0.45", linewidth=0)
    panels[0].set_ylabel("spikes", fontsize=SMALL)
    _energy_by_cause(panels[1], cost, step)
    if took.step is not None:
        factor, unit = prefix(took.step.value.mean(axis=1).max(), "s")
        mean, top = took.step.value.mean(axis=1) * factor, took.step.value.max(axis=1) * factor
        panels[2].bar(step, mean, width=0.85, color=LINES[0], linewidth=0, label="mean")
        panels[2].plot(step, top, "_", color="black", markersize=5, label="slowest sample")
        panels[2].set_ylabel(f"time, {unit}", fontsize=SMALL)
        _legend(panels[2])
    for axes in panels:
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=TINY)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.6)
        axes.set_axisbelow(True)
    _integer_steps(panels[-1], len(step))
    panels[-1].set_xlabel("step on the chip", fontsize=SMALL)
    _label(figure, cost)
    return figure


def chip_picture(cost: Cost) -> Figure:
    """The cores at their places, by layer, energy, synaptic operations and time: the mean over samples."""
    from matplotlib.figure import Figure

    floor = Floor.of(cost.mapping)
    quantities = _quantities(cost)
    rows = math.ceil((len(quantities) + 1) / 2)
    width, bar = 4.2, 0.3
    height = floor.height * min(width / floor.width, LARGEST)
    figure = Figure(figsize=(2 * width, rows * (height + bar + 0.55) + 0.2), layout="constrained")
    grid = figure.add_gridspec(2 * rows, 2, height_ratios=[height, bar] * rows)
    for i in range(1 + len(quantities)):
        row, column = divmod(i, 2)
        axes, below = (figure.add_subplot(grid[2 * row + k, column]) for k in range(2))
        _frame(axes, floor)
        if i == 0:
            _layers(axes, below, cost.mapping, floor)
        else:
            _coloured(axes, below, floor, *quantities[i - 1])
    _label(figure, cost)
    return figure


def svg(figure: Figure) -> bytes:
    """A figure as an SVG file."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "neurosam"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _energy_by_cause(axes: Axes, cost: Cost, step: npt.NDArray[np.int64]) -> None:
    """Stacked bars of the known energy of each cause."""
    by_cause = {cause: energies(cost.mapping.chip, cost.work, (cause,)).sum(axis=1) / cost.samples for cause in CAUSES}
    factor, unit = prefix(cost.step_j.max(), "J")
    below = np.zeros(len(step))
    for colour, (cause, energy) in zip(LINES, by_cause.items(), strict=False):
        if energy.any():
            axes.bar(step, energy * factor, 0.85, below * factor, color=colour, linewidth=0, label=cause)
            below += energy
    axes.set_ylabel(f"energy{'' if cost.total else ' (known part)'}, {unit}", fontsize=SMALL)
    if below.any():
        _legend(axes)


def _quantities(cost: Cost) -> list[tuple[str, Array, str]]:
    """Title, value of each core and unit of what is known."""
    found: list[tuple[str, Array, str]] = []
    if cost.core_j.any():
        found.append(("energy" if cost.total else "energy (known part)", cost.core_j, "J"))
    deliveries = cost.work["deliveries"]
    if deliveries is not None:
        found.append(("synaptic operations", deliveries.sum(axis=0) / cost.samples, ""))
    busy = cost.duration.busy_s
    if busy is not None and busy.any():
        found.append(("time at work", busy / cost.samples, "s"))
    return found


@dataclass(frozen=True)
class Floor:
    """Where the cores are in a picture: left and top of those in use and of the others, and the size of everything."""

    used: Array
    unused: Array
    width: float
    height: float

    @classmethod
    def of(cls, mapping: CoreMapping) -> Floor:
        """Chips side by side, tiles at their places in the mesh; without a mesh, the cores in use alone."""
        rows = _whole(mapping, "noc.mesh_height")
        if rows is None:
            side = math.ceil(math.sqrt(2 * mapping.cores))
            number = np.arange(mapping.cores)
            used = np.stack([number % side, number // side], axis=1).astype(float)
            return cls(used, np.zeros((0, 2)), side, -(-mapping.cores // side))
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
        return cls(
            everywhere[places], np.delete(everywhere, places, axis=0), across * chip_width - 1 - GAP,
            down * chip_height - 1 - GAP,
        )  # fmt: skip


def _whole(mapping: CoreMapping, name: str) -> int | None:
    value = mapping.chip.figure(name).value_si
    return int(value) if isinstance(value, (int, float)) else None


def _squares(axes: Axes, places: Array, colours: Sequence[Any]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    squares = [Rectangle((x + 0.04, y + 0.04), 0.92, 0.92) for x, y in places]
    axes.add_collection(PatchCollection(squares, facecolors=list(colours), edgecolors="none"))


def _layers(axes: Axes, below: Axes, mapping: CoreMapping, floor: Floor) -> None:
    """Which core holds what."""
    from matplotlib.patches import Patch

    held = layers(mapping)
    colours = np.empty(mapping.cores, dtype=object)
    for i, cores in enumerate(held.values()):
        for core in cores:
            colours[core] = _layer_colour(i, len(held))
    _squares(axes, floor.used, list(colours))
    axes.set_title("layers", fontsize=SMALL)
    patches = [Patch(color=_layer_colour(i, len(held)), label=_short(name)) for i, name in enumerate(held)]
    below.axis("off")
    below.legend(
        handles=patches, fontsize=TINY, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.3), borderpad=0,
        ncols=min(6, len(patches)), handlelength=1, handleheight=1, columnspacing=1,
    )  # fmt: skip


def _layer_colour(i: int, count: int) -> Any:
    from matplotlib import colormaps

    return LINES[i] if count <= 6 else colormaps["turbo"]((i + 0.5) / count)


def _short(name: str) -> str:
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")


def _coloured(axes: Axes, below: Axes, floor: Floor, title: str, values: Array, unit: str) -> None:
    """Cores by a value, from 0 to its largest."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    factor, unit = prefix(float(values.max()), unit)
    shades = ScalarMappable(Normalize(0, values.max() * factor or 1), "viridis")
    _squares(axes, floor.used, list(shades.to_rgba(values * factor)))
    axes.set_title(f"{title}, {unit}" if unit else title, fontsize=SMALL)
    strip = below.inset_axes((0.1, 0.55, 0.8, 0.4))
    below.axis("off")
    bar = below.figure.colorbar(shades, cax=strip, orientation="horizontal")
    bar.locator = MaxNLocator(5)
    bar.formatter = FuncFormatter(lambda value, _: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    bar.ax.tick_params(labelsize=TINY, length=2, pad=1)
    bar.outline.set_visible(False)


def _frame(axes: Axes, floor: Floor) -> None:
    """The cores that are not in use, and no axes."""
    _squares(axes, floor.unused, [EMPTY] * len(floor.unused))
    axes.set_xlim(-0.1, floor.width + 0.1)
    axes.set_ylim(floor.height + 0.1, -0.1)
    axes.set_aspect("equal")
    axes.axis("off")


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=TINY, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.05), handlelength=1.2)


def _integer_steps(axes: Axes, steps: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(-0.6, steps - 0.4)


def _label(figure: Figure, cost: Cost) -> None:
    """The label of what a chip does not take."""
    if cost.label:
        figure.suptitle(_short_label(cost.label), fontsize=SMALL, color="#b3400f")


def _short_label(label: str) -> str:
    return (label if len(label) <= 110 else label[:109] + "…").replace("$", r"\$")
