"""Lava's CPU simulation (`fixed_pt` models) through neurosam's back end, in the Python 3.10 that `make lava` builds.

The soft reset is a Process of neurosam, as Lava has none; the runtime, channels, synapses and everything else are
Lava's. The time is measured by the worker and covers only Lava's steps, not building the graph and starting processes.
The script runs in the interpreter of compare.py, which starts the worker. Threads do not apply: Lava runs every Process
in an operating system process of its own.
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
        raise CannotExpress("takes too long")
    network, events = network_of(case), events_of(case)

    def run() -> dict[str, int]:
        recording = ns.run(network, events, backend="lava")
        counts = {layer.name: int(recording.counts[layer.name].sum()) for layer in case.layers}
        return Clocked(counts, recording.time_s)

    return run


if __name__ == "__main__":
    lava = examine(find()).versions["lava-nc"] or "?"
    main(build, "lava-nc", "int8 weights, integer state", like="neurosam", version=lava)
