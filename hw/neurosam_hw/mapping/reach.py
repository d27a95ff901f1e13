"""What a spike reaches: for each source neuron the cores it sends to, and its synapses on each.

A chip sends one packet to each core on which a neuron has synapses, its own core too, and that core adds one weight for
each of them, weights of 0 included. For a box of a convolution's targets the number is a product,

    synapses[c, y, x] = channels of the box in c's group * target rows at y * target columns at x,

since channels, rows and columns are independent of each other; so is a sum pool in front. Lists of neurons are
counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam.metrics.connections import window_taps
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, as_chw, neurons
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece

__all__ = ["KINDS", "Fan", "Reach", "kind", "packets", "reach"]

Counts = npt.NDArray[np.int64]

KINDS = ("dense", "sparse", "convolution")
"""Kinds of synapses, as chips tell them apart."""


def kind(projection: Projection) -> str:
    """One of KINDS."""
    names = {Dense: "dense", Sparse: "sparse", Conv2d: "convolution"}
    return names[type(projection.synapse)]


@dataclass(frozen=True, eq=False)
class Reach:
    """Cores that each source neuron sends to, compressed by rows.

    Parameters
    ----------
    starts : (neurons + 1,) int64 array
        Neuron n has the entries ``starts[n] : starts[n + 1]``.
    cores : (entries,) int32 array
        Rising within a neuron.
    deliveries : (entries,) int64 array
        Synapses there, at least 1.
    """

    starts: Counts
    cores: npt.NDArray[np.int32]
    deliveries: Counts

    @property
    def fan_out(self) -> Counts:
        """Cores that each neuron sends to, ``[neurons]``."""
        return np.diff(self.starts)


def reach(mapping: CoreMapping, projection: Projection) -> Reach:
    """What the spikes of a projection's source reach through that projection.

    Raises
    ------
    MappingError
        If the target takes the largest of several sums (Population.pool), which no chip does.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import CoreMapping, Piece, reach
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 1, 4)), ns.Population("out", (1, 1, 4), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Conv2d(np.ones((1, 1, 1, 3), np.int8), padding=(0, 1)))],
    ... )
    >>> halves = (Piece("out", 0, ((0, 1), (0, 1), (0, 2))), Piece("out", 1, ((0, 1), (0, 1), (2, 4))))
    >>> found = reach(CoreMapping(net, load_chip("loihi1"), halves), net.projections[0])
    >>> found.starts, found.cores, found.deliveries
    (array([0, 1, 3, 5, 6]), array([0, 0, 1, 0, 1, 1], dtype=int32), array([2, 2, 1, 1, 2, 2]))
    """
    fan = fan_of(mapping.network, projection)
    found = [(piece.core, *fan.of(piece)) for piece in mapping.pieces_of(projection.target)]
    return _gather(found, neurons(mapping.network[projection.source].shape))


def packets(mapping: CoreMapping, population: str) -> Reach:
    """What the spikes of a population reach through all its projections: an entry is a packet.

    Synapses of several projections on one core are reached by one packet.
    """
    size = neurons(mapping.network[population].shape)
    reaches = [reach(mapping, p) for p in mapping.network.outgoing(population)]
    sources = _joined(np.repeat(np.arange(size), r.fan_out) for r in reaches)
    cores = _joined(r.cores.astype(np.int64) for r in reaches)
    return _compressed(sources, cores, _joined(r.deliveries for r in reaches), size)


def fan_of(network: Network, projection: Projection) -> Fan:
    """The Fan of a projection; refused like :func:`reach` if its target takes the largest of several sums."""
    source, target = network[projection.source], network[projection.target]
    if target.pool is not None:
        raise MappingError(
            f"population {target.name!r}",
            "takes the largest of several sums in a step, which no chip does; pool its spikes instead (max_pool)",
        )
    return Fan(projection, source.shape, target.shape)


class Fan:
    """Synapses of one projection, from every source neuron to the neurons of a piece."""

    def __init__(self, projection: Projection, source: Shape, target: Shape) -> None:
        self.synapse, self.source, self.target = projection.synapse, source, as_chw(target)
        pool = projection.pool
        self.pools, self.pooled = pool is not None, source if pool is None else pool.output_shape(source)
        _, height, width = as_chw(source)
        if pool is None:
            self.rows, self.columns = np.eye(height, dtype=np.int64), np.eye(width, dtype=np.int64)
        else:
            (kh, kw), (sh, sw), (ph, pw) = pool.geometry
            self.rows = window_taps(height, self.pooled[1], kh, sh, ph, 1).sum(axis=2)
            self.columns = window_taps(width, self.pooled[2], kw, sw, pw, 1).sum(axis=2)
        if isinstance(self.synapse, Conv2d):
            (sh, sw), (ph, pw), (dh, dw) = self.synapse.geometry
            kh, kw = self.synapse.weight.shape[2:]
            _, out_height, out_width = self.target
            rows = window_taps(self.pooled[1], out_height, kh, sh, ph, dh).sum(axis=2)
            columns = window_taps(self.pooled[2], out_width, kw, sw, pw, dw).sum(axis=2)
            self.to_rows, self.to_columns = self.rows @ rows, self.columns @ columns

    def of(self, piece: Piece) -> tuple[Counts, Counts]:
        """Source neurons that reach the piece, rising, and their synapses there."""
        if isinstance(self.synapse, Conv2d) and piece.box is not None:
            return self._box(self.synapse, piece)
        through = self._to_pooled(piece)
        if self.pools:
            through = (self.rows @ through.reshape(as_chw(self.pooled)) @ self.columns.T).ravel()
        sources = np.flatnonzero(through)
        return sources, through[sources]

    def _box(self, synapse: Conv2d, piece: Piece) -> tuple[Counts, Counts]:
        """The product of channels, rows and columns."""
        (first, stop), (top, bottom), (left, right) = piece.box or ((0, 0),) * 3
        out, per_group = synapse.weight.shape[:2]
        group = np.arange(first, stop) // (out // synapse.groups)
        channels = np.repeat(np.bincount(group, minlength=synapse.groups), per_group)
        sides = channels, self.to_rows[:, top:bottom].sum(axis=1), self.to_columns[:, left:right].sum(axis=1)
        at = [np.flatnonzero(side) for side in sides]
        c, y, x = (side[some] for side, some in zip(sides, at, strict=True))
        _, height, width = as_chw(self.source)
        sources = ((at[0][:, None, None] * height + at[1][:, None]) * width + at[2]).ravel()
        return sources, (c[:, None, None] * y[:, None] * x).ravel()

    def _to_pooled(self, piece: Piece) -> Counts:
        """Synapses from each neuron of the pooled source."""
        size = neurons(self.pooled)
        if isinstance(self.synapse, Dense):
            return np.full(size, piece.size, dtype=np.int64)
        targets = piece.indices(self.target)
        if isinstance(self.synapse, Sparse):
            starts, stops = self.synapse.indptr[targets], self.synapse.indptr[targets + 1]
            return np.bincount(self.synapse.indices[_ranges(starts, stops)], minlength=size)
        return self._to_convolution(self.synapse, targets)

    def _to_convolution(self, synapse: Conv2d, targets: Counts) -> Counts:
        """Synapses from each pixel, tap by tap."""
        (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
        out, per_group, kh, kw = synapse.weight.shape
        _, height, width = as_chw(self.pooled)
        channel, y, x = np.unravel_index(targets, self.target)
        group = channel // (out // synapse.groups)
        fan = np.zeros((synapse.groups, height * width), dtype=np.int64)
        for row in range(kh):
            for column in range(kw):
                at, to = y * sh + row * dh - ph, x * sw + column * dw - pw
                inside = (at >= 0) & (at < height) & (to >= 0) & (to < width)
                np.add.at(fan, (group[inside], at[inside] * width + to[inside]), 1)
        return np.repeat(fan, per_group, axis=0).ravel()


def _ranges(starts: Counts, stops: Counts) -> Counts:
    """All numbers in all ranges, one after the other."""
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    found: Counts = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return found


def _gather(found: list[tuple[int, Counts, Counts]], size: int) -> Reach:
    """What each core is reached by, as what each source reaches."""
    cores = _joined([np.full(sources.size, core, dtype=np.int64) for core, sources, _ in found])
    sources, deliveries = _joined(part[1] for part in found), _joined(part[2] for part in found)
    return _compressed(sources, cores, deliveries, size)


def _joined(parts: Iterable[Counts]) -> Counts:
    parts = list(parts)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _compressed(sources: Counts, cores: Counts, deliveries: Counts, size: int) -> Reach:
    """Sort by source and core, and add up what comes twice."""
    key = sources * (int(cores.max(initial=0)) + 1) + cores
    order = np.argsort(key, kind="stable")
    key, first = key[order], np.ones(key.size, dtype=bool)
    first[1:] = key[1:] != key[:-1]
    at = np.flatnonzero(first)
    summed = np.add.reduceat(deliveries[order], at) if at.size else deliveries
    starts = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(sources[order][at], minlength=size), out=starts[1:])
    return Reach(starts, cores[order][at].astype(np.int32), summed)
