"""What ``neurosam explain`` shows beside its maps: held-out images with labels, or pictures of the events of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam.cli.event_files import read_inputs
from neurosam.cli.inputs import presented
from neurosam.cli.labels import labels_of
from neurosam.cli.sample_count import report_fewer
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam.signals.stimulus import Stimulus

__all__ = ["Shown", "shown_events", "shown_images"]


@dataclass(frozen=True)
class Shown:
    """The input of a run, and what is known of it.

    Attributes
    ----------
    inputs : Inputs
    images : (B, C, H, W) uint8 array
    labels : (B,) int array, or None
    masks : (B, H, W) bool array, or None
    classes : sequence of str
    source : str
        Of the images: the name of a data set, or of the files of events.
    """

    inputs: Inputs
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    masks: npt.NDArray[np.bool_] | None
    classes: Sequence[str]
    source: str


def shown_images(
    network: Network, data: str | None, samples: int, seed: int, steps: int | None, coding: str | None, size: int | None
) -> Shown:
    """Held-out images; arguments as of :func:`neurosam.cli.inputs.presented`."""
    events, found = presented(network, data, samples, seed, steps, coding, size)
    return Shown(Inputs.of(network, events), found.images, found.labels, found.masks, found.classes, found.name)


def shown_events(network: Network, files: Sequence[str], labels: Path | None, samples: int) -> Shown:
    """The first samples of files of events; the picture of a sample has the sum of its events.

    Raises
    ------
    NeurosamError
        If events or labels do not fit the network.
    """
    from neurosam.report.film import coloured

    whole = read_inputs(files, network)
    report_fewer(whole.samples, samples, "samples in the events")
    inputs = whole.select(0, min(samples, whole.samples))
    name = next((p.name for p in network.inputs if len(p.shape) == 3), network.input.name)
    events = inputs[name]
    size = neurons(events.shape)
    place = events.sample.astype(np.int64) * size + events.neuron
    total = np.bincount(place, events.value, minlength=inputs.samples * size).astype(np.float32)
    shape = events.shape if len(events.shape) == 3 else (1, 1, size)
    images = np.concatenate([coloured(one[None]) for one in total.reshape(inputs.samples, *shape)])
    classes = Stimulus.from_metadata(network.metadata).classes
    return Shown(
        inputs, images, labels_of(labels, files, inputs.samples, network), None, classes,
        ", ".join(Path(file.partition("=")[2] or file).name for file in files),
    )  # fmt: skip
