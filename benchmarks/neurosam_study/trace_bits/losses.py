"""What a narrow map loses against the float map of the same spikes, sample by sample.

    r          Pearson's correlation with the float map over all steps and pixels
    skill      (r - r_count) / (1 - r_count), with r_count that of the spike counts of each step: 0 for a map that
               knows no more than where spikes are, 1 for the float map
    r_sum      Pearson's correlation of the sums over steps, which pictures show
    rank       rank correlation of the sums, over the pixels where either is not 0
    iou        overlap of the 20 % of pixels with the largest sums
    mass       share of the sum inside the mask of the object, if there is one

A sample whose float map is constant has none of them (NaN): there is nothing to keep. A narrow map that is constant
where the float map is not has r = 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.evaluation.agreement import pearson
from neurosam.evaluation.skill import skill, support_spearman, top_iou
from neurosam.explain.localisation import mass_inside
from neurosam.explain.narrow_trace import narrow_maps, spike_lists
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import SamTrace
from neurosam.signals.recording import Spikes
from neurosam_study.trace_bits.settings import Setting

__all__ = ["MEASURES", "Reference", "losses"]

Array = npt.NDArray[np.float64]

MEASURES = ("r", "skill", "r_sum", "rank", "iou", "mass")


class Reference:
    """The spikes of a layer in the first steps of a run, their counts, and the float maps by gamma and mode.

    Parameters
    ----------
    spikes : Spikes
        Of a run of at least `steps` steps.
    steps : int
    masks : (B, H, W) bool array, optional
    samples : int, optional
        How many of the first samples; all if None.
    """

    def __init__(
        self, spikes: Spikes, steps: int, masks: npt.NDArray[np.bool_] | None = None, samples: int | None = None
    ) -> None:
        part = np.s_[:steps, :samples]
        masks = None if masks is None else masks[:samples]
        self.spikes = Spikes(
            spikes.planes[part], spikes.shape, None if spikes.magnitude is None else spikes.magnitude[part]
        )
        self.lists = spike_lists(self.spikes)
        self.steps, self.masks = steps, masks
        self.counts = np.bitwise_count(self.spikes.planes).sum(axis=-1, dtype=np.float64)
        self._maps: dict[tuple[float, str], Array] = {}
        self._count_r: dict[tuple[float, str], Array] = {}

    def maps(self, gamma: float, mode: str) -> Array:
        """The float maps ``[T, B, h, w]``."""
        key = (gamma, mode)
        if key not in self._maps:
            self._maps[key] = np.asarray(from_spikes(self.spikes, SamTrace(gamma, mode)), dtype=np.float64)
        return self._maps[key]

    def count_r(self, gamma: float, mode: str) -> Array:
        """Correlation of the spike counts with the float maps, ``[B]``."""
        key = (gamma, mode)
        if key not in self._count_r:
            self._count_r[key] = _whole_r(self.counts, self.maps(gamma, mode))
        return self._count_r[key]


def losses(reference: Reference, setting: Setting, seed: int = 0) -> dict[str, Array]:
    """Each measure by sample, ``[B]``."""
    maps = narrow_maps(reference.lists, setting.trace(), seed=seed).astype(np.float64)
    exact = reference.maps(setting.gamma, setting.mode)
    r, base = _whole_r(maps, exact), reference.count_r(setting.gamma, setting.mode)
    total, exact_total = maps.sum(axis=0), exact.sum(axis=0)
    undefined = np.isnan(r)

    def defined(values: Array) -> Array:
        return np.where(undefined, np.nan, np.nan_to_num(values, nan=0.0))

    return {
        "r": r,
        "skill": skill(r, base),
        "r_sum": _r(total, exact_total),
        "rank": defined(support_spearman(total, exact_total)),
        "iou": defined(top_iou(total, exact_total)),
        "mass": np.full(len(r), np.nan) if reference.masks is None else mass_inside(total, reference.masks),
    }


def _whole_r(maps: Array, exact: Array) -> Array:
    """Pearson's r of each sample over all steps and pixels; NaN where the float map is constant, 0 where ours is."""
    return _r(*(np.moveaxis(x, 0, 1).reshape(x.shape[1], 1, -1) for x in (maps, exact)))


def _r(maps: Array, exact: Array) -> Array:
    flat = exact.reshape(len(exact), -1)
    constant = np.ptp(flat, axis=1) == 0
    return np.where(constant, np.nan, np.nan_to_num(np.asarray(pearson(maps, exact)), nan=0.0))
