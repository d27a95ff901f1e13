"""Maps averaged over the random draws of an encoding, with intervals.

A picture that is encoded at random (Poisson spikes) has another input, and so another map, in every draw. With M_d the
map of draw d, summed over time, and s the standard deviation of the D draws,

    mean = 1/D sum over d of M_d            interval = mean -+ t s / sqrt(D)

where t is the quantile of Student's distribution with D - 1 degrees of freedom at (1 + confidence) / 2. The interval
is that of the mean for one pixel; over a whole map, a share of 1 - confidence of the pixels is outside by chance.

For :class:`~neurosam.attribution.IntegratedGradients`, each draw has a convergence delta,

    delta_d = sum of the attributions of draw d - (y(x_d) - y(b))

which is 0 for an exact gradient and enough points, and not 0 with a surrogate gradient: what the map does not explain.

Source: Student 1908 (Biometrika 6:1); the delta: Sundararajan, Taly & Yan 2017 (arXiv 1703.01365), Proposition 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurosam._util.arguments import integer, reals
from neurosam.attribution.gradients import IntegratedGradients
from neurosam.attribution.method import Maps, Method, Target, evaluating, logits, prepared
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.signals.answer import answered
from neurosam.signals.events import encode

__all__ = ["Draws", "over_draws"]


@dataclass(frozen=True, eq=False)
class Draws:
    """Maps of D draws.

    Attributes
    ----------
    maps : (D, B, h, w) float64 array
        Of each draw, summed over time.
    target : (B,) int64 array
        The classes that are explained, the same in all draws.
    delta : (D, B) float64 array, optional
        Convergence delta of each draw, of integrated gradients.
    confidence : float
        Of the interval.
    """

    maps: Maps
    target: npt.NDArray[np.int64]
    delta: Maps | None
    confidence: float

    @property
    def mean(self) -> Maps:
        """Mean over draws, ``[B, h, w]``."""
        return np.asarray(self.maps.mean(axis=0))

    @property
    def interval(self) -> tuple[Maps, Maps]:
        """Lower and upper end of the interval of the mean, each ``[B, h, w]``."""
        draws = len(self.maps)
        half = _quantile((1 + self.confidence) / 2, draws - 1) * self.maps.std(axis=0, ddof=1) / np.sqrt(draws)
        return self.mean - half, self.mean + half


def over_draws(
    method: Method,
    images: npt.NDArray[Any],
    target: Target = None,
    *,
    steps: int,
    coding: str = "poisson",
    draws: int = 16,
    seed: int = 0,
    confidence: float = 0.95,
) -> Draws:
    """Encode images several times and explain each draw.

    Parameters
    ----------
    method : Method
        Of a module that takes encoded input.
    images : (B, C, H, W) array
        See :func:`neurosam.encode`.
    target : int, (B,) ints, or None
        Classes to explain; if None, those of the largest mean logit over the draws.
    steps, coding
        See :func:`neurosam.encode`.
    draws : int
        D, 2..10000.
    seed : int
        Draw d is encoded with ``seed + d``.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    Draws

    Raises
    ------
    NeurosamError
        As from the method; ArgumentError for an argument out of range.

    Examples
    --------
    >>> from neurosam.attribution import IntegratedGradients, over_draws
    >>> from neurosam import training
    >>> method = IntegratedGradients(training.build("4C3-P2-D10", (1, 8, 8)), points=4)
    >>> found = over_draws(method, np.full((3, 1, 8, 8), 0.5), steps=5, draws=4)
    >>> found.mean.shape, found.delta.shape, bool((found.interval[0] <= found.mean).all())
    ((3, 8, 8), (4, 3), True)
    """
    integer("over_draws: draws", draws, 2, 10000, ArgumentError)
    share = float(reals("over_draws: confidence", confidence, above=0.0, high=1.0, ndim=(0,), error=ArgumentError))
    if share == 1:
        raise ArgumentError("over_draws: confidence", "got 1; allowed is above 0 and below 1")
    if np.ndim(images) != 4:
        raise NeurosamError("over_draws: images", f"got shape {np.shape(images)}; (B, C, H, W) is required")
    inputs = [encode(images, steps, coding, seed + d).dense() for d in range(draws)]
    classes: Target = _predicted(method, inputs) if target is None else target
    maps, deltas = [], []
    for x in inputs:
        if isinstance(method, IntegratedGradients):
            scores, delta = method.scores_and_gap(x, classes)
            maps.append(scores.sum(axis=(0, 2)))
            deltas.append(delta)
        else:
            found = method.attribute(x, classes)
            maps.append(found.sum(axis=0) if found.ndim == 4 else found)
    labels = np.broadcast_to(np.asarray(torch.as_tensor(classes).cpu(), dtype=np.int64), (len(images),))
    return Draws(np.stack(maps), labels, np.stack(deltas) if deltas else None, share)


@torch.no_grad()
def _predicted(method: Method, inputs: list[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    with evaluating(method.module):
        found = [logits(method.module, prepared("over_draws", method.module, x)) for x in inputs]
    return answered(torch.stack(found).mean(dim=0).cpu().numpy(), "over_draws: ")


def _quantile(probability: float, freedom: int) -> float:
    """Student's quantile above 1/2: with x = sqrt(n) tan(a), the density over a is proportional to cos(a)^(n - 1)."""
    angle = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found = np.interp(2 * probability - 1, area / area[-1], angle)
    return float(np.sqrt(freedom) * np.tan(found))
