"""Conversion: thresholds follow Algorithm 1, rates follow the ANN's activations, every back end runs the result."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import neurosam as ns
from neurosam.deploy.from_torch import export, to_network
from neurosam.errors import DataError, ExportError
from neurosam.training import LIF, Readout, SpikingSequential, accuracy_by_step, build_ann, convert, encode_batch, train
from neurosam.training.batches import stream_seed

T = 20


@dataclass(frozen=True)
class Images:
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def bars(count: int, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 60, (count, 1, 8, 8), dtype=np.uint8)
    for image, label, place in zip(images, labels, rng.integers(1, 7, count), strict=True):
        image[(slice(None), place) if label == 0 else (slice(None), slice(None), place)] = 230
    return Images(images, labels.astype(np.int64))


def ann(bias: bool = False) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        OrderedDict(
            conv1_conv=nn.Conv2d(1, 4, 3, padding=1, bias=bias),
            conv1=nn.ReLU(),
            pool1=nn.AvgPool2d(2),
            drop=nn.Dropout(0.2),
            conv2_conv=nn.Conv2d(4, 5, 3, bias=bias),
            conv2=nn.ReLU(),
            flatten=nn.Flatten(),
            dense1_linear=nn.Linear(20, 6, bias=bias),
            dense1=nn.ReLU(),
            out_linear=nn.Linear(6, 2, bias=bias),
        )
    ).double()


IMAGES = bars(12, 0).images


def algorithm_1(net: nn.Sequential, scaling: float, pick: Any) -> list[float]:
    """Algorithm 1 as plain loops over layers, samples and steps; the balanced layers integrate and fire."""
    thresholds: list[float] = []
    weights = [layer for layer in net if isinstance(layer, (nn.Conv2d, nn.Linear))]
    for level in range(len(weights) - 1):
        draws = torch.Generator().manual_seed(stream_seed(7, level))
        x = encode_batch(torch.from_numpy(IMAGES), T, "poisson", draws).double()
        seen: list[Tensor] = []
        for sample in range(len(IMAGES)):
            membranes: dict[int, Any] = {}
            for t in range(T):
                o = x[t, sample : sample + 1]
                for below in range(level + 1):
                    if below == 1:
                        o = nn.functional.avg_pool2d(o, 2)
                    if below == 2:
                        o = o.flatten(1)
                    y = weights[below](o)
                    if below == level:
                        seen.append(y.detach().flatten())
                    else:
                        v = membranes.get(below, 0.0) + y
                        o = (v > thresholds[below]).double()
                        membranes[below] = v - thresholds[below] * o
        thresholds.append(scaling * pick(torch.cat(seen).numpy()))
    return thresholds


@pytest.mark.parametrize("scaling", [1.0, 0.8])
def test_maximum_thresholds_are_algorithm_1(scaling: float) -> None:
    net = ann()
    found = convert(net, IMAGES, steps=T, scaling=scaling, seed=7, batch_size=12)
    assert list(found.thresholds) == ["conv1", "conv2", "dense1"]
    np.testing.assert_allclose(list(found.thresholds.values()), algorithm_1(net, scaling, np.max), rtol=1e-12)


@pytest.mark.parametrize("percentile", [99.9, 97.0, 50.0])
def test_percentile_thresholds_are_the_nearest_rank(percentile: float) -> None:
    def pick(values: npt.NDArray[np.float64]) -> float:
        return float(np.percentile(values, percentile, method="inverted_cdf"))

    net = ann()
    with torch.no_grad():  # mostly positive input, so that the median is positive
        for parameter in net.parameters():
            parameter.abs_()
    found = convert(net, IMAGES, steps=T, percentile=percentile, seed=7, batch_size=12)
    np.testing.assert_allclose(list(found.thresholds.values()), algorithm_1(net, 1.0, pick), rtol=1e-12)


def test_batches_are_drawn_one_after_the_other_and_cover_all() -> None:
    whole = convert(ann(), IMAGES, steps=9, coding="direct", batch_size=12).thresholds
    parts = convert(ann(), IMAGES, steps=9, coding="direct", batch_size=5).thresholds
    np.testing.assert_allclose(list(parts.values()), list(whole.values()), rtol=1e-12)
    whole = convert(ann(), IMAGES, steps=9, coding="direct", percentile=98, batch_size=12).thresholds
    parts = convert(ann(), IMAGES, steps=9, coding="direct", percentile=98, batch_size=5).thresholds
    np.testing.assert_allclose(list(parts.values()), list(whole.values()), rtol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("bias", [False, True])
def test_rates_are_activations_over_the_thresholds_product(bias: bool) -> None:
    net = ann(bias)
    found = convert(net, IMAGES, steps=50, coding="direct")
    steps = 2000
    x = torch.from_numpy(IMAGES).double() / 255
    names = ["conv1", "conv2", "dense1"]
    _, kept = found.module.activations(x.unsqueeze(0).expand(steps, *x.shape), names)
    net.eval()
    y, worth = x, 1.0
    for name, layer in net.named_children():
        y = layer(y)
        if name in names:
            worth *= found.thresholds[name]
            torch.testing.assert_close(kept[name].mean(dim=0) * worth, y, rtol=0, atol=0.02 * float(y.max()))
    logits = found.module(x.unsqueeze(0).expand(steps, *x.shape)) * worth
    torch.testing.assert_close(logits, y, rtol=0, atol=0.02 * float(y.abs().max()))


def test_the_ann_stays_as_it_was_and_batch_norm_is_folded() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    net(torch.rand(9, 1, 8, 8))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = convert(net, IMAGES, steps=5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    kinds = [type(layer) for layer in found.module]
    assert kinds == [nn.Conv2d, LIF, nn.Flatten, nn.Linear, Readout]
    assert net.training
    assert not found.module.training


def test_converted_networks_run_on_every_back_end() -> None:
    data = bars(80, 3)
    net = build_ann("4C3-P2-6C3-P2-D2", (1, 8, 8), seed=1)
    train(net, data, data, steps=1, coding="direct", epochs=8, lr=0.02, device="cpu")
    module = convert(net, data.images[:40], steps=40, percentile=99.9, seed=1).module
    events = ns.encode(data.images[:20], 40)
    network = to_network(module, (1, 8, 8))
    record = ns.Record(spikes=("conv1", "conv2"))
    x = torch.from_numpy(events.dense()).double()
    output, kept = module.double().activations(x, ("conv1", "conv2"))
    recording = ns.run(network, events, "event", record)
    for name, spikes in kept.items():
        np.testing.assert_array_equal(recording.spikes[name].dense(), spikes.detach().numpy())
    np.testing.assert_allclose(recording.output / 40, output.detach().numpy(), atol=1e-12)
    fixed = export(module, (1, 8, 8), ns.Precision.lava(), events)
    everything = ns.Record.everything(fixed)
    reference, event = (ns.run(fixed, events, backend, everything) for backend in ("reference", "event"))
    assert ns.compare(reference, event, fixed) is None


def test_accuracy_grows_with_the_steps_to_that_of_the_ann() -> None:
    data, held_out = bars(80, 3), bars(60, 4)
    net = build_ann("4C3-P2-6C3-P2-D2", (1, 8, 8), seed=1)
    history = train(net, data, held_out, steps=1, coding="direct", epochs=8, lr=0.02, device="cpu")
    assert history.test_accuracy > 0.9
    module = convert(net, data.images[:40], steps=60, seed=1).module
    curve = accuracy_by_step(module, held_out, steps=60, seed=1)
    assert curve.shape == (60,)
    assert curve[0] < curve[-1]
    assert curve[-1] >= history.test_accuracy - 0.05
    draws = torch.Generator().manual_seed(stream_seed(1, 0))
    parts = [encode_batch(torch.from_numpy(held_out.images[i : i + 32]), 60, "poisson", draws) for i in (0, 32)]
    for t in (0, 10, 59):
        hits = torch.cat([module(x[: t + 1]).argmax(1) for x in parts]).numpy() == held_out.labels
        assert curve[t] == hits.mean()


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ([nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)], r"layer '1' \(MaxPool2d\): cannot be converted; supported are"),
        ([nn.Flatten(), nn.Linear(64, 2), nn.Linear(2, 2)], r"layer '2' \(Linear\): follows '1' without a ReLU"),
        ([nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)], r"layer '0' \(ReLU\): does not directly follow"),
        ([nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.ReLU()], r"is between '0' and its ReLU"),
        ([nn.Flatten(), nn.Linear(64, 2), nn.ReLU()], "does not end with a Conv2d or Linear"),
        ([nn.Flatten(), nn.Linear(64, 2), nn.Sigmoid()], "Sigmoid"),
    ],
)
def test_what_cannot_be_converted_is_named(layers: list[nn.Module], problem: str) -> None:
    with pytest.raises(ExportError, match=problem):
        convert(nn.Sequential(*layers), IMAGES, steps=2)


def test_arguments_out_of_range_and_dead_layers() -> None:
    with pytest.raises(ExportError, match=r"not an nn\.Sequential"):
        convert(nn.Linear(2, 2), IMAGES)  # type: ignore[arg-type]
    wrong: dict[str, Any] = {"percentile": 0.0, "scaling": 1.5, "steps": 0, "batch_size": 0}
    for name, value in wrong.items():
        with pytest.raises(DataError, match=name):
            convert(ann(), IMAGES, **{name: value})
    with pytest.raises(DataError, match="uint8"):
        convert(ann(), IMAGES.astype(np.float32))
    dead = ann()
    with torch.no_grad():
        dead[0].weight.fill_(-1)  # type: ignore[operator]
    with pytest.raises(ExportError, match=r"layer 'conv1' .* never receives positive input"):
        convert(dead, IMAGES, steps=2)
    with pytest.raises(DataError, match="does not end with a Readout"):
        accuracy_by_step(SpikingSequential(nn.Flatten(), nn.Linear(64, 2)), bars(4, 0), steps=2)


def test_accuracy_by_step_of_a_layer_that_is_used_twice() -> None:
    """The scores are the output of the layer before the readout, also where that layer was there before."""
    torch.manual_seed(1)
    shared, images = nn.Linear(64, 64), bars(40, 3)
    scores = nn.Sequential(nn.Flatten(), shared, LIF(1.0, 0.5), shared, Readout())
    apart = SpikingSequential(nn.Flatten(), shared, LIF(1.0, 0.5), copy.deepcopy(shared), Readout())
    expected = accuracy_by_step(apart, images, steps=8)
    assert expected.max() > 0
    np.testing.assert_array_equal(
        accuracy_by_step(SpikingSequential.from_sequential(scores), images, steps=8), expected
    )
