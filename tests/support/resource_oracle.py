"""What a core uses, counted synapse by synapse; for tests. Slow, and written in another form than the resources.

Nothing here uses `neurosam_hw.resources` or `neurosam_hw.mapping.reach`.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import neurosam as ns
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.mapping import CoreMapping
from support.chip_oracle import core_of, delays

__all__ = ["explicit_use"]


class Synapse(NamedTuple):
    """One synapse: of which part, from which window of the pool, to which neuron of the core, with which weight."""

    part: int
    window: tuple[int, int, int]
    target: int
    weight: tuple[int, ...]


def explicit_use(mapping: CoreMapping) -> list[dict[str, int]]:
    """Neurons, synapses, bits, axons, fan-in, destinations, profiles and formats of each core."""
    cores = [_Core(mapping, core) for core in range(mapping.cores)]
    uses = [core.use() for core in cores]
    for use in uses:
        use.update(axons_out=0, destinations=0)
    for target in cores:
        needs: dict[int, int] = defaultdict(int)
        for source in target.by_source:
            for sender, slots in target.senders(source).items():
                needs[sender] += slots
        for sender, slots in needs.items():
            uses[sender]["axons_out"] += slots
            uses[sender]["destinations"] += 1
    return uses


class _Core:
    def __init__(self, mapping: CoreMapping, core: int) -> None:
        self.mapping, self.network, self.chip = mapping, mapping.network, mapping.chip
        self.pieces = [piece for piece in mapping.pieces if piece.core == core]
        self.local: list[dict[int, int]] = []
        count = 0
        for piece in self.pieces:
            members = sorted(core_of(CoreMappingOf(mapping, piece), piece.population))
            self.local.append({neuron: count + n for n, neuron in enumerate(members)})
            count += len(members)
        self.neurons = count
        self.by_source: dict[str, list[tuple[int, int]]] = defaultdict(list)  # (projection, piece)
        for p, piece in enumerate(self.pieces):
            for n, projection in enumerate(self.network.projections):
                if projection.target == piece.population:
                    self.by_source[projection.source].append((n, p))
        self.synapses = {source: list(self._synapses(parts)) for source, parts in self.by_source.items()}
        self.fan: dict[int, int] = defaultdict(int)
        for source in self.by_source:
            for some in self.reached(source).values():
                for synapse in some:
                    self.fan[synapse.target] += 1

    def _synapses(self, parts: list[tuple[int, int]]) -> Any:
        """Each synapse once for each window in front of it."""
        for part, (n, p) in enumerate(parts):
            projection = self.network.projections[n]
            shape = _chw(self.network[projection.source].shape)
            if projection.pool is not None:
                shape = _chw(projection.pool.output_shape(shape))
            target = _chw(self.network[projection.target].shape)
            for window, neuron, weight in _listed(projection.synapse, shape, target):
                if neuron in self.local[p]:
                    yield Synapse(part, window, self.local[p][neuron], weight)

    def is_shared(self, source: str) -> bool:
        able = all(self.chip.figure(f"noc.{key}").value is True for key in ("shared_weights", "population_axons"))
        return able and all(
            isinstance(self.network.projections[n].synapse, ns.Conv2d) and self.pieces[p].box is not None
            for n, p in self.by_source[source]
        )

    def lists(self, source: str) -> dict[Any, dict[int, int]]:
        """By list: synapses of each part."""
        found: dict[Any, dict[int, int]] = {}
        reached = self.reached(source)
        if not self.is_shared(source):
            for neuron, synapses in reached.items():
                counts: dict[int, int] = defaultdict(int)
                for synapse in synapses:
                    counts[synapse.part] += 1
                found[self._identity(source, neuron)] = counts
            return found
        atoms = self.atoms(source)
        for (_, list_), pixels in self.pixels(source).items():
            longest: dict[int, int] = defaultdict(int)
            for synapses in pixels[0]:
                for part in {s.part for s in synapses}:
                    longest[part] = max(longest[part], sum(s.part == part for s in synapses))
            found[list_] = {part: atoms * length for part, length in longest.items()}
        return found

    def reached(self, source: str) -> dict[tuple[int, int, int], list[Synapse]]:
        """Synapses of each source neuron that has any."""
        members = defaultdict(list)
        for synapse in self.synapses[source]:
            members[synapse.part, synapse.window].append(synapse)
        found: dict[tuple[int, int, int], list[Synapse]] = defaultdict(list)
        shape = _chw(self.network[source].shape)
        for neuron in product(range(shape[0]), range(shape[1]), range(shape[2])):
            for part, (n, _) in enumerate(self.by_source[source]):
                for window in _windows(self.network.projections[n].pool, neuron, shape):
                    if (part, window) in members:
                        found[neuron] += members[part, window]
        return dict(found)

    def pixels(self, source: str) -> dict[Any, list[list[list[Synapse]]]]:
        """By base and list of a pixel: for each such pixel the synapses of each of its channels."""
        by_pixel: dict[tuple[int, int], dict[int, list[Synapse]]] = defaultdict(dict)
        for (c, y, x), synapses in self.reached(source).items():
            by_pixel[y, x][c] = synapses
        most = _number(self.chip, "limits.shared_base_max")
        found: dict[Any, list[list[list[Synapse]]]] = defaultdict(list)
        for channels in by_pixel.values():
            first = min(s.target for synapses in channels.values() for s in synapses)
            base = first if most is None else first % (most + 1)
            list_ = frozenset((c, s.part, s.target - base, s.weight) for c, some in channels.items() for s in some)
            found[base, list_].append(list(channels.values()))
        return found

    def atoms(self, source: str) -> int:
        channels = [c for c, _, _ in self.reached(source)] or [0]
        return max(channels) - min(channels) + 1

    def senders(self, source: str) -> dict[int, int]:
        """Slots that each core needs in order to send here."""
        cores = core_of(self.mapping, source)
        _, height, width = _chw(self.network[source].shape)
        reached = self.reached(source)
        found: dict[int, int] = defaultdict(int)
        if not self.is_shared(source):
            for c, y, x in reached:
                if (core := cores.get((c * height + y) * width + x)) is not None:
                    found[core] += 1
            return found
        if not reached:
            return found
        channels = range(min(c for c, _, _ in reached), max(c for c, _, _ in reached) + 1)
        for y, x in {(y, x) for _, y, x in reached}:
            for core in {cores.get((c * height + y) * width + x) for c in channels} - {None}:
                found[core] += self.slots(source)  # type: ignore[index]
        return found

    def slots(self, source: str) -> int:
        chip, pixels, atoms = self.chip, self.pixels(source), self.atoms(source)
        own, most = (_number(chip, f"limits.population_{key}_16") for key in ("axon_bits", "atom_bits_max"))
        bits = 0
        while 2**bits < atoms:
            bits += 1
        if own is not None and most is not None and bits <= most:
            step = _number(chip, "limits.shared_base_step_16") or 1
            free = _number(chip, "limits.population_atom_bits_16") or 0
            left = own - (bits - free if bits > free else 0)
            if all(base % step == 0 for base, _ in pixels) and len(pixels) <= 2**left:
                return 1
        return _number(chip, "limits.population_axon_slots_32") or 1

    def _identity(self, source: str, neuron: tuple[int, int, int]) -> Any:
        """Neurons in the same windows of all pools are one address."""
        numbers = dict.fromkeys(n for n, _ in self.by_source[source])
        shape = _chw(self.network[source].shape)
        return tuple(frozenset(_windows(self.network.projections[n].pool, neuron, shape)) for n in numbers)

    def use(self) -> dict[str, int]:
        bits = synapses = axons = 0
        formats = set()
        for source, parts in self.by_source.items():
            lists = self.lists(source)
            axons += len(self.pixels(source)) if self.is_shared(source) else len(lists)
            part_formats = [self.format(n, p) for n, p in parts]
            formats |= set(part_formats)
            for counts in lists.values():
                for part, count in counts.items():
                    synapses += count
                    bits += _rows(self.chip, count, sum(part_formats[part][:3]))
        decays, thresholds = set(), set()
        for piece, members in zip(self.pieces, self.local, strict=True):
            for neuron in members:
                decay, threshold = _profiles(self.network[piece.population], neuron)
                decays.add(decay)
                thresholds.add(threshold)
        return {
            "neurons": self.neurons, "synapses": synapses, "synapse_bits": bits, "axons_in": axons,
            "fan_in": max(self.fan.values(), default=0), "decay_profiles": len(decays),
            "threshold_profiles": len(thresholds), "synapse_formats": len(formats),
        }  # fmt: skip

    def format(self, n: int, p: int) -> tuple[int, int, int, str, int]:
        """Bits of weight, index and delay; signs; exponent."""
        projection = self.network.projections[n]
        widths = sorted(_numbers(self.chip, "numbers.weight_bits") or [8])
        last, base = max(self.local[p].values()), _number(self.chip, "limits.shared_base_max")
        allowed = sorted(_numbers(self.chip, "limits.synapse_index_bits") or [0])
        index = next((width for width in allowed if 2**width > last), allowed[-1])
        if isinstance(projection.synapse, ns.Dense) and (base is None or min(self.local[p].values()) <= base):
            index = 0
        delay = next(bits for bits in range(64) if 2**bits >= delays(self.network)[n])
        if not projection.integral or not projection.synapse.weight.size:
            return widths[-1], index, delay, "both", projection.exponent
        weights = [int(w) for w in projection.synapse.weight.ravel()]
        signs = "positive" if min(weights) >= 0 else "negative" if max(weights) <= 0 else "both"
        lowest = _number(self.chip, "numbers.weight_exponent_min")
        for width, shift in product(widths, range(8)):
            parts = [w / 2**shift for w in weights]
            fit = all(
                -(2 ** (width - 1)) <= w < 2 ** (width - 1) if signs == "both" else abs(w) < 2**width for w in parts
            )
            exponent = projection.exponent + shift - (widths[-1] - width)
            if signs == "both" and _number(self.chip, "numbers.weight_step") == 2:
                exponent -= 1
            if fit and all(w == int(w) for w in parts) and (lowest is None or exponent >= lowest):
                return width, index, delay, signs, projection.exponent
        return widths[-1], index, delay, signs, projection.exponent


def CoreMappingOf(mapping: CoreMapping, piece: Any) -> Any:
    """What :func:`core_of` takes, with one piece alone."""

    class One:
        network, pieces = mapping.network, (piece,)

    return One


def _chw(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def _windows(
    pool: ns.SumPool2d | None, neuron: tuple[int, int, int], shape: tuple[int, int, int]
) -> list[tuple[int, int, int]]:
    """The windows that hold a neuron of a population of this shape."""
    if pool is None:
        return [neuron]
    _, height, width = pool.output_shape(shape)
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    c, y, x = neuron
    rows = [a for a in range(height) if a * sh - ph <= y < a * sh - ph + kh]
    columns = [b for b in range(width) if b * sw - pw <= x < b * sw - pw + kw]
    return [(c, a, b) for a in rows for b in columns]


def _listed(synapse: Any, source: tuple[int, int, int], target: tuple[int, int, int]) -> Any:
    """All synapses: window, flat target, and which weight."""
    _, height, width = source
    if isinstance(synapse, ns.Conv2d):
        (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
        out, per_group, kh, kw = synapse.weight.shape
        each = out // synapse.groups
        for o, yo, xo, i, ky, kx in product(*map(range, (*target, per_group, kh, kw))):
            y, x = yo * sh + ky * dh - ph, xo * sw + kx * dw - pw
            if 0 <= y < height and 0 <= x < width:
                yield (o // each * per_group + i, y, x), (o * target[1] + yo) * target[2] + xo, (o, i, ky, kx)
        return
    matrix = np.ones(synapse.weight.shape) if isinstance(synapse, ns.Dense) else None
    if matrix is None:
        for o in range(synapse.indptr.size - 1):
            for entry in range(synapse.indptr[o], synapse.indptr[o + 1]):
                i = int(synapse.indices[entry])
                yield (i // (height * width), i // width % height, i % width), o, (o, i)
        return
    for o, i in product(*map(range, matrix.shape)):
        yield (i // (height * width), i // width % height, i % width), o, (o, i)


def _rows(chip: Chip, count: int, each: int) -> int:
    """Memory of a list, row by row and word by word."""
    word, header = _number(chip, "limits.synapse_word") or 1, _number(chip, "limits.synapse_row_header") or 0
    longest, bits = _number(chip, "limits.synapses_per_row") or max(count, 1), 0
    while count > 0:
        row = header + min(count, longest) * each
        while row > 0:
            row -= word
            bits += word
        count -= longest
    return bits


def _profiles(population: ns.Population, neuron: int) -> tuple[Any, Any]:
    """Decays and refractory period, and threshold, of one neuron."""
    shape, own = _chw(population.shape), population.neuron
    at = (neuron // (shape[1] * shape[2]), neuron // shape[2] % shape[1], neuron % shape[2])

    def value(name: str) -> float | None:
        parameter = getattr(own, name, None)
        if parameter is None:
            return None
        array = np.asarray(parameter)
        return float(array if array.ndim == 0 else array[at[0]] if array.ndim == 1 else array[at])

    fixed = hasattr(own, "membrane_decay")
    names = ("membrane_decay", "current_decay") if fixed else ("leak", "current_leak")
    return (*(value(name) for name in names), value("refractory") or (0.0 if own else None)), value("threshold")


def _number(chip: Chip, name: str) -> int | None:
    found = _numbers(chip, name)
    return None if found is None else max(found)


def _numbers(chip: Chip, name: str) -> list[int] | None:
    value = chip.figure(name).value_si
    if value is None or isinstance(value, bool):
        return None
    return [int(item) for item in value] if isinstance(value, tuple) else [int(value)]
