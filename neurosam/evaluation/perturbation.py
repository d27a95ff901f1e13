"""Deletion and insertion: whether the pixels or spikes that an explanation ranks highest matter to the model.

    deletion     start from the input and blank the highest ranks first; a good ranking makes the curve fall early
    insertion    start from a blank input and restore the highest ranks first; a good ranking makes it rise early

At pixel level, a pixel changes in all channels and steps at once; at spike level, each event of the input changes by
itself. After k of K points, round(k / K n) of the n pixels (or events) of a sample have changed. Ties are broken at
random by `seed`, so a constant map is the random baseline. The area under a curve is computed by the trapezoidal rule
over 0..1.

Source: Petsiuk, Das & Saenko 2018 (RISE, arXiv 1806.07421), section 4.3; at spike level Bitar, Rosales & Paulitsch 2023
(Front. Neurosci. 17:1153999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer
from neurosam._util.progress import task
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.evaluation.predictor import Predictor
from neurosam.explain.maps import upsample
from neurosam.signals.answer import answered, predicted

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["MEASURES", "Curve", "deletion", "insertion", "measured", "pixel_ranks", "targets"]

Array = npt.NDArray[np.float64]

MEASURES = ("probability", "logit", "correct")
"""What can be asked of a model's scores: softmax or score of the target, or whether the target has the largest."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Response of a model along a perturbation.

    Attributes
    ----------
    shares : (K + 1,) array
        Fraction of pixels or events that have changed, 0 .. 1.
    values : (K + 1, B) array
        The measure at each point, by sample.
    """

    shares: Array
    values: Array

    @property
    def area(self) -> Array:
        """Area under each sample's curve, ``[B]``."""
        return np.asarray(np.trapezoid(self.values, self.shares, axis=0))


class Options(TypedDict, total=False):
    """Keyword arguments of :func:`deletion` and :func:`insertion`."""

    level: str
    points: int
    measure: str
    baseline: float
    seed: int


def deletion(
    predict: Predictor,
    x: npt.NDArray[Any],
    scores: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    **options: Unpack[Options],
) -> Curve:
    """Blank the pixels or spikes with the highest scores first.

    Parameters
    ----------
    predict : Predictor
        :func:`~neurosam.evaluation.of_module` or :func:`~neurosam.evaluation.of_network`, or any function of this kind.
    x : (T, B, C, H, W) or (B, C, H, W) array
        Encoded input, or images of an ANN.
    scores : array
        ``pixel``: maps (B, h, w), or (T, B, h, w), which are summed over time; they are resized to `x`.
        ``spike``: a score for each value of `x`, in its shape (``InputMethod.scores``).
    target : (B,) int array or int, optional
        Classes to measure; if None, those predicted on the whole input, which then needs an answer for each sample.
    level : {"pixel", "spike"}, default "pixel"
        At spike level, only values other than `baseline` are ranked and changed.
    points : int, default 20
        K, 1..10000; each point runs the model once.
    measure : {"probability", "logit", "correct"}, default "probability"
        Softmax of the class scores, the score of the target, or whether the target has the largest score.
    baseline : float, default 0
        Value of a blank.
    seed : int, default 0
        Breaks ties.

    Returns
    -------
    Curve

    Examples
    --------
    >>> from neurosam.evaluation import deletion, insertion
    >>> def predict(x):  # scores of two classes: the intensity of the left and of the right half
    ...     return np.stack([x[..., :2].sum(axis=(1, 2, 3)), x[..., 2:].sum(axis=(1, 2, 3))], axis=1)
    >>> x = np.zeros((1, 1, 2, 4))
    >>> x[..., :2] = 1.0
    >>> deletion(predict, x, scores=x[:, 0], points=4, measure="logit").values.ravel().tolist()
    [4.0, 2.0, 0.0, 0.0, 0.0]
    >>> insertion(predict, x, scores=x[:, 0], points=4, measure="logit").values.ravel().tolist()
    [0.0, 2.0, 4.0, 4.0, 4.0]
    """
    return _curve(predict, x, scores, target, insert=False, **options)


def insertion(
    predict: Predictor,
    x: npt.NDArray[Any],
    scores: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    **options: Unpack[Options],
) -> Curve:
    """Start from a blank and restore the highest scores first; parameters as in :func:`deletion`."""
    return _curve(predict, x, scores, target, insert=True, **options)


def _curve(
    predict: Predictor,
    x: npt.NDArray[Any],
    scores: npt.ArrayLike,
    target: npt.ArrayLike | None,
    *,
    insert: bool,
    level: str = "pixel",
    points: int = 20,
    measure: str = "probability",
    baseline: float = 0.0,
    seed: int = 0,
) -> Curve:
    where = "insertion" if insert else "deletion"
    choice(f"{where}: level", level, ("pixel", "spike"), ArgumentError)
    choice(f"{where}: measure", measure, MEASURES, ArgumentError)
    integer(f"{where}: points", points, 1, 10000, ArgumentError)
    array = np.asarray(x)
    if array.ndim not in (4, 5) or not array.size:
        raise NeurosamError(f"{where}: x", f"got shape {array.shape}; [T, B, C, H, W] or [B, C, H, W] is required")
    classes = targets(where, target, predict(array))
    ranks, counts = pixel_ranks(where, array, scores, seed) if level == "pixel" else (
        _spike_ranks(where, array, scores, baseline, seed)
    )  # fmt: skip
    blank = np.asarray(baseline).astype(array.dtype)
    blank = blank if blank == baseline else np.asarray(baseline)  # keep the dtype of x if it can represent the blank
    shares = np.linspace(0.0, 1.0, points + 1)
    values = []
    with task(where) as tick:
        for share in shares:
            limit = np.rint(share * counts)[(...,) + (None,) * (ranks.ndim - 1)]
            changed = np.moveaxis(ranks < limit, 0, -4)  # the batch axis back to its place in x
            values.append(measured(predict(np.where(changed == insert, array, blank)), classes, measure))
            if tick is not None:
                tick(len(values), len(shares))
    return Curve(shares, np.stack(values))


def pixel_ranks(where: str, x: npt.NDArray[Any], scores: npt.ArrayLike, seed: int) -> tuple[npt.NDArray[Any], Array]:
    """Rank of each pixel, 0 for the highest, as [B, (1,) 1, H, W]; and the number of pixels of each sample."""
    maps = np.asarray(scores, dtype=np.float64)
    maps = maps.sum(axis=0) if maps.ndim == 4 else maps
    samples, (height, width) = x.shape[-4], x.shape[-2:]
    if maps.ndim != 3 or maps.shape[0] != samples:
        raise NeurosamError(
            f"{where}: scores", f"got shape {np.shape(scores)}; maps ([T,] {samples}, h, w) are required at pixel level"
        )
    maps = maps if maps.shape[1:] == (height, width) else upsample(maps, (height, width))
    ranks = _ranks(maps.reshape(samples, -1), seed)
    size = (samples, *(1,) * (x.ndim - 4), 1, height, width)
    return ranks.reshape(size), np.full(samples, float(height * width))


def _spike_ranks(
    where: str, x: npt.NDArray[Any], scores: npt.ArrayLike, baseline: float, seed: int
) -> tuple[npt.NDArray[Any], Array]:
    """Rank of each event in its sample, 0 for the highest, blanks last, batch axis first; and the number of events."""
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != x.shape:
        raise NeurosamError(
            f"{where}: scores",
            f"got shape {values.shape}; one for each value of x {x.shape} is required at spike level",
        )
    events = np.moveaxis(x != baseline, -4, 0)
    ordered = np.where(events, np.moveaxis(values, -4, 0), -np.inf)
    flat = (len(events), -1)
    return _ranks(ordered.reshape(flat), seed).reshape(events.shape), events.reshape(flat).sum(axis=1).astype(float)


def _ranks(scores: Array, seed: int) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    ranks = np.empty(scores.shape, dtype=np.int64)
    for row, rank in zip(scores, ranks, strict=True):
        if np.isnan(row).any():
            raise NeurosamError("scores", "contain NaN; pixels and events cannot be ranked")
        rank[np.lexsort((rng.random(row.size), -row))] = np.arange(row.size)
    return ranks


def targets(where: str, target: npt.ArrayLike | None, scores: Array) -> npt.NDArray[np.int64]:
    """One class per sample; the one with the largest score if `target` is None."""
    samples, classes = scores.shape
    if target is None:
        return answered(scores, f"{where}: ")
    chosen = np.asarray(target)
    if chosen.dtype.kind not in "iu" or chosen.ndim > 1 or chosen.size not in (1, samples):
        raise NeurosamError(
            f"{where}: target", f"got {chosen.dtype} {chosen.shape}; one class, or one per sample, is required"
        )
    if chosen.min() < 0 or chosen.max() >= classes:
        raise NeurosamError(
            f"{where}: target", f"got {chosen.min()}..{chosen.max()}; the {classes} outputs are numbered from 0"
        )
    return np.broadcast_to(chosen.astype(np.int64), (samples,))


def measured(scores: Array, target: npt.NDArray[np.int64], measure: str) -> Array:
    """One of the :data:`MEASURES` of scores ``[B, K]``, by sample."""
    at = (np.arange(len(target)), target)
    if measure == "logit":
        return np.asarray(scores[at])
    if measure == "correct":
        return np.asarray(predicted(scores) == target, dtype=np.float64)
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(likely[at] / likely.sum(axis=1))
