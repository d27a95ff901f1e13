"""Experiments on behaviour: accuracy, Fig. 6b (spikes over time), 7 and 9 (attacks), 10 (two items at once)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import GradCAM
from neurosam.data import PairSet
from neurosam.evaluation import fgsm, map_distance, of_module, spiking_fgsm, suppression
from neurosam.explain.localisation import intensity
from neurosam.explain.maps import aggregate
from neurosam.signals.answer import predicted
from neurosam.training import evaluate
from neurosam_study.localisation import EXAMPLES, examples, most_frequent
from neurosam_study.maps import AT_ONCE, Array, activity_of, explained_by, nets, recorded, sam_of, stored
from neurosam_study.models import FORMS, Models, Spiking
from neurosam_study.results import Result

__all__ = ["ATTACK", "accuracies", "activity", "robustness", "suppressed"]

ATTACK = 4
"""The paper's epsilon, in 255ths."""
ATTACKER = 1000
"""Offset of the seed for the attacker's input spikes, which differ from those of the attacked net."""
MIN_PAIRS = 5
"""Minimum number of pairs with a map at a step for the step to count."""
NO_PAIRS = "Left out: pairs of items at known positions can be made from mnist5k and fashion only."


def accuracies(models: Models) -> Result:
    """Measure the held-out accuracy of every network in every form."""
    figures = {
        "ANN": evaluate(models.ann, models.test, steps=1, coding="direct", seed=models.seed, device=models.device)
    }
    for name, net in nets(models).items():
        for form in FORMS:
            figures[f"{name} {form}"] = net.accuracy(form, models.test.images, models.test.labels, models.seed)
    figures["most frequent class"] = most_frequent(models)
    return Result(figures)


def activity(models: Models) -> Result:
    """Fig. 6b: spikes at each step as a share of the busiest step's; constant activity gives 1 at every step.

    The Poisson input has the same expected number of spikes at every step, so its course shows the effect of chance.
    """
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    for name, net in nets(models).items():
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

    Baselines are noise of the same size, each pixel up or down at random, and for SAM, without any attack, new input
    spikes drawn for the same images.
    """
    figures: dict[str, float] = {}
    net, shown, layer = models.surrogate(), models.explained, models.layers[-1]
    seen = {"": net.encode(shown.images, models.seed), "redrawn": net.encode(shown.images, models.seed + 1)}
    before = explained_by(GradCAM(models.ann, layer), shown.float(), shown.labels)
    arrays = examples(models)
    for epsilon in models.plan.epsilons:
        ann_images = fgsm(models.ann, shown.images, shown.labels, epsilon / 255)
        attacked = _attacked(models, net, epsilon)
        noisy = _noisy(models, epsilon)
        for name, images in (("ANN", ann_images), ("ANN, noise", noisy)):
            hits = predicted(of_module(models.ann)(images)) == shown.labels
            figures[f"accuracy/{name} {epsilon}"] = float(hits.mean())
        for name, images in (("surrogate", attacked), ("surrogate, noise", noisy)):
            for form in FORMS:
                figures[f"accuracy/{name} {form} {epsilon}"] = net.accuracy(form, images, shown.labels, models.seed)
        if epsilon != ATTACK:
            continue
        for name, images in (("", ann_images), (", noise", noisy)):
            after = explained_by(GradCAM(models.ann, layer), images, shown.labels)
            figures[f"map/Grad-CAM of the ANN{name}"] = float(map_distance(before, after).mean())
            arrays[f"after/Grad-CAM of the ANN{name}"] = stored(after[:EXAMPLES])
        arrays |= {"before/Grad-CAM of the ANN": stored(before[:EXAMPLES])}
        arrays |= {"attacked/ANN": ann_images[:EXAMPLES], "attacked/surrogate": attacked[:EXAMPLES]}
        seen |= {"attacked": net.encode(attacked, models.seed), "noise": net.encode(noisy, models.seed)}
        for form in FORMS:
            maps = {name: sam_of(net, form, events, (layer,))[layer] for name, events in seen.items()}
            arrays[f"before/SAM {form}"] = stored(aggregate(maps[""])[:EXAMPLES])
            arrays[f"after/SAM {form}"] = stored(aggregate(maps["attacked"])[:EXAMPLES])
            for name, moved in (("", "attacked"), (", noise", "noise"), (", no attack, spikes drawn anew", "redrawn")):
                figures[f"map/SAM{name} {form}"] = float(map_distance(maps[""], maps[moved]).mean())
    for name in ("ANN", *(f"surrogate {form}" for form in FORMS)):
        clean = figures[f"accuracy/{name} 0"]
        lost = clean - figures[f"accuracy/{name} {ATTACK}"]
        figures[f"lost/{name}"] = lost / clean if clean else float("nan")
    return Result(figures, arrays=arrays)


def suppressed(models: Models) -> Result:
    """Fig. 10: share of each step's SAM in the half of the image with the predicted item.

    0.5 is no preference. SAM has to exceed the share of the input and that of each step's raw spikes.
    """
    pairs = models.pairs
    if pairs is None:
        return Result(notes=(NO_PAIRS,))
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    net = models.surrogate()
    events = net.encode(pairs.images, models.seed)
    for form in FORMS:
        seen = activity_of(net, form, events, models.layers)
        predicted = seen.predictions
        figures[f"predicted one of the two {form}"] = float((pairs.labels == predicted[:, None]).any(axis=1).mean())
        input_share = suppression(intensity(pairs.images)[None], pairs.labels, predicted)[0]
        shares = input_share[~np.isnan(input_share)]
        figures[f"input {form}"] = float(shares.mean()) if shares.size else float("nan")
        selected = _predicted(pairs, predicted)
        arrays[f"predicted {form}"] = predicted[selected]
        arrays[f"label {form}"], arrays[f"image {form}"] = pairs.labels[selected], pairs.images[selected]
        for layer, maps in sam_of(net, form, events, models.layers).items():
            arrays[f"{layer} {form}"] = stored(maps[:, selected])
            for name, shown in (("", maps), ("/spikes", seen.by_step(layer))):
                course = _course(suppression(shown, pairs.labels, predicted))
                courses[f"{layer}{name} {form}"] = course
                steps = [share for share in course if not np.isnan(share)] or [float("nan")]
                figures[f"{layer}{name}/first {form}"], figures[f"{layer}{name}/last {form}"] = steps[0], steps[-1]
    side = models.pair_side
    notes = () if side is None else (f"Items of pairs are shrunk to {side} pixels, so that two fit on a canvas.",)
    return Result(figures, courses, arrays, notes)


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
        parts.append(spiking_fgsm(net.module, images, labels, epsilon / 255, steps=net.steps, seed=seed + first))
    return np.concatenate(parts)


def _noisy(models: Models, epsilon: int) -> npt.NDArray[np.float32]:
    """Move each pixel up or down by epsilon at random: as large as the attack, but uninformed."""
    x = models.explained.float()
    signs = np.random.default_rng(models.seed).choice(np.array([-1, 1], dtype=np.float32), x.shape)
    return np.asarray(np.clip(x + np.float32(epsilon / 255) * signs, 0, 1), dtype=np.float32)
