"""Grad-CAM of an ANN, and its form for spiking nets, where a layer has a map for each step.

With A^k the activation of channel k at the layer, y the target's logit and N the layer's pixels:

    GradCAM          alpha_k = 1/N sum_ij dy/dA^k_ij              map = max(0, sum_k alpha_k A^k)

    SpikingGradCAM   "time_sum"  alpha_k = 1/N sum_ij,t dy/dA^k_ij,t          map_t = max(0, sum_k alpha_k A^k_t)
                     "per_step"  alpha_k,t = 1/N sum_ij dy/dA^k_ij,t          map_t = max(0, sum_k alpha_k,t A^k_t)

The paper's Eq. 9 sums over time, its Eq. 10 gives alpha a step: hence two modes. dy/dA passes the surrogate of every
layer above.

Source: Selvaraju et al. 2017 (Grad-CAM, ICCV), Eq. 1-2; Kim & Panda 2021 (arXiv 2103.14441), Eq. 9-10.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice
from neurosam.attribution.method import Method, logits
from neurosam.errors import NeurosamError
from neurosam.training import LIF, SpikingSequential

__all__ = ["GradCAM", "SpikingGradCAM"]


class GradCAM(Method):
    """Grad-CAM of one layer of an ANN; maps are ``[B, h, w]``, at least 0, of the layer's size.

    Parameters
    ----------
    module : nn.Module
        An ANN; one made by :func:`~neurosam.training.build_ann` is given its images ``[B, C, H, W]``.
    layer : str
        A layer that gives pictures ``[B, C, h, w]``, named as in ``named_modules``.

    Raises
    ------
    NeurosamError
        If there is no such layer, its output is no picture, or the module spikes.
    """

    def __init__(self, module: nn.Module, layer: str) -> None:
        super().__init__(module)
        names = [name for name, _ in module.named_modules() if name]
        self.layer = _known("GradCAM", layer, names)
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
            return output.clone()  # a later in-place layer must not change what was kept

        handle = part.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                score = logits(self.module, x.clone().requires_grad_()).gather(1, target[:, None]).sum()
        finally:
            handle.remove()
        if len(kept) != 1:
            raise NeurosamError(f"GradCAM: layer {self.layer!r}", f"ran {len(kept)} times; once is required")
        activation = kept[0]
        _pictures("GradCAM", self.layer, activation, 4)
        grad = _gradient("GradCAM", self.layer, score, activation)
        return torch.relu((grad.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1))


class SpikingGradCAM(Method):
    """SNN-crafted Grad-CAM; maps are ``[T, B, h, w]``, at least 0, of the layer's size.

    Parameters
    ----------
    module : SpikingSequential
    layer : str
        A layer that gives pictures ``[T, B, C, h, w]``, usually a LIF.
    alpha : {"time_sum", "per_step"}
        Whether a channel has one weight, or one a step.
    """

    def __init__(self, module: SpikingSequential, layer: str, alpha: str = "time_sum") -> None:
        super().__init__(module)
        if not isinstance(module, SpikingSequential):
            raise NeurosamError("SpikingGradCAM", f"got {type(module).__name__}; a SpikingSequential is required")
        self._net = module
        self.layer = _known("SpikingGradCAM", layer, [name for name, _ in module.named_children()])
        self.alpha = choice("SpikingGradCAM: alpha", alpha, ("time_sum", "per_step"))

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 5:
            raise NeurosamError("SpikingGradCAM: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
        with torch.enable_grad():
            output, kept = self._net.activations(x.clone().requires_grad_(), (self.layer,))
            score = output.gather(1, target[:, None]).sum()
        activation = kept[self.layer]
        _pictures("SpikingGradCAM", self.layer, activation, 5)
        alpha = _gradient("SpikingGradCAM", self.layer, score, activation).mean(dim=(3, 4), keepdim=True)
        if self.alpha == "time_sum":
            alpha = alpha.sum(dim=0, keepdim=True)
        return torch.relu((alpha * activation).sum(dim=2))


def _known(where: str, layer: str, names: list[str]) -> str:
    if layer not in names:
        raise NeurosamError(f"{where}: layer {layer!r}", f"is not in the module; it has {', '.join(names)}")
    return layer


def _pictures(where: str, layer: str, activation: Tensor, ndim: int) -> None:
    if activation.ndim != ndim:
        wanted = "[T, B, C, h, w]" if ndim == 5 else "[B, C, h, w]"
        raise NeurosamError(
            f"{where}: layer {layer!r}", f"gives {tuple(activation.shape)}; a map needs pictures {wanted}"
        )


def _gradient(where: str, layer: str, score: Tensor, activation: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(score, activation, allow_unused=True)
    if grad is None:
        raise NeurosamError(f"{where}: layer {layer!r}", "has no influence on the output")
    return grad
