"""What a network costs on the cores of a chip, counted one spike and one synapse at a time; for tests.

Nothing here uses `neurosam_hw.mapping.reach`, `neurosam_hw.mapping.schedule` or `neurosam_hw.cost`. Things are stated
in another form than there: synapses as a list of (source, target), depths as the longest of all paths, arrivals by the
hardware clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.network.elements import Projection
from neurosam.signals.recording import Recording
from neurosam_hw.mapping.mapping import CoreMapping
from support.states import global_onsets

__all__ = ["FIELDS", "census", "core_of", "delays", "depths", "edges", "place"]

FIELDS = (
    "spikes", "dense", "sparse", "convolution", "packets", "messages", "injected", "hops_east", "hops_west",
    "hops_north", "hops_south", "crossings", "in_tile", "neuron_steps", "active", "idle",
)  # fmt: skip
"""What :func:`census` counts: the columns of its last axis."""

Edge = tuple[int, int]


def edges(network: ns.Network, projection: Projection) -> list[Edge]:
    """Every synapse as (source neuron, target neuron), flat; one for each window of a pool that holds the source."""
    members = _addresses(network, projection)
    return [(source, target) for address, target in _synapses(network, projection) for source in members[address]]


def depths(network: ns.Network) -> dict[str, int] | None:
    """The hardware step in which each population starts: the longest path; None where a cycle makes it endless."""
    onset = global_onsets(network)
    hops = [(p.source, p.target, 1 - (onset[p.source] + p.delay - onset[p.target])) for p in network.projections]
    longest = {p.name: 0 for p in network.populations}

    def walk(path: tuple[str, ...], length: int) -> bool:
        longest[path[-1]] = max(longest[path[-1]], length)
        for source, target, hop in hops:
            if source != path[-1]:
                continue
            if target in path:
                if target == path[0] and length + hop > 0:
                    return False
            elif not walk((*path, target), length + hop):
                return False
        return True

    return longest if all(walk((p.name,), 0) for p in network.populations) else None


def delays(network: ns.Network) -> list[int]:
    """Steps on the chip from each projection's spikes to their arrival."""
    onset, depth = global_onsets(network), depths(network)
    assert depth is not None
    return [
        depth[p.target] - depth[p.source] + onset[p.source] + p.delay - onset[p.target] for p in network.projections
    ]


def core_of(mapping: CoreMapping, population: str) -> dict[int, int]:
    """Core of each neuron that is on one."""
    shape = mapping.network[population].shape
    _, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    found: dict[int, int] = {}
    for piece in mapping.pieces:
        if piece.population != population:
            continue
        if piece.box is None:
            assert piece.neurons is not None
            found.update((int(n), piece.core) for n in piece.neurons)
        else:
            channels, rows, columns = piece.box
            found.update(
                ((c * height + y) * width + x, piece.core)
                for c in range(*channels) for y in range(*rows) for x in range(*columns)
            )  # fmt: skip
    return found


def place(mapping: CoreMapping, core: int) -> tuple[int, int, int]:
    """Chip, column and row of a core's tile."""
    chip, number = mapping.positions.tolist()[core]
    height, cores = (mapping.chip.figure(f"noc.{key}").value for key in ("mesh_height", "cores_per_tile"))
    if height is None:
        return chip, 0, 0
    assert isinstance(height, int)
    assert isinstance(cores, int)
    column = row = 0
    for _ in range(number // cores):  # up a column, then on to the next one
        row += 1
        if row == height:
            column, row = column + 1, 0
    return chip, column, row


def census(
    mapping: CoreMapping, recording: Recording, inputs: Mapping[str, ns.Events], steps: int | None = None
) -> Any:
    """Counts ``[S, B, cores, fields]``, in the order of FIELDS."""
    network = mapping.network
    depth, waits = depths(network), delays(network)
    assert depth is not None
    last = recording.steps + max(depth.values()) if steps is None else steps
    counted = np.zeros((last, recording.samples, mapping.cores, len(FIELDS)), dtype=np.int64)
    cores = {p.name: core_of(mapping, p.name) for p in network.populations}
    synapses = {
        name: [(p, wait, _targets(network, p)) for p, wait in zip(network.projections, waits, strict=True)
               if p.source == name]
        for name in cores
    }  # fmt: skip
    fired = {p.name: _fired(recording, inputs, p) for p in network.populations}
    for b in range(recording.samples):
        arrived: set[tuple[int, str, int]] = set()  # hardware step, population, neuron
        for s in range(last):
            at = counted[s, b]
            for population in network.populations:
                name, t = population.name, s - depth[population.name]
                if 0 <= t < recording.steps:
                    for n in fired[name][t, b].nonzero()[0].tolist():
                        home = cores[name].get(n)
                        _spike(mapping, at, n, home, synapses[name], cores, population.neuron is not None)
                        for projection, wait, targets in synapses[name]:
                            arrived.update((s + wait, projection.target, m) for m in targets.get(n, []))
            for population in network.populations:
                if population.neuron is not None:
                    t = s - depth[population.name]
                    for n, core in cores[population.name].items():
                        awake = 0 <= t < recording.steps and (
                            (s, population.name, n) in arrived or _acts(network, recording, population, t, b, n)
                        )
                        _add(at, core, neuron_steps=1, active=int(awake), idle=int(not awake))
    return counted


def _spike(
    mapping: CoreMapping,
    at: Any,
    n: int,
    home: int | None,
    synapses: list[tuple[Projection, int, dict[int, list[int]]]],
    cores: Mapping[str, Mapping[int, int]],
    is_neuron: bool,
) -> None:
    """Count what one spike of neuron `n`, on core `home` or outside, does."""
    if home is not None and is_neuron:
        _add(at, home, spikes=1)
    kinds = {ns.Dense: "dense", ns.Sparse: "sparse", ns.Conv2d: "convolution"}
    receivers = set()
    for projection, _, targets in synapses:
        for m in targets.get(n, []):
            core = cores[projection.target][m]
            receivers.add(core)
            _add(at, core, **{kinds[type(projection.synapse)]: 1})
    for core in receivers:
        _add(at, core, messages=1)
        if home is None:
            _add(at, core, injected=1)
            continue
        _add(at, home, packets=1, in_tile=1)
        (chip, column, row), (other, to_column, to_row) = place(mapping, home), place(mapping, core)
        if chip != other:
            _add(at, home, crossings=1)
            continue
        while column != to_column:
            _add(at, home, **({"hops_east": 1} if to_column > column else {"hops_west": 1}))
            column += 1 if to_column > column else -1
        while row != to_row:
            _add(at, home, **({"hops_north": 1} if to_row > row else {"hops_south": 1}))
            row += 1 if to_row > row else -1


def _add(at: Any, core: int, **amounts: int) -> None:
    for name, amount in amounts.items():
        at[core, FIELDS.index(name)] += amount


def _acts(network: ns.Network, recording: Recording, population: ns.Population, t: int, b: int, n: int) -> bool:
    """Whether a neuron does anything in its own step without being reached: it holds something, or has a bias."""
    neuron: Any = population.neuron
    suffix = "_64ths" if network.fixed else ""
    bias = neuron.bias_mantissa if network.fixed else neuron.bias
    held = [_value(bias, population, n)]
    for recorded, initial in ((recording.membrane, "initial_membrane"), (recording.current, "initial_current")):
        if t > 0 and population.name in recorded:
            held.append(recorded[population.name][t - 1, b].reshape(-1)[n])
        elif t == 0:
            held.append(_value(getattr(neuron, initial + suffix), population, n))
    offset = getattr(neuron, "offset" + suffix, None)
    if offset is not None:
        row = offset[t if len(offset) > 1 else 0]
        held.append(row[n // (np.prod(population.shape) // population.shape[0]) if len(row) > 1 else 0])
    return any(value != 0 for value in held)


def _value(parameter: Any, population: ns.Population, n: int) -> Any:
    """A parameter of one neuron, which all share, or a channel, or none."""
    array = np.asarray(parameter)
    if array.ndim == 1:
        return array[n * population.shape[0] // int(np.prod(population.shape))]
    return array.reshape(-1)[n] if array.ndim else array[()]


def _fired(recording: Recording, inputs: Mapping[str, ns.Events], population: ns.Population) -> Any:
    """Which neurons send something, ``[T, B, neurons]``."""
    if population.neuron is not None:
        size = int(np.prod(population.shape))
        if not population.fires:
            return np.zeros((recording.steps, recording.samples, size), dtype=bool)
        return recording.spikes[population.name].dense().reshape(recording.steps, recording.samples, size) != 0
    events = inputs[population.name]
    sent = np.zeros((events.steps, events.samples, int(np.prod(population.shape))), dtype=bool)
    for time, sample, neuron in zip(events.time.tolist(), events.sample.tolist(), events.neuron.tolist(), strict=True):
        sent[time, sample, neuron] = True
    return sent


def _targets(network: ns.Network, projection: Projection) -> dict[int, list[int]]:
    """Targets of each source neuron, as often as it has synapses there."""
    found: dict[int, list[int]] = {}
    for source, target in edges(network, projection):
        found.setdefault(source, []).append(target)
    return found


def _addresses(network: ns.Network, projection: Projection) -> list[list[int]]:
    """The source neurons behind each address that the synapses know: one, or those of a window."""
    shape, pool = network[projection.source].shape, projection.pool
    if pool is None:
        return [[n] for n in range(int(np.prod(shape)))]
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    channels, height, width = shape
    _, rows, columns = pool.output_shape(shape)
    return [
        [
            (c * height + y) * width + x
            for y in range(height) if 0 <= y - (row * sh - ph) < kh
            for x in range(width) if 0 <= x - (column * sw - pw) < kw
        ]
        for c in range(channels) for row in range(rows) for column in range(columns)
    ]  # fmt: skip


def _synapses(network: ns.Network, projection: Projection) -> Iterator[Edge]:
    """Every synapse as (address, target neuron)."""
    synapse, shape = projection.synapse, network[projection.source].shape
    if isinstance(synapse, ns.Dense):
        targets, addresses = synapse.weight.shape
        yield from ((address, target) for target in range(targets) for address in range(addresses))
    elif isinstance(synapse, ns.Sparse):
        for target in range(len(synapse.indptr) - 1):
            for entry in range(synapse.indptr[target], synapse.indptr[target + 1]):
                yield int(synapse.indices[entry]), target
    else:
        _, height, width = shape if projection.pool is None else projection.pool.output_shape(shape)
        (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
        outputs, per_group, kh, kw = synapse.weight.shape
        _, rows, columns = network[projection.target].shape
        for o, row, column, c, i, j in np.ndindex(outputs, rows, columns, per_group, kh, kw):
            y, x = row * sh + i * dh - ph, column * sw + j * dw - pw
            if 0 <= y < height and 0 <= x < width:
                channel = o // (outputs // synapse.groups) * per_group + c
                yield (channel * height + y) * width + x, (o * rows + row) * columns + column
