"""A network prepared for runs of one kind, and the memory that one run leaves to the next.

What is prepared is read by all threads and changed by none. The last network that was prepared is kept as long as it
lives, with the memory of its last run up to SPARE_BYTES: a run that is repeated, or continued with further samples,
begins at once, and one of another kind takes its place.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurosam.backends.event.plan.populations import Cells, cells, is_or
from neurosam.backends.event.plan.projections import Link, link
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.recording import Record, extents

if TYPE_CHECKING:
    from neurosam.backends.event.worker import Sample

__all__ = ["PATHS", "Kind", "Prepared", "leave", "prepare", "take"]

CHUNK_BYTES = 2**26
"""Bit planes and recorded values that a sample may keep; a single step is never cut."""
CHUNK_STEPS = 256
SPARE_BYTES = 2**27
"""Memory of samples that outlives a run; where they are larger, a run is long."""
PATHS = ("auto", "general", "scatter", "gather", "table")


class Kind(NamedTuple):
    """What runs have to share to share what is prepared.

    Parameters
    ----------
    record : Record
    steps : int
    path : str
        One of PATHS.
    dtype : str
        Of a float network's sums and states.
    graded : bool
        Whether the input has values.
    threads : int
        Threads a sample.
    """

    record: Record
    steps: int
    path: str
    dtype: str
    graded: bool
    threads: int


class Prepared:
    """A network as runs of one kind take it."""

    def __init__(self, network: Network, kind: Kind) -> None:
        record, steps, path, dtype, graded, self.threads = kind
        self.fixed, self.graded = network.fixed, graded
        self.number: np.dtype[Any] = np.dtype(np.int32 if network.fixed else dtype)
        self.force = max(0, PATHS.index(path) - 1)
        self.source, self.output = network.input.name, network.readout.name
        self.source_shape = as_chw(network.input.shape)
        self.counted = neurons(network.readout.shape) if network.readout.fires else 0
        self.cells: dict[str, Cells] = {
            p.name: cells(network, p, record, steps, dtype) for p in network.populations if p.neuron is not None
        }
        self.links: dict[str, list[Link]] = {
            name: [link(network, p, dtype) for p in network.incoming(name)] for name in self.cells
        }
        self.tails = {
            p.name: max((network.lag(q) for q in network.projections if q.source == p.name), default=0)
            for p in network.populations
        }  # steps of a population that a later chunk still asks for
        groups = [group for group in network.groups if group != (self.source,)]
        self.looped = {group: len(group) > 1 or self._hears(*group) for group in groups}
        group_of = {name: group for group in groups for name in group}
        self.paths = {name: self._path(network, group_of[name], name, path) for name in self.cells}
        self.course = list(self._course(groups))
        self.chunk = min(max(CHUNK_BYTES // max(self._step_bytes(network, record), 1), 1), CHUNK_STEPS, steps)
        self.labels = {label: k for k, label in enumerate(dict.fromkeys(p.label for p in network.projections))}
        self.kernels = (self.number.name, graded, frozenset(self._kernels(name) for name in self.cells))
        self.places = {name: k for k, name in enumerate(name for group in groups for name in group)}

    def _course(self, groups: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is evaluated one after the other, and how: neighbours on the fast paths as one chain."""
        ways = {"layer": "chain", "or": "chain"}
        for way, some in itertools.groupby(groups, lambda group: ways.get(self.paths[group[0]], self.paths[group[0]])):
            if way == "chain":
                yield way, tuple(name for group in some for name in group)
            else:
                yield from ((way, group) for group in some)

    def _hears(self, name: str) -> bool:
        """Whether a population projects to itself."""
        return any(source.source == name for source in self.links[name])

    def _path(self, network: Network, group: tuple[str, ...], name: str, path: str) -> str:
        """Fastest path that this population's neurons and projections allow."""
        if path == "general":
            return "general"
        if self.looped[group]:
            return "loop" if self.fixed else "general"
        sources = self.links[name]
        if len(sources) != 1 or (sources[0].source == self.source and self.graded):
            return "general"
        if is_or(self.cells[name].rule, network.incoming(name)[0]):
            return "or"
        return "general" if sources[0].conv is None else "layer"

    def _kernels(self, name: str) -> tuple[Any, ...]:
        """What decides which kernels a population needs."""
        if self.paths[name] != "general":
            return (self.paths[name],)
        return tuple((source.kernel, source.gathers) for source in self.links[name])

    def _step_bytes(self, network: Network, record: Record) -> int:
        """Bit planes and recorded values of a step."""
        numbers = (x for (variable, _), x in extents(network, record, 1, 1).items() if variable != "spikes")
        recorded = sum(math.prod(shape) * dtype.itemsize for shape, dtype in numbers)
        return sum(8 * p.pixels * p.words for p in self.cells.values()) + recorded


class _Kept:
    """The last network that was prepared, as long as it lives."""

    def __init__(self, network: Network, kind: Kind) -> None:
        self.network, self.kind, self.prepared = weakref.ref(network, _forget), kind, Prepared(network, kind)
        self.spare: list[Sample] = []


_last: _Kept | None = None


def prepare(network: Network, kind: Kind) -> Prepared:
    """The network as :class:`Prepared` makes it; of the last one, the same object again."""
    global _last
    last = _last
    if last is None or last.network() is not network or last.kind != kind:
        last = _last = _Kept(network, kind)
    return last.prepared


def take(prepared: Prepared) -> Sample | None:
    """A sample's memory that an earlier run has left, if there is any."""
    last = _last
    try:
        return last.spare.pop() if last is not None and last.prepared is prepared else None
    except IndexError:
        return None


def leave(prepared: Prepared, samples: list[Sample]) -> None:
    """Keep the memory of a run for the next one."""
    last = _last
    if last is not None and last.prepared is prepared:
        last.spare = samples if sum(sample.nbytes for sample in samples) <= SPARE_BYTES else []


def _forget(network: weakref.ref[Network]) -> None:
    """A network is gone."""
    global _last
    if _last is not None and _last.network is network:
        _last = None
