"""Sanity check by randomisation: an explanation that does not depend on the weights does not explain what was learned.

From the output down, the weight layers are randomised one after the other, cumulatively, and after each one the new map
is compared with the original. To randomise a layer means to shuffle its weights, which preserves their distribution and
so keeps the neurons firing. A method that only uses forward activity, such as SAM, does not depend on the layers above
its own. For these the similarity is exactly 1, which characterises the method and should be reported.

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
        Not changed.
    layers : sequence of str
        Convolutions or dense layers, named as in ``named_modules``.
    seed : int
        The shuffle of a layer depends on the seed and the layer's name, not on the other layers.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> shuffled = randomised(module, ["2"])
    >>> bool((shuffled[2].weight == module[2].weight).all()), bool((shuffled[0].weight == module[0].weight).all())
    (False, True)
    """
    result = copy.deepcopy(module)
    weight_layers = _weight_layers(result)
    for name in layers:
        if name not in weight_layers:
            raise NeurosamError(
                f"randomised: layer {name!r}", f"has no weights; layers with weights are {', '.join(weight_layers)}"
            )
        weight = weight_layers[name].weight
        rng = np.random.default_rng([seed, *name.encode()])
        order = torch.from_numpy(rng.permutation(weight.numel())).to(weight.device)
        weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return result


def weight_randomisation(
    module: M,
    explain: Callable[[M], npt.ArrayLike],
    *,
    seed: int = 0,
    similarity: Similarity = spearman,
) -> dict[str, npt.NDArray[np.float64]]:
    """Similarity of the map to the original after randomising each layer, from the output down, by layer name.

    Parameters
    ----------
    module : nn.Module
        Trained.
    explain : callable
        A function from a module to its maps (B, H, W), for the same inputs and *the same targets* at every call:
        ``lambda m: aggregate(SpikingGradCAM(m, "conv2").attribute(x, labels))``.
    seed : int
    similarity : callable
        A function of two arrays of maps (B, H, W) that returns (B,).

    Returns
    -------
    dict of str to (B,) array
        In order of randomisation; 1 if the map did not change, NaN if a map was constant.

    Examples
    --------
    >>> from neurosam import training
    >>> from neurosam.attribution import ModuleSAM
    >>> module, x = training.build("4C3-P2-D10", (1, 8, 8)), torch.ones(6, 3, 1, 8, 8)
    >>> similarity = weight_randomisation(module, lambda m: ModuleSAM(m, "conv1").attribute(x).sum(axis=0))
    >>> {layer: values.shape for layer, values in similarity.items()}
    {'out_linear': (3,), 'conv1_conv': (3,)}
    """
    names = list(_weight_layers(module))
    if not names:
        raise NeurosamError("weight_randomisation", "finds no convolution or dense layer to randomise")
    original = np.asarray(explain(module))
    by_layer: dict[str, npt.NDArray[np.float64]] = {}
    for first in reversed(range(len(names))):
        by_layer[names[first]] = similarity(original, explain(randomised(module, names[first:], seed)))
    return by_layer


def _weight_layers(module: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    return {name: part for name, part in module.named_modules() if isinstance(part, (nn.Conv2d, nn.Linear))}
