"""Occlusion: how far the logit falls when a window of the input is blank. Needs no gradient and knows no model.

    score of window w = y(x) - y(x with w at the baseline, in all channels and all steps)

A pixel's map value is the mean over the windows that cover it. Windows start at multiples of the stride, as many as it
takes to reach the far border; the last ones may reach beyond it.

Source: Zeiler & Fergus 2014 (arXiv 1311.2901), section 4.2.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from neurosam._util.arguments import pair
from neurosam.attribution.method import Method, selected

__all__ = ["Occlusion"]


class Occlusion(Method):
    """Fall of the logit under a sliding window; maps are ``[B, H, W]``, one for all steps.

    Parameters
    ----------
    module : nn.Module
        Anything with logits; run once for each place of the window.
    window : int or (int, int)
        Height and width in pixels.
    stride : int or (int, int), optional
        From window to window, at most the window; the window itself if None.
    baseline : float
        What covers the pixels; 0 is silence.
    """

    def __init__(
        self,
        module: nn.Module,
        window: int | tuple[int, int] = 4,
        stride: int | tuple[int, int] | None = None,
        baseline: float = 0.0,
    ) -> None:
        super().__init__(module)
        self.window = pair("Occlusion: window", window, 1, 65536)
        given = pair("Occlusion: stride", self.window if stride is None else stride, 1, 65536)
        self.stride = tuple(
            pair(f"Occlusion: stride {s} of window {w}", s, 1, w)[0] for s, w in zip(given, self.window, strict=True)
        )
        self.baseline = float(baseline)

    @torch.no_grad()
    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        whole = selected(self.module, x, target)
        size = x.shape[-2:]
        total = x.new_zeros((x.shape[-4], *size))
        windows = x.new_zeros(size)
        starts = [
            range(0, max(side - width, 0) + step, step)
            for side, width, step in zip(size, self.window, self.stride, strict=True)
        ]
        for top, left in product(*starts):
            place = (..., slice(top, top + self.window[0]), slice(left, left + self.window[1]))
            covered = x.clone()
            covered[place] = self.baseline
            total[place] += (whole - selected(self.module, covered, target))[:, None, None]
            windows[place] += 1
        return total / windows
