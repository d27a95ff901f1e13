"""Spike Activation Maps: what a layer looked at, step by step.

A map is the sum over channels of the scores that a layer's spikes emit (network/trace.py),

    M[t, b, y, x] = sum over c of score[t, b, c, y, x].

:class:`SAM` runs a network and returns raw maps ``[T, B, H, W]``; :func:`from_spikes` computes the same maps from any
spike train, without a back end. :func:`aggregate`, :func:`normalise`, :func:`upsample` and :func:`overlay` (maps.py)
turn them into images. Raw maps of a fixed-point network are integers; divide them by :meth:`SAM.scales` to compare them
with float maps.

Source: Y. Kim and P. Panda, "Visual Explanations from Spiking Neural Networks using Interspike Intervals", Sci Rep 11,
19037 (2021), Eq. 12-14.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import contribution
from neurosam.backends.registry import run
from neurosam.errors import NetworkError, NeurosamError
from neurosam.explain.maps import aggregate, normalise, overlay, upsample
from neurosam.explain.spike_train import spike_train
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import as_chw
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.signals.events import Events, encode
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Spikes

__all__ = [
    "SAM",
    "aggregate",
    "from_spikes",
    "most_spikes",
    "normalise",
    "overlay",
    "read_inputs",
    "scores_by_step",
    "upsample",
]


class SAM:
    """Spike Activation Maps of one or more layers of a network.

    Parameters
    ----------
    network : Network
    layers : str or sequence of str
        Spiking populations.
    gamma : float, optional
        Decay of the traces per step; if None, that of the network's traces (0.5 for a layer without one).
    mode : {"strict", "inclusive", "official"}, optional
        Mode of the traces; if None, that of the network's traces ("strict" for a layer without one).
    backend : str
        Back end to run on.
    **options
        Further arguments of :func:`neurosam.run`: device, dtype, threads, progress, time_limit_s.

    Raises
    ------
    NetworkError
        If a layer does not exist or does not spike, or a trace parameter is out of range.

    Examples
    --------
    >>> network = ns.Network(
    ...     [
    ...         ns.Population("in", (1, 8, 8)),
    ...         ns.Population("conv1", (2, 6, 6), ns.FixedLIF(membrane_decay=410, threshold=20)),
    ...     ],
    ...     [ns.Projection("in", "conv1", ns.Conv2d(np.full((2, 1, 3, 3), 7, np.int8)), delay=1)],
    ... )
    >>> images = np.full((3, 1, 8, 8), 0.5)
    >>> maps = ns.SAM(network, "conv1", backend="reference").attribute(images, steps=10)
    >>> maps.shape, maps.dtype
    ((10, 3, 6, 6), dtype('int32'))
    >>> ns.overlay(images[0], ns.normalise(ns.aggregate(maps))[0]).shape
    (8, 8, 3)
    """

    def __init__(
        self,
        network: Network,
        layers: str | Sequence[str],
        *,
        gamma: float | None = None,
        mode: str | None = None,
        backend: str = "event",
        **options: Any,
    ) -> None:
        self.network = network
        self.layers = (layers,) if isinstance(layers, str) else tuple(layers)
        if not self.layers:
            raise NeurosamError("SAM: layers", "got none; name at least one population that spikes")
        self.gamma, self.mode, self.backend, self.options = gamma, mode, backend, options
        self._single = isinstance(layers, str)
        SamTrace(0.5 if gamma is None else gamma, "strict" if mode is None else mode)  # refuses invalid values
        for name in self.layers:
            if not isinstance(network[name].neuron, (LIF, FixedLIF)):
                raise NetworkError(
                    f"SAM: layer {name!r}", "does not spike; a map requires a population of spiking neurons"
                )

    def attribute(
        self,
        inputs: npt.ArrayLike | Events | Mapping[str, Events],
        steps: int | None = None,
        coding: str = "poisson",
        seed: int = 0,
    ) -> npt.NDArray[Any] | dict[str, npt.NDArray[Any]]:
        """Run the network and return the raw maps.

        Parameters
        ----------
        inputs : (B, C, H, W) or (B, N) array, Events, or mapping of str to Events
            Images are encoded with `steps`, `coding` and `seed` (:func:`neurosam.signals.events.encode`). A network
            with several inputs needs events of each, by name.
        steps : int, optional
            Required for images; Events have their own.
        coding : {"poisson", "poisson_signed", "latency", "direct"}
        seed : int

        Returns
        -------
        (T, B, H, W) array, or dict of them
            float64, or int32 for a fixed-point network; a dict by layer if `layers` is a sequence.
        """
        events = read_inputs(self.network, inputs, steps, coding, seed)
        network = self.traced(events.steps)
        recording = run(network, events, self.backend, Record(sam=self.layers), **self.options)
        return recording.sam[self.layers[0]] if self._single else {name: recording.sam[name] for name in self.layers}

    def scales(self, steps: int | None = None) -> dict[str, float]:
        """Divisor, by layer, that brings raw maps to the unit of the float trace; 1 for a float network.

        `steps` is needed only if gamma is so small that the integer trace depends on the length of the run.
        """
        network = self.traced(steps)
        return {name: network.sam[name].scale for name in self.layers}

    def traced(self, steps: int | None) -> Network:
        """The network with the requested traces; `steps` is None if the length of the run is not known yet."""
        network = self.network
        for name in self.layers:
            network = self._with_trace(network, name, steps)
        return network

    def _with_trace(self, network: Network, name: str, steps: int | None) -> Network:
        stored = network.sam.get(name)
        if stored is not None and self.gamma is None and self.mode in (None, stored.mode):
            return network
        mode = self.mode or (stored.mode if stored is not None else "strict")
        if self.gamma is None and isinstance(stored, FixedSamTrace):  # keep the table, change the mode only
            return replace(network, sam={**network.sam, name: replace(stored, mode=mode)})
        gamma = self.gamma if self.gamma is not None else (stored.gamma if stored is not None else 0.5)
        trace = SamTrace(gamma, mode)
        try:  # a trace for runs of any length, so that the scale of the maps does not depend on the length
            return network.with_sam(trace, [name])
        except NetworkError:
            if steps is None:
                raise
            return network.with_sam(trace, [name], steps)


def read_inputs(
    network: Network,
    inputs: npt.ArrayLike | Events | Mapping[str, Events],
    steps: int | None,
    coding: str,
    seed: int,
) -> Inputs:
    """Events as they are, or images encoded as events of a network."""
    if isinstance(inputs, (Events, Mapping)):
        events = Inputs.of(network, inputs)
        if steps not in (None, events.steps):
            raise NeurosamError(
                "SAM: steps", f"got {steps} for events of {events.steps} steps; leave it out for events"
            )
        return events
    if len(network.inputs) > 1:
        names = ", ".join(repr(p.name) for p in network.inputs)
        raise NeurosamError("SAM: inputs", f"are images for one input; the network has {names}. Give events of each")
    if steps is None:
        raise NeurosamError("SAM: steps", "is missing; images need a number of steps to be encoded into")
    magnitude = network.input.magnitude if coding == "direct" and network.fixed else 1
    return Inputs.of(network, encode(inputs, steps, coding, seed, magnitude=magnitude))


def from_spikes(spikes: npt.ArrayLike | Spikes, trace: SamTrace | FixedSamTrace) -> npt.NDArray[Any]:
    """The maps of any spike train, computed from the definition of the trace.

    The state is O(neurons): for each neuron its trace, the step of its last spike and its number of spikes, updated
    only when it spikes.

    Parameters
    ----------
    spikes : Spikes, or (T, B, C, H, W) or (T, B, N) array
        How often each neuron fires in each step: 0 and 1, or more for neurons that can fire several times (trace.py).
    trace : SamTrace or FixedSamTrace

    Returns
    -------
    (T, B, H, W) array
        float64, or int32 for a fixed-point trace; H = W = 1 for a population of shape (N,).

    Raises
    ------
    NeurosamError
        If the array is not a spike train, or the integer maps could exceed 24 bits in T steps.

    Examples
    --------
    >>> spikes = np.array([1, 1, 0, 1]).reshape(4, 1, 1)  # one neuron, with intervals of 1 and 2 steps
    >>> ns.from_spikes(spikes, ns.SamTrace(gamma=0.5)).ravel().round(3).tolist()
    [0.0, 0.607, 0.0, 0.591]
    """
    steps, samples, shape, _ = spike_train("from_spikes", spikes)
    channels, height, width = as_chw(shape)
    if isinstance(trace, FixedSamTrace):
        trace.check("from_spikes", channels, steps, most_spikes(spikes))
    fixed = isinstance(trace, FixedSamTrace)
    maps = np.zeros((steps, samples, height, width), dtype=np.int32 if fixed else np.float64)
    for t, scores in enumerate(scores_by_step(spikes, trace)):
        maps[t] = scores.sum(axis=1)
    return maps


def scores_by_step(spikes: npt.ArrayLike | Spikes, trace: SamTrace | FixedSamTrace) -> Iterator[npt.NDArray[Any]]:
    """Score of every neuron, step by step: ``[B, C, H, W]``, float64 or int64; 0 where it does not spike."""
    _, samples, shape, planes = spike_train("from_spikes", spikes)
    chw = as_chw(shape)
    dtype = np.int64 if isinstance(trace, FixedSamTrace) else np.float64
    size = samples * chw[0] * chw[1] * chw[2]
    state = np.zeros(size, dtype=dtype)
    last = np.zeros(size, dtype=np.int64)
    count = np.zeros(size, dtype=np.int64)
    for t, plane in enumerate(planes()):
        fired = np.flatnonzero(plane)
        count[fired] += 1
        s = plane[fired].astype(dtype)
        score, state[fired] = _spike(trace, s, state[fired], t - last[fired], t, t + 1 - count[fired])
        last[fired] = t
        scores = np.zeros(size, dtype=dtype)
        scores[fired] = score
        yield scores.reshape(samples, *chw)


def most_spikes(spikes: npt.ArrayLike | Spikes) -> int:
    """Most spikes of a neuron in one step, at least 1."""
    _, _, _, planes = spike_train("from_spikes", spikes)
    return max(1, *(int(plane.max(initial=0)) for plane in planes()))


def _spike(
    trace: SamTrace | FixedSamTrace,
    s: npt.NDArray[Any],
    state: npt.NDArray[Any],
    interval: npt.NDArray[np.int64],
    t: int,
    silent: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Score and new trace of neurons that spike `s` times at step t, `interval` steps after their last spike.

    `silent` is the number of steps so far in which they did not spike.
    """
    if isinstance(trace, FixedSamTrace):
        end = trace.table.size - 1
        decayed = contribution(state, trace.table[np.minimum(interval, end)], trace.shift)
        waiting = contribution(silent * trace.impulse, trace.table[min(t, end)], trace.shift)
        unit: float = trace.impulse
    else:
        decayed = state * np.exp(-trace.gamma * interval)
        waiting = silent * np.exp(-trace.gamma * t)
        unit = 1.0
    after = decayed + s * unit
    if trace.mode == "strict":
        return s * decayed, after
    return s * (after if trace.mode == "inclusive" else after + waiting), after
