"""Activity of a layer over time: which of two items its maps favour, and how much it fires.

Sensory suppression is the paper's claim that, when two items are shown, later maps settle on the predicted one. We
measure it with one item in the left half and one in the right (:func:`neurosam.data.two_items`):

    share_t = mass of map_t in the half of the predicted item / mass of map_t

0.5 means no preference. The claim is supported if the share rises with t on samples where one of the two items is
predicted.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.8 and Fig. 6b, 10; the numbers are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurosam.attribution.method import evaluating, prepared
from neurosam.errors import NeurosamError
from neurosam.explain.maps import upsample
from neurosam.training import LIF, SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["layer_activity", "suppression"]

Array = npt.NDArray[np.float64]


def suppression(
    maps: npt.ArrayLike, labels: npt.ArrayLike, predictions: npt.ArrayLike, masks: npt.ArrayLike | None = None
) -> Array:
    """Fraction of the map of each step in the region of the predicted item, ``[T, B]``.

    Parameters
    ----------
    maps : (T, B, h, w) array
        Values below 0 count as 0.
    labels : (B, 2) int array
        Classes of the left and the right item, which must differ (PairSet.labels).
    predictions : (B,) int array
    masks : (B, 2, H, W) array, optional
        Exact pixels of the two items (PairSet.masks); the fraction is then of the mass in the union of the two. Without
        masks it is of the whole map, and the regions are its halves; the middle column of an odd width is in neither.

    Returns
    -------
    (T, B) float64 array
        0..1; NaN where the prediction is neither item, or the map of a step has no mass.

    Raises
    ------
    NeurosamError
        If the shapes do not match, or both items of a pair have the same class.

    Examples
    --------
    >>> from neurosam.evaluation import suppression
    >>> maps = np.array([[[[1.0, 1.0]]], [[[3.0, 1.0]]]])  # 2 steps, 1 sample, 1 x 2 pixels
    >>> suppression(maps, labels=[[7, 4]], predictions=[7]).ravel().tolist()
    [0.5, 0.75]
    """
    array = np.asarray(maps, dtype=np.float64)
    pair, predicted = np.asarray(labels), np.asarray(predictions)
    if array.ndim != 4 or pair.shape != (array.shape[1], 2) or predicted.shape != pair.shape[:1]:
        raise NeurosamError(
            "suppression",
            f"got maps {array.shape}, labels {pair.shape}, predictions {predicted.shape}; "
            "(T, B, h, w), (B, 2) and (B,) are required",
        )
    if (pair[:, 0] == pair[:, 1]).any():
        raise NeurosamError(
            "suppression: labels", "contain a pair of one class, so it is not known which of its items is predicted"
        )
    array = np.maximum(array, 0.0)
    if masks is None:
        half = array.shape[3] // 2
        mass = np.stack([array[..., :half].sum(axis=(2, 3)), array[..., -half:].sum(axis=(2, 3))])
        total = array.sum(axis=(2, 3))
    else:
        inside = np.asarray(masks) != 0
        if inside.ndim != 4 or inside.shape[:2] != pair.shape:
            raise NeurosamError("suppression: masks", f"got shape {inside.shape}; (B, 2, H, W) is required")
        large = upsample(array, (inside.shape[2], inside.shape[3]))
        mass = np.stack([(large * inside[:, item]).sum(axis=(2, 3)) for item in (0, 1)])
        total = mass.sum(axis=0)
    hit = pair == predicted[:, None]
    mass_predicted = np.where(hit[:, 0], mass[0], mass[1])
    share: Array = np.full(total.shape, np.nan)
    np.divide(mass_predicted, total, out=share, where=(total > 0) & hit.any(axis=1))
    return share


def layer_activity(
    module: SpikingSequential, x: Tensor | npt.NDArray[Any], layers: Sequence[str] | None = None
) -> dict[str, Array]:
    """Spikes in each step, averaged over samples, ``[T]``, by LIF layer (all if None): Fig. 6b before normalisation.

    For a network on a back end, use :func:`neurosam.metrics.spikes_per_step`.

    Examples
    --------
    >>> import torch
    >>> from neurosam.evaluation import layer_activity
    >>> from neurosam import training
    >>> activity = layer_activity(training.build("4C3-P2-D8-D10", (1, 8, 8)), torch.ones(6, 3, 1, 8, 8))
    >>> {layer: spikes.shape for layer, spikes in activity.items()}
    {'conv1': (6,), 'dense1': (6,)}
    """
    spiking = [name for name, part in named_layers(module) if isinstance(part, LIF)]
    names = spiking if layers is None else list(layers)
    if unknown := [name for name in names if name not in spiking]:
        raise NeurosamError(
            f"layer_activity: layer {unknown[0]!r}", f"is not a LIF layer; the LIF layers are {', '.join(spiking)}"
        )
    tensor = prepared("layer_activity", module, x)
    with evaluating(module), torch.no_grad():
        kept = module.activations(tensor, names)[1]
    return {name: np.asarray(kept[name].flatten(2).sum(dim=2).double().mean(dim=1).cpu().numpy()) for name in names}
