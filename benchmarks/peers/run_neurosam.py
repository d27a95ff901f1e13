"""neurosam's event back end, in compare.py's interpreter; its network comes from the case file, as the peers' do."""

from __future__ import annotations

from collections.abc import Callable

import neurosam as ns
from casefile import PlainCase
from convert import events_of, network_of
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    network, inputs = network_of(case), events_of(case)

    def run() -> dict[str, int]:
        counts = ns.run(network, inputs, threads=threads).counts
        return {layer.name: int(counts[layer.name].sum()) for layer in case.layers}

    return run


if __name__ == "__main__":
    main(build, "neurosam", "int8 weights, integer state", like="neurosam")
