"""Grad-CAM for ANNs, and its variant for spiking networks, with one map per step.

With A^k the activation of channel k of the layer, y the logit of the target and N the number of pixels of the layer:

    GradCAM          alpha_k = 1/N sum_ij dy/dA^k_ij              map = max(0, sum_k alpha_k A^k)

    SpikingGradCAM   "time_sum"  alpha_k = 1/N sum_ij,t dy/dA^k_ij,t          map_t = max(0, sum_k alpha_k A^k_t)
                     "per_step"  alpha_k,t = 1/N sum_ij dy/dA^k_ij,t          map_t = max(0, sum_k alpha_k,t A^k_t)

Eq. 9 of the paper sums alpha over time, while its Eq. 10 has one alpha per step; hence the two modes. dy/dA is computed
with the surrogate gradients of all layers above.

Source: Selvaraju et al. 2017 (Grad-CAM, ICCV), Eq. 1-2; Kim & Panda 2021 (arXiv 2103.14441), Eq. 9-10.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice
from neurosam.attribution.layers import Layer, layer_name, run_with_layer
from neurosam.attribution.method import Forward, Method, Model, has_time
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.training import LIF

__all__ = ["GradCAM", "SpikingGradCAM"]


class GradCAM(Method):
    """Grad-CAM of one layer of an ANN; maps are ``[B, h, w]``, non-negative, of the size of the layer.

    Parameters
    ----------
    module : nn.Module or callable
        An ANN, such as one from :func:`~neurosam.training.build_ann`; its input is images ``[B, C, H, W]``.
    layer : str or nn.Module
        A layer with output ``[B, C, h, w]``, named as in ``named_modules``, or itself.

    Raises
    ------
    NeurosamError
        If there is no such layer, its output does not have four axes, or the module spikes.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import GradCAM
    >>> from neurosam import training
    >>> ann = training.build_ann("4C3-P2-D10", (1, 8, 8))
    >>> maps = GradCAM(ann, "conv1").attribute(torch.ones(3, 1, 8, 8), target=2)
    >>> maps.shape, bool((maps >= 0).all())
    ((3, 8, 8), True)
    """

    def __init__(self, module: Model, layer: Layer) -> None:
        super().__init__(module)
        self._name = layer_name("GradCAM", self.module, layer)
        self.layer = layer
        for name, part in self.module.named_modules():
            if isinstance(part, LIF):
                raise NeurosamError(f"GradCAM: layer {name!r}", "spikes; use SpikingGradCAM")

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 4:
            raise NeurosamError("GradCAM: input", f"got shape {tuple(x.shape)}; [B, C, H, W] is required")
        activation, grad = _activation_and_gradient(
            f"GradCAM: layer {self._name!r}", self.module, self.layer, x, target
        )
        return torch.relu((grad.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1))


class SpikingGradCAM(Method):
    """SNN-crafted Grad-CAM; maps are ``[T, B, h, w]``, non-negative, of the size of the layer.

    Parameters
    ----------
    module : nn.Module or callable
        A :class:`~neurosam.training.SpikingSequential`, or any module or function that loops over steps.
    layer : str or nn.Module
        A layer with output ``[T, B, C, h, w]``, or ``[B, C, h, w]`` in each step; usually one that spikes.
    alpha : {"time_sum", "per_step"}
        Whether a channel has one weight for all steps or one per step.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import SpikingGradCAM
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> SpikingGradCAM(module, "conv1", alpha="per_step").attribute(torch.ones(5, 3, 1, 8, 8)).shape
    (5, 3, 8, 8)
    """

    def __init__(self, module: Model, layer: Layer, alpha: str = "time_sum") -> None:
        super().__init__(module)
        if not isinstance(self.module, Forward) and not has_time(self.module):
            raise NeurosamError("SpikingGradCAM", f"got {type(module).__name__}, which has no time; use GradCAM")
        self._name = layer_name("SpikingGradCAM", self.module, layer)
        self.layer = layer
        self.alpha = choice("SpikingGradCAM: alpha", alpha, ("time_sum", "per_step"), ArgumentError)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 5:
            raise NeurosamError("SpikingGradCAM: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
        where = f"SpikingGradCAM: layer {self._name!r}"
        activation, grad = _activation_and_gradient(where, self.module, self.layer, x, target)
        alpha = grad.mean(dim=(3, 4), keepdim=True)
        if self.alpha == "time_sum":
            alpha = alpha.sum(dim=0, keepdim=True)
        return torch.relu((alpha * activation).sum(dim=2))


def _activation_and_gradient(
    where: str, module: nn.Module, layer: Layer, x: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Output of the layer, which has to be images, and the gradient of the targets' logits with respect to it."""
    with torch.enable_grad():
        run = run_with_layer(where.split(":")[0], module, layer, x.clone().requires_grad_())
        activation = run.output
        if activation.ndim != x.ndim:
            wanted = "[T, B, C, h, w]" if x.ndim == 5 else "[B, C, h, w]"
            raise NeurosamError(where, f"gives {tuple(activation.shape)}; a map requires {wanted}")
        return activation.detach(), run.gradient(where, run.logits.gather(1, target[:, None]).sum())
