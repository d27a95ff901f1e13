"""Concatenation and addition of branches: the same bits as from one population that has all of their channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NetworkError

Array = np.ndarray[Any, Any]

KERNELS: dict[str, Callable[[Callable[..., Array]], Any]] = {
    "conv": lambda draw: ns.Conv2d(draw(4, 5, 3, 2), stride=(1, 2), padding=1, dilation=(2, 1)),
    "dense": lambda draw: ns.Dense(draw(6, 5 * 30)),
    "sparse": lambda draw: ns.Sparse.from_dense(draw(6, 5 * 30) * (draw(6, 5 * 30) > 0)),
}


def branches(kind: str, fixed: bool, delays: list[int], pool: ns.SumPool2d | None) -> tuple[ns.Network, ns.Network]:
    """Two branches of 2 and 3 channels that meet, and one population that has all five."""
    rng = np.random.default_rng([list(KERNELS).index(kind), fixed])

    def draw(*shape: int) -> Array:
        return rng.integers(-40, 60, shape) if fixed else rng.integers(-40, 60, shape) / 64

    first = draw(5, 1, 1, 1)
    lif: Any = ns.FixedLIF(500, 30) if fixed else ns.LIF(0.875, 0.5)
    readout = ns.FixedReadout() if fixed else ns.Readout()
    sides = (6, 5) if pool is None else (12, 10)
    synapse = KERNELS[kind](draw)
    shape = synapse.output_shape((5, 6, 5))
    source, out = ns.Population("in", (1, *sides)), ns.Population("out", shape, readout)
    left, right = ns.Population("left", (2, *sides), lif), ns.Population("right", (3, *sides), lif)
    both = ns.Population("both", (5, *sides), lif)
    exponent = 2 if fixed else 0
    apart = ns.Network(
        [source, left, right, out],
        [
            ns.Projection("in", "left", ns.Conv2d(first[:2])),
            ns.Projection("in", "right", ns.Conv2d(first[2:])),
            *ns.concatenate([left, right], "out", synapse, delay=delays, pool=pool, exponent=exponent),
        ],
        check_alignment=False,  # lags are wanted
    )
    whole = ns.Network(
        [source, both, out],
        [
            ns.Projection("in", "both", ns.Conv2d(first)),
            ns.Projection("both", "out", synapse, delay=1, pool=pool, exponent=exponent),
        ],
    )
    return apart, whole


@pytest.mark.parametrize("backend", ["reference", "event"])
@pytest.mark.parametrize("pool", [None, ns.SumPool2d(2)])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KERNELS)
def test_concatenation_is_one_kernel_over_all_channels(kind: str, fixed: bool, pool: Any, backend: str) -> None:
    apart, whole = branches(kind, fixed, [1, 1], pool)
    events = ns.Events.from_dense(np.random.default_rng(3).integers(0, 2, (6, 2, *apart.input.shape)))
    record = ns.Record(membrane=("out",))
    a, b = (ns.run(net, events, backend, record) for net in (apart, whole))
    assert np.ptp(a.membrane["out"]) > 0
    np.testing.assert_array_equal(a.membrane["out"], b.membrane["out"])
    assert sum(a.operations[f"{name}->out"] for name in ("left", "right")) == b.operations["both->out"]


def test_each_source_has_its_delay() -> None:
    apart, _ = branches("dense", True, [1, 3], None)
    delays = {p.label: p.delay for p in apart.projections if p.target == "out"}
    assert delays == {"left->out": 1, "right->out": 3}


@pytest.mark.parametrize("kind", [*KERNELS, "number"])
def test_addition_is_one_kernel_over_the_sum(kind: str) -> None:
    """Two inputs that never spike at the same place and time: their sum is one input."""
    rng = np.random.default_rng(5)
    synapse = 3 if kind == "number" else KERNELS[kind](lambda *shape: rng.integers(-40, 60, shape))
    a, b = ns.Population("a", (5, 6, 5)), ns.Population("b", (5, 6, 5))
    shape = (5, 6, 5) if isinstance(synapse, int) else synapse.output_shape(a.shape)
    out = ns.Population("out", shape, ns.FixedReadout())
    one = ns.Sparse.one_to_one(a.shape, synapse) if isinstance(synapse, int) else synapse
    summed = ns.Network([a, b, out], ns.add([a, b], "out", synapse, exponent=1))
    single = ns.Network([a, out], [ns.Projection("a", "out", one, exponent=1)])
    x = rng.integers(0, 3, (4, 2, *a.shape))
    apart = {"a": ns.Events.from_dense(x == 1), "b": ns.Events.from_dense(x == 2)}
    record = ns.Record(membrane=("out",))
    expected = ns.run(single, ns.Events.from_dense(x > 0), "reference", record).membrane["out"]
    np.testing.assert_array_equal(ns.run(summed, apart, "reference", record).membrane["out"], expected)


A, B, OTHER = ns.Population("a", (2, 4, 4)), ns.Population("b", (3, 4, 4)), ns.Population("c", (3, 5, 4))
IMPOSSIBLE: dict[str, tuple[Callable[[], object], str]] = {
    "channels": (
        lambda: ns.concatenate([A, B], "t", ns.Conv2d(np.ones((1, 6, 1, 1)))),
        r"concatenate into 't': got weights for 6 channels; the sources have 2 \+ 3",
    ),
    "neurons": (
        lambda: ns.concatenate([A, B], "t", ns.Dense(np.ones((1, 5)))), r"for 5 neurons; the sources have 32 \+ 48"
    ),
    "sparse neurons": (
        lambda: ns.concatenate([A, B], "t", ns.Sparse.one_to_one((5,), 1)), r"for 5 neurons; the sources have 32 \+ 48"
    ),
    "groups": (lambda: ns.concatenate([A, A], "t", ns.Conv2d(np.ones((4, 2, 1, 1)), groups=2)), "got 2 groups"),
    "sides": (lambda: ns.concatenate([A, OTHER], "t", ns.Conv2d(np.ones((1, 5, 1, 1)))), "need one height and width"),
    "none": (lambda: ns.concatenate([], "t", ns.Dense(np.ones((1, 1)))), "got no sources"),
    "delays": (lambda: ns.add([A, A], "t", 1.0, delay=[1]), "add into 't': got 1 delays for 2 sources"),
    "exponent": (lambda: ns.add([A, A], "t", 1, exponent=-1), "got exponent -1; below 0"),
    "shapes": (lambda: ns.add([A, B], "t", 1.0), r"shapes \(2, 4, 4\), \(3, 4, 4\); they must have the same one"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_joined_is_refused(case: str) -> None:
    make, message = IMPOSSIBLE[case]
    with pytest.raises(NetworkError, match=message):
        make()
