"""RISE: the average of random masks, weighted with the probability of the class under each. It needs no gradient.

    map[y, x] = 1 / (N p) sum over the N masks m of  P(x * m) m[y, x]

with P the softmax of the logits. A mask is a grid of cells that are open with probability p, enlarged to a cell more
than the picture, smoothly or with hard edges, and shifted at random by up to a cell. It covers all channels and steps
alike. On spikes, hard edges keep them spikes; smooth ones make them currents between 0 and 1.

Source: Petsiuk, Das & Saenko 2018 (arXiv 1806.07421), Eq. 6 and section 3.2.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neurosam._util.arguments import integer, pair, reals
from neurosam.attribution.method import Maps, Method, Model, logits
from neurosam.errors import ArgumentError
from neurosam.explain.maps import upsample

__all__ = ["RISE"]


class RISE(Method):
    """Mean of random masks, by the probability that they leave; maps are ``[B, H, W]``, one for all steps.

    Parameters
    ----------
    module : nn.Module or callable
        Run once for each mask.
    masks : int
        N, 1..1000000.
    cells : int or (int, int)
        Rows and columns of the grid.
    share : float
        p, above 0 and below 1.
    smooth : bool
        Whether masks are enlarged bilinearly, as published, or with hard edges.
    seed : int

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import RISE
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> RISE(module, masks=10, cells=4).attribute(torch.ones(5, 3, 1, 8, 8), target=2).shape
    (3, 8, 8)
    """

    def __init__(
        self,
        module: Model,
        masks: int = 1000,
        cells: int | tuple[int, int] = 7,
        share: float = 0.5,
        *,
        smooth: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(module)
        self.masks = integer("RISE: masks", masks, 1, 1_000_000, ArgumentError)
        self.cells = pair("RISE: cells", cells, 1, 65536, ArgumentError)
        self.share = float(reals("RISE: share", share, above=0.0, ndim=(0,), error=ArgumentError))
        if self.share >= 1:
            raise ArgumentError("RISE: share", f"got {share}; allowed is above 0 and below 1")
        self.smooth, self.seed = smooth, integer("RISE: seed", seed, 0, 2**63 - 1, ArgumentError)

    @torch.no_grad()
    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        rng = np.random.default_rng(self.seed)
        total = x.new_zeros((x.shape[-4], *x.shape[-2:]))
        for _ in range(self.masks):
            mask = torch.from_numpy(self._mask(rng, x.shape[-2], x.shape[-1])).to(x.device, x.dtype)
            probability = torch.softmax(logits(self.module, x * mask), dim=1).gather(1, target[:, None])
            total += probability[:, :, None] * mask
        return total / (self.masks * self.share)

    def _mask(self, rng: np.random.Generator, height: int, width: int) -> Maps:
        rows, columns = (-(-side // cells) for side, cells in zip((height, width), self.cells, strict=True))
        grid = (rng.random((self.cells[0] + 1, self.cells[1] + 1)) < self.share).astype(np.float64)
        size = (grid.shape[0] * rows, grid.shape[1] * columns)
        large = upsample(grid, size, "bilinear" if self.smooth else "nearest")
        top, left = int(rng.integers(rows)), int(rng.integers(columns))
        return large[top : top + height, left : left + width]
