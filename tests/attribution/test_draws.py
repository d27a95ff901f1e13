"""Maps over random draws of the encoding: mean, interval, and convergence delta."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam.attribution import IntegratedGradients, ModuleSAM, Saliency, over_draws
from neurosam.attribution.draws import Draws, _quantile
from neurosam.errors import NeurosamError
from neurosam.training import LIF, Readout, SpikingSequential

STEPS, DRAWS = 6, 5
IMAGES = np.random.default_rng(0).random((2, 1, 4, 3))


def linear() -> SpikingSequential:
    torch.manual_seed(0)
    return SpikingSequential(nn.Flatten(), nn.Linear(12, 3), Readout("sum")).double()


def spiking() -> SpikingSequential:
    torch.manual_seed(1)
    return SpikingSequential(
        nn.Conv2d(1, 3, 3, padding=1), LIF(0.9, 0.2), nn.Flatten(), nn.Linear(36, 3), Readout("sum")
    ).double()


def test_integrated_gradients_of_a_linear_net_are_weight_times_the_mean_number_of_spikes() -> None:
    net = linear()
    weight = net[1].weight.detach().numpy().reshape(3, 4, 3)  # type: ignore[operator]
    found = over_draws(IntegratedGradients(net, 3), IMAGES, [2, 0], steps=STEPS, draws=DRAWS, seed=7)
    counts = np.stack([ns.encode(IMAGES, STEPS, "poisson", 7 + d).dense().sum(axis=(0, 2)) for d in range(DRAWS)])
    np.testing.assert_allclose(found.maps, counts * weight[[2, 0]], rtol=1e-12)
    np.testing.assert_allclose(found.mean, counts.mean(axis=0) * weight[[2, 0]], rtol=1e-12)
    assert found.delta is not None
    np.testing.assert_allclose(found.delta, 0, atol=1e-12)
    assert found.delta.shape == (DRAWS, 2)


def test_each_draw_is_that_of_its_seed_and_the_delta_its_gap() -> None:
    net = spiking()
    method = IntegratedGradients(net, 3)
    found = over_draws(method, IMAGES, steps=STEPS, draws=DRAWS, seed=3)
    inputs = [ns.encode(IMAGES, STEPS, "poisson", 3 + d).dense() for d in range(DRAWS)]
    with torch.no_grad():
        mean = torch.stack([net(torch.from_numpy(x).double()) for x in inputs]).mean(0)
    np.testing.assert_array_equal(found.target, mean.argmax(1).numpy())
    assert found.delta is not None
    for d, x in enumerate(inputs):
        np.testing.assert_allclose(found.maps[d], method.attribute(x, found.target).sum(0), rtol=1e-12)
        np.testing.assert_allclose(found.delta[d], method.gap(x, found.target), rtol=1e-12)
    assert np.abs(found.delta).max() > 1e-3  # a surrogate gradient does not explain the whole logit
    maps = over_draws(ModuleSAM(net, "1"), IMAGES, 1, steps=STEPS, draws=2)
    assert maps.delta is None
    np.testing.assert_array_equal(maps.target, [1, 1])


def test_the_interval_is_students() -> None:
    """Quantiles from the published tables; coverage of the true mean on normal draws."""
    for freedom, at_975 in ((1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (9999, 1.960)):
        assert abs(_quantile(0.975, freedom) - at_975) < 6e-4
    assert abs(_quantile(0.95, 9) - 1.833) < 6e-4
    maps = np.random.default_rng(1).normal(0.5, 2.0, (4, 1, 100, 100))
    low, high = Draws(maps, np.zeros(1, np.int64), None, 0.9).interval
    assert abs(((low < 0.5) & (high > 0.5)).mean() - 0.9) < 0.01


def test_arguments_out_of_range() -> None:
    method = Saliency(linear())
    with pytest.raises(NeurosamError, match=r"draws: got 1; allowed is 2\.\."):
        over_draws(method, IMAGES, steps=4, draws=1)
    with pytest.raises(NeurosamError, match="confidence: got 1; allowed is above 0 and below 1"):
        over_draws(method, IMAGES, steps=4, confidence=1)
    with pytest.raises(NeurosamError, match=r"images: got shape \(1, 4, 3\)"):
        over_draws(method, IMAGES[0], steps=4)
