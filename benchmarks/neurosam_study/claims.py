"""The paper's claims as differences of our figures, and the verdict of our seeds on each.

A claim is ``sign * (a - b) + margin > 0`` for two named figures of an experiment. Over n seeds, the differences have a
mean and Student's 95 % interval. The claim *holds* if the interval lies above 0, *fails* if it lies below, and is
*open* otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neurosam_study.behaviour import ATTACK
from neurosam_study.interval import interval
from neurosam_study.maps import GAMMA
from neurosam_study.models import FORMS
from neurosam_study.plan import DEPLOYED, Plan

__all__ = ["Claim", "Verdict", "claims", "judge"]

ANN_MARGIN, FLOAT_MARGIN = 0.02, 0.01
"""Allowed loss of accuracy of a spiking net relative to the ANN, and of 8 bits relative to float."""


@dataclass(frozen=True)
class Claim:
    """``sign * (figure a - figure b) + margin > 0``.

    Parameters
    ----------
    experiment : str
    text : str
        The paper's claim in our words; claims that we added are marked (ours).
    a, b : str
        Names of figures.
    sign : {1, -1}
    margin : float
        How much worse `a` may be.
    """

    experiment: str
    text: str
    a: str
    b: str
    sign: int = 1
    margin: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The seeds' verdict on a claim: means of both figures, the signed difference, its interval, and the verdict."""

    claim: Claim
    a: float
    b: float
    difference: float
    low: float
    high: float
    word: str


def claims(plan: Plan, layers: Sequence[str], form: str) -> list[Claim]:
    """List all claims for one form of the network, "float" or "8 bits"."""
    low, high = min(plan.leaks), max(plan.leaks)
    listed = [
        Claim(
            "Table 1", "a high leak is more accurate", f"accuracy/leak {high:g} {form}", f"accuracy/leak {low:g} {form}"
        ),
        Claim(
            "Fig. 9", f"SNN more accurate under FGSM {ATTACK}/255",
            f"accuracy/surrogate {form} {ATTACK}", f"accuracy/ANN {ATTACK}",
        ),
        Claim("Fig. 9", "SNN loses a smaller share of its accuracy", f"lost/surrogate {form}", "lost/ANN", -1),
        Claim(
            "Fig. 9", f"SAM moves less than Grad-CAM at {ATTACK}/255", f"map/SAM {form}", "map/Grad-CAM of the ANN", -1
        ),
        Claim(
            "Fig. 9", "(ours) the attack moves SAM more than redrawing the spikes does",
            f"map/SAM {form}", f"map/SAM, no attack, spikes drawn anew {form}",
        ),
    ]  # fmt: skip
    near_ann = f"at most {100 * ANN_MARGIN:g} points below the ANN"
    listed.append(Claim("Accuracy", f"(ours) surrogate {near_ann}", f"surrogate {form}", "ANN", margin=ANN_MARGIN))
    for data in plan.deployed:
        surrogate = f"{data}/accuracy/surrogate"
        listed += [
            Claim(
                "Deployment", f"(ours) {data}: surrogate {near_ann}", f"{surrogate} {form}", f"{data}/accuracy/ANN",
                margin=ANN_MARGIN,
            ),
            Claim(
                "Deployment", f"(ours) {data}: 8 bits cost the surrogate at most {100 * FLOAT_MARGIN:g} point",
                f"{surrogate} {FORMS[1]}", f"{surrogate} {FORMS[0]}", margin=FLOAT_MARGIN,
            ),
            Claim(
                "Deployment", f"(ours) {data}: more accurate than the conversion in the same number of steps",
                f"{surrogate} {form}", f"{data}/accuracy/conversion after {DEPLOYED[data].steps} steps {form}",
            ),
        ]  # fmt: skip
    for layer in layers:
        listed += _of_layer(layer, low, high, form)
    for how, sign in (("deletion", -1), ("insertion", 1)):
        for other in ("random", "input", "spikes"):
            text = f"(ours) {how}: SAM ranks better than {_RANKINGS[other]}"
            listed.append(Claim("Deletion", text, f"{how}/SAM {form}", f"{how}/{other} {form}", sign))
    listed.append(
        Claim(
            "Run time", "(ours) SAM on the event back end takes less time than SNN-Grad-CAM in torch",
            f"event, SAM {form}", "SNN-Grad-CAM", -1,
        )
    )  # fmt: skip
    return listed


_RANKINGS = {"random": "chance", "input": "the input's brightness", "spikes": "its layer's spike count"}


def _of_layer(layer: str, low: float, high: float, form: str) -> list[Claim]:
    return [
        *(
            Claim(
                "Fig. 3", f"{layer}, {net}: SAM varies more than SNN-Grad-CAM",
                f"{net}/{layer}/SAM {form}", f"{net}/{layer}/Grad-CAM",
            )
            for net in ("surrogate", "conversion")
        ),
        Claim(
            "Fig. 6a", f"{layer}: surrogate is closer to Grad-CAM than conversion",
            f"{layer}/surrogate {form}", f"{layer}/conversion {form}", -1,
        ),
        Claim(
            "Fig. 6a", f"{layer}: (ours) SAM is closer than the best constant map",
            f"{layer}/surrogate {form}", f"{layer}/best constant", -1,
        ),
        Claim(
            "Fig. 6a", f"{layer}: (ours) SAM is closer than the spikes of single steps",
            f"{layer}/surrogate {form}", f"{layer}/spikes of a step, surrogate {form}", -1,
        ),
        Claim(
            "Fig. 6a", f"{layer}: (ours) SAM has more mass in the mask than the spike count",
            f"{layer}/mask/surrogate {form}", f"{layer}/mask/spikes, surrogate {form}",
        ),
        Claim(
            "Fig. 6a", f"{layer}: (ours) SAM has more mass in the mask than the input",
            f"{layer}/mask/surrogate {form}", f"{layer}/mask/input",
        ),
        Claim(
            "Fig. 6b", f"{layer}: surrogate's spikes fall at the end, conversion's do not",
            f"{layer}/conversion {form} last", f"{layer}/surrogate {form} last",
        ),
        Claim(
            "Table 1", f"{layer}: a high leak is closer to Grad-CAM",
            f"{layer}/leak {high:g} {form}", f"{layer}/leak {low:g} {form}", -1,
        ),
        *(
            Claim(
                "Fig. 8", f"{layer}, {net}: gamma {gamma} is worse than {GAMMA:g}",
                f"{layer}/{net}/gamma {gamma} {form}", f"{layer}/{net}/gamma {GAMMA:g} {form}",
            )
            for net in ("surrogate", "conversion")
            for gamma in (0, 1)
        ),
        Claim(
            "Fig. 10", f"{layer}: late maps settle on the predicted item",
            f"{layer}/last {form}", f"{layer}/first {form}",
        ),
        Claim(
            "Fig. 10", f"{layer}: (ours) late maps prefer the predicted item more than the input does",
            f"{layer}/last {form}", f"input {form}",
        ),
        Claim(
            "Agreement", f"{layer}: (ours) trainings agree on one image more than across images",
            f"{layer}/surrogate, SAM {form}", f"{layer}/surrogate, SAM {form}, other picture",
        ),
        Claim(
            "Agreement", f"{layer}: (ours) trainings agree on SAM more than on SNN-Grad-CAM",
            f"{layer}/surrogate, SAM {form}", f"{layer}/surrogate, Grad-CAM",
        ),
        Claim(
            "Agreement", f"{layer}: (ours) trainings agree on SAM more than on the spike count",
            f"{layer}/surrogate, SAM {form}", f"{layer}/surrogate, spike count {form}",
        ),
    ]  # fmt: skip


def judge(claim: Claim, seeds: Sequence[Mapping[str, Mapping[str, float]]]) -> Verdict:
    """Judge a claim by the figures of several seeds: "open" with one seed only, "not measured" without any.

    Parameters
    ----------
    claim : Claim
    seeds : sequence of mappings
        For each seed, figures by experiment and name.
    """
    figures = [seed.get(claim.experiment, {}) for seed in seeds]
    pairs = [(f.get(claim.a, math.nan), f.get(claim.b, math.nan)) for f in figures]
    measured = [(a, b) for a, b in pairs if not math.isnan(a - b)]
    a, b = (interval(column).mean for column in ([a for a, _ in measured], [b for _, b in measured]))
    mean, low, high = interval([claim.sign * (a - b) + claim.margin for a, b in measured])
    word = "not measured" if not measured else "holds" if low > 0 else "fails" if high < 0 else "open"
    return Verdict(claim, a, b, mean, low, high, word)
