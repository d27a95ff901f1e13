"""Items as they are, without canvases: a VGG-style net as the paper trains it, its ANN and its conversion, deployed.

For each data set: accuracy of the ANN; of the net trained with surrogate gradients and of the converted ANN after each
step, in torch and at 8 bits on the event back end; and of how many values of a run at 8 bits the reference and the
event back end were compared, and how many differ.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from neurosam.attribution.method import evaluating, prepared
from neurosam.backends import run
from neurosam.equivalence.comparison import verify
from neurosam.errors import DataError
from neurosam.signals.events import Events, encode
from neurosam.signals.recording import Record
from neurosam.training import evaluate
from neurosam_study.localisation import most_frequent
from neurosam_study.maps import AT_ONCE, nets
from neurosam_study.models import FORMS, Models, Spiking
from neurosam_study.plan import DEPLOYED
from neurosam_study.results import Found

__all__ = ["deployment"]

VERIFIED = 200
"""Held-out pictures on which back ends are compared; of a longer run as many as give as many steps."""


def deployment(models: Models) -> Found:
    """All of the above, by data set; one that is not installed is left out with a note."""
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    notes = []
    for data in models.plan.deployed:
        shown = models.beside(DEPLOYED[data])
        try:
            shown.check()
        except DataError as error:
            notes.append(f"{data} is left out: {error}")
            continue
        test = shown.test
        found = {"accuracy/ANN": evaluate(shown.ann, test, steps=1, coding="direct", seed=shown.seed)}
        found["accuracy/most frequent class"] = most_frequent(shown)
        for name, net in nets(shown).items():
            for form in FORMS:
                course = _course(shown, net, form)
                courses[f"{data}/{name} {form}"] = course
                found[f"accuracy/{name} {form}"] = course[-1]
                if net.steps > shown.plan.steps:
                    found[f"accuracy/{name} after {shown.plan.steps} steps {form}"] = course[shown.plan.steps - 1]
            events = net.encode(test.images[: VERIFIED * shown.plan.steps // net.steps], shown.seed)
            total = verify(net.fixed, events)["event"].total
            found[f"compared/{name} {FORMS[1]}"] = total.compared
            found[f"differ/{name} {FORMS[1]}"] = total.mismatches
        figures |= {f"{data}/{name}": value for name, value in found.items()}
    return Found(figures, courses, notes=tuple(notes))


def _course(models: Models, net: Spiking, form: str) -> list[float]:
    """Accuracy after each step."""
    images, labels = models.test.images, models.test.labels
    hits = np.zeros(net.steps, dtype=np.int64)
    for first in range(0, len(images), AT_ONCE):
        chosen = slice(first, first + AT_ONCE)
        events = encode(images[chosen], net.steps, "poisson", models.seed, first)
        hits += (_said(net, form, events) == labels[chosen]).sum(axis=1)
    return [float(count / len(images)) for count in hits]


def _said(net: Spiking, form: str, events: Events) -> npt.NDArray[np.int64]:
    """The class of the largest output so far, ``[T, B]``."""
    if form == FORMS[1]:
        out = net.fixed.output or ""
        membrane = run(net.fixed, events, record=Record(membrane=(out,))).membrane[out]
        return np.asarray(membrane.reshape(*membrane.shape[:2], -1).argmax(axis=2))
    before = list(dict(net.module.named_children()))[-2]
    with evaluating(net.module), torch.no_grad():
        scores = net.module.activations(prepared("study", net.module, events.dense()), (before,))[1][before]
    return scores.cumsum(dim=0).argmax(dim=2).cpu().numpy()
