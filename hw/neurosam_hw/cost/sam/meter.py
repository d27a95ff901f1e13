"""Runs with and without traces, batch by batch, and what SAM costs from them (price.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from neurosam.errors import ArgumentError
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.inference import Cost, Meter
from neurosam_hw.cost.sam.maps import map_names
from neurosam_hw.cost.sam.operations import added_work, with_work
from neurosam_hw.cost.sam.place import place_maps
from neurosam_hw.cost.sam.price import LayerPrice, SamPrice, known_s, ledger_of, longer
from neurosam_hw.cost.sam.room import no_room
from neurosam_hw.cost.sam.state import fixed_traces, trace_state
from neurosam_hw.cost.sam.unit import AT_SPIKES, trace_unit
from neurosam_hw.cost.traffic import traffic
from neurosam_hw.cost.verdict import SHOWN, Verdict, verdict
from neurosam_hw.cost.work import Work, work
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["SamMeter", "sam_price"]


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
    what_if : bool
        Go on, and label the result, if the network breaks rules of the chip or the traces have no room.

    Raises
    ------
    NetworkError
        If the network has no integer traces.
    MappingError
        If the chip cannot hold them, or the network breaks its rules and `what_if` is not set.
    """

    def __init__(
        self,
        mapping: CoreMapping,
        steps: int | None = None,
        layers: Iterable[str] | None = None,
        what_if: bool = False,
    ) -> None:
        self.unit = trace_unit(mapping.chip)
        self.mapping, self.window, self.what_if = mapping, steps, what_if
        self.plain = replace(mapping, network=replace(mapping.network, sam={}))
        self.layers = tuple(fixed_traces(mapping.network, layers))
        self.said = verdict(self.plain, what_if)
        self.without = Meter(self.plain, steps)
        self._caused = traffic(self.plain)
        self._traced: _Traced | None = None

    def add(self, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        """Add a batch.

        Raises
        ------
        NeurosamError
            If the recording is of another network, or holds no spikes of a population.
        MappingError
            If the traces have no room on their cores, or no message holds their scores, and `what_if` is not set.
        """
        if self._traced is None:
            self._traced = _Traced(self, recording.steps)
        base = work(count(self.plain, recording, events, steps=self.window, caused=self._caused))
        self.without.add_work(base, recording, events)
        self._traced.add(base, recording, events)

    def price(self, board: str | None = None) -> SamPrice:
        """What SAM costs, from all batches.

        Parameters
        ----------
        board : str, optional
            Name of a board in the chip's file, for rows of the run without traces.
        """
        if self._traced is None:
            raise ArgumentError("price of SAM", "no run has been added")
        return self._traced.price(self.without.cost(self.said, board))


class _Traced:
    """The runs with traces: all layers, each layer alone, and none (but as many steps).

    Parameters
    ----------
    meter : SamMeter
    own_steps : int
        T.
    """

    def __init__(self, meter: SamMeter, own_steps: int) -> None:
        mapping, layers = meter.mapping, meter.layers
        names = map_names(mapping.network, layers)
        at_spikes = meter.unit.way == AT_SPIKES
        self.unit, self.window = meter.unit, meter.window
        self.states = {layer: trace_state(mapping.network, layer, own_steps) for layer in layers}
        self.sums: dict[str, str | None] = {layer: names[layer] if at_spikes else None for layer in layers}
        self.mapping = place_maps(mapping, self.states) if at_spikes else mapping
        self.said = self._verdict(meter) if at_spikes else meter.said
        self.none, self.all = Meter(self.mapping, self.window), Meter(self.mapping, self.window)
        self.each = {layer: Meter(self.mapping, self.window) for layer in layers}

    def _verdict(self, meter: SamMeter) -> Verdict:
        """What is to be said with every price; refuses what has no room."""
        broken = [
            f"core {core}: {item.what} {item.used:,} of {item.allowed:,}"
            for core, items in no_room(meter.plain, self.mapping, self.states).items()
            for item in items
        ]
        allowed = self.unit.payload_bits
        broken += [
            f"layer {name!r}: a score of {state.score_bits} bit in a message of {allowed}"
            for name, state in self.states.items()
            if allowed is not None and state.score_bits > allowed
        ]
        if not broken:
            return meter.said
        told = "; ".join(broken[:SHOWN]) + (f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else "")
        if not meter.what_if:
            raise MappingError(
                f"chip {self.mapping.chip.name!r}",
                f"has no room for the traces: {told}. Without --map (or with extra=trace_room(...)), a "
                "mapping keeps memory for them; a smaller shift and impulse need less. --what-if computes the price "
                "all the same",
            )
        label = "; ".join(filter(None, (meter.said.label, f"what if: no room for traces ({told})")))
        mark = "; ".join(filter(None, (meter.said.mark, "what if: no room for traces")))
        return replace(meter.said, label=label, mark=mark)

    def add(self, base: Work, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        """Add a batch of which the work without traces is known."""
        steps = self.window or HardwareSchedule.of(self.mapping.network).steps(recording.steps)
        parts = {name: added_work(self.mapping, name, to, recording, steps) for name, to in self.sums.items()}
        runs: list[tuple[Meter, tuple[Work, ...]]] = [(self.none, ()), (self.all, tuple(parts.values()))]
        for meter, added in (*runs, *((self.each[name], (part,)) for name, part in parts.items())):
            meter.add_work(with_work(base, steps, self.mapping.cores, *added), recording, events)

    def price(self, without: Cost) -> SamPrice:
        """The differences."""
        none, traced = self.none.cost(self.said), self.all.cost(self.said)
        layers = {name: self._layer(name, none, meter.cost(self.said)) for name, meter in self.each.items()}
        extended = None if len(without.step_j) == len(none.step_j) else ledger_of(without, none)[0]
        energy, counts = ledger_of(without, traced)
        return SamPrice(self.unit, without, traced, layers, extended, energy, counts)

    def _layer(self, name: str, base: Cost, traced: Cost) -> LayerPrice:
        state = self.states[name]
        if self.sums[name] is None:
            bits = state.neurons * (self.unit.bits or state.trace_bits)
        else:
            cores = {piece.core for piece in self.mapping.pieces_of(name)}
            bits = state.state_bits + state.table_bits * len(cores)
        energy, counts = ledger_of(base, traced)
        return LayerPrice(state, bits, counts, energy, longer(base, traced), known_s(traced) - known_s(base))


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
        If the chip cannot hold traces; if the network breaks its rules, or the traces have no room, and `what_if` is
        not set.
    """
    meter = SamMeter(mapping, steps, layers, what_if)
    meter.add(recording, events)
    return meter.price(board)
