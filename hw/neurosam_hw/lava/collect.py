"""Convert the rows that instruments wrote, one per Lava step, to a Recording in each population's own time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam_hw.lava.timing import Timing

__all__ = ["collect", "feed", "lava_steps", "recorded_populations", "spike_dtype"]

Rows = Mapping[tuple[str, str], npt.NDArray[Any]]
"""Arrays ``(Lava steps, *layout)`` by variable (spikes, membrane, current, sam, counted) and population."""


def lava_steps(timing: Timing, inputs: Inputs, sam: bool) -> int:
    """Number of steps that Lava has to run: all presentations, the latest start, and one more for maps."""
    return max(max(timing.start.values()) + inputs.steps * inputs.samples + sam, 1)


def recorded_populations(network: Network, record: Record) -> dict[str, tuple[str, ...]]:
    """Populations to record, by variable: the requested ones, all that fire (to count spikes), and the outputs."""
    readout = tuple(name for name, answer in network.answers.items() if answer != "count")
    spikes = tuple(p.name for p in network.populations if p.neuron is not None and p.fires)
    return {
        "spikes": spikes,
        "membrane": tuple(dict.fromkeys((*record.membrane, *readout))),
        "current": record.current,
        "sam": record.sam,
    }


def feed(events: Events, steps: int, fixed: bool) -> npt.NDArray[Any]:
    """Concatenate the presentations, in Lava's layout with time last: ``(*layout, steps)``."""
    number = np.int32 if fixed else np.float64
    flat = np.zeros((neurons(events.shape), steps), dtype=number)
    flat[events.neuron, events.sample.astype(np.int64) * events.steps + events.time] = (
        1 if events.value is None else events.value
    )
    axes = (*reversed(range(len(events.shape))), len(events.shape))
    return np.ascontiguousarray(flat.reshape(*events.shape, steps).transpose(axes))


def collect(
    network: Network, inputs: Inputs, record: Record, timing: Timing, rows: Rows, time_s: float = 0.0
) -> Recording:
    """Make the Recording of a run, with the spikes of every population that fires.

    Populations of which nothing was counted, because they cannot saturate or wrap around, have counts of 0.
    """
    steps, samples = inputs.steps, inputs.samples
    number = np.int32 if network.fixed else np.float64

    def in_own_time(variable: str, name: str) -> npt.NDArray[Any]:
        """Rows as ``(T, B, *shape)``; maps without their single channel."""
        first = timing.start[name] + (variable == "sam")
        part = rows[variable, name][first : first + steps * samples]
        part = part.reshape(samples, steps, *part.shape[1:])
        return np.ascontiguousarray(part.transpose(1, 0, *reversed(range(2, part.ndim))))

    plan = recorded_populations(network, record)
    dense = {name: in_own_time("spikes", name).astype(spike_dtype(network, name)) for name in plan["spikes"]}
    counts = {name: inputs[name].counts() for name in inputs}
    for name, spikes in dense.items():
        counts[name] = spikes.sum(axis=tuple(range(2, spikes.ndim)), dtype=np.int64)
    states = {
        variable: {name: in_own_time(variable, name).astype(number) for name in plan[variable]}
        for variable in ("membrane", "current")
    }
    outputs = {
        name: _answer(answer, dense[name] if answer == "count" else states["membrane"][name]).reshape(
            samples, neurons(network[name].shape)
        )
        for name, answer in network.answers.items()
    }
    nothing = np.zeros((samples, 2), np.int64)
    counted = {
        p.name: in_own_time("counted", p.name).sum(axis=0, dtype=np.int64) if ("counted", p.name) in rows else nothing
        for p in network.populations
        if p.neuron is not None and network.fixed
    }
    sam = {}
    for name in record.sam:
        _, height, width = as_chw(network[name].shape)
        sam[name] = in_own_time("sam", name).reshape(steps, samples, height, width).astype(number)
    return Recording(
        backend="lava", steps=steps, samples=samples, output=outputs.pop(network.output), other_outputs=outputs,
        spikes={
            name: Spikes.from_dense(spikes, graded=network[name].largest_event > 1) for name, spikes in dense.items()
        },
        sam=sam, saturated={name: pair[:, 0] for name, pair in counted.items()},
        wrapped={name: pair[:, 1] for name, pair in counted.items()},
        sam_scale={name: network.sam[name].scale for name in record.sam},
        membrane={name: states["membrane"][name] for name in record.membrane}, current=states["current"],
        counts={p.name: counts[p.name] for p in network.populations if p.fires}, time_s=time_s,
    )  # fmt: skip


def spike_dtype(network: Network, name: str) -> Any:
    """Type of what a population sends."""
    if network[name].largest_event == 1:
        return np.uint8
    return np.int32


def _answer(answer: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The answer of an output population from its spikes or membranes, ``(T, B, *shape)``."""
    if answer == "last":
        return np.asarray(values[-1])
    if answer == "max":
        return np.asarray(values.max(axis=0))
    if answer == "mean":
        wide = np.int64 if values.dtype.kind == "i" else np.float64
        return np.asarray(values.sum(axis=0, dtype=wide) / len(values))
    return np.asarray(values.sum(axis=0, dtype=np.int64))
