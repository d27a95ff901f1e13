"""Layer-wise relevance propagation: the logit divided among the inputs, layer by layer, and through time.

Relevance R starts as the logit y of the target. A linear layer ``z_j = sum_i a_i w_ij + b_j`` hands it on in proportion
to what each input brought; a bias keeps its part:

    R_i = sum over j of  a_i (w_ij + g max(w_ij, 0)) / z'_j  R_j
    z'_j = z_j + g (sum over i of a_i max(w_ij, 0) + max(b_j, 0))

with g = 0 the z-rule, with g > 0 the gamma-rule, which favours what speaks for the class. A ReLU passes it on. A LIF
neuron divides the relevance of a spike at step t among its inputs x up to then in proportion to what is left of them:

    R_t'[x] = sum over t >= t' of  lambda^(t - t') x_t' / D_t  R_t[spike]
    D_t     = sum over t' <= t of  lambda^(t - t') x_t'

For the reset to zero, the sums begin after the last spike. D is the membrane plus what resets have subtracted from it,
so that ``D_t > threshold`` at every spike: nothing is divided by a small number, and no relevance is lost. A silent
step has none. (With a synaptic current, x_t' is left as that current and the membrane have it; with
``order="fire_first"``, D is that of the step before.) So conservation fails by the biases alone:

    residual = sum of the relevance of the inputs - y  =  - relevance of all biases and offsets of batch norm

Since R_i = a_i Q_i everywhere, Q is found by one backward pass with these derivatives; for an ANN of ReLU layers and
g = 0, R is input times gradient.

Source: Bach et al. 2015 (PLoS ONE 10:e0130140), Eq. 2 and 56; Montavon et al. 2019 (LRP: an overview), gamma-rule; for
spikes, the division over time follows the idea of Sun et al. 2024 (EventRPG, ICLR), with the membrane's leak.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurosam._util.arguments import reals
from neurosam.attribution.gradients import NONLINEAR, gradient
from neurosam.attribution.method import (
    Forward,
    InputMethod,
    Maps,
    Model,
    Target,
    evaluating,
    hooked,
    per_channel,
    prepared,
    resolve,
    selected,
)
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.training import LIF

__all__ = ["LRP"]

_KNOWN = ("torch.nn.", "neurosam.training.", "neurosam.attribution.")
_SMALL = 1e-9
"""Below this |z'| relative to |z|, the gamma-rule hands nothing on; the residual shows it."""


class LRP(InputMethod):
    """Relevance of every input value; a map is the sum over channels.

    Parameters
    ----------
    module : nn.Module
        Of LIF or ReLU layers, and linear ones.
    gamma : float
        g of the gamma-rule, at least 0; 0 is the z-rule.

    Raises
    ------
    NeurosamError
        If a layer is neither linear nor ReLU nor LIF.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import LRP
    >>> from neurosam import training
    >>> method = LRP(training.build("4C3-P2-D10", (1, 8, 8)))
    >>> x = torch.ones(5, 3, 1, 8, 8)
    >>> method.attribute(x, target=2).shape, method.residual(x, target=2).shape
    ((5, 3, 8, 8), (3,))
    """

    def __init__(self, module: Model, gamma: float = 0.0) -> None:
        super().__init__(module)
        self.gamma = float(reals("LRP: gamma", gamma, low=0.0, ndim=(0,), error=ArgumentError))
        if isinstance(self.module, Forward):
            raise NeurosamError("LRP", "got a function, whose layers it cannot see; give the module")
        for name, part in self.module.named_modules():
            known = type(part).__module__.startswith(_KNOWN) or next(part.children(), None) is not None
            if isinstance(part, NONLINEAR) or not known:
                raise NeurosamError(f"LRP: layer {name!r}", f"is {type(part).__name__}; there is no rule for it")

    def residual(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> Maps:
        """Sum of a sample's relevance minus its logit, ``[B]``: 0 if no bias takes part."""
        tensor = prepared("LRP", self.module, x)
        with evaluating(self.module):
            chosen = resolve(self.module, tensor, target)
            relevance = self._scores(tensor, chosen)
            with torch.no_grad():
                logit = selected(self.module, tensor, chosen)
        total = relevance.sum(dim=[d for d in range(tensor.ndim) if d != tensor.ndim - 4])
        return np.asarray((total - logit).cpu().numpy(), dtype=np.float64)

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        parts = list(self.module.modules())
        neurons = [part for part in parts if isinstance(part, LIF)]
        weighted = [part for part in parts if self.gamma and isinstance(part, (nn.Conv2d, nn.Linear))]
        with hooked(neurons, _divided_over_time), hooked(weighted, self._favouring):
            return x * gradient(self.module, x, target)

    def _favouring(self, part: nn.Conv2d | nn.Linear, inputs: tuple[Tensor], z: Tensor) -> Tensor:
        (a,) = inputs
        weight, bias = part.weight.clamp_min(0), None if part.bias is None else part.bias.clamp_min(0)
        positive = functional.linear(a, weight, bias) if isinstance(part, nn.Linear) else (
            functional.conv2d(a, weight, bias, part.stride, part.padding, part.dilation, part.groups)
        )  # fmt: skip
        favoured = z + self.gamma * positive
        ratio = torch.where(favoured.abs() > _SMALL * z.abs(), z / favoured, 0).detach()
        return _with_gradient_of(favoured * ratio, z)


def _divided_over_time(part: LIF, inputs: tuple[Tensor], spikes: Tensor) -> Tensor:
    """The spikes, as ``S / D`` times what is left of the inputs, D."""
    (x,) = inputs
    leak = per_channel(part.leak, x)
    current_leak = None if part.current_leak is None else per_channel(part.current_leak, x)
    kept, current, shares = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for drive, fired in zip(x, spikes.detach(), strict=True):
        current = drive if current_leak is None else current_leak * current + drive
        if part.order == "fire_first":
            shares.append(_share(fired, kept))
            kept = (leak * kept if part.reset == "subtract" else leak * kept * (1 - fired)) + current
        else:
            kept = leak * kept + current
            shares.append(_share(fired, kept))
            kept = kept if part.reset == "subtract" else kept * (1 - fired)
    return _with_gradient_of(torch.stack(shares), spikes)


def _share(fired: Tensor, kept: Tensor) -> Tensor:
    factor = torch.where(fired > 0, fired / kept.detach(), 0)
    return factor * kept


def _with_gradient_of(gradient_of: Tensor, values: Tensor) -> Tensor:
    """The values themselves, with the gradient of another tensor."""
    return values.detach() + (gradient_of - gradient_of.detach())
