"""The plan of a run: a network as kernels take it, the path of each population, and the order of the work.

This is the only module of the back end that reads a :class:`~neurosam.network.network.Network`: backend.py and cache.py
hand one on, and everything else works from the plan. All threads read a plan, and none changes it.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import ANY_WAY, GATHER, LOOK_UP, SCATTER
from neurosam.backends.event.plan.populations import CompiledPopulation, compile_population, is_max_pool
from neurosam.backends.event.plan.projections import CompiledProjection, compile_projection
from neurosam.backends.protocol import Options
from neurosam.network.bounds import Proven, largest_input, proven
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw
from neurosam.signals.events import INDEX_MAX
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, extents
from neurosam.signals.state import State

__all__ = ["PATHS", "CacheKey", "Memo", "Plan", "sends_values"]

CHUNK_BYTES = 2**26
"""Bit planes and recorded values that a sample's memory may hold; a single step is never divided."""
HORIZON = 2**16
"""Steps that a session's tables serve at first; ever twice as many."""
CHUNK_STEPS = 256
"""Most steps of a chunk."""
CURRENT_INPUT = 2**24
INPUT = 2**31 - 2**25
"""Largest inputs of neurons with a current, and without one, for which no sum leaves 32 bits: lanes of int32."""
WAYS = {"scatter": SCATTER, "gather": GATHER, "table": LOOK_UP}
"""The paths that fix how a layer adds up its sums."""
PATHS = ("auto", "general", *WAYS)
CHAINED = ("layer", "or")
"""Paths of one executor, "chain"; each other path has an executor of its name."""

FLOAT_MAX = float(np.finfo(np.float64).max)

Group = tuple[str, ...]
T = TypeVar("T")


class CacheKey(NamedTuple):
    """What runs of a network must have in common to share a plan.

    Parameters
    ----------
    record : Record
    steps : int
    path : str
        One of PATHS.
    dtype : str
        Of a float network's sums and states.
    graded : frozenset of str
        Inputs whose events have values.
    threads : int
        Threads that work on one sample.
    stateful : bool
        Whether runs start from a given state, or return theirs: then all that it consists of is kept.
    first_step : int
        Own step with which the run begins, for the clock of SAM traces.
    """

    record: Record
    steps: int
    path: str
    dtype: str
    graded: frozenset[str]
    threads: int
    stateful: bool = False
    first_step: int = 0

    @classmethod
    def of(
        cls, network: Network, inputs: Inputs, record: Record, options: Options, path: str, threads: int
    ) -> CacheKey:
        """The key of a run."""
        initial = options.initial
        recent = {} if initial is None else initial.recent
        graded = (n for n, e in inputs.items() if e.value is not None or (n in recent and sends_values(recent[n])))
        return cls(
            record, inputs.steps, path, options.dtype, frozenset(graded), threads,
            initial is not None or options.keep_state, options.first_step if network.sam else 0,
        )  # fmt: skip

    @classmethod
    def of_session(
        cls, network: Network, record: Record, options: Options, path: str, graded: frozenset[str], first: int,
        steps: int, most_steps: int | None,
    ) -> CacheKey:  # fmt: skip
        """The key of a session's plan, which serves at least so many steps from own step `first` on.

        Only the tables of float traces depend on the number of steps.
        """
        horizon = INDEX_MAX
        if network.sam and not network.fixed:
            horizon = max(HORIZON, 1 << (first + steps - 1).bit_length())
        if most_steps is not None:
            horizon = min(horizon, most_steps - first)
        graded &= {p.name for p in network.inputs}
        return cls(record, horizon, path, options.dtype, graded, options.threads or 1, True, first)


def sends_values(values: npt.NDArray[Any]) -> bool:
    """Whether any of these is neither 0 nor 1, so that its sender's events are graded."""
    return not np.isin(values, (0, 1)).all()


class Memo(Protocol):
    """Keeps what depends on one population or projection alone (cache.py), so that the next plan need not make it."""

    def __call__(self, element: Population | Projection, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned when this element was first requested with this key."""


class Plan:
    """A network as runs with the same key execute it.

    Parameters
    ----------
    network : Network
        Its gain tables have a row for every step (:func:`neurosam.backends.registry.unrolled`), or one for all.
    key : CacheKey
    memo : Memo

    Attributes
    ----------
    steps, threads, graded, stateful, first_step
        As in the key.
    fixed : bool
        Whether the network computes in integers.
    dtype : dtype
        Of sums and states: int32, float64 or float32.
    record_dtype : type
        Of what enters and leaves a run (input values, membranes of outputs, maps): int32 or float64.
    way : int
        How layers add up their sums, a member of Way.
    inputs : mapping of str to (C, H, W)
        Shapes of the input populations.
    largest_input : mapping of str to float
        Largest magnitude that they may send.
    answers : mapping of str to str
        By output population: "last", "mean", "max" or "count".
    at_rest : State or None
        The state before the first step, of one sample; None if it is zero everywhere.
    firing : tuple of str
        Populations that emit spikes or events, inputs among them.
    populations : mapping of str to CompiledPopulation
        All but the inputs.
    counted : list of (int, str)
        Populations that count what saturates and wraps around, with their places in `populations`.
    magnitudes : frozenset of str
        Populations that can fire several times in a step: they emit graded events.
    incoming : mapping of str to list of CompiledProjection
        By target.
    sam_scale : mapping of str to float
        Divides a map to give it in the float trace's unit.
    history : mapping of str to int
        Steps before a chunk that projections may still read, by population.
    recurrent : set of tuples of str
        Groups whose populations depend on their own earlier steps.
    paths : mapping of str to str
        "layer", "or", "loop" or "general", by population.
    schedule : list of (str, tuple of str)
        In order of evaluation: an executor ("chain", "loop" or "general") and its populations.
    chunk : int
        Steps that go through all populations before the next steps begin.
    labels : mapping of str to int
        Index of each projection, by label, in arrays of counts.
    index_of : mapping of str to int
        Index of each population in arrays of counts, in order of evaluation.
    kernels : hashable
        Equal for plans that need the same compiled kernels.
    """

    def __init__(self, network: Network, key: CacheKey, memo: Memo) -> None:
        self.steps, self.threads = key.steps, key.threads
        self.fixed, self.graded, self.first_step = network.fixed, key.graded, key.first_step
        self.stateful = key.stateful
        self.dtype: np.dtype[Any] = np.dtype(np.int32 if network.fixed else key.dtype)
        self.record_dtype = np.int32 if network.fixed else np.float64
        self.way = WAYS.get(key.path, ANY_WAY)
        self.inputs = {p.name: as_chw(p.shape) for p in network.inputs}
        self.largest_input = {p.name: p.magnitude if network.fixed else FLOAT_MAX for p in network.inputs}
        self.answers = network.answers
        initial = State.initial(network, 1)
        self.at_rest = initial if any(x.any() for held in initial.neurons.values() for x in held.values()) else None
        key = key._replace(record=_kept(network, key))
        self.firing = tuple(p.name for p in network.populations if p.fires)
        self.sam_scale = {name: trace.scale for name, trace in network.sam.items()}
        self.populations = {
            p.name: _population(network, p, key, memo) for p in network.populations if p.neuron is not None
        }
        self.counted = [(k, p.name) for k, p in enumerate(self.populations.values()) if p.counts_lost]
        self.magnitudes = frozenset(name for name, p in self.populations.items() if p.has_magnitudes)
        self.incoming = {
            name: [_projection(network, p, key, memo) for p in network.incoming(name)] for name in self.populations
        }
        self.history = {p.name: max(map(network.lag, network.outgoing(p.name)), default=0) for p in network.populations}
        groups = [group for group in network.groups if group[0] not in self.inputs]
        self.recurrent = {group for group in groups if len(group) > 1 or self._is_recurrent(*group)}
        group_of = {name: group for group in groups for name in group}
        self.paths = {name: self._path(network, group_of[name], name, key, memo) for name in self.populations}
        self.schedule = list(self._schedule(groups))
        self.chunk = min(max(CHUNK_BYTES // max(self._step_bytes(network, key.record), 1), 1), CHUNK_STEPS, key.steps)
        self.labels = {label: k for k, label in enumerate(dict.fromkeys(p.label for p in network.projections))}
        self.index_of = {name: k for k, name in enumerate(name for group in groups for name in group)}
        paths = frozenset(self._kernels(name) for name in self.populations)
        self.kernels = (self.dtype.name, bool(key.graded), key.stateful, paths, frozenset(self.answers.values()))

    def _schedule(self, groups: list[Group]) -> Iterator[tuple[str, Group]]:
        """Executors and their populations, in order of evaluation; neighbouring groups on chained paths are joined."""

        def executor(group: Group) -> str:
            path = self.paths[group[0]]
            return "chain" if path in CHAINED else path

        for name, neighbours in itertools.groupby(groups, executor):
            if name == "chain":
                yield name, tuple(itertools.chain.from_iterable(neighbours))
            else:
                yield from ((name, group) for group in neighbours)

    def _is_recurrent(self, name: str) -> bool:
        """Whether a population projects to itself."""
        return any(projection.source == name for projection in self.incoming[name])

    def _path(self, network: Network, group: Group, name: str, key: CacheKey, memo: Memo) -> str:
        """The fastest path that this population's neurons and projections allow."""
        if key.path == "general":
            return "general"
        if group in self.recurrent:
            return "loop" if self.fixed and all(self._is_plain(member) for member in group) else "general"
        projections, pooled = self.incoming[name], self.populations[name].pooled is not None
        if len(projections) != 1 or projections[0].source in self.graded or pooled or not self._is_plain(name):
            return "general"
        if _is_max_pool(network, self.populations[name], key, memo):
            return "or"
        return "general" if projections[0].conv is None else "layer"

    def _is_plain(self, name: str) -> bool:
        """Whether a population has no options, and receives nothing that fires several times in a step."""
        graded = any(projection.source in self.magnitudes for projection in self.incoming[name])
        return self.populations[name].optional is None and not graded

    def _kernels(self, name: str) -> tuple[Any, ...]:
        """What decides which compiled kernels a population needs."""
        if self.paths[name] != "general":
            return (self.paths[name],)
        p = self.populations[name]
        delivered = ((q.kernel, q.gathers, q.source in self.magnitudes) for q in self.incoming[name])
        return p.optional is not None, p.has_magnitudes, p.pooled is not None, *delivered

    def _step_bytes(self, network: Network, record: Record) -> int:
        """Bytes of bit planes and recorded values per step."""
        numbers = (x for (variable, _), x in extents(network, record, 1, 1).items() if variable != "spikes")
        recorded = sum(math.prod(shape) * dtype.itemsize for shape, dtype in numbers)
        magnitudes = sum(4 * math.prod(self.populations[name].shape) for name in self.magnitudes)
        return sum(8 * p.pixels * p.words for p in self.populations.values()) + magnitudes + recorded


def _kept(network: Network, key: CacheKey) -> Record:
    """What is recorded in a sample's memory: what the run requests, and what its answers and its state need."""
    record, answers = key.record, network.answers
    membranes = [name for name, answer in answers.items() if answer in ("mean", "max") and name not in record.membrane]
    traced = [name for name in network.sam if key.stateful and name not in record.sam]
    return replace(record, membrane=(*record.membrane, *membranes), sam=(*record.sam, *traced))


def _population(network: Network, population: Population, key: CacheKey, memo: Memo) -> CompiledPopulation:
    """A population with what the run records of it."""
    precision = network.precision
    largest = largest_input(network, population.name)
    wide = largest > (CURRENT_INPUT if population.has_current else INPUT)
    compiled = memo(
        population, (precision, key.dtype, wide),
        lambda: compile_population(population, precision, key.dtype, wide=wide),
    ).pooling(population.pool, as_chw(network.drive_shape(population.name)))  # fmt: skip
    if network.fixed:  # what is proven holds for the neurons' own initial state, not for any that a caller gives
        known = Proven(False, False) if key.stateful else proven(network, population.name)
        compiled = compiled.counting(*known)
    return compiled.recording(key.record, network.sam.get(population.name), key.steps, key.first_step, key.stateful)


def _projection(network: Network, projection: Projection, key: CacheKey, memo: Memo) -> CompiledProjection:
    """A projection with its lag in this network."""
    origin = network[projection.source]
    source, target = as_chw(origin.shape), as_chw(network.drive_shape(projection.target))
    spikes = origin.neuron is not None and origin.largest_event == 1
    compiled = memo(
        projection, (source, target, spikes, key.dtype),
        lambda: compile_projection(projection, source, target, spikes=spikes, dtype=key.dtype),
    )  # fmt: skip
    return replace(compiled, lag=network.lag(projection))


def _is_max_pool(network: Network, compiled: CompiledPopulation, key: CacheKey, memo: Memo) -> bool:
    """Whether a population with a single projection is a max pooling."""
    (projection,) = network.incoming(compiled.name)
    if compiled.recorded or network.answers.get(compiled.name) == "last":
        return False
    return memo(
        network[compiled.name], ("max pool", weakref.ref(projection), network.precision, key.dtype),
        lambda: is_max_pool(compiled, projection),
    )  # fmt: skip
