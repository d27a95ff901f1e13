"""What outlives a run, under one lock: plans, what they are made of, and the memory of samples.

**Elements.** What is compiled from a population or projection alone (weights in the kernels' order, parameters by
channel) is kept as long as that object lives, so that networks and plans share it.

**Plan.** The plan that was made last is kept as long as its network lives, with the workers of its last run if their
memory is at most SPARE_BYTES. A run that is repeated, or continued with further samples, starts at once; one with
another key takes its place.

The lock guards the tables alone: plans and elements are made outside it, since that can take seconds and may call into
Numba, which has a lock of its own. Two threads that need the same thing at the same time both make it, and one of the
two results is kept. The lock is reentrant because a network can be collected, and forgotten here, in any statement.

Two things outlive a run elsewhere, each beside the code that it speeds up: idle threads (runtime/thread_pool.py) and
the workspaces of threads (executors/chain.py). They belong to no network, so nothing has to be forgotten with one, and
one ``pop`` or ``append`` of a deque, atomic in itself, is all that they need; moved here, they would have to travel
down through all that lies between.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from neurosam.backends.event.plan.compiled import CacheKey, Plan
from neurosam.backends.event.worker import Worker
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network

__all__ = ["CACHE", "Cache"]

SPARE_BYTES = 2**27
"""Most memory of samples that outlives a run; a run that needs more takes long enough to allocate it again."""
T = TypeVar("T")


class _Entry:
    """The last plan, and the workers that wait for its next run."""

    def __init__(self, network: weakref.ref[Network], key: CacheKey, plan: Plan) -> None:
        self.network, self.key, self.plan = network, key, plan
        self.spare: list[Worker] = []


class Cache:
    """Keeps what runs can share; used by any number of threads at once."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._elements: WeakKeyDictionary[Population | Projection, dict[Hashable, Any]] = WeakKeyDictionary()
        self._last: _Entry | None = None
        if hasattr(os, "register_at_fork"):  # a forked process must not inherit a lock that another thread holds
            release = self._lock.release
            os.register_at_fork(before=self._lock.acquire, after_in_parent=release, after_in_child=release)

    def plan(self, network: Network, key: CacheKey) -> Plan:
        """The plan of a network; for the last network and key, the same object again."""
        with self._lock:
            last = self._last
            if last is not None and last.network() is network and last.key == key:
                return last.plan
        plan = Plan(network, key, self.element)
        with self._lock:
            self._last = _Entry(weakref.ref(network, self._forget), key, plan)
        return plan

    def element(self, element: Population | Projection, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned when this element was first requested with this key (see :class:`Memo`)."""
        with self._lock:
            compiled = self._elements.setdefault(element, {})
            if key in compiled:
                known: T = compiled[key]
                return known
        made = make()
        with self._lock:
            kept: T = compiled.setdefault(key, made)
        return kept

    def acquire(self, plan: Plan) -> Worker:
        """A worker that an earlier run has left, or a new one."""
        with self._lock:
            last = self._last
            if last is not None and last.plan is plan and last.spare:
                return last.spare.pop()
        return Worker(plan)

    def release(self, plan: Plan, workers: list[Worker]) -> None:
        """Keep the workers of a finished run for the next one."""
        small = sum(worker.memory.nbytes for worker in workers) <= SPARE_BYTES
        with self._lock:
            last = self._last
            if last is not None and last.plan is plan:
                last.spare = workers if small else []

    def spare(self) -> list[Worker]:
        """The workers that wait for the next run."""
        with self._lock:
            last = self._last
            return [] if last is None else list(last.spare)

    def clear(self) -> None:
        """Forget the last plan and its workers; what elements are compiled to lives as long as they do."""
        with self._lock:
            self._last = None

    def _forget(self, network: weakref.ref[Network]) -> None:
        """A network is gone: free its plan."""
        with self._lock:
            last = self._last
            if last is not None and last.network is network:
                self._last = None


CACHE = Cache()
"""The cache of this process: each run creates its own back end."""
