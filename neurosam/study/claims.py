"""The paper's claims as differences of our figures, and what our seeds say about each.

A claim is ``sign * (a - b) > 0`` with two named figures of an experiment. Over n seeds the differences have mean d and
Student's 95 % interval d +- t s / sqrt(n). The claim *holds* if the interval lies above 0, *fails* if below, and is
*open* otherwise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neurosam.study.plan import Plan

__all__ = ["Claim", "Verdict", "claims", "judge"]

# Two-sided 95 % quantile of Student's t for 1 .. 9 degrees of freedom; the normal's would overstate a few seeds.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Claim:
    """``sign * (figure a - figure b) > 0``.

    Parameters
    ----------
    experiment : str
    text : str
        What the paper says, in our words.
    a, b : str
        Names of figures.
    sign : {1, -1}
    """

    experiment: str
    text: str
    a: str
    b: str
    sign: int = 1


@dataclass(frozen=True)
class Verdict:
    """What the seeds say about a claim: means of both figures, the signed difference, its interval, and the word."""

    claim: Claim
    a: float
    b: float
    difference: float
    low: float
    high: float
    word: str


def claims(plan: Plan, layers: Sequence[str], form: str) -> list[Claim]:
    """All claims about SAM in one form of the network, "float" or "8 bits"."""
    low, high = min(plan.leaks), max(plan.leaks)
    found = [
        Claim(
            "Table 1", "a high leak is more accurate", f"accuracy/leak {high:g} {form}", f"accuracy/leak {low:g} {form}"
        ),
        Claim("Fig. 9", "SNN more accurate under FGSM 4/255", f"accuracy/surrogate {form} 4", "accuracy/ANN 4"),
        Claim("Fig. 9", "SNN loses a smaller share of its accuracy", f"lost/surrogate {form}", "lost/ANN", -1),
        Claim("Fig. 9", "SAM moves less than Grad-CAM at 4/255", f"map/SAM {form}", "map/Grad-CAM of the ANN", -1),
    ]
    for layer in layers:
        found += [
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
                "Fig. 6a", f"{layer}: (ours) SAM has more mass in the mask than the spike count",
                f"{layer}/mask/surrogate {form}", f"{layer}/mask/spikes",
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
                    "Fig. 8", f"{layer}: gamma {gamma} is worse than 0.5",
                    f"{layer}/gamma {gamma} {form}", f"{layer}/gamma 0.5 {form}",
                )
                for gamma in (0, 1)
            ),
            Claim(
                "Fig. 10", f"{layer}: late maps settle on the predicted item",
                f"{layer}/last {form}", f"{layer}/first {form}",
            ),
        ]  # fmt: skip
    found.append(Claim("Deletion", "(ours) SAM ranks better than random", f"SAM {form}", "random", -1))
    found.append(Claim("Deletion", "(ours) SAM ranks better than the input", f"SAM {form}", "input", -1))
    return found


def judge(claim: Claim, seeds: Sequence[Mapping[str, Mapping[str, float]]]) -> Verdict:
    """What the figures of several seeds say; "open" where a figure is missing, or there is one seed only.

    Parameters
    ----------
    claim : Claim
    seeds : sequence of mappings
        For each seed: experiment, then name, to figure.
    """
    known = [s[claim.experiment] for s in seeds if {claim.a, claim.b} <= s.get(claim.experiment, {}).keys()]
    if not known:
        nan = math.nan
        return Verdict(claim, nan, nan, nan, nan, nan, "open")
    a, b = (statistics.fmean(figures[name] for figures in known) for name in (claim.a, claim.b))
    differences = [claim.sign * (figures[claim.a] - figures[claim.b]) for figures in known]
    mean, count = statistics.fmean(differences), len(differences)
    if count < 2:
        return Verdict(claim, a, b, mean, -math.inf, math.inf, "open")
    reach = STUDENT[min(count - 1, len(STUDENT)) - 1] * statistics.stdev(differences) / math.sqrt(count)
    low, high = mean - reach, mean + reach
    return Verdict(claim, a, b, mean, low, high, "holds" if low > 0 else "fails" if high < 0 else "open")
