"""neurosam's event back end on the same numbers in float64 with reset to zero, with which jaxsnn is compared."""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from convert import on_event
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    return on_event(case, threads, fixed=False, reset="zero")


if __name__ == "__main__":
    main(build, "neurosam", "float64", like="neurosam_float_zero")
