"""What one core receives from one population: lists of synapses, input axons, and what their senders need.

A spike is one packet to a core, whatever projections it takes there, so an input axon has one list: the synapses of all
projections from its source onto the pieces of the core, one after the other. There are two ways.

**Single axons.** An axon for each source neuron, or for each address: neurons in the same windows of the pools in
front have the same synapses. The list holds each synapse.

**Shared lists**, where the chip shares weights and has population axons, and all that arrives from this source are
convolutions onto boxes. One axon serves all channels of a source pixel: its list has one part of equal length for each
channel from the first to the last that arrives (atoms). Neurons of a core are numbered piece after piece, each channel
by channel. The list of pixel (y, x) begins at the first target of all its synapses; its axon holds ``base = first mod
(base_max + 1)``, its list the rest. Pixels with the same patterns of taps (axis.py) and the same rest use one list. An
axon has 16 bits where its numbers fit (atoms, axons, and bases that are multiples of the step), and else 32.

A sender holds an axon for each of its neurons, or pixels, and each core that these reach.

Source: nengo-loihi, conv.py (conv2d_loihi_weights), block.py (Synapse, Axon), builder/validate.py. It has no pools in
front, one piece a core, and one projection an axon.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.piece import Box
from neurosam_hw.mapping.reach import Fan
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.resources.arrival import Arrival, Part, Pixels, Senders
from neurosam_hw.resources.axis import Axis, Cut, axes, windows
from neurosam_hw.resources.figures import has, number
from neurosam_hw.resources.rows import Lists, RowFormula, SynapseFormat

__all__ = ["Wiring"]

Counts = npt.NDArray[np.int64]

FAR = 2**62
"""The first target of a pixel that reaches nothing."""


class Wiring:
    """The connections of a network as a chip would hold them.

    Parameters
    ----------
    network : Network
    chip : Chip
    """

    def __init__(self, network: Network, chip: Chip) -> None:
        self.network, self.chip = network, chip
        self.formula = RowFormula.of(chip)
        self.shares = has(chip, "noc.shared_weights") and has(chip, "noc.population_axons")
        self.lists = lru_cache(maxsize=None)(self._lists)
        self.fan = lru_cache(maxsize=None)(self._fan)
        self.axes = lru_cache(maxsize=None)(self._axes)
        self.addresses = lru_cache(maxsize=None)(self._addresses)
        self._known: dict[tuple[Any, ...], Pixels] = {}

    @cached_property
    def _delays(self) -> tuple[int, ...]:
        return HardwareSchedule.of(self.network).delays

    def _lists(self, projection: int) -> Lists:
        return Lists.of(self.network.projections[projection], self._delays[projection], self.formula)

    def _fan(self, projection: int) -> Fan:
        p = self.network.projections[projection]
        return Fan(p, self.network[p.source].shape, self.network[p.target].shape)

    def _axes(self, projection: int) -> tuple[Axis, Axis]:
        p = self.network.projections[projection]
        return axes(p, self.network[p.source].shape, self.network[p.target].shape)

    def _addresses(self, projections: tuple[int, ...]) -> tuple[Counts, Counts]:
        """One source row, and one column, of each address that these projections tell apart."""
        shape = self.network[self.network.projections[projections[0]].source].shape
        sides = zip(*(windows(self.network.projections[p], shape) for p in projections), strict=True)
        rows, columns = (
            np.sort(np.unique(np.concatenate(side, axis=1), axis=0, return_index=True)[1]) for side in sides
        )
        return rows, columns

    def incoming(self, population: str) -> dict[str, tuple[int, ...]]:
        """Numbers of the projections into a population, by source."""
        found: dict[str, list[int]] = {}
        for number_, projection in enumerate(self.network.projections):
            if projection.target == population:
                found.setdefault(projection.source, []).append(number_)
        return {source: tuple(numbers) for source, numbers in found.items()}

    def shared(self, parts: Sequence[Part]) -> bool:
        """Whether these synapses are shared lists."""
        synapses = (self.network.projections[part.projection].synapse for part in parts)
        return self.shares and all(
            isinstance(synapse, Conv2d) and part.piece.box is not None
            for synapse, part in zip(synapses, parts, strict=True)
        )

    def arrival(self, parts: Sequence[Part]) -> Arrival:
        """What a core receives through all parts from one source.

        Parameters
        ----------
        parts : sequence of Part
            At least one, in the order of their pieces on the core.
        """
        if self.shared(parts):
            return self._shared_lists(parts)
        formats, bits, synapses = self._formats(parts), 0, 0
        lengths, times = self._lengths(parts)
        for of_part, format_ in zip(lengths, formats, strict=True):
            bits += int(times @ self.formula.bits(of_part, format_.bits))
            synapses += int(times @ of_part)
        axons = int(times[np.any(lengths, axis=0)].sum())
        return Arrival(axons, synapses, bits, frozenset(formats))

    def senders(self, parts: Sequence[Part]) -> Senders:
        """What the source needs in order to send to these parts."""
        _, height, width = self.source_shape(parts)
        if not self.shared(parts):
            reached = [self.fan(part.projection).of(part.piece)[0] for part in parts]
            return Senders(reached[0] if len(reached) == 1 else np.unique(np.concatenate(reached)), None, 1)
        pixels, arriving = np.zeros((height, width), dtype=bool), self._arriving(parts)
        for part in parts:
            rows, columns = self.cuts(part)
            pixels[np.ix_(rows.source, columns.source)] = True
        at = np.flatnonzero(pixels)
        if not arriving.size:
            return Senders(at[:0], None, 1)
        atoms = int(arriving[0]), int(arriving[-1]) + 1
        return Senders(at, atoms, self.slots(atoms[1] - atoms[0], self.pixels(parts)))

    def source_shape(self, parts: Sequence[Part]) -> tuple[int, int, int]:
        """Shape of the population that these parts come from."""
        return as_chw(self.network[self.network.projections[parts[0].projection].source].shape)

    def channels(self, part: Part) -> Counts:
        """Target channels of a box that each source channel of a convolution reaches."""
        return self.fan_channels(part.projection, *_box(part)[0])

    def fan_channels(self, projection: int, first: int, stop: int) -> Counts:
        """Target channels ``first : stop`` that each source channel of a convolution reaches."""
        synapse = self.network.projections[projection].synapse
        out, per_group = synapse.weight.shape[:2]
        groups = synapse.groups if isinstance(synapse, Conv2d) else 1
        group = np.arange(first, stop) // (out // groups)
        found: Counts = np.repeat(np.bincount(group, minlength=groups), per_group)
        return found

    def cuts(self, part: Part) -> tuple[Cut, Cut]:
        """What reaches the rows, and the columns, of a box."""
        _, (top, bottom), (left, right) = _box(part)
        rows, columns = self.axes(part.projection)
        return rows.cut(top, bottom), columns.cut(left, right)

    def _formats(self, parts: Sequence[Part]) -> list[SynapseFormat]:
        return [self.lists(part.projection).format(part.offset, part.piece.size) for part in parts]

    def _lengths(self, parts: Sequence[Part]) -> tuple[Counts, Counts]:
        """Synapses ``[part, list]`` of the lists of single axons, and how many there are of each kind."""
        shape = self.source_shape(parts)
        sides = self._separable(parts[0]) if len(parts) == 1 else None
        if sides is not None:
            channels, rows, columns = (np.unique(side, return_counts=True) for side in sides)
            kinds = channels[0][:, None, None] * rows[0][:, None] * columns[0]
            return kinds.reshape(1, -1), (channels[1][:, None, None] * rows[1][:, None] * columns[1]).ravel()
        at_rows, at_columns = self.addresses(tuple(sorted({part.projection for part in parts})))
        lengths = []
        for part in parts:
            sources, deliveries = self.fan(part.projection).of(part.piece)
            fan = np.zeros(shape, dtype=np.int64)
            fan.reshape(-1)[sources] = deliveries
            lengths.append(fan[:, at_rows[:, None], at_columns].ravel())
        return np.stack(lengths), np.ones(lengths[0].size, dtype=np.int64)

    def _separable(self, part: Part) -> tuple[Counts, Counts, Counts] | None:
        """Synapses by channel, row address and column address, where their product is what a neuron reaches."""
        projection = self.network.projections[part.projection]
        at_rows, at_columns = self.addresses((part.projection,))
        if isinstance(projection.synapse, Conv2d) and part.piece.box is not None:
            _, (top, bottom), (left, right) = _box(part)
            rows, columns = self.axes(part.projection)
            return (
                self.channels(part),
                rows.reaches[at_rows, top:bottom].sum(axis=1),
                columns.reaches[at_columns, left:right].sum(axis=1),
            )
        if not isinstance(projection.synapse, Dense):
            return None
        shape = as_chw(self.network[projection.source].shape)
        in_rows, in_columns = (side.sum(axis=1) for side in windows(projection, shape))
        return np.full(shape[0], part.piece.size), in_rows[at_rows], in_columns[at_columns]

    def _arriving(self, parts: Sequence[Part]) -> Counts:
        """Source channels that reach any of these boxes."""
        reached = np.zeros(self.source_shape(parts)[0], dtype=bool)
        for part in parts:
            if all(cut.source.size for cut in self.cuts(part)):
                reached |= self.channels(part) > 0
        return np.flatnonzero(reached)

    def _shared_lists(self, parts: Sequence[Part]) -> Arrival:
        pixels, formats, arriving = self.pixels(parts), self._formats(parts), self._arriving(parts)
        if not pixels.axons or not arriving.size:
            return Arrival(0, 0, 0, frozenset(formats))
        bits, synapses = 0, 0
        atoms = int(arriving[-1] - arriving[0]) + 1
        for part, taps, format_ in zip(parts, pixels.taps, formats, strict=True):
            lengths = atoms * int(self.channels(part).max()) * taps
            bits += int(self.formula.bits(lengths, format_.bits).sum())
            synapses += int(lengths.sum())
        return Arrival(pixels.axons, synapses, bits, frozenset(formats), self.slots(atoms, pixels))

    def pixels(self, parts: Sequence[Part]) -> Pixels:
        """The lists of shared kernels; counted once for boxes that are reached in the same way."""
        cuts = [self.cuts(part) for part in parts]
        key: tuple[Any, ...] = tuple(
            (r.key, c.key, _box(part)[2][1] - _box(part)[2][0], part.offset)
            for part, (r, c) in zip(parts, cuts, strict=True)
        )
        if len(parts) > 1:  # which pixels coincide matters
            key += tuple((r.source.tobytes(), c.source.tobytes()) for r, c in cuts)
        if key not in self._known:
            self._known[key] = self._count(parts, cuts)
        return self._known[key]

    def _count(self, parts: Sequence[Part], cuts: Sequence[tuple[Cut, Cut]]) -> Pixels:
        rows = np.unique(np.concatenate([rows.source for rows, _ in cuts]))
        columns = np.unique(np.concatenate([columns.source for _, columns in cuts]))
        firsts, patterns, taps = [], [], []
        for part, (r, c) in zip(parts, cuts, strict=True):
            left, right = _box(part)[2]
            at = np.ix_(np.searchsorted(rows, r.source), np.searchsorted(columns, c.source))
            first = np.full((rows.size, columns.size), FAR, dtype=np.int64)
            first[at] = part.offset + r.first[:, None] * (right - left) + c.first
            pattern = np.zeros_like(first)
            pattern[at] = 1 + r.pattern[:, None] * (int(c.pattern.max(initial=0)) + 1) + c.pattern
            number_of_taps = np.zeros_like(first)
            number_of_taps[at] = r.taps[:, None] * c.taps
            firsts.append(first)
            patterns.append(pattern)
            taps.append(number_of_taps)
        lowest = np.minimum.reduce(firsts)
        reached = lowest < FAR
        base = lowest[reached]
        if self.formula.base_max is not None:
            base = base % (self.formula.base_max + 1)
        key = np.zeros(base.size, dtype=np.int64)
        for first, pattern in zip(firsts, patterns, strict=True):
            own = pattern[reached]
            for more in (own, np.where(own > 0, first[reached] - base, 0)):
                key = _combined(key, more)
        _, lists = np.unique(key, return_index=True)
        step = number(self.chip, "limits.shared_base_step_16") or 1
        axons, aligned = int(np.unique(_combined(key, base)).size), not (base % step).any()
        return Pixels(axons, aligned, [part_taps[reached][lists] for part_taps in taps])

    def slots(self, atoms: int, pixels: Pixels) -> int:
        """Slots of a population axon at its sender: 16 bits take one, 32 bits what the chip says."""
        own, free = number(self.chip, "limits.population_axon_bits_16"), "limits.population_atom_bits_16"
        most = number(self.chip, "limits.population_atom_bits_max_16")
        atom_bits = (atoms - 1).bit_length()
        if own is not None and most is not None and atom_bits <= most and pixels.aligned:
            left = own - max(atom_bits - (number(self.chip, free) or 0), 0)
            if pixels.axons <= 2**left:
                return 1
        return number(self.chip, "limits.population_axon_slots_32") or 1


def _box(part: Part) -> Box:
    if part.piece.box is None:
        raise TypeError("a list of neurons is no box")
    return part.piece.box


def _combined(key: Counts, more: Counts) -> Counts:
    """A number for each different pair."""
    found: Counts = np.unique(key * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]
    return found
