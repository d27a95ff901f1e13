"""Bits per weight as a randomiser: whether SAM follows a net that loses what it has learned.

The surrogate net's weights are rounded to b bits, and nothing is done against the loss. "float" is the module in torch
with rounded weights; "8 bits" is the fixed-point network on the event back end, with b bits per weight. For each b:

    accuracy                of the rounded net
    correlation             Pearson's, of its SAM with that of the module that is not rounded, both summed over steps
    count                   the same of its spike count with the other's
    skill                   (r - r_count) / (1 - r_count), r_count that of the module's own spike count with its SAM
    deletion, insertion     of its SAM, and of a random ranking, asked of the rounded net itself

Agreement with the float map is no merit if the net that the map agrees with is gone. So "half the accuracy" are the
figures at the most bits at which no more than half of the accuracy is left.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from neurosam.evaluation import pearson, skill
from neurosam.explain.localisation import spike_count
from neurosam.explain.maps import aggregate
from neurosam.training import SpikingSequential, fake_quantise
from neurosam_study.judging import CURVES, POINTS
from neurosam_study.maps import Array, activity_of, sam_of
from neurosam_study.models import FORMS, Models
from neurosam_study.results import Result

__all__ = ["BOUND", "HALF", "at_half", "rounded_weights"]

BOUND = 0.9
"""A correlation at which maps look alike."""
HALF = "half the accuracy"


def rounded_weights(models: Models) -> Result:
    """Measure all of the above for each number of bits of the plan."""
    net, layers, plan = models.surrogate(), models.layers, models.plan
    test = models.test
    shown = models.explained.subset(np.arange(min(plan.judged, len(models.explained))))
    events = net.encode(shown.images, models.seed)
    x = events.dense()
    whole = {layer: aggregate(maps) for layer, maps in sam_of(net, FORMS[0], events, layers).items()}
    counts = {layer: spike_count(s) for layer, s in activity_of(net, FORMS[0], events, layers).spikes.items()}
    r_count = {layer: pearson(counts[layer], whole[layer]) for layer in layers}
    noise = np.random.default_rng(models.seed).random((len(shown), *shown.shape[1:]))
    hits = net.hits(FORMS[0], test.images, test.labels, models.seed)
    values: dict[str, Array] = {"accuracy/not rounded": hits}
    for bits in plan.weight_bits:
        deployed = models.deploy(net.module, net.steps, weight_bits=bits)
        rounded = replace(deployed, module=_rounded(net.module, bits))
        for form in FORMS:
            name = f"{bits}-bit weights {form}"
            values[f"accuracy/{name}"] = rounded.hits(form, test.images, test.labels, models.seed)
            spikes = activity_of(rounded, form, events, layers).spikes
            maps = {layer: aggregate(found) for layer, found in sam_of(rounded, form, events, layers).items()}
            for layer in layers:
                r = pearson(maps[layer], whole[layer])
                values[f"{layer}/correlation/{name}"] = r
                values[f"{layer}/count/{name}"] = pearson(spike_count(spikes[layer]), counts[layer])
                values[f"{layer}/skill/{name}"] = skill(r, r_count[layer])
            predict = rounded.predictor(form)
            for how, curve in CURVES.items():
                for ranking, scores in (("SAM", maps[layers[0]]), ("random", noise)):
                    found = curve(predict, x, scores, shown.labels, points=POINTS, seed=models.seed)
                    values[f"{how}/{ranking}/{name}"] = found.area
    for form in FORMS:
        bits_at_half = at_half({bits: float(values[f"accuracy/{bits}-bit weights {form}"].mean())
                                for bits in plan.weight_bits}, float(hits.mean()))  # fmt: skip
        for layer in layers:
            for what in ("correlation", "skill"):
                nowhere = np.full(len(shown), np.nan)
                found_at = f"{layer}/{what}/{bits_at_half}-bit weights {form}"
                values[f"{layer}/{what}/{HALF} {form}"] = values.get(found_at, nowhere)
    return Result({"bound": BOUND}, values=values)


def at_half(accuracy: dict[int, float], whole: float) -> int | None:
    """The most bits at which at most half of an accuracy is left; None if there are none.

    Examples
    --------
    >>> from neurosam_study.weights import at_half
    >>> at_half({8: 0.9, 4: 0.5, 3: 0.4, 2: 0.1}, whole=0.9)
    3
    """
    return max((bits for bits, left in accuracy.items() if left <= whole / 2), default=None)


def _rounded(module: SpikingSequential, bits: int) -> SpikingSequential:
    """A copy whose weights have so many bits; everything else stays in float."""
    copied = copy.deepcopy(module)
    with fake_quantise(copied, bits):
        pass  # the weights stay rounded
    return copied
