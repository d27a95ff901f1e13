"""What several commands share: the console, a progress bar, and finding the images or events to run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from neurosam.data import ImageSet, load
from neurosam.errors import DataError, EventError
from neurosam.events import Events
from neurosam.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.network import Network

__all__ = ["DATA_HELP", "console", "image_set", "presented", "progress", "read_events", "stimulus_of"]

console = Console()

DATA_HELP = "mnist5k, fashion, cluttered-mnist5k, cluttered-fashion, or a folder (IDX files, or a sub-folder a class)."


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as a callback (done, total); silent when the output is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def image_set(name: str, seed: int, part: str | None = None) -> ImageSet:
    """Load a data set by name or folder; `seed` places the items of a cluttered one."""
    if name.startswith("cluttered-"):
        return load(name, seed=seed, part=part)
    return load(name, part=part)


def stimulus_of(network: Network, steps: int | None, coding: str | None) -> Stimulus:
    """The stimulus a network was trained with, with the user's changes."""
    stimulus = Stimulus.from_metadata(network.metadata)
    if coding is not None and coding != stimulus.coding:
        stimulus = replace(stimulus, coding=coding, mean=(), std=())
    return stimulus if steps is None else replace(stimulus, steps=steps)


def presented(
    network: Network, data: str | None, samples: int, seed: int, steps: int | None, coding: str | None
) -> tuple[Events, ImageSet]:
    """Held-out images for a network, and their events.

    A data set by name is split as in training (4 parts of 5 to train, by the same seed), and the held-out part is used.
    """
    stimulus = stimulus_of(network, steps, coding)
    name = data or stimulus.data
    if not name:
        raise DataError("--data", f"is needed: the network does not say what it was trained on. Give {DATA_HELP}")
    images = held_out(name, int(network.metadata.get("seed", "0")))
    if samples < 1:
        raise DataError("--samples", f"got {samples}; at least 1 is required")
    images = images.subset(np.arange(min(samples, len(images))))
    if images.images.shape[1:] != network.input.shape:
        raise DataError(
            name,
            f"has images {images.images.shape[1:]}; input {network.input.name!r} is {network.input.shape}",
        )
    return stimulus.encode(images.images, seed), images


def held_out(name: str, seed: int) -> ImageSet:
    """The part of a data set that training leaves out."""
    return train_and_test(name, seed)[1]


def train_and_test(name: str, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test set: the parts that the source has, else 4 to 1 by `seed`; canvases never share an item."""
    from neurosam.data import cluttered

    plain = name.removeprefix("cluttered-")
    if plain == "fashion" or (plain != "mnist5k" and _has_parts(plain)):
        train, test = load(plain, part="train"), load(plain, part="test")
    else:
        everything = load(plain)
        count = len(everything)
        train, test = everything.split(count - count // 5, count // 5, seed=seed)
    if plain == name:
        return train, test
    return cluttered(train, seed=2 * seed), cluttered(test, seed=2 * seed + 1)


def _has_parts(name: str) -> bool:
    from neurosam.data.idx import is_idx_folder

    return Path(name).is_dir() and (is_idx_folder(Path(name)) or (Path(name) / "train").is_dir())


def read_events(path: Path, network: Network) -> Events:
    """Events from HDF5 (Events saved by neurosam) or a dense array [T, B, ...] in .npy."""
    if path.suffix == ".npy":
        try:
            dense = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise EventError(str(path), f"is no readable .npy array: {error}") from None
        return Events.from_dense(dense)
    from neurosam.hdf5 import load_events

    return load_events(path)


def require_new(path: Path, force: bool) -> None:
    """Refuse to overwrite a file unless told so."""
    if path.exists() and not force:
        raise DataError(str(path), "exists already; give another path, or --force")
    if not path.parent.is_dir():
        raise DataError(str(path.parent), "is no folder; create it first")
