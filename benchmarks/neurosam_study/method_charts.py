"""Charts of the judged methods, and of nets whose weights are rounded: all seeds, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study import charts
from neurosam_study.interval import Interval, over_seeds
from neurosam_study.judging import CURVES, figure
from neurosam_study.methods import BOTH_FORMS
from neurosam_study.models import FORMS
from neurosam_study.plan import CODINGS, DRAWS, Plan
from neurosam_study.sheets import Block, sheet
from neurosam_study.weights import BOUND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurosam_study.results import Result

__all__ = ["maps_of_methods", "methods", "recordings", "spikes", "weights"]

METRICS = {
    "deletion": "deletion (lower is better)",
    "insertion": "insertion (higher is better)",
    "road": "ROAD (higher is better)",
    "mass": "mass in the mask (higher is better)",
    "sparseness": "sparseness (Gini)",
    "sensitivity": "max-sensitivity (lower is stabler)",
}
ROW = 0.16
"""Height of a row of dots, in inches."""


def methods(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw every measure of every method at pixel level, a row of panels for each coding."""
    title = f"Every method at pixel level; SAM, class SAM, Grad-CAM, Score-CAM of {layers[0]}\n{charts.KEY}"
    return _table(plan, seeds, "Methods", plan.codings, [("pixel", metric) for metric in METRICS], title)


def spikes(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw deletion and insertion of input spikes."""
    codings = [coding for coding in plan.codings if coding != "direct"]
    title = f"Every method that scores input spikes\n{charts.KEY}"
    return _table(plan, seeds, "Methods", codings, [("spike", how) for how in CURVES], title)


def recordings(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw the same on recordings of an event camera."""
    panels = [("pixel", "deletion"), ("pixel", "insertion"), ("spike", "deletion"), ("spike", "insertion")]
    return _table(plan, seeds, "Recordings", ["events"], panels, f"Recordings of an event camera\n{charts.KEY}")


def _table(
    plan: Plan, seeds: charts.Seeds, experiment: str, data: Sequence[str], panels: Sequence[tuple[str, str]], title: str
) -> Figure:
    drawn, axes = charts.panels(len(data), len(panels), title, height=0.6 + ROW * len(plan.methods), width=1.7)
    found = seeds[0][experiment].figures
    for row, source in enumerate(data):
        names = [
            name for name in plan.methods
            if any(figure(source, level, metric, name, FORMS[0]) in found for level, metric in panels)
        ]  # fmt: skip
        for column, (level, metric) in enumerate(panels):
            rows = {name: (_in_forms(seeds, experiment, source, level, metric, name), _colour(name)) for name in names}
            charts.dots(axes[row, column], rows, names=column == 0)
            heading = f"{source}, {level}s" if len(data) > 1 or len({level for level, _ in panels}) > 1 else ""
            charts.label(axes[row, column], title=heading, x=METRICS[metric])
    return drawn


def _in_forms(
    seeds: charts.Seeds, experiment: str, data: str, level: str, metric: str, method: str
) -> dict[str, Interval]:
    name = figure(data, level, metric, method, "{form}")
    return charts.in_forms(seeds, experiment, name) if "{form}" in name else charts.formless(seeds, experiment, name)


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
        values = [over_seeds(seeds, "Weights", f"{pattern}/{b}-bit weights {FORMS[1]}") for b in bits]
        charts.line(axes[0, column], bits, values, colour, name, form=FORMS[1], dash=dash, share=share)

    line(0, "accuracy", charts.SURROGATE, "accuracy", share=True)
    charts.level(axes[0, 0], over_seeds(seeds, "Weights", "accuracy/not rounded"), "not rounded")
    shades = dict(zip(layers, (charts.SURROGATE, charts.ANN, charts.CONVERSION, charts.GRADIENT), strict=False))
    for layer, colour in shades.items():
        line(1, f"{layer}/correlation", colour, f"SAM, {layer}")
        line(1, f"{layer}/count", colour, f"spike count, {layer}", dash=":")
        line(2, f"{layer}/skill", colour, layer)
    axes[0, 1].axhline(BOUND, color=charts.BASELINE, linewidth=0.8)
    axes[0, 2].axhline(0, color=charts.BASELINE, linewidth=0.8)
    for how, colour in zip(CURVES, (charts.CONVERSION, charts.SURROGATE), strict=True):
        line(3, f"{how}/SAM", colour, f"{how}, SAM", share=True)
        line(3, f"{how}/random", colour, f"{how}, random", dash=":", share=True)
    titles = ("held-out accuracy", "correlation with float", "skill over the spike count", "area under the curve")
    for column, title in enumerate(titles):
        charts.label(axes[0, column], title=title, x="bits per weight")
        axes[0, column].set_xticks(bits)
        if column:
            axes[0, column].legend(fontsize=charts.TINY - 1.5, frameon=False)
    return drawn


def maps_of_methods(plan: Plan, layers: Sequence[str], result: Result) -> Figure:
    """The map of every method for the first images, under the first coding; each row of a column has its own scale."""
    coding = next(coding for coding in CODINGS if f"{coding}/{plan.methods[0]} {FORMS[0]}" in result.arrays)
    images, masks = result.arrays["image"], result.arrays.get("mask")
    blocks = [Block("", ["input"], [[image] for image in images])]
    for name in plan.methods:
        maps = result.arrays.get(f"{coding}/{name} {FORMS[0]}")
        if maps is not None:
            blocks.append(Block("", [name.replace(" ", "\n", 1)], [[found] for found in maps[: len(images)]]))
    outlines = [] if masks is None else list(masks)
    return sheet(blocks, [f"image {p}" for p in range(len(images))], f"Maps of every method, {coding} coding", outlines)
