"""Where maps point: Fig. 3 (how much they vary), Fig. 5 and 6a (how close to the ANN's Grad-CAM), Table 1, Fig. 8.

Names of figures are paths: ``conv2/surrogate 8 bits``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import SpikingGradCAM
from neurosam.evaluation import best_constant_error, pixel_variance
from neurosam.explain.localisation import baselines, centre_prior, intensity
from neurosam.explain.maps import aggregate
from neurosam_study.maps import Array, chosen_steps, error, explained_by, inside, nets, recorded, reference, sam, stored
from neurosam_study.models import FORMS, Models
from neurosam_study.results import Found

__all__ = ["EXAMPLES", "examples", "gammas", "leaks", "localisation", "most_frequent", "variance"]

EXAMPLES = 4
"""Explained pictures of which maps are kept: the first ones, not the best."""
NO_MASKS = "The data has no exact masks: shares of mass inside them are left out."


def variance(models: Models) -> Found:
    """Fig. 3: pixel variance of SAM and of SNN-crafted Grad-CAM, the largest over the steps.

    A bare picture, a blob in the middle and noise have a variance, too: much of it is no merit.
    """
    found: dict[str, float] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    pictures, labels = models.explained.images, models.explained.labels

    def judged(name: str, maps: Array) -> None:
        found[name] = float(pixel_variance(maps).mean())

    for name, net in nets(models).items():
        for form in FORMS:
            for layer, maps in sam(models, net, form).items():
                judged(f"{name}/{layer}/SAM {form}", maps)
                arrays[f"{name}/{layer}/SAM {form}"] = stored(maps[:, :EXAMPLES])
        x = net.encode(pictures, models.seed).dense()
        seen = {form: recorded(models, net, form) for form in FORMS}
        for layer in models.layers:
            cam = explained_by(SpikingGradCAM(net.module, layer), x, labels)[chosen_steps(models, net)]
            judged(f"{name}/{layer}/Grad-CAM", cam)
            arrays[f"{name}/{layer}/Grad-CAM"] = stored(cam[:, :EXAMPLES])
            for form in FORMS:
                judged(f"{name}/{layer}/spikes of a step {form}", seen[form].by_step(layer))
    for layer in models.layers:
        size = reference(models, layer).shape[1:]
        judged(f"any/{layer}/random", np.random.default_rng(models.seed).random((len(pictures), *size)))
    judged("any/input", intensity(pictures))
    judged("any/centre", centre_prior(len(pictures), (pictures.shape[2], pictures.shape[3])))
    return Found(found, arrays=arrays | examples(models))


def localisation(models: Models) -> Found:
    """Fig. 6a: localisation error of both trainings, with baselines; and the same maps against the exact mask.

    The maps of the first pictures are kept for Fig. 5.
    """
    found: dict[str, float] = {}
    arrays = examples(models)
    for name, net in nets(models).items():
        arrays[f"steps/{name}"] = chosen_steps(models, net)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                found[f"{layer}/{name} {form}"] = error(models, layer, maps)
                found[f"{layer}/mask/{name} {form}"] = inside(models, aggregate(maps))
                found[f"{layer}/spikes of a step, {name} {form}"] = error(models, layer, counts)
                found[f"{layer}/mask/spikes, {name} {form}"] = inside(models, aggregate(counts))
                arrays[f"{name}/{layer}/SAM {form}"] = stored(maps[:, :EXAMPLES])
    for layer in models.layers:
        wanted = reference(models, layer)
        arrays[f"{layer}/Grad-CAM of the ANN"] = stored(wanted[:EXAMPLES])
        found[f"{layer}/best constant"] = float(best_constant_error(wanted).mean())
        found[f"{layer}/mask/Grad-CAM of the ANN"] = inside(models, wanted)
        trivial = baselines(models.explained.images)
        trivial["random"] = np.random.default_rng(models.seed).random(wanted.shape)
        for name, maps in trivial.items():
            found[f"{layer}/{name}"] = error(models, layer, maps)
            found[f"{layer}/mask/{name}"] = inside(models, maps)
    return Found(found, arrays=arrays, notes=(NO_MASKS,) if models.explained.masks is None else ())


def leaks(models: Models) -> Found:
    """Table 1: localisation error and accuracy against the leak."""
    found: dict[str, float] = {}
    for leak in models.plan.leaks:
        net = models.surrogate(leak)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                found[f"{layer}/leak {leak:g} {form}"] = error(models, layer, maps)
                counts = seen.by_step(layer)
                found[f"{layer}/spikes of a step, leak {leak:g} {form}"] = error(models, layer, counts)
            share = net.accuracy(form, models.test.images, models.test.labels, models.seed)
            found[f"accuracy/leak {leak:g} {form}"] = share
    for layer in models.layers:
        found[f"{layer}/best constant"] = float(best_constant_error(reference(models, layer)).mean())
    found["accuracy/most frequent class"] = most_frequent(models)
    return Found(found)


def gammas(models: Models) -> Found:
    """Fig. 8: localisation error against gamma, for both trainings."""
    found: dict[str, float] = {}
    for name, net in nets(models).items():
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer in models.layers:
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                found[f"{layer}/{name}/spikes of a step {form}"] = error(models, layer, counts)
            for gamma in models.plan.gammas:
                for layer, maps in sam(models, net, form, gamma).items():
                    found[f"{layer}/{name}/gamma {gamma:g} {form}"] = error(models, layer, maps)
    for layer in models.layers:
        found[f"{layer}/best constant"] = float(best_constant_error(reference(models, layer)).mean())
    return Found(found)


def most_frequent(models: Models) -> float:
    """Accuracy of always naming the class that the held-out pictures show most often."""
    return float(np.bincount(models.test.labels).max() / len(models.test))


def examples(models: Models) -> dict[str, npt.NDArray[Any]]:
    """The pictures of the kept maps, with their masks where there are some."""
    shown = models.explained
    found: dict[str, npt.NDArray[Any]] = {"image": shown.images[:EXAMPLES]}
    if shown.masks is not None:
        found["mask"] = shown.masks[:EXAMPLES]
    return found
