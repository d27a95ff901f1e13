"""neurosam's event back end, in the interpreter of compare.py; it reads the network from a case file, as peers do."""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from convert import on_event
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    return on_event(case, threads)


if __name__ == "__main__":
    main(build, "neurosam", "int8 weights, integer state", like="neurosam")
