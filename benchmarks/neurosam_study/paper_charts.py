"""Charts of the paper's figures, one function each: all seeds, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neurosam_study import charts
from neurosam_study.behaviour import ATTACK
from neurosam_study.interval import course_over_seeds, interval, over_seeds
from neurosam_study.maps import GAMMA
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["activity", "gammas", "leaks", "localisation", "robustness", "suppressed", "variance"]


def variance(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 3."""
    figure, axes = charts.panels(1, len(layers), f"Fig. 3: pixel variance of maps, maximum over steps\n{charts.KEY}")
    for column, layer in enumerate(layers):
        rows = {}
        for net, colour in charts.NETS.items():
            rows[f"SAM, {net}"] = charts.in_forms(seeds, "Fig. 3", f"{net}/{layer}/SAM {{form}}"), colour
            rows[f"SNN-Grad-CAM, {net}"] = charts.formless(seeds, "Fig. 3", f"{net}/{layer}/Grad-CAM"), charts.GRADIENT
            rows[f"spikes of a step, {net}"] = (
                charts.in_forms(seeds, "Fig. 3", f"{net}/{layer}/spikes of a step {{form}}"), charts.BASELINE,
            )  # fmt: skip
        rows["noise"] = charts.formless(seeds, "Fig. 3", f"any/{layer}/random"), charts.BASELINE
        rows["input image"] = charts.formless(seeds, "Fig. 3", "any/input"), charts.BASELINE
        rows["blob in the centre"] = charts.formless(seeds, "Fig. 3", "any/centre"), charts.BASELINE
        charts.dots(axes[0, column], rows, names=column == 0)
        charts.label(axes[0, column], title=layer, x="variance")
    return figure


def localisation(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 6a, and the same maps against the exact masks if there are any."""
    kinds = {"": "localisation error (nats; lower is closer)", "mask/": "share of mass inside the exact mask"}
    masked = f"{layers[0]}/mask/input" in seeds[0]["Fig. 6a"].figures
    chosen = list(kinds)[: 1 + masked]
    figure, axes = charts.panels(
        len(chosen), len(layers), f"Fig. 6a: where SAM points, against the ANN's Grad-CAM\n{charts.KEY}", height=2.1
    )
    for row, kind in enumerate(chosen):
        for column, layer in enumerate(layers):
            shown = {}
            for net, colour in charts.NETS.items():
                shown[f"SAM, {net}"] = charts.in_forms(seeds, "Fig. 6a", f"{layer}/{kind}{net} {{form}}"), colour
                spikes = f"{layer}/{kind}{'spikes' if kind else 'spikes of a step'}, {net} {{form}}"
                shown[f"spikes, {net}"] = charts.in_forms(seeds, "Fig. 6a", spikes), charts.BASELINE
            if kind:
                name = f"{layer}/mask/Grad-CAM of the ANN"
                shown["Grad-CAM of the ANN"] = charts.formless(seeds, "Fig. 6a", name), charts.ANN
            else:
                shown["best constant map"] = (
                    charts.formless(seeds, "Fig. 6a", f"{layer}/best constant"),
                    charts.BASELINE,
                )
            for name in ("input", "centre", "random", "uniform"):
                shown[name] = charts.formless(seeds, "Fig. 6a", f"{layer}/{kind}{name}"), charts.BASELINE
            charts.dots(axes[row, column], shown, names=column == 0)
            charts.label(axes[row, column], title=layer, x=kinds[kind])
    return figure


def activity(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 6b."""
    title = f"Fig. 6b: spikes at each step as a share of the busiest step's\n{charts.BANDS}"
    figure, axes = charts.panels(1, len(layers), title)
    for column, layer in enumerate(layers):
        lines = {net: (f"{layer}/{net} {FORMS[1]}", colour, "-") for net, colour in charts.NETS.items()}
        lines |= {net: (f"{layer}/{net} {FORMS[1]}", charts.SURROGATE, "--") for net in [*plan.surrogates][1:]}
        lines["input of the surrogate net"] = ("input/surrogate", charts.BASELINE, ":")
        for net, (name, colour, dash) in lines.items():
            if course := course_over_seeds(seeds, "Fig. 6b", name):
                label = net if dash == ":" else f"{net}, {len(course)} steps"
                charts.line(
                    axes[0, column], _share(len(course)), course, colour, label, form=FORMS[1], dash=dash, share=True
                )
        charts.label(
            axes[0, column], title=layer, x="fraction of the presentation", y="" if column else "share of the most"
        )
        axes[0, column].set_ylim(0, 1.05)
    charts.legend(figure, axes[0, 0])
    return figure


def _share(steps: int) -> list[float]:
    return [(step + 0.5) / steps for step in range(steps)]


def leaks(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Table 1 as a chart."""
    figure, axes = charts.panels(
        1, len(layers) + 1, f"Table 1: the leak (retained fraction of the membrane)\n{charts.KEY}"
    )
    for column, layer in enumerate([*layers, "accuracy"]):
        for form in FORMS:
            values = [over_seeds(seeds, "Table 1", f"{layer}/leak {leak:g} {form}") for leak in plan.leaks]
            charts.line(axes[0, column], plan.leaks, values, charts.SURROGATE, f"SAM, {form}", form=form)
        baseline = ("Accuracy", "ANN") if layer == "accuracy" else ("Table 1", f"{layer}/best constant")
        charts.level(axes[0, column], over_seeds(seeds, *baseline), "best constant map; for accuracy, the ANN")
        charts.label(
            axes[0, column],
            title=layer if layer != "accuracy" else "held-out accuracy",
            x="leak",
            y="" if layer == "accuracy" else "localisation error",
        )
    charts.legend(figure, axes[0, 0])
    return figure


def gammas(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 8: the paired difference in error from gamma 0.5, which the statements are about, for every mode."""
    title = f"Fig. 8: localisation error against gamma, minus that of gamma {GAMMA:g}, same picture\n{charts.BANDS}"
    figure, axes = charts.panels(len(plan.modes), len(layers), title)
    for row, mode in enumerate(plan.modes):
        for column, layer in enumerate(layers):
            panel = axes[row, column]
            for net, colour in charts.NETS.items():
                names = [f"{layer}/{net}/{mode}/gamma {gamma:g} {FORMS[1]}" for gamma in plan.gammas]
                base = f"{layer}/{net}/{mode}/gamma {GAMMA:g} {FORMS[1]}"
                figures = [seed["Fig. 8"].figures for seed in seeds]
                moved = [interval([f[name] - f[base] for f in figures]) for name in names]
                charts.line(panel, plan.gammas, moved, colour, f"SAM, {net}", form=FORMS[1])
            panel.axhline(0, color=charts.BASELINE, linewidth=0.8)
            charts.label(panel, title=layer if row == 0 else "", x="gamma" if row == len(plan.modes) - 1 else "")
        charts.label(axes[row, 0], y=f"{mode}: difference (nats)")
    charts.legend(figure, axes[0, 0])
    return figure


def robustness(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 9: accuracy against epsilon, and how far maps move at the paper's epsilon."""
    title = f"Fig. 9: accuracy under FGSM, and how far maps of {layers[-1]} move at {ATTACK}/255\n{charts.KEY}"
    figure, axes = charts.panels(1, 2, title, width=3.1, height=2.4)
    for name, colour, label in (("ANN", charts.ANN, "ANN"), ("surrogate", charts.SURROGATE, "SNN")):
        form = "" if name == "ANN" else FORMS[1]
        for suffix, dash in (("", "-"), (", noise", ":")):
            names = [f"accuracy/{name}{suffix}{f' {form}' if form else ''} {epsilon}" for epsilon in plan.epsilons]
            values = [over_seeds(seeds, "Fig. 9", figure_name) for figure_name in names]
            text = label + (", noise of the same size" if suffix else ", attacked")
            charts.line(axes[0, 0], plan.epsilons, values, colour, text, form=form, dash=dash, share=True)
    charts.label(axes[0, 0], x="epsilon, in 255ths", y="accuracy")
    axes[0, 0].set_ylim(0, 1.02)
    charts.legend(figure, axes[0, 0])
    rows = {
        "Grad-CAM of the ANN, attack": (charts.formless(seeds, "Fig. 9", "map/Grad-CAM of the ANN"), charts.ANN),
        "SAM, attack": (charts.in_forms(seeds, "Fig. 9", "map/SAM {form}"), charts.SURROGATE),
        "Grad-CAM of the ANN, noise": (
            charts.formless(seeds, "Fig. 9", "map/Grad-CAM of the ANN, noise"),
            charts.BASELINE,
        ),
        "SAM, noise": (charts.in_forms(seeds, "Fig. 9", "map/SAM, noise {form}"), charts.BASELINE),
        "SAM, new spikes": (
            charts.in_forms(seeds, "Fig. 9", "map/SAM, no attack, spikes drawn anew {form}"),
            charts.BASELINE,
        ),
    }
    charts.dots(axes[0, 1], rows, names=True)
    axes[0, 1].set_xlim(left=0)
    charts.label(axes[0, 1], x="L1 distance of maps in 0..1 (maximum over steps)")
    return figure


def suppressed(plan: Plan, layers: Sequence[str], seeds: charts.Seeds) -> Figure:
    """Draw Fig. 10 as numbers."""
    title = f"Fig. 10: of each step's map in both items' masks, the share in the predicted one's\n{charts.BANDS}"
    measured = [layer for layer in layers if f"{layer} {FORMS[1]}" in seeds[0]["Fig. 10"].courses]
    figure, axes = charts.panels(1, max(1, len(measured)), title)
    for column, layer in enumerate(measured):
        for name, colour, label in (
            (layer, charts.SURROGATE, "SAM"),
            (f"{layer}/spikes", charts.BASELINE, "spikes of the step"),
        ):
            course = course_over_seeds(seeds, "Fig. 10", f"{name} {FORMS[1]}")
            dash = "-" if label == "SAM" else "--"
            charts.line(
                axes[0, column], range(len(course)), course, colour, label, form=FORMS[1], dash=dash, share=True
            )
        charts.level(axes[0, column], over_seeds(seeds, "Fig. 10", f"input {FORMS[1]}"), "input image")
        charts.level(axes[0, column], over_seeds(seeds, "Fig. 10", f"area {FORMS[1]}"), "area of the mask", ":")
        charts.label(axes[0, column], title=layer, x="step", y="" if column else "share in that mask")
        axes[0, column].xaxis.get_major_locator().set_params(integer=True)
    charts.legend(figure, axes[0, 0])
    return figure
