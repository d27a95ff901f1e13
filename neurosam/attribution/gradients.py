"""Input attribution by gradients; for spiking neurons, by surrogate gradients.

With y the logit of the target and x the input (all steps):

    Saliency               |dy/dx|
    InputXGradient         x dy/dx
    GuidedBackprop         dy/dx, with the negative gradients with respect to the output of a ReLU or LIF layer set to 0
    IntegratedGradients    (x - b) 1/n sum over k of dy/dx at b + (k + 1/2)/n (x - b),  k = 0 .. n-1;  b the baseline

For an ANN these gradients are exact. For a spiking network, dy/dx is the surrogate gradient used in training;
integrated gradients then do not add up to y(x) - y(b), and :meth:`IntegratedGradients.gap` returns the difference.

Source: Simonyan, Vedaldi & Zisserman 2014 (arXiv 1312.6034); Springenberg et al. 2015 (arXiv 1412.6806); Sundararajan,
Taly & Yan 2017 (arXiv 1703.01365); for spiking networks Bitar, Rosales & Paulitsch 2023 (Front. Neurosci. 17:1153999).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam._util.arguments import integer
from neurosam.attribution.method import InputMethod, Maps, Model, Target, evaluating, prepared, resolve, selected
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.training import LIF

__all__ = ["GuidedBackprop", "InputXGradient", "IntegratedGradients", "Saliency", "gradient"]


_CUT = "gives an output without a gradient to its input; does a layer detach?"


def gradient(module: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """dy/dx of each sample's target logit, in the shape of `x`; the gradients of the parameters are not touched."""
    leaf = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        score = selected(module, leaf, target).sum()
        if not score.requires_grad:
            raise NeurosamError("module", _CUT)
        (grad,) = torch.autograd.grad(score, leaf, allow_unused=True)
    if grad is None:
        raise NeurosamError("module", _CUT)
    return grad


class Saliency(InputMethod):
    """Absolute gradient; a map is the sum over channels.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import Saliency
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = nn.init.constant_(module[1].weight, -0.5)
    >>> Saliency(module).attribute(torch.ones(1, 1, 2, 2), target=0).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        return gradient(self.module, x, target).abs()


class InputXGradient(InputMethod):
    """Input times gradient: for spikes, the gradient at the inputs that spiked.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import InputXGradient
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = nn.init.constant_(module[1].weight, -0.5)
    >>> InputXGradient(module).attribute(torch.eye(2)[None, None], target=0).tolist()
    [[[-0.5, 0.0], [0.0, -0.5]]]
    """

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        return x * gradient(self.module, x, target)


class GuidedBackprop(InputMethod):
    """Gradient in which negative gradients are removed at every ReLU or LIF layer.

    Parameters
    ----------
    module : nn.Module
        Its non-linearities must be ``nn.ReLU`` or ``LIF`` layers; a function called in ``forward`` cannot be detected.

    Raises
    ------
    NeurosamError
        If the module has no such layer, or has another kind of non-linearity.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import GuidedBackprop
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> GuidedBackprop(module).attribute(torch.ones(5, 1, 2, 2)).shape
    (5, 2, 2)
    """

    def __init__(self, module: Model) -> None:
        super().__init__(module)
        self._rectified = [part for part in self.module.modules() if isinstance(part, (nn.ReLU, LIF))]
        if not self._rectified:
            raise NeurosamError("GuidedBackprop", "finds no ReLU or LIF layer to guide; use Saliency")
        for name, part in self.module.named_modules():
            if isinstance(part, NONLINEAR):
                raise NeurosamError(
                    f"GuidedBackprop: layer {name!r}", f"is {type(part).__name__}; only ReLU and LIF can be guided"
                )

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        handles = [part.register_forward_hook(_only_positive) for part in self._rectified]
        try:
            return gradient(self.module, x, target)
        finally:
            for handle in handles:
                handle.remove()


NONLINEAR = (
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
)
"""Layers whose derivative no rule here replaces."""


def _only_positive(part: nn.Module, inputs: Any, output: Tensor) -> None:
    output.register_hook(lambda grad: grad.clamp_min(0))


class IntegratedGradients(InputMethod):
    """Gradients along the straight line from a baseline to the input.

    Parameters
    ----------
    module : nn.Module or callable
    points : int
        n, points of the midpoint rule, 1..10000.
    baseline : float
        Value of every pixel of the baseline; 0 is no input.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import IntegratedGradients
    >>> ann = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> method, x = IntegratedGradients(ann, points=4), torch.ones(1, 1, 2, 2)
    >>> method.attribute(x, target=1).shape, bool(abs(method.gap(x, target=1)[0]) < 1e-6)
    ((1, 2, 2), True)
    """

    def __init__(self, module: Model, points: int = 32, baseline: float = 0.0) -> None:
        super().__init__(module)
        self.points = integer("IntegratedGradients: points", points, 1, 10000, ArgumentError)
        self.baseline = float(baseline)

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        difference = x - self.baseline
        total = torch.zeros_like(x)
        for k in range(self.points):
            total += gradient(self.module, self.baseline + (k + 0.5) / self.points * difference, target)
        return difference * total / self.points

    def gap(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> Maps:
        """Sum of a sample's attributions minus (y(x) - y(baseline)), ``[B]``: 0 if they fully explain the logit."""
        return self.scores_and_gap(x, target)[1]

    def scores_and_gap(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> tuple[Maps, Maps]:
        """:meth:`scores` and :meth:`gap` from one set of gradients."""
        tensor = prepared(type(self).__name__, self.module, x)
        with evaluating(self.module):
            chosen = resolve(self.module, tensor, target)
            scores = self._scores(tensor, chosen)
            all_but_batch = [d for d in range(tensor.ndim) if d != tensor.ndim - 4]
            with torch.no_grad():
                baseline = torch.full_like(tensor, self.baseline)
                change = selected(self.module, tensor, chosen) - selected(self.module, baseline, chosen)
        gap = scores.sum(dim=all_but_batch) - change
        return np.asarray(scores.cpu().numpy(), dtype=np.float64), np.asarray(gap.cpu().numpy(), dtype=np.float64)
