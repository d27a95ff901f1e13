"""Times of steps equal the sum written out: slowest core and barrier, fixed steps, cycles; ranges and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, Figure, load_chip
from neurosam_hw.cost.duration import CYCLES, FIXED, Duration, Span, duration, join, of_cycles
from neurosam_hw.mapping import CoreMapping, Piece

FOLDER = Path(shipped.__path__[0])
NS = 1e-9
NAMES = (
    "deliveries", "deliveries_dense", "deliveries_sparse", "deliveries_convolution", "neuron_steps", "active", "idle",
    "spikes", "packets", "messages", "in_tile",
)  # fmt: skip
WORK: dict[str, list[list[int]]] = {  # two steps, one sample, two cores
    "deliveries": [[30, 4], [0, 900]], "deliveries_dense": [[20, 0], [0, 500]], "deliveries_sparse": [[7, 4], [0, 0]],
    "deliveries_convolution": [[3, 0], [0, 400]], "neuron_steps": [[10, 6], [10, 6]], "active": [[2, 1], [10, 6]],
    "idle": [[8, 5], [0, 0]], "spikes": [[1, 0], [9, 0]], "packets": [[2, 0], [18, 0]], "messages": [[1, 1], [0, 18]],
    "in_tile": [[2, 0], [18, 0]],
}  # fmt: skip


def chip(name: str, **changes: Figure) -> Chip:
    found = load_chip(FOLDER / f"{name}.toml")
    return replace(found, figures={**found.figures, **{figure.name: figure for figure in changes.values()}})


def mapping(chip: Chip, cores: tuple[int, ...] = (0, 1), chips: tuple[int, ...] = (0, 0)) -> CoreMapping:
    network = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (len(cores),), ns.FixedLIF(410, 100))],
        [ns.Projection("in", "a", ns.Dense(np.ones((len(cores), 2), np.int8)))],
    )
    pieces = tuple(Piece("a", k, neurons=np.array([k])) for k in range(len(cores)))
    return CoreMapping(network, chip, pieces, np.array([chips, cores]).T)


def work(**changes: None) -> dict[str, npt.NDArray[np.int64] | None]:
    return {name: np.array(rows)[:, None] for name, rows in WORK.items()} | changes


def test_sanafe_loihi_is_its_simple_model() -> None:
    took = duration(mapping(chip("sanafe-loihi")), 2, work())
    sent = [10 * 6.0 + 2 * 3.7 + 1 * 30.0 + 2 * 5.1, 6 * 6.0 + 1 * 3.7]
    received = [1 * 16.0 + 20 * 3.8 + 7 * 4.7 + 3 * 3.1, 1 * 16.0 + 4 * 4.7]
    first = max(*sent, *received) + 600.0  # one tile
    sent = [10 * 6.0 + 10 * 3.7 + 9 * 30.0 + 18 * 5.1, 6 * 6.0 + 6 * 3.7]
    received = [0.0, 18 * 16.0 + 500 * 3.8 + 400 * 3.1]
    second = max(*sent, *received) + 600.0
    assert took.step is not None
    np.testing.assert_allclose(took.step.value[:, 0], [first * NS, second * NS], rtol=1e-12)
    assert took.latency is not None
    assert took.latency.value == pytest.approx((first + second) * NS)
    assert (took.latency.low, took.latency.high) == (took.latency.value, took.latency.value)
    assert (took.latency.standing, took.missing) == ("fitted", ())


def test_loihi1s_synapses_are_a_maximum() -> None:
    took = duration(mapping(chip("loihi1")), 2, work())
    sent = 2 * 8.4 + 8 * 5.3 + 2 * 2.1, 10 * 8.4 + 18 * 2.1
    first = max(sent[0], 30 * 3.5) + 113.0
    second = max(sent[1], 900 * 3.5) + 113.0
    assert took.latency is not None
    assert took.latency.value == took.latency.high == pytest.approx((first + second) * NS)
    assert took.latency.low == pytest.approx((sum(sent) + 2 * 113.0) * NS)  # neurons and the barrier are none
    assert took.latency.standing == "pre-silicon"


def test_the_barrier_is_a_table_by_tiles() -> None:
    none = {name: np.zeros((1, 1, 2), np.int64) for name in NAMES}
    for cores, value, high in (((0, 1), 600, 600), ((0, 4), 1000, 1000)):  # four cores a tile
        took = duration(mapping(chip("sanafe-loihi"), cores), 1, none).latency
        assert took is not None
        assert (took.value, took.high) == pytest.approx((value * NS, high * NS))
    tiles = duration(mapping(chip("sanafe-loihi"), (0, 4, 8), (0, 0, 0)), 1, none).latency
    assert tiles is not None
    assert (tiles.value, tiles.low, tiles.high) == pytest.approx((1000 * NS, 1000 * NS, 1400 * NS))
    two = duration(mapping(chip("loihi1"), (0, 4)), 1, none).latency
    assert two is not None
    assert (two.value, two.high) == pytest.approx((113 * NS, 465 * NS))


def test_several_chips_have_no_known_barrier() -> None:
    took = duration(mapping(chip("loihi1"), (0, 0), (0, 1)), 2, work())
    assert (took.step, took.latency, took.throughput) == (None, None, None)
    assert took.missing == ("sync.barrier between 2 chips",)
    assert took.known.value[1, 0] == pytest.approx(900 * 3.5 * NS)


def test_what_a_chip_lacks_is_named() -> None:
    took = duration(mapping(chip("loihi2")), 2, work())
    assert took.latency is None
    assert "time.synaptic_operation" in took.missing
    assert "sync.barrier" in took.missing
    unseen = duration(mapping(chip("loihi1")), 2, work(active=None, idle=None))
    assert unseen.missing[0] == "the count 'active' (record the membranes)"


def test_a_minimum_opens_the_range_only_where_it_is_needed() -> None:
    bounded = Figure("time.synaptic_operation", 3.5, "ns", "measured", "per-term", "minimum")
    took = duration(mapping(chip("loihi1", synapse=bounded)), 2, work())
    assert took.step is not None
    assert math.isinf(took.step.high[0, 0])
    quiet = {name: np.zeros((1, 1, 2), np.int64) for name in NAMES}
    still = duration(mapping(chip("loihi1", synapse=bounded)), 1, quiet).latency
    assert still is not None
    assert still.high == pytest.approx(113 * NS)


def test_a_fixed_step_takes_that_whatever_happens() -> None:
    took = duration(mapping(chip("truenorth")), 2, work())
    assert (took.method, took.missing) == (FIXED, ("time.step",))
    step = Figure("time.step", 1.0, "ms", "vendor", "all-in")
    took = duration(mapping(chip("truenorth", step=step)), 2, work())
    assert took.latency is not None
    assert (took.latency.value, took.latency.standing) == (2e-3, "vendor")


def test_cycles_need_a_clock() -> None:
    cycles = np.array([[100.0, 200.0], [300.0, 0.0]])
    took = of_cycles(chip("xylo-a2"), 2, cycles, "vendor")
    assert (took.method, took.missing, took.latency) == (CYCLES, ("time.clock",), None)
    clock = Figure("time.clock", 50.0, "MHz", "vendor")
    took = of_cycles(chip("xylo-a2", clock=clock), 2, cycles, "vendor")
    assert took.latency is not None
    assert took.slowest is not None
    assert took.latency.value == pytest.approx(300 / 50e6)
    assert took.slowest.value == pytest.approx(400 / 50e6)


def test_rates_follow_from_the_steps() -> None:
    length = np.array([[1e-6, 1e-6], [2e-6, 4e-6], [3e-6, 1e-6]])  # three steps on the chip, two of its own
    took = Duration(FIXED, 2, Span(length, length / 2, length), "fitted")
    latency, throughput, pipelined, longest = took.latency, took.throughput, took.pipelined, took.longest_step
    assert latency is not None
    assert throughput is not None
    assert pipelined is not None
    assert longest is not None
    assert (latency.value, latency.low) == pytest.approx((6e-6, 3e-6))
    assert (throughput.value, throughput.high) == pytest.approx((1 / 6e-6, 1 / 3e-6))
    assert pipelined.value == pytest.approx(1 / 4e-6)
    assert longest.value == 4e-6


def test_batches_join_to_one_run() -> None:
    both = {name: np.repeat(np.array(rows)[:, None], 2, axis=1) for name, rows in WORK.items()}
    whole = duration(mapping(chip("loihi1")), 2, both)
    parts = join([duration(mapping(chip("loihi1")), 2, work())] * 2)
    np.testing.assert_array_equal(whole.known.value, parts.known.value)
    np.testing.assert_array_equal(whole.known.high, parts.known.high)
