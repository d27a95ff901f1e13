"""Charts of what is not in the paper, one function each: all seeds, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study.charts import (
    ANN,
    BANDS,
    BASELINE,
    GRADIENT,
    KEY,
    NETS,
    SURROGATE,
    TINY,
    Seeds,
    dots,
    formless,
    in_forms,
    legend,
    level,
    line,
    panels,
)
from neurosam_study.interval import course_over_seeds, over_seeds
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["agreement", "deployed", "perturbation", "run_times", "sanity"]


def perturbation(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Deletion and insertion."""
    figure, axes = panels(
        1, 2, f"Does the ranking of pixels matter to the network? Maps of {layers[0]}\n{KEY}", width=2.8
    )
    names = {"SAM": SURROGATE, "Grad-CAM": GRADIENT, "spikes": BASELINE, "input": BASELINE, "centre": BASELINE,
             "random": BASELINE}  # fmt: skip
    for column, how in enumerate(("deletion", "insertion")):
        rows = {name: (in_forms(seeds, "Deletion", f"{how}/{name} {{form}}"), colour) for name, colour in names.items()}
        dots(axes[0, column], rows, names=column == 0)
        better = "lower" if how == "deletion" else "higher"
        axes[0, column].set_xlabel(f"area under the {how} curve ({better} is better)", fontsize=TINY)
    return figure


def sanity(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Weight randomisation."""
    figure, axes = panels(1, 1, f"Do maps of {layers[0]} notice that weights were shuffled, from the top down?\nbands: "
                                "95 % over seeds", width=4.5, height=2.4)  # fmt: skip
    names = [name.removeprefix("down to ") for name in seeds[0]["Sanity"].figures]
    shuffled = list(dict.fromkeys(name.split("/")[0] for name in names))
    lines = {f"SAM {FORMS[1]}": (SURROGATE, "-"), "Grad-CAM": (GRADIENT, "-"), "saliency": (ANN, "-"),
             "input image": (BASELINE, "--"), "random map": (BASELINE, ":")}  # fmt: skip
    for method, (colour, dash) in lines.items():
        values = [over_seeds(seeds, "Sanity", f"down to {layer}/{method}") for layer in shuffled]
        line(axes[0, 0], range(len(shuffled)), values, colour, method, form="", dash=dash)
    axes[0, 0].set_xticks(
        range(len(shuffled)), [layer.replace("_conv", "").replace("_linear", "") for layer in shuffled]
    )
    axes[0, 0].set_xlabel("shuffled down to", fontsize=TINY)
    axes[0, 0].set_ylabel("rank correlation with the original", fontsize=TINY)
    legend(figure, axes[0, 0])
    return figure


def agreement(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Agreement of the seeds."""
    figure, axes = panels(
        1, len(layers), f"Do trainings of other seeds look at the same places? Same pictures, same spikes\n{KEY}",
        height=2.4,
    )  # fmt: skip
    for column, layer in enumerate(layers):
        rows = {}
        for net, colour in NETS.items():
            rows[f"SAM, {net}"] = in_forms(seeds, "Agreement", f"{layer}/{net}, SAM {{form}}"), colour
            rows[f"spike count, {net}"] = in_forms(seeds, "Agreement", f"{layer}/{net}, spike count {{form}}"), BASELINE
        for net, colour in (("surrogate", GRADIENT), ("ANN", ANN)):
            rows[f"Grad-CAM, {net}"] = formless(seeds, "Agreement", f"{layer}/{net}, Grad-CAM"), colour
        other = f"{layer}/surrogate, SAM {{form}}, other picture"
        rows["SAM, other picture"] = in_forms(seeds, "Agreement", other), BASELINE
        anew = f"{layer}/surrogate, SAM {{form}}, same net, spikes drawn anew"
        rows["SAM, same net, other spikes"] = in_forms(seeds, "Agreement", anew), BASELINE
        rows["noise"] = formless(seeds, "Agreement", f"{layer}/noise"), BASELINE
        dots(axes[0, column], rows, names=column == 0)
        axes[0, column].set_title(layer, fontsize=TINY + 1)
        axes[0, column].set_xlabel("Pearson correlation", fontsize=TINY)
    return figure


def deployed(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Accuracy against steps, of items as they are."""
    known = [data for data in plan.deployed if f"{data}/accuracy/ANN" in seeds[0]["Deployment"].figures]
    figure, axes = panels(1, len(known), f"Items as they are: accuracy after each step\n{BANDS}", width=2.8)
    for column, data in enumerate(known):
        for net, colour in NETS.items():
            values = course_over_seeds(seeds, "Deployment", f"{data}/{net} {FORMS[1]}")
            line(axes[0, column], range(1, len(values) + 1), values, colour, net, form=FORMS[1])
        level(axes[0, column], over_seeds(seeds, "Deployment", f"{data}/accuracy/ANN"), "ANN")
        axes[0, column].set_xscale("log")
        axes[0, column].set_xticks([1, 10, 100], ["1", "10", "100"])
        axes[0, column].set_ylim(0, 1.02)
        axes[0, column].set_title(data, fontsize=TINY + 1)
        axes[0, column].set_xlabel("steps", fontsize=TINY)
    axes[0, 0].set_ylabel("held-out accuracy", fontsize=TINY)
    legend(figure, axes[0, 0])
    return figure


def run_times(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Run times."""
    figure, axes = panels(1, 1, "Seconds for each picture, on the machine that ran the study", width=4.5, height=2.6)
    known = seeds[0]["Run time"].figures
    rows = {}
    for name in sorted(known, key=lambda name: known[name]):
        form = next((form for form in FORMS if name.endswith(form)), "")
        colour = BASELINE if "no explanation" in name else SURROGATE if "SAM" in name else GRADIENT
        rows[name] = {form: over_seeds(seeds, "Run time", name)}, colour
    dots(axes[0, 0], rows, names=True, log=True)
    axes[0, 0].set_xlabel("seconds", fontsize=TINY)
    return figure
