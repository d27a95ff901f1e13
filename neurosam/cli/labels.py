"""The class of each sample of a file of events: ``--labels FILE``, or the array ``labels`` in their .npz."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from neurosam.errors import DataError
from neurosam.formats.events.numpy_files import labels_in, load_array
from neurosam.network.network import Network

__all__ = ["Labels", "labels_of"]

Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels", show_default=False,
        help="Class of each sample of --events: .npy, or text with a number a line. Default: the array `labels` of "
        "their .npz.",
    ),
]  # fmt: skip

MOST_BYTES = 2**28


def labels_of(file: Path | None, events: Sequence[str], samples: int, network: Network) -> npt.NDArray[np.int64] | None:
    """The labels of the first samples; None if no file has any.

    Parameters
    ----------
    file : Path, optional
        That of ``--labels``.
    events : sequence of str
        Of ``--events``: FILE or NAME=FILE.
    samples : int
        As many are needed; a file may have more.
    network : Network

    Raises
    ------
    DataError
        If labels are no integers from 0 on, too few, or beyond the network's classes.
    """
    found = _inside(events) if file is None else _of_file(file)
    if found is None:
        return None
    where, held = found
    if held.dtype.kind not in "iu" or held.ndim != 1:
        raise DataError(where, f"got {held.dtype} of shape {held.shape}; one integer for each sample is required")
    if len(held) < samples:
        raise DataError(where, f"got {len(held)} for {samples} samples; one for each is required")
    classes = int(np.prod(network[network.output].shape))
    labels = np.asarray(held[:samples])
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(where, f"got {labels.min()}..{labels.max()}; the network has the classes 0..{classes - 1}")
    return labels.astype(np.int64)


def _inside(events: Sequence[str]) -> tuple[str, npt.NDArray[Any]] | None:
    """The labels beside the events, and where they are."""
    for name in events:
        path = Path(name.partition("=")[2] or name)
        held = labels_in(path) if path.is_file() else None
        if held is not None:
            return f"{path}: labels", held
    return None


def _of_file(file: Path) -> tuple[str, npt.NDArray[Any]]:
    return f"--labels {file}", load_array(file) if file.suffix.lower() == ".npy" else _text(file)


def _text(file: Path) -> npt.NDArray[np.int64]:
    """Numbers in a text file, a line each."""
    where = f"--labels {file}"
    if not file.is_file():
        raise DataError(where, "does not exist; give a .npy, or text with a number a line")
    if file.stat().st_size > MOST_BYTES:
        raise DataError(where, f"has {file.stat().st_size} bytes; at most {MOST_BYTES} are read")
    try:
        words = file.read_text(encoding="utf-8").split()
        return np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError):
        raise DataError(where, "is no text with an integer a line; give that, or a .npy") from None
