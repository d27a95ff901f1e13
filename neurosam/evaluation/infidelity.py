"""Infidelity: whether scores predict by how much the model's answer falls when the input is perturbed.

    infidelity = mean over perturbations I of ( beta sum(I * scores) - (f(x) - f(x - I)) )^2

Scores that are the gradient of a linear model have infidelity 0. With `scaled`, beta is the best factor of a sample,

    beta = mean(p d) / mean(p^2),   p = sum(I * scores),  d = f(x) - f(x - I),

so that the unit of a map does not matter; otherwise beta is 1. Perturbations: ``square`` blanks a random square of
pixels (in all channels and steps), ``noise`` subtracts normal noise from every value.

Source: Yeh, Hsieh, Suggala, Inouye & Ravikumar 2019 (On the (in)fidelity and sensitivity of explanations,
arXiv 1901.09392), definition 2.1 and section 2.3 (square removal, noisy baseline, optimal scaling).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer
from neurosam._util.progress import task
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.evaluation.perturbation import measured, targets
from neurosam.evaluation.predictor import Predictor
from neurosam.explain.maps import upsample

__all__ = ["infidelity"]

Array = npt.NDArray[np.float64]


def infidelity(
    predict: Predictor,
    x: npt.NDArray[Any],
    scores: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    perturbation: str = "square",
    window: int = 4,
    sigma: float = 0.2,
    baseline: float = 0.0,
    samples: int = 50,
    scaled: bool = True,
    seed: int = 0,
) -> Array:
    """Mean squared error of what the scores predict, ``[B]``; lower is better.

    Parameters
    ----------
    predict : Predictor
    x : (T, B, C, H, W) or (B, C, H, W) array
        Encoded input, or images.
    scores : array
        In the shape of `x`, in answer per unit of input (a gradient, not gradient times input); or maps (B, h, w),
        which stand for every channel and step.
    target : (B,) int array or int, optional
        Classes whose score (logit) is f; those predicted on `x` if None.
    perturbation : {"square", "noise"}
    window : int
        Side of the square in pixels, 1 .. the smaller side of `x`.
    sigma : float
        Standard deviation of the noise.
    baseline : float
        Value of a blanked pixel.
    samples : int
        Perturbations; each runs the model once.
    scaled : bool
        Whether to use the best factor for each sample.
    seed : int

    Returns
    -------
    (B,) float64 array

    Raises
    ------
    NeurosamError
        If shapes do not fit.

    Examples
    --------
    >>> from neurosam.evaluation import infidelity
    >>> weight = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> def predict(x):
    ...     return np.stack([(x * weight).sum(axis=(1, 2, 3)), np.zeros(len(x))], axis=1)
    >>> x = np.ones((1, 1, 4, 4))
    >>> infidelity(predict, x, weight, target=0, window=2).round(9)
    array([0.])
    """
    choice("infidelity: perturbation", perturbation, ("square", "noise"), ArgumentError)
    array = np.asarray(x)
    if array.ndim not in (4, 5) or not array.size:
        raise NeurosamError("infidelity: x", f"got shape {array.shape}; [T, B, C, H, W] or [B, C, H, W] is required")
    window = integer("infidelity: window", window, 1, min(array.shape[-2:]), ArgumentError)
    count = integer("infidelity: samples", samples, 2, 10**6, ArgumentError)
    values, real = _scores(array, scores), array.astype(np.float64)
    whole = predict(array)
    classes = targets("infidelity", target, whole)
    answer = measured(whole, classes, "logit")
    axes = tuple(axis for axis in range(array.ndim) if axis != array.ndim - 4)
    rng = np.random.default_rng(seed)
    predicted, fell = np.empty((2, count, len(answer)))
    with task("infidelity") as tick:
        for i in range(count):
            if perturbation == "noise":
                moved = real - sigma * rng.standard_normal(array.shape)
            else:
                moved = np.where(_squares(rng, len(answer), array.shape, window), baseline, real)
            predicted[i] = ((real - moved) * values).sum(axis=axes)
            fell[i] = answer - measured(predict(moved), classes, "logit")
            if tick is not None:
                tick(i + 1, count)
    if scaled:
        power = (predicted**2).mean(axis=0)
        predicted *= np.divide((predicted * fell).mean(axis=0), power, out=np.zeros_like(power), where=power > 0)
    return np.asarray(((predicted - fell) ** 2).mean(axis=0))


def _scores(x: npt.NDArray[Any], scores: npt.ArrayLike) -> Array:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape == x.shape:
        return values
    if values.ndim != 3 or len(values) != x.shape[-4]:
        raise NeurosamError("infidelity: scores", f"got shape {values.shape}; that of x {x.shape}, or maps "
                            f"({x.shape[-4]}, h, w), is required")  # fmt: skip
    return upsample(values, (x.shape[-2], x.shape[-1]))[:, None]


def _squares(rng: np.random.Generator, count: int, shape: tuple[int, ...], window: int) -> npt.NDArray[np.bool_]:
    """Pixels of one random square for each sample, ``[B, 1, H, W]``."""
    inside = [np.ones((count, 1), dtype=bool)]
    for side in shape[-2:]:
        start = rng.integers(0, side - window + 1, (count, 1))
        inside.append((np.arange(side) >= start) & (np.arange(side) < start + window))
    return np.asarray((inside[1][:, :, None] & inside[2][:, None, :])[:, None])
