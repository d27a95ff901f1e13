"""The price of SAM: a run with traces against the same run without, from one ledger and one model of time.

    price = cost(network with traces) - cost(network without)

The spikes are the same. What is counted is a sum over layers, and so is the energy. Time is not: a core that waits for
a slower one has time for its traces. So the time of a layer is that of a run with its traces alone, less that without.
If the last layer of a network is traced, its sums end a step after everything else, a step in which neurons idle: a
row of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam_hw.cost.amount import Amount, weakest
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.inference import Cost, Meter
from neurosam_hw.cost.ledger import Ledger, ledger
from neurosam_hw.cost.sam.maps import map_names, place_maps
from neurosam_hw.cost.sam.operations import added_work, with_work
from neurosam_hw.cost.sam.state import TraceState, fixed_traces, trace_state
from neurosam_hw.cost.sam.unit import AT_SPIKES, TraceUnit, trace_unit
from neurosam_hw.cost.traffic import traffic
from neurosam_hw.cost.verdict import Verdict, verdict
from neurosam_hw.cost.work import work
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["LayerPrice", "SamMeter", "SamPrice", "sam_price"]

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
        return _longer(self.without, self.traced)

    @property
    def known_s(self) -> float:
        """What an inference takes longer, as far as it is known."""
        return _known_s(self.traced) - _known_s(self.without)


class SamMeter:
    """Sums of a run that comes in batches of samples, with and without traces.

    Parameters
    ----------
    mapping : CoreMapping
        Of the network without sums; they are placed here.
    steps : int, optional
        Steps on the chip to count; until the last population has made all of its own if None.
    layers : iterable of str, optional
        Traced layers to price; all if None.

    Raises
    ------
    NetworkError
        If the network has no integer traces.
    MappingError
        If the chip cannot hold them.
    """

    def __init__(self, mapping: CoreMapping, steps: int | None = None, layers: Iterable[str] | None = None) -> None:
        self.unit = trace_unit(mapping.chip)
        traces = fixed_traces(mapping.network, layers)
        names = map_names(mapping.network, traces)
        at_spikes = self.unit.way == AT_SPIKES
        self.sums: dict[str, str | None] = {layer: names[layer] if at_spikes else None for layer in traces}
        self.network = mapping.network
        self.plain = replace(mapping, network=replace(mapping.network, sam={}))
        self.mapping = place_maps(mapping, tuple(traces)) if at_spikes else mapping
        self.window = steps
        self._caused = traffic(self.plain)
        self.without, self.waiting = Meter(self.plain, steps), Meter(self.mapping, steps)
        self.traced = Meter(self.mapping, steps)
        self.layers = {layer: Meter(self.mapping, steps) for layer in traces}

    def add(self, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        """Add a batch.

        Raises
        ------
        NeurosamError
            If the recording is of another network, or holds no spikes of a population.
        """
        base = work(count(self.plain, recording, events, steps=self.window, caused=self._caused))
        self.without.add_work(base, recording, events)
        steps = self.window or HardwareSchedule.of(self.mapping.network).steps(recording.steps)
        parts = {name: added_work(self.mapping, name, to, recording, steps) for name, to in self.sums.items()}
        meters = {self.waiting: (), self.traced: tuple(parts.values())}
        meters |= {meter: (parts[name],) for name, meter in self.layers.items()}
        for meter, added in meters.items():
            meter.add_work(with_work(base, steps, self.mapping.cores, *added), recording, events)

    def price(self, said: Verdict | None = None, board: str | None = None) -> SamPrice:
        """What SAM costs, from all batches.

        Parameters
        ----------
        said : Verdict, optional
            What every output has to say (:meth:`verdict`).
        board : str, optional
            Name of a board in the chip's file.

        Raises
        ------
        MappingError
            If a score is wider than the chip's messages.
        """
        said = Verdict() if said is None else said
        without, waiting = self.without.cost(said, board), self.waiting.cost(said, board)
        traced = self.traced.cost(said, board)
        layers = {name: self._layer(name, waiting, meter.cost(said)) for name, meter in self.layers.items()}
        longer = None if len(without.step_j) == len(waiting.step_j) else ledger_of(without, waiting)[0]
        energy, counts = ledger_of(without, traced)
        return SamPrice(self.unit, without, traced, layers, longer, energy, counts)

    def _layer(self, name: str, base: Cost, traced: Cost) -> LayerPrice:
        state = trace_state(self.network, name, base.steps)
        allowed = self.unit.payload_bits
        if allowed is not None and state.score_bits > allowed:
            raise MappingError(
                f"SAM: layer {name!r}",
                f"sends scores of {state.score_bits} bit; messages of {self.mapping.chip.name} carry {allowed}. "
                "Use a trace of smaller impulse and shift",
            )
        if self.sums[name] is None:
            bits = state.neurons * (self.unit.bits or state.trace_bits)
        else:
            bits = state.state_bits + state.table_bits * len(self.plain.pieces_of(name))
        energy, counts = ledger_of(base, traced)
        return LayerPrice(state, bits, counts, energy, _longer(base, traced), _known_s(traced) - _known_s(base))


def ledger_of(before: Cost, after: Cost) -> tuple[Ledger, dict[str, float | None]]:
    """Energy and counts by which one cost exceeds another of the same run."""
    counts: dict[str, float | None] = {}
    for name, x in after.work.items():
        less = before.work.get(name, ZERO)
        counts[name] = None if x is None or less is None else (int(x.sum()) - int(less.sum())) / after.samples
    return ledger(after.mapping.chip, counts), counts


def sam_price(
    mapping: CoreMapping,
    recording: Recording,
    events: Events | Mapping[str, Events],
    *,
    layers: Iterable[str] | None = None,
    board: str | None = None,
    steps: int | None = None,
    what_if: bool = False,
) -> SamPrice:
    """What SAM costs in an inference on a chip.

    Parameters
    ----------
    mapping : CoreMapping
        Of a fixed-point network with traces (:meth:`Network.with_sam`), without sums of maps.
    recording : Recording
        With spikes and membranes of all (``Record.everything``).
    events : Events or mapping of str to Events
        The input of the run.
    layers : iterable of str, optional
        Traced layers to price; all if None.
    board, steps, what_if
        See :func:`neurosam_hw.cost.inference.cost`.

    Raises
    ------
    NetworkError
        If the network has no integer traces.
    MappingError
        If the chip cannot hold traces, or the network breaks its rules and `what_if` is not set.
    """
    meter = SamMeter(mapping, steps, layers)
    said = verdict(meter.plain, what_if)
    meter.add(recording, events)
    return meter.price(said, board)


def _longer(before: Cost, after: Cost) -> Amount | None:
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


def _known_s(cost: Cost) -> float:
    """The latency as far as it is known."""
    return float(cost.duration.known.value.sum(axis=0).mean())
