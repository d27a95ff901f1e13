"""What the files named on the command line hold: recordings of an event camera, spikes, or images.

A .npy is told by its shape: for an input (C, H, W), [T, B, C, H, W] is spikes, [B, C, H, W], [C, H, W], and for C = 1
also [B, H, W] and [H, W], is images. A folder holds recordings or images, perhaps in a sub-folder for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.cli.common import HDF5
from neurosam.cli.sample_count import report_fewer
from neurosam.data.folder import image_files, is_image, load_images
from neurosam.errors import DataError, EventError
from neurosam.formats.events.camera import kind_of
from neurosam.formats.events.columns import is_event_record
from neurosam.formats.events.numpy_files import load_array
from neurosam.formats.events.read import NUMPY, RECORDINGS, open_recording
from neurosam.network.network import Network
from neurosam.network.synapse import Shape
from neurosam.signals.events import Events
from neurosam.signals.stimulus import Stimulus

__all__ = ["Given", "given"]


@dataclass(frozen=True)
class Given:
    """Exactly one of `recordings`, `spikes` and `images` is there.

    Attributes
    ----------
    recordings : list of Path
    spikes : Path, optional
        A file with the events of a run.
    images : (B, C, H, W) or (B, N) array, optional
    folder : str
        A folder of labelled images, to be read as a data set.
    labels : list of int, or None
        Class of each recording.
    """

    recordings: Sequence[Path] = ()
    spikes: Path | None = None
    images: npt.NDArray[Any] | None = None
    folder: str = ""
    labels: Sequence[int] | None = None


def given(files: Sequence[str], network: Network, size: int | None, most: int, columns: str = "") -> Given:
    """Look into the files; of a folder, take `most` at most.

    Raises
    ------
    NeurosamError
        If files of several kinds are mixed, one is of no known kind, or images do not fit the network's input.
    """
    if len(network.inputs) > 1:
        each = " ".join(f"--events {p.name}=FILE" for p in network.inputs)
        raise EventError(" ".join(files[:3]), f"is for one input; the network has several: {each}")
    paths = [Path(file) for file in files]
    kinds = {path: _kind(path, network.input.shape, columns) for path in paths}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{path} {kind}" for path, kind in kinds.items())
        raise EventError("files", f"are of several kinds: {found}; give files of one kind")
    kind = kinds[paths[0]]
    if kind == "spikes":
        if len(paths) > 1:
            raise EventError(
                "files", f"are {len(paths)} files of spikes; give one, or --events NAME=FILE for each input"
            )
        return Given(spikes=paths[0])
    if kind == "recordings":
        if len(paths) == 1 and paths[0].is_dir():
            found_files, labels = _recordings(paths[0], network)
            report_fewer(len(found_files), most, f"recordings in {paths[0]}")
            return Given(recordings=found_files[:most], labels=None if labels is None else labels[:most])
        if folder := next((path for path in paths if path.is_dir()), None):
            raise EventError(str(folder), "is a folder among files; give one folder, or files")
        return Given(recordings=paths)
    if kind == "labelled images":
        return Given(folder=str(paths[0]))
    return Given(images=_images(paths, network, size, most))


def _kind(path: Path, shape: Shape, columns: str) -> str:
    if path.is_dir():
        if image_files(path):
            return "images"
        return "recordings" if _listed(path) else "labelled images"
    if is_image(path):
        return "images"
    if path.suffix.lower() in HDF5:
        return "spikes"
    suffix = path.suffix.lower()
    if path.is_file() and suffix not in NUMPY and (suffix in RECORDINGS or kind_of(path) is not None):
        return "recordings"
    if suffix == ".npy":
        array = load_array(path)
        if columns or (array.dtype.names is not None and is_event_record(array.dtype)):
            return "recordings"
        if _as_images(array, shape) is not None:
            return "images"
    return "spikes" if isinstance(open_recording(path, columns), Events) else "recordings"


def _listed(folder: Path) -> list[Path]:
    """Recordings in a folder or in its sub-folders, by their suffix; .npy and .npz where there is nothing else."""
    cameras = tuple(suffix for suffix in RECORDINGS if suffix not in (*NUMPY, ".txt"))
    for pattern, suffixes in (("*", cameras), ("*/*", (*cameras, *NUMPY)), ("*", NUMPY)):
        if found := sorted(p for p in folder.glob(pattern) if p.suffix.lower() in suffixes and p.is_file()):
            return found
    return []


def _recordings(folder: Path, network: Network) -> tuple[list[Path], list[int] | None]:
    """The recordings of a folder; with sub-folders, their names are the classes, which take turns."""
    files = _listed(folder)
    if files[0].parent == folder:
        return files, None
    names = sorted({path.parent.name for path in files}, key=lambda name: (not name.isdecimal(), len(name), name))
    turns = zip_longest(*([path for path in files if path.parent.name == name] for name in names))
    ordered = [path for path in chain.from_iterable(turns) if path is not None]
    labels = _labels(names, network)
    return ordered, [labels[path.parent.name] for path in ordered]


def _labels(names: Sequence[str], network: Network) -> dict[str, int]:
    """The class that each name of a folder means: by the network's names, as a number, or in order."""
    classes = Stimulus.from_metadata(network.metadata).classes
    if set(names) <= set(classes):
        return {name: classes.index(name) for name in names}
    if all(name.isascii() and name.isdecimal() for name in names):
        return {name: int(name) for name in names}
    return {name: i for i, name in enumerate(names)}


def _images(paths: Sequence[Path], network: Network, size: int | None, most: int) -> npt.NDArray[Any]:
    """Images in the shape of the network's input."""
    shape = network.input.shape
    if paths[0].suffix.lower() == ".npy":
        if size is not None:
            raise DataError("--size", "is for images in files and folders; resize a .npy yourself")
        arrays = [_as_images(load_array(path), shape) for path in paths]
        every = np.concatenate([array for array in arrays if array is not None])
        report_fewer(len(every), most, "images")
        return every[:most]
    files = [each for path in paths for each in (image_files(path)[:most] if path.is_dir() else [path])]
    report_fewer(len(files), most, "images")
    channels = 1 if len(shape) == 1 or shape[0] == 1 else 3
    images = load_images(files, size=size, channels=channels)
    if shape == (int(np.prod(images.shape[1:])),):
        return images.reshape(len(images), -1)
    if images.shape[1:] != shape:
        raise DataError(str(files[0]), f"is an image {images.shape[1:]}; the network's input {network.input.name!r} is "
                        f"{shape}. Give --size to crop and resize images, or images of this size")  # fmt: skip
    return images


def _as_images(array: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any] | None:
    """The array as images of a network's input, or None if its shape is another one."""
    if array.dtype.names is not None or array.dtype == np.bool_:
        return None
    if array.shape == shape:
        return array[None]
    if array.shape[1:] == shape and array.ndim > 1:
        return array
    if len(shape) == 3 and shape[0] == 1 and array.shape[-2:] == shape[1:] and array.ndim in (2, 3):
        return array.reshape(-1, *shape)
    return None
