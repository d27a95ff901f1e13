"""Experiments on where maps point: Fig. 3 (variance), Fig. 5 and 6a (distance to the ANN's Grad-CAM), Table 1, Fig. 8.

Names of figures are paths: ``conv2/surrogate 8 bits``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import SpikingGradCAM
from neurosam.evaluation import pixel_variance
from neurosam.explain.localisation import baselines, centre_prior, intensity
from neurosam.explain.maps import aggregate
from neurosam_study.maps import (
    Array,
    chosen_steps,
    constant_errors,
    errors,
    every_net,
    explained_by,
    inside,
    nets,
    recorded,
    references,
    sam,
    stored,
)
from neurosam_study.models import FORMS, Models
from neurosam_study.results import Result

__all__ = ["EXAMPLES", "examples", "gammas", "leaks", "localisation", "most_frequent", "variance"]

EXAMPLES = 4
"""Number of explained images whose maps are kept: the first ones, without selection."""
NO_MASKS = "The data has no exact masks, so shares of mass inside them are left out."


def variance(models: Models) -> Result:
    """Fig. 3: pixel variance of SAM and of SNN-crafted Grad-CAM, maximum over steps.

    Each map is divided by its maximum, so that the variance does not depend on the map's unit. Figures that end in
    "official" are those of the released code, which adds 1e-3 to the maximum and so favours maps of large values. The
    input image, a blob in the centre and noise have a variance as well, so a high variance is no merit in itself.
    """
    values: dict[str, Array] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    images, labels = models.explained.images, models.explained.labels

    def record(name: str, maps: Array) -> None:
        values[name] = pixel_variance(maps, "max")
        values[f"{name}, official"] = pixel_variance(maps)

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
        size = references(models, layer)[0].shape[1:]
        record(f"any/{layer}/random", np.random.default_rng(models.seed).random((len(images), *size)))
    record("any/input", intensity(images))
    record("any/centre", centre_prior(len(images), (images.shape[2], images.shape[3])))
    return Result(arrays=arrays | examples(models), values=values)


def localisation(models: Models) -> Result:
    """Fig. 6a: localisation error of both trainings, with baselines, and the same maps against the exact mask.

    The maps of the first images are kept for Fig. 5.
    """
    values: dict[str, Array] = {}
    arrays = examples(models)
    for name, net in every_net(models).items():
        arrays[f"steps/{name}"] = chosen_steps(models, net)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                values[f"{layer}/{name} {form}"] = errors(models, layer, maps)
                values[f"{layer}/mask/{name} {form}"] = inside(models, aggregate(maps))
                values[f"{layer}/spikes of a step, {name} {form}"] = errors(models, layer, counts)
                values[f"{layer}/mask/spikes, {name} {form}"] = inside(models, aggregate(counts))
                arrays[f"{name}/{layer}/SAM {form}"] = stored(maps[:, :EXAMPLES])
    for layer in models.layers:
        targets = references(models, layer)
        arrays[f"{layer}/Grad-CAM of the ANN"] = stored(targets[0][:EXAMPLES])
        values[f"{layer}/best constant"] = constant_errors(models, layer)
        values[f"{layer}/mask/Grad-CAM of the ANN"] = np.mean([inside(models, target) for target in targets], axis=0)
        trivial = baselines(models.explained.images)
        trivial["random"] = np.random.default_rng(models.seed).random(targets[0].shape)
        for name, maps in trivial.items():
            values[f"{layer}/{name}"] = errors(models, layer, maps)
            values[f"{layer}/mask/{name}"] = inside(models, maps)
    return Result(arrays=arrays, notes=(NO_MASKS,) if models.explained.masks is None else (), values=values)


def leaks(models: Models) -> Result:
    """Table 1: localisation error and accuracy against the leak."""
    values: dict[str, Array] = {}
    for leak in models.plan.leaks:
        net = models.surrogate(leak)
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer, maps in sam(models, net, form).items():
                values[f"{layer}/leak {leak:g} {form}"] = errors(models, layer, maps)
                counts = seen.by_step(layer)
                values[f"{layer}/spikes of a step, leak {leak:g} {form}"] = errors(models, layer, counts)
            hits = net.hits(form, models.test.images, models.test.labels, models.seed)
            values[f"accuracy/leak {leak:g} {form}"] = hits
    for layer in models.layers:
        values[f"{layer}/best constant"] = constant_errors(models, layer)
    return Result({"accuracy/most frequent class": most_frequent(models)}, values=values)


def gammas(models: Models) -> Result:
    """Fig. 8: localisation error against gamma, for both trainings and every mode of the traces.

    In "official" mode, which is the released code, every silent step of the past counts as well, and gamma 0 and an
    infinite gamma both give the plain spike map (see :mod:`neurosam.network.trace`). That the error has a minimum
    between them is then built into the formula.
    """
    values: dict[str, Array] = {}
    for name, net in nets(models).items():
        for form in FORMS:
            seen = recorded(models, net, form)
            for layer in models.layers:
                counts = seen.by_step(layer)[chosen_steps(models, net)]
                values[f"{layer}/{name}/spikes of a step {form}"] = errors(models, layer, counts)
            for mode in models.plan.modes:
                for gamma in models.plan.gammas:
                    for layer, maps in sam(models, net, form, gamma, mode).items():
                        values[f"{layer}/{name}/{mode}/gamma {gamma:g} {form}"] = errors(models, layer, maps)
    for layer in models.layers:
        values[f"{layer}/best constant"] = constant_errors(models, layer)
    return Result(values=values)


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
