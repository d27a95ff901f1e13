"""Random networks for chips, and random mappings written down by hand: boxes and lists, over several chips.

:func:`hardware_case` adds to :mod:`support.networks` what it does not draw: weights that a network splits in two, a
delay for each synapse, several spikes per step, further inputs, matrices behind a pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.network.synapse import as_chw, neurons
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Box, Piece
from support.networks import random_case
from support.pieces import varied

__all__ = ["Inputs", "hardware_case", "mesh_chip", "on_one_core", "random_mapping"]

Inputs = dict[str, ns.Events]


def mesh_chip(width: int = 3, height: int = 2, cores_per_tile: int = 2) -> Chip:
    """A chip of which only the mesh is known."""
    sides = {
        "limits.cores": width * height * cores_per_tile,
        "noc.mesh_width": width,
        "noc.mesh_height": height,
        "noc.cores_per_tile": cores_per_tile,
    }
    figures = {name: Figure(name, value, "count", "vendor") for name, value in sides.items()}
    return Chip("toy", "Toy", "", figures, {}, Path("toy.toml"))


def hardware_case(rng: np.random.Generator, kind: str, *, fixed: bool = True) -> tuple[ns.Network, Inputs]:
    """A random network of a kind, with all that a chip may be given, and its input."""
    network, events = random_case(rng, kind, fixed=fixed)
    network, inputs = varied(rng, network, events)
    populations = [_several_spikes(rng, p) for p in network.populations]
    projections = [_split(rng, p) for p in (*network.projections, *_behind_a_pool(rng, network))]
    network = replace(network, populations=populations, projections=projections, sam={})
    return network, dict(inputs)


def on_one_core(network: ns.Network, chip: Chip, *, inputs: bool = True) -> CoreMapping:
    """Everything on core 0, or all but the inputs."""
    everything = [p for p in network.populations if inputs or p.neuron is not None]
    return CoreMapping(network, chip, tuple(Piece(p.name, 0, box=_whole(p)) for p in everything))


def random_mapping(rng: np.random.Generator, network: ns.Network, chip: Chip | None = None) -> CoreMapping:
    """Pieces of every form on random cores of one to three chips; inputs on the chip or outside."""
    chip = mesh_chip() if chip is None else chip
    cut: list[tuple[str, Box | None, Any]] = []
    for population in network.populations:
        if population.neuron is None and rng.random() < 0.5:
            continue
        if rng.random() < 0.6:
            cut += [(population.name, box, None) for box in _boxes(rng, _whole(population), int(rng.integers(0, 4)))]
        else:
            cut += [(population.name, None, some) for some in _lists(rng, neurons(population.shape))]
    limit = int(rng.integers(1, min(len(cut), 10) + 1))
    chosen = rng.integers(0, limit, len(cut))
    core = np.unique(chosen, return_inverse=True)[1]  # without gaps
    pieces = tuple(Piece(name, int(c), box, listed) for c, (name, box, listed) in zip(core, cut, strict=True))
    cores = int(core.max()) + 1
    if rng.random() < 0.3:
        return CoreMapping(network, chip, pieces)
    limit_of_chip = chip.figure("limits.cores").value
    each = limit_of_chip if isinstance(limit_of_chip, int) else cores
    places = rng.permutation(each * int(rng.integers(1, 4)))[:cores]
    return CoreMapping(network, chip, pieces, np.stack(np.divmod(places, each), axis=1))


def _whole(population: ns.Population) -> Box:
    channels, height, width = as_chw(population.shape)
    return (0, channels), (0, height), (0, width)


def _boxes(rng: np.random.Generator, box: Box, depth: int) -> Iterator[Box]:
    """A box, cut at a random place along a random side, again and again."""
    side = int(rng.integers(3))
    first, stop = box[side]
    if depth == 0 or stop - first < 2:
        yield box
        return
    at = int(rng.integers(first + 1, stop))
    for part in ((first, at), (at, stop)):
        sides = list(box)
        sides[side] = part
        yield from _boxes(rng, (sides[0], sides[1], sides[2]), depth - 1)


def _lists(rng: np.random.Generator, size: int) -> list[Any]:
    """Every neuron in one of up to four lists."""
    chosen = rng.integers(0, rng.integers(1, 5), size)
    return [np.flatnonzero(chosen == value) for value in np.unique(chosen)]


def _several_spikes(rng: np.random.Generator, population: ns.Population) -> ns.Population:
    """The same population, whose neurons may fire up to three times in a step where their reset allows that."""
    neuron: Any = population.neuron
    if not population.fires or neuron is None or rng.random() < 0.7:
        return population
    if np.size(neuron.threshold) > 1 or neuron.reset not in ("subtract", "zero"):
        return population
    return replace(population, neuron=replace(neuron, max_spikes=3))


def _behind_a_pool(rng: np.random.Generator, network: ns.Network) -> list[ns.Projection]:
    """Now and then one more projection: all windows of a picture, or some, to any population."""
    pictures = [p for p in network.populations if p.fires and len(p.shape) == 3 and min(p.shape[1:]) > 2]
    if not pictures or rng.random() < 0.7:
        return []
    source = pictures[int(rng.integers(len(pictures)))]
    target = [p for p in network.populations if p.neuron is not None and p.pool is None][-1]
    kernel = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    pool = ns.SumPool2d(kernel, (int(rng.integers(1, 4)), 2), (0, int(rng.integers(0, kernel[1]))))
    size = neurons(target.shape), neurons(pool.output_shape(source.shape))
    weight = rng.integers(-12, 16, size).astype(np.int8) if network.fixed else rng.normal(0.1, 0.5, size)
    synapse: ns.Dense | ns.Sparse = ns.Dense(weight)
    if rng.random() < 0.5:
        synapse = ns.Sparse.from_dense(weight * (rng.random(size) < 0.2).astype(weight.dtype), target.shape)
    return [ns.Projection(source.name, target.name, synapse, delay=int(rng.integers(1, 4)), pool=pool)]


def _split(rng: np.random.Generator, projection: ns.Projection) -> ns.Projection:
    """The same projection, now and then with weights beyond 8 bits or with a delay for each synapse."""
    synapse = projection.synapse
    if projection.integral and synapse.weight.size and rng.random() < 0.2:
        wide = synapse.weight.astype(np.int16)
        wide = wide * 2 + wide % 3
        if wide.min() < -128 or wide.max() > 127:
            projection = replace(projection, synapse=replace(synapse, weight=wide), exponent=0)
    elif not isinstance(synapse, ns.Conv2d) and synapse.weight.size and rng.random() < 0.2:
        more = rng.integers(0, 3, synapse.weight.shape)
        projection = replace(projection, delay=projection.delay + more)
    return projection
