"""What is judged: one statement for each claim of the paper, and ours, written down before the study is run.

A statement says that a group of figures exceeds another, on average over the group (its layers and nets), by an amount
that is worth speaking of: its smallest effect of interest, delta. The difference is taken picture by picture in every
seed, and judged by inference.py: *holds*, *fails*, *equivalent* or *open*. The paper's statements of a form of the
network are corrected together (Holm), and so are ours, so that what we ask besides does not weaken the paper's.

Deltas: 2 points for accuracy and for shares of mass, 0.02 for areas under deletion and insertion curves (which lie in
0..1), 0.05 nats for the localisation error (the paper's own differences are 0.01 to 0.3), 0.05 for correlations and for
distances of maps (0.02 above a bound that is close to 1), 10 % of a step's spikes for activity, and a tenth of the
variance of noise for the variance of maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosam_study.behaviour import ATTACK
from neurosam_study.inference import Judgement, estimate, judge
from neurosam_study.judging import figure
from neurosam_study.maps import GAMMA
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.results import Result
from neurosam_study.sanity_checks import REDRAWN
from neurosam_study.weights import BOUND, HALF

__all__ = ["NOT_WORSE", "Statement", "Verdict", "judged", "statements"]

POINTS = 0.02
AREA = 0.02
NATS = 0.05
CORRELATION = 0.05
ACTIVITY = 0.1
VARIANCE = 0.01
ALIKE = 0.02
"""Smallest effects of interest, see above."""
NOT_WORSE = 0.0
"""That of a statement with a margin, which already says what loss is of no interest: it is never "equivalent"."""
PAPER, OURS = "paper", "ours"
COMPARED = (
    ("integrated gradients", "SAM", ("deletion", "insertion", "mass")),
    ("SAM", "spike count", ("deletion", "insertion")),
    ("class SAM", "SAM", ("deletion", "insertion", "mass")),
    ("SAM", "random", ("deletion", "insertion")),
)
"""Methods that are compared under all codings; SAM's mass against the spike count's stands under Fig. 6a."""


@dataclass(frozen=True)
class Statement:
    """``sign * (mean of figures a - mean of figures b) + margin``, expected above 0.

    Parameters
    ----------
    experiment : str
    text : str
        In our words.
    a, b : tuple of str
        Names of figures, as many in `a` as in `b`: they are subtracted pair by pair.
    delta : float
        Smallest effect of interest.
    sign : {1, -1}
    margin : float
        How much worse `a` may be, for statements that something is not worse.
    source : {"paper", "ours"}
    """

    experiment: str
    text: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    delta: float
    sign: int = 1
    margin: float = 0.0
    source: str = PAPER

    def __post_init__(self) -> None:
        if len(self.a) != len(self.b) or not self.a:
            raise ValueError(f"{self.text}: {len(self.a)} figures against {len(self.b)}")

    def differences(self, result: Result) -> npt.NDArray[np.float64]:
        """Of each picture of one seed (or one value, if a figure is one per seed); NaN where one is missing."""
        pairs = [result.of(a) - result.of(b) for a, b in zip(self.a, self.b, strict=True)]
        most = max(pair.size for pair in pairs)
        stacked = np.stack([np.broadcast_to(pair, most) for pair in pairs])
        present = ~np.isnan(stacked)
        count = present.sum(axis=0)
        mean = np.where(present, stacked, 0.0).sum(axis=0) / np.maximum(count, 1)
        return np.where(count > 0, self.sign * mean + self.margin, math.nan)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a statement, with the means of both sides over seeds and pictures."""

    statement: Statement
    a: float
    b: float
    judgement: Judgement
    by_seed: tuple[float, ...] = field(default=())

    @property
    def word(self) -> str:
        """One of inference.WORDS."""
        return self.judgement.word


def judged(statements: Sequence[Statement], seeds: Sequence[Mapping[str, Result]]) -> list[Verdict]:
    """Judge statements by the results of several seeds, those of a source together."""
    estimates, sides, courses = [], [], []
    for number, statement in enumerate(statements):
        results = [seed[statement.experiment] for seed in seeds if statement.experiment in seed]
        rows = [statement.differences(result) for result in results]
        crossed = len({row.size for row in rows}) == 1
        estimates.append(estimate(rows, crossed=crossed, seed=number))
        sides.append([_mean([r.figures.get(n, math.nan) for r in results for n in names])
                      for names in (statement.a, statement.b)])  # fmt: skip
        courses.append(tuple(_mean(row.tolist()) for row in rows))
    judgements: dict[int, Judgement] = {}
    for source in (PAPER, OURS):
        family = [number for number, statement in enumerate(statements) if statement.source == source]
        found = judge([estimates[number] for number in family], [statements[number].delta for number in family])
        judgements |= dict(zip(family, found, strict=True))
    return [
        Verdict(statement, a, b, judgements[number], course)
        for number, (statement, (a, b), course) in enumerate(zip(statements, sides, courses, strict=True))
    ]


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan


def statements(plan: Plan, layers: Sequence[str], form: str) -> list[Statement]:
    """All statements for one form of the network, "float" or "8 bits"."""
    return [*_of_the_paper(plan, layers, form), *_ours(plan, layers, form)]


def _of_the_paper(plan: Plan, layers: Sequence[str], form: str) -> list[Statement]:
    low, high = min(plan.leaks), max(plan.leaks)
    nets = ("surrogate", "conversion")

    def each(pattern: str, **parts: str) -> tuple[str, ...]:
        return tuple(pattern.format(layer=layer, net=net, form=form, **parts) for layer in layers for net in nets)

    def of_layers(pattern: str) -> tuple[str, ...]:
        return tuple(pattern.format(layer=layer, form=form) for layer in layers)

    found = [
        Statement(
            "Fig. 3", "SAM varies more over the picture than SNN-Grad-CAM (scale-free variance)",
            each("{net}/{layer}/SAM {form}"), each("{net}/{layer}/Grad-CAM"), VARIANCE,
        ),
        Statement(
            "Fig. 6a", "SAM of the surrogate net is closer to Grad-CAM of independent ANNs than that of the conversion",
            of_layers("{layer}/surrogate {form}"), of_layers("{layer}/conversion {form}"), NATS, -1,
        ),
        Statement(
            "Fig. 6b", "the surrogate net's spikes fall towards the end, the conversion's do not",
            of_layers("{layer}/conversion {form} last"), of_layers("{layer}/surrogate {form} last"), ACTIVITY,
        ),
        Statement(
            "Table 1", f"a leak of {high:g} is closer to Grad-CAM than {low:g}",
            of_layers(f"{{layer}}/leak {high:g} {{form}}"), of_layers(f"{{layer}}/leak {low:g} {{form}}"), NATS, -1,
        ),
        Statement(
            "Table 1", f"a leak of {high:g} is more accurate than {low:g}",
            (f"accuracy/leak {high:g} {form}",), (f"accuracy/leak {low:g} {form}",), POINTS,
        ),
        *(
            Statement(
                "Fig. 8", f"{mode}: gamma {other:g} is further from Grad-CAM than {GAMMA:g}",
                each("{layer}/{net}/{mode}/gamma {gamma} {form}", mode=mode, gamma=f"{other:g}"),
                each("{layer}/{net}/{mode}/gamma {gamma} {form}", mode=mode, gamma=f"{GAMMA:g}"), NATS,
            )
            for mode in plan.modes
            for other in (0.0, 1.0)
        ),
        Statement(
            "Fig. 9", f"the SNN loses a smaller share of its accuracy than the ANN under FGSM of {ATTACK}/255",
            (f"lost/surrogate {form}",), ("lost/ANN",), POINTS, -1,
        ),
        Statement(
            "Fig. 9", f"SAM moves less than the ANN's Grad-CAM under the attack of {ATTACK}/255",
            (f"map/SAM {form}",), ("map/Grad-CAM of the ANN",), CORRELATION, -1,
        ),
        Statement(
            "Fig. 10", "late maps settle on the predicted item of two",
            of_layers("{layer}/last {form}"), of_layers("{layer}/first {form}"), POINTS,
        ),
    ]  # fmt: skip
    return found


def _ours(plan: Plan, layers: Sequence[str], form: str) -> list[Statement]:
    def of_layers(pattern: str) -> tuple[str, ...]:
        return tuple(pattern.format(layer=layer, form=form) for layer in layers)

    found = [
        Statement(
            "Accuracy", "the surrogate net is at most 2 points below the ANN",
            (f"surrogate {form}",), ("ANN",), NOT_WORSE, margin=POINTS, source=OURS,
        ),
        Statement(
            "Fig. 6a", "SAM has more mass in the mask than its layer's spike count",
            of_layers("{layer}/mask/surrogate {form}"), of_layers("{layer}/mask/spikes, surrogate {form}"), POINTS,
            source=OURS,
        ),
        Statement(
            "Fig. 6a", "SAM has more mass in the mask than the input",
            of_layers("{layer}/mask/surrogate {form}"), of_layers("{layer}/mask/input"), POINTS, source=OURS,
        ),
        Statement(
            "Fig. 6a", "SAM is closer to Grad-CAM than the best constant map",
            of_layers("{layer}/surrogate {form}"), of_layers("{layer}/best constant"), NATS, -1, source=OURS,
        ),
        Statement(
            "Fig. 9", "the attack moves SAM more than noise of the same size does",
            (f"map/SAM {form}",), (f"map/SAM, noise {form}",), CORRELATION, source=OURS,
        ),
        Statement(
            "Agreement", "trainings agree on SAM more than on the spike count",
            of_layers("{layer}/surrogate, SAM {form}"), of_layers("{layer}/surrogate, spike count {form}"), CORRELATION,
            source=OURS,
        ),
        Statement(
            "Sanity", "shuffling all weights changes SAM more than drawing the input's spikes anew does",
            (f"down to conv1_conv/SAM {form}",), (f"{REDRAWN}/SAM {form}",), CORRELATION, -1, source=OURS,
        ),
        Statement(
            "Weights", f"when rounded weights cost half the accuracy, SAM correlates above {BOUND} with the float map",
            of_layers(f"{{layer}}/correlation/{HALF} {{form}}"), of_layers("bound"), ALIKE, source=OURS,
        ),
        *_of_methods(plan, form),
    ]  # fmt: skip
    for data, deployed in plan.deployments.items():
        surrogate = f"{data}/accuracy/surrogate"
        found.append(
            Statement(
                "Deployment", f"{data}: 8 bits cost the surrogate net at most 2 points",
                (f"{surrogate} {FORMS[1]}",), (f"{surrogate} {FORMS[0]}",), NOT_WORSE, margin=POINTS, source=OURS,
            )
        )  # fmt: skip
        found.append(
            Statement(
                "Deployment", f"{data}: more accurate than the conversion in as many steps", (f"{surrogate} {form}",),
                (f"{data}/accuracy/conversion after {deployed.steps} steps {form}",), POINTS, source=OURS,
            )
        )  # fmt: skip
    return found


def _of_methods(plan: Plan, form: str) -> list[Statement]:
    """Which method is better than which, over all codings; a statement about one that the plan leaves out is none."""
    found = []
    for method, other, metrics in COMPARED:
        if {method, other} <= set(plan.methods):
            for metric in metrics:
                a, b = ([figure(coding, "pixel", metric, name, form) for coding in plan.judged_codings]
                        for name in (method, other))  # fmt: skip
                sign, delta = (-1 if metric == "deletion" else 1), (POINTS if metric == "mass" else AREA)
                text = f"{metric}: {method} beats {other}"
                found.append(Statement("Methods", text, tuple(a), tuple(b), delta, sign, source=OURS))
    return found
