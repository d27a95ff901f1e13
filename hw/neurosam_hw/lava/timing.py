"""When each population starts on Lava's clock: retiming, so that every lag of a network comes out right.

In Lava a synapse Process delays by exactly one step and a neuron by none; a pool in front of a synapse is a synapse
of its own. A projection with lag l from p to q therefore needs

    start(p) + own + wait = start(q) + l        own = 1, or 2 with a pool;  wait >= 0

where ``start`` is how many Lava steps pass before a population's own step 0, and ``wait`` is spent in relays. Starts
are longest paths over ``own - lag``. They exist for any network whose cycles have at least as much delay as they have
synapse Processes: what a network calls delay 0, 1 or 5 along a chain is the same in own time, and so is what comes
back.
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
        Lava steps before a population's own step 0; the input's is 0.
    wait : tuple of int
        Steps that the messages of each of the network's projections wait in relays.
    """

    start: dict[str, int]
    wait: tuple[int, ...]


def own_steps(projection: Projection) -> int:
    """Steps that a projection takes by itself: its synapses, and a pool in front of them."""
    return 1 if projection.pool is None else 2


def timing(network: Network) -> Timing:
    """The earliest schedule that keeps every lag.

    Raises
    ------
    BackendError
        For a cycle with too little delay for Lava: one step each synapse Process.
    """
    start = {p.name: 0 for p in network.populations}
    steps = [(p, own_steps(p) - network.lag(p)) for p in network.projections]
    for _ in network.populations:
        late = None
        for projection, step in steps:
            if start[projection.source] + step > start[projection.target]:
                start[projection.target] = start[projection.source] + step
                late = projection
        if late is None:
            break
    else:
        raise BackendError(
            f"projection {late.label if late else ''}",
            "lies on a cycle with too little delay for Lava, where every synapse takes one step and a pool one more; "
            "raise the delay of a projection on the cycle",
        )
    return Timing(start, tuple(start[p.target] - start[p.source] - step for p, step in steps))
