"""RISE, Score-CAM, SmoothGrad, expected gradients and occlusion in time, against closed forms and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurosam.attribution import RISE, ExpectedGradients, Occlusion, ScoreCAM, SmoothGrad
from neurosam.attribution.method import hooked
from neurosam.errors import NeurosamError
from neurosam.explain.maps import upsample
from neurosam.training import LIF, Readout, SpikingSequential

T, B = 5, 3
TARGET = [2, 0, 1]


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(*shape: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 3)).double()


def spiking() -> SpikingSequential:
    torch.manual_seed(1)
    return SpikingSequential(
        nn.Conv2d(2, 4, 3, padding=1), LIF(0.9, 0.3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 3), Readout()
    ).double()


class Square(nn.Module):
    """Logits k * sum of squares, which keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return (x**2).sum(dim=(1, 2, 3))[:, None] * torch.arange(3, dtype=x.dtype)


# --- RISE ---


@pytest.mark.parametrize("smooth", [True, False])
def test_rise_is_the_weighted_mean_of_the_masks_that_the_module_saw(smooth: bool) -> None:
    """On an input of ones the module sees the masks themselves."""
    seen: list[Tensor] = []
    net = linear(1, 7, 5)

    def watch(x: Tensor) -> Tensor:
        seen.append(x.detach())
        output: Tensor = net(x)
        return output

    found = RISE(watch, 200, (3, 2), 0.3, smooth=smooth, seed=4).attribute(torch.ones(2, 1, 7, 5).double(), [2, 0])
    masks = torch.stack(seen[2:])  # the first two calls find the targets
    probability = torch.softmax(net(masks.flatten(0, 1)), 1).reshape(200, 2, 3)[:, [0, 1], [2, 0]]
    wanted = (probability[:, :, None, None] * masks[:, :, 0]).sum(0) / (200 * 0.3)
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-12)
    assert len(masks) == 200
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert abs(float(masks.mean()) - 0.3) < 0.05
    assert (set(masks.unique().tolist()) == {0.0, 1.0}) is not smooth
    torch.testing.assert_close(masks[:, 0], masks[:, 1])
    assert len({mask.numpy().tobytes() for mask in masks[:, 0]}) > 50


def test_rise_points_at_the_only_pixel_that_matters() -> None:
    weight = torch.zeros(3, 1, 8, 6, dtype=torch.float64)
    weight[1, 0, 5, 2] = 4.0
    found = RISE(lambda x: torch.einsum("tbchw,kchw->bk", x, weight), 400, 4, smooth=False).attribute(
        torch.ones(2, 1, 1, 8, 6).double(), 1
    )
    assert np.unravel_index(found[0].argmax(), found[0].shape) == (5, 2)


# --- Score-CAM ---


@pytest.mark.parametrize("spikes", [True, False])
def test_scorecam_is_its_algorithm_written_out(spikes: bool) -> None:
    if spikes:
        net: nn.Sequential = spiking()
        x, layer = (rand(T, B, 2, 8, 6) < 0.4).double(), "1"
    else:
        torch.manual_seed(2)
        net = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)).double()
        x, layer = rand(B, 2, 8, 6), "1"
    kept: list[Any] = []
    with torch.no_grad(), hooked([net[1]], lambda _, __, output: kept.append(output.numpy())):
        net(x)
    activation = kept[0] if spikes else kept[0][None]
    wanted = np.zeros((len(activation), B, *activation.shape[-2:]))
    for b, c in enumerate(TARGET):
        logit = []
        for k in range(4):
            big = upsample(activation[:, b, k].mean(0), (8, 6))
            mask = (big - big.min()) / (big.max() - big.min()) if big.max() > big.min() else big * 0
            with torch.no_grad():
                logit.append(float(net(x * torch.from_numpy(mask))[b, c]))
        alpha = np.exp(logit) / np.exp(logit).sum()
        for t in range(len(activation)):
            wanted[t, b] = np.maximum(0, sum(alpha[k] * activation[t, b, k] for k in range(4)))
    assert wanted.any()
    found = ScoreCAM(net, layer).attribute(x, TARGET)
    np.testing.assert_allclose(found, wanted if spikes else wanted[0], rtol=1e-10)
    flat = "3" if spikes else "2"
    with pytest.raises(NeurosamError, match=f"layer '{flat}': gives .*; a map requires {x.ndim} axes"):
        ScoreCAM(net, flat).attribute(x)


# --- averaged gradients ---


def test_smoothgrad_is_the_mean_gradient_of_what_it_saw() -> None:
    net, x = Square(), rand(B, 1, 8, 6) * torch.tensor([1.0, 5.0, 0.0]).reshape(3, 1, 1, 1)
    found = SmoothGrad(net, 300, noise=0.2, seed=3).scores(x, TARGET)
    seen = torch.stack(net.seen[2:])
    assert len(seen) == 300
    np.testing.assert_allclose(
        found, (2 * seen.mean(0) * torch.tensor(TARGET).reshape(3, 1, 1, 1)).numpy(), rtol=1e-10, atol=1e-14
    )
    noise = seen - x
    spread = 0.2 * (x.amax(dim=(1, 2, 3)) - x.amin(dim=(1, 2, 3)))
    np.testing.assert_allclose(noise.std(dim=(0, 2, 3, 4)), spread, rtol=0.03)
    assert float(noise.mean().abs()) < 0.01
    straight = linear(1, 8, 6)
    weight = dict(straight.named_parameters())["1.weight"].detach()[TARGET].reshape(B, 1, 8, 6)
    np.testing.assert_allclose(SmoothGrad(straight, 3).scores(x, TARGET), weight.numpy(), rtol=1e-12)


def test_expected_gradients_of_a_linear_net_are_weight_times_difference_from_the_mean_baseline() -> None:
    net, x, others = linear(2, 4, 3), rand(B, 2, 4, 3), rand(4, 2, 4, 3, seed=5)
    weight = dict(net.named_parameters())["1.weight"].detach()[TARGET].reshape(B, 2, 4, 3)
    found = ExpectedGradients(net, others, samples=8).scores(x, TARGET)
    np.testing.assert_allclose(found, (weight * (x - others.mean(0))).numpy(), rtol=1e-10, atol=1e-13)
    with torch.no_grad():
        change = net(x)[range(B), TARGET] - net(others).mean(0)[TARGET]
    np.testing.assert_allclose(found.sum((1, 2, 3)), change.numpy(), rtol=1e-10)


def test_expected_gradients_of_a_square_have_its_integral() -> None:
    """With y = k sum x^2 the integral is k (x^2 - mean b^2 ...), with even samples of both: small error at 512."""
    net, x, others = Square(), rand(B, 1, 4, 3), rand(4, 1, 4, 3, seed=5)
    found = ExpectedGradients(net, others, samples=512).scores(x, TARGET)
    wanted = ((x**2 - (others**2).mean(0)) * torch.tensor(TARGET).reshape(3, 1, 1, 1)).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.05)
    in_time = ExpectedGradients(spiking(), rand(T, 2, 2, 8, 6), samples=4)
    assert in_time.attribute(rand(T, B, 2, 8, 6), TARGET).shape == (T, B, 8, 6)
    with pytest.raises(NeurosamError, match=r"baselines: have shape \(5, 2, 2, 8, 6\); it must be that of the input"):
        in_time.attribute(rand(T + 1, B, 2, 8, 6))


# --- occlusion in time ---


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_occlusion_in_time_of_a_linear_net_is_the_sum_in_each_window(steps: int) -> None:
    weight, x = rand(3, T, 2, 4, 6, seed=6) - 0.5, rand(T, B, 2, 4, 6)
    found = Occlusion(
        lambda x: torch.einsum("tbchw,ktchw->bk", x, weight), (2, 3), steps=steps
    ).attribute(x, TARGET)  # fmt: skip
    part = (weight[TARGET].transpose(0, 1) * x).sum(2).numpy()
    wanted = np.zeros((T, B, 4, 6))
    for t in range(0, T, steps):
        for row in range(0, 4, 2):
            for column in range(0, 6, 3):
                place = (slice(t, t + steps), slice(None), slice(row, row + 2), slice(column, column + 3))
                wanted[place] = part[place].sum(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)


def test_occlusion_in_one_window_of_all_steps_is_occlusion() -> None:
    net, x = spiking(), (rand(T, B, 2, 8, 6) < 0.4).double()
    whole = Occlusion(net, 4, 2).attribute(x, TARGET)
    assert whole.any()
    for steps in (T, T + 3):
        np.testing.assert_array_equal(Occlusion(net, 4, 2, steps=steps).attribute(x, TARGET), np.stack([whole] * T))
    with pytest.raises(NeurosamError, match="which has no steps"):
        Occlusion(net, 4, steps=2).attribute(x[0])


def test_arguments_out_of_range() -> None:
    net = linear(1, 4, 4)
    for make, problem in (
        (lambda: RISE(net, share=1.0), "share: got 1.0; allowed is above 0 and below 1"),
        (lambda: RISE(net, masks=0), "masks: got 0; allowed is 1"),
        (lambda: SmoothGrad(net, noise=-1.0), "noise: got values"),
        (lambda: SmoothGrad(net, samples=0), "samples: got 0"),
        (lambda: ExpectedGradients(net, np.zeros((1, 4))), r"baselines: input: got shape \(1, 4\)"),
    ):
        with pytest.raises(NeurosamError, match=problem):
            make()
