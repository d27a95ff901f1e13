"""Charts of the paper's figures, one function each: all seeds, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study.behaviour import ATTACK
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
from neurosam_study.interval import course_over_seeds, interval, over_seeds
from neurosam_study.maps import GAMMA
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["activity", "gammas", "leaks", "localisation", "robustness", "suppressed", "variance"]


def variance(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 3."""
    figure, axes = panels(1, len(layers), f"Fig. 3: pixel variance of maps, the largest over the steps\n{KEY}")
    for column, layer in enumerate(layers):
        rows = {}
        for net, colour in NETS.items():
            rows[f"SAM, {net}"] = in_forms(seeds, "Fig. 3", f"{net}/{layer}/SAM {{form}}"), colour
            rows[f"SNN-Grad-CAM, {net}"] = formless(seeds, "Fig. 3", f"{net}/{layer}/Grad-CAM"), GRADIENT
            rows[f"spikes of a step, {net}"] = (
                in_forms(seeds, "Fig. 3", f"{net}/{layer}/spikes of a step {{form}}"), BASELINE,
            )  # fmt: skip
        rows["noise"] = formless(seeds, "Fig. 3", f"any/{layer}/random"), BASELINE
        rows["input picture"] = formless(seeds, "Fig. 3", "any/input"), BASELINE
        rows["blob in the centre"] = formless(seeds, "Fig. 3", "any/centre"), BASELINE
        dots(axes[0, column], rows, names=column == 0)
        axes[0, column].set_title(layer, fontsize=TINY + 1)
        axes[0, column].set_xlabel("variance", fontsize=TINY)
    return figure


def localisation(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 6a, and the same maps against the exact masks where there are some."""
    kinds = {"": "localisation error (nats; lower is closer)", "mask/": "share of mass inside the exact mask"}
    masked = f"{layers[0]}/mask/input" in seeds[0]["Fig. 6a"].figures
    chosen = list(kinds)[: 1 + masked]
    figure, axes = panels(
        len(chosen), len(layers), f"Fig. 6a: where SAM points, against the ANN's Grad-CAM\n{KEY}", height=2.1
    )
    for row, kind in enumerate(chosen):
        for column, layer in enumerate(layers):
            shown = {}
            for net, colour in NETS.items():
                shown[f"SAM, {net}"] = in_forms(seeds, "Fig. 6a", f"{layer}/{kind}{net} {{form}}"), colour
                spikes = f"{layer}/{kind}{'spikes' if kind else 'spikes of a step'}, {net} {{form}}"
                shown[f"spikes, {net}"] = in_forms(seeds, "Fig. 6a", spikes), BASELINE
            if kind:
                name = f"{layer}/mask/Grad-CAM of the ANN"
                shown["Grad-CAM of the ANN"] = formless(seeds, "Fig. 6a", name), ANN
            else:
                shown["best constant map"] = formless(seeds, "Fig. 6a", f"{layer}/best constant"), BASELINE
            for name in ("input", "centre", "random", "uniform"):
                shown[name] = formless(seeds, "Fig. 6a", f"{layer}/{kind}{name}"), BASELINE
            dots(axes[row, column], shown, names=column == 0)
            axes[row, column].set_xlabel(kinds[kind], fontsize=TINY)
            axes[row, column].set_title(layer, fontsize=TINY + 1)
    return figure


def activity(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 6b."""
    title = f"Fig. 6b: spikes of a step as a share of the busiest step's\n{BANDS}"
    figure, axes = panels(1, len(layers), title)
    for column, layer in enumerate(layers):
        for net, colour in NETS.items():
            for name, hue, dash in ((f"{layer}/{net} {FORMS[1]}", colour, "-"), (f"input/{net}", BASELINE, ":")):
                course = course_over_seeds(seeds, "Fig. 6b", name)
                label = f"{net}, {len(course)} steps" if hue == colour else f"its input, {net}"
                if net == "surrogate" or hue == colour:
                    line(axes[0, column], _share(len(course)), course, hue, label, form=FORMS[1], dash=dash)
        axes[0, column].set_title(layer, fontsize=TINY + 1)
        axes[0, column].set_xlabel("share of the presentation", fontsize=TINY)
        axes[0, column].set_ylim(0, 1.05)
    legend(figure, axes[0, 0])
    return figure


def _share(steps: int) -> list[float]:
    return [(step + 0.5) / steps for step in range(steps)]


def leaks(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Table 1."""
    figure, axes = panels(1, len(layers) + 1, f"Table 1: the leak (retained share of the membrane)\n{KEY}")
    for column, layer in enumerate([*layers, "accuracy"]):
        for form in FORMS:
            values = [over_seeds(seeds, "Table 1", f"{layer}/leak {leak:g} {form}") for leak in plan.leaks]
            line(axes[0, column], plan.leaks, values, SURROGATE, f"SAM, {form}", form=form)
        whole = ("Accuracy", "ANN") if layer == "accuracy" else ("Table 1", f"{layer}/best constant")
        level(axes[0, column], over_seeds(seeds, *whole), "best constant map; on the right the ANN")
        axes[0, column].set_title(layer if layer != "accuracy" else "held-out accuracy", fontsize=TINY + 1)
        axes[0, column].set_ylabel("" if layer == "accuracy" else "localisation error", fontsize=TINY)
        axes[0, column].set_xlabel("leak", fontsize=TINY)
    legend(figure, axes[0, 0])
    return figure


def gammas(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 8: the error, and below it what the claim is about, the paired difference from gamma 0.5."""
    title = f"Fig. 8: localisation error against gamma; below: minus that of gamma {GAMMA:g}, same seed\n{BANDS}"
    figure, axes = panels(2, len(layers), title)
    for column, layer in enumerate(layers):
        for net, colour in NETS.items():
            names = [f"{layer}/{net}/gamma {gamma:g} {FORMS[1]}" for gamma in plan.gammas]
            base = f"{layer}/{net}/gamma {GAMMA:g} {FORMS[1]}"
            values = [over_seeds(seeds, "Fig. 8", name) for name in names]
            line(axes[0, column], plan.gammas, values, colour, f"SAM, {net}", form=FORMS[1])
            figures = [seed["Fig. 8"].figures for seed in seeds]
            moved = [interval([f[name] - f[base] for f in figures]) for name in names]
            line(axes[1, column], plan.gammas, moved, colour, f"SAM, {net}", form=FORMS[1])
        level(axes[0, column], over_seeds(seeds, "Fig. 8", f"{layer}/best constant"), "best constant map")
        axes[1, column].axhline(0, color=BASELINE, linewidth=0.8)
        axes[0, column].set_title(layer, fontsize=TINY + 1)
        axes[1, column].set_xlabel("gamma", fontsize=TINY)
    axes[0, 0].set_ylabel("error (nats)", fontsize=TINY)
    axes[1, 0].set_ylabel("difference (nats)", fontsize=TINY)
    legend(figure, axes[0, 0])
    return figure


def robustness(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 9: accuracy against epsilon, and how far maps move at the paper's."""
    title = f"Fig. 9: accuracy under FGSM, and how far maps of {layers[-1]} move at {ATTACK}/255\n{KEY}"
    figure, axes = panels(1, 2, title, width=3.1, height=2.4)
    for name, colour, label in (("ANN", ANN, "ANN"), ("surrogate", SURROGATE, "SNN")):
        form = "" if name == "ANN" else FORMS[1]
        for what, dash in (("", "-"), (", noise", ":")):
            names = [f"accuracy/{name}{what}{f' {form}' if form else ''} {epsilon}" for epsilon in plan.epsilons]
            values = [over_seeds(seeds, "Fig. 9", one) for one in names]
            text = label + (", noise of that size" if what else ", attacked")
            line(axes[0, 0], plan.epsilons, values, colour, text, form=form, dash=dash)
    axes[0, 0].set_xlabel("epsilon, in 255ths", fontsize=TINY)
    axes[0, 0].set_ylabel("accuracy", fontsize=TINY)
    axes[0, 0].set_ylim(0, 1.02)
    legend(figure, axes[0, 0])
    rows = {
        "Grad-CAM of the ANN, attack": (formless(seeds, "Fig. 9", "map/Grad-CAM of the ANN"), ANN),
        "SAM, attack": (in_forms(seeds, "Fig. 9", "map/SAM {form}"), SURROGATE),
        "Grad-CAM of the ANN, noise": (formless(seeds, "Fig. 9", "map/Grad-CAM of the ANN, noise"), BASELINE),
        "SAM, noise": (in_forms(seeds, "Fig. 9", "map/SAM, noise {form}"), BASELINE),
        "SAM, spikes drawn anew": (in_forms(seeds, "Fig. 9", "map/SAM, no attack, spikes drawn anew {form}"), BASELINE),
    }
    dots(axes[0, 1], rows, names=True)
    axes[0, 1].set_xlim(left=0)
    axes[0, 1].set_xlabel("L1 distance of maps in 0..1 (largest over the steps)", fontsize=TINY)
    return figure


def suppressed(plan: Plan, layers: Sequence[str], seeds: Seeds) -> Figure:
    """Fig. 10 as a number."""
    title = f"Fig. 10: share of each step's map in the half of the predicted item\n{BANDS}"
    figure, axes = panels(1, len(layers), title)
    for column, layer in enumerate(layers):
        for name, colour, label in ((layer, SURROGATE, "SAM"), (f"{layer}/spikes", BASELINE, "spikes of the step")):
            course = course_over_seeds(seeds, "Fig. 10", f"{name} {FORMS[1]}")
            dash = "-" if label == "SAM" else "--"
            line(axes[0, column], range(len(course)), course, colour, label, form=FORMS[1], dash=dash)
        level(axes[0, column], over_seeds(seeds, "Fig. 10", f"input {FORMS[1]}"), "input picture")
        axes[0, column].axhline(0.5, color="black", linewidth=0.7, linestyle="-")
        axes[0, column].set_title(layer, fontsize=TINY + 1)
        axes[0, column].set_xlabel("step", fontsize=TINY)
        axes[0, column].xaxis.get_major_locator().set_params(integer=True)
    legend(figure, axes[0, 0])
    return figure
