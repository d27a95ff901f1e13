"""Fine-tuning puts weights on the grid that quantisation keeps, and recovers accuracy lost to few bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import neurosam as ns
from neurosam import training
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise


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
