"""neurosam's event back end on the same numbers in float64: what the float peers' spikes are held against."""

from __future__ import annotations

from collections.abc import Callable

import neurosam as ns
from casefile import PlainCase
from convert import events_of, network_of
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    network, inputs = network_of(case, fixed=False), events_of(case)

    def run() -> dict[str, int]:
        counts = ns.run(network, inputs, threads=threads).counts
        return {layer.name: int(counts[layer.name].sum()) for layer in case.layers}

    return run


if __name__ == "__main__":
    main(build, "neurosam", "float64")
