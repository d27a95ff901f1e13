"""Delays per synapse and weights beyond 8 bits: the parts together are the projection, in integers and to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam.network.expand import split

Array = np.ndarray[Any, Any]


def projection(weight: Any, **options: Any) -> ns.Projection:
    """Dense synapses of integer weights, or the same ones with another synapse."""
    synapse = options.pop("synapse", None) or ns.Dense(np.asarray(weight))
    return ns.Projection("in", "out", synapse, **options)


def loop(weight: Array, delay: Array, exponent: int, x: Array) -> Array:
    """What arrives at each target, synapse by synapse: ``floor(2^exponent sum w x)``, in Python's integers."""
    steps, outputs = len(x), len(weight)
    sums = np.zeros((steps, outputs), dtype=object)
    for t in range(steps):
        for o in range(outputs):
            for i in range(weight.shape[1]):
                sent = t - int(delay[o, i])
                sums[t, o] += int(weight[o, i]) * int(x[sent, i]) if sent >= 0 else 0
    return np.array([[s << exponent if exponent >= 0 else s >> -exponent for s in row] for row in sums])


def matrix(synapse: Any) -> Array:
    return np.asarray(synapse.to_dense() if isinstance(synapse, ns.Sparse) else synapse.weight).astype(np.int64)


def arriving(parts: tuple[ns.Projection, ...], x: Array) -> Array:
    """What arrives through plain projections, each rounded down by itself."""
    each = [loop(w, np.full(w.shape, p.delay), p.exponent, x) for p in parts for w in [matrix(p.synapse)]]
    total: Array = np.sum(each, axis=0)
    return total


@settings(deadline=None)
@given(st.data())
def test_parts_deliver_what_the_whole_would(data: st.DataObject) -> None:
    """Any integer weights that two projections can hold, with any exponent and delays, as matrix or sparse."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), "seed"))
    size = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    bits = data.draw(st.integers(2, 15), "bits")
    weight = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), size) * (rng.random(size) < 0.8)
    delay = rng.integers(0, 4, size) if data.draw(st.booleans(), "delays") else np.full(size, 2)
    synapse: Any = ns.Dense(weight)
    if data.draw(st.booleans(), "sparse"):
        synapse = ns.Sparse.from_dense(weight)
        given_delay: Any = delay[np.nonzero(weight)]
    else:
        given_delay = delay
    if not given_delay.size or (given_delay == given_delay.flat[0]).all():
        given_delay = int(delay.flat[0])
        delay = np.full(size, given_delay)
    exponent = data.draw(st.integers(-7, min(7, 15 - bits)), "exponent")
    whole = projection(None, synapse=synapse, delay=given_delay, exponent=exponent)
    parts = split(whole)
    x = rng.integers(-3, 4, (6, size[1]))
    by_delay = [np.where(delay == steps, weight, 0) for steps in np.unique(delay)]
    expected = sum(loop(w, delay, exponent, x) for w in by_delay)  # a chip rounds what each delay brings by itself
    np.testing.assert_array_equal(arriving(parts, x), expected)
    assert all(part.synapse.weight.dtype == np.int8 and isinstance(part.delay, int) for part in parts)
    for part in parts:
        if isinstance(part.synapse, ns.Sparse) and part is not whole:
            assert (part.synapse.weight != 0).all() or np.abs(weight).max() <= 127


def test_an_eight_bit_projection_is_left_alone() -> None:
    whole = projection([[-128, 127, 0]], exponent=-8)
    assert split(whole) == (whole,)


@pytest.mark.parametrize("exponent", [-8, 0, 6])
def test_even_weights_of_nine_bits_stay_one_projection(exponent: int) -> None:
    """Loihi's own 8-bit weights of mixed sign, -256, -254, ..., 254."""
    weight = np.arange(-256, 256, 2).reshape(2, -1)
    (part,) = split(projection(weight, exponent=exponent))
    assert part.exponent == exponent + 1
    np.testing.assert_array_equal(part.synapse.weight.astype(int) * 2, weight)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("synapse", ["dense", "conv", "sparse"])
def test_both_parts_have_the_sign_of_the_weights(synapse: str, sign: int) -> None:
    """All 9 bits: so an excitatory projection has excitatory parts, and the bounds of the parts add up to its own."""
    weight = sign * np.arange(256).reshape(16, 16)
    kinds: dict[str, Any] = {
        "dense": ns.Dense(weight),
        "conv": ns.Conv2d(weight.reshape(16, 1, 4, 4)),
        "sparse": ns.Sparse.from_dense(weight),
    }
    low, high = split(projection(None, synapse=kinds[synapse]))
    assert (low.exponent, high.exponent) == (0, 1)
    assert type(low.synapse) is type(high.synapse) is type(kinds[synapse])
    assert (low.synapse.weight * sign >= 0).all()
    assert (high.synapse.weight * sign >= 0).all()
    if synapse != "conv":
        np.testing.assert_array_equal(matrix(low.synapse) + 2 * matrix(high.synapse), weight)
    network = ns.Network(
        [ns.Population("in", (256,)), ns.Population("out", (1,), ns.FixedReadout())],
        [projection(sign * np.arange(256)[None])],
    )
    assert network.accumulator_bound("out") == 255 * 128


@pytest.mark.parametrize("exponent", [-7, -3, -1, 0, 6])
def test_nine_bits_fit_where_the_precision_says_so(exponent: int) -> None:
    assert len(split(projection([[255, -256, 1]], exponent=exponent))) == 2
    low, high = ns.Precision.lava(9).exponent_range()
    assert low <= exponent <= high


@pytest.mark.parametrize(
    ("weight", "exponent", "message"),
    [
        ([[255]], 7, "needs an exponent of 8 for its part beyond 8 bits; at most 7 is allowed"),
        ([[255, -256]], -8, "with exponent -8; two projections of 8 bits hold up to"),
        ([[16384, 1]], 0, r"projection in->out: weight: got 1\.\.16384 with exponent 0; two projections"),
        ([[254]], 7, "needs an exponent of 8"),
        ([[2**13 + 1]], 2, "needs an exponent of 9"),
    ],
)
def test_what_two_projections_cannot_hold_is_refused(weight: Any, exponent: int, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        split(projection(weight, exponent=exponent))


def test_each_delay_has_its_synapses_and_no_others() -> None:
    """A row without synapses, a delay without any but zeros, and zeros among others: operations count real synapses."""
    weight = np.array([[3, 0, -2], [0, 0, 0], [0, 5, 0]])
    delay = np.array([[1, 4, 2], [1, 2, 1], [1, 1, 1]])
    one, two = split(projection(weight, delay=delay))
    assert (one.delay, two.delay) == (1, 2)
    np.testing.assert_array_equal(matrix(one.synapse), [[3, 0, 0], [0, 0, 0], [0, 5, 0]])
    np.testing.assert_array_equal(matrix(two.synapse), [[0, 0, -2], [0, 0, 0], [0, 0, 0]])
    assert (one.synapse.weight.size, two.synapse.weight.size) == (2, 1)


def test_weights_of_zero_alone_keep_one_projection() -> None:
    (part,) = split(projection([[0, 0]], delay=np.array([[3, 2]])))
    assert (part.delay, part.synapse.weight.size) == (2, 0)


def test_a_convolution_has_one_delay() -> None:
    weight = np.ones((1, 1, 2, 1))
    with pytest.raises(NetworkError, match="delay: per synapse needs Dense or Sparse synapses, not shared weights"):
        split(projection(None, synapse=ns.Conv2d(weight), delay=np.array([1, 2]).reshape(weight.shape)))


@pytest.mark.parametrize("backend", ["reference", "event"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "conv"])
def test_back_ends_add_the_parts_exactly(kind: str, backend: str) -> None:
    """A readout's membrane after weights of 9 bits, with a delay per synapse (not Conv2d), against a plain loop."""
    rng = np.random.default_rng([8, ["dense", "sparse", "conv"].index(kind)])
    x = rng.integers(0, 2, (7, 2, 3, 4, 4))
    if kind == "conv":
        synapse: Any = ns.Conv2d(rng.integers(-256, 256, (2, 3, 4, 4)))
        weight, delay = synapse.weight.reshape(2, -1).astype(int), np.ones((2, 48), int)
    else:
        weight = rng.integers(-256, 256, (2, 48)) * (rng.random((2, 48)) < 0.7)
        delay = rng.integers(1, 4, weight.shape)
        synapse = ns.Dense(weight) if kind == "dense" else ns.Sparse.from_dense(weight)
    given_delay: Any = 1 if kind == "conv" else delay if kind == "dense" else delay[np.nonzero(weight)]
    shape = (2, 1, 1) if kind == "conv" else (2,)
    network = ns.Network(
        [ns.Population("in", (3, 4, 4)), ns.Population("out", shape, ns.FixedReadout())],
        [projection(None, synapse=synapse, delay=given_delay, exponent=2)],
        precision=ns.Precision.lava(9),
    )
    recording = ns.run(network, ns.Events.from_dense(x), backend, ns.Record(membrane=("out",)))
    for sample in range(2):
        a = loop(weight, delay - delay.min(), 2, x[:, sample].reshape(7, -1))
        membrane = recording.membrane["out"][:, sample].reshape(7, 2)
        np.testing.assert_array_equal(membrane, np.cumsum(a << 6, axis=0).astype(int))
    if kind == "sparse":  # as many operations as a spike has synapses, those of both parts
        expected = 0
        for part in network.projections:
            arrived = x.reshape(7, 2, -1)[: 7 - network.lag(part)].sum(axis=(0, 1))
            expected += int((arrived * np.count_nonzero(matrix(part.synapse), axis=0)).sum())
        assert recording.operations["in->out"] == expected
        entries = sum(part.synapse.weight.size for part in network.projections)
        assert entries == np.count_nonzero(weight % 2) + np.count_nonzero(np.abs(weight) > 1)


def test_a_split_network_is_plain_and_stays_as_it_is() -> None:
    """Its projections are parts; a network made of them again has the same ones."""
    network = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedReadout())],
        [projection([[255, -7]], delay=np.array([[1, 2]]))],
    )
    assert len(network.projections) == 3
    assert replace(network) == network
