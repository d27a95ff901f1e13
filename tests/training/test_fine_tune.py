"""Fine-tuning puts weights on the grid that quantisation keeps, in every architecture, and recovers lost accuracy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam import training
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise
from neurosam.training.vgg import NETWORKS


@dataclass(frozen=True)
class Bars:
    """Four classes: a bar at one of four places, with noise."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, count: int, seed: int) -> Bars:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 4, count)
        images = rng.integers(0, 140, (count, 1, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[0, :, 2 * label : 2 * label + 2] += 40
        return cls(images, labels)


def test_two_bits_are_mended_and_kept() -> None:
    torch.set_num_threads(1)
    bars, held = Bars.draw(512, 0), Bars.draw(256, 1)
    module = training.build("8C3-8C3-P2-D4", (1, 8, 8), seed=0)
    training.train(module, bars, held, steps=4, epochs=4, batch_size=32, lr=1e-2)
    tuned, history = training.fine_tune(module, bars, held, bits=2, epochs=4, lr=5e-3, steps=4)

    def accuracy(trained: nn.Sequential) -> float:
        network = to_network(trained, (1, 8, 8))
        fixed, report = quantise(network, ns.Precision.lava(2), ns.encode(bars.images[:32], 4))
        predictions = ns.run(fixed, ns.encode(held.images, 4)).predictions
        if trained is tuned:  # the grid is kept, so exporting adds no error
            assert all(row.weight_snr_db > 60 for row in report.populations)
            assert np.mean(predictions == ns.run(network, ns.encode(held.images, 4)).predictions) > 0.99
        return float(np.mean(predictions == held.labels))

    before, after = accuracy(module), accuracy(tuned)
    assert after >= before
    assert abs(after - history.test_accuracy) < 0.08
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in module)  # the original is not changed


SHAPE, STEPS = (1, 16, 16), 4


def build(description: str, **options: object) -> nn.Sequential:
    return training.build(description, SHAPE, **options)  # type: ignore[arg-type]


def converted(**options: object) -> nn.Sequential:
    ann = training.build_ann("4C3-P2-4C3-D2", SHAPE, **options)  # type: ignore[arg-type]
    return training.convert(ann, Halves.draw(16).images, steps=20).module


def nested() -> nn.Sequential:
    block = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4)))
    inner = training.SpikingSequential(OrderedDict(block=block, spikes=training.LIF()))
    return training.SpikingSequential(
        OrderedDict(first=inner, flat=nn.Flatten(), out=nn.Linear(4 * 14 * 14, 2), readout=training.Readout())
    )


def used_twice() -> nn.Sequential:
    conv, pool = nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), training.LIF(), pool, conv, training.LIF(), pool, conv, training.LIF(),
        nn.Flatten(), nn.Linear(64, 2), training.Readout(),
    )  # fmt: skip


def without_readout() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), training.LIF(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2))


def counting() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), training.LIF(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2), training.LIF())


ARCHITECTURES: dict[str, Callable[[], nn.Sequential]] = {
    "batch norm": lambda: build("4C3-P2-D8-D2"),
    "biases": lambda: build("4C3-P2-D8-D2", batch_norm=False),
    "reset to zero": lambda: build("4C3-P2-D2", reset="zero"),
    "fire first": lambda: build("4C3-P2-D2", order="fire_first"),
    "current": lambda: build("4C3-P2-D2", current_leak=0.5),
    "current and biases": lambda: build("4C3-P2-D2", current_leak=0.5, batch_norm=False),
    "max pooling": lambda: build("4C3-M2-4C3-D2"),
    "global pooling": lambda: build("4C5S2-4C3-G-D2"),
    "dropout": lambda: build("4C3-P2-D8-D2", dropout=0.3),
    "thresholds per channel": lambda: build("4C3-P2-4C3-D2", threshold=[0.5, 1.0, 1.5, 2.0]),
    "BNTT": lambda: build("4C3-P2-4C3-D8-D2", bntt=STEPS),
    "BNTT, max pooling": lambda: build("4C3-M2-D8-D2", bntt=STEPS),
    "BNTT, current, fire first": lambda: build("4C3-D2", bntt=STEPS, current_leak=0.5, order="fire_first"),
    **{name: lambda name=name: training.vgg(name, SHAPE, 2, steps=STEPS, width=1 / 32) for name in NETWORKS},  # type: ignore[misc]
    "folded": lambda: training.fold_batch_norm(build("4C3-P2-D2")),
    "folded BNTT": lambda: training.fold_batch_norm(build("4C3-P2-D2", bntt=STEPS)),
    "converted": converted,
    "converted, batch norm": lambda: converted(batch_norm=True),
    "nested": nested,
    "used twice": used_twice,
    "without a readout": without_readout,
    "spike counts": counting,
}  # fmt: skip


@dataclass(frozen=True)
class Halves:
    """Two classes: the upper or the lower half is brighter."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, count: int) -> Halves:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 128, (count, *SHAPE), dtype=np.uint8)
        labels = rng.integers(0, 2, count)
        for image, label in zip(images, labels, strict=True):
            image[0, 8 * label : 8 * label + 8] += 100
        return cls(images, labels)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_fine_tuned_to_a_grid_that_export_keeps(name: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module, halves, bits = ARCHITECTURES[name](), Halves.draw(32), 4
    before = {key: value.clone() for key, value in module.state_dict().items()}
    tuned, _ = training.fine_tune(
        module, halves, halves, bits=bits, epochs=1, lr=1e-3, batch_size=16, steps=STEPS, device="cpu"
    )
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    shown = ns.encode(halves.images, STEPS)
    network = to_network(tuned, SHAPE)
    fixed, report = quantise(network, ns.Precision.lava(bits), shown)
    for row in report.populations:
        assert row.weight_snr_db > 60, row.population  # nothing is lost beyond float32
    changed = [p for p in network.projections if p.synapse.weight.size > 1]
    assert all(len(np.unique(np.abs(p.synapse.weight))) <= 2 ** (bits - 1) for p in changed)
    with torch.no_grad():  # the network is that of the module that was trained
        output = tuned(torch.from_numpy(shown.dense()).float())
    if output.ndim == 3:
        output = output.sum(dim=0)
    recording = ns.run(network, shown)
    if isinstance(list(tuned)[-1], training.Readout):
        recorded = recording.output / STEPS
    else:
        recorded = recording.output
    np.testing.assert_allclose(recorded, output.numpy(), atol=1e-4)
    assert fixed.fixed


def test_weights_move_in_every_layer() -> None:
    """Gradients reach the first layer of a converted network, whose thresholds are far from 1, and of one with BNTT."""
    torch.set_num_threads(1)
    for name in ("converted, batch norm", "BNTT", "spike counts", "nested"):
        torch.manual_seed(0)
        module, halves = ARCHITECTURES[name](), Halves.draw(32)
        tuned, _ = training.fine_tune(module, halves, halves, bits=8, lr=1e-3, batch_size=16, steps=STEPS, device="cpu")
        plain = training.fold_batch_norm(module)
        with training.fake_quantise(plain, 8):
            pass
        after = dict(tuned.named_parameters())
        weights = {key: value for key, value in plain.named_parameters() if key.endswith("weight")}
        assert len(weights) >= 2
        assert not any(torch.equal(value, after[key]) for key, value in weights.items()), name
