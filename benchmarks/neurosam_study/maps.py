"""Maps of one seed's networks, and what they score: shared by the experiments.

A spiking net comes in two forms: "float" is the module as it was trained, in torch, "8 bits" the network exported from
it, in Loihi's fixed point on the event back end; so every pair of figures also says what deployment changes. Gradients
exist in torch only. The reference of the
localisation error is the ANN's Grad-CAM for the true class, as in the paper, at the same layer; since that is a map and
no truth, the share of mass in the exact mask stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from neurosam.attribution import GradCAM, Method
from neurosam.attribution.method import evaluating, prepared
from neurosam.backends import run
from neurosam.evaluation import localisation_error
from neurosam.explain.localisation import mass_inside
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Spikes
from neurosam_study.models import FORMS, Models, Spiking

__all__ = [
    "AT_ONCE",
    "GAMMA",
    "Activity",
    "Array",
    "activity_of",
    "chosen_steps",
    "error",
    "explained_by",
    "inside",
    "nets",
    "recorded",
    "reference",
    "sam",
    "sam_of",
    "stored",
]

Array = npt.NDArray[np.float64]

GAMMA = 0.5
"""Of SAM where nothing else is said; the released code's."""
AT_ONCE = 32
"""Samples that torch is given together: all steps of a layer are in memory meanwhile."""
GRADIENTS = 400
"""Samples times steps whose gradients are computed together: all steps of all layers are in memory meanwhile."""


def nets(models: Models) -> dict[str, Spiking]:
    """Both trainings, by the names that figures use."""
    return {"surrogate": models.surrogate(), "conversion": models.converted}


@dataclass(frozen=True, eq=False)
class Activity:
    """A run: the class that each sample is taken for, ``[B]``, and the spikes of some layers."""

    predictions: npt.NDArray[np.int64]
    spikes: Mapping[str, Spikes]

    def by_step(self, layer: str) -> Array:
        """Raw spikes as a map of each step, ``[T, B, h, w]``: SAM without any memory."""
        counts: Array = np.bitwise_count(self.spikes[layer].planes).sum(axis=-1, dtype=np.float64)
        return counts

    def course(self, layer: str) -> Array:
        """Mean spikes of a sample in each step, ``[T]``."""
        return np.asarray(self.by_step(layer).sum(axis=(2, 3)).mean(axis=1))


def activity_of(net: Spiking, form: str, events: Events, layers: tuple[str, ...]) -> Activity:
    """A run of the trained module in torch (float), or of the network on the event back end (8 bits)."""
    if form == FORMS[1]:
        recording = run(net.fixed, events, record=Record(spikes=layers))
        return Activity(recording.predictions, recording.spikes)
    said, planes = [], {layer: list[npt.NDArray[np.uint64]]() for layer in layers}
    shapes = {}
    for first in range(0, events.samples, AT_ONCE):
        x = prepared("study", net.module, events.select(first, first + AT_ONCE).dense())
        with evaluating(net.module), torch.no_grad():
            output, kept = net.module.activations(x, layers)
        said.append(output.argmax(dim=1).cpu().numpy())
        for layer in layers:
            spikes = Spikes.from_dense(kept[layer].cpu().numpy())
            planes[layer].append(spikes.planes)
            shapes[layer] = spikes.shape
    whole = {layer: Spikes(np.concatenate(planes[layer], axis=1), shapes[layer]) for layer in layers}
    return Activity(np.concatenate(said), whole)


@lru_cache(maxsize=4)
def recorded(models: Models, net: Spiking, form: str) -> Activity:
    """A run on the explained pictures."""
    return activity_of(net, form, net.encode(models.explained.images, models.seed), models.layers)


def sam(models: Models, net: Spiking, form: str, gamma: float = GAMMA) -> dict[str, Array]:
    """SAM of the explained layers; of a longer run as many steps, evenly spaced, as the surrogate net has."""
    if form == FORMS[1]:
        events = net.encode(models.explained.images, models.seed)
        found = sam_of(net, form, events, models.layers, gamma)
    else:
        spikes = recorded(models, net, form).spikes
        found = {layer: from_spikes(spikes[layer], SamTrace(gamma, "strict")) for layer in models.layers}
    steps = chosen_steps(models, net)
    return {layer: maps[steps] for layer, maps in found.items()}


def chosen_steps(models: Models, net: Spiking) -> npt.NDArray[np.int64]:
    """Steps that are looked at: all of the surrogate net, and evenly spaced ones of a longer run."""
    return np.linspace(0, net.steps - 1, models.plan.steps).round().astype(np.int64)


def sam_of(net: Spiking, form: str, events: Events, layers: tuple[str, ...], gamma: float = GAMMA) -> dict[str, Array]:
    """Maps of all steps in the unit of the float trace, whatever the form."""
    trace = SamTrace(gamma, "strict")
    if form != FORMS[1]:
        spikes = activity_of(net, form, events, layers).spikes
        return {layer: from_spikes(spikes[layer], trace) for layer in layers}
    recording = run(net.fixed.with_sam(trace, layers, net.steps), events, record=Record(sam=layers))
    return {layer: recording.sam[layer] / recording.sam_scale[layer] for layer in layers}


def explained_by(method: Method, x: npt.NDArray[np.generic], labels: npt.NDArray[np.int64]) -> Array:
    """Maps of many samples, some at once."""
    samples, steps = x.shape[-4], x.shape[0] if x.ndim == 5 else 1
    some = max(1, min(AT_ONCE, GRADIENTS // steps))
    parts = [
        method.attribute(x[..., start : start + some, :, :, :], labels[start : start + some])
        for start in range(0, samples, some)
    ]
    return np.concatenate(parts, axis=-3)


@lru_cache(maxsize=16)
def reference(models: Models, layer: str) -> Array:
    """The ANN's Grad-CAM for the true classes of the explained pictures."""
    return explained_by(GradCAM(models.ann, layer), models.explained.float(), models.explained.labels)


def error(models: Models, layer: str, maps: npt.ArrayLike) -> float:
    """Mean localisation error of the explained pictures' maps."""
    wanted = reference(models, layer)
    array = np.asarray(maps, dtype=np.float64)
    return float(localisation_error(_shrunk(array, wanted.shape[1:]), wanted).mean())


def inside(models: Models, maps: npt.ArrayLike) -> float:
    """Mean share of mass inside the exact masks, over maps that have any; NaN if none has, or there are no masks."""
    masks = models.explained.masks
    if masks is None:
        return float("nan")
    share = mass_inside(maps, masks)
    said = ~np.isnan(share)
    return float(share[said].mean()) if said.any() else float("nan")


def stored(array: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Maps for drawing, at half the size."""
    return array.astype(np.float32)


def _shrunk(maps: Array, size: tuple[int, ...]) -> Array:
    """Larger maps averaged down to the reference's size, where it divides theirs."""
    high, wide = maps.shape[-2] // size[0], maps.shape[-1] // size[1]
    if (high, wide) == (1, 1) or maps.shape[-2:] != (high * size[0], wide * size[1]):
        return maps
    return np.asarray(maps.reshape(*maps.shape[:-2], size[0], high, size[1], wide).mean(axis=(-3, -1)))
