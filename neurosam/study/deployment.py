"""Items as they are, without canvases: a VGG-style net as the paper trains it, its ANN and its conversion, deployed.

For each data set: accuracy of the ANN; of the net trained with surrogate gradients and of the converted ANN, in torch
and at 8 bits on the event back end, after each step; and of how many values of a run at 8 bits the reference and the
event back end were compared, and how many differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam.attribution.method import evaluating, prepared
from neurosam.backends import run
from neurosam.equivalence import verify
from neurosam.errors import DataError
from neurosam.events import Events
from neurosam.recording import Record
from neurosam.study.found import Found
from neurosam.study.localising import most_frequent
from neurosam.study.maps import AT_ONCE, nets
from neurosam.study.models import FORMS, Models, Spiking
from neurosam.study.plan import DEPLOYED
from neurosam.training import evaluate

__all__ = ["deployment"]

VERIFIED = 200 * 10
"""Pictures times steps of a run on which back ends are compared."""


def deployment(models: Models) -> Found:
    """All of the above, by data set; one that is not installed is left out with a note."""
    figures: dict[str, float] = {}
    courses: dict[str, list[float]] = {}
    notes = []
    for data in models.plan.deployed:
        shown = models.beside(DEPLOYED[data])
        try:
            test = shown.test
        except DataError as error:
            notes.append(f"{data} is left out: {error}")
            continue
        found = {"accuracy/ANN": evaluate(shown.ann, test, steps=1, coding="direct", seed=shown.seed)}
        found["accuracy/most frequent class"] = most_frequent(shown)
        for name, net in nets(shown).items():
            for form in FORMS:
                course = _course(shown, net, form)
                courses[f"{data}/{name} {form}"] = course
                found[f"accuracy/{name} {form}"] = course[-1]
                if net.steps > shown.plan.steps:
                    found[f"accuracy/{name} after {shown.plan.steps} steps {form}"] = course[shown.plan.steps - 1]
            events = net.encode(test.images[: max(1, VERIFIED // net.steps)], shown.seed)
            total = verify(net.fixed, events)["event"].total
            found[f"compared/{name} {FORMS[1]}"] = total.compared
            found[f"differ/{name} {FORMS[1]}"] = total.mismatches
        figures |= {f"{data}/{name}": value for name, value in found.items()}
    return Found(figures, courses, notes=tuple(notes))


def _course(models: Models, net: Spiking, form: str) -> list[float]:
    """Accuracy after each step, by the readout's membrane: in torch the sum of what has entered the readout."""
    events = net.encode(models.test.images, models.seed)
    if form == FORMS[1]:
        out = net.fixed.output or ""
        membrane: npt.NDArray[Any] = run(net.fixed, events, record=Record(membrane=(out,))).membrane[out]
    else:
        membrane = _entered(net, events).cumsum(axis=0)
    said = membrane.reshape(*membrane.shape[:2], -1).argmax(axis=2)
    return [float(share) for share in (said == models.test.labels).mean(axis=1)]


def _entered(net: Spiking, events: Events) -> npt.NDArray[Any]:
    """Weighted input of the module's readout in each step, ``[T, B, classes]``; it neither leaks nor fires."""
    last = [name for name, part in net.module.named_children() if isinstance(part, nn.Linear)][-1]
    parts = []
    for first in range(0, events.samples, AT_ONCE):
        x = prepared("study", net.module, events.select(first, first + AT_ONCE).dense())
        with evaluating(net.module), torch.no_grad():
            parts.append(net.module.activations(x, (last,))[1][last].double().cpu().numpy())
    return np.concatenate(parts, axis=1)
