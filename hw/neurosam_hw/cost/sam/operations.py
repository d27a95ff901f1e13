"""What the traces of a layer add to the work of a run: arrays ``[S, B, cores]`` by the names of terms.py.

at spikes   a spike of the layer is, once more,
                an update of its trace and a spike that is sent (the score), at its neuron's core;
                a packet, its hops and its message, from there to the core of its pixel's sum;
                a synaptic operation there, one.
            The sums are neurons: each takes a step of the chip, active where something arrives or was there before.
            They are counted as everything else is (counts.py): on a small network of two populations, in which the
            layer is an input that stands on the cores of its neurons.
each step   every neuron of the layer updates its trace in every step of the chip, and a processor on the chip reads
            the trace of each neuron that spikes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.explain.sam import from_spikes
from neurosam.metrics.connections import spikes_of
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, Spikes
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.sam.state import fixed_traces
from neurosam_hw.cost.work import Work, work
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["added_work", "with_work"]

Array = npt.NDArray[np.int64]


def added_work(mapping: CoreMapping, layer: str, sums: str | None, recording: Recording, steps: int) -> Work:
    """What the traces of one layer add; what is not named, they add nothing to.

    Parameters
    ----------
    mapping : CoreMapping
        With the sums of the map (:func:`place_maps`), if the traces are updated at spikes.
    layer : str
    sums : str, optional
        The population of these sums; None if the traces are updated in each step.
    recording : Recording
        With the spikes of the layer.
    steps : int
        Steps on the chip.
    """
    spikes = spikes_of(recording, mapping.network[layer], "SAM")
    first = HardwareSchedule.of(mapping.network).depths[layer]
    if sums is None:
        return _in_each_step(mapping, layer, spikes, first, steps)
    return _at_spikes(mapping, layer, sums, spikes, first, steps)


def with_work(base: Work, steps: int, cores: int, *parts: Work) -> Work:
    """The work of a run with what is added to it, over as many steps and cores.

    In steps after its last, a run has idle neurons and nothing else.
    """
    found: Work = {}
    samples, standing = next(x.shape[1] for x in base.values() if x is not None), base["neuron_steps"]
    for name in dict.fromkeys([*base, *(name for part in parts for name in part)]):
        x = base.get(name)
        if x is None and name in base:
            found[name] = None
            continue
        whole = np.zeros((steps, samples, cores), dtype=np.int64)
        if x is not None:
            whole[: len(x), :, : x.shape[2]] = x
            if name in ("neuron_steps", "idle") and standing is not None:
                whole[len(x) :, :, : x.shape[2]] = standing[-1]
        for part in parts:
            whole += part.get(name, 0)
        found[name] = whole
    return found


def _at_spikes(mapping: CoreMapping, layer: str, sums: str, spikes: Spikes, first: int, steps: int) -> Work:
    """Count on the layer and its sums alone, and put it where and when it belongs."""
    samples = spikes.planes.shape[1]
    cores, small = _scores(mapping, layer, sums)
    maps = from_spikes(spikes, fixed_traces(mapping.network, (layer,))[layer])
    maps = maps.reshape(*maps.shape[:2], *mapping.network[sums].shape)
    recording = Recording("", len(maps), samples, maps[-1].reshape(samples, -1), membrane={sums: maps})
    messages = Events.from_dense((spikes.dense() > 0).astype(np.uint8))
    found: Work = {}
    if steps > first:
        seen = min(steps - first, len(maps) + 1)
        for name, x in work(count(small, recording, messages, steps=seen)).items():
            found[name] = x if x is None else _placed(x, first, steps, cores, mapping.cores)
    stand = np.bincount(mapping.core_of(sums), minlength=mapping.cores)
    always = np.broadcast_to(stand, (steps, samples, mapping.cores))
    sent, active = found.get("packets"), found.get("active")
    return found | {
        "neuron_steps": always,
        "idle": always if active is None else always - active,
        "spikes": sent,
        "trace_updates": sent,
        "trace_reads": np.zeros_like(always),
    }


def _scores(mapping: CoreMapping, layer: str, sums: str) -> tuple[list[int], CoreMapping]:
    """The layer, as an input, and its sums on their cores; and which cores these are."""
    network = mapping.network
    to_sums = tuple(p for p in network.projections if p.target == sums)
    scores = Network((Population(layer, network[layer].shape), network[sums]), to_sums)
    pieces = [piece for piece in mapping.pieces if piece.population in (layer, sums)]
    cores = sorted({piece.core for piece in pieces})
    held = tuple(replace(piece, core=cores.index(piece.core)) for piece in pieces)
    return cores, CoreMapping(scores, mapping.chip, held, mapping.positions[cores])


def _placed(x: Array, first: int, steps: int, cores: list[int], number: int) -> Array:
    """Counts of some steps and cores among all."""
    whole = np.zeros((steps, x.shape[1], number), dtype=np.int64)
    whole[first : first + len(x), :, cores] = x
    return whole


def _in_each_step(mapping: CoreMapping, layer: str, spikes: Spikes, first: int, steps: int) -> Work:
    """All traces in every step; those of neurons that spike are read."""
    core = mapping.core_of(layer)
    own, samples = spikes.planes.shape[:2]
    stand = np.bincount(core, minlength=mapping.cores)
    reads = np.zeros((steps, samples, mapping.cores), dtype=np.int64)
    seen = min(own, steps - first)
    if seen > 0:
        t, b, n = np.nonzero(spikes.dense()[:seen].reshape(seen, samples, -1))
        np.add.at(reads, (t + first, b, core[n]), 1)
    return {"trace_updates": np.broadcast_to(stand, reads.shape), "trace_reads": reads}
