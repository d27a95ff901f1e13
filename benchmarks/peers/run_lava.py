"""Lava's CPU simulation (`fixed_pt` models) through neurosam's back end, in the Python 3.10 that `make lava` builds.

The soft reset is neurosam's Process, as Lava has none; the runtime, channels, synapses and all else are Lava's. The
time is the worker's, of Lava's steps alone: building the graph and starting Lava's processes come before. The script
runs in the interpreter of compare.py, which starts the worker. Threads do not apply: every Process has its own.
"""

from __future__ import annotations

from collections.abc import Callable

import neurosam as ns
from casefile import PlainCase
from convert import events_of, network_of
from harness import CannotExpress, Clocked, main
from neurosam_hw.lava.interpreter import examine, find


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    if case.name == "vgg11-64":
        raise CannotExpress("left out for its time")
    network, events = network_of(case), events_of(case)

    def run() -> dict[str, int]:
        found = ns.run(network, events, backend="lava")
        return Clocked({layer.name: int(found.counts[layer.name].sum()) for layer in case.layers}, found.time_s)

    return run


if __name__ == "__main__":
    lava = examine(find()).versions["lava-nc"] or "?"
    main(build, "lava-nc", "int8 weights, integer state", like="neurosam", version=lava)
