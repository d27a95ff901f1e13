"""Networks: what is refused and with which message, when populations start, and in which order they are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam.network.schedule import earliest
from support.networks import KINDS, cases, random_case
from support.states import global_onsets


def ints(*shape: int, value: int = 1) -> np.ndarray[Any, Any]:
    return np.full(shape, value, dtype=np.int8)


def lif(name: str, size: int = 1, onset: int | None = None, **parameters: Any) -> ns.Population:
    return ns.Population(name, (size,), ns.FixedLIF(**{"membrane_decay": 0, "threshold": 1, **parameters}), onset=onset)


def dense(source: str, target: str, delay: int = 1, size: tuple[int, int] = (1, 1), value: int = 1) -> ns.Projection:
    return ns.Projection(source, target, ns.Dense(ints(*size, value=value)), delay=delay)


def build(populations: Sequence[ns.Population], projections: Sequence[ns.Projection], **options: Any) -> ns.Network:
    return ns.Network(tuple(populations), tuple(projections), **options, check_alignment=False)  # lags are wanted


IN = ns.Population("in", (1,))


def graph(*edges: tuple[str, str, int], onset: dict[str, int] | None = None) -> ns.Network:
    """Single-neuron populations named by their edges (source, target, delay)."""
    names = dict.fromkeys(name for source, target, _ in edges for name in (source, target) if name != "in")
    return build([IN, *(lif(name, onset=(onset or {}).get(name)) for name in names)], [dense(*edge) for edge in edges])


# --- time ---


@pytest.mark.parametrize(
    ("network", "onsets", "lags"),
    [
        (graph(("in", "a", 1), ("a", "b", 1)), [0, 1, 2], [0, 0]),
        (graph(("in", "a", 0), ("a", "b", 3)), [0, 0, 3], [0, 0]),
        (graph(("in", "a", 1), ("a", "b", 1), ("in", "b", 1)), [0, 1, 1], [0, 1, 0]),  # a residual path waits
        (graph(("in", "a", 1), ("a", "b", 1), ("b", "a", 1), ("b", "b", 2)), [0, 1, 2], [0, 0, 2, 2]),
        (graph(("in", "a", 1), ("a", "b", 1), onset={"a": 0, "b": 0}), [0, 0, 0], [1, 1]),
        (graph(("in", "a", 5), ("a", "b", 1), onset={"a": 2}), [0, 2, 3], [3, 0]),
        # an explicit onset may come before anything arrives, and populations behind it start from there
        (
            graph(("in", "x", 3), ("x", "a", 1), ("a", "r", 1), ("in", "r", 2), onset={"a": 0}),
            [0, 3, 0, 1],
            [0, 4, 0, 1],
        ),
        (graph(("in", "b", 9), ("in", "a", 1), ("a", "b", 1)), [0, 2, 1], [7, 0, 0]),
    ],
)
def test_onsets_and_lags(network: ns.Network, onsets: list[int], lags: list[int]) -> None:
    assert [network.onsets[p.name] for p in network.populations] == onsets
    assert [network.lag(p) for p in network.projections] == lags


def test_the_inputs_own_onset_moves_everything() -> None:
    network = build([replace(IN, onset=4), lif("a")], [dense("in", "a")])
    assert network.onsets == {"in": 4, "a": 5}


@given(case=cases())
def test_onsets_are_the_oracles(case: tuple[ns.Network, ns.Events]) -> None:
    network, _ = case
    assert network.onsets == global_onsets(network)
    assert min(network.lag(p) for p in network.projections) >= 0


def test_groups_are_cycles_in_topological_order() -> None:
    network = graph(
        ("in", "a", 1), ("a", "b", 1), ("b", "c", 1), ("c", "b", 1), ("c", "d", 0), ("d", "d", 1), ("d", "e", 1),
    )  # fmt: skip
    assert network.groups == (("in",), ("a",), ("b", "c"), ("d",), ("e",))


def test_members_of_a_group_are_ordered_along_lag_0() -> None:
    """Within a step, c receives from b and b from a; they are declared in another order."""
    network = graph(("in", "c", 1), ("in", "b", 1), ("in", "a", 1), ("b", "c", 0), ("a", "b", 0), ("c", "a", 1))
    assert network.groups == (("in",), ("a", "b", "c"))


@given(case=cases())
def test_groups_hold_every_population_once_and_sources_first(case: tuple[ns.Network, ns.Events]) -> None:
    network, _ = case
    place = {name: (g, k) for g, group in enumerate(network.groups) for k, name in enumerate(group)}
    assert set(place) == {p.name for p in network.populations}
    assert sum(map(len, network.groups)) == len(network.populations)
    for p in network.projections:
        assert place[p.source][0] <= place[p.target][0]
        if network.lag(p) == 0:
            assert place[p.source] < place[p.target]


# --- what is refused ---

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a name twice": (lambda: build([IN, lif("a"), lif("a")], [dense("in", "a")]), "population 'a': appears twice"),
    "no input": (lambda: build([lif("a")], []), "has no input population"),
    "two inputs": (
        lambda: build([IN, replace(IN, name="in2"), lif("a")], [dense("in", "a")]),
        "in2'.*sends to no population; connect or remove it",
    ),
    "input alone": (lambda: build([IN], []), "no population but the input"),
    "input as output": (lambda: build([IN, lif("a")], [dense("in", "a")], outputs="in"), "output 'in': is an input"),
    "unknown output": (
        lambda: build([IN, lif("a")], [dense("in", "a")], outputs="b"), "'b': is not in the network; it has in, a",
    ),
    "unknown source": (lambda: build([IN, lif("a")], [dense("x", "a")]), "'x': is not in the network"),
    "unknown target": (lambda: build([IN, lif("a")], [dense("in", "x")]), "'x': is not in the network"),
    "into the input": (lambda: graph(("in", "a", 1), ("a", "in", 1)), "projection a->in: leads into the input"),
    "from a readout": (
        lambda: build([IN, ns.Population("r", (1,), ns.FixedReadout()), lif("a")], [dense("in", "r"), dense("r", "a")]),
        "projection r->a: starts at the readout",
    ),
    "too few inputs": (
        lambda: build([IN, lif("a")], [dense("in", "a", size=(1, 3))]),
        "projection in->a: Dense: weight: has 3 inputs; the source has 1 neurons",
    ),
    "another shape": (
        lambda: build([IN, lif("a", 2)], [dense("in", "a", size=(3, 1))]),
        r"delivers shape \(3,\); the target 'a' has \(2,\)",
    ),
    "unreachable": (lambda: build([IN, lif("a"), lif("b")], [dense("in", "a")]), "'b': cannot be reached"),
    "cycle without delay": (
        lambda: graph(("in", "a", 1), ("a", "b", 0), ("b", "a", 0)),
        "the cycle .* has no delay; give one .* delay >= 1",
    ),
    "self without delay": (lambda: graph(("in", "a", 1), ("a", "a", 0)), "the cycle a -> a has no delay"),
    "late onset": (
        lambda: graph(("in", "a", 1), onset={"a": 2}), "'a': starts at step 2, but in->a can deliver at step 1",
    ),
    "negative onset": (lambda: lif("a", onset=-1), "onset: got -1"),
    "negative delay": (lambda: dense("in", "a", delay=-1), "projection in->a: delay: got -1"),
    "fractional delay": (lambda: dense("in", "a", delay=1.0), "an integer in 0..65536 is required"),  # type: ignore[arg-type]
    "exponent": (lambda: replace(dense("in", "a"), exponent=8), "exponent: got 8; allowed is -8..7"),
    "float neuron in a fixed network": (
        lambda: build([IN, lif("a"), ns.Population("b", (1,), ns.LIF(0.5, 1.0))], [dense("in", "a"), dense("a", "b")]),
        "'b': has a LIF in a fixed-point network; do not mix",
    ),
    "fixed weights in a float network": (
        lambda: build([IN, ns.Population("a", (1,), ns.LIF(0.5, 1.0))], [dense("in", "a")]),
        "has int8 weights in a float network; give them a float dtype",
    ),
    "float weights in a fixed network": (
        lambda: build([IN, lif("a")], [ns.Projection("in", "a", ns.Dense(np.ones((1, 1))))]),
        "has float64 weights in a fixed-point network; integer mantissas are required",
    ),
    "exponent in a float network": (
        lambda: build(
            [IN, ns.Population("a", (1,), ns.LIF(0.5, 1.0))],
            [ns.Projection("in", "a", ns.Dense(np.ones((1, 1))), exponent=1)],
        ),
        "has an exponent; it belongs to a fixed-point network",
    ),
    "precision of a float network": (
        lambda: build([IN, ns.Population("a", (1,), ns.Readout())], [dense("in", "a")], precision=ns.Precision.lava()),
        "has a Readout in a fixed-point network",
    ),
    "weights too wide": (
        lambda: build([IN, lif("a")], [dense("in", "a", value=16)], precision=ns.Precision.lava(5)),
        r"in->a: weight: got values in 16..16; allowed is -16..15",
    ),
    "membrane decay beyond the precision": (
        lambda: build([IN, lif("a", membrane_decay=-1)], [dense("in", "a")]),
        r"membrane_decay: got .* allowed is 0..4096",
    ),
    "current decay beyond the precision": (
        lambda: build([IN, lif("a", current_decay=-1)], [dense("in", "a")], precision=ns.Precision.nxsdk()),
        r"current_decay: got .* allowed is 0..4096",
    ),
    "current decay that is no factor": (
        lambda: build([IN, lif("a", current_decay=4096)], [dense("in", "a")]),
        r"current_decay: got .* allowed is -1..4095",
    ),
    "trace on a readout": (
        lambda: build(
            [IN, ns.Population("r", (1,), ns.FixedReadout())], [dense("in", "r")], sam={"r": ns.SamTrace().quantise(1)},
        ),
        "sam 'r': is not a spiking population",
    ),
    "trace on the input": (
        lambda: build([IN, lif("a")], [dense("in", "a")], sam={"in": ns.SamTrace().quantise(1)}),
        "sam 'in': is not a spiking population",
    ),
    "trace of another kind": (
        lambda: build([IN, lif("a")], [dense("in", "a")], sam={"a": ns.SamTrace()}),
        "sam 'a': got SamTrace; this network needs FixedSamTrace",
    ),
    "trace of nobody": (
        lambda: build([IN, lif("a")], [dense("in", "a")], sam={"x": ns.SamTrace().quantise(1)}),
        "'x': is not in the network",
    ),
    "accumulator": (
        lambda: build(
            [ns.Population("in", (3,), magnitude=2**23 - 1), lif("a")], [dense("in", "a", size=(1, 3), value=-128)],
        ),
        r"projection in->a: can add up to 3221225088 per step; 32 bits hold 2147483647",
    ),
    "empty name": (lambda: ns.Population("", (1,)), "got name ''"),
    "name with a slash": (lambda: ns.Population("a/b", (1,)), "got name 'a/b'"),
    "name of dots": (lambda: ns.Population("..", (1,)), "got name '..'"),
    "long name": (lambda: ns.Population("x" * 65, (1,)), "at most|1..64"),
    "flat picture": (lambda: ns.Population("a", (2, 2)), r"\(C, H, W\) or \(N,\) is required"),
    "no neurons": (lambda: ns.Population("a", (0,)), "shape: got 0"),
    "too many neurons": (lambda: ns.Population("a", (2**11, 2**11, 2**11)), "got 8589934592 neurons"),
    "fractional shape": (lambda: ns.Population("a", (1.5,)), "an integer"),  # type: ignore[arg-type]
    "magnitude 0": (lambda: ns.Population("in", (1,), magnitude=0), "magnitude: got 0"),
    "magnitude of a neuron": (lambda: replace(lif("a"), magnitude=2), "magnitude 2; it belongs to the input"),
    "parameters of other channels": (
        lambda: lif("a", 2, threshold=np.array([1, 2, 3])), "'a': threshold: got 3 values for 2 channels",
    ),
    "unknown population": (lambda: graph(("in", "a", 1))["b"], "'b': is not in the network; it has in, a"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_networks_are_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message):
        make()


NEURONS: dict[str, tuple[Callable[[], object], str]] = {
    "leak above 1": (lambda: ns.LIF(1.01, 1.0), r"LIF: leak: got .* \[0, 1\]"),
    "leak below 0": (lambda: ns.LIF(-0.1, 1.0), "LIF: leak"),
    "leak NaN": (lambda: ns.LIF(float("nan"), 1.0), "LIF: leak: got 1 value.* NaN"),
    "threshold 0": (lambda: ns.LIF(0.5, 0.0), "LIF: threshold: .* above 0"),
    "threshold infinite": (lambda: ns.LIF(0.5, float("inf")), "LIF: threshold: got 1 value"),
    "threshold text": (lambda: ns.LIF(0.5, "high"), "an array of numbers is required"),  # type: ignore[arg-type]
    "threshold table": (lambda: ns.LIF(0.5, np.ones((2, 2))), "0 or 1 or 3 dimension"),
    "reset": (lambda: ns.LIF(0.5, 1.0, reset="soft"), "allowed is 'zero' or 'subtract'"),
    "amount 0": (lambda: ns.LIF(0.5, 1.0, reset_amount=0.0), "reset_amount: .* above 0"),
    "amount of a zero reset": (lambda: ns.LIF(0.5, 1.0, "zero", 1.0), 'given with reset="zero"'),
    "current leak": (lambda: ns.LIF(0.5, 1.0, current_leak=2.0), "current_leak"),
    "bias NaN": (lambda: ns.Readout(np.array([0.0, np.nan])), "Readout: bias: got 1 value"),
    "gain alone": (lambda: ns.LIF(0.5, 1.0, gain=np.ones((2, 1))), "gain and offset come together"),
    "tables of two lengths": (
        lambda: ns.LIF(0.5, 1.0, gain=np.ones((2, 1)), offset=np.ones((3, 1))), "got 2 and 3 steps",
    ),
    "empty tables": (lambda: ns.LIF(0.5, 1.0, gain=np.ones((0, 1)), offset=np.ones((0, 1))), "got 0 and 0 steps"),
    "fixed threshold 0": (lambda: ns.FixedLIF(0, 0), r"threshold: got .* allowed is 1..131071"),
    "fixed threshold 2^17": (lambda: ns.FixedLIF(0, 2**17), "threshold"),
    "fixed threshold real": (lambda: ns.FixedLIF(0, 1.0), "got dtype float64; integers in 1..131071"),  # type: ignore[arg-type]
    "fixed decay": (lambda: ns.FixedLIF(4097, 1), "membrane_decay: got .* -1..4096"),
    "fixed amount": (lambda: ns.FixedLIF(0, 1, reset_amount_64ths=2**23), "reset_amount_64ths: got .* 1..8388607"),
    "fixed amount of a zero reset": (lambda: ns.FixedLIF(0, 1, "zero", 1), 'given with reset="zero"'),
    "bias mantissa": (lambda: ns.FixedLIF(0, 1, bias_mantissa=4096), "bias_mantissa: got .* -4096..4095"),
    "bias exponent": (lambda: ns.FixedReadout(0, 8), "bias_exponent: got 8; allowed is 0..7"),
    "fixed gain": (
        lambda: ns.FixedLIF(0, 1, gain=np.array([[2**15]]), offset_64ths=np.array([[0]])), "gain: got .* -32768..32767",
    ),
    "gain shift": (lambda: ns.FixedLIF(0, 1, gain_shift=31), "gain_shift: got 31"),
    "boolean": (lambda: ns.FixedLIF(0, 1, gain_shift=True), "got True; an integer"),
    "weight NaN": (lambda: ns.Dense(np.array([[np.nan]])), "Dense: weight: got 1 value"),
    "weight 128": (lambda: ns.Dense(np.array([[2**15]])), "allowed is -32768..32767"),
    "weight of 3 dimensions": (lambda: ns.Dense(np.ones((1, 1, 1))), "2 dimension"),
    "groups": (lambda: ns.Conv2d(np.ones((3, 1, 1, 1)), groups=2), "O must be a multiple of groups"),
    "stride 0": (lambda: ns.Conv2d(np.ones((1, 1, 1, 1)), stride=0), "stride: got 0"),
    "stride of three": (lambda: ns.Conv2d(np.ones((1, 1, 1, 1)), stride=(1, 1, 1)), r"pair \(height, width\)"),  # type: ignore[arg-type]
    "pool padding": (lambda: ns.SumPool2d(2, padding=2), "must be smaller than the kernel"),
    "sparse rows": (lambda: ns.Sparse(np.array([0, 2]), np.array([0]), np.ones(1), 1), "allowed is 0..1"),
    "sparse repeats": (lambda: ns.Sparse(np.array([0, 2]), np.array([0, 0]), np.ones(2), 1), "has source 0 twice"),
    "sparse shape": (lambda: ns.Sparse(np.array([0, 1]), np.array([0]), np.ones(1), 1, shape=(1.7,)), "got 1.7"),  # type: ignore[arg-type]
    "picture without channels": (lambda: ns.Population("a", (28, 28)), r"a picture of one channel is \(1, 28, 28\)"),
    "sparse sizes": (lambda: ns.Sparse(np.array([0, 1]), np.array([0]), np.ones(2), 1), "got 2 weights for 1 indices"),
}  # fmt: skip


@pytest.mark.parametrize("case", NEURONS)
def test_impossible_parts_are_refused(case: str) -> None:
    make, message = NEURONS[case]
    with pytest.raises(NetworkError, match=message):
        make()


def test_an_impossible_precision_is_an_argument_and_a_value_error() -> None:
    with pytest.raises(ns.ArgumentError, match=r"^precision: weight_bits: got 10; allowed is 2\.\.9$") as caught:
        ns.Precision(weight_bits=10)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ns.ArgumentError, match="precision: name: got 3; a string is required"):
        ns.Precision(3)  # type: ignore[arg-type]


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"kernel 3, dilation 2.* does not fit into 4 pixels padded by 0"):
        ns.Conv2d(np.ones((1, 1, 3, 3)), dilation=2).output_shape((1, 4, 9))
    with pytest.raises(NetworkError, match=r"has 1 x 1 group\(s\) input channels; the source has 2"):
        ns.Conv2d(np.ones((1, 1, 3, 3))).output_shape((2, 4, 9))
    with pytest.raises(NetworkError, match=r"a convolution needs \(C, H, W\)"):
        ns.Conv2d(np.ones((1, 1, 3, 3))).output_shape((4,))
    with pytest.raises(NetworkError, match=r"pooling needs \(C, H, W\)"):
        ns.SumPool2d(2).output_shape((4,))


# --- what holds ---


def test_the_accumulator_bound_holds_for_the_worst_input() -> None:
    rng = np.random.default_rng(0)
    for seed in range(40):
        network, _ = random_case(np.random.default_rng(seed))
        for projection in network.projections:
            if len(network.incoming(projection.target)) > 1 or not isinstance(projection.synapse, ns.Dense):
                continue
            source = network[projection.source]
            low = -source.magnitude if source.neuron is None else 0
            values = rng.integers(low, source.magnitude + 1, (200, projection.synapse.weight.shape[1]))
            values[0] = source.magnitude
            sums = values @ projection.synapse.weight.astype(np.int64).T
            reached = np.abs(sums * 2**projection.exponent if projection.exponent > 0 else sums >> -projection.exponent)
            assert reached.max() <= network.accumulator_bound(projection.target)


def test_the_accumulator_limit_is_exact() -> None:
    def network(magnitude: int) -> ns.Network:
        return build([replace(IN, magnitude=magnitude), lif("a")], [replace(dense("in", "a", value=127), exponent=3)])

    limit = (2**31 - 1) // (127 << 3)
    assert network(limit).accumulator_bound("a") == (127 * limit) << 3
    with pytest.raises(NetworkError, match="32 bits hold"):
        network(limit + 1)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_networks_are_equal_bit_for_bit(kind: str, fixed: bool) -> None:
    first, second = (random_case(np.random.default_rng(1), kind, fixed=fixed)[0] for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    weight = first.projections[0].synapse.weight.copy()
    weight.flat[0] += 1
    changed = replace(first.projections[0], synapse=replace(first.projections[0].synapse, weight=weight))
    assert replace(first, projections=(changed, *first.projections[1:])) != first


def test_fixed_neurons_without_a_precision_get_lavas() -> None:
    assert graph(("in", "a", 1)).precision == ns.Precision.lava()
    assert graph(("in", "a", 1)).fixed
    assert not build(
        [IN, ns.Population("a", (1,), ns.Readout())], [ns.Projection("in", "a", ns.Dense(np.ones((1, 1))))]
    ).fixed


def test_arrays_are_copied_and_read_only() -> None:
    weight = np.ones((1, 1))
    synapse = ns.Dense(weight)
    weight[0, 0] = 5
    assert synapse.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        synapse.weight[0, 0] = 2


def test_the_default_reset_amount_is_the_threshold() -> None:
    assert ns.LIF(0.5, 1.5).reset_amount == 1.5
    assert ns.FixedLIF(0, 3).reset_amount_64ths == 3 << 6
    assert ns.LIF(0.5, 1.5, reset="zero").reset_amount is None


def test_with_sam_quantises_where_the_network_is_fixed() -> None:
    network = graph(("in", "a", 1), ("a", "b", 1))
    traced = network.with_sam(ns.SamTrace(1.0, "inclusive"), ["b"])
    assert list(traced.sam) == ["b"]
    assert isinstance(traced.sam["b"], ns.FixedSamTrace)
    assert list(network.with_sam().sam) == ["a", "b"]
    assert not network.sam


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (None, False),
        (ns.LIF(0.5, 1.0), False),
        (ns.LIF(0.5, 1.0, current_leak=0.0), True),
        (ns.Readout(), False),
        (ns.FixedLIF(0, 1), False),
        (ns.FixedLIF(0, 1, current_decay=0), True),
        (ns.FixedReadout(), False),
    ],
)
def test_which_neurons_have_a_current(neuron: Any, expected: bool) -> None:
    assert ns.Population("a", (1,), neuron).has_current is expected


@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_a_sparse_matrix_and_its_dense_form(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    matrix = (rng.integers(-9, 9, (7, 5)) * (rng.random((7, 5)) < 0.4)).astype(dtype)
    matrix[[0, 3, 6]] = 0  # targets without a source, at both ends too
    matrix[:, 2] = 0
    dense_form = ns.Sparse.from_dense(matrix).to_dense()
    assert dense_form.dtype == dtype
    assert np.array_equal(dense_form, matrix)


def test_earliest_steps_follow_the_shortest_path() -> None:
    edges = [("a", "b", 5), ("a", "b", 2), ("b", "c", 0), ("a", "c", 3), ("c", "a", 1), ("x", "y", 1)]
    assert list(earliest([("a", 4), ("a", 7)], edges).items()) == [("a", 4), ("b", 6), ("c", 6)]
    assert earliest([("c", 0), ("a", 9)], edges) == {"c": 0, "a": 1, "b": 3}
    assert earliest([], edges) == {}


def test_sparse_indices_are_sorted_row_by_row() -> None:
    """As SciPy's matrices may have them; the weights go with their indices."""
    matrix = np.array([[0, 3, 0, -1], [0, 0, 0, 0], [5, 0, 2, 1]], np.int8)
    given = ns.Sparse(np.array([0, 2, 2, 5]), np.array([3, 1, 2, 3, 0]), np.array([-1, 3, 2, 1, 5], np.int8), 4)
    np.testing.assert_array_equal(given.to_dense(), matrix)
    np.testing.assert_array_equal(given.indices, ns.Sparse.from_dense(matrix).indices)


def test_channels_of_one_pixel_are_neurons() -> None:
    """A convolution whose output is (C, 1, 1) leads into (C,)."""
    weight = np.ones((5, 3, 2, 2), np.int8)
    network = ns.Network(
        [ns.Population("in", (3, 2, 2)), ns.Population("out", (5,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Conv2d(weight))],
    )
    events = ns.Events.from_dense(np.ones((2, 1, 3, 2, 2), np.uint8))
    for backend in ("event", "reference"):
        np.testing.assert_array_equal(ns.run(network, events, backend).output, np.full((1, 5), 2 * 12 * 64))


@pytest.mark.parametrize("value", [3.0, "loihi", True, None, [8], 1, 10])
def test_what_is_no_precision(value: Any) -> None:
    with pytest.raises(ns.ArgumentError, match="precision"):
        ns.Precision.of(value)


def test_a_precision_by_name_or_bits() -> None:
    assert ns.Precision.of("lava") == ns.Precision.of(8) == ns.Precision.lava()
    assert ns.Precision.of("nxsdk") == ns.Precision.nxsdk()
    assert ns.Precision.of(ns.Precision.lava(3)) == ns.Precision.lava(3)
    float_network = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.eye(2)))],
    )
    assert ns.quantise(float_network, 5)[0].precision == ns.Precision.lava(5)
