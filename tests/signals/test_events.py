"""Events: what is refused, what is added up, dense round trips, and encodings that depend on their seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import neurosam as ns
from neurosam.errors import EventError
from neurosam.signals.events import CODINGS


def make(time: Any, sample: Any, neuron: Any, value: Any = None) -> ns.Events:
    """Events of 4 steps, 2 samples and shape (2, 1, 3)."""
    t, b, k = (np.array(column, dtype=np.int64) for column in (time, sample, neuron))
    return ns.Events(t, b, k, 4, 2, (2, 1, 3), None if value is None else np.array(value))


def test_sorted_events_are_taken_as_they_are() -> None:
    events = make([0, 0, 0, 3], [0, 0, 1, 0], [1, 5, 0, 0])
    assert len(events) == 4
    assert {column.dtype.name for column in (events.time, events.sample, events.neuron)} == {"int32"}
    assert events.counts().tolist() == [[2, 1], [0, 0], [0, 0], [1, 0]]
    assert events.magnitude == 1
    with pytest.raises(ValueError, match="read-only"):
        events.time[0] = 1


@pytest.mark.parametrize(
    ("time", "sample", "neuron", "message"),
    [
        ([1, 0], [0, 0], [0, 0], "event 1 comes before event 0; sort them, or use Events.from_unsorted"),
        ([0, 0], [1, 0], [0, 0], "event 1 comes before event 0"),
        ([0, 0, 0], [0, 0, 0], [1, 2, 0], "event 2 comes before event 1"),
        ([0, 2, 2], [0, 1, 1], [0, 4, 4], "event 2 repeats event 1; Events.from_unsorted adds repeated events up"),
        ([4], [0], [0], r"time: got 4; allowed is 0\.\.3"),
        ([-1], [0], [0], r"time: got -1; allowed is 0\.\.3"),
        ([0], [2], [0], r"sample: got 2; allowed is 0\.\.1"),
        ([0], [0], [6], r"neuron: got 6; allowed is 0\.\.5"),
        ([0], [0], [-6], r"neuron: got -6; allowed is 0\.\.5"),
        ([0, 1], [0], [0], "columns of different length"),
        ([[0]], [0], [0], "a column of integers is required"),
    ],
)
def test_events_that_do_not_fit_are_refused(time: Any, sample: Any, neuron: Any, message: str) -> None:
    with pytest.raises(EventError, match=message):
        make(time, sample, neuron)


def test_fractional_columns_are_refused() -> None:
    with pytest.raises(EventError, match="got float64"):
        ns.Events(np.array([0.0]), np.array([0]), np.array([0]), 1, 1, (1,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2.0], "one number for each of 1 events"),
        ([np.nan], "NaN or infinite"),
        ([-np.inf], "NaN or infinite"),
        ([2**31], "allowed is"),
        (["one"], "one number for each"),
    ],
)
def test_impossible_values_are_refused(value: Any, message: str) -> None:
    with pytest.raises(EventError, match=message):
        make([0], [0], [0], value)


@pytest.mark.parametrize(
    ("steps", "samples", "shape", "named"),
    [
        (0, 1, (1,), "steps: got 0; allowed is 1"),
        (2**31, 1, (1,), "steps: got 2147483648; allowed is 1.*microseconds"),
        (3.0, 1, (1,), "steps: got 3.0; an integer"),
        (True, 1, (1,), "steps: got True; an integer"),
        ("3", 1, (1,), "steps: got '3'; an integer"),
        (1, -1, (1,), "samples: got -1; allowed is 0"),
        (1, 1.0, (1,), "samples: got 1.0; an integer"),
        (1, 1, (2.7,), "shape: got 2.7; an integer"),
        (1, 1, 2, "shape: got 2; integers are required"),
    ],
)
def test_impossible_extents_are_refused(steps: Any, samples: Any, shape: Any, named: str) -> None:
    empty = np.zeros(0, dtype=np.int64)
    with pytest.raises(EventError, match=named):
        ns.Events(empty, empty, empty, steps, samples, shape)
    with pytest.raises(EventError, match=named):
        ns.Events.from_unsorted(empty, empty, empty, steps=steps, samples=samples, shape=shape)


def test_extents_become_python_integers() -> None:
    empty = np.zeros(0, dtype=np.int64)
    events = ns.Events(empty, empty, empty, np.int64(3), np.int32(2), [np.int8(4)])  # type: ignore[arg-type]
    assert (events.steps, events.samples, events.shape) == (3, 2, (4,))
    assert {type(n) for n in (events.steps, events.samples, *events.shape)} == {int}


@pytest.mark.parametrize("name", ["steps", "seed", "first", "magnitude"])
def test_numbers_of_an_encoding_are_integers(name: str) -> None:
    with pytest.raises(EventError, match=f"encode: {name}: got 3.5; an integer"):
        ns.encode(np.zeros((1, 2), np.uint8), **{"steps": 4, name: 3.5})  # type: ignore[arg-type]


def test_extents_beyond_one_key_are_refused() -> None:
    one = np.array([2**31 - 2])
    with pytest.raises(EventError, match=r"exceeds 2\^62"):
        ns.Events(one, one, one, 2**31 - 1, 2**31 - 1, (2**31 - 1,))


def test_from_unsorted_sorts_and_adds_up() -> None:
    events = ns.Events.from_unsorted([3, 0, 3, 0], [0, 1, 0, 0], [2, 1, 2, 5], steps=4, samples=2, shape=(2, 1, 3))
    assert events.time.tolist() == [0, 0, 3]
    assert events.sample.tolist() == [0, 1, 0]
    assert events.neuron.tolist() == [5, 1, 2]
    assert events.value is not None
    assert events.value.tolist() == [1, 1, 2]
    assert events.magnitude == 2


def test_from_unsorted_keeps_plain_spikes_plain() -> None:
    assert ns.Events.from_unsorted([1, 0], [0, 0], [0, 0], steps=2, samples=1, shape=(1,)).value is None


def test_from_unsorted_adds_values_in_their_own_kind() -> None:
    where: dict[str, Any] = {"steps": 1, "samples": 1, "shape": (2,)}
    whole = ns.Events.from_unsorted([0, 0], [0, 0], [1, 1], value=[-5, 3], **where)
    real = ns.Events.from_unsorted([0, 0], [0, 0], [1, 1], value=[0.5, 0.25], **where)
    assert whole.value is not None
    assert real.value is not None
    assert (whole.value.tolist(), whole.value.dtype.name) == ([-2], "int32")
    assert (real.value.tolist(), real.value.dtype.name) == ([0.75], "float64")
    assert real.magnitude == 0.75


@given(
    x=hnp.arrays(np.int32, hnp.array_shapes(min_dims=5, max_dims=5, max_side=4), elements=st.integers(-3, 3))
    | hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 1))
    | hnp.arrays(np.float64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4), elements=st.floats(-2, 2, width=16))
)
def test_dense_round_trip(x: np.ndarray[Any, Any]) -> None:
    events = ns.Events.from_dense(x)
    np.testing.assert_array_equal(events.dense(), x)
    np.testing.assert_array_equal(events.counts(), np.count_nonzero(x.reshape(*x.shape[:2], -1), axis=2))
    assert events.magnitude == np.abs(x).max(initial=0)
    order = np.random.default_rng(0).permutation(len(events))
    again = ns.Events.from_unsorted(
        events.time[order], events.sample[order], events.neuron[order], steps=events.steps, samples=events.samples,
        shape=events.shape, value=None if events.value is None else events.value[order],
    )  # fmt: skip
    np.testing.assert_array_equal(again.dense(), x)


@pytest.mark.parametrize("x", [np.zeros((2, 2)), np.zeros((2, 2, 2, 2)), np.zeros((1, 1, 1), dtype=complex)])
def test_dense_input_of_another_kind_is_refused(x: Any) -> None:
    with pytest.raises(EventError, match="are required"):
        ns.Events.from_dense(x)


def test_no_samples_are_samples_too() -> None:
    events = ns.Events.from_dense(np.zeros((3, 0, 2, 1, 1)))
    assert (events.steps, events.samples, len(events), events.magnitude) == (3, 0, 0, 0)
    assert events.counts().shape == (3, 0)
    assert events.dense().shape == (3, 0, 2, 1, 1)


def test_select_is_a_slice_of_samples() -> None:
    x = np.random.default_rng(0).integers(0, 3, (4, 5, 6))
    events = ns.Events.from_dense(x)
    for start, stop in ((0, 5), (1, 3), (2, 2), (4, 9)):
        np.testing.assert_array_equal(events.select(start, stop).dense(), x[:, start:stop])
    for start, stop in ((3, 2), (6, 7)):
        with pytest.raises(EventError, match="a range within 0:5"):
            events.select(start, stop)
    with pytest.raises(EventError, match="start: got -1; allowed is 0"):
        events.select(-1, 2)


# --- encodings ---


def images(seed: int = 0, batch: int = 6) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).random((batch, 2, 3, 4), dtype=np.float32)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_seed_gives_the_same_events_and_a_batch_is_its_images_one_by_one(coding: str) -> None:
    x = images()
    whole = ns.encode(x, 9, coding, seed=3)
    np.testing.assert_array_equal(whole.dense(), ns.encode(x, 9, coding, seed=3).dense())
    assert (whole.steps, whole.samples, whole.shape) == (9, 6, (2, 3, 4))
    for i in range(len(x)):
        one = ns.encode(x[i : i + 1], 9, coding, seed=3, first=i)
        np.testing.assert_array_equal(one.dense()[:, 0], whole.dense()[:, i])
    flat = ns.encode(x.reshape(6, -1), 9, coding, seed=3)
    np.testing.assert_array_equal(flat.dense(), whole.dense().reshape(9, 6, -1))


@pytest.mark.parametrize("coding", ["poisson", "poisson_signed"])
def test_another_seed_gives_other_spikes(coding: str) -> None:
    assert not np.array_equal(
        ns.encode(images(), 9, coding, seed=0).dense(), ns.encode(images(), 9, coding, seed=1).dense()
    )


def test_poisson_spikes_with_the_probability_of_the_pixel() -> None:
    x = np.array([[0.0, 0.1, 0.5, 1.0]])
    events = ns.encode(x, 4000, "poisson")
    rate = events.dense()[:, 0].mean(axis=0)
    assert events.value is None
    assert rate[0] == 0
    assert rate[3] == 1
    assert rate[1:3] == pytest.approx([0.1, 0.5], abs=5 * np.sqrt(0.25 / 4000))  # five standard deviations


def test_signed_poisson_halves_and_keeps_the_sign() -> None:
    x = np.array([[-3.0, -1.0, 0.0, 0.5, 2.0]])
    dense = ns.encode(x, 4000, "poisson_signed").dense()[:, 0]
    assert dense.dtype == np.int32
    assert dense.mean(axis=0) == pytest.approx([-1, -0.5, 0, 0.25, 1], abs=5 * np.sqrt(0.25 / 4000))
    assert set(np.unique(dense)) == {-1, 0, 1}


def test_latency_spikes_once_and_bright_pixels_first() -> None:
    dense = ns.encode(np.array([[0.0, 1.0, 0.5, 0.01]]), 11, "latency").dense()[:, 0]
    assert dense.sum(axis=0).tolist() == [0, 1, 1, 1]
    assert dense.argmax(axis=0).tolist() == [0, 0, 5, 10]


def test_direct_repeats_the_image() -> None:
    x = images(batch=2) - 0.5
    events = ns.encode(x, 3, "direct")
    for step in events.dense():
        np.testing.assert_array_equal(step, x.astype(np.float64))


def test_direct_with_a_magnitude_gives_the_bytes() -> None:
    x = np.array([[0, 1, 51, 255]], dtype=np.uint8)
    for image in (x, x / 255):
        events = ns.encode(image, 2, "direct", magnitude=255)
        assert events.value is not None
        assert events.value.dtype == np.int32
        np.testing.assert_array_equal(events.dense(), [x, x])
    with pytest.raises(EventError, match="magnitude: got 255 with 'poisson'"):
        ns.encode(x, 2, "poisson", magnitude=255)


def test_bytes_are_fractions_of_255() -> None:
    x = np.array([[0, 51, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(
        ns.encode(x, 50, "poisson").dense(), ns.encode(x.astype(np.float32) / np.float32(255), 50, "poisson").dense()
    )


@pytest.mark.parametrize("coding", CODINGS)
def test_no_images_are_no_events(coding: str) -> None:
    events = ns.encode(np.zeros((0, 1, 2, 2), dtype=np.uint8), 3, coding)
    assert (events.samples, len(events), events.shape) == (0, 0, (1, 2, 2))


@pytest.mark.parametrize(
    ("x", "steps", "coding", "message"),
    [
        (np.zeros((2, 2, 2)), 1, "poisson", r"images \(B, C, H, W\) or \(B, N\) are required"),
        (np.zeros((2, 2), dtype=np.int64), 1, "poisson", "got int64"),
        (np.zeros((2, 2)), 0, "poisson", "steps: got 0"),
        (np.zeros((2, 2)), 1, "morse", "allowed are poisson, poisson_signed, latency, direct"),
        (np.full((2, 2), np.nan), 1, "direct", "NaN or infinite"),
        (np.full((2, 2), 1.5), 1, "poisson", r"'poisson' needs \[0, 1\]"),
        (np.full((2, 2), -0.5), 1, "latency", r"'latency' needs \[0, 1\]"),
    ],
)
def test_images_that_cannot_be_encoded_are_refused(x: Any, steps: int, coding: str, message: str) -> None:
    with pytest.raises(EventError, match=message):
        ns.encode(x, steps, coding)
