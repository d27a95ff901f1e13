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
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurosam.backends.protocol import Options
from neurosam.backends.reference.neurons import Neurons, Traces
from neurosam.backends.reference.synapses import Delivery, largest_sums
from neurosam.errors import BackendError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes, arranged, extents
from neurosam.signals.state import State, joined

__all__ = ["ReferenceBackend"]

CHUNK = 2**27
"""Most bytes of spikes (one byte each, all populations) per chunk of samples; a chunk has at least one sample."""

WINDOW = 2**23
"""Most numbers (8 bytes each) that the synapses of a window of steps may hold; a window has at least one step."""


class ReferenceBackend:
    """Runs a network in torch."""

    def run(self, network: Network, inputs: Inputs, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If the device is not available.
        """
        device = _device(options.device)
        with torch.inference_mode(), _threads(options.threads):
            run = _Run(network, inputs, record, options, device)
            for start in range(0, inputs.samples, run.chunk):
                stop = min(start + run.chunk, inputs.samples)
                run.run(start, stop)
                if options.progress is not None:
                    options.progress(stop, inputs.samples)
        return run.recording()


class _Run:
    """What stays the same from chunk to chunk: the weights, and the arrays that are filled."""

    def __init__(
        self, network: Network, inputs: Inputs, record: Record, options: Options, device: torch.device
    ) -> None:
        self.network, self.inputs, self.record, self.device = network, inputs, record, device
        self.dtype = torch.float32 if options.dtype == "float32" else torch.float64
        self.first_step, self.keep_state = options.first_step, options.keep_state
        self.steps, self.samples = inputs.steps, inputs.samples
        self.initial = State.initial(network, self.samples) if options.initial is None else options.initial
        self.deliveries = {
            p.name: [Delivery(network, projection, device, self.dtype) for projection in network.incoming(p.name)]
            for p in network.populations
        }
        total = sum(neurons(p.shape) * (1 if p.largest_event == 1 else 8) for p in network.populations)
        widest = max(delivery.width for name in self.deliveries for delivery in self.deliveries[name])
        self.chunk = max(1, min(self.samples, CHUNK // (self.steps * total), WINDOW // widest))
        self.window = max(1, WINDOW // (self.chunk * widest))
        extent = (self.steps, self.samples)
        self.arrays = {
            key: np.zeros(shape, dtype)
            for key, (shape, dtype) in extents(network, record, self.steps, self.samples).items()
        }
        self.counts = {p.name: np.zeros(extent, np.int64) for p in network.populations if p.fires}
        for name in inputs:
            self.counts[name][:] = inputs[name].counts()
        self.operations = {projection.label: 0 for projection in network.projections}
        self.outputs = {name: _answer(network, name, self.samples) for name in network.answers}
        spiking = [p.name for p in network.populations if p.neuron is not None and network.fixed]
        self.saturated = {name: np.zeros(self.samples, np.int64) for name in spiking}
        self.wrapped = {name: np.zeros(self.samples, np.int64) for name in spiking}
        self.states: list[State] = []

    def run(self, start: int, stop: int) -> None:
        """Run the samples ``start:stop`` through the whole network."""
        chunk = _Chunk(self, slice(start, stop))
        for group in self.network.groups:
            members = [_Layer(self, self.network[name], chunk) for name in group if name not in self.inputs]
            window = 1 if self._is_recurrent(group) else self.window
            for first in range(0, self.steps, window):
                last = min(first + window, self.steps)
                for layer in members:
                    layer.advance(first, last)
            for layer in members:
                layer.finish()
        if self.keep_state:
            self.states.append(chunk.state())

    def _is_recurrent(self, group: tuple[str, ...]) -> bool:
        return len(group) > 1 or any(delivery.source == group[0] for delivery in self.deliveries[group[0]])

    def recording(self) -> Recording:
        first, *others = self.outputs
        if self.keep_state and not self.states:  # no samples
            self.states = [replace(self.initial, step=self.first_step + self.steps)]
        return Recording(
            backend="reference",
            steps=self.steps,
            samples=self.samples,
            output=self.outputs[first],
            other_outputs={name: self.outputs[name] for name in others},
            sam_scale={name: self.network.sam[name].scale for name in self.record.sam},
            counts=self.counts,
            operations=self.operations,
            saturated=self.saturated,
            wrapped=self.wrapped,
            state=joined(self.states) if self.states else None,
            **arranged(self.network, self.arrays),
        )


class _Chunk:
    """Some samples in a run: what populations have sent so far, and their state at the end.

    ``sent[name]`` is ``[K + steps, samples, neurons]``; its first K rows are the initial state's.
    """

    def __init__(self, run: _Run, where: slice) -> None:
        self._run, self.where = run, where
        self.samples = where.stop - where.start
        self.initial = run.initial.select(where.start, where.stop)
        self.sent: dict[str, torch.Tensor] = {}
        self.neurons: dict[str, dict[str, npt.NDArray[Any]]] = {}
        self.answers: dict[str, npt.NDArray[Any]] = {}
        self._listed: dict[str, torch.Tensor] = {}
        for name in run.inputs:
            events = run.inputs[name].select(where.start, where.stop)
            dense = _dense(events, run.device)
            self.start(name, dense.dtype)[:] = dense
            if events.value is not None and not events.value.all():
                self._listed[name] = self.sent[name] != 0
                self._listed[name][self.history(name) :] |= _dense(replace(events, value=None), run.device)

    def start(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """Make room for what a population sends; returns the part of this run's steps."""
        size = neurons(self._run.network[name].shape)
        before = torch.tensor(self.initial.recent.get(name, np.zeros((0, self.samples, size))), device=self._run.device)
        if before.any() and dtype == torch.bool and (before != before.bool()).any():
            dtype = torch.float64
        length = before.shape[0] + self._run.steps
        sent = torch.zeros((length, self.samples, size), dtype=dtype, device=self._run.device)
        sent[: before.shape[0]] = before.reshape(before.shape[0], self.samples, size).to(dtype)
        self.sent[name] = sent
        return sent[before.shape[0] :]

    def listed(self, name: str) -> torch.Tensor:
        """Where a population has sent something, like ``sent[name]``; an event of value 0 is delivered as any other."""
        return self._listed.get(name, self.sent[name])

    def history(self, name: str) -> int:
        """Rows of ``sent[name]`` before this run."""
        return self.sent[name].shape[0] - self._run.steps

    def state(self) -> State:
        """The state after the last step."""
        run, number = self._run, np.int32 if self._run.network.fixed else np.float64
        recent = {
            name: self.sent[name][run.steps :].cpu().numpy().astype(number).reshape(before.shape)
            for name, before in self.initial.recent.items()
        }
        neurons = {name: self.neurons[name] for name in self.initial.neurons}
        answers = {name: self.answers[name] for name in self.initial.answers}
        return State(self.initial.step + run.steps, self.samples, neurons, recent, answers)


class _Layer:
    """One population during one chunk of samples: its state, and where its variables are recorded."""

    def __init__(self, run: _Run, population: Population, chunk: _Chunk) -> None:
        channels, height, width = as_chw(population.shape)
        self.run, self.name, self.shape, self.chunk, self.where = (
            run,
            population.name,
            population.shape,
            chunk,
            chunk.where,
        )
        self.size = (chunk.samples, channels, height * width)
        self.pixels = (height, width)
        self.pool, self.drive = population.pool, as_chw(run.network.drive_shape(population.name))
        if population.neuron is None:
            raise BackendError("network", "the input has no neurons to advance")
        held = chunk.initial.neurons[self.name]
        self.neurons = Neurons(population.neuron, run.network.precision, held, self.size, run.device, run.dtype)
        trace = run.network.sam.get(self.name)
        if self.name not in run.record.sam and not run.keep_state:
            trace = None
        end = run.first_step + run.steps
        self.traces = None if trace is None else Traces(trace, held, self.size, end, run.device)
        self.fires = population.fires
        self.answer = run.network.answers.get(self.name)
        so_far = chunk.initial.answers.get(self.name, np.zeros((chunk.samples, 1)))
        self.total = torch.tensor(so_far, device=run.device)
        self.number = torch.int64 if run.network.fixed else run.dtype
        if self.fires:
            graded = torch.int64 if run.network.fixed else torch.float64
            self.sent = chunk.start(self.name, torch.bool if population.largest_event == 1 else graded)

    def advance(self, first: int, last: int) -> None:
        """Run the steps ``first:last``: the synapses of all steps at once, then the neurons step by step."""
        arriving = self._receive(first, last)
        spikes, maps, membrane, current = [], [], [], []
        for t in range(first, last):
            s = self.neurons.step(arriving[t - first], t)
            spikes.append(s)
            if self.traces is not None:
                maps.append(self.traces.step(s, self.run.first_step + t))
            if ("membrane", self.name) in self.run.arrays:
                membrane.append(self.neurons.state.v)
            if ("current", self.name) in self.run.arrays:
                current.append(self.neurons.state.u)
            self._answer(s)
        if self.fires:
            self._emit(torch.stack(spikes), first, last)
        for variable, values, shape in (
            ("sam", maps, self.pixels),
            ("membrane", membrane, self.shape),
            ("current", current, self.shape),
        ):
            recorded = self.run.arrays.get((variable, self.name))
            if values and recorded is not None:
                block = torch.stack(values).reshape(last - first, self.size[0], *shape)
                recorded[first:last, self.where] = block.cpu().numpy()

    def _answer(self, s: torch.Tensor) -> None:
        """Add a step to an answer over time."""
        v = self.neurons.state.v.flatten(1)
        if self.answer == "count":
            self.total = self.total + s.flatten(1).to(torch.int64)
        elif self.answer == "mean":
            self.total = self.total + v
        elif self.answer == "max":
            self.total = torch.maximum(self.total.to(v.dtype), v)

    def _receive(self, first: int, last: int) -> torch.Tensor:
        """Sums over projections for the steps ``first:last``, ``[steps, samples, channels, pixels]``, pooled."""
        extent = (last - first, self.size[0])
        arriving = torch.zeros((*extent, neurons(self.drive)), dtype=self.number, device=self.run.device)
        for delivery in self.run.deliveries[self.name]:
            offset = self.chunk.history(delivery.source) - delivery.lag
            start = max(first + offset, 0)  # in rows of what the source has sent
            x = self.chunk.sent[delivery.source][start : last + offset].flatten(0, 1)
            if x.shape[0]:
                sums = delivery(x)
                events = torch.count_nonzero(self.chunk.listed(delivery.source)[start : last + offset].flatten(0, 1), 0)
                self.run.operations[delivery.label] += int((events * delivery.fan_out).sum())
                arriving[start - offset - first :] += sums.reshape(last + offset - start, *arriving.shape[1:])
        if self.pool is not None:
            arriving = largest_sums(arriving.reshape(-1, *self.drive), self.pool)
        return arriving.reshape(*extent, *self.size[1:])

    def _emit(self, spikes: torch.Tensor, first: int, last: int) -> None:
        """Store and record the spikes of the steps ``first:last``."""
        flat = spikes.flatten(2)
        self.sent[first:last] = flat
        self.run.counts[self.name][first:last, self.where] = flat.sum(dim=2).cpu().numpy()
        planes = self.run.arrays.get(("spikes", self.name))
        if planes is not None:
            dense = flat.cpu().numpy().reshape(last - first, self.size[0], *self.shape)
            planes[first:last, self.where] = Spikes.from_dense(dense).planes
            if ("magnitude", self.name) in self.run.arrays:
                self.run.arrays["magnitude", self.name][first:last, self.where] = dense

    def finish(self) -> None:
        """After the last step: store the answer, what was counted, and the state."""
        held = self._held() if self.run.keep_state else {}
        self.chunk.neurons[self.name] = held
        if self.answer is not None:
            steps = self.run.first_step + self.run.steps
            v = self.neurons.state.v.flatten(1)
            total = self.total.cpu().numpy()
            answer = v.cpu().numpy() if self.answer == "last" else total / steps if self.answer == "mean" else total
            self.run.outputs[self.name][self.where] = answer
            if self.answer != "last":
                before = self.chunk.initial.answers[self.name]
                self.chunk.answers[self.name] = total.astype(before.dtype)
        if self.run.network.fixed:
            self.run.saturated[self.name][self.where] = self.neurons.saturated.cpu().numpy()
            self.run.wrapped[self.name][self.where] = self.neurons.wrapped.cpu().numpy()

    def _held(self) -> dict[str, npt.NDArray[Any]]:
        """The state of the neurons, as a :class:`State` has it."""
        tensors = self.neurons.state._asdict()
        if self.traces is not None:
            tensors |= {"trace": self.traces.trace, "last": self.traces.last, "fired": self.traces.fired}
        before = self.chunk.initial.neurons[self.name]
        return {
            name: tensors[name].cpu().numpy().reshape(array.shape).astype(array.dtype) for name, array in before.items()
        }


def _answer(network: Network, name: str, samples: int) -> npt.NDArray[Any]:
    """Room for the answer of an output population."""
    number = np.int32 if network.fixed else np.float64
    dtypes = {"count": np.int64, "mean": np.float64, "last": number, "max": number}
    return np.zeros((samples, neurons(network[name].shape)), dtypes[network.answers[name]])


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
