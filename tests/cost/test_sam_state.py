"""Bits of SAM traces: against every spike train that a run can have, and which chips hold them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam_hw.errors import MappingError

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.chips.chip import Chip
from neurosam_hw.cost.sam import fixed_traces, trace_state, trace_unit

CHIPS = Path(shipped.__path__[0])


def chip_of(name: str) -> Chip:
    return load_chip(CHIPS / f"{name}.toml")


def network(trace: ns.FixedSamTrace | ns.SamTrace, max_spikes: int = 1, channels: int = 3) -> ns.Network:
    """A traced layer of `channels` x 2 x 2."""
    neuron = ns.FixedLIF(410, 64, max_spikes=max_spikes)
    return ns.Network(
        [ns.Population("in", (1, 3, 3)), ns.Population("conv", (channels, 2, 2), neuron)],
        [ns.Projection("in", "conv", ns.Conv2d(np.ones((channels, 1, 2, 2), np.int8)))],
        sam={"conv": trace} if isinstance(trace, ns.FixedSamTrace) else {},
    )


def follow(trace: ns.FixedSamTrace, train: tuple[int, ...]) -> dict[str, int]:
    """The largest trace, score, entry read and product of one neuron's spike train, by the rule written out."""
    x, last, count = 0, 0, 0
    most = dict.fromkeys(("trace", "score", "product", "reads"), 0)
    for t, s in enumerate(train):
        if not s:
            continue
        count += 1
        dt = t - last
        reads = [] if count == 1 else [min(dt, trace.table.size - 1)]
        decayed = (x * int(trace.table[min(dt, trace.table.size - 1)])) >> trace.shift
        waiting, silent = 0, (t + 1 - count) * trace.impulse
        if trace.mode == "official":
            reads.append(min(t, trace.table.size - 1))
            waiting = (silent * int(trace.table[reads[-1]])) >> trace.shift
            most["product"] = max(most["product"], silent * int(trace.table[reads[-1]]))
        most["product"] = max(most["product"], x * int(trace.table[min(dt, trace.table.size - 1)]))
        x = decayed + s * trace.impulse
        score = s * (decayed if trace.mode == "strict" else x + waiting)
        most = {**most, "trace": max(most["trace"], x), "score": max(most["score"], score)}
        most["reads"] = max([most["reads"], *(int(trace.table[at]) for at in reads)])
        last = t
    return most


@pytest.mark.parametrize("mode", ["strict", "inclusive", "official"])
@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize(
    ("table", "shift", "impulse"), [([8, 5, 3, 2, 1, 0], 3, 8), ([4, 4, 4, 4, 4, 4, 4, 0], 2, 3), ([16, 2, 0], 4, 16)]
)
def test_widths_hold_for_every_spike_train(mode: str, most: int, table: list[int], shift: int, impulse: int) -> None:
    trace, steps, channels = ns.FixedSamTrace(np.array(table), shift, impulse, mode), 6, 3
    found = trace_state(network(trace, most, channels), "conv", steps)
    trains = [follow(trace, train) for train in itertools.product(range(most + 1), repeat=steps)]
    largest = {key: max(train[key] for train in trains) for key in trains[0]}
    assert found.trace_bits == largest["trace"].bit_length()
    assert found.entry_bits >= largest["reads"].bit_length()
    assert found.product_bits >= largest["product"].bit_length()
    if mode == "official":  # two bounds that are not reached by the same train
        assert found.score_bits >= largest["score"].bit_length()
        assert found.sum_bits >= (channels * largest["score"]).bit_length()
    else:
        assert found.score_bits == largest["score"].bit_length()
        assert found.sum_bits == (channels * largest["score"]).bit_length()


def test_the_largest_score_of_the_official_mode_is_bounded_by_what_is_built_into_the_trace() -> None:
    trace = ns.FixedSamTrace(np.array([8, 5, 3, 2, 1, 0]), 3, 8, "official")
    assert trace_state(network(trace), "conv", 6).score_bits == trace.largest(6).bit_length()


@pytest.mark.parametrize(
    ("mode", "steps", "stamp", "count", "entries"),
    [
        ("strict", 1, 0, 0, 0),
        ("strict", 2, 1, 0, 1),  # steps 0 and 1: one bit; K[1]
        ("strict", 8, 3, 0, 4),  # steps 0..7; K[1..4], of which the last is 0
        ("strict", 9, 4, 0, 4),
        ("official", 8, 3, 4, 5),  # K[0] is read in step 0; up to 8 spikes
        ("official", 3, 2, 2, 3),
    ],
)
def test_stamps_counts_and_entries(mode: str, steps: int, stamp: int, count: int, entries: int) -> None:
    trace = ns.FixedSamTrace(np.array([8, 4, 2, 1, 0]), 3, 8, mode)
    found = trace_state(network(trace), "conv", steps)
    assert (found.stamp_bits, found.count_bits, found.table_entries) == (stamp, count, entries)


def test_bits_by_hand() -> None:
    trace = ns.FixedSamTrace(np.array([8, 4, 2, 1, 0]), 3, 8)
    found = trace_state(network(trace), "conv", 10)
    # X rises 8, 12, 14, 15; scores 0, 4, 6, 7; 3 channels: 21; K[1..4] = 4, 2, 1, 0
    assert (found.trace_bits, found.stamp_bits, found.score_bits, found.sum_bits) == (4, 4, 3, 5)
    assert (found.neurons, found.pixels, found.table_entries, found.entry_bits) == (12, 4, 4, 3)
    assert found.product_bits == (15 * 4).bit_length()
    assert (found.neuron_bits, found.table_bits) == (8, 12)
    assert found.state_bits == 12 * 8 + 4 * 5


def test_a_layer_without_an_integer_trace_is_refused() -> None:
    trace = ns.FixedSamTrace(np.array([8, 4, 0]), 3, 8)
    net = network(trace)
    with pytest.raises(NetworkError, match="layer 'in': has no trace; layers with one: conv"):
        trace_state(net, "in", 10)
    with pytest.raises(NetworkError, match="no traces"):
        fixed_traces(network(ns.SamTrace()))
    floating = ns.Network(
        [ns.Population("in", (2,)), ns.Population("fc", (2,), ns.LIF(0.9, 1.0))],
        [ns.Projection("in", "fc", ns.Dense(np.eye(2)))],
    ).with_sam()
    with pytest.raises(NetworkError, match="'fc': has a float trace"):
        fixed_traces(floating)


def test_a_run_whose_map_exceeds_24_bits_is_refused() -> None:
    trace = ns.FixedSamTrace(np.array([2, 2, 2, 2, 2, 2, 2, 0]), 1, 1 << 16)
    with pytest.raises(NetworkError, match="must stay below 2\\^23"):
        trace_state(network(trace), "conv", 100)


@pytest.mark.parametrize(
    ("chip", "way", "bits"),
    [
        ("example", "at spikes", None),
        ("loihi2", "at spikes", None),
        ("spinnaker2", "at spikes", None),
        ("sanafe-loihi", "at spikes", None),
        ("loihi1", "each step", 7),
    ],
)
def test_chips_that_hold_traces(chip: str, way: str, bits: int | None) -> None:
    found = trace_unit(chip_of(chip))
    assert (found.way, found.bits) == (way, bits)


def test_the_simulated_machine_says_that_its_unit_is_assumed() -> None:
    assert "assumed" in trace_unit(chip_of("sanafe-loihi")).note


@pytest.mark.parametrize(
    ("chip", "reason"),
    [
        ("truenorth", "it has no graded spikes; no source says that it has neurons that run a program"),
        ("darwin3", "no source says that it has graded spikes"),
        ("xylo-a2", "no source says that it has neurons that run a program"),
        ("odin", "no source says"),
        ("speck", "no source says"),
    ],
)
def test_other_chips_are_refused_with_the_reason(chip: str, reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        trace_unit(chip_of(chip))
