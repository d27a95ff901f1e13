"""Activity over time: the spike raster of one sample, and the spikes per step of every population.

A raster of up to :data:`TICKS` neurons draws each spike. With more, neighbouring neurons of a channel share a line,
shaded by the fraction of them that spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.synapse import as_chw
from neurosam.report.colours import DASHES, LINES
from neurosam.signals.recording import Spikes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_raster", "draw_spikes_per_step", "raster", "spikes_per_step"]

TICKS = 600
"""Maximum number of neurons drawn on a line of their own."""

SMALL, TINY = 8.0, 7.0  # points


def raster(spikes: Spikes | npt.ArrayLike, sample: int = 0, *, name: str = "", channels: int | None = None) -> Figure:
    """Draw the spikes of one sample: steps on x, neurons on y, grouped by channel; above, the spikes per step.

    Parameters
    ----------
    spikes : Spikes, or (T, N) array
        0 or 1 for each step and neuron (flattened in C order, so that neurons of a channel are adjacent).
    sample : int
        Sample of `spikes`; 0 for an array.
    name : str
        Name of the population, for the title.
    channels : int, optional
        Channels of an array, with N / channels neurons each; 1 if None.

    Raises
    ------
    NeurosamError
        If the sample does not exist, or N is not a multiple of `channels`.
    """
    from matplotlib.figure import Figure

    x, groups = _matrix(spikes, sample, channels)
    steps, neurons = x.shape
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[1, 4.5])
    main = figure.add_subplot(grid[1])
    above = figure.add_subplot(grid[0], sharex=main)
    above.bar(np.arange(steps), x.sum(axis=1), width=0.9, color="0.45")
    above.set_ylabel("spikes", fontsize=SMALL)
    above.tick_params(labelsize=TINY, labelbottom=False)
    rate = x.mean()
    heading = f"{name or 'spikes'}: {neurons:,} neurons, {int(x.sum()):,} spikes, {rate:.3g} per neuron and step"
    above.set_title(heading.replace("$", r"\$"), fontsize=SMALL + 1)
    _draw(figure, main, x, groups)
    _hide_frame(above)
    return figure


def draw_raster(axes: Axes, spikes: Spikes | npt.ArrayLike, sample: int = 0) -> None:
    """Draw the spikes of one sample on axes that exist: steps on x, neurons on y, grouped by channel."""
    x, groups = _matrix(spikes, sample, None)
    _draw(axes.get_figure(root=True), axes, x, groups)


def _draw(figure: Any, axes: Axes, x: npt.NDArray[np.bool_], groups: int) -> None:
    steps, neurons = x.shape
    if neurons <= TICKS:
        _draw_spikes(axes, x, groups)
    else:
        _draw_fractions(figure, axes, x, groups)
    _channel_axis(axes, neurons, groups)
    axes.set_xlim(-0.5, steps - 0.5)
    _integer_ticks(axes)
    axes.set_xlabel("step", fontsize=SMALL)
    axes.tick_params(labelsize=TINY)
    _hide_frame(axes)


def spikes_per_step(
    counts: Mapping[str, npt.ArrayLike], neurons: Mapping[str, int] | None = None, *, title: str = ""
) -> Figure:
    """Draw the spikes of each population at each step: mean over samples, and 10th to 90th percentile as a band.

    Parameters
    ----------
    counts : mapping of str to (T, B) int array
    neurons : mapping of str to int, optional
        Neurons of each population in `counts`. If given, the figure shows spikes per neuron, else spikes per sample.
    title : str

    Raises
    ------
    NeurosamError
        If there are no counts, or the number of neurons of a population is missing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    draw_spikes_per_step(figure.add_subplot(), counts, neurons, title=title)
    figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False, handlelength=2.8)
    return figure


def draw_spikes_per_step(
    axes: Axes, counts: Mapping[str, npt.ArrayLike], neurons: Mapping[str, int] | None = None, *, title: str = ""
) -> None:
    """Draw what :func:`spikes_per_step` does on axes that exist, without a legend."""
    if not counts:
        raise NeurosamError("spikes_per_step: counts", "got none; at least one population is required")
    for i, (name, value) in enumerate(counts.items()):
        x = np.asarray(value, dtype=np.float64)
        if x.ndim != 2 or 0 in x.shape:
            raise NeurosamError(f"spikes_per_step: {name!r}", f"got counts of shape {x.shape}; [T, B] is required")
        if neurons is not None:
            if neurons.get(name, 0) < 1:
                raise NeurosamError(f"spikes_per_step: {name!r}", "its number of neurons (>= 1) is missing")
            x = x / neurons[name]
        step = np.arange(len(x))
        colour, dash = LINES[i % len(LINES)], DASHES[i % len(DASHES)]
        low, high = np.quantile(x, (0.1, 0.9), axis=1)
        axes.fill_between(step, low, high, color=colour, alpha=0.15, linewidth=0)
        mark = "o" if len(x) == 1 else None
        axes.plot(step, x.mean(axis=1), color=colour, linestyle=dash, linewidth=1.6, marker=mark, label=name)
    samples = np.asarray(next(iter(counts.values()))).shape[1]
    axes.set_xlabel("step (each population's own time)", fontsize=SMALL)
    axes.set_ylabel(
        "spikes per neuron and step" if neurons is not None else "spikes per step and sample", fontsize=SMALL
    )
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TINY)
    heading = f"mean of {samples} sample{'s' if samples != 1 else ''}; band: 10th to 90th percentile"
    axes.set_title(f"{title}\n{heading}" if title else heading, fontsize=SMALL)
    _integer_ticks(axes)
    _hide_frame(axes)


def _matrix(spikes: Spikes | npt.ArrayLike, sample: int, channels: int | None) -> tuple[npt.NDArray[np.bool_], int]:
    """Spikes ``bool [T, N]`` of one sample, and the number of channels that the neurons are divided into."""
    if isinstance(spikes, Spikes):
        samples = spikes.planes.shape[1]
        if not 0 <= sample < samples:
            raise NeurosamError("raster: sample", f"got {sample}; allowed is 0..{samples - 1}")
        dense = Spikes(spikes.planes[:, sample : sample + 1], spikes.shape).dense()
        count, height, width = as_chw(spikes.shape)
        groups = count if height * width > 1 else 1
    else:
        dense = np.asarray(spikes)
        groups = 1 if channels is None else channels
        if dense.ndim != 2 or dense.dtype.kind not in "biuf":
            raise NeurosamError("raster: spikes", f"got {dense.dtype} {dense.shape}; Spikes or [T, N] is required")
        if sample != 0:
            raise NeurosamError("raster: sample", f"got {sample}; an array [T, N] holds one sample, 0")
    matrix = dense.reshape(len(dense), -1) != 0
    if not matrix.size or groups < 1 or matrix.shape[1] % groups:
        raise NeurosamError(
            "raster: spikes", f"{matrix.shape[1]} neurons at {len(matrix)} steps do not make {groups} equal channels"
        )
    return matrix, groups


def _draw_spikes(axes: Axes, x: npt.NDArray[np.bool_], groups: int) -> None:
    """Draw one tick per spike, in two colours that alternate by channel."""
    step, neuron = np.nonzero(x)
    channel = neuron // (x.shape[1] // groups)
    height = max(0.9, x.shape[1] / 130)  # so that ticks stay visible among many neurons
    for parity in (0, 1):
        selected = channel % 2 == parity
        low, high = neuron[selected] - height / 2, neuron[selected] + height / 2
        axes.vlines(step[selected], low, high, color=LINES[parity], linewidth=_tick_width(len(x)))


def _tick_width(steps: int) -> float:
    """Width of a tick in points: a fifth of a step's width on the page, but visible."""
    return float(np.clip(380 / steps / 5, 0.5, 1.6))


def _draw_fractions(figure: Figure, axes: Axes, x: npt.NDArray[np.bool_], groups: int) -> None:
    """Draw one line per `bundle` neurons of a channel, shaded by the fraction of them that spike."""
    steps, neurons = x.shape
    each = neurons // groups
    bundle = min(each, -(-neurons // 400))
    starts = np.concatenate([np.arange(channel * each, (channel + 1) * each, bundle) for channel in range(groups)])
    sizes = np.diff([*starts, neurons])
    share = np.add.reduceat(x, starts, axis=1, dtype=np.float64) / sizes
    edges = np.append(starts, neurons) - 0.5
    mesh = axes.pcolormesh(np.arange(steps + 1) - 0.5, edges, share.T, cmap="Greys", vmin=0, rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=30)
    bar.set_label(f"fraction of {bundle} neighbours that spike", fontsize=SMALL)
    bar.ax.tick_params(labelsize=TINY)


def _channel_axis(axes: Axes, neurons: int, groups: int) -> None:
    axes.set_ylim(neurons - 0.5, -0.5)
    if groups == 1:
        axes.set_ylabel("neuron", fontsize=SMALL)
        return
    each = neurons // groups
    axes.set_ylabel(f"channel ({each:,} neurons each)", fontsize=SMALL)
    stride = max(1, -(-groups // 16))
    shown = np.arange(0, groups, stride)
    axes.set_yticks(shown * each + (each - 1) / 2, [str(channel) for channel in shown])
    if groups <= 64:
        for border in range(1, groups):
            axes.axhline(border * each - 0.5, color="0.75", linewidth=0.4, zorder=0.5 if neurons <= TICKS else 2)


def _integer_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _hide_frame(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
