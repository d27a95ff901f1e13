"""What the event back end makes of a network before it runs: each choice is exact, and changes no bit."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.kernels.layout import THRESHOLD
from neurosam.backends.event.plan import compiled, projections
from neurosam.backends.event.plan.compiled import CacheKey, Plan
from neurosam.backends.event.plan.inputs import Input
from neurosam.backends.event.plan.populations import CompiledPopulation, compile_population, is_max_pool
from neurosam.backends.event.plan.projections import CompiledProjection, compile_projection, unpooled
from neurosam.backends.registry import unrolled
from neurosam.network.synapse import as_chw
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical
from support.oracle import simulate

Array = npt.NDArray[Any]
T = TypeVar("T")
PATHS = ("auto", "general", "scatter", "gather", "table")


def execute(
    network: ns.Network, events: ns.Events, path: str = "auto", record: ns.Record | None = None
) -> ns.Recording:
    keep = ns.Record.everything(network) if record is None else record
    return EventBackend(path).run(unrolled(network, events.steps), Inputs.of(network, events), keep, Options(threads=1))


def projection_of(network: ns.Network, dtype: str = "float64") -> CompiledProjection:
    """The first projection, compiled."""
    projection = network.projections[0]
    source, target = network[projection.source], network[projection.target]
    shapes = as_chw(source.shape), as_chw(target.shape)
    return compile_projection(projection, *shapes, spikes=source.neuron is not None, dtype=dtype)


def population_of(network: ns.Network, name: str, record: ns.Record | None = None) -> CompiledPopulation:
    """A population, compiled for a run of three steps that records `record`."""
    made = compile_population(network[name], network.precision, "float64")
    return made.recording(ns.Record() if record is None else record, network.sam.get(name), 3)


def plan_of(network: ns.Network, key: CacheKey) -> Plan:
    """A plan made without the cache."""

    def memo(element: object, key: Hashable, make: Callable[[], T]) -> T:
        return make()

    return Plan(network, key, memo)


def as_the_oracle(network: ns.Network, events: ns.Events) -> ns.Recording:
    """Every path gives what the oracle does; returns it."""
    expected = simulate(network, events)
    for path in PATHS:
        assert_identical(expected, execute(network, events, path), path)
    return expected


def layer(weight: Array, neuron: Any, shape: tuple[int, ...] = (), exponent: int = 0) -> ns.Network:
    """The input, through a convolution with kernels of one pixel, into one population."""
    source = ns.Population("in", shape or (weight.shape[1], 1, 2))
    synapse = ns.Conv2d(weight.astype(np.int8)[:, :, None, None])
    target = ns.Population("a", synapse.output_shape(source.shape), neuron)
    return ns.Network([source, target], [ns.Projection("in", "a", synapse, exponent=exponent)])


def busy(network: ns.Network, steps: int = 3, share: float = 1.0) -> ns.Events:
    rng = np.random.default_rng(0)
    return ns.Events.from_dense((rng.random((steps, 2, *network.input.shape)) < share).astype(np.uint8))


@pytest.mark.parametrize("channels", [3, 40])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_can_lift_a_small_sum_over_the_wrap(sign: int, channels: int) -> None:
    """100 << 6 times 1563 is between 2^23 and 2^24: the current wraps to the other sign, though no sum is large."""
    tables: dict[str, Any] = {"gain": np.array([[sign * 1563], [1]]), "offset_64ths": np.array([[5], [0]])}
    network = layer(np.full((channels, 2), 50), ns.FixedLIF(membrane_decay=0, threshold=131071, **tables))
    expected = as_the_oracle(network, busy(network, 2))
    first = 100 * 64 * 1563 * sign + 5
    assert expected.membrane["a"][0, 0, 0, 0, 0] == first - sign * 2**24


@pytest.mark.parametrize(("inputs", "exponent", "narrow"), [
    (1023, 0, True), (1024, 0, False), (128, 3, False), (127, 3, True), (1024, -1, False), (511, 1, True),
    (512, 1, False),
])  # fmt: skip
def test_currents_that_cannot_wrap_are_known_exactly(inputs: int, exponent: int, narrow: bool) -> None:
    """1024 weights of -128 are -2^17, in membrane units -2^23: the first sum that wraps. A floor is not counted on."""
    network = layer(np.full((33, inputs), -128), ns.FixedLIF(membrane_decay=0, threshold=131071), exponent=exponent)
    conv = projection_of(network).conv
    assert conv is not None
    assert conv.narrow is narrow
    events = busy(network, 1)
    expected = ns.run(network, events, "reference", ns.Record.everything(network))
    for path in PATHS:
        assert_identical(expected, execute(network, events, path), path)
    assert (expected.membrane["a"] > 0).all() == (inputs * 128 * 2.0**exponent == 2**17)


# --- pooling taken into a kernel --------------------------------------------------------------------------------------


def pooled(synapse: Any, pool: ns.SumPool2d, shape: tuple[int, int, int], fixed: bool = True) -> ns.Network:
    target = synapse.output_shape(pool.output_shape(shape))
    neuron = ns.FixedLIF(membrane_decay=500, threshold=200) if fixed else ns.LIF(0.9, 200.0)
    projection = ns.Projection("in", "a", synapse, pool=pool)
    return ns.Network([ns.Population("in", shape), ns.Population("a", target, neuron)], [projection])


def numbers(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).integers(-60, 100, shape).astype(np.int8)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "tiles"),
    [
        ((2, 4, 6), (2, 3), None, 0, True), ((2, 6, 4), (2, 3), None, 0, False), ((2, 4, 6), (3, 2), None, 0, False),
        ((2, 6, 4), (3, 2), None, 0, True), ((2, 5, 6), (2, 3), None, 0, False), ((2, 4, 6), (2, 3), (2, 2), 0, False),
        ((2, 4, 6), (2, 3), (1, 3), 0, False), ((2, 4, 6), (2, 3), None, (0, 1), False),
        ((2, 4, 6), (2, 3), None, (1, 0), False), ((2, 4, 6), 1, None, 0, True),
    ],
)  # fmt: skip
def test_a_pool_whose_windows_tile_the_picture_becomes_part_of_the_kernel(
    shape: tuple[int, int, int], kernel: Any, stride: Any, padding: Any, tiles: bool
) -> None:
    pool = ns.SumPool2d(kernel, stride, padding)
    channels, rows, columns = pool.output_shape(shape)
    dense = ns.Dense(numbers(5, channels * rows * columns))
    conv = ns.Conv2d(numbers(4, channels, 2, 1), (1, 2), (1, 0))
    for synapse in (dense, conv):
        network = pooled(synapse, pool, shape)
        assert (projection_of(network).pool.tolist() == [1, 1, 1, 1, 0, 0]) is tiles or kernel == 1
        assert unpooled(network.projections[0], shape).pool == (None if tiles else pool)
        as_the_oracle(network, busy(network, 4, 0.3))
    for other in (ns.Sparse.from_dense(dense.weight), ns.Conv2d(numbers(4, channels, 2, 1), 1, 1, (1, 2))):
        network = pooled(other, pool, shape)
        assert unpooled(network.projections[0], shape).pool == pool  # neither a matrix of entries nor a dilated kernel
        as_the_oracle(network, busy(network, 4, 0.3))


def test_a_kernel_grows_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    network = pooled(ns.Conv2d(numbers(3, 2, 2, 2)), ns.SumPool2d((2, 3)), (2, 4, 6))
    for limit, taken in ((24 * 6, True), (24 * 6 - 1, False)):
        monkeypatch.setattr(projections, "LARGEST_UNPOOLED", limit)
        assert (unpooled(network.projections[0], (2, 4, 6)).pool is None) is taken


# --- forms of a projection --------------------------------------------------------------------------------------------


def single(synapse: Any, source: tuple[int, ...], pool: ns.SumPool2d | None = None) -> ns.Network:
    """One projection, fixed or float as its weights are."""
    fixed = synapse.weight.dtype == np.int8
    neuron = ns.FixedLIF(membrane_decay=500, threshold=300) if fixed else ns.LIF(0.9, 300.0)
    target = synapse.output_shape(pool.output_shape(source) if pool else source)
    return ns.Network(
        [ns.Population("in", source), ns.Population("a", target, neuron)],
        [ns.Projection("in", "a", synapse, pool=pool)],
    )


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(("targets", "gathers"), [(31, False), (32, True), (65, True)])
def test_rows_of_integers_are_gathered_from_32_targets_on(targets: int, gathers: bool, fixed: bool) -> None:
    weight = numbers(targets, 20)
    for synapse in (
        ns.Dense(weight if fixed else weight * 1.0),
        ns.Sparse.from_dense(weight if fixed else weight * 1.0),
    ):
        network = single(synapse, (20,))
        made = projection_of(network)
        assert made.gathers is (gathers and fixed)
        assert made.pitch == (64 * -(-targets // 64) if made.gathers else targets)
        assert (made.conv is None) is isinstance(synapse, ns.Sparse)
        if made.gathers:
            np.testing.assert_array_equal(
                made.fan_out, np.count_nonzero(weight, axis=0) if made.conv is None else targets
            )
        if fixed:
            as_the_oracle(network, busy(network, 3, 0.4))


def test_only_plain_projections_take_the_fast_path() -> None:
    """No groups, no dilation, no pool that stays; a matrix onto a population without a picture."""
    flat, overlapping = ns.SumPool2d((2, 1)), ns.SumPool2d(2, 1)
    for synapse, source, pool, fast in (
        (ns.Conv2d(numbers(9, 4, 3, 3)), (4, 4, 6), None, True),
        (ns.Conv2d(numbers(9, 4, 3, 3)), (4, 4, 6), overlapping, False),
        (ns.Conv2d(numbers(9, 4, 1, 3)), (4, 4, 6), flat, True),
        (ns.Conv2d(numbers(8, 2, 3, 3), groups=2), (4, 4, 6), None, False),
        (ns.Conv2d(numbers(8, 4, 2, 2), dilation=(2, 1)), (4, 4, 6), None, False),
        (ns.Conv2d(numbers(8, 4, 2, 2), stride=2, padding=1), (4, 4, 6), None, True),
        (ns.Dense(numbers(8, 96)), (4, 4, 6), None, True),
        (ns.Dense(numbers(8, 60)), (4, 4, 6), overlapping, False),
        (ns.Dense(numbers(8, 48)), (4, 4, 6), flat, True),
        (ns.Sparse.from_dense(numbers(8, 96)), (4, 4, 6), None, False),
    ):  # fmt: skip
        network = single(synapse, source, pool)
        assert (projection_of(network).conv is not None) is fast
        as_the_oracle(network, busy(network, 3, 0.3))
    onto = ns.Network(
        [ns.Population("in", (6,)), ns.Population("a", (2, 2, 2), ns.FixedLIF(membrane_decay=500, threshold=90))],
        [ns.Projection("in", "a", ns.Dense(numbers(8, 6)))],
    )
    assert projection_of(onto).conv is None
    as_the_oracle(onto, busy(onto, 3, 0.5))


@pytest.mark.parametrize("share", [0.03, 0.05, 0.5])
def test_a_sparse_matrix_has_whole_rows_from_a_share_on(share: float) -> None:
    """4 % of all synapses; an entry that is 0 is an entry."""
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(rng.permutation(40 * 50).reshape(40, 50) < round(share * 2000))
    indptr = np.searchsorted(rows, np.arange(41))
    synapse = ns.Sparse(indptr, columns, rng.integers(-3, 4, rows.size).astype(np.int8), 50)
    network = single(synapse, (50,))
    made = projection_of(network)
    assert made.gathers is (share >= 0.04)
    assert made.synapses == rows.size
    as_the_oracle(network, busy(network, 3, 0.4))


# --- tables of patterns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [None, "float64", "float32"])
@pytest.mark.parametrize("outputs", [8, 32, 40, 64, 70, 100])
@pytest.mark.parametrize("kernel", [(1, 3), (3, 1), (2, 2), (1, 1)])
def test_tables_hold_the_sum_of_every_pattern_of_a_kernel_row(
    kernel: tuple[int, int], outputs: int, real: str | None
) -> None:
    """By tile of 64 channels (the last of 32 or 64): (row, pattern, channel), bit k of a pattern for source k."""
    weight = numbers(outputs, 2, *kernel)
    synapse = ns.Conv2d(weight if real is None else weight * 0.5)
    network = single(synapse, (2, 4, 5))
    conv = projection_of(network, real or "float64").conv
    assert conv is not None
    assert conv.tables.dtype == np.dtype(real or np.int16)
    sources, at = 2 * kernel[1], 0
    for first in range(0, outputs, 64):
        width = 64 if outputs - first > 32 else 32
        size = kernel[0] * 2**sources * width
        part = conv.tables[at : at + size].reshape(kernel[0], 2**sources, width)
        at += size
        for row in range(kernel[0]):
            taps = synapse.weight[first : first + width, :, row].transpose(2, 1, 0).reshape(sources, -1)
            for pattern in range(2**sources):
                expected = sum((taps[k] for k in range(sources) if pattern >> k & 1), np.zeros(taps.shape[1]))
                np.testing.assert_array_equal(part[row, pattern, : taps.shape[1]], expected)
                assert not part[row, pattern, taps.shape[1] :].any()
    assert at == conv.tables.size


@pytest.mark.parametrize(
    ("channels", "kernel", "outputs", "there"),
    [
        (3, (2, 3), 8, True), (5, (2, 2), 8, False),  # 9 and 10 sources of a kernel row
        (3, (2, 3), 7, False),  # fewer than 8 outputs
        (1, (28, 9), 8, True), (1, (29, 9), 8, False),  # 252 and 261 rows of weights: 16 bits hold 256 at most
    ],
)  # fmt: skip
def test_tables_are_made_where_they_are_small(channels: int, kernel: Any, outputs: int, there: bool) -> None:
    network = single(ns.Conv2d(numbers(outputs, channels, *kernel)), (channels, 30, 10))
    conv = projection_of(network).conv
    assert conv is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "TABLE_BYTES", 2**30)
        assert (projections._tables(numbers(channels * kernel[0] * kernel[1], outputs), kernel[0]).size > 0) is (
            there or outputs == 7
        )
    assert (conv.tables.size > 0) is (there and kernel[0] < 9)
    assert (conv.pairs.size > 0) is (outputs >= 8)


def test_limits_of_tables_and_lists_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    synapse = ns.Conv2d(numbers(40, 2, 2, 3))  # 12 rows; tables of 2 x 2^6 x 64 numbers of 16 bits
    for name, limit in (("TABLE_BYTES", 2 * 64 * 64 * 2), ("MOST_LISTED", 12)):
        for value, there in ((limit, True), (limit - 1, False)):
            with monkeypatch.context() as patch:
                patch.setattr(projections, name, value)
                network = single(synapse, (2, 4, 5))  # a new projection: what was made of another one is kept
                made = projection_of(network)
                assert made.conv is not None
                assert made.tiled
                assert ((made.conv.tables if name == "TABLE_BYTES" else made.conv.pairs).size > 0) is there
                as_the_oracle(network, busy(network, 3, 0.4))
    few = single(ns.Conv2d(numbers(7, 2, 2, 3)), (2, 4, 5))
    assert not projection_of(few).tiled


# --- populations ------------------------------------------------------------------------------------------------------


def pooling(
    weight: Array, neuron: Any, exponent: int = 0, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    pool: ns.SumPool2d | None = None, groups: int = 3,
) -> ns.Network:  # fmt: skip
    """Channels of one weight each over windows, into `neuron`."""
    stride = weight.shape[2:] if stride is None else stride
    synapse = ns.Conv2d(weight, stride, padding, dilation, groups)
    shape = (3, 24, 24)
    target = ns.Population("a", synapse.output_shape(pool.output_shape(shape) if pool else shape), neuron)
    projection = ns.Projection("in", "a", synapse, pool=pool, exponent=exponent)
    return ns.Network([ns.Population("in", shape), target], [projection])


def recognised(network: ns.Network, record: ns.Record | None = None) -> bool:
    return is_max_pool(population_of(network, "a", record), network.projections[0])


def ones(*kernel: int, value: float = 2, outputs: int = 3, per_group: int = 1) -> Array:
    full = np.full((outputs, per_group, *kernel), value)
    return full.astype(np.int8) if isinstance(value, int) else full


FORGETS = ns.FixedLIF(membrane_decay=4096, threshold=1)
FORGETS_REAL = ns.LIF(0.0, 1.0)


@pytest.mark.parametrize(("network", "expected"), [
    (pooling(ones(2, 3), FORGETS), True),
    (pooling(ones(2, 3), FORGETS, stride=1), True),
    (pooling(ones(2, 3), FORGETS, stride=(1, 3)), True),
    (pooling(ones(2, 3), FORGETS, padding=(1, 0)), False),
    (pooling(ones(2, 3), FORGETS, padding=(0, 1)), False),
    (pooling(ones(2, 3), FORGETS, dilation=(1, 2)), False),
    (pooling(ones(2, 3), FORGETS, dilation=(2, 1)), False),
    (pooling(ones(2, 3), FORGETS, pool=ns.SumPool2d(3, 1)), False),
    (pooling(ones(2, 3, per_group=3, outputs=1), FORGETS, groups=1), False),
    (pooling(ones(2, 3, outputs=6), FORGETS, groups=3), False),
    # 127 * 2^7 * 2^6 times 8 is below 2^23, times 9 above: all nine at once wrap to a negative current
    (pooling(ones(2, 4, value=127), FORGETS, exponent=7), True),
    (pooling(ones(3, 3, value=127), FORGETS, exponent=7), False),
    (pooling(ones(1, 1, value=1), FORGETS), False),
    (pooling(ones(1, 1, value=2), FORGETS), True),
    (pooling(ones(1, 1, value=3), FORGETS, exponent=-1), False),  # floors to 1
    (pooling(ones(2, 3), ns.FixedLIF(4096, 1, current_decay=4095)), False),
    (pooling(ones(2, 3), ns.FixedLIF(4096, 1, gain=np.array([[1]]), offset_64ths=np.array([[0]]))), False),
    (pooling(ones(2, 3), ns.FixedLIF(np.array([4096, 4096, 4095]), 1)), False),
    (pooling(ones(2, 3), ns.FixedLIF(4096, np.array([1, 2, 1]))), False),
    (pooling(ones(2, 3), ns.FixedLIF(4096, 1, bias_mantissa=np.array([0, 0, 1]))), False),
    (pooling(ones(2, 3), ns.FixedReadout()), False),
    (pooling(ones(2, 3, value=1.5), FORGETS_REAL), True),
    (pooling(ones(2, 3, value=1.0), FORGETS_REAL), False),
    (pooling(ones(2, 3, value=-1.5), FORGETS_REAL), False),
    (pooling(ones(2, 3, value=1.5), ns.LIF(0.0, 1.0, bias=1e-9)), False),
    (pooling(ones(2, 3, value=1.5), ns.LIF(1e-9, 1.0)), False),
    (pooling(ones(2, 3, value=1.5), ns.Readout()), False),
])  # fmt: skip
def test_an_or_is_recognised_by_its_arithmetic(network: ns.Network, expected: bool) -> None:
    assert recognised(network) is expected
    if network.fixed:
        as_the_oracle_of_spikes(network)


def as_the_oracle_of_spikes(network: ns.Network) -> None:
    """Where nothing but spikes is recorded, so that the short way may be taken; all spikes of some windows at once."""
    x = (np.random.default_rng(0).random((3, 1, *network.input.shape)) < 0.2).astype(np.uint8)
    x[1] = 1
    events = ns.Events.from_dense(x)
    record = ns.Record(spikes=("a",) if network["a"].fires else ())
    expected = ns.run(network, events, "reference", record)
    assert_identical(
        expected, EventBackend().run(unrolled(network, 3), Inputs.of(network, events), record, Options(threads=1))
    )


def test_an_or_of_unequal_weights_is_none() -> None:
    weight = ones(2, 3)
    weight[2, 0, 1, 2] = 3
    assert not recognised(pooling(weight, FORGETS))
    network = pooling(ones(2, 3), FORGETS)
    assert recognised(network)
    assert not recognised(network, ns.Record(membrane=("a",)))  # what is recorded has to be there
    assert recognised(network)


@pytest.mark.parametrize("channels", [1, 63, 64, 65])
def test_parameters_lie_in_tiles_and_spare_channels_never_fire(channels: int) -> None:
    rng = np.random.default_rng(channels)
    fixed = ns.FixedLIF(
        rng.integers(0, 4096, channels), rng.integers(1, 2**17, channels), "subtract", rng.integers(1, 999, channels),
        rng.integers(-99, 99, channels), 3, current_decay=rng.integers(0, 4000, channels),
        lower_bound_64ths=-rng.integers(0, 999, channels),
    )  # fmt: skip
    real = ns.LIF(
        rng.random(channels), rng.random(channels) + 1, "subtract", rng.random(channels) + 1, rng.random(channels),
        rng.random(channels), lower_bound=-rng.random(channels),
    )  # fmt: skip
    assert fixed.current_decay is not None
    assert fixed.reset_amount_64ths is not None
    expected: dict[str, list[Any]] = {
        "fixed": [4096 - fixed.current_decay - 1, 4096 - np.asarray(fixed.membrane_decay), fixed.bias_mantissa * 8,
                  np.asarray(fixed.threshold) * 64, fixed.reset_amount_64ths, fixed.lower_bound_64ths],
        "real": [real.current_leak, real.leak, real.bias, real.threshold, real.reset_amount, real.lower_bound],
    }  # fmt: skip
    for name, neuron, weight in (
        ("fixed", fixed, np.ones((channels, 1), np.int8)),
        ("real", real, np.ones((channels, 1))),
    ):
        network = ns.Network(
            [ns.Population("in", (1,)), ns.Population("a", (channels,), neuron)],
            [ns.Projection("in", "a", ns.Dense(weight))],
        )
        made = population_of(network, "a")
        assert (made.channels, made.pixels, made.words) == (channels, 1, -(-channels // 64))
        tiles = made.rule.parameters
        assert tiles.shape == (-(-channels // 64), 6, 64)
        assert tiles.dtype == (np.int32 if name == "fixed" else np.float64)
        rows = tiles.transpose(1, 0, 2).reshape(6, -1)
        for row, values in zip(rows, expected[name], strict=True):
            np.testing.assert_array_equal(row[:channels], values)
        assert (rows[THRESHOLD, channels:] == 2**31 - 1).all()


# --- input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (1, 2, 2), (70, 1, 2)])
def test_graded_events_are_listed_by_step_and_pixel(shape: tuple[int, ...]) -> None:
    """As they are in the dense array, channels last; steps before the first have none."""
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (5, 3, *shape)) * (rng.random((5, 3, *shape)) < 0.4)
    network = layer(np.ones((1, shape[0])), ns.FixedReadout(), (*shape, 1, 1)[:3]) if len(shape) == 1 else layer(
        np.ones((1, shape[0])), ns.FixedReadout(), shape
    )  # fmt: skip
    network = replace(network, populations=(replace(network.input, magnitude=4), network["a"]))
    x = x.reshape(5, 3, *network.input.shape)
    given = Input(ns.Events.from_dense(x), network.input.shape, np.int32)
    channels, height, width = network.input.shape
    assert (given.graded, given.pixels, given.steps, given.samples) == (True, height * width, 5, 3)
    np.testing.assert_array_equal(given.counts, np.count_nonzero(x, axis=(2, 3, 4)))
    last = x.reshape(5, 3, channels, -1).transpose(0, 1, 3, 2)  # (T, B, pixel, channel)
    for sample in range(3):
        for first, end in ((0, 5), (1, 3), (-2, 2), (3, 5), (2, 2), (-3, -1)):
            start, pixels, index, value, counted = given.block(sample, first, end)
            assert (pixels, counted) == (height * width, True)
            assert start.size == (end - first) * pixels + 1
            for k, t in enumerate(range(first, end)):
                for pixel in range(pixels):
                    part = slice(start[k * pixels + pixel], start[k * pixels + pixel + 1])
                    wanted = last[t, sample, pixel] if 0 <= t < 5 else np.zeros(channels, np.int64)
                    (where,) = np.nonzero(wanted)
                    np.testing.assert_array_equal(index[part], pixel * channels + where)
                    np.testing.assert_array_equal(value[part], wanted[where])


# --- the whole network ------------------------------------------------------------------------------------------------


def key(record: ns.Record, steps: int = 1000, path: str = "auto", graded: bool = False) -> CacheKey:
    return CacheKey(record, steps, path, "float64", frozenset({"in"} if graded else ()), 1)


def test_a_chunk_holds_the_bytes_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit planes of a (2 x 3 pixels of 70 channels) and b, and four bytes for each recorded membrane and map."""
    network = ns.Network(
        [
            ns.Population("in", (1, 2, 3)), ns.Population("a", (70, 2, 3), ns.FixedLIF(membrane_decay=0, threshold=9)),
            ns.Population("b", (5,), ns.FixedLIF(membrane_decay=0, threshold=9)),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(numbers(70, 1, 1, 1))),
            ns.Projection("a", "b", ns.Dense(numbers(5, 420)), delay=3),
        ],
    ).with_sam()  # fmt: skip
    planes = 8 * (2 * 3 * 2 + 1)
    for record, size in (
        (ns.Record(), planes),
        (ns.Record(spikes=("a", "b")), planes),
        (ns.Record(membrane=("a",), sam=("a",)), planes + 4 * (420 + 6)),
    ):
        for budget, steps in ((10 * size, 10), (10 * size - 1, 9), (size - 1, 1), (10**9, 256)):
            monkeypatch.setattr(compiled, "CHUNK_BYTES", budget)
            assert plan_of(network, key(record)).chunk == steps
        assert plan_of(network, key(record, steps=7)).chunk == 7


def test_paths_and_order_of_a_network_with_everything() -> None:
    lif = ns.FixedLIF(membrane_decay=0, threshold=9)
    source = ns.Population("in", (8, 4, 4))
    pool, into_pool = ns.max_pool(ns.Population("z", (9, 4, 4), lif), "pool", 2, fixed=True)
    network = ns.Network(
        [
            source, ns.Population("z", (9, 4, 4), lif), pool, ns.Population("y", (40,), lif),
            ns.Population("x", (40,), lif), ns.Population("w", (6,), lif),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "z", ns.Conv2d(numbers(9, 8, 1, 1))), into_pool,
            ns.Projection("pool", "y", ns.Dense(numbers(40, 36))), ns.Projection("y", "x", ns.Dense(numbers(40, 40))),
            ns.Projection("x", "y", ns.Dense(numbers(40, 40)), delay=2),
            ns.Projection("x", "w", ns.Dense(numbers(6, 40))),
            ns.Projection("in", "w", ns.Dense(numbers(6, 128)), delay=9),
            ns.Projection("w", "out", ns.Dense(numbers(3, 6))),
        ],
        check_alignment=False,  # lags are wanted
    )  # fmt: skip
    made = plan_of(network, key(ns.Record()))
    assert made.paths == {"z": "layer", "pool": "or", "y": "loop", "x": "loop", "w": "general", "out": "layer"}
    assert made.schedule == [
        ("chain", ("z", "pool")), ("loop", ("y", "x")), ("general", ("w",)), ("chain", ("out",)),
    ]  # fmt: skip
    assert (made.inputs, made.answers, made.at_rest, made.fixed) == ({"in": (8, 4, 4)}, {"out": "last"}, None, True)
    assert made.index_of == {name: k for k, name in enumerate(("z", "pool", "y", "x", "w", "out"))}
    lags = {p.label: network.lag(p) for p in network.projections}
    assert {name: {one.label: one.lag for one in some} for name, some in made.incoming.items()} == {
        name: {p.label: lags[p.label] for p in network.incoming(name)} for name in made.populations
    }
    assert made.history == {
        p.name: max([lags[q.label] for q in network.projections if q.source == p.name], default=0)
        for p in network.populations
    }
    assert max(made.history.values()) > 0
    assert set(plan_of(network, key(ns.Record(), path="general")).paths.values()) == {"general"}
    graded = plan_of(network, key(ns.Record(), graded=True)).paths
    assert (graded["z"], graded["pool"], graded["out"]) == ("general", "or", "layer")
    assert [plan_of(network, key(ns.Record(), path=path)).way for path in PATHS] == [0, 0, 1, 2, 3]
    spiking = plan_of(replace(network, outputs="w"), key(ns.Record()))
    assert spiking.answers == {"w": "count"}
    events = busy(network, 9, 0.2)
    record = ns.Record(spikes=("z", "y", "x", "w"))
    expected = ns.run(network, events, "reference", record)
    for path in PATHS:
        assert_identical(
            expected, EventBackend(path).run(network, Inputs.of(network, events), record, Options(threads=1)), path
        )


def test_a_float_cycle_goes_the_general_way_and_a_self_loop_is_a_cycle() -> None:
    for fixed, way in ((True, "loop"), (False, "general")):
        weight = numbers(4, 4) if fixed else numbers(4, 4) * 1.0
        network = ns.Network(
            [
                ns.Population("in", (4,)),
                ns.Population("a", (4,), ns.FixedLIF(membrane_decay=0, threshold=9) if fixed else ns.LIF(0.5, 9.0)),
            ],
            [ns.Projection("in", "a", ns.Dense(weight)), ns.Projection("a", "a", ns.Dense(weight))],
        )
        made = plan_of(network, key(ns.Record()))
        assert (made.paths, made.recurrent) == ({"a": way}, {("a",)})
