"""Convert the rows that instruments wrote, one per Lava step, to a Recording in each population's own time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam_hw.lava.timing import Timing

__all__ = ["collect", "feed", "lava_steps", "recorded_populations"]

Rows = Mapping[tuple[str, str], npt.NDArray[Any]]
"""Arrays ``(Lava steps, *layout)`` by variable (spikes, membrane, current, sam) and population."""


def lava_steps(timing: Timing, events: Events, sam: bool) -> int:
    """Number of steps that Lava has to run: all presentations, the latest start, and one more for maps."""
    return max(max(timing.start.values()) + events.steps * events.samples + sam, 1)


def recorded_populations(network: Network, record: Record) -> dict[str, tuple[str, ...]]:
    """Populations to record, by variable: the requested ones, all that fire (to count spikes), and the readout."""
    readout = () if network.readout.fires else (network.readout.name,)
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
    network: Network, events: Events, record: Record, timing: Timing, rows: Rows, time_s: float = 0.0
) -> Recording:
    """Make the Recording of a run, with the spikes of every population that fires."""
    steps, samples = events.steps, events.samples
    number = np.int32 if network.fixed else np.float64

    def in_own_time(variable: str, name: str) -> npt.NDArray[Any]:
        """Rows as ``(T, B, *shape)``; maps without their single channel."""
        first = timing.start[name] + (variable == "sam")
        part = rows[variable, name][first : first + steps * samples]
        part = part.reshape(samples, steps, *part.shape[1:])
        return np.ascontiguousarray(part.transpose(1, 0, *reversed(range(2, part.ndim))))

    plan = recorded_populations(network, record)
    dense = {name: in_own_time("spikes", name).astype(np.uint8) for name in plan["spikes"]}
    counts = {network.input.name: events.counts()}
    for name, spikes in dense.items():
        counts[name] = spikes.sum(axis=tuple(range(2, spikes.ndim)), dtype=np.int64)
    states = {
        variable: {name: in_own_time(variable, name).astype(number) for name in plan[variable]}
        for variable in ("membrane", "current")
    }
    readout = network.readout
    if readout.fires:
        output = dense[readout.name].sum(axis=0, dtype=np.int64)
    else:
        output = states["membrane"][readout.name][-1]
    sam = {}
    for name in record.sam:
        _, height, width = as_chw(network[name].shape)
        sam[name] = in_own_time("sam", name).reshape(steps, samples, height, width).astype(number)
    return Recording(
        backend="lava", steps=steps, samples=samples, output=output.reshape(samples, neurons(readout.shape)),
        spikes={name: Spikes.from_dense(spikes) for name, spikes in dense.items()}, sam=sam,
        sam_scale={name: network.sam[name].scale for name in record.sam},
        membrane={name: states["membrane"][name] for name in record.membrane}, current=states["current"],
        counts={p.name: counts[p.name] for p in network.populations if p.fires}, time_s=time_s,
    )  # fmt: skip
