"""The back ends that the conformance suite holds to the oracle: all that are installed.

They come from the entry points, as the library's own do, so that a new one is held by the same tests without a word
here. What one of them is excused from is in EXCEPTIONS, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from neurosam.backends import load_backend
from neurosam.errors import BackendError

__all__ = ["EXCEPTIONS", "POOLLESS", "STATELESS", "Exempt", "held", "installed", "lava_python", "networks", "ready"]

GROUP = "neurosam.backends"


def lava_python() -> Path:
    """Lava's Python. Without one the test skips, but fails where NEUROSAM_TEST_LAVA, set by `make test`, is 1."""
    from neurosam_hw.lava.interpreter import examine, find

    asked = os.environ.get("NEUROSAM_TEST_LAVA", "")
    if asked == "0":
        pytest.skip("Lava's tests are left out (LAVA=0)")
    try:
        python = find()
    except BackendError as error:
        if asked == "1":
            raise
        pytest.skip(str(error))
    assert not examine(python).problems
    return python


@dataclass(frozen=True)
class Exempt:
    """What a back end is excused from.

    Parameters
    ----------
    reason : str
    tests : frozenset of str
        The tests that it runs all the same.
    networks : int
        Most random networks of each of them.
    ready : callable
        Skips the test where the back end cannot work.
    """

    reason: str
    tests: frozenset[str]
    networks: int
    ready: Callable[[], object]


EXCEPTIONS = {
    "lava": Exempt(
        "each run starts a process that builds a Lava graph, 2 to 4 s; tests/lava holds it to hundreds of networks",
        frozenset({"test_fixed_networks_are_bit_exact", "test_integer_limits_are_bit_exact", "test_max_pool_is_an_or"}),
        networks=1,
        ready=lava_python,
    ),
}


POOLLESS = frozenset({"lava"})
"""Back ends that refuse a population that pools its sums."""

STATELESS = frozenset({"lava"})
"""Back ends that start every run from the beginning, and hand over no state."""


def installed() -> tuple[str, ...]:
    """Names of all back ends of this Python."""
    return tuple(sorted(entry.name for entry in entry_points(group=GROUP)))


def held(test: str, names: Iterable[str], *, states: bool = False) -> list[str]:
    """Those of some back ends that a test holds: all but the excused ones, and those without the states it needs."""
    able = [name for name in names if not (states and name in STATELESS)]
    return [name for name in able if name not in EXCEPTIONS or test in EXCEPTIONS[name].tests]


def networks(backend: str, count: int) -> range:
    """Seeds of the random networks that a back end is held to, where others are held to `count`."""
    return range(min(count, EXCEPTIONS[backend].networks) if backend in EXCEPTIONS else count)


def ready(backend: str) -> None:
    """Skip the test where a back end cannot work, and say why."""
    if backend in EXCEPTIONS:
        EXCEPTIONS[backend].ready()
    try:
        load_backend(backend)
    except BackendError as error:  # a package of it is not installed
        pytest.skip(str(error))
