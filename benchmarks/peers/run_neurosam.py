"""neurosam's event back end, in compare.py's interpreter; its network comes from the case file, as the peers' do."""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from convert import on_event
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    return on_event(case, threads)


if __name__ == "__main__":
    main(build, "neurosam", "int8 weights, integer state", like="neurosam")
