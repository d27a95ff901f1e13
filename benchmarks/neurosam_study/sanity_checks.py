"""Experiments of our own: do maps depend on the network's weights, do they agree across trainings; run time."""

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
    ModuleClassSAM,
    ModuleSAM,
    Occlusion,
    Saliency,
    SpikingGradCAM,
)
from neurosam.backends import run
from neurosam.evaluation import agreement, of_module, spearman, weight_randomisation
from neurosam.explain.localisation import intensity, spike_count
from neurosam.explain.maps import aggregate
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Record
from neurosam.training import SpikingSequential
from neurosam_study.interval import pseudo_values
from neurosam_study.maps import GAMMA, MODE, Array, activity_of, explained_by, nets, sam_of, stored
from neurosam_study.models import FORMS, Models
from neurosam_study.results import Result
from neurosam_study.samples import HELD_OUT

__all__ = ["REDRAWN", "agreements", "common_maps", "run_times", "sanity"]

SANITY = 32
"""Samples of the weight randomisation."""
ANEW = 500
"""Offset of the seed for spikes that are drawn anew."""
REDRAWN = "spikes drawn anew"
TIMED, ROUNDS = 16, 3
"""Samples and repetitions of the run times."""
PAIRED = "Figures of pairs of seeds: intervals are those of jackknife pseudo-values; with two seeds there are none."


def sanity(models: Models) -> Result:
    """Rank correlation with the original map after weights are shuffled, layer by layer from the top.

    1 means that the map does not depend on these weights, as for SAM above its own layer, and always for the input.
    "spikes drawn anew" is the correlation when nothing is shuffled and only the draw of the input's spikes is another.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(SANITY, len(models.explained))))
    labels = shown.labels
    values: dict[str, Array] = {}
    drawn, redrawn = (net.encode(shown.images, seed) for seed in (models.seed, models.seed + ANEW))
    others = _methods(models, redrawn, labels, layer)
    for name, explain in _methods(models, drawn, labels, layer).items():
        for randomised, similarity in weight_randomisation(net.module, explain, seed=models.seed).items():
            values[f"down to {randomised}/{name}"] = similarity
        values[f"{REDRAWN}/{name}"] = spearman(explain(net.module), others[name](net.module))
    trivial: dict[str, Callable[[SpikingSequential], npt.ArrayLike]] = {
        "input image": lambda m: intensity(shown.images),
        "random map": _random_maps(models.seed, len(shown)),
    }
    for name, explain in trivial.items():
        for randomised, similarity in weight_randomisation(net.module, explain, seed=models.seed).items():
            values[f"down to {randomised}/{name}"] = similarity
    return Result(values=values)


def _methods(
    models: Models, events: Events, labels: npt.NDArray[np.int64], layer: str
) -> dict[str, Callable[[SpikingSequential], npt.ArrayLike]]:
    """From a module to the maps of a draw of the images."""
    x, steps = events.dense(), models.plan.steps

    def on_chip(module: SpikingSequential) -> npt.ArrayLike:
        return aggregate(sam_of(models.deploy(module, steps), FORMS[1], events, (layer,))[layer])

    return {
        f"SAM {FORMS[0]}": lambda m: aggregate(ModuleSAM(m, layer, GAMMA, MODE).attribute(x, labels)),
        f"SAM {FORMS[1]}": on_chip,
        "class SAM": lambda m: aggregate(ModuleClassSAM(m, layer, GAMMA, MODE, contrast=True).attribute(x, labels)),
        "Grad-CAM": lambda m: aggregate(explained_by(SpikingGradCAM(m, layer), x, labels)),
        "saliency": lambda m: aggregate(explained_by(Saliency(m), x, labels)),
    }


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
