"""Score-CAM: the channels of a layer, weighted with the logit that each leaves when it masks the input. No gradient.

With A^k the activation of channel k, H^k its mean over steps, enlarged to the input and scaled to 0..1, and b an empty
input,

    s_k = y(x * H^k) - y(b)        alpha = softmax over k of s        map_t = max(0, sum_k alpha_k A^k_t)

A channel that is constant over the picture masks all of it. For an ANN there is one step.

Source: Wang et al. 2020 (Score-CAM, CVPR Workshops, arXiv 1910.01279), Algorithm 1. That H is a mean over steps, and
the map one per step, is neurosam's own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurosam.attribution.layers import Layer, layer_name, run_with_layer
from neurosam.attribution.method import Method, Model, selected
from neurosam.errors import NeurosamError
from neurosam.explain.maps import upsample

__all__ = ["ScoreCAM"]


class ScoreCAM(Method):
    """Score-CAM of a layer; maps are ``[T, B, h, w]`` or ``[B, h, w]``, non-negative, of the size of the layer.

    Parameters
    ----------
    module : nn.Module or callable
        Run once for each channel of the layer.
    layer : str or nn.Module
        A layer with output ``[T, B, C, h, w]`` or ``[B, C, h, w]``.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import ScoreCAM
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> ScoreCAM(module, "conv1").attribute(torch.ones(5, 3, 1, 8, 8), target=2).shape
    (5, 3, 8, 8)
    """

    def __init__(self, module: Model, layer: Layer) -> None:
        super().__init__(module)
        self._name = layer_name("ScoreCAM", self.module, layer)
        self.layer = layer

    @torch.no_grad()
    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        activation = run_with_layer("ScoreCAM", self.module, self.layer, x).output
        if activation.ndim != x.ndim:
            raise NeurosamError(
                f"ScoreCAM: layer {self._name!r}", f"gives {tuple(activation.shape)}; a map requires {x.ndim} axes"
            )
        channels = activation.mean(dim=0) if x.ndim == 5 else activation
        large = torch.from_numpy(upsample(channels.cpu().numpy(), (x.shape[-2], x.shape[-1]))).to(x.device, x.dtype)
        low = large.amin(dim=(2, 3), keepdim=True)
        span = large.amax(dim=(2, 3), keepdim=True) - low
        masks = torch.where(span > 0, (large - low) / torch.where(span > 0, span, 1), 0)
        empty = selected(self.module, torch.zeros_like(x), target)
        left = [selected(self.module, x * masks[:, k, None], target) - empty for k in range(masks.shape[1])]
        alpha = torch.softmax(torch.stack(left, dim=1), dim=1)[:, :, None, None]
        return torch.relu((alpha * activation).sum(dim=-3))
