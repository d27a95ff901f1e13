"""The price of SAM: operations against one spike at a time, energies and times written out by hand."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam.network.synapse import as_chw, neurons
from neurosam_hw import chips as shipped
from neurosam_hw.chips import Figure, load_chip
from neurosam_hw.chips.chip import Chip
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.inference import cost
from neurosam_hw.cost.sam import (
    SamMeter,
    TraceState,
    map_names,
    place_maps,
    sam_document,
    sam_price,
    sam_summary,
    sam_tables,
    trace_state,
)
from neurosam_hw.cost.sam.operations import added_work, with_work
from neurosam_hw.cost.work import work
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping import CoreMapping, HardwareSchedule, Piece
from neurosam_hw.resources import use
from support.chip_oracle import depths
from support.mappings import Inputs, hardware_case, mesh_chip, random_mapping
from support.networks import KINDS

FOLDER = Path(shipped.__path__[0])
PAGE = Path(__file__).parents[2] / "docs" / "hardware" / "sam.md"
PJ, NS = 1e-12, 1e-9
TRACE = ns.FixedSamTrace(np.array([8, 5, 3, 2, 1, 0]), 3, 8)
COUNTED = (
    "spikes", "packets", "messages", "hops_east_west", "hops_north_south", "crossings", "deliveries", "neuron_steps",
    "active", "idle", "trace_updates", "trace_reads",
)  # fmt: skip


def chip_with_traces(neurons_per_core: int | None = None) -> Chip:
    """A mesh of which it is known that a unit updates traces, and how many neurons a core holds."""
    chip = mesh_chip()
    figures = {**chip.figures, "numbers.trace_unit": Figure("numbers.trace_unit", True, "boolean", "derived")}
    if neurons_per_core is not None:
        name = "limits.neurons_per_core"
        figures[name] = Figure(name, neurons_per_core, "count", "vendor")
    return replace(chip, figures=figures)


def drawn(seed: int, kind: str) -> tuple[np.random.Generator, ns.Network, Inputs, ns.Recording]:
    """A random network that a chip can hold, every neuron that fires with a trace, and its run."""
    rng = np.random.default_rng(seed)
    while True:
        network, inputs = hardware_case(rng, kind)
        if depths(network) is not None:
            traced = {p.name: TRACE for p in network.populations if p.neuron is not None and p.fires}
            network = replace(network, sam=traced)
            everything = replace(ns.Record.everything(network), sam=())
            return rng, network, inputs, ns.run(network, inputs, "reference", everything)


def states(mapping: CoreMapping, steps: int) -> dict[str, TraceState]:
    return {layer: trace_state(mapping.network, layer, steps) for layer in mapping.network.sam}


def by_hand(mapping: CoreMapping, layer: str, sums: str, recording: ns.Recording) -> dict[str, npt.NDArray[np.int64]]:
    """What the traces of a layer add, one spike at a time."""
    schedule, network = HardwareSchedule.of(mapping.network), mapping.network
    steps, samples = schedule.steps(recording.steps), recording.samples
    found = {name: np.zeros((steps, samples, mapping.cores), np.int64) for name in COUNTED}
    pixels = np.prod(as_chw(network[layer].shape)[1:], dtype=int)
    fired = recording.spikes[layer].dense().reshape(recording.steps, samples, -1)
    arrived = np.zeros((recording.steps + 1, samples, pixels), bool)
    score = ns.from_spikes(recording.spikes[layer], TRACE).reshape(recording.steps, samples, pixels)
    for t, b, n in zip(*np.nonzero(fired), strict=True):
        here, there = int(mapping.core_of(layer)[n]), int(mapping.core_of(sums)[n % pixels])
        at = t + schedule.depths[layer], b
        for name in ("spikes", "packets", "trace_updates"):
            found[name][(*at, here)] += 1
        for name in ("messages", "deliveries"):
            found[name][(*at, there)] += 1
        one, other = mapping.tile(here), mapping.tile(there)
        if one.chip != other.chip:
            found["crossings"][(*at, here)] += 1
        else:
            found["hops_east_west"][(*at, here)] += abs(one.column - other.column)
            found["hops_north_south"][(*at, here)] += abs(one.row - other.row)
        arrived[t, b, n % pixels] = True
    for pixel, core in enumerate(mapping.core_of(sums).tolist()):
        found["neuron_steps"][:, :, core] += 1
        for t in range(recording.steps):
            held = score[t - 1, :, pixel] != 0 if t else False
            active = arrived[t, :, pixel] | held
            found["active"][t + schedule.depths[layer] + 1, :, core] += active
    found["idle"] = found["neuron_steps"] - found["active"]
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_operation_is_that_of_single_spikes(seed: int, kind: str) -> None:
    rng, network, inputs, recording = drawn(seed, kind)
    limit = [None, 6, 40][seed]
    before = random_mapping(rng, network, chip_with_traces(limit))
    after = place_maps(before, states(before, recording.steps))
    names = map_names(network, network.sam)
    steps = HardwareSchedule.of(after.network).steps(recording.steps)
    base = work(count(before, recording, inputs))
    parts = {}
    for layer, sums in names.items():
        parts[layer] = added_work(after, layer, sums, recording, steps)
        expected = by_hand(after, layer, sums, recording)
        for name in COUNTED:
            np.testing.assert_array_equal(parts[layer][name], expected[name], err_msg=f"{layer}: {name}")
    whole = with_work(base, steps, after.cores, *parts.values())
    meter = SamMeter(before, what_if=True)  # random mappings ask no chip
    meter.add(recording, inputs)
    found = meter.price()
    for name, x in whole.items():
        assert x is not None
        np.testing.assert_array_equal(found.traced.work[name], x.sum(axis=1))
    assert found.counts["packets"] == sum(p.count() for p in _fired(recording, names)) / recording.samples


def _fired(recording: ns.Recording, layers: Any) -> list[ns.Spikes]:
    """Spikes of the layers, several in a step as one."""
    return [ns.Spikes(recording.spikes[layer].planes, recording.spikes[layer].shape) for layer in layers]


@pytest.mark.parametrize("seed", range(4))
def test_sums_stand_with_their_neurons_or_on_cores_of_their_own(seed: int) -> None:
    rng, network, _, _ = drawn(seed, "residual")
    limit = 3 + 5 * seed
    before = random_mapping(rng, network, chip_with_traces(limit))
    after = place_maps(before, states(before, 5))
    held = [sum(piece.size for piece in before.pieces_on(core)) for core in range(before.cores)]
    for layer, sums in map_names(network, network.sam).items():
        pixels = neurons(after.network[sums].shape)
        at = np.asarray(before.core_of(layer)).reshape(-1, pixels)
        for pixel, core in enumerate(after.core_of(sums).tolist()):
            assert core in at[:, pixel] or core >= before.cores
            if core >= before.cores:  # because none of the pixel's had room, at the end at least
                full = [sum(piece.size for piece in after.pieces_on(c)) >= limit for c in at[:, pixel].tolist()]
                assert all(full)
    for core in range(after.cores):
        size = sum(piece.size for piece in after.pieces_on(core))
        assert size <= max(limit, held[core] if core < before.cores else 0)
    np.testing.assert_array_equal(after.positions[: before.cores], before.positions)
    assert after.pieces[: len(before.pieces)] == before.pieces


@pytest.mark.parametrize("seed", range(3))
def test_no_sum_makes_a_core_break_a_limit(seed: int) -> None:
    rng, network, _, recording = drawn(seed, "chain")
    limits = {"limits.axons_in_per_core": 25, "limits.synapses_per_core": 60}
    made = {name: Figure(name, value, "count", "vendor") for name, value in limits.items()}
    chip = chip_with_traces()
    before = random_mapping(rng, network, replace(chip, figures={**chip.figures, **made}))
    after = place_maps(before, states(before, recording.steps))
    alone = use(before)
    for core, used in enumerate(use(after)):
        sums = sum(piece.size for piece in after.pieces_on(core) if piece.population.endswith(".map"))
        for name, value in limits.items():
            what = name.removeprefix("limits.").removesuffix("_per_core")
            least = getattr(alone[core], what) if core < before.cores else 0
            assert getattr(used, what) <= max(value, least) or (core >= before.cores and sums == 1), (core, what)


def test_traces_without_room_are_refused_or_labelled() -> None:
    net, mapping = small(), placed("example")
    core = use(mapping)[0].memory_bits
    memory = Figure("limits.memory_per_core", core + 4 * (5 + 2) + 2 * 3 - 1, "bit", "vendor")  # one bit too few
    mapping = replace(mapping, chip=replace(mapping.chip, figures={**mapping.chip.figures, memory.name: memory}))
    with pytest.raises(MappingError, match=f"core 0: memory_bits {core + 34} of {core + 33}. Without --map"):
        sam_price(mapping, run(net), events())
    found = sam_price(mapping, run(net), events(), what_if=True)
    assert found.own_cores == 1  # the sum does not go where nothing is left
    assert not found.without.label
    assert all("what if: no room for traces" in table.heading for table in sam_tables(found))
    assert f"{core + 34}" in sam_document(found)["label"]


def test_a_core_of_its_own_stands_next_to_the_cores_that_send_to_it() -> None:
    net = small()
    chip = replace(load_chip(FOLDER / "example.toml"))
    full = replace(
        chip,
        figures={**chip.figures, "limits.neurons_per_core": Figure("limits.neurons_per_core", 4, "count", "vendor")},
    )
    pieces = Piece("a", 0, neurons=np.arange(4)), Piece("out", 1, neurons=np.arange(2))
    before = CoreMapping(net, full, pieces, np.array([[0, 3], [0, 0]]))
    after = place_maps(before, states(before, 5))
    # of a 2 x 2 mesh, core 3 is in the corner; 1 and 2 are its neighbours
    assert after.core_of("a.map").tolist() == [2]
    assert after.positions.tolist() == [[0, 3], [0, 0], [0, 1]]


def small(layer: str = "a") -> ns.Network:
    """Two inputs make two of four neurons each fire; two readouts."""
    weight = np.array([[9, 0], [9, 0], [0, 9], [0, 9]], np.int8)
    return ns.Network(
        [
            ns.Population("in", (2,)),
            ns.Population("a", (4,), ns.FixedLIF(membrane_decay=0, threshold=1, reset="zero")),
            ns.Population("out", (2,), ns.FixedReadout()),
        ],
        [ns.Projection("in", "a", ns.Dense(weight)), ns.Projection("a", "out", ns.Dense(np.ones((2, 4), np.int8)))],
        sam={"a": TRACE},
    )


def placed(chip: str, net: ns.Network | None = None) -> CoreMapping:
    """All neurons on core 0, the readouts on core 1."""
    pieces = Piece("a", 0, neurons=np.arange(4)), Piece("out", 1, neurons=np.arange(2))
    return CoreMapping(net or small(), load_chip(FOLDER / f"{chip}.toml"), pieces)


def events() -> ns.Events:
    """Two of the four neurons fire in step 0, all of them in step 2."""
    x = np.zeros((3, 1, 2))
    x[0, 0, 0] = x[2, 0] = 1
    return ns.Events.from_dense(x)


def run(net: ns.Network) -> ns.Recording:
    return ns.run(net, events(), "reference", replace(ns.Record.everything(net), sam=()))


def test_bits_operations_and_energy_on_the_example_by_hand() -> None:
    found = sam_price(placed("example"), run(small()), events())
    # a trace: 8, 8 * 3 // 8 + 8 = 11, ... three steps: 8, 13, 16: 5 bits; stamps 0..2: 2 bits; K[1], K[2] = 5, 3
    layer = found.layers["a"]
    assert (layer.state.trace_bits, layer.state.stamp_bits, layer.state.table_entries) == (5, 2, 2)
    assert layer.state.sum_bits == (4 * 8).bit_length()  # scores 0, 5, 8: the third spike in a row
    assert layer.bits == found.bits == 4 * (5 + 2) + 6 + 2 * 3
    assert found.own_cores == 0
    # six spikes; the sum is active where something arrives (2 steps), and where it held something before (none)
    assert {name: found.counts[name] for name in ("packets", "deliveries", "trace_updates", "active")} == {
        "packets": 6, "deliveries": 6, "trace_updates": 6, "active": 2,
    }  # fmt: skip
    assert found.counts["neuron_steps"] == 3 + 2  # one sum, in every step of the chip
    assert found.counts["hops"] == 0
    assert found.energy.by_cause["traces"].value == pytest.approx(6 * 6 * PJ)  # type: ignore[union-attr]
    assert found.energy.by_cause["synapses"].value == pytest.approx(6 * 10 * PJ)  # type: ignore[union-attr]
    assert found.energy.by_cause["neurons"].value == pytest.approx((2 * 50 + 3 * 20) * PJ)  # type: ignore[union-attr]


def test_energy_and_time_on_the_simulated_machine_by_hand() -> None:
    found = sam_price(placed("sanafe-loihi"), run(small()), events())
    energy = 6 * (21.6 + 69.3 + 111.0 + 0.0 + 35.5) + 5 * 51.2 + 2 * 21.6
    assert found.energy.total is not None
    assert found.energy.total.value == pytest.approx(energy * PJ)
    assert found.energy.total.standing == "derived"
    before, after = found.without.total, found.traced.total
    assert before is not None
    assert after is not None
    assert after.value - before.value == pytest.approx(energy * PJ)
    assert (before.standing, after.standing) == ("fitted", "derived")
    # Core 0 is the slowest. In steps 0 and 2 it waits for events from outside (16 + 4 * 3.8 each), and the sum hides.
    score = 30.0 + 5.1 + 3.7
    extra = (6.0 + 2 * score) + (6.0 + 4 * score) + (6.0 + 3.7)  # steps 1, 3, 4
    assert found.latency is not None
    assert found.latency.value == pytest.approx(extra * NS)
    assert (found.latency.low, found.latency.high) == (found.latency.value, found.latency.value)


def test_traces_in_every_step_by_hand() -> None:
    net = small()
    found = sam_price(placed("loihi1"), run(net), events())
    assert (found.unit.way, found.bits, found.own_cores) == ("each step", 4 * 7, 0)
    assert found.counts["trace_updates"] == 4 * 5  # four neurons, five steps on the chip
    assert found.counts["trace_reads"] == 6
    assert all(not value for name, value in found.counts.items() if not name.startswith("trace_"))
    assert found.energy.total is None
    assert found.energy.missing == {"traces": ("energy.trace_read",)}
    assert found.energy.known.value == pytest.approx(4 * 5 * 81 * PJ)
    assert found.energy.known.standing == "derived"
    assert found.latency is None
    # Step 2 waits for 8 synaptic operations of 3.5 ns; its four idle neurons would take 4 * 5.3.
    assert found.known_s == pytest.approx((5 * 4 * 8.4 - (8 * 3.5 - 4 * 5.3)) * NS)
    assert found.without.total is not None


def test_the_run_without_is_that_of_a_network_without_traces() -> None:
    net = small()
    recording = run(net)
    found = sam_price(placed("sanafe-loihi"), recording, events())
    plain = cost(placed("sanafe-loihi", replace(net, sam={})), recording, events())
    assert found.without.total == plain.total
    assert str(found.without.duration.latency) == str(plain.duration.latency)
    assert "trace_updates" not in plain.counts
    assert [line.cause for line in plain.energy.lines].count("traces") == 0


def test_layers_add_up_to_the_whole_and_batches_to_one() -> None:
    rng, network, inputs, recording = drawn(1, "residual")
    chip = load_chip(FOLDER / "sanafe-loihi.toml")
    before = random_mapping(rng, network, chip)
    whole, halves = SamMeter(before, what_if=True), SamMeter(before, what_if=True)
    whole.add(recording, inputs)
    for first in range(recording.samples):
        part = {name: some.select(first, first + 1) for name, some in inputs.items()}
        halves.add(recording.select(first, first + 1), part)
    price, other = whole.price(), halves.price()
    assert price.counts == other.counts
    parts = [layer.energy for layer in price.layers.values()] + ([price.longer] if price.longer else [])
    assert sum(part.known.value for part in parts) == pytest.approx(price.energy.known.value)
    assert price.traced.energy.known.value - price.without.energy.known.value == pytest.approx(price.energy.known.value)
    assert price.latency is None or price.latency.value >= 0


def test_a_traced_last_layer_makes_the_run_a_step_longer() -> None:
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (2,), ns.FixedLIF(membrane_decay=0, threshold=1, reset="zero"))],
        [ns.Projection("in", "a", ns.Dense(np.eye(2, dtype=np.int8) * 9))],
        sam={"a": TRACE},
    )
    mapping = CoreMapping(net, load_chip(FOLDER / "sanafe-loihi.toml"), (Piece("a", 0, neurons=np.arange(2)),))
    found = sam_price(mapping, run(net), events())
    assert (len(found.without.step_j), len(found.traced.step_j)) == (4, 5)
    assert found.longer is not None
    assert found.longer.known.value == pytest.approx(2 * 51.2 * PJ)  # two neurons, idle
    assert "longer run" in [row[0] for row in sam_tables(found)[1].rows]


def test_a_window_of_steps_is_cut_for_both_runs() -> None:
    found = sam_price(placed("sanafe-loihi"), run(small()), events(), steps=2)
    assert (len(found.without.step_j), len(found.traced.step_j)) == (2, 2)
    assert found.counts["packets"] == 2  # the second volley comes later


def test_a_message_that_is_too_narrow_is_refused() -> None:
    net = replace(small(), sam={"a": ns.FixedSamTrace(np.array([65536, 65535, 0]), 16, 65536)})
    mapping = placed("example", net)
    narrow = Figure("numbers.payload_bits", 8, "bit", "vendor")
    chip = replace(mapping.chip, figures={**mapping.chip.figures, "numbers.payload_bits": narrow})
    with pytest.raises(MappingError, match="no room for the traces: layer 'a': a score of 17 bit in a message of 8"):
        sam_price(replace(mapping, chip=chip), run(net), events())


def test_chips_and_networks_that_have_no_price_are_refused() -> None:
    with pytest.raises(MappingError, match="chip 'truenorth': holds no SAM trace"):
        SamMeter(placed("truenorth"))
    with pytest.raises(NetworkError, match="the network has no traces"):
        SamMeter(placed("example", replace(small(), sam={})))
    with pytest.raises(NetworkError, match="layer 'out': has no trace"):
        SamMeter(placed("example"), layers=("out",))


def test_a_network_that_breaks_a_rule_is_refused_or_labelled() -> None:
    net = small()
    neuron = ns.FixedLIF(membrane_decay=0, threshold=1, reset="subtract")
    populations = [replace(p, neuron=neuron) if p.name == "a" else p for p in net.populations]
    net = replace(net, populations=populations)
    with pytest.raises(MappingError, match="reset"):
        sam_price(placed("loihi1", net), run(net), events())
    found = sam_price(placed("loihi1", net), run(net), events(), what_if=True)
    assert all("what if" in table.heading for table in sam_tables(found))


def test_names_of_sums_are_new_and_short_enough() -> None:
    long = "x" * 64
    net = ns.Network(
        [
            ns.Population("in", (1,)),
            ns.Population("a.map", (1,), ns.FixedLIF(0, 1)),
            ns.Population("a", (1,), ns.FixedLIF(0, 1)),
            ns.Population(long, (1,), ns.FixedLIF(0, 1)),
        ],
        [
            ns.Projection("in", "a.map", ns.Dense(np.ones((1, 1), np.int8))),
            ns.Projection("a.map", "a", ns.Dense(np.ones((1, 1), np.int8))),
            ns.Projection("a", long, ns.Dense(np.ones((1, 1), np.int8))),
        ],
    )
    assert map_names(net, ("a", "a.map", long)) == {"a": "a.map2", "a.map": "a.map.map", long: "x" * 60 + ".map"}


def test_tables_and_json_hold_the_numbers() -> None:
    found = sam_price(placed("sanafe-loihi"), run(small()), events())
    state, operations = sam_tables(found)
    assert state.rows[0][:6] == ("a", 4, 5, 2, 1, 6)
    assert [row[0] for row in operations.rows] == ["a", "in all"]
    assert tuple(operations.columns[:4]) == ("layer", "trace updates", "messages", "synaptic operations")
    document = json.loads(json.dumps(sam_document(found), allow_nan=False))
    assert found.energy.total is not None
    assert document["energy"]["total"]["value"] == found.energy.total.value
    assert document["by_layer"]["a"]["state"]["trace_bits"] == 5
    assert document["energy_with"]["value"] - document["energy_without"]["value"] == pytest.approx(
        found.energy.total.value
    )
    words = {what: value for what, value, _ in sam_summary(found)}
    assert words["SAM, extra state"] == f"{found.bits} bit"
    unknown = sam_price(placed("loihi2"), run(small()), events())
    words = {what: value for what, value, _ in sam_summary(unknown)}
    assert words["SAM, energy of an inference"] == words["SAM, time of an inference"] == "unknown"
    words = {what: value for what, value, _ in sam_summary(sam_price(placed("loihi1"), run(small()), events()))}
    assert "SAM, traces as the network has them" not in words  # 5 bits and an impulse of 8 fit Loihi's traces
    assert words["SAM, energy of an inference"] == "1.62 nJ, and what is unknown"
    assert json.loads(json.dumps(sam_document(unknown), allow_nan=False))["energy"]["total"] is None
    assert sam_tables(unknown)[1].columns[-1] == "sums updated"  # neither energies nor times


def test_the_page_does_what_it_says() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried) == (0, 13)
