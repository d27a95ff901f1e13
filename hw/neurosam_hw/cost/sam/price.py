"""The price of SAM: a run with traces against the same run without, from one ledger and one model of time.

    price = cost(network with traces) - cost(network without)

The spikes are the same. What is counted is a sum over layers, and so is the energy. Time is not: a core that waits for
a slower one has time for its traces. So the time of a layer is that of a run with its traces alone, less that without.
If the last layer of a network is traced, its sums end a step after everything else, a step in which neurons idle: a
row of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurosam_hw.cost.amount import Amount, weakest
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.ledger import Ledger, ledger
from neurosam_hw.cost.sam.state import TraceState
from neurosam_hw.cost.sam.unit import TraceUnit

__all__ = ["LayerPrice", "SamPrice", "known_s", "ledger_of", "longer"]

ZERO = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class LayerPrice:
    """What the traces of one layer cost in an inference.

    Parameters
    ----------
    state : TraceState
    bits : int
        Extra state: traces and sums, and a table on each core that holds neurons of the layer.
    counts : mapping of str to float
        What is added, by the names of terms.py; None for what was not recorded.
    energy : Ledger
        Of these counts.
    latency : Amount, optional
        What an inference takes longer if this layer alone is traced; None if a time is unknown.
    known_s : float
        The same as far as it is known.
    """

    state: TraceState
    bits: int
    counts: Mapping[str, float | None]
    energy: Ledger
    latency: Amount | None
    known_s: float


@dataclass(frozen=True, eq=False)
class SamPrice:
    """What SAM costs in an inference.

    Parameters
    ----------
    unit : TraceUnit
        How the chip holds the traces.
    without, traced : Cost
        The run without and with traces; the mapping of `traced` has the sums of the maps.
    layers : mapping of str to LayerPrice
    longer : Ledger, optional
        What the network costs in the steps by which the run gets longer; None if it does not.
    energy : Ledger
        Of everything that is added.
    counts : mapping of str to float
        Everything that is added.
    """

    unit: TraceUnit
    without: Cost
    traced: Cost
    layers: Mapping[str, LayerPrice]
    longer: Ledger | None
    energy: Ledger
    counts: Mapping[str, float | None]

    @property
    def bits(self) -> int:
        """Extra state of all layers."""
        return sum(layer.bits for layer in self.layers.values())

    @property
    def own_cores(self) -> int:
        """Cores that hold nothing but sums of maps."""
        return self.traced.mapping.cores - self.without.mapping.cores

    @property
    def latency(self) -> Amount | None:
        """What an inference takes longer; None if a time is unknown."""
        return longer(self.without, self.traced)

    @property
    def known_s(self) -> float:
        """What an inference takes longer, as far as it is known."""
        return known_s(self.traced) - known_s(self.without)


def ledger_of(before: Cost, after: Cost) -> tuple[Ledger, dict[str, float | None]]:
    """Energy and counts by which one cost exceeds another of the same run."""
    counts: dict[str, float | None] = {}
    for name, x in after.work.items():
        less = before.work.get(name, ZERO)
        counts[name] = None if x is None or less is None else (int(x.sum()) - int(less.sum())) / after.samples
    return ledger(after.mapping.chip, counts), counts


def longer(before: Cost, after: Cost) -> Amount | None:
    """By how much the latency of one run exceeds that of another, in the range that the figures' bounds allow.

    What both have, the barrier, has no part in the range.
    """
    a, b = before.duration.latency, after.duration.latency
    if a is None or b is None:
        return None
    value, standing = b.value - a.value, weakest(a.standing, b.standing)
    if math.isclose(a.high - a.low, b.high - b.low, rel_tol=1e-9):
        return Amount(value, value, value, "s", standing)
    low, high = sorted((b.low - a.low, b.high - a.high))
    return Amount(value, min(low, value), max(high, value), "s", standing)


def known_s(cost: Cost) -> float:
    """The latency as far as it is known."""
    return float(cost.duration.known.value.sum(axis=0).mean())
