"""How much memory a run takes at least, compared with the memory there is before any is taken.

    counts      8 bytes a step, sample and population
    recorded    what the request names; of one sample, where the rest goes to a file
    state       16 bytes a neuron of one sample, and 8 a source of a sparse matrix

A back end takes more (weights, what is on its way). A request is refused only where even this cannot be had.
"""

from __future__ import annotations

import math

from neurosam._util.memory import available_bytes, size_text
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam.network.synapse import Sparse, neurons
from neurosam.signals.recording import Record, extents

__all__ = ["check_memory", "run_bytes"]


def run_bytes(network: Network, record: Record, steps: int, samples: int, to_file: bool = False) -> dict[str, int]:
    """Bytes that a run takes at least, by what they are for."""
    held = min(samples, 1) if to_file else samples
    recorded = sum(math.prod(shape) * dtype.itemsize for shape, dtype in extents(network, record, steps, held).values())
    sources = sum(p.synapse.sources for p in network.projections if isinstance(p.synapse, Sparse))
    state = 16 * sum(neurons(p.shape) for p in network.populations if p.neuron is not None)
    return {
        "counts": 8 * steps * samples * len(network.populations),
        "what is recorded": recorded,
        "the state of neurons": state + 8 * sources,
    }


def check_memory(network: Network, record: Record, steps: int, samples: int, to_file: bool = False) -> None:
    """Refuse a run that cannot fit into memory.

    Raises
    ------
    ArgumentError
        With the sizes, and what to do.
    """
    need, room = run_bytes(network, record, steps, samples, to_file), available_bytes()
    total = sum(need.values())
    if room is None or total <= room:
        return
    most = max(need, key=lambda what: need[what])
    count = sum(neurons(p.shape) for p in network.populations)
    raise ArgumentError(
        "run",
        f"{count:,} neurons x {steps:,} steps x {samples:,} samples take at least {size_text(total)} of memory "
        f"({size_text(need[most])} for {most}), and {size_text(room)} are free; run fewer steps or samples"
        + ", record less, or record into a file (out=, -o)"
        * (most == "what is recorded"),
    )
