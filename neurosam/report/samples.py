"""Samples for a report, made of recordings: maps, counts, answers, and what single neurons did.

Membranes take three bytes a neuron and step, far more than all else, so that only the samples that a page shows are run
again with them (:func:`record_neurons`), and only as many as fit the page (packing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.errors import NeurosamError
from neurosam.network.dynamics import RELATIVE, SUBTRACT, VALUE, ZERO, resolve
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import neurons
from neurosam.report.model import Beside, NeuronKind, Sample
from neurosam.report.packing import MEMBRANE_MB, chosen
from neurosam.report.thresholds import moves, thresholds
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

__all__ = ["from_recording", "neuron_kinds", "record_neurons"]


def from_recording(
    recording: Recording,
    images: npt.NDArray[np.uint8],
    *,
    labels: npt.ArrayLike | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
    readout: str | None = None,
    answer: str = "last",
    select: Sequence[int] | None = None,
    detail: Recording | None = None,
    inputs: Mapping[str, Events] | None = None,
    beside: tuple[str, Recording] | None = None,
    network: Network | None = None,
) -> tuple[Sample, ...]:
    """Make samples of a recording: maps (in units of the float trace), counts, predictions, spikes and membranes.

    Parameters
    ----------
    recording : Recording
        Of all images, in the same order.
    images : (B, C, H, W) uint8 array
    labels : (B,) int array, optional
    masks : (B, H, W) bool array, optional
    readout : str, optional
        Population whose membrane (of `answer` "count": whose spikes), which must be recorded, gives the output after
        each step.
    answer : {"last", "mean", "max", "count"}
        Its answer over the steps so far (``Network.answers``).
    select : sequence of int, optional
        Indices of the samples to use; all if None.
    detail : Recording, optional
        Of the first samples: further spikes and membranes (:func:`record_neurons`).
    inputs : Inputs, or mapping of str to Events, optional
        What went in, by input population, to show its spikes.
    beside : (str, Recording), optional
        A name, and another recording of the same samples whose maps are shown beside these.
    network : Network, optional
        What ran, for the thresholds of adaptive neurons at each step.

    Raises
    ------
    NeurosamError
        If the images are not those of the recording, or `readout` was not recorded.
    """
    if len(images) != recording.samples:
        raise NeurosamError("report: images", f"got {len(images)}; the recording has {recording.samples} samples")
    output = None if readout is None else _output(recording, readout, answer)
    label_array = None if labels is None else np.asarray(labels)
    return tuple(
        _with_thresholds(
            network,
            Sample(
                image=images[b],
                maps=_maps(recording, b),
                mask=None if masks is None else masks[b],
                label=None if label_array is None else int(label_array[b]),
                prediction=int(recording.predictions[b]),
                readout=None if output is None else output[:, b].reshape(recording.steps, -1),
                counts={name: x[:, b] for name, x in recording.counts.items()},
                spikes={**_input_spikes(inputs, b), **_spikes(recording, b), **_spikes(detail, b)},
                membrane={**_membrane(recording, b), **_membrane(detail, b)},
                beside=None if beside is None else _beside(*beside, b, recording),
            ),
        )
        for b in (range(recording.samples) if select is None else select)
    )


def record_neurons(
    network: Network,
    inputs: Inputs | Events | Mapping[str, Events],
    backend: str = "event",
    *,
    layers: Sequence[str] = (),
    samples: int = 12,
    membrane_mb: float = MEMBRANE_MB,
    **options: Any,
) -> Recording:
    """Run the first samples again and record every spike, and as many membranes as a page of this size takes.

    Parameters
    ----------
    network : Network
    inputs : Inputs, Events, or mapping of str to Events
    backend : str
    layers : sequence of str
        Populations whose membranes are recorded first, such as those with maps.
    samples : int
        How many samples the page shows; of fewer, if not all fit.
    membrane_mb : float
        See :func:`~neurosam.report.write_page`.
    **options
        Of :func:`neurosam.run`: dtype, threads, progress, ...

    Examples
    --------
    >>> from neurosam.report.samples import record_neurons
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.75, 0.5]])))],
    ... )
    >>> record_neurons(net, ns.Events.from_dense(np.ones((6, 3, 2))), samples=2).membrane["out"].shape
    (6, 2, 1)
    """
    events = Inputs.of(network, inputs)
    shown = events.select(0, min(samples, events.samples))
    sizes = {p.name: 3 * shown.steps * neurons(p.shape) for p in network.populations if p.neuron is not None}
    taken = chosen([sizes] * shown.samples, layers, round(membrane_mb * 1e6))
    names = tuple(name for name in sizes if any(name in one for one in taken))
    firing = tuple(name for name in sizes if network[name].fires)
    return run(network, shown, backend, Record(spikes=firing, membrane=names), **options)


def neuron_kinds(network: Network) -> dict[str, NeuronKind]:
    """What a page says of the neurons of each population: thresholds, resets, units."""
    return {p.name: _kind(network, p.name) for p in network.populations}


def _kind(network: Network, name: str) -> NeuronKind:
    population = network[name]
    if population.neuron is None:
        return NeuronKind(population.shape, "input")
    unit = "64ths of a weight" if network.fixed else "units of the weights"
    if not population.fires:
        return NeuronKind(population.shape, "readout", unit=unit)
    p, o = resolve(population.neuron, network.precision)
    fixed_amount = (o.reset == SUBTRACT and not o.adapted) or o.reset == VALUE
    words = {
        SUBTRACT: "a spike subtracts the threshold as it has risen" if o.adapted else "a spike subtracts",
        ZERO: "a spike sets it to",
        VALUE: "a spike sets it to",
        RELATIVE: "a spike leaves it and raises the threshold",
    }
    notes = [
        "the reset follows in the next step" if o.delayed and not o.corrected else "",
        "part of the reset follows in the next step" if o.corrected else "",
        f"it is held for {o.refractory} step{'s' * (o.refractory > 1)} after a spike" if o.refractory else "",
        "it can fire several times in a step" if o.max_spikes > 1 else "",
        "it has a lower bound" if o.bounded else "",
    ]
    return NeuronKind(
        population.shape,
        threshold=p.threshold,
        at=o.at,
        moves=o.adaptive or o.reset == RELATIVE,
        reset=words.get(o.reset, "a spike leaves it as it is"),
        amount=p.amount if fixed_amount else 0 if o.reset == ZERO else None,
        jump=o.reset == SUBTRACT and not (o.delayed or o.adapted or o.bounded),
        note="; ".join(filter(None, notes)),
        unit=unit,
    )


def _output(recording: Recording, readout: str, answer: str) -> npt.NDArray[Any]:
    """The answer that a run would give if it ended after each of its steps, ``[T, B, ...]``."""
    if answer == "count":
        if readout not in recording.spikes:
            raise NeurosamError(f"report: readout {readout!r}", "its spikes were not recorded; use Record(spikes=...)")
        return np.asarray(np.cumsum(recording.spikes[readout].dense(), axis=0, dtype=np.int64))
    if readout not in recording.membrane:
        raise NeurosamError(f"report: readout {readout!r}", "its membrane was not recorded; use Record(membrane=...)")
    membrane = recording.membrane[readout]
    if answer == "max":
        return np.asarray(np.maximum.accumulate(membrane, axis=0))
    if answer == "mean":
        steps = np.arange(1, len(membrane) + 1).reshape(-1, *[1] * (membrane.ndim - 1))
        return np.asarray(np.cumsum(membrane, axis=0, dtype=np.float64) / steps)
    return np.asarray(membrane)


def _maps(recording: Recording, b: int) -> dict[str, npt.NDArray[Any]]:
    return {name: x[:, b] / recording.sam_scale.get(name, 1.0) for name, x in recording.sam.items()}


def _spikes(recording: Recording | None, b: int) -> dict[str, npt.NDArray[Any]]:
    if recording is None or b >= recording.samples:
        return {}
    return {name: spikes.select(b, b + 1).dense()[:, 0] for name, spikes in recording.spikes.items()}


def _membrane(recording: Recording | None, b: int) -> dict[str, npt.NDArray[Any]]:
    if recording is None or b >= recording.samples:
        return {}
    return {name: x[:, b] for name, x in recording.membrane.items()}


def _with_thresholds(network: Network | None, sample: Sample) -> Sample:
    """The sample with the thresholds that its spikes have moved, where its membranes are shown."""
    moved = {}
    if network is None:
        return sample
    for name in sample.membrane.keys() & sample.spikes.keys():
        neuron = network[name].neuron
        if isinstance(neuron, (LIF, FixedLIF)) and moves(neuron):
            moved[name] = thresholds(neuron, network.precision, sample.spikes[name])
    return replace(sample, threshold=moved) if moved else sample


def _input_spikes(inputs: Mapping[str, Events] | None, b: int) -> dict[str, npt.NDArray[Any]]:
    """Events of one sample as arrays; those with fractions, which are no spikes, are left out."""
    found = {}
    for name, events in ({} if inputs is None else inputs).items():
        dense = events.select(b, b + 1).dense()[:, 0]
        whole = dense.astype(np.int32)
        if np.array_equal(whole, dense):
            found[name] = whole
    return found


def _beside(name: str, other: Recording, b: int, recording: Recording) -> Beside | None:
    if b >= other.samples:
        return None
    maps = {layer: x for layer, x in _maps(other, b).items() if layer in recording.sam}
    return Beside(name, maps, int(other.predictions[b]) if other.has_output else None)
