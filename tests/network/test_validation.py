"""Whole networks: what a step can add up is proven exactly, and what is impossible is refused by name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.errors import NetworkError
from support.delivery import deliver

LIF = ns.FixedLIF(membrane_decay=0, threshold=1)
WEIGHTS = np.random.default_rng(0)


def weight(*shape: int, low: int = -9, high: int = 6) -> npt.NDArray[np.int8]:
    return WEIGHTS.integers(low, high + 1, shape).astype(np.int8)


SYNAPSES: dict[str, tuple[ns.Dense | ns.Conv2d | ns.Sparse, ns.SumPool2d | None]] = {
    "dense": (ns.Dense(weight(5, 32)), None),
    "dense, positive": (ns.Dense(weight(5, 32, low=1)), None),
    "dense behind a pool": (ns.Dense(weight(5, 8)), ns.SumPool2d(2)),
    "conv": (ns.Conv2d(weight(3, 2, 3, 3)), None),
    "conv in groups": (ns.Conv2d(weight(4, 1, 2, 2), groups=2), None),
    "conv behind a pool": (ns.Conv2d(weight(3, 2, 2, 1)), ns.SumPool2d((1, 2), (1, 1))),
    "sparse": (ns.Sparse.from_dense(weight(6, 32) * (WEIGHTS.random((6, 32)) < 0.3).astype(np.int8)), None),
}


def behind(source: ns.Population, *projections: ns.Projection, name: str = "a") -> ns.Network:
    """A network in which `source` (the input, or neurons driven by it) projects to `name`."""
    first = projections[0]
    shape = source.shape if first.pool is None else first.pool.output_shape(source.shape)
    target = ns.Population(name, first.synapse.output_shape(shape), LIF)
    if source.neuron is None:
        return ns.Network((source, target), projections)
    drive = ns.Projection("in", source.name, ns.Sparse.one_to_one(source.shape, 1))
    return ns.Network((ns.Population("in", source.shape), source, target), (drive, *projections))


def worst(projection: ns.Projection, source: ns.Population) -> int:
    """Largest |sum| of a step over all inputs: for each target, the oracle's answer to the input that is worst for it.

    A target's weight of a source is what the oracle delivers for that source alone. Where events may have either sign
    the worst input has the weights' own; spikes are there or not, so it is all positive or all negative weights.
    """
    plain = replace(projection, exponent=0)
    alone = np.array(
        [deliver(plain, row, source.shape) for row in np.eye(math.prod(source.shape), dtype=int).tolist()]
    ).T
    inputs = []
    for row in alone:
        signs = [np.sign(row)] if source.neuron is None else [row > 0, row < 0]
        inputs += [(sign * source.magnitude).astype(int).tolist() for sign in signs]
    sums = [deliver(plain, x, source.shape) for x in inputs]
    return int(np.abs(sums).max()) << max(projection.exponent, 0)


@pytest.mark.parametrize("exponent", [0, 3, -2])
@pytest.mark.parametrize(("neuron", "magnitude"), [(None, 1), (None, 7), (LIF, 1)])
@pytest.mark.parametrize("case", SYNAPSES)
def test_the_bound_is_what_the_worst_input_adds_up_to(case: str, neuron: Any, magnitude: int, exponent: int) -> None:
    synapse, pool = SYNAPSES[case]
    source = ns.Population("in" if neuron is None else "s", (2, 4, 4), neuron, magnitude=magnitude)
    projection = ns.Projection(source.name, "a", synapse, pool=pool, exponent=exponent)
    network = behind(source, projection)
    assert network.accumulator_bound("a") == worst(projection, source) > 0


def test_projections_into_one_population_add_up() -> None:
    source = ns.Population("in", (3,), magnitude=2)
    first = ns.Projection("in", "a", ns.Dense(np.array([[3, -5, 0]], np.int8)), exponent=1)
    second = replace(first, synapse=ns.Dense(np.array([[-1, -1, 7]], np.int8)), delay=2, exponent=0)
    network = behind(source, first, second)
    assert network.accumulator_bound("a") == 2 * (8 << 1) + 2 * 9
    assert network.accumulator_bound("a", [second]) == 18  # in place of the population's own
    spiking = behind(ns.Population("s", (3,), LIF), *(replace(p, source="s") for p in (first, second)))
    assert spiking.accumulator_bound("a") == max((3 << 1) + 7, (5 << 1) + 2)


def test_events_of_either_sign_meet_spikes_of_the_worse_one() -> None:
    """What the input adds to the negative sums is the positive weights of a negative event."""
    lif = ns.FixedLIF(membrane_decay=0, threshold=1)
    for weights, bound in (([-7, 2], 2 * 3 + 7), ([-2, 7], 2 * 3 + 7), ([0, 0], 2 * 3)):
        network = ns.Network(
            (ns.Population("in", (1,), magnitude=2), ns.Population("s", (2,), lif), ns.Population("a", (1,), lif)),
            (
                ns.Projection("in", "s", ns.Dense(np.zeros((2, 1), np.int8))),
                ns.Projection("in", "a", ns.Dense(np.array([[3]]))),
                ns.Projection("s", "a", ns.Dense(np.array([weights]))),
            ),
            check_alignment=False,  # only sums matter here
        )
        assert network.accumulator_bound("a") == bound
        assert network.accumulator_bound("s") == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_32_bits_are_the_limit_for_either_sign_of_the_input(sign: int) -> None:
    """127 for one sign of the input and 128 for the other: the sums of both signs count, exactly to the last bit."""

    def network(magnitude: int) -> ns.Network:
        source = ns.Population("in", (2,), magnitude=magnitude)
        return behind(source, ns.Projection("in", "a", ns.Dense(np.array([[sign * 127, sign * -126]])), exponent=1))

    limit = (2**31 - 1) // (253 * 2)
    assert network(limit).accumulator_bound("a") == 253 * 2 * limit
    with pytest.raises(NetworkError, match=rf"in->a: can add up to {506 * (limit + 1)} .*hold 2147483647"):
        network(limit + 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_of_32_bits_is_allowed_and_no_more(sign: int) -> None:
    """Events of 2^23 - 1 through 256, and a spike through 255 more: 2^31 - 1. Of negative sums as well."""

    def network(last: int) -> ns.Network:
        lif, shape = ns.FixedLIF(membrane_decay=0, threshold=1), (3,)
        through = ns.Dense(np.array([[128], [0]], np.int16) * -1)
        spikes = ns.Dense(np.array([[127, 127, last], [0, 0, 0]]) * sign)
        return ns.Network(
            (
                ns.Population("in", (1,), magnitude=2**23 - 1), ns.Population("s", shape, lif),
                ns.Population("a", (2,), lif),
            ),
            (
                ns.Projection("in", "s", ns.Dense(np.ones((3, 1), np.int8))),
                ns.Projection("in", "a", through, exponent=1), ns.Projection("s", "a", spikes),
            ),
            check_alignment=False,  # only sums matter here
        )  # fmt: skip

    assert network(1).accumulator_bound("a") == 2**31 - 1
    with pytest.raises(NetworkError, match=r"projection s->a: can add up to 2147483648 .* 32 bits hold 2147483647"):
        network(2)


# --- pools in front of neurons ---

PICTURE = ns.Population("in", (2, 8, 6))
CONV = ns.Projection("in", "a", ns.Conv2d(weight(3, 2, 3, 3)))  # sums (3, 6, 4)


def pooled(
    pool: ns.MaxPool2d, shape: tuple[int, ...], *projections: ns.Projection, source: ns.Population = PICTURE
) -> ns.Network:
    return ns.Network((source, ns.Population("a", shape, LIF, pool=pool)), projections or (CONV,))


def test_a_pool_takes_the_sums_of_all_projections_and_adds_nothing_to_the_bound() -> None:
    shortcut = ns.Projection("in", "a", ns.Dense(weight(72, 96)))
    network = pooled(ns.MaxPool2d(2), (3, 3, 2), CONV, shortcut)
    assert network.drive_shape("a") == (3, 6, 4)
    assert network.drive_shape("in") == (2, 8, 6)
    bounds = [worst(projection, PICTURE) for projection in (CONV, shortcut)]
    assert network.accumulator_bound("a") == sum(bounds)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: pooled(ns.MaxPool2d(2), (3, 6, 4)),
         r"population 'a': pool: gives shape \(3, 3, 2\) from sums of shape \(3, 6, 4\); the population has"),
        (lambda: pooled(ns.MaxPool2d(7), (3, 1, 1)), r"population 'a': pool: the window .* does not fit into 6 pixels"),
        (lambda: pooled(ns.MaxPool2d(2), (18,)), r"population 'a': pool: gives \(C, H, W\); the population has shape"),
        (lambda: pooled(ns.MaxPool2d(2), (3, 3, 2), replace(CONV, synapse=ns.Dense(weight(72, 96)))),
         r"population 'a': pool: needs sums of shape \(C, H, W\), which no projection delivers; use Conv2d, or Sparse"),
        (lambda: pooled(ns.MaxPool2d(2), (3, 3, 2), CONV, replace(CONV, synapse=ns.Conv2d(weight(3, 2, 1, 1)))),
         r"projection in->a: delivers shape \(3, 8, 6\); the target 'a' pools sums of shape \(3, 6, 4\)"),
        (lambda: pooled(ns.MaxPool2d(2), (3, 3, 2), CONV, replace(CONV, synapse=ns.Dense(weight(18, 96)))),
         r"projection in->a: delivers shape \(18,\); the target 'a' pools sums of shape \(3, 6, 4\)"),
        (lambda: ns.Population("a", (3, 3, 2), LIF, pool=ns.SumPool2d(2)),  # type: ignore[arg-type]
         r"population 'a': pool: got a SumPool2d; MaxPool2d is required"),
        (lambda: ns.Population("in", (2, 8, 6), pool=ns.MaxPool2d(2)), r"population 'in': pool: belongs to neurons"),
        (lambda: pooled(ns.MaxPool2d(2), (3, 3, 2), replace(CONV, synapse=ns.Conv2d(weight(3, 1, 3, 3)))),
         r"projection in->a: Conv2d: weight: has 1 x 1 group"),
    ],
)  # fmt: skip
def test_a_pool_that_does_not_fit_is_refused(network: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        network()
