"""Input of a network: held-out images of a data set, encoded as in training, or events from a file."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from neurosam.backends.registry import check
from neurosam.cli.sample_count import report_fewer
from neurosam.data import ImageSet, cluttered, load_held_out, load_training
from neurosam.data.sources import has_name
from neurosam.errors import DataError, EventError
from neurosam.formats.events.numpy_files import numpy_file
from neurosam.signals.events import CODINGS, Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.network.network import Network

__all__ = [
    "CLUTTERED",
    "DATA_HELP",
    "Calibrate",
    "Calibration",
    "Coding",
    "Data",
    "Dtype",
    "EventsFile",
    "Seed",
    "Size",
    "Steps",
    "data_of",
    "data_option",
    "events_in",
    "first_of",
    "held_out",
    "pictures",
    "presented",
    "read_events",
    "stimulus_of",
    "training_events",
    "training_name",
    "training_set",
    "with_changes",
]

DATA_HELP = (
    "mnist5k, fashion, or a folder (IDX files, or one sub-folder per class, also under train and test or val, as in "
    "Tiny-ImageNet); prefix it with cluttered- to place its images on cluttered canvases with exact masks."
)
EVENTS_HELP = "Spikes instead of images: .h5, .npz, or .npy with a dense array (time, sample, C, H, W)."
Data = Annotated[
    str | None,
    typer.Option("--data", help=DATA_HELP + " Default: the data set it was trained on, by name.", show_default=False),
]
EventsFile = Annotated[Path | None, typer.Option("--events", help=EVENTS_HELP, show_default=False)]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps per sample. Default: as trained.", show_default=False)
]
Coding = Annotated[
    str | None,
    typer.Option("--coding", help="poisson, latency or direct. Default: as trained.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the input spikes.")]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", min=1, max=4096, show_default=False,
        help="Crop the images of a folder to a centred square and resize it to this side. Default: as trained; "
        "without a size in training, images are left as they are.",
    ),
]  # fmt: skip

Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration", show_default=False,
        help="Typical input events (.h5, or .npy) used to choose scales. Default: training images, if the network "
        "names its data.",
    ),
]  # fmt: skip
Calibrate = Annotated[int, typer.Option("--calibrate", min=0, help="Samples used to choose scales; 0: none.")]
Dtype = Annotated[
    Literal["float64", "float32"],
    typer.Option("--dtype", help="Precision of a float network's sums and states; fixed point is exact in both."),
]

CLUTTERED = "cluttered-"
CANVASES = 2
"""Canvases per training image of cluttered data: images are few, but they can be placed anywhere."""


def training_set(name: str, seed: int, size: int | None = None) -> ImageSet:
    """Load the training part of a data set (see neurosam.data.divide), on canvases if the data is cluttered."""
    train = load_training(_items(name), seed=seed, size=size)
    return cluttered(train, seed=2 * seed, indices=range(CANVASES * len(train))) if _is_cluttered(name) else train


def held_out(name: str, seed: int, size: int | None = None) -> ImageSet:
    """Load the part of a data set that training leaves out; no image is on canvases of both parts."""
    test = load_held_out(_items(name), seed=seed, size=size)
    return cluttered(test, seed=2 * seed + 1) if _is_cluttered(name) else test


def _is_cluttered(name: str) -> bool:
    return name.startswith(CLUTTERED) and (has_name(name) or not Path(name).is_dir())


def _items(name: str) -> str:
    """Return the name of the data set that provides the images, without the prefix "cluttered-"."""
    return name.removeprefix(CLUTTERED) if _is_cluttered(name) else name


def data_of(stimulus: Stimulus, data: str | None) -> str:
    """The name of the data to load: `data`, which the user gave, or that of the training if it is the name of a set.

    Who wrote a file does not decide which path of this machine is opened, so a path in it is only shown.

    Raises
    ------
    DataError
        If nothing is given, and the training data is not known, or a path.
    """
    if data:
        return data
    if not stimulus.data:
        raise DataError(
            "--data",
            f"is needed, because the network does not name its training data: {DATA_HELP} "
            "Or give your own input with --events.",
        )
    if not has_name(stimulus.data):
        raise DataError("--data", f"is needed: the file says that it was trained on {stimulus.data!r}, and a path in a "
                        f"file is opened only if you name it:{data_option(stimulus.data)}")  # fmt: skip
    return stimulus.data


def data_option(name: str) -> str:
    """What a command that follows needs to find the same data: nothing for the name of a data set."""
    return "" if not name or has_name(name) else f" --data {shlex.quote(name)}"


def stimulus_of(network: Network, steps: int | None, coding: str | None) -> Stimulus:
    """Return the stimulus that a network was trained with, with the user's changes."""
    stimulus = Stimulus.from_metadata(network.metadata)
    if stimulus.magnitude > 1 and coding not in (None, stimulus.coding):
        raise EventError("--coding", f"got {coding!r}; this network takes an intensity of 1 as an event of "
                         f"{stimulus.magnitude}, which only direct gives")  # fmt: skip
    return with_changes(stimulus, steps, coding)


def with_changes(stimulus: Stimulus, steps: int | None, coding: str | None) -> Stimulus:
    """Return a stimulus with other steps or another coding."""
    if coding is not None and coding != stimulus.coding:
        if coding not in CODINGS:
            raise EventError("--coding", f"got {coding!r}; allowed: {', '.join(CODINGS)}")
        if coding == "poisson_signed":
            raise EventError("--coding", f"poisson_signed needs the mean and std measured in training; this network "
                             f"was trained with {stimulus.coding!r}")  # fmt: skip
        stimulus = replace(stimulus, coding=coding, mean=(), std=())
    return stimulus if steps is None else replace(stimulus, steps=steps)


def presented(
    network: Network,
    data: str | None,
    samples: int,
    seed: int,
    steps: int | None,
    coding: str | None = None,
    size: int | None = None,
) -> tuple[Events, ImageSet]:
    """Load the first `samples` held-out images for a network, and encode them as events.

    Arguments that are None are as in training; so is the image size, if the data set is the one of the training.

    Raises
    ------
    DataError
        If `data` is None and the network names no data set, or the images do not fit its input.
    """
    stimulus, fitting, images = pictures(network, data, samples, steps, coding, size)
    return stimulus.encode(fitting, seed), images


def pictures(
    network: Network,
    data: str | None,
    samples: int,
    steps: int | None,
    coding: str | None = None,
    size: int | None = None,
) -> tuple[Stimulus, Any, ImageSet]:
    """The stimulus, the images in the shape of the network's input, and their set; as :func:`presented`, unencoded."""
    stimulus = stimulus_of(network, steps, coding)
    name = data_of(stimulus, data)
    if size is None and name == stimulus.data:
        size = stimulus.size
    if len(network.inputs) > 1:
        names = [p.name for p in network.inputs]
        each = " ".join(f"--events {name}=FILE" for name in names)
        raise DataError(
            name, f"gives images for one input; the network has {', '.join(names)}. Give events: neurosam run {each}"
        )
    images = first_of(held_out(name, split_seed(network), size), samples)
    return stimulus, _fitting(images, name, network), images


def first_of(images: ImageSet, samples: int) -> ImageSet:
    """The first images of a held-out part; if the user asked for more than there are, say so."""
    report_fewer(len(images), samples, f"held-out samples of {images.name}")
    return images.subset(np.arange(min(samples, len(images))))


def training_name(network: Network, data: str | None) -> str | None:
    """Return the name of the data to use: `data`, or that of the training; None if that is not known, or a path."""
    name = Stimulus.from_metadata(network.metadata).data
    return data or (name if has_name(name) else None)


def training_events(
    network: Network, name: str, samples: int, seed: int, steps: int | None, size: int | None, first: int = 0
) -> Events:
    """Encode training images of a data set for a network, from number `first` on (from 0 if there are not as many)."""
    stimulus = stimulus_of(network, steps, None)
    if size is None and name == stimulus.data:
        size = stimulus.size
    images = training_set(name, split_seed(network), size)
    first = first if first < len(images) else 0
    chosen = images.subset(np.arange(first, min(first + samples, len(images))))
    return stimulus.encode(_fitting(chosen, name, network), seed, first)


def _fitting(images: ImageSet, name: str, network: Network) -> Any:
    """Return the images in the shape of a network's input."""
    shape = network.input.shape
    if shape == (int(np.prod(images.shape)),):
        return images.images.reshape(len(images), -1)
    if shape != images.shape:
        raise DataError(
            name, f"has images {images.shape}; the network's input {network.input.name!r} is {shape}. Give other "
            "--data, or the --size of the input if they are images in a folder",
        )  # fmt: skip
    return images.images


def split_seed(network: Network) -> int:
    """Return the seed with which a network's training data was split."""
    text = network.metadata.get("seed", "0")
    if not (text.isascii() and text.isdecimal()):
        raise DataError("metadata 'seed'", f"of the network is {text!r}, not an integer >= 0; export it again")
    return int(text)


def read_events(path: Path, network: Network) -> Events:
    """Read events for a network from HDF5 (neurosam.save) or a dense array in .npy.

    Raises
    ------
    NeurosamError
        If the file is neither, or its events do not fit the network; the message names the file.
    """
    events = events_in(path)
    if not events.samples:
        raise EventError(str(path), "holds no samples; at least 1 is required")
    try:
        inputs = Inputs.of(network, events)
        check(network, inputs, Record())
    except EventError as error:
        raise EventError(f"{path}: {error.where}", error.problem) from None
    return inputs[network.input.name]


def events_in(path: Path) -> Events | Inputs:
    """Read events of one input, or of several, from HDF5 (neurosam.save), .npz of spikes, or a dense array in .npy."""
    if path.suffix.lower() not in (".npy", ".npz"):
        return _sparse(path)
    held = numpy_file(path)
    if not isinstance(held, Events):
        raise EventError(str(path), f"is a recording of a camera; give it as it is: neurosam run NET {path}")
    return held


def _sparse(path: Path) -> Events | Inputs:
    from neurosam.hdf5.files import file_kind, load

    kind = file_kind(path)
    held = load(path) if kind in ("events", "inputs") else None
    if not isinstance(held, (Events, Inputs)):
        raise EventError(str(path), f"holds a {kind}; events are required (neurosam.save), or a .npy")
    return held
