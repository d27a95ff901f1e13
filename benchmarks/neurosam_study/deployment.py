"""Deployment on images without canvases, or on recordings: VGG-style nets trained as in the paper, ANN and conversions.

For each data set: the accuracy of the ANN; the accuracy after each step of the net trained with surrogate gradients and
of the converted ANN, in torch and at 8 bits on the event back end; and the number of values of an 8-bit run that were
compared between the reference and the event back end, and how many differ.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from neurosam.attribution.method import evaluating, prepared
from neurosam.backends import run
from neurosam.equivalence.comparison import verify
from neurosam.errors import DataError
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam.signals.recording import Record
from neurosam_study.behaviour import of_ann
from neurosam_study.localisation import most_frequent
from neurosam_study.maps import AT_ONCE, Array, every_net
from neurosam_study.models import FORMS, Models, Spiking
from neurosam_study.results import Result

__all__ = ["deployment"]

VERIFIED = 200
"""Held-out images on which back ends are compared; fewer for longer runs, so that the total of steps is the same."""


def deployment(models: Models) -> Result:
    """Measure all of the above for each data set; a data set that is not installed is left out with a note."""
    figures: dict[str, float] = {}
    values: dict[str, Array] = {}
    courses: dict[str, list[float]] = {}
    notes = []
    for data, plan in models.plan.deployments.items():
        deployed = models if plan is models.plan else models.with_plan(plan)
        try:
            deployed.check()
        except DataError as error:
            notes.append(f"{data} is left out: {error}")
            continue
        test, surrogate_steps = deployed.test, deployed.plan.steps
        if not plan.recordings:
            values[f"{data}/accuracy/ANN"] = of_ann(deployed.ann, test)
        figures[f"{data}/accuracy/most frequent class"] = most_frequent(deployed)
        for name, net in every_net(deployed).items():
            for form in FORMS:
                hits = _hits(deployed, net, form)
                courses[f"{data}/{name} {form}"] = hits.mean(axis=1).tolist()
                values[f"{data}/accuracy/{name} {form}"] = hits[-1]
                if net.steps > surrogate_steps:
                    values[f"{data}/accuracy/{name} after {surrogate_steps} steps {form}"] = hits[surrogate_steps - 1]
            events = net.encode(test.images[: VERIFIED * surrogate_steps // net.steps], deployed.seed)
            total = verify(net.fixed, events)["event"].total
            figures[f"{data}/compared/{name} {FORMS[1]}"] = total.compared
            figures[f"{data}/differ/{name} {FORMS[1]}"] = total.mismatches
    return Result(figures, courses, notes=tuple(notes), values=values)


def _hits(models: Models, net: Spiking, form: str) -> Array:
    """Whether each image is classified correctly after each step, 1 or 0, ``[T, P]``."""
    images, labels = models.test.images, models.test.labels
    parts = []
    for first in range(0, len(images), AT_ONCE):
        batch = slice(first, first + AT_ONCE)
        events = net.encode(images[batch], models.seed, first)
        parts.append(_predictions(net, form, events) == labels[batch])
    return np.concatenate(parts, axis=1).astype(np.float64)


def _predictions(net: Spiking, form: str, events: Events) -> npt.NDArray[np.int64]:
    """Predicted class after each step, ``[T, B]``."""
    if form == FORMS[1]:
        out = net.fixed.output
        membrane = run(net.fixed, events, record=Record(membrane=(out,))).membrane[out]
        return predicted(membrane.reshape(*membrane.shape[:2], -1))
    before = list(dict(net.module.named_children()))[-2]
    with evaluating(net.module), torch.no_grad():
        scores = net.module.activations(prepared("study", net.module, events.dense()), (before,))[1][before]
    return predicted(scores.cumsum(dim=0).cpu().numpy())
