"""Gradients averaged over noisy inputs (SmoothGrad) or over baselines and the way from them (expected gradients).

With y the logit of the target, x the input and n samples:

    SmoothGrad           1/n sum of dy/dx at x + e,    e normal, with noise * (max x - min x) of a sample as deviation
    ExpectedGradients    1/n sum of (x - b) dy/dx at b + a (x - b),    b from the given baselines, a in 0..1

Baselines are taken in turn, in random order, and a once from each n-th part of 0..1, so that few samples are even. For
an exact gradient, expected gradients add up to y(x) - mean of y(b), in the limit of many samples; for a linear module,
whenever n is a multiple of the number of baselines. Noise on spikes makes them currents of any size; to average over
an encoding's own noise, see :func:`~neurosam.attribution.over_draws`.

Source: Smilkov et al. 2017 (SmoothGrad, arXiv 1706.03825); Erion et al. 2021 (Nat Mach Intell 3:620), Eq. 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurosam._util.arguments import integer, reals
from neurosam.attribution.gradients import gradient
from neurosam.attribution.method import InputMethod, Model, prepared
from neurosam.errors import ArgumentError, NeurosamError

__all__ = ["ExpectedGradients", "SmoothGrad"]


class SmoothGrad(InputMethod):
    """Mean gradient of noisy copies of the input, signed; a map is the sum over channels.

    Parameters
    ----------
    module : nn.Module or callable
    samples : int
        n, 1..100000.
    noise : float
        Standard deviation of the noise, as a share of the range of the input; at least 0.
    seed : int

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import SmoothGrad
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = nn.init.constant_(module[1].weight, -0.5)
    >>> SmoothGrad(module, samples=4).attribute(torch.eye(2)[None, None], target=0).tolist()
    [[[-0.5, -0.5], [-0.5, -0.5]]]
    """

    def __init__(self, module: Model, samples: int = 25, noise: float = 0.15, seed: int = 0) -> None:
        super().__init__(module)
        self.samples = integer("SmoothGrad: samples", samples, 1, 100_000, ArgumentError)
        self.noise = float(reals("SmoothGrad: noise", noise, low=0.0, ndim=(0,), error=ArgumentError))
        self.seed = integer("SmoothGrad: seed", seed, 0, 2**63 - 1, ArgumentError)

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        all_but_batch = [d for d in range(x.ndim) if d != x.ndim - 4]
        spread = self.noise * (x.amax(dim=all_but_batch, keepdim=True) - x.amin(dim=all_but_batch, keepdim=True))
        generator = torch.Generator().manual_seed(self.seed)  # on the CPU, so that a GPU draws the same
        total = torch.zeros_like(x)
        for _ in range(self.samples):
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device, x.dtype)
            total += gradient(self.module, x + spread * noise, target)
        return total / self.samples


class ExpectedGradients(InputMethod):
    """Integrated gradients with many baselines: what is unusual about this input; a map is the sum over channels.

    Parameters
    ----------
    module : nn.Module or callable
    baselines : (T, N, C, H, W) or (N, C, H, W) tensor or array
        Other inputs, usually from the training set, as `x` but for their number.
    samples : int, optional
        n, 1..100000; 32 or the number of baselines, whichever is more, if None.
    seed : int

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import ExpectedGradients
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = nn.init.constant_(module[1].weight, 0.5)
    >>> others = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])  # 0.5 on average
    >>> ExpectedGradients(module, others).attribute(torch.ones(1, 1, 2, 2), target=0).tolist()
    [[[0.25, 0.25], [0.25, 0.25]]]
    """

    def __init__(
        self, module: Model, baselines: Tensor | npt.NDArray[Any], samples: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(module)
        self.baselines = prepared("ExpectedGradients: baselines", self.module, baselines)
        wanted = max(32, self.baselines.shape[-4]) if samples is None else samples
        self.samples = integer("ExpectedGradients: samples", wanted, 1, 100_000, ArgumentError)
        self.seed = integer("ExpectedGradients: seed", seed, 0, 2**63 - 1, ArgumentError)

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        without = [d for d in range(x.ndim) if d != x.ndim - 4]
        if self.baselines.ndim != x.ndim or any(self.baselines.shape[d] != x.shape[d] for d in without):
            raise NeurosamError(
                "ExpectedGradients: baselines",
                f"have shape {tuple(self.baselines.shape)}; it must be that of the input {tuple(x.shape)} but for the "
                "number of samples",
            )
        rng = np.random.default_rng(self.seed)
        count = self.baselines.shape[-4]
        rounds = -(-self.samples // count)
        order = np.concatenate([rng.permutation(count) for _ in range(rounds)])[: self.samples]
        ways = rng.permutation((np.arange(self.samples) + rng.random(self.samples)) / self.samples)
        total = torch.zeros_like(x)
        for index, way in zip(order, ways, strict=True):
            baseline = self.baselines.to(x.device, x.dtype).narrow(x.ndim - 4, int(index), 1)
            difference = x - baseline
            total += difference * gradient(self.module, baseline + float(way) * difference, target)
        return total / self.samples
