"""Which neurons a step has work for: those that hold something, that something reaches, or that have a bias.

An update of a neuron is active if before its step

    its membrane or its current is not 0, or
    a spike arrives in the step, through a weight of 0 too, or
    it has a bias, or the step has an offset for it.

Other state (the rise of an adaptive threshold, a refractory period) does not count: it is not recorded. A spike is
taken to arrive through every synapse that it has, so what it reaches is the union of its windows, rows and columns: no
weight is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, as_chw, neurons
from neurosam.signals.recording import Recording
from neurosam.signals.state import State
from neurosam_hw.cost.firing import Firing, Part, Sent, parts
from neurosam_hw.cost.traffic import expand

__all__ = ["Activity", "missing"]

Mask = npt.NDArray[np.bool_]
Pair = tuple[int, int]


def missing(network: Network, recording: Recording) -> tuple[str, ...]:
    """What active updates need and the recording lacks: "membrane of 'conv1'" and the like."""
    needed = [("membrane", p.name) for p in network.populations if p.neuron is not None]
    needed += [("current", p.name) for p in network.populations if p.has_current]
    return tuple(f"{variable} of {name!r}" for variable, name in needed if name not in getattr(recording, variable))


class Activity:
    """Active updates of a run.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the membranes of all neurons, and the currents of those that have one (see :func:`missing`).
    firing : Firing
        Its spikes.
    """

    def __init__(self, network: Network, recording: Recording, firing: Firing) -> None:
        self.network, self.recording, self.firing = network, recording, firing
        self.initial = State.initial(network, 1).neurons
        self.targets = {p: _by_source(p.synapse) for p in network.projections if isinstance(p.synapse, Sparse)}

    def awake(self, population: Population, steps: int) -> Iterator[tuple[Part, Mask]]:
        """Active updates in the first `steps` own steps of a population, part by part: ``[rows, neurons]``."""
        network, name = self.network, population.name
        held = [(self.recording.membrane[name], self.initial[name]["v"])]
        if population.has_current:
            held.append((self.recording.current[name], self.initial[name]["u"]))
        size = neurons(population.shape)
        incoming = network.incoming(name)
        largest = max(size, *(neurons(network[p.source].shape) for p in incoming))
        for part in parts(steps, self.recording.samples, largest):
            found = _driven(population, part)
            for recorded, start in held:
                found |= _before(recorded, start, part)
            rows = found.reshape(part.rows, size)
            for projection in incoming:
                sent = self.firing.sent(network[projection.source], part.earlier(network.lag(projection)))
                if sent.row.size:
                    rows |= self.reached(projection, sent, part.rows)
            yield part, rows

    def reached(self, projection: Projection, sent: Sent, rows: int) -> Mask:
        """Targets that spikes reach through a projection, ``[rows, neurons]``."""
        synapse, pool = projection.synapse, projection.pool
        shape, target = self.network[projection.source].shape, self.network[projection.target].shape
        if pool is not None:
            pictures, shape = _map(sent, rows, shape), pool.output_shape(shape)
            sent = Sent(*np.nonzero(_windows(pictures, shape, *pool.geometry, (1, 1)).reshape(rows, -1)))
        size = neurons(target)
        if isinstance(synapse, Dense):
            some = np.bincount(sent.row, minlength=rows) > 0
            return np.broadcast_to(some[:, None], (rows, size))
        if isinstance(synapse, Sparse):
            found = np.zeros(rows * size, dtype=bool)
            starts, targets = self.targets[projection]
            first = sent.row * size
            for spike, entry in expand(starts, sent.neuron):
                found[first[spike] + targets[entry]] = True
            return found.reshape(rows, size)
        return _convolved(synapse, shape, target, sent, rows)


def _before(recorded: npt.NDArray[Any], initial: npt.NDArray[Any], part: Part) -> Mask:
    """Whether a variable was not 0 at the end of the step before, ``[steps, samples, neurons]``."""
    samples = slice(part.start, part.end)
    first = max(part.first, 1)
    earlier: Mask = recorded[first - 1 : part.stop - 1, samples] != 0
    if part.first == 0:
        start = np.broadcast_to(initial != 0, (1, *earlier.shape[1:]))
        earlier = np.concatenate([start, earlier])
    found: Mask = earlier.reshape(*earlier.shape[:2], -1)
    return found


def _driven(population: Population, part: Part) -> Mask:
    """Whether a neuron has a bias, or the step an offset, ``[steps, samples, neurons]``."""
    neuron: Any = population.neuron
    channels, height, width = as_chw(population.shape)
    bias = np.asarray(neuron.bias if hasattr(neuron, "bias") else neuron.bias_mantissa) != 0
    by_channel = bias.reshape(-1, 1, 1) if bias.ndim == 1 else bias
    steps, samples = part.stop - part.first, part.end - part.start
    found = np.zeros((steps, samples, channels, height, width), dtype=bool)
    found |= by_channel
    offset = next((x for name in ("offset", "offset_64ths") if (x := getattr(neuron, name, None)) is not None), None)
    if offset is not None:
        rows = offset if len(offset) == 1 else offset[part.first : part.stop]
        found |= (rows != 0)[:, None, :, None, None]
    return found.reshape(steps, samples, -1)


def _map(sent: Sent, rows: int, shape: Shape) -> Mask:
    """Where spikes are, ``[rows, C, H, W]``."""
    found = np.zeros((rows, neurons(shape)), dtype=bool)
    found[sent.row, sent.neuron] = True
    return found.reshape(rows, *as_chw(shape))


def _convolved(synapse: Conv2d, source: Shape, target: Shape, sent: Sent, rows: int) -> Mask:
    """Channels of a group reach the same targets: one picture for each group."""
    out, per_group = synapse.weight.shape[:2]
    _, height, width = as_chw(source)
    channel, pixel = np.divmod(sent.neuron, height * width)
    grouped = Sent(sent.row, channel // per_group * (height * width) + pixel)
    pictures = _map(grouped, rows, (synapse.groups, height, width))
    stride, padding, dilation = synapse.geometry
    shape = (synapse.groups, *as_chw(target)[1:])
    found = _windows(pictures, shape, synapse.weight.shape[2:], stride, padding, dilation)
    return np.repeat(found, out // synapse.groups, axis=1).reshape(rows, -1)


def _windows(pictures: Mask, shape: Shape, kernel: Shape, stride: Pair, padding: Pair, dilation: Pair) -> Mask:
    """Whether there is a spike in each window, ``[rows, *shape]``."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    _, height, width = shape
    found = np.zeros((len(pictures), *shape), dtype=bool)
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top, left = y * dilation[0], x * dilation[1]
            rows = slice(top, top + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (width - 1) * stride[1] + 1, stride[1])
            found |= padded[:, :, rows, columns]
    return found


def _by_source(synapse: Sparse) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The matrix by columns: where each source's targets start, and the targets."""
    order = np.argsort(synapse.indices, kind="stable")
    starts = np.zeros(synapse.sources + 1, dtype=np.int64)
    np.cumsum(np.bincount(synapse.indices, minlength=synapse.sources), out=starts[1:])
    rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    return starts, rows[order]
