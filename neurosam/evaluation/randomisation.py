"""The sanity check: an explanation that does not change with the weights does not explain what was learned.

From the output down, one weight layer after another is randomised (and stays so); after each, the new map is compared
with the original. Randomising shuffles a layer's weights, which keeps their distribution and so keeps neurons firing.
A method that only looks forward, such as SAM, cannot see layers above its own: for these the similarity is exactly 1,
which is a statement about the method and has to be printed.

Source: Adebayo et al. 2018 (Sanity checks for saliency maps, arXiv 1810.03292), cascading randomisation.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam.errors import NeurosamError
from neurosam.evaluation.agreement import spearman

__all__ = ["randomised", "weight_randomisation"]

M = TypeVar("M", bound=nn.Module)
Similarity = Callable[[npt.ArrayLike, npt.ArrayLike], npt.NDArray[np.float64]]


@torch.no_grad()
def randomised(module: M, layers: Sequence[str], seed: int = 0) -> M:
    """A copy in which the weights of some layers are shuffled.

    Parameters
    ----------
    module : nn.Module
        Stays as it was.
    layers : sequence of str
        Convolutions or dense layers, named as in ``named_modules``.
    seed : int
        A layer's shuffle depends on the seed and its name, not on the other layers.
    """
    twin = copy.deepcopy(module)
    known = _weights(twin)
    for name in layers:
        if name not in known:
            raise NeurosamError(f"randomised: layer {name!r}", f"has no weights; those with some: {', '.join(known)}")
        weight = known[name].weight
        rng = np.random.default_rng([seed, *name.encode()])
        order = torch.from_numpy(rng.permutation(weight.numel())).to(weight.device)
        weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return twin


def weight_randomisation(
    module: M,
    explain: Callable[[M], npt.ArrayLike],
    *,
    seed: int = 0,
    similarity: Similarity = spearman,
) -> dict[str, npt.NDArray[np.float64]]:
    """Similarity of the map to the original after each layer from the output down, by the layer's name.

    Parameters
    ----------
    module : nn.Module
        Trained.
    explain : callable
        From a module to its maps (B, H, W), on inputs and *fixed targets* of the caller's:
        ``lambda m: aggregate(SpikingGradCAM(m, "conv2").attribute(x, labels))``.
    seed : int
    similarity : callable
        Of two maps (B, H, W), to (B,).

    Returns
    -------
    dict of str to (B,) array
        In order of randomisation; 1 means that the map did not notice, NaN that a map had one value only.
    """
    names = list(_weights(module))
    if not names:
        raise NeurosamError("weight_randomisation", "finds no convolution or dense layer to randomise")
    original = np.asarray(explain(module))
    found: dict[str, npt.NDArray[np.float64]] = {}
    for first in reversed(range(len(names))):
        found[names[first]] = similarity(original, explain(randomised(module, names[first:], seed)))
    return found


def _weights(module: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    return {name: part for name, part in module.named_modules() if isinstance(part, (nn.Conv2d, nn.Linear))}
