"""Clock cycles of a step on Xylo, as its vendor counts them.

Xylo computes all its neurons one after the other, so time is a number of cycles. In a step in which `in` of Nin input
channels and `fired` of Nh hidden neurons spike, with No output neurons,

    cycles = in * a * Nh + Nin * b                  input spikes, to every hidden neuron
           + synapses of those that fired * c + Nh * d       hidden spikes, along recurrent weights that are not 0
           + fired * (e * No + f)                   hidden spikes, to the outputs
           + Nh * g + fired * h + No * i            membranes

and a..i are the chip's ``time.cycles_*``. Audio 3 and IMU skip hidden neurons without input weights in the first term,
and those without output weights in the third. Several spikes of a neuron in a step cost what one does. Aliases are not
used here. Source: Rockpool 3.1.0, power_cycles_model.py, whose probabilities are the numbers of spikes here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.metrics.connections import fan_out, inputs_of, spikes_of
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Sparse, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["counts_cycles", "cycles", "figures"]

Flags = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

KEYS = (
    "input_spike", "input_channel", "hidden_synapse", "hidden_neuron", "output_synapse", "output_spike",
    "hidden_update", "hidden_fired", "output_update",
)  # fmt: skip
"""a..i of the formula, in its order but for e and f."""


def counts_cycles(chip: Chip) -> bool:
    """Whether the chip's time is a number of cycles."""
    return any(figure.name in chip.figures for figure in figures(chip))


def figures(chip: Chip) -> tuple[Figure, ...]:
    """The cycles of each cause."""
    return tuple(chip.figure(f"time.cycles_{key}") for key in KEYS)


def cycles(
    chip: Chip, network: Network, recording: Recording, events: Events | Mapping[str, Events], steps: int
) -> Array:
    """Clock cycles of each step on the chip, ``[S, B]``.

    Parameters
    ----------
    chip : Chip
    network : Network
    recording : Recording
        With the spikes of all hidden populations.
    events : Events or mapping of str to Events
        The input of the run.
    steps : int
        Steps S on the chip; spikes of later steps are cut.
    """
    a, b, c, d, e, f, g, h, i = (_number(figure) for figure in figures(chip))
    skips = chip.figure("time.cycles_skip_unconnected").value is True
    inputs = {p.name for p in network.inputs}
    hidden = [p for p in network.populations if p.name not in inputs and p.name not in network.answers]
    channels = sum(neurons(p.shape) for p in network.inputs)
    neurons_hidden = sum(neurons(p.shape) for p in hidden)
    outputs = sum(neurons(network[name].shape) for name in network.answers)
    fed = sum(int(_fed(network, p.name, inputs).sum()) for p in hidden) if skips else neurons_hidden

    found = np.full((steps, recording.samples), channels * b + neurons_hidden * (d + g) + outputs * i)
    found += a * fed * _input_spikes(network, recording, events, steps)
    for population in hidden:
        fired = _fired(network, recording, population.name, steps)
        recurrent = _fan(network, population.name, {p.name for p in hidden})
        to_outputs = _fan(network, population.name, set(network.answers)) > 0 if skips else np.ones(recurrent.shape)
        found += fired @ (recurrent * c + to_outputs * (e * outputs + f) + h)
    return found


def _number(figure: Figure) -> float:
    value = figure.value_si
    return float(value) if isinstance(value, (int, float)) else 0.0


def _input_spikes(
    network: Network, recording: Recording, events: Events | Mapping[str, Events], steps: int
) -> npt.NDArray[np.int64]:
    """Input channels that have an event, ``[S, B]``."""
    found = np.zeros((steps, recording.samples), dtype=np.int64)
    depths = HardwareSchedule.of(network).depths
    for name, sent in inputs_of(network, recording, events, "cycles").items():
        time = sent.time + depths[name]
        inside = time < steps
        np.add.at(found, (time[inside], sent.sample[inside]), 1)
    return found


def _fired(network: Network, recording: Recording, name: str, steps: int) -> Array:
    """Neurons that fire, ``[S, B, N]``."""
    dense = spikes_of(recording, network[name], "cycles").dense().reshape(recording.steps, recording.samples, -1) != 0
    depth = HardwareSchedule.of(network).depths[name]
    found = np.zeros((steps, *dense.shape[1:]))
    cut = dense[: max(steps - depth, 0)]
    found[depth : depth + len(cut)] = cut
    return found


def _fan(network: Network, source: str, targets: set[str]) -> npt.NDArray[np.int64]:
    """Weights that are not 0, from each neuron of a population to some others."""
    shape = network[source].shape
    found = np.zeros(neurons(shape), dtype=np.int64)
    for projection in network.projections:
        if projection.source == source and projection.target in targets:
            found += fan_out(projection, shape, nonzero=True).ravel()
    return found


def _fed(network: Network, target: str, sources: set[str]) -> Flags:
    """Neurons of a population that have a weight that is not 0 from some others."""
    found = np.zeros(neurons(network[target].shape), dtype=np.bool_)
    for projection in network.projections:
        if projection.target == target and projection.source in sources:
            found |= _has_weight(projection, found.size)
    return found


def _has_weight(projection: Projection, size: int) -> Flags:
    """Neurons of the target that have a weight that is not 0."""
    synapse = projection.synapse
    if isinstance(synapse, Sparse):
        target = np.repeat(np.arange(size), np.diff(synapse.indptr))
        return np.bincount(target[synapse.weight != 0], minlength=size) > 0
    present: Flags = (synapse.weight != 0).reshape(len(synapse.weight), -1).any(axis=1)
    return np.repeat(present, size // present.size) if isinstance(synapse, Conv2d) else present
