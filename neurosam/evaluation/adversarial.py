"""Attacks by a single step along the sign of the loss gradient, on an ANN and on a spiking network.

    fgsm             x' = clip(x + epsilon sign(dL/dx))
    spiking_fgsm     x' = clip(x + epsilon sign(sum over t of dL/ds_t))

where L is the cross-entropy and s_t the encoded input at step t. The second passes the gradient of all steps straight
through the input coding, which has no gradient; dL/ds_t is a surrogate gradient. Where the coding draws random numbers,
the gradient may be averaged over several draws.

Source: Goodfellow, Shlens & Szegedy 2015 (arXiv 1412.6572); Sharmin et al. 2020 (arXiv 2003.10399), SNN-crafted attack;
Athalye et al. 2018 (arXiv 1802.00420), expectation over transformations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice, integer
from neurosam.attribution.method import evaluating, logits, prepared, resolve
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.signals.events import encode
from neurosam.training import Normalisation, SpikingSequential

__all__ = ["fgsm", "spiking_fgsm"]

Images = npt.NDArray[np.float32]


def fgsm(module: nn.Module, images: npt.NDArray[Any], labels: npt.ArrayLike, epsilon: float) -> Images:
    """Attack an ANN.

    Parameters
    ----------
    module : nn.Module
        Takes intensities ``[B, C, H, W]``.
    images : uint8, or float in [0, 1], (B, C, H, W) array
    labels : (B,) int array
        True classes; the attack increases their loss.
    epsilon : float
        In units of intensity, 0..1; the paper uses 4/255.

    Returns
    -------
    (B, C, H, W) float32 array
        In [0, 1], with no pixel further than `epsilon` from the original.

    Examples
    --------
    >>> from torch import nn
    >>> from neurosam.evaluation import fgsm
    >>> ann = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> images = np.full((2, 1, 2, 2), 0.5, np.float32)
    >>> attacked = fgsm(ann, images, labels=[0, 2], epsilon=4 / 255)
    >>> attacked.shape, bool(np.abs(attacked - images).max() <= 4 / 255 + 1e-6)
    ((2, 1, 2, 2), True)
    """
    x = _intensity("fgsm", images, epsilon)
    return _step(x, _loss_gradient("fgsm", module, x, labels), epsilon)


def spiking_fgsm(
    module: SpikingSequential,
    images: npt.NDArray[Any],
    labels: npt.ArrayLike,
    epsilon: float,
    *,
    steps: int,
    coding: str = "poisson",
    seed: int = 0,
    draws: int = 1,
    first: int = 0,
    normalisation: Normalisation | None = None,
) -> Images:
    """Attack a spiking network; the result is as in :func:`fgsm`.

    Parameters
    ----------
    module, images, labels, epsilon
        See :func:`fgsm`.
    steps : int
        T, at least 1.
    coding : {"poisson", "poisson_signed", "direct"}
        Latency coding has no useful gradient, because the time of a spike encodes the intensity.
    seed : int
        Seed of the input spikes used for the attack; evaluate with another seed.
    draws : int
        How often spikes are drawn, with seeds ``seed .. seed + draws - 1``; the gradient is the mean over them, so that
        the attack follows the expected loss and not the noise of one draw (expectation over transformations).
    first : int
        Number of the first image, as in :func:`neurosam.encode`.
    normalisation : Normalisation, optional
        Required for "poisson_signed".

    Examples
    --------
    >>> from neurosam.evaluation import spiking_fgsm
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> spiking_fgsm(module, np.full((2, 1, 8, 8), 0.5), [0, 1], 4 / 255, steps=6).shape
    (2, 1, 8, 8)
    """
    choice("spiking_fgsm: coding", coding, ("poisson", "poisson_signed", "direct"), ArgumentError)
    x = _intensity("spiking_fgsm", images, epsilon)
    to_encode: npt.NDArray[Any] = x
    if coding == "poisson_signed":
        if normalisation is None or len(normalisation.mean) != x.shape[1]:
            raise NeurosamError("spiking_fgsm: normalisation", f"of {x.shape[1]} channels is required by {coding!r}")
        mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (normalisation.mean, normalisation.std))
        to_encode = (x - mean) / std
    gradients = [
        _loss_gradient("spiking_fgsm", module, encode(to_encode, steps, coding, s, first).dense(), labels).sum(dim=0)
        for s in range(seed, seed + integer("spiking_fgsm: draws", draws, 1, 10000, ArgumentError))
    ]
    return _step(x, torch.stack(gradients).mean(dim=0), epsilon)


def _loss_gradient(where: str, module: nn.Module, x: npt.NDArray[Any], labels: npt.ArrayLike) -> Tensor:
    leaf = prepared(where, module, x).clone().requires_grad_()
    with evaluating(module), torch.enable_grad():
        target = resolve(module, leaf, np.asarray(labels))
        loss = nn.functional.cross_entropy(logits(module, leaf), target, reduction="sum")
        return torch.autograd.grad(loss, leaf)[0].cpu()


def _step(x: Images, gradient: Tensor, epsilon: float) -> Images:
    moved = x + np.float32(epsilon) * np.sign(gradient.numpy()).astype(np.float32)
    return np.asarray(np.clip(moved, 0, 1), dtype=np.float32)


def _intensity(where: str, images: npt.NDArray[Any], epsilon: float) -> Images:
    if not (math.isfinite(epsilon) and 0 <= epsilon <= 1):
        raise NeurosamError(f"{where}: epsilon", f"got {epsilon!r}; allowed is 0..1, in intensity (4/255, not 4)")
    array = np.asarray(images)
    x = array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array.astype(np.float32)
    if x.ndim != 4 or not x.size or not (x.min() >= 0 and x.max() <= 1):
        raise NeurosamError(
            f"{where}: images", f"got {array.dtype} {array.shape}; uint8, or floats in [0, 1], (B, C, H, W) is required"
        )
    return x
