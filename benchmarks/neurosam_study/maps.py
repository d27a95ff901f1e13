"""Maps of one seed's networks and their scores, shared by the experiments.

A spiking net comes in two forms: "float" is the trained module in torch; "8 bits" is the network exported from it, in
Loihi's fixed point on the event back end. So every pair of figures also shows the effect of deployment. Gradients exist
in torch only. As in the paper, the reference of the localisation error is an ANN's Grad-CAM for the true class at the
same layer: of several ANNs, on average, and never of the one that a converted net comes from. Since that is another map
and not the truth, the share of mass in the exact mask is reported as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurosam.attribution import GradCAM, InputMethod, Method
from neurosam.attribution.method import evaluating, prepared
from neurosam.backends import run
from neurosam.evaluation import best_constant_error, localisation_error
from neurosam.explain.localisation import mass_inside
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import SamTrace
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Spikes
from neurosam_study.models import FORMS, Models, Spiking

__all__ = [
    "AT_ONCE",
    "GAMMA",
    "MODE",
    "Activity",
    "Array",
    "activity_of",
    "chosen_steps",
    "constant_errors",
    "errors",
    "every_net",
    "explained_by",
    "inside",
    "nets",
    "recorded",
    "references",
    "sam",
    "sam_of",
    "scored_by",
    "stored",
    "surrogates",
]

Array = npt.NDArray[np.float64]

GAMMA = 0.5
"""Default gamma of SAM, as in the released code."""
MODE = "strict"
"""Default mode of SAM, as in the paper's text."""
AT_ONCE = 32
"""Batch size in torch: all steps of a layer are in memory at once."""
GRADIENTS = 400
"""Samples times steps per batch of gradients: all steps of all layers are in memory at once."""


def nets(models: Models) -> dict[str, Spiking]:
    """The net trained with surrogate gradients and the converted one, under the names that figures use."""
    trained = {"surrogate": models.surrogate()}
    return trained if models.plan.recordings else trained | {"conversion": models.converted}


def surrogates(models: Models) -> dict[str, Spiking]:
    """The nets trained with surrogate gradients, one for each order of the neurons."""
    return {name: models.surrogate(order=order) for name, order in models.plan.surrogates.items()}


def every_net(models: Models) -> dict[str, Spiking]:
    """All spiking nets: of each order, and converted with each percentile."""
    others = () if models.plan.recordings else models.plan.percentiles[1:]
    return nets(models) | surrogates(models) | {f"conversion, {p:g} %": models.conversion(p) for p in others}


@dataclass(frozen=True, eq=False)
class Activity:
    """The activity in a run: the predicted class of each sample, ``[B]``, and the spikes of some layers."""

    predictions: npt.NDArray[np.int64]
    spikes: Mapping[str, Spikes]

    def by_step(self, layer: str) -> Array:
        """Raw spikes as a map of each step, ``[T, B, h, w]``: SAM without memory."""
        counts: Array = np.bitwise_count(self.spikes[layer].planes).sum(axis=-1, dtype=np.float64)
        return counts

    def course(self, layer: str) -> Array:
        """Mean number of spikes per sample at each step, ``[T]``."""
        return np.asarray(self.by_step(layer).sum(axis=(2, 3)).mean(axis=1))


def activity_of(
    net: Spiking, form: str, events: Events, layers: tuple[str, ...], x: npt.NDArray[Any] | None = None
) -> Activity:
    """Run the trained module in torch (float), or the network on the event back end (8 bits).

    `x` is the input of the module, if it is not the events themselves: currents, which the network takes as integers.
    """
    if form == FORMS[1]:
        recording = run(net.fixed, events, record=Record(spikes=layers))
        return Activity(recording.predictions, recording.spikes)
    predictions, planes = [], {layer: list[npt.NDArray[np.uint64]]() for layer in layers}
    shapes = {}
    for first in range(0, events.samples, AT_ONCE):
        dense = events.select(first, first + AT_ONCE).dense() if x is None else x[:, first : first + AT_ONCE]
        batch = prepared("study", net.module, dense)
        with evaluating(net.module), torch.no_grad():
            output, activations = net.module.activations(batch, layers)
        predictions.append(predicted(output.cpu().numpy()))
        for layer in layers:
            spikes = Spikes.from_dense(activations[layer].cpu().numpy())
            planes[layer].append(spikes.planes)
            shapes[layer] = spikes.shape
    spikes_by_layer = {layer: Spikes(np.concatenate(planes[layer], axis=1), shapes[layer]) for layer in layers}
    return Activity(np.concatenate(predictions), spikes_by_layer)


@lru_cache(maxsize=4)
def recorded(models: Models, net: Spiking, form: str) -> Activity:
    """Run a net on the explained images."""
    return activity_of(net, form, net.encode(models.explained.images, models.seed), models.layers)


def sam(models: Models, net: Spiking, form: str, gamma: float = GAMMA, mode: str = MODE) -> dict[str, Array]:
    """SAM of the explained layers; a longer run is reduced to as many evenly spaced steps as the surrogate net has."""
    if form == FORMS[1]:
        events = net.encode(models.explained.images, models.seed)
        maps_by_layer = sam_of(net, form, events, models.layers, gamma, mode)
    else:
        spikes = recorded(models, net, form).spikes
        maps_by_layer = {layer: from_spikes(spikes[layer], SamTrace(gamma, mode)) for layer in models.layers}
    steps = chosen_steps(models, net)
    return {layer: maps[steps] for layer, maps in maps_by_layer.items()}


def chosen_steps(models: Models, net: Spiking) -> npt.NDArray[np.int64]:
    """Steps that are evaluated: all of the surrogate net, and evenly spaced ones of a longer run."""
    return np.linspace(0, net.steps - 1, models.plan.steps).round().astype(np.int64)


def sam_of(
    net: Spiking,
    form: str,
    events: Events,
    layers: tuple[str, ...],
    gamma: float = GAMMA,
    mode: str = MODE,
    x: npt.NDArray[Any] | None = None,
) -> dict[str, Array]:
    """SAM at all steps in the unit of the float trace, in either form; `x` as in :func:`activity_of`."""
    trace = SamTrace(gamma, mode)
    if form != FORMS[1]:
        spikes = activity_of(net, form, events, layers, x).spikes
        return {layer: from_spikes(spikes[layer], trace) for layer in layers}
    recording = run(net.fixed.with_sam(trace, layers, net.steps), events, record=Record(sam=layers))
    return {layer: recording.sam[layer] / recording.sam_scale[layer] for layer in layers}


def explained_by(method: Method, x: npt.NDArray[np.generic], labels: npt.NDArray[np.int64]) -> Array:
    """Compute the maps of many samples in batches."""
    return _in_batches(method.attribute, x, labels, axis=-3)


def scored_by(method: InputMethod, x: npt.NDArray[np.generic], labels: npt.NDArray[np.int64]) -> Array:
    """Compute the score of every input value of many samples in batches."""
    return _in_batches(method.scores, x, labels, axis=-4)


def _in_batches(
    function: Callable[..., Array], x: npt.NDArray[np.generic], labels: npt.NDArray[np.int64], axis: int
) -> Array:
    samples, steps = x.shape[-4], x.shape[0] if x.ndim == 5 else 1
    batch = max(1, min(AT_ONCE, GRADIENTS // steps))
    parts = [
        function(x[..., start : start + batch, :, :, :], labels[start : start + batch])
        for start in range(0, samples, batch)
    ]
    return np.concatenate(parts, axis=axis)


@lru_cache(maxsize=16)
def references(models: Models, layer: str) -> tuple[Array, ...]:
    """The Grad-CAM of each reference ANN for the true classes of the explained images."""
    x, labels = models.explained.float(), models.explained.labels
    return tuple(explained_by(GradCAM(ann, layer), x, labels) for ann in models.references)


def errors(models: Models, layer: str, maps: npt.ArrayLike) -> Array:
    """Localisation error of the maps of each explained image, the mean over reference ANNs, ``[P]``."""
    array = np.asarray(maps, dtype=np.float64)
    targets = references(models, layer)
    return np.asarray(
        np.mean([localisation_error(_shrunk(array, target.shape[1:]), target) for target in targets], axis=0)
    )


def constant_errors(models: Models, layer: str) -> Array:
    """The same of the best constant map."""
    return np.asarray(np.mean([best_constant_error(target) for target in references(models, layer)], axis=0))


def inside(models: Models, maps: npt.ArrayLike) -> Array:
    """Share of mass inside the exact mask of each image, ``[P]``; NaN for empty maps, and where there are no masks."""
    masks = models.explained.masks
    return np.full(len(models.explained), np.nan) if masks is None else mass_inside(maps, masks)


def stored(array: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Convert maps that are kept for drawing to float32, half the size."""
    return array.astype(np.float32)


def _shrunk(maps: Array, size: tuple[int, ...]) -> Array:
    """Average larger maps down to the size of the reference, if it divides theirs."""
    high, wide = maps.shape[-2] // size[0], maps.shape[-1] // size[1]
    if (high, wide) == (1, 1) or maps.shape[-2:] != (high * size[0], wide * size[1]):
        return maps
    return np.asarray(maps.reshape(*maps.shape[:-2], size[0], high, size[1], wide).mean(axis=(-3, -1)))
