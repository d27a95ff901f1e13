"""Occlusion: how far the logit falls when a window of the input is blanked. It needs no gradient and fits any model.

    score of window w = y(x) - y(x with w at the baseline, in all channels and all steps)

The map at a pixel is the mean over the windows that cover it. Windows start at multiples of the stride, as many as are
needed to reach the far border; the last ones may extend beyond it.

In time, a window covers a number of steps instead of all, and windows follow each other: the map then says when a
place matters, as well as where.

Source: Zeiler & Fergus 2014 (arXiv 1311.2901), section 4.2.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from neurosam._util.arguments import integer, pair
from neurosam.attribution.method import Method, Model, selected
from neurosam.errors import ArgumentError, NeurosamError

__all__ = ["Occlusion"]


class Occlusion(Method):
    """Decrease of the logit under a sliding window; maps are ``[B, H, W]``, or ``[T, B, H, W]`` with `steps`.

    Parameters
    ----------
    module : nn.Module or callable
        Run once for each position of the window.
    window : int or (int, int)
        Height and width in pixels.
    stride : int or (int, int), optional
        Step from one window to the next, at most the window size; the window size if None.
    baseline : float
        Value of the covered pixels; 0 is no input.
    steps : int, optional
        Length of a window in steps; all steps if None.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import Occlusion
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    >>> _ = nn.init.constant_(module[1].weight, 0.25)
    >>> Occlusion(module, window=2).attribute(torch.ones(1, 1, 4, 4), target=0)[0, 0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        module: Model,
        window: int | tuple[int, int] = 4,
        stride: int | tuple[int, int] | None = None,
        baseline: float = 0.0,
        steps: int | None = None,
    ) -> None:
        super().__init__(module)
        self.window = pair("Occlusion: window", window, 1, 65536, ArgumentError)
        given = pair("Occlusion: stride", self.window if stride is None else stride, 1, 65536, ArgumentError)
        self.stride = tuple(
            integer(f"Occlusion: stride {s} of window {w}", s, 1, w, ArgumentError)
            for s, w in zip(given, self.window, strict=True)
        )
        self.baseline = float(baseline)
        self.steps = None if steps is None else integer("Occlusion: steps", steps, 1, 2**31 - 1, ArgumentError)

    @torch.no_grad()
    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        whole = selected(self.module, x, target)
        if self.steps is None:
            return self._under(x, target, whole, ...)
        if x.ndim != 5:
            raise NeurosamError("Occlusion: steps", f"given for an input {tuple(x.shape)}, which has no steps")
        maps = []
        for start in range(0, len(x), self.steps):
            window = slice(start, min(start + self.steps, len(x)))
            maps += [self._under(x, target, whole, window)] * (window.stop - window.start)
        return torch.stack(maps)

    def _under(self, x: Tensor, target: Tensor, whole: Tensor, time: Any) -> Tensor:
        """Map ``[B, H, W]`` of windows in the given steps (all of them: ...); `whole` is the logit without a window."""
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
            covered[time][place] = self.baseline  # a view of the steps
            total[place] += (whole - selected(self.module, covered, target))[:, None, None]
            windows[place] += 1
        return total / windows
