"""Experiments on behaviour: accuracy, Fig. 6b (spikes over time), 7 and 9 (attacks), 10 (two items at once)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import GradCAM
from neurosam.data import ImageSet, PairSet
from neurosam.evaluation import fgsm, map_distance, of_module, spiking_fgsm, suppression
from neurosam.explain.localisation import intensity
from neurosam.explain.maps import aggregate
from neurosam.signals.answer import predicted
from neurosam.training import SpikingSequential
from neurosam_study.localisation import EXAMPLES, examples, most_frequent
from neurosam_study.maps import (
    AT_ONCE,
    Array,
    activity_of,
    every_net,
    explained_by,
    recorded,
    sam_of,
    stored,
    surrogates,
)
from neurosam_study.models import FORMS, Models, Spiking
from neurosam_study.receptive_field import of_layers
from neurosam_study.results import Result

__all__ = ["ATTACK", "accuracies", "activity", "robustness", "suppressed"]

ATTACK = 4
"""The paper's epsilon, in 255ths."""
ATTACKER = 1000
"""Offset of the seed for the attacker's input spikes, which differ from those of the attacked net."""
OTHER_DRAWS = 500
"""Offset of the seeds for spikes that are drawn anew."""
MIN_PAIRS = 5
"""Minimum number of pairs with a map at a step for the step to count."""
NO_PAIRS = "Left out: pairs of items need masks, which canvases and Tiny-ImageNet have."
NO_ANN = "An event camera's recordings are no pictures: there is no ANN, no conversion and no Grad-CAM of an ANN."


def accuracies(models: Models) -> Result:
    """Measure the held-out accuracy of every network in every form."""
    test = models.test
    values: dict[str, Array] = {}
    if not models.plan.recordings:
        values["ANN"] = of_ann(models.ann, test)
        values["reference ANNs"] = np.mean([of_ann(ann, test) for ann in models.references], axis=0)
    for name, net in every_net(models).items():
        for form in FORMS:
            values[f"{name} {form}"] = net.hits(form, test.images, test.labels, models.seed)
    notes = (NO_ANN,) if models.plan.recordings else ()
    return Result({"most frequent class": most_frequent(models)}, notes=notes, values=values)


def of_ann(ann: SpikingSequential, images: ImageSet) -> Array:
    """Whether an ANN classifies each image correctly, 1 or 0."""
    predict = of_module(ann)
    parts = [images.subset(np.arange(i, min(i + AT_ONCE, len(images)))) for i in range(0, len(images), AT_ONCE)]
    return np.concatenate([predicted(predict(part.float())) == part.labels for part in parts]).astype(np.float64)


def activity(models: Models) -> Result:
    """Fig. 6b: spikes at each step as a share of the busiest step's; constant activity gives 1 at every step.

    The Poisson input has the same expected number of spikes at every step, so its course shows the effect of chance.
    """
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    for name, net in every_net(models).items():
        events = net.encode(models.explained.images, models.seed)
        drawn = np.bincount(events.time, minlength=net.steps).astype(np.float64)
        counted: dict[str, Array] = {f"input/{name}": drawn}
        for form in FORMS:
            seen = recorded(models, net, form)
            counted |= {f"{layer}/{name} {form}": seen.course(layer) for layer in models.layers}
        for course, spikes in counted.items():
            share = spikes / spikes.max() if spikes.max() else np.full(len(spikes), np.nan)
            courses[course] = share.tolist()
            figures[f"{course} first"], figures[f"{course} last"] = float(share[0]), float(share[-1])
            figures[f"{course} least"] = float(share.min())
    return Result(figures, courses)


def robustness(models: Models) -> Result:
    """Fig. 7 and 9: accuracy under FGSM, the share of the clean accuracy lost at 4/255, and how far maps move at 4/255.

    The attack on the spiking net averages its gradient over several draws of the input's spikes, and its maps are means
    over draws that an image and its attacked version share. Baselines are noise of the same size, each pixel up or down
    at random, and for SAM, without any attack, other draws of the same images.
    """
    values: dict[str, Array] = {}
    net, shown, layer = models.surrogate(), models.explained, models.layers[-1]
    before = explained_by(GradCAM(models.ann, layer), shown.float(), shown.labels)
    arrays = examples(models)
    for epsilon in models.plan.epsilons:
        ann_images = fgsm(models.ann, shown.images, shown.labels, epsilon / 255)
        attacked = _attacked(models, net, epsilon)
        noisy = _noisy(models, epsilon)
        for name, images in (("ANN", ann_images), ("ANN, noise", noisy)):
            values[f"accuracy/{name} {epsilon}"] = (predicted(of_module(models.ann)(images)) == shown.labels) * 1.0
        for name, images in (("surrogate", attacked), ("surrogate, noise", noisy)):
            for form in FORMS:
                values[f"accuracy/{name} {form} {epsilon}"] = net.hits(form, images, shown.labels, models.seed)
        if epsilon != ATTACK:
            continue
        for name, images in (("", ann_images), (", noise", noisy)):
            after = explained_by(GradCAM(models.ann, layer), images, shown.labels)
            values[f"map/Grad-CAM of the ANN{name}"] = map_distance(before, after)
            arrays[f"after/Grad-CAM of the ANN{name}"] = stored(after[:EXAMPLES])
        arrays |= {"before/Grad-CAM of the ANN": stored(before[:EXAMPLES])}
        arrays |= {"attacked/ANN": ann_images[:EXAMPLES], "attacked/surrogate": attacked[:EXAMPLES]}
        seeds = range(models.seed, models.seed + models.plan.draws)
        others = range(models.seed + OTHER_DRAWS, models.seed + OTHER_DRAWS + models.plan.draws)
        for form in FORMS:
            clean = _mean_map(net, form, shown.images, seeds, layer)
            moved = {
                "": _mean_map(net, form, attacked, seeds, layer),
                ", noise": _mean_map(net, form, noisy, seeds, layer),
                ", no attack, spikes drawn anew": _mean_map(net, form, shown.images, others, layer),
            }
            arrays[f"before/SAM {form}"] = stored(aggregate(clean)[:EXAMPLES])
            arrays[f"after/SAM {form}"] = stored(aggregate(moved[""])[:EXAMPLES])
            for name, maps in moved.items():
                values[f"map/SAM{name} {form}"] = map_distance(clean, maps)
    figures = {}
    for name in ("ANN", *(f"surrogate {form}" for form in FORMS)):
        clean_share = float(values[f"accuracy/{name} 0"].mean())
        lost = clean_share - float(values[f"accuracy/{name} {ATTACK}"].mean())
        figures[f"lost/{name}"] = lost / clean_share if clean_share else float("nan")
    return Result(figures, arrays=arrays, values=values)


def _mean_map(net: Spiking, form: str, images: npt.NDArray[np.generic], seeds: range, layer: str) -> Array:
    """SAM of each step, the mean over draws of the input's spikes."""
    maps = [sam_of(net, form, net.encode(images, seed), (layer,))[layer] for seed in seeds]
    return np.asarray(np.mean(maps, axis=0))


def suppressed(models: Models) -> Result:
    """Fig. 10: of each step's SAM inside the masks of both items, the share inside the predicted one.

    SAM has to exceed the share of the masks' area, of the input and of each step's raw spikes. A layer is left out if
    its receptive field is larger than half the picture: its neurons between the items see both.
    """
    pairs = models.pairs
    if pairs is None:
        return Result(notes=(NO_PAIRS,))
    values: dict[str, Array] = {}
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    fields = of_layers(models.surrogate().module, models.layers)
    figures |= {f"{layer}/receptive field in pixels": side for layer, side in fields.items()}
    layers = tuple(layer for layer, side in fields.items() if side <= min(pairs.shape[1:]) / 2)

    def shares(maps: Array, predictions: npt.NDArray[np.int64]) -> Array:
        return suppression(maps, pairs.labels, predictions, pairs.masks)

    for name, net in surrogates(models).items():
        events = net.encode(pairs.images, models.seed)
        of_name = "" if name == "surrogate" else f"{name.removeprefix('surrogate, ')}: "
        for form in FORMS:
            seen = activity_of(net, form, events, layers)
            found = seen.predictions
            values[f"{of_name}predicted one of the two {form}"] = (pairs.labels == found[:, None]).any(axis=1) * 1.0
            values[f"{of_name}input {form}"] = shares(intensity(pairs.images)[None], found)[0]
            values[f"{of_name}area {form}"] = shares(np.ones((1, *pairs.masks[:, 0].shape)), found)[0]
            for layer in set(models.layers) - set(layers):
                figures |= {f"{of_name}{layer}/{which} {form}": np.nan for which in ("first", "last")}
            maps_by_layer = sam_of(net, form, events, layers) if layers else {}
            for layer, maps in maps_by_layer.items():
                for kind, shown in (("", maps), ("/spikes", seen.by_step(layer))):
                    share = shares(shown, found)
                    course = _course(share)
                    courses[f"{of_name}{layer}{kind} {form}"] = course
                    steps = [t for t, mean in enumerate(course) if not np.isnan(mean)]
                    for which, at in (("first", 0), ("last", -1)):
                        of_pairs = share[steps[at]] if steps else np.full(len(found), np.nan)
                        values[f"{of_name}{layer}{kind}/{which} {form}"] = of_pairs
            if of_name:
                continue
            selected = _predicted(pairs, found)
            arrays[f"predicted {form}"] = found[selected]
            arrays[f"label {form}"], arrays[f"image {form}"] = pairs.labels[selected], pairs.images[selected]
            arrays[f"mask {form}"] = np.asarray(pairs.masks[selected].any(axis=1))
            arrays |= {f"{layer} {form}": stored(maps[:, selected]) for layer, maps in maps_by_layer.items()}
    side = models.pair_side
    notes = [] if side is None else [f"Items of pairs are shrunk to {side} pixels, so that two fit."]
    if left_out := [f"{layer} ({side:g} pixels)" for layer, side in fields.items() if layer not in layers]:
        notes.append(f"Left out, their receptive field being larger than half the picture: {', '.join(left_out)}.")
    return Result(figures, courses, arrays, tuple(notes), values)


def _course(share: Array) -> list[float]:
    """Mean over the pairs that have a map, for each step; NaN if too few have one."""
    rows = [row[~np.isnan(row)] for row in share]
    return [float(row.mean()) if len(row) >= MIN_PAIRS else float("nan") for row in rows]


def _predicted(pairs: PairSet, predictions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Indices of the first pairs of which one item is predicted."""
    return np.flatnonzero((pairs.labels == predictions[:, None]).any(axis=1))[:EXAMPLES]


def _attacked(models: Models, net: Spiking, epsilon: int) -> npt.NDArray[np.float32]:
    shown, seed = models.explained, models.seed + ATTACKER
    parts = []
    for first in range(0, len(shown), AT_ONCE):
        images, labels = shown.images[first : first + AT_ONCE], shown.labels[first : first + AT_ONCE]
        attacked = spiking_fgsm(
            net.module, images, labels, epsilon / 255, steps=net.steps, seed=seed, draws=models.plan.draws, first=first
        )
        parts.append(attacked)
    return np.concatenate(parts)


def _noisy(models: Models, epsilon: int) -> npt.NDArray[np.float32]:
    """Move each pixel up or down by epsilon at random: as large as the attack, but uninformed."""
    x = models.explained.float()
    signs = np.random.default_rng(models.seed).choice(np.array([-1, 1], dtype=np.float32), x.shape)
    return np.asarray(np.clip(x + np.float32(epsilon / 255) * signs, 0, 1), dtype=np.float32)
