"""Charts of our own experiments, one function each: all seeds, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study import charts
from neurosam_study.interval import course_over_seeds, over_seeds
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.sanity_checks import REDRAWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["agreement", "deployed", "run_times", "sanity"]


def sanity(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw weight randomisation."""
    title = f"Do maps of {layers[0]} change when weights are shuffled from the top down?\nbands: 95 % over seeds"
    figure, axes = charts.panels(1, 1, title, width=4.5, height=2.4)
    names = [name.split("/")[0] for name in seeds[0]["Sanity"].figures]
    shuffled = list(dict.fromkeys(name.removeprefix("down to ") for name in names if name.startswith("down to ")))
    lines = {
        f"SAM {FORMS[1]}": (charts.SURROGATE, "-"), "class SAM": (charts.CONVERSION, "-"),
        "Grad-CAM": (charts.GRADIENT, "-"), "saliency": (charts.ANN, "-"),
        "input image": (charts.BASELINE, "--"), "random map": (charts.BASELINE, ":"),
    }  # fmt: skip
    for method, (colour, dash) in lines.items():
        values = [over_seeds(seeds, "Sanity", f"down to {layer}/{method}") for layer in shuffled]
        charts.line(axes[0, 0], range(len(shuffled)), values, colour, method, form="", dash=dash)
    axes[0, 0].set_ylim(-1.02, 1.02)
    redrawn = over_seeds(seeds, "Sanity", f"{REDRAWN}/SAM {FORMS[1]}")
    charts.level(axes[0, 0], redrawn, f"SAM, {REDRAWN}")
    axes[0, 0].set_xticks(
        range(len(shuffled)), [layer.replace("_conv", "").replace("_linear", "") for layer in shuffled]
    )
    charts.label(axes[0, 0], x="shuffled down to", y="rank correlation with the original")
    charts.legend(figure, axes[0, 0])
    return figure


def agreement(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw the agreement of the seeds."""
    title = f"Do nets of different seeds look at the same places? Same images, same spikes\n{charts.KEY}"
    figure, axes = charts.panels(1, len(layers), title, height=2.4)
    for column, layer in enumerate(layers):
        rows = {}
        for net, colour in charts.NETS.items():
            rows[f"SAM, {net}"] = charts.in_forms(seeds, "Agreement", f"{layer}/{net}, SAM {{form}}"), colour
            rows[f"spike count, {net}"] = (
                charts.in_forms(seeds, "Agreement", f"{layer}/{net}, spike count {{form}}"),
                charts.BASELINE,
            )
        for net, colour in (("surrogate", charts.GRADIENT), ("ANN", charts.ANN)):
            rows[f"Grad-CAM, {net}"] = charts.formless(seeds, "Agreement", f"{layer}/{net}, Grad-CAM"), colour
        other = f"{layer}/surrogate, SAM {{form}}, other picture"
        rows["SAM, other image"] = charts.in_forms(seeds, "Agreement", other), charts.BASELINE
        redrawn = f"{layer}/surrogate, SAM {{form}}, same net, spikes drawn anew"
        rows["SAM, same net, other spikes"] = charts.in_forms(seeds, "Agreement", redrawn), charts.BASELINE
        rows["noise"] = charts.formless(seeds, "Agreement", f"{layer}/noise"), charts.BASELINE
        charts.dots(axes[0, column], rows, names=column == 0)
        charts.label(axes[0, column], title=layer, x="Pearson correlation")
    return figure


def deployed(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw accuracy against steps on images without canvases."""
    measured = [
        data for data in plan.deployments if f"{data}/accuracy/surrogate {FORMS[1]}" in seeds[0]["Deployment"].figures
    ]
    figure, axes = charts.panels(
        1, len(measured), f"Images without canvases: accuracy after each step\n{charts.BANDS}", width=2.8
    )
    for column, data in enumerate(measured):
        for net, colour in charts.NETS.items():
            values = course_over_seeds(seeds, "Deployment", f"{data}/{net} {FORMS[1]}")
            charts.line(axes[0, column], range(1, len(values) + 1), values, colour, net, form=FORMS[1])
        charts.level(axes[0, column], over_seeds(seeds, "Deployment", f"{data}/accuracy/ANN"), "ANN")
        axes[0, column].set_xscale("log")
        axes[0, column].set_xticks([1, 10, 100], ["1", "10", "100"])
        axes[0, column].set_ylim(0, 1.02)
        charts.label(axes[0, column], title=data, x="steps")
    charts.label(axes[0, 0], y="held-out accuracy")
    charts.legend(figure, axes[0, 0])
    return figure


def run_times(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw run times."""
    figure, axes = charts.panels(1, 1, "Seconds per image, on the machine that ran the study", width=4.5, height=2.6)
    first = seeds[0]["Run time"].figures
    rows = {}
    for name in sorted(first, key=lambda name: first[name]):
        form = next((form for form in FORMS if name.endswith(form)), "")
        colour = charts.BASELINE if "no explanation" in name else charts.SURROGATE if "SAM" in name else charts.GRADIENT
        rows[name] = {form: over_seeds(seeds, "Run time", name)}, colour
    charts.dots(axes[0, 0], rows, names=True, log=True)
    charts.label(axes[0, 0], x="seconds")
    return figure
