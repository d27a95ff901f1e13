"""Recordings of an event camera, where the input is spikes from the start: the same methods, by pixels and by spikes.

A recording becomes T windows of equal length, with one spike for each pixel and polarity that has events in a window.
Training takes pictures, so the windows travel as channels ``[N, T * 2, H, W]``, bytes 0 and 255, in a single step of
direct coding, which makes them 0 and 1 again; :class:`Unfolded` gives them to the net as steps.

There are no masks, no draws and no pixels that change a little: only deletion, insertion and sparseness are measured.

Data: N-MNIST (Orchard et al. 2015), see :mod:`neurosam.data.event_camera`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from neurosam import training
from neurosam.data import ImageSet, RecordingSet, load_recordings
from neurosam.formats.events import EventRules
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam_study.judging import applicable, judged_maps, perturbed, properties
from neurosam_study.localisation import EXAMPLES
from neurosam_study.maps import Array, stored
from neurosam_study.methods import Case
from neurosam_study.models import AT_ONCE, CALIBRATION, FORMS, Models, Spiking, deployed
from neurosam_study.results import Result

__all__ = ["DATA", "SHAPE", "Unfolded", "judge_recordings", "windows"]

DATA = "events"
"""The name of recordings in figures."""
SHAPE = (2, 34, 34)
"""Of N-MNIST."""
ARCHITECTURE, LAYER = "16C5S2-32C3-P2-32C3-P2", "conv2"
EPOCHS = 4
"""Passes over the recordings, of which there are few, for each epoch of the plan."""
ABSENT = "Left out: no recordings of an event camera were given (--recordings FOLDER, such as N-MNIST)."


class Unfolded(nn.Module):
    """A spiking net that takes its steps as channels: ``[1, B, T * C, H, W]`` to logits ``[B, K]``."""

    def __init__(self, module: nn.Module, steps: int) -> None:
        super().__init__()
        self.module, self.steps = module, steps

    def forward(self, x: Tensor) -> Tensor:
        """Unfold, and run."""
        _, samples, channels, height, width = x.shape
        unfolded = x[0].reshape(samples, self.steps, channels // self.steps, height, width)
        logits: Tensor = self.module(unfolded.transpose(0, 1))
        return logits


def windows(recordings: RecordingSet, steps: int, count: int | None) -> ImageSet:
    """The first recordings, with their windows as channels."""
    chosen = range(min(len(recordings), len(recordings) if count is None else count))
    rules = EventRules(steps=steps, coincident="clip")
    parts = []
    for first in chosen[::AT_ONCE]:
        dense = recordings.events(SHAPE, rules, range(first, min(first + AT_ONCE, len(chosen)))).dense()
        spikes = np.moveaxis(dense != 0, 0, 1)  # [B, T, C, H, W]
        parts.append(spikes.reshape(len(spikes), -1, *SHAPE[1:]).astype(np.uint8) * np.uint8(255))
    labels = recordings.labels[: len(chosen)]
    return ImageSet(np.concatenate(parts), labels, None, recordings.classes, recordings.name)


def judge_recordings(models: Models) -> Result:
    """Train a net on the recordings of the plan's folder, and judge every method on the first held-out ones."""
    plan = models.plan
    if not plan.recordings:
        return Result(notes=(ABSENT,))
    train, test = (
        windows(load_recordings(plan.recordings, part), plan.steps, count)
        for part, count in (("train", plan.train), ("test", plan.test))
    )
    net = _trained(models, train, test)
    x = _unfolded(test.images, plan.steps)
    values: dict[str, Array] = {f"{DATA}/accuracy {form}": _hits(net, form, x, test.labels) for form in FORMS}
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    count = min(plan.judged, len(test))
    case = Case(net, plan, LAYER, x[:, :count], test.labels[:count], models.seed)
    for name in applicable(case):
        for form, (found, own) in judged_maps(case, name).items():
            values |= perturbed(case, DATA, name, form, found)
            if own:
                values |= properties(DATA, name, form, found, None)
                arrays[f"{DATA}/{name} {form}"] = stored(found[:EXAMPLES])
    return Result(arrays=arrays, values=values)


def _trained(models: Models, train: ImageSet, test: ImageSet) -> Spiking:
    plan, description = models.plan, f"{ARCHITECTURE}-D{len(train.classes)}"
    module = training.build(description, SHAPE, leak=plan.leak, bntt=plan.steps, seed=models.seed)
    unfolded = Unfolded(module, plan.steps)
    models.fit("recordings", unfolded, steps=1, coding="direct", epochs=EPOCHS * plan.epochs, sets=(train, test))
    return deployed(module, Events.from_dense(_unfolded(train.images[:CALIBRATION], plan.steps)))


def _unfolded(images: npt.NDArray[np.uint8], steps: int) -> npt.NDArray[np.uint8]:
    """Channels back to steps of spikes, ``[T, N, C, H, W]``."""
    return np.ascontiguousarray(np.moveaxis(images.reshape(len(images), steps, *SHAPE) // 255, 1, 0))


def _hits(net: Spiking, form: str, x: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Array:
    predict = net.predictor(form)
    scores = [predict(x[:, first : first + AT_ONCE]) for first in range(0, len(labels), AT_ONCE)]
    return np.asarray(predicted(np.concatenate(scores)) == labels, dtype=np.float64)
