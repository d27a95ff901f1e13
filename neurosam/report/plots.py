"""Pictures of a recording, each on matplotlib axes: ``recording.plot.raster("conv1")``.

Every function draws on the axes that it is given, or on those of a new figure, and returns them, so that a notebook
shows the picture and a script can go on with it. All is in a population's own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.colours import DASHES, LINES
from neurosam.report.raster import SMALL, TINY, draw_raster, draw_spikes_per_step
from neurosam.signals.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Plots"]


class Plots:
    """The pictures of one recording; ``recording.plot``.

    Parameters
    ----------
    recording : Recording

    Examples
    --------
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.75, 0.5]])))],
    ... )
    >>> recording = ns.run(net, ns.Events.from_dense(np.ones((6, 1, 2))), record=ns.Record.everything(net))
    >>> axes = recording.plot.membrane("out", 0, network=net)
    >>> axes.get_title()
    'out, neuron 0, sample 0: 6 spikes'
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __repr__(self) -> str:
        return "recording.plot: raster(name), membrane(name, neuron), spikes_per_step(), sam(name)"

    def raster(self, name: str, sample: int = 0, ax: Axes | None = None) -> Axes:
        """The spikes of one population in one sample: steps on x, neurons on y.

        Raises
        ------
        ArgumentError
            If they were not recorded, or there is no such sample.
        """
        spikes = _recorded(self._recording.spikes, "spikes", name)
        axes = _axes(ax, (6.4, 3.6))
        draw_raster(axes, spikes, _within("sample", sample, self._recording.samples))
        if first := self._recording.first_step:
            axes.xaxis.set_major_formatter(lambda step, _: f"{step + first:g}")
        axes.set_title(f"{name}, sample {sample}", fontsize=9)
        return axes

    def spikes_per_step(self, ax: Axes | None = None) -> Axes:
        """Spikes of each population in each step: mean over samples, and 10th to 90th percentile."""
        axes = _axes(ax, (6.4, 3.2))
        draw_spikes_per_step(axes, self._recording.counts)
        axes.legend(fontsize=8, frameon=False)
        return axes

    def membrane(
        self,
        name: str,
        neuron: int | tuple[int, ...],
        sample: int = 0,
        *,
        network: Network | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """The membrane of one neuron, its spikes, and, with the `network`, its threshold.

        Parameters
        ----------
        name : str
        neuron : int or tuple of int
            Flat index, or position in the population's shape.
        sample : int
        network : Network, optional
        ax : matplotlib Axes, optional

        Raises
        ------
        ArgumentError
            If the membrane was not recorded, or there is no such neuron or sample.
        """
        values = _recorded(self._recording.membrane, "membrane", name)
        sample = _within("sample", sample, self._recording.samples)
        flat = _flat(name, neuron, values.shape[2:])
        trace = np.asarray(values[:, sample].reshape(len(values), -1)[:, flat])
        axes = _axes(ax, (6.4, 2.8))
        steps = np.arange(len(trace)) + self._recording.first_step
        axes.plot(steps, trace, color=LINES[0], marker="." if len(trace) < 80 else None, linewidth=1.2)
        title = f"{name}, neuron {neuron}, sample {sample}"
        if name in self._recording.spikes:
            fired = self._recording.spikes[name].select(sample, sample + 1).dense()
            at = np.flatnonzero(fired.reshape(len(trace), -1)[:, flat])
            top, height = float(trace.max(initial=0.0)), float(np.ptp(trace)) or 1.0
            axes.vlines(
                steps[at], top + 0.08 * height, top + 0.2 * height, color=LINES[1], linewidth=1.6, label="spikes"
            )
            title += f": {at.size} spike{'s' if at.size != 1 else ''}"
        if network is not None and (threshold := _threshold(network, name, flat)) is not None:
            axes.axhline(threshold, color="0.4", linestyle=DASHES[1], linewidth=1.0, label="threshold")
        unit = "1/64 weight" if values.dtype.kind == "i" else "unit of the weights"
        axes.set_xlabel("step", fontsize=SMALL)
        axes.set_ylabel(f"membrane after the step ({unit})", fontsize=SMALL)
        axes.tick_params(labelsize=TINY)
        axes.set_title(title, fontsize=9)
        if axes.get_legend_handles_labels()[0]:  # beside the axes, where it hides nothing
            axes.legend(fontsize=SMALL, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return axes

    def sam(self, name: str, sample: int = 0, step: int | None = None, ax: Axes | None = None) -> Axes:
        """The spike activation map of one step, or the sum over all steps.

        Raises
        ------
        ArgumentError
            If the map was not recorded, or there is no such sample or step.
        """
        from matplotlib.ticker import MaxNLocator

        maps = _recorded(self._recording.sam, "sam", name)
        x = maps[:, _within("sample", sample, self._recording.samples)] / self._recording.sam_scale.get(name, 1.0)
        shown = x.sum(axis=0) if step is None else x[_within("step", step, self._recording.steps)]
        axes = _axes(ax, (4.2, 3.4))
        image = axes.imshow(shown, cmap="inferno", vmin=0, interpolation="nearest")
        bar = axes.figure.colorbar(image, ax=axes)
        bar.set_label("sum of the spikes' scores", fontsize=SMALL)
        bar.ax.tick_params(labelsize=TINY)
        axes.tick_params(labelsize=TINY)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_title(f"{name}, sample {sample}, {'all steps' if step is None else f'step {step}'}", fontsize=9)
        return axes


def _axes(given: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or those of a new figure, which a notebook shows."""
    if given is not None:
        return given
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError:
        raise ArgumentError("plot", "needs matplotlib: pip install 'neurosam[viz]'") from None
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _recorded(arrays: Mapping[str, Any], variable: str, name: str) -> Any:
    if name not in arrays:
        known = ", ".join(arrays) or "of none"
        raise ArgumentError(
            f"plot: {variable} of {name!r}", f"was not recorded (recorded: {known}); ns.Record({variable}={name!r})"
        )
    return arrays[name]


def _within(what: str, index: int, size: int) -> int:
    if not 0 <= index < size:
        raise ArgumentError(f"plot: {what}", f"got {index}; allowed is 0..{size - 1}")
    return index


def _flat(name: str, neuron: int | tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Flat index of a neuron."""
    if isinstance(neuron, tuple):
        if len(neuron) != len(shape) or any(not 0 <= at < side for at, side in zip(neuron, shape, strict=False)):
            raise ArgumentError("plot: neuron", f"got {neuron}; {name!r} has shape {shape}")
        return int(np.ravel_multi_index(neuron, shape))
    return _within("neuron", neuron, neurons(shape))


def _threshold(network: Network, name: str, flat: int) -> float | None:
    """Threshold of a neuron in the unit of recorded membranes; None for one that has none, or an adaptive one."""
    population = network[name]
    neuron: Any = population.neuron
    if neuron is None or not population.fires or getattr(neuron, "threshold_step", None) is not None:
        return None
    if getattr(neuron, "threshold_step_64ths", None) is not None:
        return None
    value: npt.NDArray[Any] = np.asarray(neuron.threshold)
    by_channel = value.reshape(-1, *[1] * (len(population.shape) - 1)) if value.ndim == 1 else value
    whole = np.broadcast_to(by_channel, population.shape).ravel()[flat]
    return float(whole * (1 << FRACTION_BITS) if network.fixed else whole)
