"""Pictures of a cost: spikes, energy and time over steps; and the chip, with energy, work and time of each core.

Drawn by matplotlib, as SVG without a date.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neurosam.report.colours import LINES
from neurosam.report.raster import SMALL, TINY
from neurosam_hw.cost.amount import prefix
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.ledger import energies
from neurosam_hw.cost.terms import CAUSES
from neurosam_hw.mapping.floor import Floor, by_population, by_value, frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["chip_picture", "over_steps", "svg"]

Array = npt.NDArray[np.float64]
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
        frame(axes, floor)
        if i == 0:
            by_population(axes, below, cost.mapping, floor, "layers")
        else:
            title, values, unit = quantities[i - 1]
            factor, unit = prefix(float(values.max()), unit)
            scaled = values * factor
            by_value(axes, below, floor, f"{title}, {unit}" if unit else title, scaled, float(scaled.max()))
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
