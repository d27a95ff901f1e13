"""Charts of the judged methods, and of nets whose weights are rounded: all seeds, with intervals and baselines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study import charts
from neurosam_study.experiments import METHODS, WEIGHTS
from neurosam_study.interval import Interval, over_seeds
from neurosam_study.judging import CURVES, figure
from neurosam_study.methods import BOTH_FORMS
from neurosam_study.models import FORMS
from neurosam_study.plan import DRAWS, Plan
from neurosam_study.sheets import Block, sheet
from neurosam_study.weights import BOUND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurosam_study.results import Result

__all__ = ["maps_of_methods", "methods", "weights"]

METRICS = {
    "deletion": "deletion (lower is better)",
    "insertion": "insertion (higher is better)",
    "road": "ROAD (higher is better)",
    "mass": "mass in the mask (higher is better)",
    "sparseness": "sparseness (Gini)",
    "sensitivity": "max-sensitivity (lower is stabler)",
}
PANELS = (*(("pixel", metric) for metric in METRICS), *(("spike", how) for how in CURVES))
SHARES = ("deletion", "insertion", "mass", "sparseness")
"""Measures that lie in 0..1, where their intervals end."""
LEAST_SKILL = -1.0
"""Lower end of the axis of skill, which has no least value."""
ROW = 0.16
"""Height of a row of dots, in inches."""


def methods(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw every measure of every method, a row of panels for each coding."""
    title = f"Every method; SAM, class SAM, spike count, Grad-CAM and Score-CAM of {layers[0]}\n{charts.KEY}"
    found, codings = seeds[0][METHODS].figures, plan.judged_codings
    panels = [panel for panel in PANELS if any("/".join(("", *panel, "")) in name for name in found)]
    drawn, axes = charts.panels(len(codings), len(panels), title, height=0.6 + ROW * len(plan.methods), width=1.6)
    for row, coding in enumerate(codings):
        names = [name for name in plan.methods if any(name == figure.split("/")[3].removesuffix(f" {FORMS[0]}")
                 for figure in found if figure.startswith(f"{coding}/pixel/"))]  # fmt: skip
        for column, (level, metric) in enumerate(panels):
            rows = {name: (_in_forms(seeds, coding, level, metric, name), _colour(name)) for name in names}
            charts.dots(axes[row, column], rows, names=column == 0)
            charts.label(axes[row, column], title=f"{coding}, {level}s", x=METRICS[metric])
            axes[row, column].set_visible(any(name.startswith(f"{coding}/{level}/{metric}/") for name in found))
    return drawn


def _in_forms(seeds: charts.Seeds, data: str, level: str, metric: str, method: str) -> dict[str, Interval]:
    name = figure(data, level, metric, method, "{form}")
    found = charts.in_forms(seeds, METHODS, name) if "{form}" in name else charts.formless(seeds, METHODS, name)
    if metric not in SHARES:
        return found
    return {form: x._replace(low=max(x.low, 0.0), high=min(x.high, 1.0)) for form, x in found.items()}


def _colour(name: str) -> str:
    plain = name.removesuffix(DRAWS)
    if plain in ("random", "input", "spike count"):
        return charts.BASELINE
    return charts.SURROGATE if plain in BOTH_FORMS else charts.GRADIENT


def weights(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw what rounding the weights does to the net and to its maps, against bits."""
    drawn, axes = charts.panels(1, 4, f"Weights of few bits\n{charts.BANDS}", width=2.0, height=2.2)
    bits = sorted(plan.weight_bits)

    def line(column: int, pattern: str, colour: str, name: str, *, dash: str = "-", share: bool = False) -> None:
        values = [over_seeds(seeds, WEIGHTS, f"{pattern}/{b}-bit weights {FORMS[1]}") for b in bits]
        charts.line(axes[0, column], bits, values, colour, name, form=FORMS[1], dash=dash, share=share)

    line(0, "accuracy", charts.SURROGATE, "accuracy", share=True)
    charts.level(axes[0, 0], over_seeds(seeds, WEIGHTS, "accuracy/not rounded"), "not rounded")
    shades = dict(zip(layers, (charts.SURROGATE, charts.ANN, charts.CONVERSION, charts.GRADIENT), strict=False))
    for layer, colour in shades.items():
        line(1, f"{layer}/correlation", colour, f"SAM, {layer}", share=True)
        line(1, f"{layer}/count", colour, f"spike count, {layer}", dash=":", share=True)
        line(2, f"{layer}/skill", colour, layer)
    axes[0, 1].axhline(BOUND, color=charts.BASELINE, linewidth=0.8)
    axes[0, 2].set_ylim(LEAST_SKILL, 1.05)
    axes[0, 2].axhline(0, color=charts.BASELINE, linewidth=0.8)
    for how, colour in zip(CURVES, (charts.CONVERSION, charts.SURROGATE), strict=True):
        line(3, f"{how}/SAM", colour, f"{how}, SAM", share=True)
        line(3, f"{how}/random", colour, f"{how}, random", dash=":", share=True)
    titles = (
        "held-out accuracy",
        "correlation with float",
        f"skill over the spike count (from {LEAST_SKILL:g})",
        "area under the curve",
    )
    for column, title in enumerate(titles):
        charts.label(axes[0, column], title=title, x="bits per weight")
        axes[0, column].set_xticks(bits)
        if column:
            axes[0, column].legend(fontsize=charts.TINY - 1.5, frameon=False)
    return drawn


def maps_of_methods(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """The map of every method for the first images, under the first coding; each row of a column has its own scale."""
    coding, images, masks = plan.judged_codings[0], result.arrays.get("image"), result.arrays.get("mask")
    blocks = [] if images is None else [Block("", ["input"], [[image] for image in images])]
    for name in plan.methods:
        maps = result.arrays.get(f"{coding}/{name} {FORMS[0]}")
        if maps is not None:
            blocks.append(Block("", [textwrap.fill(name, 13, break_long_words=False)], [[found] for found in maps]))
    outlines = [] if masks is None else list(masks)
    return sheet(
        blocks, [f"image {p}" for p in range(len(blocks[-1].rows))], f"Maps of every method, {coding} coding", outlines
    )
