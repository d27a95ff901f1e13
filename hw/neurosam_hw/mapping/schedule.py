"""When populations act on a chip: one step for each hop, whatever delays the network has.

A network may say that a spike is used in the step in which it is sent (delay 0); a chip takes at least one step. So its
populations run behind each other. With depth d, own step t of population p is hardware step t + d(p), and a projection
whose source is used ``lag`` steps later (Network.lag) has on the chip the delay

    delay = d(q) - d(p) + lag >= 1.

Depths are the smallest that allow this, none below 0: longest paths over ``1 - lag``. The spikes are the same: nothing
is computed differently, only later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurosam.network.network import Network
from neurosam_hw.errors import MappingError

__all__ = ["HardwareSchedule"]


@dataclass(frozen=True)
class HardwareSchedule:
    """Depths of populations and delays of projections.

    Parameters
    ----------
    depths : mapping of str to int
        Hardware step of a population's own step 0.
    delays : tuple of int
        Steps from a spike to its arrival, in the order of the network's projections.

    Examples
    --------
    >>> from neurosam_hw.mapping import HardwareSchedule
    >>> net = ns.Network(
    ...     [
    ...         ns.Population("in", (1,)),
    ...         ns.Population("a", (1,), ns.LIF(0.5, 1.0)),
    ...         ns.Population("out", (1,), ns.Readout()),
    ...     ],
    ...     [
    ...         ns.Projection("in", "a", ns.Dense([[1.0]]), delay=0),
    ...         ns.Projection("a", "out", ns.Dense([[1.0]]), delay=0),
    ...     ],
    ... )
    >>> schedule = HardwareSchedule.of(net)
    >>> schedule.depths, schedule.delays, schedule.steps(10)
    ({'in': 0, 'a': 1, 'out': 2}, (1, 1), 12)
    """

    depths: Mapping[str, int]
    delays: tuple[int, ...]

    @classmethod
    def of(cls, network: Network) -> HardwareSchedule:
        """The schedule of a network.

        Raises
        ------
        MappingError
            If a cycle has fewer steps than hops.
        """
        depths = {p.name: 0 for p in network.populations}
        lags = [(p.source, p.target, network.lag(p)) for p in network.projections]
        for _ in depths:
            changed = {}
            for source, target, lag in lags:
                if depths[source] + 1 - lag > depths[target]:
                    changed[target] = depths[target] = depths[source] + 1 - lag
            if not changed:
                return cls(depths, tuple(depths[q] - depths[p] + lag for p, q, lag in lags))
        raise MappingError(
            f"population {next(iter(changed))!r}",
            "is in (or behind) a cycle that takes fewer steps than it has projections; a chip needs a step for each. "
            "Give its projections a delay of 1 or more",
        )

    @property
    def depth(self) -> int:
        """Steps by which the last population is behind the input."""
        return max(self.depths.values(), default=0)

    def steps(self, steps: int) -> int:
        """Hardware steps in which every population has made `steps` of its own."""
        return steps + self.depth
