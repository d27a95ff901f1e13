"""The picture of a quantisation report: signal-to-noise by layer, and where predictions are lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosam.deploy.layer_report import LayerReport
from neurosam.report.colours import LINES
from neurosam.report.raster import SMALL, TINY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layer_figure"]

CEILING_DB = 60.0
"""Drawn for ratios above it, such as those of equal values, which are infinite."""


def layer_figure(report: LayerReport, *, title: str = "") -> Figure:
    """Draw a report: signal-to-noise by layer (full bars: deployed, outlined: alone), and agreement layer by layer.

    Parameters
    ----------
    report : LayerReport
    title : str
    """
    from matplotlib.figure import Figure

    names = [layer.population for layer in report.layers]
    figure = Figure(figsize=(max(6.4, 1.4 + 0.8 * len(names)), 6.0), layout="constrained")
    noise, lost = figure.subplots(2, 1, height_ratios=[1.3, 1])
    _signal_to_noise(noise, report)
    _predictions(lost, report)
    for axes, count in ((noise, len(names)), (lost, len(names) + 1)):
        axes.set_xlim(-0.5, count - 0.5)
        axes.tick_params(labelsize=TINY)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    what = f"{report.precision}, {report.weight_bits}-bit weights; {report.samples} samples, {report.steps} steps"
    figure.suptitle(f"{title}\n{what}" if title else what, fontsize=SMALL + 1)
    return figure


def _signal_to_noise(axes: Any, report: LayerReport) -> None:
    place = np.arange(len(report.layers))
    alone, deployed = [x.alone for x in report.layers], [x.deployed for x in report.layers]
    series: list[tuple[str, Sequence[float], Sequence[float]]] = [
        ("weights", [x.weight_snr_db for x in report.layers], []),
        ("inputs", [x.input_snr_db for x in deployed], [x.input_snr_db for x in alone]),
        ("membranes", [x.membrane_snr_db for x in deployed], [x.membrane_snr_db for x in alone]),
        ("spikes", [x.spike_snr_db for x in deployed], [x.spike_snr_db for x in alone]),
    ]
    width = 0.8 / len(series)
    for i, (label, full, outline) in enumerate(series):
        x = place + (i - (len(series) - 1) / 2) * width
        axes.bar(x, _drawn(full), width * 0.9, color=LINES[i], label=label)
        if outline:
            axes.bar(x, _drawn(outline), width * 0.9, fill=False, edgecolor=LINES[i], linewidth=0.8)
    axes.set_xticks(place, [x.population for x in report.layers])
    axes.set_ylabel("signal-to-noise, dB", fontsize=SMALL)
    axes.set_title("full: in the quantised network; outlined: the layer alone", fontsize=SMALL)
    axes.legend(fontsize=TINY, frameon=False, ncols=len(series), loc="upper right")
    axes.margins(y=0.18)


def _predictions(axes: Any, report: LayerReport) -> None:
    names = [*(x.population for x in report.layers), "integers"]
    only = [x.only_this.agreement for x in report.layers]
    up_to = [*(x.up_to_this.agreement for x in report.layers), report.fixed.agreement]
    axes.plot(
        range(len(only)), only, "o", color=LINES[0], markersize=9, fillstyle="none", label="only this layer rounded"
    )
    axes.plot(range(len(up_to)), up_to, "s-", color=LINES[1], label="up to this layer", linewidth=1.4)
    if report.float_accuracy is not None:
        accuracy = [*(x.up_to_this.accuracy for x in report.layers), report.fixed.accuracy]
        axes.plot(range(len(accuracy)), accuracy, "^--", color=LINES[2], label="accuracy up to this layer")
        axes.axhline(report.float_accuracy, color=LINES[2], linewidth=0.8, linestyle=":", label="accuracy in float")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("agreement with float", fontsize=SMALL)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.95), 1.0 + 0.03 * (1.0 - min(low, 0.95)) if high > 1.0 else high)  # no shares above 100 %
    axes.legend(fontsize=TINY, frameon=False, loc="best")


def _drawn(values: Sequence[float]) -> list[float]:
    return [0.0 if np.isnan(value) else min(max(value, 0.0), CEILING_DB) for value in values]
