"""Experiments of our own: do maps matter to the network, depend on its weights, agree across trainings; run time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import (
    GradCAM,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    ModuleSAM,
    Occlusion,
    Saliency,
    SpikingGradCAM,
)
from neurosam.backends import run
from neurosam.evaluation import agreement, deletion, insertion, of_module, weight_randomisation
from neurosam.explain.localisation import baselines, intensity, spike_count
from neurosam.explain.maps import aggregate
from neurosam.network.trace import SamTrace
from neurosam.signals.recording import Record
from neurosam.training import SpikingSequential
from neurosam_study.interval import pseudo_values
from neurosam_study.maps import GAMMA, Array, activity_of, explained_by, nets, sam_of, stored
from neurosam_study.models import FORMS, Models
from neurosam_study.results import Result
from neurosam_study.samples import HELD_OUT

__all__ = ["agreements", "common_maps", "perturbation", "run_times", "sanity"]

SANITY = 32
"""Samples of the weight randomisation."""
PERTURBED = 50
"""Samples of the deletion and insertion curves."""
TIMED, ROUNDS = 16, 3
"""Samples and repetitions of the run times."""
POINTS = 10
"""Points of a deletion or insertion curve, without its start."""
PAIRED = "Figures of pairs of seeds: intervals are those of jackknife pseudo-values; with two seeds there are none."


def perturbation(models: Models) -> Result:
    """Areas under the deletion (lower is better) and insertion (higher is better) curves for the true class.

    Each form of the network is evaluated with the ranking of pixels by its own SAM.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(PERTURBED, len(models.explained))))
    events = net.encode(shown.images, models.seed)
    x = events.dense()
    cam = aggregate(explained_by(SpikingGradCAM(net.module, layer), x, shown.labels))
    values: dict[str, Array] = {}
    for form in FORMS:
        spikes = activity_of(net, form, events, (layer,)).spikes[layer]
        rankings = {"SAM": aggregate(sam_of(net, form, events, (layer,))[layer]), "Grad-CAM": cam}
        rankings |= baselines(shown.images, spikes)
        rankings["random"] = rankings.pop("uniform")  # ties are broken at random
        for name, maps in rankings.items():
            for how, curve in (("deletion", deletion), ("insertion", insertion)):
                area = curve(net.predictor(form), x, maps, shown.labels, points=POINTS).area
                values[f"{how}/{name} {form}"] = area
    return Result(values=values)


def sanity(models: Models) -> Result:
    """Rank correlation with the original map after weights are shuffled, layer by layer from the top.

    1 means that the map does not depend on these weights, as for SAM above its own layer, and always for the input.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(SANITY, len(models.explained))))
    events, labels = net.encode(shown.images, models.seed), shown.labels
    x = events.dense()
    trace = SamTrace(GAMMA, "strict")

    def on_chip(module: SpikingSequential) -> npt.ArrayLike:
        return aggregate(sam_of(models.deploy(module, net.steps), FORMS[1], events, (layer,))[layer])

    methods: dict[str, Callable[[SpikingSequential], npt.ArrayLike]] = {
        f"SAM {FORMS[0]}": lambda m: aggregate(ModuleSAM(m, layer, trace.gamma, trace.mode).attribute(x, labels)),
        f"SAM {FORMS[1]}": on_chip,
        "Grad-CAM": lambda m: aggregate(explained_by(SpikingGradCAM(m, layer), x, labels)),
        "saliency": lambda m: aggregate(explained_by(Saliency(m), x, labels)),
        "input image": lambda m: intensity(shown.images),
        "random map": _random_maps(models.seed, len(shown)),
    }
    figures: dict[str, float] = {}
    for name, explain in methods.items():
        for randomised, similarity in weight_randomisation(net.module, explain, seed=models.seed).items():
            figures[f"down to {randomised}/{name}"] = _mean([similarity])
    return Result(figures)


def _random_maps(seed: int, samples: int) -> Callable[[SpikingSequential], Array]:
    """Return a method that returns different noise each time."""
    rng = np.random.default_rng(seed)
    return lambda _: rng.random((samples, 16, 16))


def common_maps(models: Models) -> Result:
    """Maps of the explained images with spikes that all seeds share, summed over the steps; for :func:`agreements`.

    The figures say how well the surrogate net agrees with itself on new spikes of the same images, an upper bound for
    the agreement of two nets.
    """
    shown = models.explained
    figures: dict[str, float] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, net in nets(models).items():
        events = net.encode(shown.images, HELD_OUT)
        for form in FORMS:
            seen = activity_of(net, form, events, models.layers)
            for layer, maps in sam_of(net, form, events, models.layers).items():
                arrays[f"{layer}/{name}, SAM {form}"] = stored(aggregate(maps))
                arrays[f"{layer}/{name}, spike count {form}"] = stored(spike_count(seen.spikes[layer]))
    net = models.surrogate()
    redrawn, x = net.encode(shown.images, HELD_OUT + 1), net.encode(shown.images, HELD_OUT).dense()
    for form in FORMS:
        for layer, maps in sam_of(net, form, redrawn, models.layers).items():
            name = f"{layer}/surrogate, SAM {form}"
            figures[f"{name}, same net, spikes drawn anew"] = _mean([agreement([arrays[name], aggregate(maps)])])
    for layer in models.layers:
        cam = explained_by(SpikingGradCAM(net.module, layer), x, shown.labels)
        arrays[f"{layer}/surrogate, Grad-CAM"] = stored(aggregate(cam))
        if models.plan.recordings:
            continue
        of_ann = explained_by(GradCAM(models.ann, layer), shown.float(), shown.labels)
        arrays[f"{layer}/ANN, Grad-CAM"] = stored(of_ann)
    return Result(figures, arrays=arrays)


def agreements(seeds: Sequence[Result]) -> list[Result]:
    """Mean Pearson correlation of the maps of two seeds for the same image, over all pairs of seeds.

    Baselines for each kind of map are "other picture", the same between maps of different images, which is how well
    maps agree regardless of the image, and two maps of noise.

    Parameters
    ----------
    seeds : sequence of Result
        Results of :func:`common_maps`, one per seed.

    Returns
    -------
    list of Result
        One per seed, with pseudo-values (see interval.py) for figures of pairs.
    """
    figures = [dict(seed.figures) for seed in seeds]
    for name, first in seeds[0].arrays.items():
        same: dict[tuple[int, int], float] = {}
        other: dict[tuple[int, int], float] = {}
        for i, j in combinations(range(len(seeds)), 2):
            a, b = seeds[i].arrays[name], seeds[j].arrays[name]
            same[i, j] = _mean([agreement([a, b])])
            other[i, j] = _mean([agreement([a, np.roll(b, k, axis=0)]) for k in (-1, 1)])
        for suffix, pairs in (("", same), (", other picture", other)):
            for of_seed, value in zip(figures, pseudo_values(pairs, len(seeds)), strict=True):
                of_seed[f"{name}{suffix}"] = value
        for seed, of_seed in enumerate(figures):
            rng = np.random.default_rng(seed)
            of_seed[f"{name.split('/')[0]}/noise"] = _mean([agreement([rng.random(first.shape) for _ in range(2)])])
    return [Result(of_seed, notes=(PAIRED,)) for of_seed in figures]


def _mean(correlations: Sequence[Array]) -> float:
    values = np.concatenate(correlations)
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def run_times(models: Models) -> Result:
    """Measure seconds per image of every method on this machine, interleaved on the same images.

    The baselines are runs without an explanation, of the module in torch and of the network on the event back end.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(TIMED, len(models.explained))))
    events, labels = net.encode(shown.images, models.seed), shown.labels
    x = events.dense()
    module, predict = net.module, of_module(net.module)
    window = max(1, shown.images.shape[2] // 8)
    jobs: dict[str, Callable[[], object]] = {
        "torch, no explanation": lambda: predict(x),
        "SNN-Grad-CAM": lambda: SpikingGradCAM(module, layer).attribute(x, labels),
        "SAM of the module": lambda: ModuleSAM(module, layer).attribute(x, labels),
        "saliency": lambda: Saliency(module).attribute(x, labels),
        "input x gradient": lambda: InputXGradient(module).attribute(x, labels),
        "guided backpropagation": lambda: GuidedBackprop(module).attribute(x, labels),
        "integrated gradients": lambda: IntegratedGradients(module).attribute(x, labels),
        f"occlusion, window {window}": lambda: Occlusion(module, window).attribute(x, labels),
        "Grad-CAM of the ANN": lambda: GradCAM(models.ann, layer).attribute(shown.float(), labels),
    }
    for form, network in zip(FORMS, (net.network, net.fixed), strict=True):
        traced = network.with_sam(SamTrace(GAMMA, "strict"), (layer,), net.steps)
        jobs[f"event, no explanation {form}"] = partial(run, network, events)
        jobs[f"event, SAM {form}"] = partial(run, traced, events, record=Record(sam=(layer,)))
    return Result({name: seconds / len(shown) for name, seconds in _timed(jobs).items()})


def _timed(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of each job, after a warm-up round (compilation, caches)."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(ROUNDS + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
