"""neurosam's event back end with reset to zero, as on Loihi, with which the spikes of the emulators are compared."""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from convert import on_event
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    return on_event(case, threads, reset="zero")


if __name__ == "__main__":
    main(build, "neurosam", "int8 weights, integer state", like="neurosam_zero")
