"""Results of ``neurosam bench`` as plots: cases.png, one per sweep, and linear.png."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosam._util.atomic_write import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plots"]

Row = Mapping[str, Any]
COLOURS = ("#3b6ea5", "#c8553d", "#588157", "#8a5a9e")
SIZE = (5.2, 3.4)


def plots(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw all plots of the results; return the names of the files written, none without matplotlib."""
    if find_spec("matplotlib") is None:
        return []
    drawn = {}
    if results.get("cases"):
        drawn["cases"] = _cases(results["cases"])
    for kind, rows in results.get("sweeps", {}).items():
        if rows:
            drawn[kind] = SWEPT[kind](rows)
    if results.get("linear"):
        drawn["linear"] = _linear(results["linear"])
    for name, figure in drawn.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=144)
        write_bytes(folder / f"{name}.png", buffer.getvalue())
    return [f"{name}.png" for name in drawn]


def _figure(width: int = 1, height: float = SIZE[1]) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] * width, height), layout="constrained")
    axes = figure.subplots(1, width, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def _plain(ax: Axes, x: bool = True, y: bool = True) -> None:
    """Label logarithmic axes with plain numbers: all, or 1, 2 and 5, or powers of 10, depending on space."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, selected, (low, high), decades in ((ax.xaxis, x, ax.get_xlim(), 2.5), (ax.yaxis, y, ax.get_ylim(), 4.0)):
        if selected:
            subs = range(1, 10) if high < 5 * low else (1, 2, 5) if high < 10**decades * low else (1,)
            axis.set_major_locator(LogLocator(subs=subs))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axis.set_minor_formatter(NullFormatter())


def _cases(cases: Sequence[Row]) -> Figure:
    """Draw one dot per variant: on a logarithmic axis the length of a bar means nothing."""
    from matplotlib.figure import Figure

    ratios = [len(case["rows"]) + 1 for case in cases]
    figure = Figure(figsize=(8.2, 0.4 + 0.32 * sum(ratios)), layout="constrained")
    axes = figure.subplots(len(cases), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for ax, case in zip(axes, cases, strict=True):
        for row in case["rows"][::-1]:
            colour = COLOURS[0] if row["what"].startswith("event") else COLOURS[1]
            ms = 1e3 * row["median_s"]
            ax.plot([ms], [row["what"]], "o", color=colour, markersize=6)
            ax.annotate(f"{ms:.3g}", (ms, row["what"]), (7, -2.5), textcoords="offset points", fontsize=7)
        ax.set_xscale("log")
        ax.set_title(f"{case['case']}, {case['activity']:.1%} activity", fontsize=9, loc="left")
        ax.set_xlabel("ms", fontsize=7)
        ax.tick_params(labelsize=7)
        ax.grid(axis="y", alpha=0.4, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.12, y=0.5 / len(case["rows"]))
        _plain(ax, y=False)
    return figure


def _activity(rows: Sequence[Row]) -> Figure:
    names = list(dict.fromkeys(row["case"] for row in rows))
    figure, axes = _figure(len(names))
    series = (("event", "event"), ("float32", "dense float32"), ("int8", "dense int8, convolutions alone"))
    for ax, name in zip(axes, names, strict=True):
        case_rows = sorted((row for row in rows if row["case"] == name), key=lambda row: row["activity"])
        for colour, (key, label) in zip(COLOURS, series, strict=False):
            points = [(100 * r["activity"], 1e3 * r[f"{key}_s"]) for r in case_rows if f"{key}_s" in r]
            if points:
                ax.loglog(*zip(*points, strict=True), "o-", color=colour, label=label, markersize=4)
        ax.set(title=name, xlabel="activity, %", ylabel="ms", ylim=(None, 4 * ax.get_ylim()[1]))  # room for a legend
        _plain(ax)
        ax.legend(fontsize=8, frameon=False, loc="upper left")
    return figure


def _batch(rows: Sequence[Row]) -> Figure:
    figure, (ax,) = _figure()
    _line_per_case(ax, rows, "samples", "sample_s", 1e3)
    ax.set(xlabel="samples at once", ylabel="ms per sample", xscale="log", ylim=(0, None))
    _plain(ax, y=False)
    ax.set_xticks(sorted({row["samples"] for row in rows}), minor=False)
    ax.minorticks_off()
    ax.legend(fontsize=8, frameon=False)
    return figure


def _sam(rows: Sequence[Row]) -> Figure:
    figure, (ax,) = _figure()
    _line_per_case(ax, rows, "layers", "ratio", 1.0)
    ax.set(xlabel="layers with spike activation maps", ylabel="time relative to none")
    ax.legend(fontsize=8, frameon=False)
    return figure


def _time_and_memory(x: str, x_label: str) -> Callable[[Sequence[Row]], Figure]:
    """Return a function that draws two panels over the same quantity, one line per case."""

    def drawn(rows: Sequence[Row]) -> Figure:
        figure, (left, right) = _figure(2)
        _line_per_case(left, rows, x, "median_s", 1e3)
        _line_per_case(right, rows, x, "peak_bytes", 1e-6)
        for ax, label in ((left, "ms"), (right, "peak of resident memory, MB")):
            ax.set(xscale="log", yscale="log", xlabel=x_label, ylabel=label)
            if ax is right:
                low, high = ax.get_ylim()
                ax.set_ylim(low / 2, high * 2)
            ax.legend(fontsize=8, frameon=False)
            _plain(ax)
        return figure

    return drawn


def _line_per_case(ax: Axes, rows: Sequence[Row], x: str, y: str, factor: float) -> None:
    for colour, name in zip(COLOURS, dict.fromkeys(row["case"] for row in rows), strict=False):
        case_rows = [row for row in rows if row["case"] == name]
        ax.plot(
            [r[x] for r in case_rows], [factor * r[y] for r in case_rows], "o-", color=colour, label=name, markersize=4
        )


def _linear(fits: Sequence[Row]) -> Figure:
    """Plot measured against fitted times; the diagonal is a perfect fit."""
    figure, (ax,) = _figure()
    values = []
    for colour, fit in zip(COLOURS, fits, strict=False):
        points = [(1e3 * p["fitted_s"], 1e3 * p["median_s"]) for p in fit["points"]]
        values += [value for point in points for value in point if value > 0]
        ax.loglog(
            *zip(*points, strict=True), "o", color=colour, markersize=4, label=f"{fit['case']}, R² {fit['r2']:.3f}"
        )
    ax.loglog([min(values), max(values)], [min(values), max(values)], "-", color="#999999", linewidth=0.8)
    ax.set(xlabel="fixed + a operations + b updates, ms", ylabel="measured, ms")
    _plain(ax)
    ax.legend(fontsize=8, frameon=False)
    return figure


SWEPT: dict[str, Callable[[Sequence[Row]], Figure]] = {
    "activity": _activity,
    "batch": _batch,
    "steps": _time_and_memory("steps", "steps"),
    "neurons": _time_and_memory("neurons", "neurons"),
    "sam": _sam,
}
