"""What a layer does over time: which of two items it attends to, and how much it fires.

Sensory suppression, as the paper claims it: shown two items, late maps settle on the one that is predicted. As a
number, with the two items in the left and right half (:func:`neurosam.data.two_items`):

    share_t = mass of map_t in the predicted item's half / mass of map_t

0.5 is no preference; a claim needs a rise with t, on samples where one of the two is predicted at all.

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

__all__ = ["layer_activity", "suppression"]

Array = npt.NDArray[np.float64]


def suppression(
    maps: npt.ArrayLike, labels: npt.ArrayLike, predictions: npt.ArrayLike, masks: npt.ArrayLike | None = None
) -> Array:
    """Share of each step's map in the predicted item's region, ``[T, B]``.

    Parameters
    ----------
    maps : (T, B, h, w) array
        Values below 0 count as 0.
    labels : (B, 2) int array
        Classes of the left and the right item, different ones (PairSet.labels).
    predictions : (B,) int array
    masks : (B, 2, H, W) array, optional
        Exact pixels of the two items (PairSet.masks): the share is then of the mass inside either mask. Without them,
        of the whole map, and the regions are the two halves; the middle column of an odd width belongs to neither.

    Returns
    -------
    (T, B) float64 array
        0..1; NaN where the prediction is neither item, or a step's map has no mass.

    Raises
    ------
    NeurosamError
        If shapes do not fit, or both items of a pair are of one class.
    """
    array = np.asarray(maps, dtype=np.float64)
    pair, said = np.asarray(labels), np.asarray(predictions)
    if array.ndim != 4 or pair.shape != (array.shape[1], 2) or said.shape != pair.shape[:1]:
        raise NeurosamError(
            "suppression",
            f"got maps {array.shape}, labels {pair.shape}, predictions {said.shape}; "
            "(T, B, h, w), (B, 2) and (B,) are required",
        )
    if (pair[:, 0] == pair[:, 1]).any():
        raise NeurosamError("suppression: labels", "hold a pair of one class; which of the two is predicted is unknown")
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
    hit = pair == said[:, None]
    chosen = np.where(hit[:, 0], mass[0], mass[1])
    share: Array = np.full(total.shape, np.nan)
    np.divide(chosen, total, out=share, where=(total > 0) & hit.any(axis=1))
    return share


def layer_activity(
    module: SpikingSequential, x: Tensor | npt.NDArray[Any], layers: Sequence[str] | None = None
) -> dict[str, Array]:
    """Mean spikes of a sample in each step, ``[T]``, by LIF layer (all if None): Fig. 6b before it is normalised.

    For a network on a back end: :func:`neurosam.metrics.spikes_per_step`.
    """
    spiking = [name for name, part in module.named_children() if isinstance(part, LIF)]
    names = spiking if layers is None else list(layers)
    if unknown := [name for name in names if name not in spiking]:
        raise NeurosamError(f"layer_activity: layer {unknown[0]!r}", f"is no LIF layer; there are {', '.join(spiking)}")
    tensor = prepared("layer_activity", module, x)
    with evaluating(module), torch.no_grad():
        kept = module.activations(tensor, names)[1]
    return {name: np.asarray(kept[name].flatten(2).sum(dim=2).double().mean(dim=1).cpu().numpy()) for name in names}
