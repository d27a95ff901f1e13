"""Recordings become steps and neurons as a slow oracle has it, whole and in chunks; what does not fit is named."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import EventError
from neurosam.formats.events import EventRules, Tally, chunks, from_array, from_dataset
from neurosam.formats.events.source import Block, Source

DTYPE = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]
SENSOR = (12, 8)


def random_events(seed: int = 0, size: int = 400, span: int = 5000) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    events = np.zeros(size, DTYPE)
    events["t"] = np.sort(rng.integers(0, span, size)) + 1_000_000
    events["x"], events["y"] = rng.integers(0, SENSOR[0], size), rng.integers(0, SENSOR[1], size)
    events["p"] = rng.random(size) < 0.5
    return events


def source(events: np.ndarray[Any, Any], blocks: int = 7) -> Source:
    """The events in several blocks of a sensor of known size."""

    def read() -> Iterator[Block]:
        for part in np.array_split(events, blocks):
            yield Block(part["t"], part["x"], part["y"], part["p"])

    return Source("test", read, "us", SENSOR)


def oracle(events: np.ndarray[Any, Any], shape: tuple[int, int, int], rules: EventRules) -> np.ndarray[Any, Any]:
    """The dense input of one sample, event by event, in plain Python."""
    channels, height, width = shape
    factor = rules.downsample
    first = int(events["t"].min()) if rules.start_us is None else rules.start_us
    span = int(events["t"].max()) + 1 - first
    corner = {"": (0, 0), "centre": ((SENSOR[0] - width * factor) // 2, (SENSOR[1] - height * factor) // 2)}
    left, top = rules.crop if isinstance(rules.crop, tuple) else corner[rules.crop]
    pixels: Counter[tuple[int, int, int, int]] = Counter()
    latest = 0
    for x, y, t, on in events.tolist():
        step = (t - first) // rules.dt_us if rules.dt_us else (t - first) * (rules.steps or 0) // span
        latest = max(latest, step)
        if not (0 <= x - left < width * factor and 0 <= y - top < height * factor) or step < 0:
            continue
        if rules.polarity == "on" and not on:
            continue
        pixels[step, int(on) if channels == 2 else 0, y - top, x - left] += (
            -1 if rules.polarity == "signed" and not on else 1
        )
    total = rules.steps or latest + 1
    out = np.zeros((total, *shape), dtype=np.int64)
    for (step, channel, y, x), value in pixels.items():
        if step < total:
            out[step, channel, y // factor, x // factor] += np.sign(value) if rules.coincident == "clip" else value
    return np.sign(out) if rules.pooling == "any" and factor > 1 else out


CASES = {
    "steps of 100 us": ((2, 8, 12), EventRules(dt_us=100)),
    "clipped": ((2, 8, 12), EventRules(dt_us=500, coincident="clip")),
    "so many steps, later ones left out": ((2, 8, 12), EventRules(dt_us=100, steps=20)),
    "so many steps, then silence": ((2, 8, 12), EventRules(dt_us=100, steps=80)),
    "windows of the whole duration": ((2, 8, 12), EventRules(steps=7)),
    "absolute start, with early events": ((2, 8, 12), EventRules(dt_us=300, start_us=1_001_000)),
    "start before the first event": ((2, 8, 12), EventRules(dt_us=300, start_us=999_000)),
    "one channel": ((1, 8, 12), EventRules(dt_us=300, polarity="one")),
    "signed": ((1, 8, 12), EventRules(dt_us=800, polarity="signed")),
    "signed and clipped": ((1, 8, 12), EventRules(dt_us=800, polarity="signed", coincident="clip")),
    "on alone": ((1, 8, 12), EventRules(dt_us=300, polarity="on")),
    "down-sampled, added up": ((2, 4, 6), EventRules(dt_us=300, downsample=2)),
    "down-sampled, active pixels": ((2, 4, 6), EventRules(dt_us=300, downsample=2, coincident="clip")),
    "down-sampled, any": ((1, 2, 3), EventRules(dt_us=300, downsample=4, polarity="signed", pooling="any")),
    "centre": ((2, 4, 4), EventRules(dt_us=300, crop="centre")),
    "centre of a larger view": ((2, 10, 14), EventRules(dt_us=300, crop="centre")),
    "corner, down-sampled": ((2, 3, 2), EventRules(dt_us=300, crop=(5, 1), downsample=2)),
}


@pytest.mark.parametrize("name", CASES)
def test_whole_and_in_chunks_as_the_oracle(name: str) -> None:
    shape, rules = CASES[name]
    events = random_events()
    expected = oracle(events, shape, rules)
    tally = Tally()
    whole = from_array(events, shape, replace(rules, sensor=SENSOR), tally=tally)
    assert np.array_equal(whole.dense()[:, 0], expected)
    assert tally.read == 400
    if rules.coincident == "add" and rules.polarity != "signed":
        assert tally.read - tally.outside - tally.early - tally.late == expected.sum()
    for length in (1, 3, 1000):
        parts = list(chunks(source(events), shape, rules, length))
        assert all(part.steps == length for part in parts[:-1])
        assert np.array_equal(np.concatenate([part.dense()[:, 0] for part in parts]), expected)


def test_what_is_left_out_is_counted() -> None:
    tally = Tally()
    rules = EventRules(dt_us=1000, steps=1, start_us=10, crop=(0, 0))
    events = np.array([(0, 0, 5, 1), (0, 0, 10, 1), (0, 0, 11, 1), (3, 0, 12, 1), (0, 0, 1010, 1)], DTYPE)
    assert from_array(events, (2, 1, 1), rules, tally=tally).dense().ravel().tolist() == [0, 2]
    assert (tally.read, tally.early, tally.outside, tally.late, tally.joined) == (5, 1, 1, 1, 1)
    assert str(tally) == (
        "5 events, of which 1 outside of the view, 1 before the start, 1 after the last step, 1 joined with another of "
        "their step and pixel"
    )


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")], (1500, 2, 1, True)),
        ([("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")], (1500, 2, 1, 1)),
        ([("ts", "<u4"), ("X", "<u2"), ("Y", "<u2"), ("Pol", "<i4")], (1500, 2, 1, 1)),
        ([("x", "<f4"), ("y", "<f4"), ("t", "<i8"), ("p", "<f4")], (2, 1, 1500, 1)),
    ],
)
def test_layouts_by_their_names(dtype: Any, value: Any) -> None:
    events = from_array(np.array([value], dtype), (2, 2, 3), EventRules(dt_us=1000, start_us=0))
    assert [tuple(i) for i in np.argwhere(events.dense()).tolist()] == [(1, 0, 1, 1, 2)]


@pytest.mark.parametrize(
    ("t", "unit", "step"),
    [
        ([0.0, 0.0031], "s", 3), ([0.0, 3.1], "ms", 3), ([0.0, 3999.7], "us", 4), ([0, 3_100_000], "ns", 3),
        ([0, 3], "ms", 3), ([0, 3], "step", 3),
    ],
)  # fmt: skip
def test_units(t: Any, unit: str, step: int) -> None:
    rules = EventRules(dt_us=None if unit == "step" else 1000, unit=unit)
    events = from_array({"t": np.array(t), "x": np.array([0, 0])}, (2, 1, 1), rules)
    assert events.steps == step + 1
    assert events.time[-1] == step


def plain(t: Any, x: Any = 0, y: Any = 0, p: Any = 1) -> dict[str, Any]:
    t = np.asarray(t)
    return {
        "t": t,
        "x": np.broadcast_to(x, t.shape),
        "y": np.broadcast_to(y, t.shape),
        "p": np.broadcast_to(p, t.shape),
    }


DT = EventRules(dt_us=1000)


@pytest.mark.parametrize(
    ("events", "shape", "rules", "message"),
    [
        (plain([5, 3_000_000_000]), (2, 1, 1), EventRules(unit="step"), "look like microseconds: give dt_us"),
        (plain([5, 200_000]), (2, 1, 1), EventRules(unit="step", steps=50), "look like microseconds: give dt_us"),
        (plain([5, 90, 7]), (2, 1, 1), DT, "time runs backwards at event 2: from 90 to 7 us; sort the events"),
        (plain([0.5, 1.5]), (2, 1, 1), DT, "times in float64; say their unit: unit='s'"),
        (plain([0.5, np.nan]), (2, 1, 1), replace(DT, unit="s"), "event 1 is at time nan"),
        (plain(np.array([1, 2**63], np.uint64)), (2, 1, 1), DT, r"at most 2\^63 - 1"),
        (plain([0, 2**60]), (2, 1, 1), DT, "the recording is damaged, or its unit another one"),
        (plain([0, 10**11]), (2, 1, 1), DT, "jumps by 100000000 steps near event 0: the recording is damaged"),
        (plain([1.7e15]), (2, 1, 1), replace(DT, unit="us", start_us=0), "its clock starts elsewhere"),
        (plain([5], x=12), (2, 8, 12), replace(DT, sensor=(12, 8)), "event at x = 12, y = 0, beyond its sensor"),
        (plain([5], x=-1), (2, 8, 12), DT, "event 0 has x = -1; pixels count from 0"),
        (plain([5], p=2), (2, 8, 12), DT, "has the polarity 2; allowed are 0 and 1, -1 and 1"),
        (plain([5], x=1.5), (2, 8, 12), DT, "fractions in column 'x'"),
        (plain([5]), (2, 240, 180), replace(DT, sensor=(240, 180)), "width and height are swapped"),
        (plain([5], x=239), (2, 240, 180), DT, r"has 240 x 1 pixels .*swapped: shapes are \(C, H, W\)"),
        (plain([5]), (2, 34, 34), replace(DT, sensor=(128, 128)), "crop='centre'"),
        (plain([5]), (2, 32, 32), replace(DT, sensor=(128, 128)), "downsample=4"),
        (plain([5], x=40), (2, 34, 34), DT, "has 41 x 1 pixels .*crop='centre'"),
        (plain([5]), (2, 34, 34), replace(DT, crop="centre"), "does not say how large its sensor is"),
        (plain([5]), (1, 34, 34), DT, "gives 2 channels; the input .* has 1: choose the polarity one, signed"),
        (plain([5]), (2, 34, 34), replace(DT, polarity="one"), "gives 1 channel; .* has 2: choose the polarity two"),
        (plain([5]), (3, 34, 34), DT, "events have at most two"),
        (plain([5]), (100,), DT, "does not say how large its sensor is, which an input of shape"),
        (plain([5]), (100,), replace(DT, sensor=(5, 5)), "has 2 x 5 x 5 inputs .* the input has 100"),
        (plain([]), (2, 1, 1), DT, "holds no events"),
        ({"t": np.zeros(2), "y": np.zeros(2)}, (2, 1, 1), DT, "has no column 'x'"),
        ({"t": np.zeros(2, int), "x": np.zeros(3, int)}, (2, 1, 1), DT, "columns of shapes"),
        (np.zeros((5, 4), int), (2, 1, 1), DT, "give their order, as in columns='txyp'"),
        (np.zeros((5, 4), int), (2, 1, 1), replace(DT, columns="txy"), r"columns 'txy' need \(N, 3\)"),
        (np.zeros(5, [("a", int), ("b", int)]), (2, 1, 1), DT, "has fields a, b"),
    ],
)  # fmt: skip
def test_recordings_that_do_not_fit_are_refused(events: Any, shape: Any, rules: EventRules, message: str) -> None:
    with pytest.raises(EventError, match=message):
        from_array(events, shape, rules)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither dt_us nor steps"),
        ({"dt_us": 0}, "dt_us"),
        ({"dt_us": 0.5}, "dt_us"),
        ({"dt_us": 1000, "unit": "step"}, "steps already"),
        ({"dt_us": 1, "polarity": "both"}, "polarity"),
        ({"dt_us": 1, "crop": "left"}, "crop"),
        ({"dt_us": 1, "sensor": (0, 5)}, "sensor"),
        ({"dt_us": 1, "columns": "tt"}, "'txyp'"),
    ],
)
def test_rules_out_of_range_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(EventError, match=message):
        EventRules(**arguments)


def test_rules_as_metadata() -> None:
    rules = EventRules(dt_us=500, crop=(3, 4), sensor=(64, 48), polarity="signed", start_us=-7)
    assert EventRules.from_metadata(rules.to_metadata() | {"steps": "3"}) == rules
    assert EventRules.from_metadata({}) is None
    for text in ("{", "[1]", '{"dt": 3}', '{"dt_us": "x"}', "[" * 100_000):
        with pytest.raises(EventError):
            EventRules.from_metadata({"event_rules": text})


def test_disorder_is_sorted_on_request() -> None:
    events = random_events()
    mixed = np.random.default_rng(1).permutation(events)
    rules = EventRules(dt_us=100, order="sort", sensor=SENSOR)
    expected = from_array(events, (2, 8, 12), rules).dense()
    assert np.array_equal(from_array(mixed, (2, 8, 12), rules).dense(), expected)
    near = events.copy()
    near[10:40] = near[10:40][::-1]
    parts = [part.dense() for part in chunks(source(near), (2, 8, 12), rules, 5)]
    assert np.array_equal(np.concatenate(parts), expected)
    with pytest.raises(EventError, match="goes back in time by more than 5 steps"):
        list(chunks(source(mixed), (2, 8, 12), rules, 5))


def test_a_flat_input_takes_channels_rows_and_columns_in_this_order() -> None:
    rules = EventRules(dt_us=1000, sensor=SENSOR)
    flat = from_array(random_events(), (192,), rules)
    assert flat.shape == (192,)
    assert np.array_equal(flat.dense(), from_array(random_events(), (2, 8, 12), rules).dense().reshape(-1, 1, 192))


def test_several_arrays_become_samples() -> None:
    arrays = [random_events(0), random_events(1, span=2000)]
    rules = EventRules(dt_us=100, sensor=SENSOR)
    events = from_array(arrays, (2, 8, 12), rules)
    assert events.samples == 2
    for i, array in enumerate(arrays):
        alone = from_array(array, (2, 8, 12), rules).dense()[:, 0]
        assert np.array_equal(events.dense()[: len(alone), i], alone)
        assert not events.dense()[len(alone) :, i].any()


class Frames:
    """A data set whose transform makes frames."""

    sensor_size = (3, 2, 2)

    def __getitem__(self, i: int) -> tuple[np.ndarray[Any, Any], int]:
        return np.full((4, 2, 2, 3), i, np.int16), i


def test_data_sets_of_frames_and_what_is_none() -> None:
    events, targets = from_dataset(Frames(), (2, 2, 3), DT, indices=[1, 2])
    assert events.dense().shape == (4, 2, 2, 2, 3)
    assert events.magnitude == 2
    assert targets.tolist() == [1, 2]
    with pytest.raises(EventError, match="got list; an object with sensor_size"):
        from_dataset([], (2, 2, 3), DT)
    with pytest.raises(EventError, match=r"sample 1: have shape \(2, 2, 3\); the input has \(2, 3, 2\)"):
        from_dataset(Frames(), (2, 3, 2), DT, indices=[1])


def test_memory_is_that_of_a_chunk() -> None:
    """A recording of a million events, 20 MB in memory, is never there as a whole."""

    def read() -> Iterator[Block]:
        rng = np.random.default_rng(0)
        for i in range(100):
            t = np.sort(rng.integers(0, 100_000, 10_000)) + i * 100_000
            yield Block(t, rng.integers(0, 16, 10_000), rng.integers(0, 16, 10_000), rng.random(10_000) < 0.5)

    long = Source("long", read, "us", (16, 16))
    tracemalloc.start()
    total = 0
    for part in chunks(long, (2, 16, 16), EventRules(dt_us=1000), 50):
        total += int(part.value.sum()) if part.value is not None else len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 1_000_000
    assert peak < 5_000_000


def test_arrays_that_are_no_events_are_answered() -> None:
    columns = {"sample": [0, 0], "neuron": [0, 0], "samples": 1, "shape": (1,)}
    with pytest.raises(EventError, match=r"steps: got 3000000001; .* look like microseconds: give dt_us"):
        ns.Events.from_unsorted(np.array([5, 3 * 10**9]), steps=3 * 10**9 + 1, **columns)  # type: ignore[arg-type]
    with pytest.raises(EventError, match=r"got 311176; allowed is 0\.\.99; these look like microseconds: give dt_us"):
        ns.Events.from_unsorted(np.array([5, 311_176]), steps=100, **columns)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="2 events in 311177 steps: these look like microseconds: give dt_us"):
        ns.Events.from_unsorted(np.array([5, 311_176]), steps=311_177, **columns)  # type: ignore[arg-type]
    with pytest.raises(EventError, match="a column of integers is required; for times in seconds"):
        ns.Events.from_unsorted(np.array([0.5, 1.5]), steps=2, **columns)  # type: ignore[arg-type]
    with pytest.raises(
        EventError, match=r"a structured array of events needs rules: neurosam\.formats\.events\.from_array"
    ):
        ns.Events.from_dense(random_events())
    with pytest.raises(EventError, match=r"without a sample axis, give x\[:, None\]"):
        ns.Events.from_dense(np.ones((5, 2, 4, 4), np.uint8))
    net = ns.Network(
        [ns.Population("in", (1, 2, 3)), ns.Population("out", (1,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 6), int)))],
    )
    with pytest.raises(EventError, match="height and width are swapped"):
        ns.run(net, ns.Events.from_dense(np.ones((2, 1, 1, 3, 2))))
    with pytest.raises(EventError, match=r"got ndarray; Events are required: Events.from_dense\(x\)"):
        ns.run(net, np.ones((2, 1, 1, 2, 3)))  # type: ignore[arg-type]
    with pytest.raises(EventError, match="coincident='clip'"):
        ns.run(net, ns.Events.from_dense(np.full((2, 1, 1, 2, 3), 3)))
