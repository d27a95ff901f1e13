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

from typing import Any

import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice
from neurosam.attribution.method import Method, logits
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.training import LIF, SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["GradCAM", "SpikingGradCAM"]


class GradCAM(Method):
    """Grad-CAM of one layer of an ANN; maps are ``[B, h, w]``, non-negative, of the size of the layer.

    Parameters
    ----------
    module : nn.Module
        An ANN, such as one from :func:`~neurosam.training.build_ann`; its input is images ``[B, C, H, W]``.
    layer : str
        A layer with output ``[B, C, h, w]``, named as in ``named_modules``.

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

    def __init__(self, module: nn.Module, layer: str) -> None:
        super().__init__(module)
        names = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
        self.layer = _require_layer("GradCAM", layer, names)
        for name, part in module.named_modules():
            if isinstance(part, LIF):
                raise NeurosamError(f"GradCAM: layer {name!r}", "spikes; use SpikingGradCAM")

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 4:
            raise NeurosamError("GradCAM: input", f"got shape {tuple(x.shape)}; [B, C, H, W] is required")
        kept: list[Tensor] = []
        part = self.module.get_submodule(self.layer)

        def keep(_: nn.Module, __: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor):
                raise NeurosamError(f"GradCAM: layer {self.layer!r}", f"gives {type(output).__name__}, not one tensor")
            kept.append(output)
            return output.clone()  # so that a later in-place layer does not change the tensor in `kept`

        handle = part.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                score = logits(self.module, x.clone().requires_grad_()).gather(1, target[:, None]).sum()
        finally:
            handle.remove()
        if len(kept) != 1:
            raise NeurosamError(f"GradCAM: layer {self.layer!r}", f"ran {len(kept)} times; once is required")
        activation = kept[0]
        _require_images("GradCAM", self.layer, activation, 4)
        grad = _gradient("GradCAM", self.layer, score, activation)
        return torch.relu((grad.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1))


class SpikingGradCAM(Method):
    """SNN-crafted Grad-CAM; maps are ``[T, B, h, w]``, non-negative, of the size of the layer.

    Parameters
    ----------
    module : SpikingSequential
    layer : str
        A layer with output ``[T, B, C, h, w]``, usually a LIF.
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

    def __init__(self, module: SpikingSequential, layer: str, alpha: str = "time_sum") -> None:
        super().__init__(module)
        if not isinstance(module, SpikingSequential):
            raise NeurosamError("SpikingGradCAM", f"got {type(module).__name__}; a SpikingSequential is required")
        self._net = module
        self.layer = _require_layer("SpikingGradCAM", layer, [name for name, _ in named_layers(module)])
        self.alpha = choice("SpikingGradCAM: alpha", alpha, ("time_sum", "per_step"), ArgumentError)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 5:
            raise NeurosamError("SpikingGradCAM: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
        with torch.enable_grad():
            output, kept = self._net.activations(x.clone().requires_grad_(), (self.layer,))
            score = output.gather(1, target[:, None]).sum()
        activation = kept[self.layer]
        _require_images("SpikingGradCAM", self.layer, activation, 5)
        alpha = _gradient("SpikingGradCAM", self.layer, score, activation).mean(dim=(3, 4), keepdim=True)
        if self.alpha == "time_sum":
            alpha = alpha.sum(dim=0, keepdim=True)
        return torch.relu((alpha * activation).sum(dim=2))


def _require_layer(where: str, layer: str, names: list[str]) -> str:
    if layer not in names:
        raise NeurosamError(f"{where}: layer {layer!r}", f"is not in the module; it has {', '.join(names)}")
    return layer


def _require_images(where: str, layer: str, activation: Tensor, ndim: int) -> None:
    if activation.ndim != ndim:
        wanted = "[T, B, C, h, w]" if ndim == 5 else "[B, C, h, w]"
        raise NeurosamError(f"{where}: layer {layer!r}", f"gives {tuple(activation.shape)}; a map requires {wanted}")


def _gradient(where: str, layer: str, score: Tensor, activation: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(score, activation, allow_unused=True)
    if grad is None:
        raise NeurosamError(f"{where}: layer {layer!r}", "has no influence on the output")
    return grad
