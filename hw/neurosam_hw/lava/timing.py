"""Schedule of a network on Lava's clock: retiming that keeps every lag of the network.

In Lava a synapse Process delays by exactly one step and a neuron by none; a pool in front of a synapse is another
synapse Process. A projection with lag l from p to q therefore needs

    start(p) + own + wait = start(q) + l        own = 1, or 2 with a pool;  wait >= 0

where ``start`` is the number of Lava steps before a population's own step 0, and ``wait`` is spent in relays. Starts
are longest paths over ``own - lag``. They exist for any network whose cycles have at least as much delay as synapse
Processes. Delays of 0, 1 or 5 along a chain only shift the starts; in own time the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosam.errors import BackendError
from neurosam.network.elements import Projection
from neurosam.network.network import Network

__all__ = ["Timing", "own_steps", "timing"]


@dataclass(frozen=True)
class Timing:
    """A schedule on Lava's clock.

    Attributes
    ----------
    start : dict of str to int
        Lava steps before each population's own step 0; 0 for the input.
    wait : tuple of int
        Steps that the messages of each projection wait in relays.
    """

    start: dict[str, int]
    wait: tuple[int, ...]


def own_steps(projection: Projection) -> int:
    """Steps that a projection takes by itself: one for its synapses, one for a pool in front of them."""
    return 1 if projection.pool is None else 2


def timing(network: Network) -> Timing:
    """Find the earliest schedule that keeps every lag.

    Raises
    ------
    BackendError
        If a cycle has too little delay for Lava, which needs one step per synapse Process.
    """
    start = {p.name: 0 for p in network.populations}
    steps = [(p, own_steps(p) - network.lag(p)) for p in network.projections]
    for _ in network.populations:
        violated = None
        for projection, step in steps:
            if start[projection.source] + step > start[projection.target]:
                start[projection.target] = start[projection.source] + step
                violated = projection
        if violated is None:
            break
    else:
        raise BackendError(
            f"projection {violated.label if violated else ''}",
            "lies on a cycle with too little delay for Lava, where every synapse takes one step and a pool one more; "
            "raise the delay of a projection on the cycle",
        )
    return Timing(start, tuple(start[p.target] - start[p.source] - step for p, step in steps))
