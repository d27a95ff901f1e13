"""Surrogate gradients, which replace the derivative of a spike in the backward pass.

A neuron with membrane v and threshold theta > 0 (same unit) fires s = [v > theta], strictly. The derivative is zero
almost everywhere, so training replaces it by

    PiecewiseLinear(beta)   ds/dv = beta * max(0, 1 - |v - theta| / theta)
    FastSigmoid(slope)      ds/dv = 1 / (1 + slope * |v - theta|)^2

The forward pass is not changed: spikes are exactly 0 or 1.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 8 (beta = 0.3); Zenke & Ganguli 2018 (SuperSpike), Eq. 5.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurosam.errors import NetworkError

__all__ = ["FastSigmoid", "PiecewiseLinear", "Surrogate", "fire"]


class Surrogate(ABC):
    """The derivative of a spike with respect to the membrane; instances are immutable and comparable."""

    @abstractmethod
    def derivative(self, membrane: Tensor, threshold: float | Tensor) -> Tensor:
        """ds/dv at `membrane`.

        Parameters
        ----------
        membrane : Tensor
            Membrane before the reset, any shape, floating point.
        threshold : float or Tensor
            Firing threshold, above 0; a tensor broadcasts against `membrane`.

        Returns
        -------
        Tensor
            A new tensor of the shape and dtype of `membrane`, values at least 0.
        """


@dataclass(frozen=True)
class PiecewiseLinear(Surrogate):
    """The triangle of the paper's Eq. 8: `beta` at the threshold, 0 at a distance of `threshold` from it.

    Parameters
    ----------
    beta : float
        Height of the triangle, above 0.
    """

    beta: float = 0.3

    def __post_init__(self) -> None:
        _positive("PiecewiseLinear.beta", self.beta)

    def derivative(self, membrane: Tensor, threshold: float | Tensor) -> Tensor:
        """``beta * max(0, 1 - |v - theta| / theta)``."""
        distance = membrane.sub(threshold).abs_()
        return distance.mul_(-self.beta / threshold).add_(self.beta).clamp_min_(0.0)


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """The derivative of a fast sigmoid: 1 at the threshold, with tails that do not reach 0.

    Parameters
    ----------
    slope : float
        Steepness, above 0, in units of 1/membrane.
    """

    slope: float = 25.0

    def __post_init__(self) -> None:
        _positive("FastSigmoid.slope", self.slope)

    def derivative(self, membrane: Tensor, threshold: float | Tensor) -> Tensor:
        """``1 / (1 + slope * |v - theta|)^2``."""
        distance = membrane.sub(threshold).abs_()
        return distance.mul_(self.slope).add_(1.0).square_().reciprocal_()


def fire(membrane: Tensor, threshold: float | Tensor, surrogate: Surrogate) -> Tensor:
    """Spikes of one step: [membrane > threshold] as 0 or 1, with `surrogate` as the derivative.

    Parameters
    ----------
    membrane : Tensor
        Membrane before the reset, any shape, floating point.
    threshold : float or Tensor
        Above 0; a tensor broadcasts against `membrane`.
    surrogate : Surrogate
        The derivative ds/dv in the backward pass.

    Returns
    -------
    Tensor
        Shape and dtype of `membrane`.

    Examples
    --------
    >>> membrane = torch.tensor([0.5, 1.0, 1.5], requires_grad=True)
    >>> spikes = fire(membrane, 1.0, PiecewiseLinear(beta=0.25))
    >>> spikes.sum().backward()
    >>> spikes.tolist(), membrane.grad.tolist()
    ([0.0, 0.0, 1.0], [0.125, 0.25, 0.125])
    """
    spikes: Tensor = _Fire.apply(membrane, threshold, surrogate)  # type: ignore[no-untyped-call]
    return spikes


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, membrane: Tensor, threshold: float | Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(membrane)
        ctx.threshold, ctx.surrogate = threshold, surrogate
        return (membrane > threshold).to(membrane.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (membrane,) = ctx.saved_tensors
        return ctx.surrogate.derivative(membrane, ctx.threshold).mul_(grad), None, None


def _positive(where: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise NetworkError(where, f"got {value!r}; a finite number above 0 is required")
