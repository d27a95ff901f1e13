"""What an inference costs: a network of three neurons whose every count, joule and second is written out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam.errors import ArgumentError, NeurosamError
from neurosam_hw import chips as shipped
from neurosam_hw.chips import Figure, load_chip
from neurosam_hw.cost.inference import Meter, cost
from neurosam_hw.cost.verdict import Verdict
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping import CoreMapping, Piece

FOLDER = Path(shipped.__path__[0])
PJ, NS = 1e-12, 1e-9
STEPS = 2


def network(reset: str = "zero") -> ns.Network:
    """Input 0 makes neuron 0 fire; neuron 1 gets a weight of 0; the readout is on another core."""
    return ns.Network(
        [
            ns.Population("in", (2,)),
            ns.Population("a", (2,), ns.FixedLIF(membrane_decay=0, threshold=1, reset=reset)),
            ns.Population("out", (1,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Dense(np.array([[2, 0], [0, 2]], np.int8))),
            ns.Projection("a", "out", ns.Dense(np.array([[5, 5]], np.int8))),
        ],
    )


def mapping(chip: str, net: ns.Network | None = None, **changes: Figure) -> CoreMapping:
    """Neurons on core 0, the readout on core 4: the next tile to the north on Loihi."""
    found = load_chip(FOLDER / f"{chip}.toml")
    found = replace(found, figures={**found.figures, **{figure.name: figure for figure in changes.values()}})
    pieces = Piece("a", 0, neurons=np.arange(2)), Piece("out", 1, neurons=np.arange(1))
    return CoreMapping(net or network(), found, pieces, np.array([[0, 0], [0, 4]]))


def events() -> ns.Events:
    """One event in the first sample, nothing in the second."""
    x = np.zeros((STEPS, 2, 2))
    x[0, 0, 0] = 1
    return ns.Events.from_dense(x)


def run(net: ns.Network | None = None) -> ns.Recording:
    net = net or network()
    return ns.run(net, events(), "reference", ns.Record.everything(net))


def test_sanafe_loihi_by_hand() -> None:
    found = cost(mapping("sanafe-loihi"), run(), events())
    # Four steps on the chip: the neurons run one step behind the input, the readout two.
    first = 3 * 35.5 + 12 * 51.2 + 4 * 21.6 + 1 * 69.3 + 1 * 111.0 + 1 * 4.2
    silent = 12 * 51.2
    np.testing.assert_allclose(found.sample_j, [first * PJ, silent * PJ], rtol=1e-12)
    assert found.total is not None
    assert found.total.value == pytest.approx((first + silent) / 2 * PJ)
    assert (found.total.standing, found.energy.missing, found.label) == ("fitted", {}, "")
    lengths = [16.0 + 2 * 3.8, 2 * 6.0 + 2 * 3.7 + 30.0 + 5.1, 2 * 6.0, 2 * 6.0]
    step = found.duration.step
    assert step is not None
    np.testing.assert_allclose(step.value[:, 0], [(x + 1000.0) * NS for x in lengths], rtol=1e-12)  # two tiles
    np.testing.assert_allclose(step.value[:, 1], 4 * [(2 * 6.0 + 1000.0) * NS], rtol=1e-12)
    latency = found.duration.latency
    assert latency is not None
    assert found.power is not None
    assert found.power.value == pytest.approx(found.total.value / latency.value)


def test_loihi1_by_hand() -> None:
    found = cost(mapping("loihi1"), run(), events())
    first = 3 * 23.6 + 4 * 81.0 + 8 * 52.0 + 1 * 1.7 + 1 * 4.0
    silent = 12 * 52.0
    assert found.total is not None
    assert found.total.value == found.total.low == pytest.approx((first + silent) / 2 * PJ)
    assert found.total.standing == "pre-silicon"


def test_energy_by_core_by_step_and_by_layer() -> None:
    found = cost(mapping("loihi1"), run(), events())
    a = 2 * 23.6 + 2 * 81.0 + 6 * 52.0 + 1.7 + 4.0 + 8 * 52.0
    out = 1 * 23.6 + 2 * 81.0 + 2 * 52.0 + 4 * 52.0
    np.testing.assert_allclose(found.core_j, [a / 2 * PJ, out / 2 * PJ], rtol=1e-12)
    assert found.layer_j == pytest.approx({"a": a / 2 * PJ, "out": out / 2 * PJ})
    idle = 3 * 52.0
    steps = [
        2 * 23.6 + idle,  # the event arrives
        1 * 23.6 + 2 * 81.0 + 52.0 + 1.7 + 4.0,  # neuron 0 fires
        81.0 + 2 * 52.0,  # the readout gets it
        81.0 + 2 * 52.0,  # and holds it
    ]
    np.testing.assert_allclose(found.step_j, [(x + idle) / 2 * PJ for x in steps], rtol=1e-12)
    assert found.by_layer("deliveries") == {"a": 1.0, "out": 0.5}
    assert (found.counts["spikes"], found.counts["packets"], found.counts["injected"]) == (0.5, 0.5, 0.5)


def test_a_window_of_steps() -> None:
    found = cost(mapping("sanafe-loihi"), run(), events(), steps=1)
    assert found.sample_j[0] == pytest.approx((2 * 35.5 + 3 * 51.2) * PJ)
    assert len(found.step_j) == 1


def test_batches_are_one_run() -> None:
    whole = cost(mapping("loihi1"), run(), events())
    meter = Meter(mapping("loihi1"))
    for sample in range(2):
        meter.add(run().select(sample, sample + 1), events().select(sample, sample + 1))
    parts = meter.cost(Verdict())
    assert parts.energy == whole.energy
    np.testing.assert_array_equal(parts.sample_j, whole.sample_j)
    np.testing.assert_array_equal(parts.duration.known.value, whole.duration.known.value)
    assert parts.duration.busy_s == pytest.approx(whole.duration.busy_s)


def test_without_membranes_a_total_is_refused_where_it_needs_them() -> None:
    recording = ns.run(network(), events(), "reference", ns.Record(spikes=("a",)))
    found = cost(mapping("loihi1"), recording, events())
    assert (found.total, found.duration.latency) == (None, None)
    assert "the count 'active' (record the membranes)" in found.energy.refusal
    assert found.energy.known.value == pytest.approx((3 * 23.6 + 1.7 + 4.0) / 2 * PJ)


def test_board_rows_stand_apart() -> None:
    found = cost(mapping("loihi1"), run(), events(), board="frady2020")
    latency = found.duration.latency
    assert latency is not None
    rows = {row.figure.name.rpartition(".")[2]: row for row in found.board_rows}
    assert rows["idle_per_chip"].times == 32  # chips that are not in use are powered too
    energy = rows["idle_per_chip"].energy
    assert energy is not None
    assert energy.value == pytest.approx(32 * 0.104 * latency.value)
    assert energy.low == pytest.approx(32 * 0.104 * latency.low)
    assert energy.standing == "derived"  # 3.34 W by 32
    assert rows["host"].energy is None
    assert found.total == cost(mapping("loihi1"), run(), events()).total
    with pytest.raises(ArgumentError, match=r"board 'frady': is not in the file of loihi1; did you mean 'frady2020'"):
        cost(mapping("loihi1"), run(), events(), board="frady")


def test_a_board_needs_enough_chips() -> None:
    far = CoreMapping(network(), mapping("loihi1").chip, mapping("loihi1").pieces, np.array([[0, 0], [40, 0]]))
    with pytest.raises(ArgumentError, match="board 'frady2020': has 32 chips; the mapping takes 41"):
        cost(far, run(), events(), board="frady2020")


def test_several_chips_have_no_total_but_known_parts() -> None:
    far = CoreMapping(network(), mapping("loihi1").chip, mapping("loihi1").pieces, np.array([[0, 0], [1, 0]]))
    found = cost(far, run(), events())
    assert found.energy.missing == {"crossings": ("energy.hop_between_chips",)}
    assert found.duration.missing == ("sync.barrier between 2 chips",)
    assert found.energy.known.value > 0


def test_xylo_counts_cycles() -> None:
    clock = Figure("time.clock", 50.0, "MHz", "vendor")
    chip = load_chip(FOLDER / "xylo-a2.toml")
    chip = replace(chip, figures={**chip.figures, clock.name: clock})
    net = network("subtract")
    pieces = tuple(Piece(name, 0, neurons=np.arange(size)) for name, size in (("a", 2), ("out", 1)))
    found = cost(CoreMapping(net, chip, pieces), run(net), events(), what_if=True)
    still = 2 * 1 + 2 * (3 + 19) + 1 * 12  # two channels, two hidden neurons, one output
    fired = int(run(net).counts["a"].sum())
    assert found.duration.cycles is not None
    assert found.duration.cycles.sum(axis=0).tolist() == [4 * still + 3.5 * 2 + fired * (1 + 8 + 3), 4 * still]
    assert found.duration.latency is not None
    assert found.duration.latency.value == pytest.approx(found.duration.cycles.sum() / 2 / 50e6)
    assert found.total is None


def test_a_network_that_breaks_rules_is_refused_or_labelled() -> None:
    net = network("subtract")
    with pytest.raises(MappingError, match=r"chip 'loihi1': does not take this network: reset \(a\).*--what-if"):
        cost(mapping("loihi1", net), run(net), events())
    found = cost(mapping("loihi1", net), run(net), events(), what_if=True)
    assert found.label == "what if: breaks rules reset (a)"
    assert found.total is not None


def test_a_mapping_that_breaks_rules_is_refused_or_labelled() -> None:
    few = Figure("limits.neurons_per_core", 1, "count", "vendor")
    with pytest.raises(MappingError, match=r"core_neurons \(a, core 0\): got 2; allowed is 1"):
        cost(mapping("loihi1", neurons=few), run(), events())
    found = cost(mapping("loihi1", neurons=few), run(), events(), what_if=True)
    assert found.label == "what if: breaks rules core_neurons (a)"


def test_a_recording_of_another_network_is_refused() -> None:
    other = ns.Network(
        [ns.Population("in", (2,)), ns.Population("b", (1,), ns.FixedReadout())],
        [ns.Projection("in", "b", ns.Dense(np.ones((1, 2), np.int8)))],
    )
    recording = ns.run(other, events(), "reference", ns.Record.everything(other))
    with pytest.raises(NeurosamError, match="is of another network"):
        cost(mapping("loihi1"), recording, events())
