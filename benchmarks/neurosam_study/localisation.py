"""Experiments on where maps point: Fig. 3 (variance), Fig. 5 and 6a (distance to the ANN's Grad-CAM), Table 1, Fig. 8.

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
from neurosam_study.results import Result

__all__ = ["EXAMPLES", "examples", "gammas", "leaks", "localisation", "most_frequent", "variance"]

EXAMPLES = 4
"""Number of explained images whose maps are kept: the first ones, without selection."""
NO_MASKS = "The data has no exact masks, so shares of mass inside them are left out."


def variance(models: Models) -> Result:
    """Fig. 3: pixel variance of SAM and of SNN-crafted Grad-CAM, maximum over steps.

    The input image, a blob in the centre and noise have a variance as well, so a high variance is no merit in itself.
    """
    figures: dict[str, float] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    images, labels = models.explained.images, models.explained.labels

    def record(name: str, maps: Array) -> None:
        figures[name] = float(pixel_variance(maps).mean())

    for name, net in nets(models).items():
        for form in FORMS:
            for layer, maps in sam(models, net, form).items():
                record(f"{name}/{layer}/SAM {form}", maps)
                arrays[f"{name}/{layer}/SAM {form}"] = stored(maps[:, :EXAMPLES])
        x = net.encode(images, models.seed).dense()
        seen = {form: recorded(models, net, form) for form in FORMS}
        for layer in models.layers:
            cam = explained_by(SpikingGradCAM(net.module, layer), x, labels)[chosen_steps(models, net)]
            record(f"{name}/{layer}/Grad-CAM", cam)
            arrays[f"{name}/{layer}/Grad-CAM"] = stored(cam[:, :EXAMPLES])
            for form in FORMS:
                record(f"{name}/{layer}/spikes of a step {form}", seen[form].by_step(layer))
    for layer in models.layers:
        size = reference(models, layer).shape[1:]
        record(f"any/{layer}/random", np.random.default_rng(models.seed).random((len(images), *size)))
    record("any/input", intensity(images))
    record("any/centre", centre_prior(len(images), (images.shape[2], images.shape[3])))
    return Result(figures, arrays=arrays | examples(models))


def localisation(models: Models) -> Result:
    """Fig. 6a: localisation error of both trainings, with baselines, and the same maps against the exact mask.

    The maps of the first images are kept for Fig. 5.
    """
    figures: dict[str, float] = {}
    arrays = examples(models)
    for name, net in nets(models).items():
        arrays[f"steps/{name}"] = chosen_steps(models, net)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                figures[f"{layer}/{name} {form}"] = error(models, layer, maps)
                figures[f"{layer}/mask/{name} {form}"] = inside(models, aggregate(maps))
                figures[f"{layer}/spikes of a step, {name} {form}"] = error(models, layer, counts)
                figures[f"{layer}/mask/spikes, {name} {form}"] = inside(models, aggregate(counts))
                arrays[f"{name}/{layer}/SAM {form}"] = stored(maps[:, :EXAMPLES])
    for layer in models.layers:
        target = reference(models, layer)
        arrays[f"{layer}/Grad-CAM of the ANN"] = stored(target[:EXAMPLES])
        figures[f"{layer}/best constant"] = float(best_constant_error(target).mean())
        figures[f"{layer}/mask/Grad-CAM of the ANN"] = inside(models, target)
        trivial = baselines(models.explained.images)
        trivial["random"] = np.random.default_rng(models.seed).random(target.shape)
        for name, maps in trivial.items():
            figures[f"{layer}/{name}"] = error(models, layer, maps)
            figures[f"{layer}/mask/{name}"] = inside(models, maps)
    return Result(figures, arrays=arrays, notes=(NO_MASKS,) if models.explained.masks is None else ())


def leaks(models: Models) -> Result:
    """Table 1: localisation error and accuracy against the leak."""
    figures: dict[str, float] = {}
    for leak in models.plan.leaks:
        net = models.surrogate(leak)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                figures[f"{layer}/leak {leak:g} {form}"] = error(models, layer, maps)
                counts = seen.by_step(layer)
                figures[f"{layer}/spikes of a step, leak {leak:g} {form}"] = error(models, layer, counts)
            share = net.accuracy(form, models.test.images, models.test.labels, models.seed)
            figures[f"accuracy/leak {leak:g} {form}"] = share
    for layer in models.layers:
        figures[f"{layer}/best constant"] = float(best_constant_error(reference(models, layer)).mean())
    figures["accuracy/most frequent class"] = most_frequent(models)
    return Result(figures)


def gammas(models: Models) -> Result:
    """Fig. 8: localisation error against gamma, for both trainings."""
    figures: dict[str, float] = {}
    for name, net in nets(models).items():
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer in models.layers:
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                figures[f"{layer}/{name}/spikes of a step {form}"] = error(models, layer, counts)
            for gamma in models.plan.gammas:
                for layer, maps in sam(models, net, form, gamma).items():
                    figures[f"{layer}/{name}/gamma {gamma:g} {form}"] = error(models, layer, maps)
    for layer in models.layers:
        figures[f"{layer}/best constant"] = float(best_constant_error(reference(models, layer)).mean())
    return Result(figures)


def most_frequent(models: Models) -> float:
    """Accuracy of always predicting the most frequent class of the held-out images."""
    return float(np.bincount(models.test.labels).max() / len(models.test))


def examples(models: Models) -> dict[str, npt.NDArray[Any]]:
    """The images of the kept maps, with their masks if there are any."""
    shown = models.explained
    figures: dict[str, npt.NDArray[Any]] = {"image": shown.images[:EXAMPLES]}
    if shown.masks is not None:
        figures["mask"] = shown.masks[:EXAMPLES]
    return figures
