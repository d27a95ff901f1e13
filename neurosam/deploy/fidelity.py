"""How well quantised populations reproduce their float originals, measured in two situations.

    alone       a population's rounded parameters, with the spikes of the float network arriving
    deployed    the same population in the fixed-point network, where all populations before it are quantised as well

Of inputs (the weighted sum of a step, after gain and offset), membranes and spikes x, with x' the quantised values:

    SNR = 10 log10( sum x^2 / sum (x - x')^2 )     in dB, over steps, samples and neurons; infinite if they are equal

For single spikes this is the number of spikes over the number of places where one of the two fires and the other does
not. Inputs are no variable of a run: they are the membranes of observers, neurons that forget everything in each step
and never fire, with copies of the population's projections. A population of rounded parameters alone is one more copy
in the same float network, so one run gives all that is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import reported
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.backends.registry import run
from neurosam.deploy.units import per_neuron
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import THRESHOLD_MAX, FixedLIF, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = ["Fidelity", "measure_fidelity", "observer_of", "snr_db"]

MEMORY_BYTES = 2**28
NEVER = 1e300
"""Threshold of an observer in a float network; in fixed point it is the largest, which no proven input exceeds."""


@dataclass(frozen=True)
class Fidelity:
    """Quantised values of one population against float values.

    Attributes
    ----------
    input_snr_db, membrane_snr_db, spike_snr_db : float
        Signal-to-noise ratios; membranes are those after the reset. NaN where there is no signal, such as the spikes of
        a readout or of a population that is silent in both.
    differing : float
        Share of neurons times steps at which the two emit a different number of spikes; 0 for a readout.
    rate, quantised_rate : float
        Mean spikes per neuron and step, in float and quantised.
    """

    input_snr_db: float
    membrane_snr_db: float
    spike_snr_db: float
    differing: float
    rate: float
    quantised_rate: float

    @property
    def rate_change(self) -> float:
        """Relative change of the rate; NaN if the float population is silent."""
        return self.quantised_rate / self.rate - 1 if self.rate else float("nan")


def snr_db(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)``: infinite without noise, NaN without signal."""
    if not signal:
        return float("nan")
    return float(10 * np.log10(signal / noise)) if noise else float("inf")


@reported("measuring layers")
def measure_fidelity(
    network: Network,
    rounded: Network,
    fixed: Network,
    units: Mapping[str, Any],
    events: Events,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, tuple[Fidelity, Fidelity]]:
    """Compare every population alone and deployed.

    Parameters
    ----------
    network : Network
        In float64.
    rounded : Network
        The same with the parameters of `fixed` (:func:`~neurosam.deploy.dequantise.dequantise`).
    fixed : Network
        The quantised network.
    units : mapping of str to float or (C,) array
        Float value of an input of integer 1, by population (and channel).
    events : Events
    progress : callable, optional
        Called with (samples done, all samples).

    Returns
    -------
    dict of str to (Fidelity, Fidelity)
        Alone and deployed, for each population with neurons.

    Examples
    --------
    >>> from neurosam.deploy.dequantise import dequantise
    >>> from neurosam.deploy.fidelity import measure_fidelity
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.9, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5, -0.37]]))],
    ... )
    >>> fixed, report = ns.quantise(network, ns.Precision.lava(4))
    >>> units = {row.population: row.unit for row in report.populations}
    >>> spikes = ns.Events.from_dense(np.ones((8, 1, 2)))
    >>> alone, _ = measure_fidelity(network, dequantise(network, fixed, units), fixed, units, spikes)["out"]
    >>> round(alone.input_snr_db, 1)  # 0.5 - 0.37 became 0.5 - 0.357
    20.1
    """
    names = [p.name for p in network.populations if p.neuron is not None]
    floats, integers = _Extended(network), _Extended(fixed)
    original = {name: _View(floats.observer(network, name), name) for name in names}
    alone = {name: _View(floats.observer(rounded, name), floats.copy(rounded, name)) for name in names}
    fine = {name: per_neuron(units[name], len(network[name].shape)) / (1 << FRACTION_BITS) for name in names}
    deployed = {name: _View(integers.observer(fixed, name), name, fine[name]) for name in names}
    tallies = {name: (_Tally(), _Tally()) for name in names}
    chunk = max(1, MEMORY_BYTES // (48 * events.steps * sum(neurons(network[name].shape) for name in names)))
    for start in range(0, events.samples, chunk):
        part = events.select(start, start + chunk)
        float_run, fixed_run = (
            run(extended.network(), part, record=extended.record()) for extended in (floats, integers)
        )
        for name in names:
            values = original[name].values(float_run)
            tallies[name][0].add(values, alone[name].values(float_run))
            tallies[name][1].add(values, deployed[name].values(fixed_run))
        if progress is not None:
            progress(min(start + chunk, events.samples), events.samples)
    return {name: (alone_.fidelity(), deployed_.fidelity()) for name, (alone_, deployed_) in tallies.items()}


class _Extended:
    """A network with further populations that receive from its own, and change nothing in it."""

    def __init__(self, network: Network) -> None:
        self._base = replace(network, sam={})
        self._added: list[Population] = []
        self._projections = list(network.projections)
        self._prefix = "extra"
        while any(p.name.startswith(self._prefix) for p in network.populations):
            self._prefix += "-"

    def copy(self, source: Network, name: str, neuron: Neuron | None = None) -> str:
        """Add a copy of a population of `source`, with another neuron if one is given; return the name of the copy."""
        label = f"{self._prefix}{len(self._added)}"
        population = source[name]
        kept = population.neuron if neuron is None else neuron
        self._added.append(replace(population, name=label, neuron=kept, onset=source.onsets[name]))
        self._projections += [replace(p, target=label) for p in source.incoming(name)]
        return label

    def observer(self, source: Network, name: str) -> str:
        """Add a population whose membrane is the input of a population of `source`; return its name."""
        return self.copy(source, name, observer_of(source[name].neuron, source.precision))

    def network(self) -> Network:
        return replace(
            self._base, populations=(*self._base.populations, *self._added), projections=tuple(self._projections)
        )

    def record(self) -> Record:
        simulated = [p for p in (*self._base.populations, *self._added) if p.neuron is not None]
        return Record(spikes=tuple(p.name for p in simulated if p.fires), membrane=tuple(p.name for p in simulated))


def observer_of(neuron: Neuron | None, precision: Precision | None) -> Neuron:
    """A neuron whose membrane is the input of `neuron`, after gain and offset, in each step."""
    if precision is None:
        observer = LIF(leak=0.0, threshold=NEVER, reset="zero")
        return replace(observer, gain=neuron.gain, offset=neuron.offset) if isinstance(neuron, LIF) else observer
    forgetting = DECAY_ONE - precision.membrane_decay_offset
    fixed = FixedLIF(membrane_decay=forgetting, threshold=THRESHOLD_MAX, reset="zero")
    if not isinstance(neuron, FixedLIF):
        return fixed
    return replace(fixed, gain=neuron.gain, gain_shift=neuron.gain_shift, offset_64ths=neuron.offset_64ths)


class _Values(NamedTuple):
    input: npt.NDArray[np.float64]
    membrane: npt.NDArray[np.float64]
    spikes: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class _View:
    """Where the values of a population are in a recording: its observer, itself, and the scale of its membranes."""

    observer: str
    population: str
    scale: Any = 1.0

    def values(self, recording: Recording) -> _Values:
        spikes = recording.spikes.get(self.population)
        return _Values(
            recording.membrane[self.observer] * self.scale,
            recording.membrane[self.population] * self.scale,
            None if spikes is None else spikes.dense().astype(np.float64),
        )


class _Power:
    """Sums of squares of a signal and of its error."""

    def __init__(self) -> None:
        self.signal = self.noise = 0.0

    def add(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
        self.signal += float(np.vdot(x, x))
        self.noise += float(np.vdot(x - y, x - y))

    @property
    def snr_db(self) -> float:
        return snr_db(self.signal, self.noise)


class _Tally:
    """What :class:`Fidelity` is computed from, sample by sample."""

    def __init__(self) -> None:
        self.input, self.membrane, self.spikes = _Power(), _Power(), _Power()
        self.places = self.differing = 0
        self.sent = np.zeros(2)

    def add(self, original: _Values, quantised: _Values) -> None:
        self.input.add(original.input, quantised.input)
        self.membrane.add(original.membrane, quantised.membrane)
        if original.spikes is not None and quantised.spikes is not None:
            self.spikes.add(original.spikes, quantised.spikes)
            self.differing += int(np.count_nonzero(original.spikes != quantised.spikes))
            self.sent += original.spikes.sum(), quantised.spikes.sum()
        self.places += original.membrane.size

    def fidelity(self) -> Fidelity:
        rates = self.sent / max(self.places, 1)
        return Fidelity(
            self.input.snr_db, self.membrane.snr_db, self.spikes.snr_db, self.differing / max(self.places, 1),
            float(rates[0]), float(rates[1]),
        )  # fmt: skip
