"""Building blocks of the study's charts: means over seeds with their intervals, as dots or lines.

Each kind of training has one colour in all figures, from a palette that colour-blind readers can distinguish (Okabe &
Ito 2008); baselines are grey. A filled marker is the network at 8 bits on the event back end, a hollow one the float
network, a diamond a figure that involves neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam_study.interval import Interval, over_seeds
from neurosam_study.models import FORMS
from neurosam_study.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ANN",
    "BANDS",
    "BASELINE",
    "CONVERSION",
    "GRADIENT",
    "KEY",
    "NETS",
    "SMALL",
    "SURROGATE",
    "TINY",
    "Seeds",
    "dots",
    "formless",
    "in_forms",
    "label",
    "legend",
    "level",
    "line",
    "panels",
    "style",
]

Seeds: TypeAlias = Sequence[Mapping[str, Result]]

SURROGATE, CONVERSION, ANN, GRADIENT, BASELINE = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#6E6E6E"
SMALL, TINY = 8.0, 7.0
NETS = {"surrogate": SURROGATE, "conversion": CONVERSION}
KEY = "filled: 8 bits, event back end; hollow: float; dots: seeds; bars and bands: 95 % over seeds"
BANDS = "8 bits, event back end; dots: seeds; bands: 95 % over seeds"
SEED: dict[str, Any] = {"markersize": 2.2, "alpha": 0.45, "markeredgewidth": 0}
"""A dot for each seed, behind the mean."""
MARKS: dict[str, dict[str, Any]] = {
    FORMS[0]: {"marker": "o", "markerfacecolor": "white", "markersize": 5.0},
    FORMS[1]: {"marker": "o", "markersize": 3.6},
    "": {"marker": "D", "markersize": 3.6},
}


def panels(rows: int, columns: int, title: str, *, width: float = 2.3, height: float = 1.9) -> tuple[Figure, Any]:
    """Create a figure with a title and rows x columns axes; return it and the array of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns + 1.2, height * rows + 0.7), layout="constrained")
    axes = np.empty((rows, columns), dtype=object)
    for row in range(rows):
        for column in range(columns):
            axes[row, column] = figure.add_subplot(rows, columns, row * columns + column + 1)
            style(axes[row, column])
    figure.suptitle(title, fontsize=SMALL + 1)
    return figure, axes


def style(axes: Axes) -> None:
    """Set small labels, a light grid and no frame."""
    axes.tick_params(labelsize=TINY, length=2, pad=2)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def dots(axes: Axes, rows: Mapping[str, tuple[Mapping[str, Interval], str]], *, names: bool, log: bool = False) -> None:
    """Draw one row of dots with intervals for each name, from the top.

    Parameters
    ----------
    axes : Axes
    rows : mapping
        Name to (interval by form, colour); forms as in `MARKS`.
    names : bool
        Whether to write the names; otherwise the panel on the left has them.
    log : bool
        Whether the x axis is logarithmic.
    """
    for row, (forms, colour) in enumerate(rows.values()):
        for form, value in forms.items():
            if math.isnan(value.mean):
                continue
            shift = {FORMS[0]: 0.16, FORMS[1]: -0.16}.get(form, 0.0)
            reach = [[_finite(value.mean - value.low)], [_finite(value.high - value.mean)]]
            axes.plot(value.values, [row - shift] * len(value.values), "o", color=colour, **SEED)
            axes.errorbar(value.mean, row - shift, xerr=reach, color=colour, linewidth=0, elinewidth=1.0, **MARKS[form])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), list(rows) if names else [""] * len(rows))
    if log:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=4)


def line(
    axes: Axes,
    x: npt.ArrayLike,
    values: Sequence[Interval],
    colour: str,
    label: str,
    *,
    form: str = "",
    dash: str = "-",
    share: bool = False,
) -> None:
    """Draw a line of means with a band of their intervals; with markers, and a dot for each seed, if points are few.

    The band of a `share` ends at 0 and 1.
    """
    positions = np.asarray(x, dtype=float)
    mean, low, high = (np.array([value[i] for value in values], dtype=float) for i in range(3))
    if share:
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    few = len(positions) <= 12
    mark = MARKS[form] if few else {}
    if few:
        for position, value in zip(positions, values, strict=True):
            axes.plot([position] * len(value.values), value.values, "o", color=colour, **SEED)
    axes.plot(positions, mean, color=colour, linestyle=dash, linewidth=1.3, label=label, **mark)
    axes.fill_between(positions, low, high, where=np.isfinite(low) & np.isfinite(high), color=colour, alpha=0.15, lw=0)


def label(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Set the title and axis labels of a panel."""
    if title:
        axes.set_title(title, fontsize=TINY + 1)
    if x:
        axes.set_xlabel(x, fontsize=TINY)
    if y:
        axes.set_ylabel(y, fontsize=TINY)


def level(axes: Axes, value: Interval, label: str, dash: str = "--") -> None:
    """Draw a baseline that does not depend on x."""
    if math.isfinite(value.mean):
        axes.axhline(value.mean, color=BASELINE, linestyle=dash, linewidth=1.0, label=label)


def legend(figure: Figure, axes: Axes) -> None:
    """Draw one legend below all panels, with the entries of one of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=TINY, frameon=False,
        handlelength=2.4,
    )  # fmt: skip


def in_forms(seeds: Seeds, experiment: str, name: str) -> dict[str, Interval]:
    """Look up a figure in both forms; ``{form}`` in the name is replaced by the form."""
    return {form: over_seeds(seeds, experiment, name.format(form=form)) for form in FORMS}


def formless(seeds: Seeds, experiment: str, name: str) -> dict[str, Interval]:
    """Look up a figure that involves no network on a back end."""
    return {"": over_seeds(seeds, experiment, name)}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
