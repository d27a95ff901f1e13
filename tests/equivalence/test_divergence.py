"""What counts as a difference: the tolerance of floats by its formula, and the magnitude it is measured by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.equivalence.divergence import Variable, mismatches
from neurosam.equivalence.tolerance import magnitude, rounding_of
from neurosam.equivalence.variables import shared
from neurosam.errors import NeurosamError
from neurosam.signals.recording import Recording, Spikes


def variable(a: Any, b: Any, scale: float = 1.0, name: str = "membrane") -> Variable:
    """A variable of one step and one sample."""
    x, y = (np.asarray(side)[None, None] for side in (a, b))
    return Variable("p", name, 0, 0, (x.size,), x, y, scale)


def differ(a: Any, b: Any, tolerance: float, scale: float = 1.0) -> list[int]:
    return [int(k) for k in mismatches(variable(a, b, scale), tolerance).neuron]


def test_the_tolerance_grows_with_the_larger_of_the_two_values() -> None:
    """|a - b| <= tolerance * (scale + max(|a|, |b|)); in powers of two, both sides of the boundary are exact."""
    # 8 against 4: a difference of 4; a half of (scale + 8) is 4 at scale 0, and 3.9 would need a scale below 0
    assert differ([8.0, 4.0, -8.0, -4.0], [4.0, 8.0, -4.0, -8.0], 0.5, scale=0.0) == []
    assert differ([8.0, 4.0, -8.0], [3.5, 8.5, -3.5], 0.5, scale=0.0) == [0, 1, 2]
    assert differ([0.0, 0.0, 3.0, -3.0], [2.0, -2.0, -3.0, 3.0], 0.5, scale=2.0) == [2, 3]  # 2 <= (2 + 2) / 2 < 6
    assert differ([1.0], [1.0], 0.0) == []
    assert differ([1.0], [np.nextafter(1.0, 2.0)], 0.0) == [0]


def test_integers_are_equal_or_not_and_nan_equals_itself_alone() -> None:
    assert differ(np.array([5, 2**40], np.int64), np.array([5, 2**40 + 1], np.int64), 0.5) == [1]
    assert differ([np.nan, np.nan, 1.0, np.inf], [np.nan, 1.0, np.nan, np.nan], 1e9) == [1, 2, 3]


def test_infinity_equals_itself_alone() -> None:
    assert differ([np.inf, 1.0, -np.inf], [1.0, -np.inf, np.inf], 1e-9) == [0, 1, 2]
    assert differ([np.inf, -np.inf], [np.inf, -np.inf], 1e-9) == []


def test_float32_values_are_compared_in_float64() -> None:
    """3e38 + 3e38 is no float32."""
    assert differ(np.array([3e38, 3e38], np.float32), np.array([-3e38, 3e38], np.float32), 1.0) == [0]


def network(neuron: Any, *projections: ns.Projection, channels: int = 1, magnitude: int = 1) -> ns.Network:
    shape = projections[0].synapse.output_shape((2, 2, 2) if projections[0].pool else (2, 4, 4))
    return ns.Network(
        (ns.Population("in", (2, 4, 4), magnitude=magnitude), ns.Population("a", shape, neuron)), projections
    )


WEIGHT = np.zeros((2, 32))
WEIGHT[0, :3] = 4.0, -1.0, 0.5  # 5.5 of either sign together, more than the second row
WEIGHT[1, 5] = -5.0
DENSE = ns.Projection("in", "a", ns.Dense(WEIGHT))
POOLED = ns.Projection("in", "a", ns.Dense(WEIGHT[:, :8]), pool=ns.SumPool2d(2))


@pytest.mark.parametrize(
    ("neuron", "projections", "events", "expected"),
    [
        (ns.Readout(), (DENSE,), 1, 5.5),
        (ns.Readout(np.array([0.25, -0.75])), (DENSE,), 1, 5.5 + 0.75),
        (ns.Readout(), (DENSE,), 3, 16.5),
        (ns.Readout(), (POOLED,), 1, 22.0),  # four spikes of a window meet each weight
        (ns.Readout(), (POOLED,), 3, 66.0),
        (ns.Readout(), (DENSE, POOLED), 1, 27.5),
        (ns.LIF(0.5, 2.0, "zero"), (DENSE,), 1, 5.5 + 2.0),
        (ns.LIF(0.5, 2.0), (DENSE,), 1, 5.5 + 2.0 + 2.0),  # subtracts its threshold
        (ns.LIF(0.5, np.array([2.0, 8.0]), "subtract", np.array([1.5, 1.25]), -4.0), (DENSE,), 1, 5.5 + 8 + 1.5 + 4),
        # a gain makes what arrives larger, but never smaller: the sum itself has been added up by then
        (ns.LIF(0.5, 2.0, "zero", gain=np.array([[0.25]]), offset=np.array([[-1.0]])), (DENSE,), 1, 5.5 + 1 + 2),
        (ns.LIF(0.5, 2.0, "zero", gain=np.array([[0.5], [-3.0]]), offset=np.zeros((2, 1))), (DENSE,), 1, 16.5 + 2),
    ],
)  # fmt: skip
def test_magnitude_is_all_that_a_step_can_add_up(
    neuron: Any, projections: tuple[ns.Projection, ...], events: int, expected: float
) -> None:
    assert magnitude(network(neuron, *projections, magnitude=events), "a") == expected


def test_magnitude_of_a_conv_and_of_several_populations() -> None:
    """A channel's weights count once, whatever the size of its picture."""
    kernel = np.array([1.0, -2.0, 0.5, 0.25]).reshape(1, 1, 2, 2)
    net = ns.Network(
        (
            ns.Population("in", (1, 4, 4), magnitude=8),
            ns.Population("a", (1, 3, 3), ns.LIF(0.5, 1.0, "zero")),
            ns.Population("b", (1, 2, 2), ns.LIF(0.5, 1.0, "zero")),
        ),
        (ns.Projection("in", "a", ns.Conv2d(kernel)), ns.Projection("a", "b", ns.Conv2d(kernel))),
    )
    assert (magnitude(net, "in"), magnitude(net, "a"), magnitude(net, "b")) == (0.0, 8 * 3.75 + 1, 3.75 + 1)


def test_rounding_of_float32_counts_the_longest_sum_and_the_steps() -> None:
    """L sqrt(n) 2^-24 with L = 8 and n = steps * (synapses of a target + 8)."""
    sparse = ns.Projection("in", "a", ns.Sparse.from_dense(WEIGHT))
    conv = ns.Projection("in", "a", ns.Conv2d(np.ones((1, 2, 3, 3))))
    for fan_in, projections in (
        (32, (DENSE,)),
        (8 * 4, (POOLED,)),
        (3, (sparse,)),
        (64, (DENSE, POOLED)),
        (18, (conv,)),
    ):
        net = network(ns.Readout(), *projections)
        assert rounding_of(net, 50, "float32") == pytest.approx(8 * (50 * (fan_in + 8)) ** 0.5 / 2**24, rel=1e-12)
        assert rounding_of(net, 50) == rounding_of(net, 1) == 1e-9


def recording(**changes: Any) -> Recording:
    """Two steps, one sample: a population with everything, and an output of the readout."""
    plain: dict[str, Any] = {
        "backend": "here", "steps": 2, "samples": 1, "output": np.array([[1.0, -4.0]]),
        "spikes": {"a": Spikes.from_dense(np.array([[[1, 0]], [[0, 0]]]))},
        "membrane": {"a": np.array([[[0.5, -3.0]], [[0.25, 1.0]]])},
    }  # fmt: skip
    return Recording(**{**plain, **changes})


def test_variables_come_with_the_scale_that_judges_them() -> None:
    net = network(ns.LIF(0.5, 2.0, "zero"), DENSE)
    variables, alone = shared(recording(), recording(), net)[:2]
    assert alone == ()
    assert [(v.population, v.name, v.order, v.first_step, v.shape, v.scale) for v in variables] == [
        ("a", "membrane", 1, 0, (2,), 7.5), ("a", "spikes", 1, 0, (2,), 1.0), ("a", "output", 1, 1, (2,), 7.5),
    ]  # fmt: skip
    assert [v.exact for v in variables] == [False, True, False]
    unknown = shared(recording(), recording(membrane={"a": np.full((2, 1, 2), -3.5)}), None).variables
    assert {v.name: (v.population, v.scale) for v in unknown} == {  # without a network, the largest value there is
        "membrane": ("a", 3.5), "spikes": ("a", 1.0), "output": ("output", 4.0),
    }  # fmt: skip
    small = recording(membrane={"a": np.full((2, 1, 2), -0.25)})
    assert shared(small, recording(membrane={"a": np.full((2, 1, 2), 0.125)}), None)[0][0].scale == 0.25


def test_an_output_of_pictures_has_the_readouts_coordinates() -> None:
    net = ns.Network(
        (ns.Population("in", (1, 2, 2)), ns.Population("a", (1, 2, 2), ns.Readout())),
        (ns.Projection("in", "a", ns.Conv2d(np.ones((1, 1, 1, 1)))),),
    )
    a = Recording("here", 3, 1, np.zeros((1, 4)))
    b = Recording("there", 3, 1, np.array([[0.0, 0.0, 0.0, 1.0]]))
    (v,) = shared(a, b, net).variables
    (one,) = mismatches(v, 1e-9).divergences()
    assert replace(one, place=()) == one  # only sorts
    assert (one.step, one.coordinates, one.neuron, one.value_b) == (2, (0, 1, 1), 3, 1.0)
    assert str(one) == "a: output at step 2, sample 0, neuron (0, 1, 1): 0.0 != 1.0"


def test_only_the_output_has_the_readouts_shape() -> None:
    """Another variable of as many neurons keeps its own."""
    net = ns.Network(
        (
            ns.Population("in", (1, 2, 2)), ns.Population("b", (4,), ns.LIF(0.5, 1.0)),
            ns.Population("a", (1, 2, 2), ns.Readout()),
        ),
        (
            ns.Projection("in", "b", ns.Dense(np.eye(4))),
            ns.Projection("b", "a", ns.Sparse.from_dense(np.eye(4), (1, 2, 2))),
        ),
    )  # fmt: skip
    a = Recording("here", 1, 1, np.zeros((1, 4)), membrane={"b": np.zeros((1, 1, 4))})
    variables = shared(a, a, net).variables
    assert [(v.name, v.shape) for v in variables] == [("membrane", (4,)), ("output", (1, 2, 2))]


def test_scales_of_maps_are_compared_where_maps_are() -> None:
    maps = {"a": np.zeros((2, 1, 1, 1))}
    with_map = recording(sam=maps, sam_scale={"a": 8.0})
    alone = shared(with_map, recording(), None).not_compared
    assert alone == ("a: sam (only in here)",)
    with pytest.raises(NeurosamError, match=r"a: sam: has scale 8.0 in 'here' and 4.0 in 'there'"):
        shared(with_map, recording(backend="there", sam=maps, sam_scale={"a": 4.0}), None)


def test_recordings_that_share_no_value_are_refused() -> None:
    a = Recording("here", 1, 1, np.zeros((1, 0)))
    with pytest.raises(NeurosamError, match="'here' and 'there': hold no value in common"):
        shared(a, Recording("there", 1, 1, np.zeros((1, 0))), None)


def test_causal_order_and_the_first_of_each_sample() -> None:
    """(step, order, variable, sample, neuron): what sorts divergences."""
    x = np.zeros((3, 2, 4))
    y = x.copy()
    y[2, 0, 1] = y[1, 1, 3] = y[1, 1, 2] = y[2, 1, 0] = 9.0
    v = Variable("p", "spikes", 7, 5, (4,), x, y, 1.0)
    found = mismatches(v, 1e-9)
    assert len(found) == 4
    assert [d.place for d in found.divergences()] == [
        (6, 7, 2, 1, 2),
        (6, 7, 2, 1, 3),
        (7, 7, 2, 0, 1),
        (7, 7, 2, 1, 0),
    ]
    assert [d.place for d in found.each_sample().divergences()] == [(7, 7, 2, 0, 1), (6, 7, 2, 1, 2)]
    told = list(found.divergences(np.array([0.5, -0.5, np.nan, 0.0])))
    assert [d.distance for d in told] == [0.5, -0.5, None, 0.0]
    assert [str(d).partition("(the silent side")[2] for d in told] == [
        " is 0.5 below the network's threshold)", " is 0.5 above the network's threshold)", "",
        " is at the network's threshold)",
    ]  # fmt: skip
