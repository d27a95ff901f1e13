"""Maps from spikes against the definition and plain integers; images from maps against torch and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam import backends
from neurosam.backends import registry
from neurosam.errors import NetworkError, NeurosamError
from neurosam.explain.sam import SAM, aggregate, from_spikes, normalise, overlay, upsample
from neurosam.network.trace import MODES, FixedSamTrace, SamTrace
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes
from support.networks import random_case
from support.oracle import simulate

Array = npt.NDArray[Any]


def train(seed: int = 0, shape: tuple[int, ...] = (14, 2, 3, 4, 5), rate: float = 0.4) -> Array:
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def definition(spikes: Array, gamma: float, mode: str) -> Array:
    """Eq. 12-14 and the formula of the released code: a sum over all steps up to each spike, without a trace."""
    steps, samples, _, height, width = spikes.shape
    out = np.zeros((steps, samples, height, width))
    for t, b, c, y, x in np.argwhere(spikes):
        s = spikes[:, b, c, y, x]
        if mode == "official":
            score = sum(math.exp(-gamma * (t - int(s[e]) * e)) for e in range(t + 1))
        else:
            last = t if mode == "strict" else t + 1
            score = sum(math.exp(-gamma * abs(t - e)) for e in range(last) if s[e])
        out[t, b, y, x] += score
    return out


def integers(spikes: Array, trace: FixedSamTrace) -> Array:
    """The integer trace, neuron by neuron, in Python's integers."""
    table, shift, impulse = [int(k) for k in trace.table], trace.shift, trace.impulse
    steps, samples, channels, height, width = spikes.shape
    out = np.zeros((steps, samples, height, width), dtype=np.int64)
    for b, c, y, x in np.ndindex(samples, channels, height, width):
        held, last, count = 0, 0, 0
        for t in range(steps):
            if not spikes[t, b, c, y, x]:
                continue
            count += 1
            decayed = held * table[min(t - last, len(table) - 1)] // 2**shift
            score = decayed if trace.mode == "strict" else decayed + impulse
            if trace.mode == "official":
                score += (t + 1 - count) * impulse * table[min(t, len(table) - 1)] // 2**shift
            held, last = decayed + impulse, t
            out[t, b, y, x] += score
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 3.0])
def test_float_maps_are_the_definition(mode: str, gamma: float) -> None:
    spikes = train()
    maps = from_spikes(spikes, SamTrace(gamma, mode))
    assert maps.dtype == np.float64
    np.testing.assert_allclose(maps, definition(spikes, gamma, mode), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gamma", [0.0, 0.3, 5.0])
def test_fixed_maps_are_the_integer_rule(mode: str, gamma: float) -> None:
    spikes = train(1)
    trace = SamTrace(gamma, mode).quantise(channels=3, steps=14)
    maps = from_spikes(spikes, trace)
    assert maps.dtype == np.int32
    assert np.array_equal(maps, integers(spikes, trace))


@pytest.mark.parametrize("mode", MODES)
def test_fixed_maps_come_close_to_float_ones(mode: str) -> None:
    spikes = train(2)
    trace = SamTrace(0.5, mode).quantise(channels=3)
    error = from_spikes(spikes, trace) / trace.impulse - from_spikes(spikes, SamTrace(0.5, mode))
    assert 0 < np.abs(error).max() < 3 * 14 * 3 / 2**trace.shift


def test_official_follows_the_recursion_of_the_released_code() -> None:
    spikes = train(3, (20, 1, 2, 3, 3))
    gamma = 0.5
    weight = np.zeros(spikes.shape[1:])
    expected = []
    for t, now in enumerate(spikes):
        weight = math.exp(-gamma) * weight + np.where(now, 1.0, math.exp(-gamma * t))
        expected.append((weight * now).sum(axis=1))
    np.testing.assert_allclose(from_spikes(spikes, SamTrace(gamma, "official")), expected, rtol=1e-12)


def test_strict_is_silent_in_the_first_step_and_at_first_spikes() -> None:
    spikes = train(4)
    assert not from_spikes(spikes, SamTrace(0.5))[0].any()
    once = np.zeros((6, 1, 1, 2, 2), dtype=np.uint8)
    once[[0, 2, 5], 0, 0, [0, 0, 1], [0, 1, 1]] = 1
    assert not from_spikes(once, SamTrace(0.5)).any()


def test_without_decay_strict_counts_earlier_spikes() -> None:
    spikes = train(5)
    earlier = np.cumsum(spikes, axis=0, dtype=np.int64) - spikes
    assert np.array_equal(from_spikes(spikes, SamTrace(0.0)), (earlier * spikes).sum(axis=2))


def test_with_steep_decay_inclusive_is_the_spike_count_and_strict_nothing() -> None:
    spikes = train(6)
    count = spikes.sum(axis=2, dtype=np.int64)
    assert np.array_equal(from_spikes(spikes, SamTrace(1000.0, "inclusive")), count)
    assert not from_spikes(spikes, SamTrace(1000.0)).any()
    fixed = FixedSamTrace(np.array([16, 0]), 4, 16, "inclusive")
    assert np.array_equal(from_spikes(spikes, fixed), 16 * count)


def test_normalised_official_maps_hardly_tell_no_decay_from_endless_decay() -> None:
    spikes = train(7, (6, 1, 4, 5, 5))
    flat, steep = (normalise(from_spikes(spikes, SamTrace(g, "official"))[1:]) for g in (0.0, 1000.0))
    np.testing.assert_allclose(flat, steep, atol=1e-3)


def test_bit_planes_dense_arrays_and_flat_populations_agree() -> None:
    spikes = train(8, (9, 2, 70, 2, 1))
    trace = SamTrace(0.4)
    maps = from_spikes(spikes, trace)
    assert np.array_equal(from_spikes(Spikes.from_dense(spikes), trace), maps)
    flat = from_spikes(spikes.reshape(9, 2, -1), trace)
    assert flat.shape == (9, 2, 1, 1)
    np.testing.assert_allclose(flat[..., 0, 0], maps.sum(axis=(2, 3)), rtol=1e-12)


def test_what_is_no_spike_train_is_refused() -> None:
    for value in (-1, 0.5):
        with pytest.raises(NeurosamError, match="numbers of spikes 0, 1"):
            from_spikes(np.full((2, 1, 3), value), SamTrace())
    with pytest.raises(NeurosamError, match=r"\[T, B"):
        from_spikes(np.zeros((2, 1)), SamTrace())
    with pytest.raises(NetworkError, match=r"2\^23"):
        from_spikes(np.zeros((2, 1, 2**16)), FixedSamTrace(np.array([4, 2, 0]), 2, 2**15))


def definition_of_several(spikes: Array, gamma: float, mode: str) -> Array:
    """Each of s spikes at once sees all spikes of earlier steps; `inclusive` also the s of its own step."""
    out = np.zeros((len(spikes), 1))
    for t, s in enumerate(spikes.tolist()):
        earlier = sum(n * math.exp(-gamma * (t - e)) for e, n in enumerate(spikes[:t].tolist()))
        silent = int((spikes[: t + 1] == 0).sum()) * math.exp(-gamma * t)
        out[t] = s * {"strict": earlier, "inclusive": earlier + s, "official": earlier + s + silent}[mode]
    return out


@pytest.mark.parametrize("mode", MODES)
def test_several_spikes_at_once_are_the_definition(mode: str) -> None:
    spikes = np.random.default_rng(3).integers(0, 5, (30, 1, 1)) * (np.random.default_rng(4).random((30, 1, 1)) < 0.6)
    expected = definition_of_several(spikes[:, 0, 0], 0.3, mode)
    maps = from_spikes(spikes, SamTrace(0.3, mode))
    np.testing.assert_allclose(maps[:, 0, 0], expected, rtol=1e-12)
    recorded = Spikes.from_dense(spikes, graded=True)
    assert np.array_equal(from_spikes(recorded, SamTrace(0.3, mode)), maps)
    single = from_spikes(np.minimum(spikes, 1), SamTrace(0.3, mode))
    assert np.array_equal(from_spikes(Spikes(recorded.planes, recorded.shape), SamTrace(0.3, mode)), single)


def test_several_spikes_at_once_can_leave_24_bits() -> None:
    trace = FixedSamTrace(np.array([8, 4, 0]), 3, 2**13, "inclusive")
    assert from_spikes(np.full((4, 1, 8), 8), trace).max() == 8 * 8 * 8 * 2**13 * 15 // 8
    with pytest.raises(NetworkError, match=r"2\^23"):
        from_spikes(np.full((4, 1, 8), 9), trace)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fixed", [True, False])
def test_maps_of_several_spikes_are_those_of_the_run(fixed: bool, mode: str) -> None:
    """What is computed from recorded spikes equals what the run traced, and goes on across a state."""
    neuron: Any = ns.FixedLIF(300, 20, max_spikes=6, fires="at") if fixed else ns.LIF(0.9, 20.0, max_spikes=6)
    weight = np.random.default_rng(0).integers(-20, 60, (3, 2, 3, 3)).astype(np.int8 if fixed else np.float64)
    network = ns.Network(
        (ns.Population("in", (2, 6, 6)), ns.Population("conv", (3, 4, 4), neuron)),
        (ns.Projection("in", "conv", ns.Conv2d(weight)),),
    ).with_sam(SamTrace(0.4, mode))
    events = ns.encode(np.random.default_rng(1).random((2, 2, 6, 6)), 12)
    recording = ns.run(network, events, "reference", Record.everything(network))
    spikes = recording.spikes["conv"]
    assert spikes.dense().max() > 2
    maps = from_spikes(spikes, network.sam["conv"])
    if fixed:
        assert np.array_equal(maps, recording.sam["conv"])
    else:
        np.testing.assert_allclose(maps, recording.sam["conv"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_maps_of_simulated_networks(seed: int, fixed: bool) -> None:
    network, events = random_case(np.random.default_rng(seed), fixed=fixed)
    recording = simulate(network, events)
    for name, trace in network.sam.items():
        maps = from_spikes(recording.spikes[name], trace)
        if fixed:
            assert np.array_equal(maps, recording.sam[name])
        else:
            np.testing.assert_allclose(maps, recording.sam[name], rtol=1e-12, atol=1e-12)


# --- SAM --------------------------------------------------------------------------------------------------------------


def small(fixed: bool = True, sam: bool = True) -> ns.Network:
    rng = np.random.default_rng(0)
    weight = rng.integers(-20, 60, (3, 1, 3, 3)).astype(np.int8)
    dense = rng.integers(-30, 30, (2, 48)).astype(np.int8)
    lif = ns.FixedLIF(membrane_decay=400, threshold=90)
    network = ns.Network(
        (
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv", (3, 4, 4), lif if fixed else ns.LIF(0.9, 90.0)),
            ns.Population("out", (2,), ns.FixedReadout() if fixed else ns.Readout()),
        ),
        (
            ns.Projection("in", "conv", ns.Conv2d(weight if fixed else weight.astype(float))),
            ns.Projection("conv", "out", ns.Dense(dense if fixed else dense.astype(float))),
        ),
    )
    return network.with_sam(SamTrace(0.5)) if sam else network


@pytest.fixture(autouse=True)
def oracle_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' oracle as a back end, so that SAM is tested independently of the real back ends."""

    class Oracle:
        def run(self, network: ns.Network, inputs: Inputs, record: Record, options: backends.Options) -> Recording:
            return simulate(network, inputs[network.input.name])

    load = registry.load_backend
    monkeypatch.setattr(registry, "load_backend", lambda name: Oracle() if name == "oracle" else load(name))


def images() -> Array:
    return np.random.default_rng(1).random((2, 1, 6, 6))


@pytest.mark.parametrize("fixed", [True, False])
def test_attribute_encodes_runs_and_returns_raw_maps(fixed: bool) -> None:
    network = small(fixed)
    events = ns.encode(images(), 7, seed=3)
    expected = simulate(network, events).sam["conv"]
    front = SAM(network, "conv", backend="oracle")
    maps = front.attribute(images(), steps=7, seed=3)
    assert isinstance(maps, np.ndarray)
    assert expected.any()
    assert maps.shape == (7, 2, 4, 4)
    assert np.array_equal(maps, expected)
    again = front.attribute(events)
    assert isinstance(again, np.ndarray)
    assert np.array_equal(again, maps)
    assert front.scales() == {"conv": network.sam["conv"].scale}


def test_several_layers_give_a_dict() -> None:
    maps = SAM(small(), ["conv"], backend="oracle").attribute(images(), steps=3)
    assert isinstance(maps, dict)
    assert list(maps) == ["conv"]


@pytest.mark.parametrize("mode", MODES)
def test_gamma_and_mode_replace_the_trace(mode: str) -> None:
    network, events = small(False), ns.encode(images(), 7)
    spikes = simulate(network, events).spikes["conv"]
    maps = SAM(network, "conv", gamma=0.1, mode=mode, backend="oracle").attribute(events)
    np.testing.assert_allclose(np.asarray(maps), from_spikes(spikes, SamTrace(0.1, mode)), rtol=1e-12)
    only_mode = SAM(network, "conv", mode=mode, backend="oracle").attribute(events)
    np.testing.assert_allclose(np.asarray(only_mode), from_spikes(spikes, SamTrace(0.5, mode)), rtol=1e-12)
    assert network.sam["conv"] == SamTrace(0.5)


def test_another_mode_keeps_a_fixed_table() -> None:
    network, events = small(), ns.encode(images(), 7)
    stored = network.sam["conv"]
    assert isinstance(stored, FixedSamTrace)
    trace = FixedSamTrace(stored.table, stored.shift, stored.impulse, "inclusive")
    maps = SAM(network, "conv", mode="inclusive", backend="oracle").attribute(events)
    assert np.array_equal(np.asarray(maps), from_spikes(simulate(network, events).spikes["conv"], trace))


def test_a_network_without_a_trace_gets_the_default_one() -> None:
    events = ns.encode(images(), 5)
    maps = SAM(small(sam=False), "conv", backend="oracle").attribute(events)
    assert np.array_equal(np.asarray(maps), simulate(small(), events).sam["conv"])


@pytest.mark.parametrize("gamma", [0.01, 0.5])
def test_the_unit_of_a_map_does_not_depend_on_the_length_of_the_run(gamma: float) -> None:
    """A longer run begins with the maps of a shorter one: where a trace fades, one table serves runs of any length."""
    front = SAM(small(), "conv", gamma=gamma, backend="oracle")
    assert front.scales(3) == front.scales(4000) == front.scales()
    long = ns.encode(images(), 12, seed=3)
    early = long.time < 5
    short = ns.Events(long.time[early], long.sample[early], long.neuron[early], 5, long.samples, long.shape)
    maps = np.asarray(front.attribute(long))
    assert maps.any()
    assert np.array_equal(np.asarray(front.attribute(short)), maps[:5])


def test_no_decay_needs_the_length_of_the_run() -> None:
    front, events = SAM(small(), "conv", gamma=0.0, backend="oracle"), ns.encode(images(), 5)
    spikes = simulate(small(), events).spikes["conv"]
    maps = np.asarray(front.attribute(events)) / front.scales(5)["conv"]
    assert np.array_equal(maps, from_spikes(spikes, SamTrace(0.0)))
    with pytest.raises(NetworkError, match="longest run"):
        front.scales()


def test_refusals() -> None:
    with pytest.raises(NetworkError, match="does not spike"):
        SAM(small(), "out")
    with pytest.raises(NetworkError, match="is not in the network"):
        SAM(small(), "conv9")
    with pytest.raises(NetworkError, match="mode"):
        SAM(small(), "conv", mode="new")
    with pytest.raises(NetworkError, match="gamma"):
        SAM(small(), "conv", gamma=-1.0)
    with pytest.raises(NeurosamError, match="at least one"):
        SAM(small(), [])
    front = SAM(small(), "conv", backend="oracle")
    with pytest.raises(NeurosamError, match="steps: is missing"):
        front.attribute(images())
    with pytest.raises(NeurosamError, match="leave it out"):
        front.attribute(ns.encode(images(), 4), steps=5)


@pytest.mark.parametrize("backend", ["reference", "event"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fixed", [True, False])
def test_back_ends_agree_with_maps_from_their_spikes(backend: str, mode: str, fixed: bool) -> None:
    network = small(fixed).with_sam(SamTrace(0.3, mode))
    recording = ns.run(network, ns.encode(images(), 9), backend, Record(spikes=("conv",), sam=("conv",)))
    maps = from_spikes(recording.spikes["conv"], network.sam["conv"])
    assert maps.any()
    if fixed:
        assert recording.sam["conv"].dtype == maps.dtype
        assert np.array_equal(recording.sam["conv"], maps)
    else:
        np.testing.assert_allclose(recording.sam["conv"], maps, rtol=1e-12, atol=1e-12)


# --- maps -------------------------------------------------------------------------------------------------------------


def test_aggregate() -> None:
    maps = np.arange(24).reshape(3, 2, 2, 2)
    assert np.array_equal(aggregate(maps), maps.sum(axis=0))
    assert np.array_equal(aggregate(maps, "mean"), maps.mean(axis=0))
    assert np.array_equal(aggregate(maps, "max"), maps[2])
    assert np.array_equal(aggregate(-maps, "last"), -maps[2])
    big = np.full((300, 1, 1, 1), 2**23, dtype=np.int32)
    assert aggregate(big)[0, 0, 0] == 300 * 2**23
    with pytest.raises(NeurosamError, match="'sum' or 'mean' or 'max' or 'last'"):
        aggregate(maps, "median")
    with pytest.raises(NeurosamError, match=r"\[T, B, H, W\]"):
        aggregate(maps[0])


def test_normalise() -> None:
    maps = np.array([[[1.0, 3.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    official = normalise(maps)
    assert np.array_equal(official[0], np.array([[0.0, 2.0], [1.0, 0.0]]) / 2.001)
    assert not official[1].any()
    assert np.array_equal(normalise(maps, "max")[0], maps[0] / 3)
    assert np.array_equal(normalise(maps, "sum")[0], maps[0] / 7)
    assert not normalise(maps, "sum")[1].any()
    assert not normalise(maps, "max")[1].any()
    assert maps[0, 0, 0] == 1.0
    with pytest.raises(NeurosamError, match="NaN"):
        normalise(np.array([[np.nan]]))
    with pytest.raises(NeurosamError, match="allowed"):
        normalise(maps, "minmax")


@pytest.mark.parametrize("how", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("source", "target"), [((4, 4), (28, 28)), ((5, 3), (7, 11)), ((8, 8), (3, 5)), ((1, 1), (4, 2)), ((6, 7), (6, 7))]
)
def test_upsample_is_torch_interpolate(source: tuple[int, int], target: tuple[int, int], how: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, *source))
    options = {} if how == "nearest" else {"align_corners": False}
    expected = torch.nn.functional.interpolate(torch.from_numpy(x), size=target, mode=how, **options).numpy()
    np.testing.assert_allclose(upsample(x, target, how), expected, rtol=1e-12, atol=1e-13)


def test_upsample_by_hand() -> None:
    assert np.array_equal(upsample(np.array([[0, 4]]), (1, 4)), [[0, 1, 3, 4]])
    assert np.array_equal(upsample(np.array([[0, 4]]), (2, 4), "nearest"), [[0, 0, 4, 4]] * 2)
    with pytest.raises(NeurosamError, match="size"):
        upsample(np.ones((2, 2)), (0, 3))
    with pytest.raises(NeurosamError, match="allowed"):
        upsample(np.ones((2, 2)), (3, 3), "cubic")


def test_overlay() -> None:
    pytest.importorskip("matplotlib")
    image = np.zeros((3, 2, 2))
    image[0] = 1.0
    heat = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert np.array_equal(overlay(image, heat, alpha=0.0), np.broadcast_to([255, 0, 0], (2, 2, 3)))
    full = overlay(image, heat, alpha=1.0)
    assert full.dtype == np.uint8
    assert full[0, 0].tolist() == [0, 0, 128]  # jet begins in dark blue and ends in dark red
    assert full[0, 1].tolist() == [128, 0, 0]
    grey = np.full((1, 4, 6), 102, dtype=np.uint8)
    half = overlay(grey, np.zeros((2, 3)))
    assert half.shape == (4, 6, 3)
    assert half[0, 0].tolist() == [51, 51, 115]
    assert np.array_equal(overlay(grey[0], np.zeros((2, 3))), half)


def test_overlay_refuses() -> None:
    pytest.importorskip("matplotlib")
    image, heat = np.zeros((1, 2, 2)), np.zeros((2, 2))
    for arguments, message in (
        ((np.zeros((2, 2, 2)), heat), "image"),
        ((image + 2, heat), "image"),
        ((image, heat + 2), "normalise"),
        ((image, heat, "no such map"), "colormap"),
        ((image, heat, "jet", 1.5), "alpha"),
    ):
        with pytest.raises(NeurosamError, match=message):
            overlay(*arguments)


def test_networks_with_several_inputs_take_events_of_each() -> None:
    weight = np.random.default_rng(0).integers(-20, 60, (2, 3, 6)).astype(np.int8)
    network = ns.Network(
        (ns.Population("a", (6,)), ns.Population("b", (6,)), ns.Population("out", (3,), ns.FixedLIF(300, 50))),
        (ns.Projection("a", "out", ns.Dense(weight[0])), ns.Projection("b", "out", ns.Dense(weight[1]))),
    )
    inputs = {name: ns.encode(np.full((2, 6), 0.5), 9, seed=seed) for seed, name in enumerate("ab")}
    maps = SAM(network, "out", backend="reference").attribute(inputs)
    recording = ns.run(network.with_sam(), inputs, "reference", Record(sam=("out",)))
    assert np.array_equal(np.asarray(maps), recording.sam["out"])
    with pytest.raises(NeurosamError, match="SAM: inputs: are images for one input; the network has 'a', 'b'"):
        SAM(network, "out").attribute(np.zeros((2, 6)), steps=4)
