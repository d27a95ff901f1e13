"""From models to figures: each experiment of the paper as a function from the models of one seed to named numbers.

Names are paths: ``conv2/SAM 8 bits``; NaN is a figure that could not be measured. SAM runs on the event back end, in
float64 and at 8 bits; gradients exist in torch only. The reference of the localisation error is the ANN's Grad-CAM for
the true class, as in the paper, at the same layer; since that is a map and no truth, the share of mass in the exact
mask stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from neurosam.attribution import GradCAM, ModuleSAM, Saliency, SpikingGradCAM
from neurosam.backends import run
from neurosam.evaluation import (
    best_constant_error,
    deletion,
    fgsm,
    localisation_error,
    map_distance,
    of_module,
    pixel_variance,
    spiking_fgsm,
    suppression,
    weight_randomisation,
)
from neurosam.events import Events
from neurosam.localisation import baselines, mass_inside
from neurosam.maps import aggregate
from neurosam.metrics import accuracy
from neurosam.recording import Record, Recording
from neurosam.study.models import Models, Spiking
from neurosam.trace import SamTrace
from neurosam.training import SpikingSequential, evaluate

__all__ = ["EXPERIMENTS", "FORMS"]

FORMS = ("float", "8 bits")
SANITY = 32
"""Samples of the randomisation check."""
Figures = dict[str, float]
Array = npt.NDArray[np.float64]


def accuracies(models: Models) -> Figures:
    """Held-out accuracy of every network in every form."""
    found = {"ANN": evaluate(models.ann, models.test, steps=1, coding="direct", seed=models.seed)}
    for name, net in {"surrogate": models.surrogate(), "conversion": models.converted}.items():
        events = net.encode(models.test.images, models.seed)
        for form in FORMS:
            found[f"{name} {form}"] = accuracy(run(net.form(form), events), models.test.labels)
    return found


def variance(models: Models) -> Figures:
    """Fig. 3: pixel variance of SAM and of SNN-crafted Grad-CAM."""
    found = {}
    for name, net in {"surrogate": models.surrogate(), "conversion": models.converted}.items():
        for form in FORMS:
            for layer, maps in _sam(models, net, form).items():
                found[f"{name}/{layer}/SAM {form}"] = float(pixel_variance(maps).mean())
        x = net.encode(models.explained.images, models.seed).dense()
        for layer in models.layers:
            cam = SpikingGradCAM(net.module, layer).attribute(x, models.explained.labels)
            found[f"{name}/{layer}/Grad-CAM"] = float(pixel_variance(cam).mean())
    return found


def localisation(models: Models) -> Figures:
    """Fig. 6a: localisation error of both trainings, with baselines; and the same maps against the exact mask."""
    found = {}
    nets = {"surrogate": models.surrogate(), "conversion": models.converted}
    for name, net in nets.items():
        for form in FORMS:
            for layer, maps in _sam(models, net, form).items():
                found[f"{layer}/{name} {form}"] = _error(models, layer, maps)
                found[f"{layer}/mask/{name} {form}"] = _inside(models, aggregate(maps))
    recording = _recorded(models, nets["surrogate"], "float")
    for layer in models.layers:
        reference = _reference(models, layer)
        found[f"{layer}/best constant"] = float(best_constant_error(reference).mean())
        found[f"{layer}/mask/Grad-CAM of the ANN"] = _inside(models, reference)
        trivial = baselines(models.explained.images, recording.spikes[layer])
        trivial["random"] = np.random.default_rng(models.seed).random(reference.shape)
        for name, maps in trivial.items():
            found[f"{layer}/{name}"] = _error(models, layer, maps)
            found[f"{layer}/mask/{name}"] = _inside(models, maps)
    return found


def activity(models: Models) -> Figures:
    """Fig. 6b: spikes at the busiest step, and at the last one as a share of them; a flat course gives 1."""
    found = {}
    for name, net in {"surrogate": models.surrogate(), "conversion": models.converted}.items():
        for form in FORMS:
            counts = _recorded(models, net, form).counts
            for layer in models.layers:
                course = counts[layer].mean(axis=1)
                found[f"{layer}/{name} {form} first"] = float(course[0] / course.max())
                found[f"{layer}/{name} {form} last"] = float(course[-1] / course.max())
    return found


def leaks(models: Models) -> Figures:
    """Table 1: localisation error and accuracy against the leak."""
    found = {}
    for leak in models.plan.leaks:
        net = models.surrogate(leak)
        for form in FORMS:
            for layer, maps in _sam(models, net, form).items():
                found[f"{layer}/leak {leak:g} {form}"] = _error(models, layer, maps)
            events = net.encode(models.test.images, models.seed)
            found[f"accuracy/leak {leak:g} {form}"] = accuracy(run(net.form(form), events), models.test.labels)
    return found


def gammas(models: Models) -> Figures:
    """Fig. 8: localisation error against gamma, on the net trained with surrogate gradients."""
    found = {}
    net = models.surrogate()
    for gamma in models.plan.gammas:
        for form in FORMS:
            for layer, maps in _sam(models, net, form, gamma).items():
                found[f"{layer}/gamma {gamma:g} {form}"] = _error(models, layer, maps)
    return found


def robustness(models: Models) -> Figures:
    """Fig. 7 and 9: accuracy under FGSM, the share of the clean accuracy that 4/255 costs, how far maps move at it."""
    found = {}
    net, plan, test = models.surrogate(), models.plan, models.explained
    predict, layer = of_module(models.ann), models.layers[-1]
    before = GradCAM(models.ann, layer).attribute(test.float(), test.labels)
    for epsilon in plan.epsilons:
        images = fgsm(models.ann, test.images, test.labels, epsilon / 255)
        found[f"accuracy/ANN {epsilon}"] = float((predict(images).argmax(1) == test.labels).mean())
        attacked = spiking_fgsm(
            net.module, test.images, test.labels, epsilon / 255, steps=net.steps, seed=models.seed + 1000
        )
        for form in FORMS:
            result = run(net.form(form), net.encode(attacked, models.seed))
            found[f"accuracy/surrogate {form} {epsilon}"] = accuracy(result, test.labels)
        if epsilon == 4:
            found["map/Grad-CAM of the ANN"] = float(
                map_distance(before, GradCAM(models.ann, layer).attribute(images, test.labels)).mean()
            )
            for form in FORMS:
                clean, moved = (
                    _maps(net, form, net.encode(x, models.seed), (layer,))[layer] for x in (test.images, attacked)
                )
                found[f"map/SAM {form}"] = float(map_distance(clean, moved).mean())
                redrawn = _maps(net, form, net.encode(test.images, models.seed + 1), (layer,))[layer]
                found[f"map/SAM {form}, no attack, spikes drawn anew"] = float(map_distance(clean, redrawn).mean())
    for name in ("ANN", *(f"surrogate {form}" for form in FORMS)):
        clean_accuracy = found[f"accuracy/{name} 0"]
        lost = clean_accuracy - found[f"accuracy/{name} 4"]
        found[f"lost/{name}"] = lost / clean_accuracy if clean_accuracy else float("nan")
    return found


def suppressed(models: Models) -> Figures:
    """Fig. 10: share of SAM in the half of the item that is predicted, at the first and last step with a map."""
    found = {}
    net, pairs = models.surrogate(), models.pairs
    events = net.encode(pairs.images, models.seed)
    for form in FORMS:
        predictions = run(net.form(form), events).predictions
        found[f"predicted one of the two {form}"] = float((pairs.labels == predictions[:, None]).any(axis=1).mean())
        for layer, maps in _maps(net, form, events, models.layers).items():
            share = suppression(maps, pairs.labels, predictions)
            seen = ~np.isnan(share)
            steps = [float(share[t][seen[t]].mean()) for t in range(len(share)) if seen[t].sum() >= 5]
            if steps:
                found[f"{layer}/first {form}"], found[f"{layer}/last {form}"] = steps[0], steps[-1]
    return found


def perturbation(models: Models) -> Figures:
    """Not in the paper: area under the deletion curve of the true class (lower is better), and of a random ranking."""
    net, test = models.surrogate(), models.explained
    x = net.encode(test.images, models.seed).dense()
    predict = of_module(net.module)
    layer = models.layers[0]
    rankings = {f"SAM {form}": aggregate(_sam(models, net, form)[layer]) for form in FORMS}
    rankings["Grad-CAM"] = aggregate(SpikingGradCAM(net.module, layer).attribute(x, test.labels))
    rankings["input"] = test.float().mean(axis=1).astype(np.float64)
    rankings["random"] = np.zeros(rankings["input"].shape)
    return {
        name: float(deletion(predict, x, maps, test.labels, points=10).area.mean()) for name, maps in rankings.items()
    }


def sanity(models: Models) -> Figures:
    """Not in the paper: rank correlation with the original map after weights are shuffled, layer by layer from the top.

    1 means that a map does not notice; SAM cannot, above its own layer.
    """
    net, layer = models.surrogate(), models.layers[0]
    x = net.encode(models.explained.images[:SANITY], models.seed).dense()
    labels = models.explained.labels[:SANITY]
    methods: dict[str, Callable[[SpikingSequential], npt.ArrayLike]] = {
        "SAM": lambda m: aggregate(ModuleSAM(m, layer).attribute(x)),
        "Grad-CAM": lambda m: aggregate(SpikingGradCAM(m, layer).attribute(x, labels)),
        "saliency": lambda m: aggregate(Saliency(m).attribute(x, labels)),
    }
    found = {}
    for name, explain in methods.items():
        for randomised, similarity in weight_randomisation(net.module, explain, seed=models.seed).items():
            known = similarity[~np.isnan(similarity)]
            if known.size:
                found[f"{name}/down to {randomised}"] = float(known.mean())
    return found


EXPERIMENTS: dict[str, Callable[[Models], Figures]] = {
    "Accuracy": accuracies,
    "Fig. 3": variance,
    "Fig. 6a": localisation,
    "Fig. 6b": activity,
    "Table 1": leaks,
    "Fig. 8": gammas,
    "Fig. 9": robustness,
    "Fig. 10": suppressed,
    "Deletion": perturbation,
    "Sanity": sanity,
}
"""By their name in the paper."""


def _recorded(models: Models, net: Spiking, form: str) -> Recording:
    events = net.encode(models.explained.images, models.seed)
    return run(net.form(form), events, record=Record(spikes=models.layers))


def _sam(models: Models, net: Spiking, form: str, gamma: float = 0.5) -> dict[str, Array]:
    """SAM of the explained layers; of a longer run as many steps, evenly spaced, as the surrogate net has."""
    found = _maps(net, form, net.encode(models.explained.images, models.seed), models.layers, gamma)
    steps = np.linspace(0, net.steps - 1, models.plan.steps).round().astype(int)
    return {layer: maps[steps] for layer, maps in found.items()}


def _maps(net: Spiking, form: str, events: Events, layers: tuple[str, ...], gamma: float = 0.5) -> dict[str, Array]:
    """Maps in the unit of the float trace, whatever the form."""
    network = net.form(form).with_sam(SamTrace(gamma, "strict"), layers, net.steps)
    recording = run(network, events, record=Record(sam=layers))
    return {layer: recording.sam[layer] / recording.sam_scale[layer] for layer in layers}


def _reference(models: Models, layer: str) -> Array:
    return GradCAM(models.ann, layer).attribute(models.explained.float(), models.explained.labels)


def _error(models: Models, layer: str, maps: npt.ArrayLike) -> float:
    reference = _reference(models, layer)
    array = np.asarray(maps, dtype=np.float64)
    return float(localisation_error(_shrunk(array, reference.shape[1:]), reference).mean())


def _shrunk(maps: Array, size: tuple[int, ...]) -> Array:
    """Larger maps averaged down to the reference's size, where it divides theirs."""
    high, wide = maps.shape[-2] // size[0], maps.shape[-1] // size[1]
    if (high, wide) == (1, 1) or maps.shape[-2:] != (high * size[0], wide * size[1]):
        return maps
    return np.asarray(maps.reshape(*maps.shape[:-2], size[0], high, size[1], wide).mean(axis=(-3, -1)))


def _inside(models: Models, maps: npt.ArrayLike) -> float:
    """Mean share of mass inside the exact masks, over the maps that have any; NaN if none has."""
    masks = models.explained.masks
    if masks is None:
        return float("nan")
    share = mass_inside(maps, masks)
    said = ~np.isnan(share)
    return float(share[said].mean()) if said.any() else float("nan")
