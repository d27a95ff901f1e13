"""Not in the paper: whether maps matter to the network, know its weights, agree between trainings; their cost."""

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
from neurosam_study.models import COMMON, FORMS, Models
from neurosam_study.results import Found

__all__ = ["agreements", "common_maps", "perturbation", "run_times", "sanity"]

SANITY = 32
"""Samples of the randomisation check."""
PERTURBED = 50
"""Samples of the deletion and insertion curves."""
TIMED, ROUNDS = 16, 3
"""Samples and repetitions of the run times."""
POINTS = 10
"""Of a deletion or insertion curve, beside its start."""
PAIRED = "Figures of pairs of seeds: intervals are those of jackknife pseudo-values; of two seeds there are none."


def perturbation(models: Models) -> Found:
    """Areas under deletion (lower is better) and insertion (higher is better) curves of the true class's probability.

    Each form of the network is asked about pixels as its own SAM ranks them.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(PERTURBED, len(models.explained))))
    events = net.encode(shown.images, models.seed)
    x = events.dense()
    cam = aggregate(explained_by(SpikingGradCAM(net.module, layer), x, shown.labels))
    found: dict[str, float] = {}
    for form in FORMS:
        spikes = activity_of(net, form, events, (layer,)).spikes[layer]
        rankings = {"SAM": aggregate(sam_of(net, form, events, (layer,))[layer]), "Grad-CAM": cam}
        rankings |= baselines(shown.images, spikes)
        rankings["random"] = rankings.pop("uniform")  # equal ranks are broken at random
        for name, maps in rankings.items():
            for how, curve in (("deletion", deletion), ("insertion", insertion)):
                found[f"{how}/{name} {form}"] = float(
                    curve(net.predictor(form), x, maps, shown.labels, points=POINTS).area.mean()
                )
    return Found(found)


def sanity(models: Models) -> Found:
    """Rank correlation with the original map after weights are shuffled, layer by layer from the top.

    1 means that a map does not notice; SAM cannot, above its own layer. The bare input never does.
    """
    net, layer = models.surrogate(), models.layers[0]
    shown = models.explained.subset(np.arange(min(SANITY, len(models.explained))))
    events, labels = net.encode(shown.images, models.seed), shown.labels
    x = events.dense()
    trace = SamTrace(GAMMA, "strict")

    def on_chip(module: SpikingSequential) -> npt.ArrayLike:
        return aggregate(sam_of(models.deploy(module, net.steps), FORMS[1], events, (layer,))[layer])

    methods: dict[str, Callable[[SpikingSequential], npt.ArrayLike]] = {
        f"SAM {FORMS[0]}": lambda m: aggregate(ModuleSAM(m, layer, trace.gamma, trace.mode).attribute(x)),
        f"SAM {FORMS[1]}": on_chip,
        "Grad-CAM": lambda m: aggregate(explained_by(SpikingGradCAM(m, layer), x, labels)),
        "saliency": lambda m: aggregate(explained_by(Saliency(m), x, labels)),
        "input image": lambda m: intensity(shown.images),
        "random map": _random_maps(models.seed, len(shown)),
    }
    found: dict[str, float] = {}
    for name, explain in methods.items():
        for randomised, similarity in weight_randomisation(net.module, explain, seed=models.seed).items():
            found[f"down to {randomised}/{name}"] = _mean([similarity])
    return Found(found)


def _random_maps(seed: int, samples: int) -> Callable[[SpikingSequential], Array]:
    """A method that answers with other noise each time."""
    rng = np.random.default_rng(seed)
    return lambda _: rng.random((samples, 16, 16))


def common_maps(models: Models) -> Found:
    """Maps of the pictures that all seeds share, as the same spikes, in sum over the steps; for :func:`agreements`.

    Its figures say how far the surrogate net agrees with itself when the spikes are drawn anew: no two nets can be
    asked for more.
    """
    shown = models.common
    found: dict[str, float] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, net in nets(models).items():
        events = net.encode(shown.images, COMMON)
        for form in FORMS:
            seen = activity_of(net, form, events, models.layers)
            for layer, maps in sam_of(net, form, events, models.layers).items():
                arrays[f"{layer}/{name}, SAM {form}"] = stored(aggregate(maps))
                arrays[f"{layer}/{name}, spike count {form}"] = stored(spike_count(seen.spikes[layer]))
    net = models.surrogate()
    anew, x = net.encode(shown.images, COMMON + 1), net.encode(shown.images, COMMON).dense()
    for form in FORMS:
        for layer, maps in sam_of(net, form, anew, models.layers).items():
            name = f"{layer}/surrogate, SAM {form}"
            found[f"{name}, same net, spikes drawn anew"] = _mean([agreement([arrays[name], aggregate(maps)])])
    for layer in models.layers:
        cam = explained_by(SpikingGradCAM(net.module, layer), x, shown.labels)
        arrays[f"{layer}/surrogate, Grad-CAM"] = stored(aggregate(cam))
        of_ann = explained_by(GradCAM(models.ann, layer), shown.float(), shown.labels)
        arrays[f"{layer}/ANN, Grad-CAM"] = stored(of_ann)
    return Found(found, arrays=arrays)


def agreements(seeds: Sequence[Found]) -> list[Found]:
    """Mean Pearson correlation of the maps of two seeds for the same picture, over all pairs of seeds.

    Beside it, for each kind of map: "other picture", the same between maps of different pictures, which is how far maps
    agree without looking; and two maps of noise.

    Parameters
    ----------
    seeds : sequence of Found
        What :func:`common_maps` found, one a seed.

    Returns
    -------
    list of Found
        One a seed, with pseudo-values (see interval.py) of what concerns pairs.
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
            for own, value in zip(figures, pseudo_values(pairs, len(seeds)), strict=True):
                own[f"{name}{suffix}"] = value
        for at, own in enumerate(figures):
            rng = np.random.default_rng(at)
            own[f"{name.split('/')[0]}/noise"] = _mean([agreement([rng.random(first.shape) for _ in range(2)])])
    return [Found(own, notes=(PAIRED,)) for own in figures]


def _mean(correlations: Sequence[Array]) -> float:
    values = np.concatenate(correlations)
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def run_times(models: Models) -> Found:
    """Seconds for each picture of every method on this machine, as it is now: in turns, on the same pictures.

    The baseline is the run that explains nothing: of the module in torch, and of the network on the event back end.
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
    return Found({name: seconds / len(shown) for name, seconds in _timed(jobs).items()})


def _timed(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each job, after a first round that does not count (compiling, caches)."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(ROUNDS + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if number:
                taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
