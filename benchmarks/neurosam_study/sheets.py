"""The paper's figures that show maps, for the first seed and the first held-out images, without selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.report.figures import visible
from neurosam_study.behaviour import ATTACK
from neurosam_study.charts import SMALL, TINY
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SHEETS", "Block", "sheet"]

CELL, GAP = 0.72, 0.16
"""Side of a cell, and space between blocks, in inches."""
OUTLINE = "#00e5ff"
"""Occurs neither in inferno nor in a grey image."""

SHOWN = 5
"""Number of steps shown."""
ON_CHIP = "8 bits, event back end"


@dataclass(frozen=True)
class Block:
    """A group of adjacent columns of a sheet.

    Attributes
    ----------
    title : str
    headings : sequence of str
        One per column.
    rows : sequence of sequences of arrays, or None
        Images, uint8 [C, H, W] or float in [0, 1], or maps [h, w]; None leaves a cell empty.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[npt.NDArray[Any] | None]]


def sheet(
    blocks: Sequence[Block], labels: Sequence[str], title: str, masks: Sequence[npt.NDArray[Any] | None] = ()
) -> Figure:
    """Draw images and maps in rows; the maps of a row in one block share a colour scale.

    Parameters
    ----------
    blocks : sequence of Block
        From left to right, all with the same number of rows.
    labels : sequence of str
        Of the rows.
    title : str
    masks : sequence of (H, W) bool arrays or None
        Outlined on the images of the row; none if empty.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    left, right, top = 0.75, 0.75, 0.62 + 0.15 * title.count("\n")
    wide = left + sum(len(block.headings) * CELL for block in blocks) + GAP * (len(blocks) - 1) + right
    high = top + CELL * len(labels) + 0.12
    figure = Figure(figsize=(wide, high))
    figure.text(0.5, 1 - 0.12 / high, title, ha="center", va="top", fontsize=SMALL + 1)
    x = left
    for block in blocks:
        middle = x + len(block.headings) * CELL / 2
        figure.text(middle / wide, 1 - (top - 0.17) / high, block.title, ha="center", va="bottom", fontsize=SMALL)
        for row, cells in enumerate(block.rows):
            y = high - top - (row + 1) * CELL
            peak = max((float(cell.max()) for cell in cells if cell is not None and cell.ndim == 2), default=0.0) or 1.0
            for column, cell in enumerate(cells):
                bounds = (
                    (x + column * CELL + 0.02) / wide,
                    (y + 0.02) / high,
                    (CELL - 0.04) / wide,
                    (CELL - 0.04) / high,
                )
                axes = figure.add_axes(bounds)
                _cell(axes, cell, peak, masks[row] if row < len(masks) else None)
                if row == 0:
                    axes.set_title(block.headings[column], fontsize=TINY, pad=2)
        x += len(block.headings) * CELL + GAP
    for row, label in enumerate(labels):
        y = high - top - (row + 0.5) * CELL
        figure.text((left - 0.08) / wide, y / high, label, ha="right", va="center", fontsize=TINY)
    bar_high = min(2.0, CELL * len(labels) * 0.9)
    cax = figure.add_axes(((wide - right + 0.1) / wide, (high - top - bar_high) / high, 0.08 / wide, bar_high / high))
    bar = figure.colorbar(ScalarMappable(cmap="inferno"), cax=cax, ticks=[0, 0.5, 1])
    bar.ax.tick_params(labelsize=TINY, length=2, pad=1)
    bar.set_label("share of row's peak", fontsize=TINY, labelpad=2)
    return figure


def variance(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """Fig. 3 as maps (the paper's Fig. 2): SAM and SNN-crafted Grad-CAM of one image, over layers and steps."""
    maps, steps = result.arrays, _steps(plan.steps)
    kinds = {"SAM": f"SAM {FORMS[1]}", "Grad-CAM": "Grad-CAM"}
    rows = [(layer, kind) for layer in layers for kind in kinds]
    blocks = [Block("", ["input"], _once(maps["image"][0], len(rows)))]
    for net in ("surrogate", "conversion"):
        shown = [[maps[f"{net}/{layer}/{kinds[kind]}"][t, 0] for t in steps] for layer, kind in rows]
        blocks.append(Block(net, _headings(plan, net, steps), shown))
    title = f"Fig. 3: SAM ({ON_CHIP}) and SNN-crafted Grad-CAM over layers and steps"
    return sheet(blocks, [f"{layer}\n{kind}" for layer, kind in rows], title, [_mask(result, 0)] * len(rows))


def over_time(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """Fig. 5: SAM of both trainings over the steps, next to the Grad-CAM of the ANN."""
    maps, steps = result.arrays, _steps(plan.steps)
    rows = [(p, layer) for p in range(min(2, len(maps["image"]))) for layer in layers]
    inputs = [maps["image"][p] if layer == layers[0] else None for p, layer in rows]
    blocks = [
        Block("", ["input"], [[image] for image in inputs]),
        Block("ANN", ["Grad-CAM"], [[maps[f"{layer}/Grad-CAM of the ANN"][p]] for p, layer in rows]),
    ]
    for net in ("surrogate", "conversion"):
        shown = [[maps[f"{net}/{layer}/SAM {FORMS[1]}"][t, p] for t in steps] for p, layer in rows]
        blocks.append(Block(f"SAM, {net}", _headings(plan, net, steps), shown))
    title = f"Fig. 5: SAM over the steps ({ON_CHIP}), and the ANN's Grad-CAM for the true class"
    return sheet(blocks, [layer for _, layer in rows], title, [_mask(result, p) for p, _ in rows])


def attacked(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """Fig. 7: maps before and after the attack."""
    maps = result.arrays
    images = range(len(maps["image"]))
    form = FORMS[1]
    blocks = [
        Block("input", ["clean", "for ANN", "for SNN"], [
            [maps["image"][p], maps["attacked/ANN"][p], maps["attacked/surrogate"][p]] for p in images
        ]),
        Block("Grad-CAM of the ANN", ["clean", "attacked"], [
            [maps["before/Grad-CAM of the ANN"][p], maps["after/Grad-CAM of the ANN"][p]] for p in images
        ]),
        Block("SAM of the SNN", ["clean", "attacked"], [
            [maps[f"before/SAM {form}"][p], maps[f"after/SAM {form}"][p]] for p in images
        ]),
    ]  # fmt: skip
    title = f"Fig. 7: {layers[-1]} before and after FGSM at {ATTACK}/255\n(SAM: sum over the steps, {ON_CHIP})"
    return sheet(blocks, [f"image {p}" for p in images], title, [_mask(result, p) for p in images])


def pairs(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """Fig. 10: maps of two items side by side."""
    maps, steps, form = result.arrays, _steps(plan.steps), FORMS[1]
    measured = [layer for layer in layers if f"{layer} {form}" in maps]
    count = len(maps[f"image {form}"])
    labels = []
    for p in range(count):
        left, right = maps[f"label {form}"][p]
        labels.append(f"{left} | {right}\npredicted {maps[f'predicted {form}'][p]}")
    blocks = [
        Block("", ["input"], [[maps[f"image {form}"][p]] for p in range(count)]),
        *(
            Block(f"SAM of {layer}", [f"step {t}" for t in steps],
                  [[maps[f"{layer} {form}"][t, p] for t in steps] for p in range(count)])
            for layer in dict.fromkeys((*measured[:1], *measured[-1:]))
        ),
    ]  # fmt: skip
    return sheet(
        blocks,
        labels,
        f"Fig. 10: SAM of two items at once ({ON_CHIP})\nthe first pairs of which one item is predicted",
        list(maps[f"mask {form}"]),
    )


def _steps(steps: int) -> list[int]:
    """Select the steps to show; the first step of a strict trace is empty, so they are counted from the last."""
    return sorted({int(t) for t in np.linspace(steps - 1, min(1, steps - 1), SHOWN).round()})


def _headings(plan: Plan, net: str, steps: Sequence[int]) -> list[str]:
    total = plan.steps if net == "surrogate" else plan.conversion_steps
    evaluated = np.linspace(0, total - 1, plan.steps).round().astype(int)
    return [f"step {evaluated[t]}" for t in steps]


def _once(image: npt.NDArray[Any], rows: int) -> list[list[npt.NDArray[Any] | None]]:
    return [[image if row == 0 else None] for row in range(rows)]


def _mask(result: Result, index: int) -> npt.NDArray[Any] | None:
    masks = result.arrays.get("mask")
    return None if masks is None else masks[index]


def _cell(axes: Axes, cell: npt.NDArray[Any] | None, peak: float, mask: npt.NDArray[Any] | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(linewidth=0.4, color="0.5")
    if cell is None:
        axes.set_axis_off()
    elif cell.ndim == 2:
        axes.imshow(cell, cmap="inferno", vmin=0, vmax=peak, interpolation="nearest")
    else:
        image = cell if cell.dtype == np.uint8 else np.rint(np.clip(cell, 0, 1) * 255).astype(np.uint8)
        shown = visible(image)
        axes.imshow(
            shown[0] if len(shown) == 1 else np.moveaxis(shown, 0, -1), cmap="gray", vmin=0, vmax=255,
            interpolation="nearest",
        )  # fmt: skip
        if mask is not None and mask.any() and not mask.all():
            axes.contour(mask.astype(float), levels=[0.5], colors=OUTLINE, linewidths=0.7)


SHEETS: dict[str, tuple[str, Callable[[Plan, Sequence[str], Result], Figure]]] = {
    "fig-3-maps.png": ("Fig. 3", variance),
    "fig-5.png": ("Fig. 6a", over_time),
    "fig-7.png": ("Fig. 9", attacked),
    "fig-10-maps.png": ("Fig. 10", pairs),
}
