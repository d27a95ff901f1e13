"""The reference back end: a network in torch, on a CPU or a GPU, written for clarity first and exact in integers.

Populations are evaluated group by group (:attr:`Network.groups`). A group without a cycle takes a window of many steps
at once, so that its synapses are a few large matrix products, and then advances its neurons step by step; a recurrent
group does the same with windows of one step. Samples are run in chunks, and windows are limited, so that memory stays
bounded; only what is recorded grows with the run.

A fixed-point network gives the same bits on every device. A float network runs in float64 (or in float32, if
requested); its sums may differ in the last bit from those of another back end or another chunk, because a matrix
product adds in an unspecified order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurosam.backends.protocol import Options
from neurosam.backends.reference.neurons import FixedNeurons, FloatNeurons, Traces
from neurosam.backends.reference.synapses import Delivery
from neurosam.errors import BackendError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Spikes, words

__all__ = ["ReferenceBackend"]

CHUNK = 2**27
"""Most bytes of spikes (one byte each, all populations) per chunk of samples; a chunk has at least one sample."""

WINDOW = 2**23
"""Most numbers (8 bytes each) that the synapses of a window of steps may hold; a window has at least one step."""


class ReferenceBackend:
    """Runs a network in torch."""

    def run(self, network: Network, events: Events, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If the device is not available.
        """
        device = _device(options.device)
        dtype = torch.float32 if options.dtype == "float32" else torch.float64
        with torch.inference_mode(), _threads(options.threads):
            run = _Run(network, events, record, device, dtype)
            for start in range(0, events.samples, run.chunk):
                stop = min(start + run.chunk, events.samples)
                run.samples(start, stop)
                if options.progress is not None:
                    options.progress(stop, events.samples)
        return run.recording()


class _Run:
    """What stays the same from chunk to chunk: the weights, and the arrays that are filled."""

    def __init__(
        self, network: Network, events: Events, record: Record, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.network, self.events, self.record, self.device, self.dtype = network, events, record, device, dtype
        self.deliveries = {
            p.name: [Delivery(network, projection, device, dtype) for projection in network.incoming(p.name)]
            for p in network.populations
        }
        total = sum(neurons(p.shape) for p in network.populations)
        widest = max(delivery.width for name in self.deliveries for delivery in self.deliveries[name])
        self.chunk = max(1, min(events.samples, CHUNK // (events.steps * total), WINDOW // widest))
        self.window = max(1, WINDOW // (self.chunk * widest))
        number = np.int32 if network.fixed else np.float64
        extent = (events.steps, events.samples)

        def pixels(name: str) -> tuple[int, int]:
            return as_chw(network[name].shape)[1:]

        def planes(name: str) -> npt.NDArray[np.uint64]:
            return np.zeros((*extent, *pixels(name), words(network[name].shape[0])), np.uint64)

        self.spikes = {name: planes(name) for name in record.spikes}
        self.sam = {name: np.zeros((*extent, *pixels(name)), number) for name in record.sam}
        self.membrane = {name: np.zeros((*extent, *network[name].shape), number) for name in record.membrane}
        self.current = {name: np.zeros((*extent, *network[name].shape), number) for name in record.current}
        self.counts = {p.name: np.zeros(extent, np.int64) for p in network.populations if p.fires}
        self.counts[network.input.name][:] = events.counts()
        self.operations = {projection.label: 0 for projection in network.projections}
        out = network.readout
        self.output = np.zeros((events.samples, neurons(out.shape)), np.int64 if out.fires else number)

    def samples(self, start: int, stop: int) -> None:
        """Run the samples ``start:stop`` through the whole network."""
        where = slice(start, stop)
        emitted = {self.network.input.name: _dense(self.events.select(start, stop), self.device)}
        for group in self.network.groups:
            members = [_Layer(self, self.network[name], where, emitted) for name in group if name not in emitted]
            window = 1 if self._is_recurrent(group) else self.window
            for first in range(0, self.events.steps, window):
                last = min(first + window, self.events.steps)
                for layer in members:
                    layer.advance(first, last)
            for layer in members:
                layer.finish()

    def _is_recurrent(self, group: tuple[str, ...]) -> bool:
        return len(group) > 1 or any(delivery.source == group[0] for delivery in self.deliveries[group[0]])

    def recording(self) -> Recording:
        shapes = {name: self.network[name].shape for name in self.spikes}
        return Recording(
            backend="reference",
            steps=self.events.steps,
            samples=self.events.samples,
            output=self.output,
            spikes={name: Spikes(planes, shapes[name]) for name, planes in self.spikes.items()},
            sam=self.sam,
            sam_scale={name: self.network.sam[name].scale for name in self.sam},
            membrane=self.membrane,
            current=self.current,
            counts=self.counts,
            operations=self.operations,
        )


class _Layer:
    """One population during one chunk of samples: its state, and where its variables are recorded."""

    def __init__(self, run: _Run, population: Population, where: slice, emitted: dict[str, torch.Tensor]) -> None:
        channels, height, width = as_chw(population.shape)
        self.run, self.name, self.shape, self.where, self.emitted = (
            run,
            population.name,
            population.shape,
            where,
            emitted,
        )
        self.size = (where.stop - where.start, channels, height * width)
        self.pixels = (height, width)
        steps = run.events.steps
        self.neurons = _neurons(run, population.neuron, self.size)
        trace = run.network.sam[self.name] if self.name in run.sam else None
        self.traces = None if trace is None else Traces(trace, self.size, steps, run.device)
        self.fires = population.fires
        self.number = torch.int64 if run.network.fixed else run.dtype
        if self.fires:
            extent = (steps, self.size[0], channels * height * width)
            emitted[self.name] = torch.zeros(extent, dtype=torch.bool, device=run.device)

    def advance(self, first: int, last: int) -> None:
        """Run own steps ``first:last``: the synapses of all steps at once, then the neurons step by step."""
        arriving = self._receive(first, last)
        spikes, maps, membrane, current = [], [], [], []
        for t in range(first, last):
            s = self.neurons.step(arriving[t - first], t)
            spikes.append(s)
            if self.traces is not None:
                maps.append(self.traces.step(s, t))
            if self.name in self.run.membrane:
                membrane.append(self.neurons.v)
            if self.name in self.run.current:
                current.append(self.neurons.u)
        if self.fires:
            self._emit(torch.stack(spikes), first, last)
        for recorded, values, shape in (
            (self.run.sam, maps, self.pixels),
            (self.run.membrane, membrane, self.shape),
            (self.run.current, current, self.shape),
        ):
            if values:
                block = torch.stack(values).reshape(last - first, self.size[0], *shape)
                recorded[self.name][first:last, self.where] = block.cpu().numpy()

    def _receive(self, first: int, last: int) -> torch.Tensor:
        """Sums over projections for own steps ``first:last``, ``[steps, samples, channels, pixels]``."""
        arriving = torch.zeros((last - first, *self.size), dtype=self.number, device=self.run.device)
        for delivery in self.run.deliveries[self.name]:
            start, stop = max(first - delivery.lag, 0), last - delivery.lag  # in the source's own steps
            if start < stop:
                x = self.emitted[delivery.source][start:stop].flatten(0, 1)
                sums = delivery(x)
                events = torch.count_nonzero(x, dim=0)
                self.run.operations[delivery.label] += int((events * delivery.fan_out).sum())
                arriving[start + delivery.lag - first :] += sums.reshape(stop - start, *self.size)
        return arriving

    def _emit(self, spikes: torch.Tensor, first: int, last: int) -> None:
        """Store and record the spikes of own steps ``first:last``."""
        flat = spikes.flatten(2)
        self.emitted[self.name][first:last] = flat
        self.run.counts[self.name][first:last, self.where] = flat.sum(dim=2).cpu().numpy()
        if self.name in self.run.spikes:
            dense = flat.cpu().numpy().reshape(last - first, self.size[0], *self.shape)
            self.run.spikes[self.name][first:last, self.where] = Spikes.from_dense(dense).planes

    def finish(self) -> None:
        """After the last step: store the output, if this is the population that gives it."""
        if self.name == self.run.network.output:
            output = self.emitted[self.name].sum(dim=0) if self.fires else self.neurons.v.flatten(1)
            self.run.output[self.where] = output.cpu().numpy()


def _neurons(run: _Run, neuron: Neuron | None, size: tuple[int, int, int]) -> FixedNeurons | FloatNeurons:
    if neuron is None:
        raise BackendError("network", "the input has no neurons to advance")
    if isinstance(neuron, (FixedLIF, FixedReadout)):
        if run.network.precision is None:
            raise BackendError("network", "has integer neurons without a precision")
        return FixedNeurons(neuron, run.network.precision, size, run.device)
    return FloatNeurons(neuron, size, run.device, run.dtype)


def _dense(events: Events, device: torch.device) -> torch.Tensor:
    """Values ``[T, B, neurons]``: bool for spikes, else float64, in which integers below 2^53 are exact."""
    size = (events.steps, events.samples, neurons(events.shape))
    dense = torch.zeros(size, dtype=torch.bool if events.value is None else torch.float64, device=device)
    value: Any = True if events.value is None else _tensor(events.value, device).to(torch.float64)
    place = (_tensor(events.time, device), _tensor(events.sample, device), _tensor(events.neuron, device))
    dense[tuple(index.to(torch.int64) for index in place)] = value
    return dense


def _tensor(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """A copy on the device; events are read-only arrays, whose memory torch cannot share."""
    return torch.tensor(array, device=device)


def _device(name: str) -> torch.device:
    """The torch device called `name`, tested to compute in float64."""
    try:
        device = torch.device(name)
        torch.ones(1, dtype=torch.float64, device=device).item()
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BackendError(
            "device", f"got {name!r}, which the reference back end cannot use here ({reason}); 'cpu' always works"
        ) from None
    return device


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use `count` threads inside the block."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
