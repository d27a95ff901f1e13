"""The figures: skill against bits with the predicted cliff, bits and gamma, bits of state and overlap, the maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neurosam.explain.narrow_trace import collapse_bits
from neurosam.report.figures import save
from neurosam_study.charts import SMALL, TINY
from neurosam_study.trace_bits.measure import COUNT, FLOAT, Measured
from neurosam_study.trace_bits.settings import GAMMA, ROUNDINGS, Grid, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

COLOURS = dict(zip(ROUNDINGS, ("#D55E00", "#E69F00", "#0072B2", "#56B4E9"), strict=True))
MARKS = dict(zip(ROUNDINGS, ("o", "s", "^", "v"), strict=True))
SHOWN_BITS = (2, 3, 4, 5, 6)


def draw(folder: Path, found: Sequence[Measured], grid: Grid) -> list[Path]:
    """Write the figures into a folder."""
    first = [m for m in found if m.weight_bits == grid.weight_bits[0]]
    return [
        _skill(folder / "skill.png", first, grid),
        _gammas(folder / "gamma.png", first, grid),
        _state(folder / "state.png", first, grid),
        _maps(folder / "maps.png", [m for m in first if m.examples], grid),
    ]


def _median(runs: Sequence[Measured], setting: Setting, measure: str) -> npt.NDArray[np.float64]:
    """Median over samples in each network and layer that has one."""
    values = [layer for m in runs if setting.key in m.values for layer in m.of(setting, measure)]
    return np.array([np.nanmedian(x) for x in values if not np.isnan(x).all()])


def _skill(path: Path, found: Sequence[Measured], grid: Grid) -> Path:
    from matplotlib.figure import Figure

    steps = sorted({m.steps for m in found} & set(grid.steps))
    figure = Figure(figsize=(2.3 * len(grid.gammas) + 0.6, 1.9 * len(steps) + 0.8), layout="constrained")
    panels = figure.subplots(len(steps), len(grid.gammas), sharex=True, sharey=True, squeeze=False)
    for row, count in zip(panels, steps, strict=True):
        runs = [m for m in found if m.steps == count]
        for axes, gamma in zip(row, grid.gammas, strict=True):
            _skill_panel(axes, runs, grid, gamma, count)
    for axes in panels[-1]:
        axes.set_xlabel("bits of the trace", fontsize=SMALL)
    for axes in panels[:, 0]:
        axes.set_ylabel("skill", fontsize=SMALL)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=TINY, frameon=False)
    return save(figure, path)


def _skill_panel(axes: Axes, runs: Sequence[Measured], grid: Grid, gamma: float, steps: int) -> None:
    for rounding in ROUNDINGS:
        medians = [_median(runs, Setting(bits, rounding, gamma, steps), "skill") for bits in grid.bits]
        for bits, values in zip(grid.bits, medians, strict=True):
            axes.plot([bits] * len(values), np.clip(values, -0.5, None), MARKS[rounding], color=COLOURS[rounding],
                      markersize=2, alpha=0.35, markeredgewidth=0)  # fmt: skip
        middle = [float(np.median(values)) if values.size else np.nan for values in medians]
        axes.plot(grid.bits, np.clip(middle, -0.5, None), "-", color=COLOURS[rounding], linewidth=1.3, label=rounding)
    axes.axvline(collapse_bits(gamma, steps), color="0.4", linestyle=":", linewidth=1, label="b*, predicted for floor")
    axes.set_title(f"gamma {gamma:g}, {steps} steps", fontsize=SMALL)
    axes.set_ylim(-0.55, 1.05)
    axes.grid(color="0.92", linewidth=0.6)
    axes.tick_params(labelsize=TINY)
    axes.spines[["top", "right"]].set_visible(False)


def _gammas(path: Path, found: Sequence[Measured], grid: Grid) -> Path:
    from matplotlib.figure import Figure

    steps = max(m.steps for m in found)
    runs = [m for m in found if m.steps == steps]
    figure = Figure(figsize=(2.3 * len(ROUNDINGS) + 0.9, 2.9), layout="constrained")
    panels = figure.subplots(1, len(ROUNDINGS), sharey=True)
    for axes, rounding in zip(panels, ROUNDINGS, strict=True):
        table = np.full((len(grid.bits), len(grid.gammas)), np.nan)
        for i, bits in enumerate(grid.bits):
            for j, gamma in enumerate(grid.gammas):
                values = _median(runs, Setting(bits, rounding, gamma, steps), "skill")
                table[i, j] = np.median(values) if values.size else np.nan
        mesh = axes.imshow(table, aspect="auto", origin="lower", vmin=0, vmax=1, cmap="viridis")
        for (i, j), value in np.ndenumerate(table):
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color="w" if value < 0.6 else "k")
        axes.set_xticks(range(len(grid.gammas)), [f"{gamma:g}" for gamma in grid.gammas], fontsize=TINY)
        axes.set_yticks(range(len(grid.bits)), [str(bits) for bits in grid.bits], fontsize=TINY)
        axes.set_xlabel("gamma", fontsize=SMALL)
        axes.set_title(rounding, fontsize=SMALL)
    panels[0].set_ylabel("bits of the trace", fontsize=SMALL)
    figure.colorbar(mesh, ax=panels, aspect=25).set_label(f"median skill, {steps} steps", fontsize=SMALL)
    return save(figure, path)


def _state(path: Path, found: Sequence[Measured], grid: Grid) -> Path:
    from matplotlib.figure import Figure

    runs = [m for m in found if m.faithful]
    steps = max(m.steps for m in runs)
    runs = [m for m in runs if m.steps == steps]
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for rounding in ("floor", "stochastic"):
        points = []
        for stamp in (None, 2, 3, 4, 5):
            for bits in grid.bits:
                setting = Setting(bits, rounding, GAMMA, steps, stamp_bits=stamp)
                values = _median(runs, setting, "iou")
                if values.size:
                    points.append((setting.state_bits, float(np.median(values))))
        axes.plot(*zip(*points, strict=True), MARKS[rounding], color=COLOURS[rounding], markersize=4, label=rounding)
    loihi = Setting(7, "stochastic", GAMMA, steps, loihi=True)
    values = _median(runs, loihi, "iou")
    if values.size:
        axes.plot([loihi.state_bits], [np.median(values)], "*", color="k", markersize=9, label="7 bits as on Loihi 1")
    axes.set_xlabel("bits of state for each neuron: trace and time stamp", fontsize=SMALL)
    axes.set_ylabel("overlap of the top 20 % of pixels", fontsize=SMALL)
    axes.set_title(f"gamma {GAMMA:g}, {steps} steps, table of 8 bits; median", fontsize=SMALL)
    axes.legend(fontsize=TINY, frameon=False)
    axes.tick_params(labelsize=TINY)
    axes.grid(color="0.92", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, path)


def _maps(path: Path, judged: Sequence[Measured], grid: Grid) -> Path:
    from matplotlib.figure import Figure

    m = judged[0]
    shown = [bits for bits in SHOWN_BITS if bits in grid.bits]
    columns = [("float", FLOAT), ("spike count", COUNT)]
    for rounding in ("floor", "stochastic"):
        columns += [(f"{rounding}\n{b} bits", Setting(b, rounding, GAMMA, m.steps).key) for b in shown]
    samples = len(m.examples[FLOAT])
    figure = Figure(figsize=(0.85 * len(columns), 0.9 * samples + 0.5), layout="constrained")
    panels = figure.subplots(samples, len(columns), squeeze=False)
    for row, sample in zip(panels, range(samples), strict=True):
        for axes, (title, key) in zip(row, columns, strict=True):
            axes.imshow(m.examples[key][sample], cmap="inferno", vmin=0)
            axes.set_axis_off()
            if sample == 0:
                axes.set_title(title, fontsize=TINY - 0.5)
    figure.suptitle(f"{m.bench}, {m.layers[len(m.layers) // 2]}, gamma {GAMMA:g}, {m.steps} steps", fontsize=SMALL)
    return save(figure, path)
