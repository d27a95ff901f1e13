"""What a page's neurons are: taken from recordings, with thresholds that agree with every spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam.report.packing import chosen
from neurosam.report.samples import from_recording, neuron_kinds, record_neurons
from neurosam.report.thresholds import thresholds

IMAGES = np.zeros((3, 1, 4, 4), np.uint8)


def network(neuron: Any, *, output: Any = None) -> ns.Network:
    fixed = isinstance(neuron, ns.FixedLIF)
    rng = np.random.default_rng(0)
    weights = rng.integers(-40, 50, (2, 2, 3, 3)) if fixed else rng.integers(-40, 50, (2, 2, 3, 3)) / 64
    dense = rng.integers(-50, 50, (3, 8)) if fixed else rng.integers(-50, 50, (3, 8)) / 64
    last = output or (ns.FixedReadout() if fixed else ns.Readout())
    return ns.Network(
        (ns.Population("in", (2, 4, 4)), ns.Population("conv", (2, 2, 2), neuron), ns.Population("out", (3,), last)),
        (ns.Projection("in", "conv", ns.Conv2d(weights)), ns.Projection("conv", "out", ns.Dense(dense))),
    ).with_sam()


EVENTS = ns.Events.from_dense(np.random.default_rng(1).integers(0, 2, (24, 3, 2, 4, 4)))
ADAPTIVE: dict[str, Any] = {
    "float adaptive": ns.LIF(0.75, 2.0, reset_amount=2.0, threshold_leak=0.5, threshold_step=np.array([0.5, 4.0])),
    "float relative": ns.LIF(0.75, 1.0, reset="relative", relative_leak=0.5),
    "fixed adaptive": ns.FixedLIF(
        410, 64, reset_amount_64ths=4096, threshold_decay=512, threshold_step_64ths=np.array([900, 5000])
    ),
    "fixed relative": ns.FixedLIF(
        410,
        np.array([64, 90]),
        reset="relative",
        relative_decay=700,
        fires="at",
        threshold_decay=99,
        threshold_step_64ths=321,
    ),
}


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_moving_threshold_agrees_with_every_spike(name: str) -> None:
    net = network(ADAPTIVE[name])
    neuron, kind = ADAPTIVE[name], neuron_kinds(net)["conv"]
    assert kind.moves
    recording = ns.run(net, EVENTS, "reference", record=ns.Record(spikes=("conv",), membrane=("conv",)))
    spikes, membrane = recording.spikes["conv"].dense()[:, 0].astype(np.int64), recording.membrane["conv"][:, 0]
    bar = thresholds(neuron, net.precision, spikes)
    amount = np.asarray(kind.amount) if kind.jump else 0
    before = membrane + spikes * amount  # relative: a spike leaves the membrane
    assert 0 < spikes.sum() < spikes.size
    assert len(np.unique(bar)) > 4
    assert np.array_equal(spikes, before >= bar if kind.at else before > bar)


def test_kinds_say_threshold_and_reset_in_the_unit_of_the_membrane() -> None:
    kinds = neuron_kinds(network(ns.FixedLIF(membrane_decay=410, threshold=np.array([100, 64]))))
    assert [kind.role for kind in kinds.values()] == ["input", "spiking", "readout"]
    conv = kinds["conv"]
    assert np.array_equal(np.asarray(conv.threshold), [6400, 4096])
    assert np.array_equal(np.asarray(conv.amount), [6400, 4096])
    assert (conv.reset, conv.jump, conv.moves, conv.unit) == ("a spike subtracts", True, False, "64ths of a weight")
    held = neuron_kinds(network(ns.LIF(0.9, 1.0, reset="value", reset_value=-0.5, refractory=2)))["conv"]
    assert (held.reset, float(np.asarray(held.amount)), held.jump) == ("a spike sets it to", -0.5, False)
    assert held.note == "it is held for 2 steps after a spike"


def test_samples_have_spikes_membranes_inputs_and_another_run() -> None:
    net = network(ns.FixedLIF(membrane_decay=410, threshold=64))
    whole = ns.run(net, EVENTS, "reference", record=ns.Record(sam=("conv",), membrane=("out",)))
    detail = record_neurons(net, EVENTS, "reference", layers=["conv"], samples=2)
    everything = ns.run(net, EVENTS, "reference", record=ns.Record.everything(net))
    samples = from_recording(
        whole, IMAGES, readout="out", detail=detail, inputs={"in": EVENTS}, beside=("again", whole), network=net
    )
    dense = EVENTS.dense()
    for b, sample in enumerate(samples):
        assert np.array_equal(sample.spikes["in"], dense[:, b])
        assert sample.beside is not None
        assert np.array_equal(sample.beside.maps["conv"], sample.maps["conv"])
        assert sample.beside.prediction == whole.predictions[b]
        assert np.array_equal(sample.membrane["out"], everything.membrane["out"][:, b])
        assert ("conv" in sample.membrane) == (b < 2) == ("conv" in sample.spikes)
        assert not sample.threshold
    assert np.array_equal(samples[1].membrane["conv"], everything.membrane["conv"][:, 1])
    assert np.array_equal(samples[1].spikes["conv"], everything.spikes["conv"].dense()[:, 1])


def test_a_spiking_output_counts_its_spikes_so_far() -> None:
    net = network(ns.LIF(0.9, 1.0), output=ns.LIF(0.9, 1.0))
    recording = ns.run(net, EVENTS, "reference", record=ns.Record(spikes=("out",), sam=("conv",)))
    (sample, *_) = from_recording(recording, IMAGES, readout="out", answer=net.answers["out"])
    assert net.answers["out"] == "count"
    assert sample.readout is not None
    assert np.array_equal(sample.readout, np.cumsum(recording.spikes["out"].dense()[:, 0], axis=0))
    assert np.array_equal(sample.readout[-1], recording.output[0])
    with pytest.raises(NeurosamError, match="its spikes were not recorded"):
        from_recording(recording, IMAGES, readout="conv", answer="count")


def test_silence_is_no_answer() -> None:
    net = network(ns.LIF(0.9, 1.0), output=ns.LIF(0.9, 1.0))
    quiet = ns.Events.from_dense(np.zeros((3, 3, 2, 4, 4), np.uint8))
    recording = ns.run(net, quiet, "reference", record=ns.Record(spikes=("out",), sam=("conv",)))
    (sample, *_) = from_recording(recording, IMAGES, readout="out", answer="count")
    assert sample.prediction == -1
    assert sample.predictions is not None
    assert sample.predictions.tolist() == [-1, -1, -1]


def test_fewer_samples_where_not_all_fit() -> None:
    net = network(ns.LIF(0.9, 1.0))
    size = 3 * EVENTS.steps * (8 + 3)
    assert (
        record_neurons(net, EVENTS, "reference", samples=3, membrane_mb=3 * size / 1e6).membrane["conv"].shape[1] == 3
    )
    only = record_neurons(net, EVENTS, "reference", layers=["out"], membrane_mb=3 * EVENTS.steps * 3 / 1e6)
    assert set(only.membrane) == {"out"}
    assert chosen([{"a": 4, "b": 3}] * 2, ["b"], 11) == [["b", "a"], ["b"]]
