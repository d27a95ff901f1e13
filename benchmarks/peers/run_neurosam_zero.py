"""neurosam's event back end with reset to zero, as Loihi has it: what the emulators' spikes are held against."""

from __future__ import annotations

from collections.abc import Callable

import neurosam as ns
from casefile import PlainCase
from convert import events_of, network_of
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    network, inputs = network_of(case, reset="zero"), events_of(case)

    def run() -> dict[str, int]:
        counts = ns.run(network, inputs, threads=threads).counts
        return {layer.name: int(counts[layer.name].sum()) for layer in case.layers}

    return run


if __name__ == "__main__":
    main(build, "neurosam", "int8 weights, integer state", like="neurosam_zero")
