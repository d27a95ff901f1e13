"""Labelled recordings of an event camera: N-MNIST, and folders in its layouts, without trusting them.

    <root>/Train/<class>/*.bin, <root>/Test/<class>/*.bin      N-MNIST as published; <root>/<class>/*.bin has no parts
    <root>/*.bs2, <root>/train*.txt, <root>/test*.txt          slayer's: a line is a number, white space, a class;
                                                               recording 17 is 17.bs2 (or 17.bin); # begins a comment

Classes are numbered in the order of their folders' names (as numbers, if all are), in every part as in the training
part; those of a list are numbers already. Recordings stay in their files until :meth:`RecordingSet.events` reads them.
The format of a file: :mod:`neurosam.formats.events.nmnist`.

Source: G. Orchard et al. 2015 (Front. Neurosci. 9:437), https://www.garrickorchard.com/datasets/n-mnist (CC BY-SA 4.0);
1,100 of them as .bs2 in https://github.com/bamsumit/slayerPytorch, folder NMNISTsmall.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosam.data.folder import check_inside
from neurosam.errors import DataError
from neurosam.formats.events.binning import Tally, joined
from neurosam.formats.events.read import read_events_file
from neurosam.formats.events.rules import EventRules
from neurosam.network.synapse import Shape
from neurosam.signals.events import Events

__all__ = ["RecordingSet", "is_recordings", "load_recordings"]

_SUFFIXES = (".bs2", ".bin")
_MOST_LIST_BYTES = 16 * 2**20
_MOST_FILE_BYTES = 256 * 2**20
_MOST_CLASSES = 2**16


@dataclass(frozen=True, eq=False)
class RecordingSet:
    """N labelled recordings.

    Parameters
    ----------
    files : tuple of Path
        One recording each; at least one.
    labels : int64 [N]
        Indices into `classes`.
    classes : tuple of str
        Distinct class names.
    name : str
        Name of the set in reports and error messages.

    Raises
    ------
    DataError
        If there is no recording, or labels do not fit.
    """

    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not self.files or self.labels.dtype != np.int64 or self.labels.shape != (len(self.files),):
            raise DataError(self.name, f"has {len(self.files)} recordings, and labels {self.labels.dtype} "
                            f"{self.labels.shape}; at least 1, and an int64 for each, are required")  # fmt: skip
        least, most, count = self.labels.min(), self.labels.max(), len(self.classes)
        if least < 0 or most >= count or len(set(self.classes)) < count:
            raise DataError(
                self.name, f"has labels {least}..{most} for {count} classes; distinct names, one a label, are required"
            )

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.files)

    def events(
        self, shape: Shape, rules: EventRules, indices: Sequence[int] | None = None, *, tally: Tally | None = None
    ) -> Events:
        """Read recordings as the input of a network.

        Parameters
        ----------
        shape, rules, tally
            As for :func:`neurosam.formats.events.read_events_file`; N-MNIST is (2, 34, 34).
        indices : sequence of int, optional
            Which, in this order; all of them if None.

        Returns
        -------
        Events
            One sample each; shorter ones are followed by silence.

        Raises
        ------
        DataError
            If `indices` is empty or out of range, or a file is too large.
        FormatError, EventError
            As for :func:`~neurosam.formats.events.read_events_file`.
        """
        chosen = range(len(self)) if indices is None else [int(i) for i in indices]
        if not len(chosen) or min(chosen) < 0 or max(chosen) >= len(self):
            raise DataError(self.name, f"has the recordings 0..{len(self) - 1}; at least 1 of these is required")
        for path in (self.files[i] for i in chosen):
            if path.stat().st_size > _MOST_FILE_BYTES:
                raise DataError(str(path), f"has {path.stat().st_size} bytes; at most {_MOST_FILE_BYTES} are read")
        return joined([read_events_file(self.files[i], shape, rules, tally=tally) for i in chosen])


def is_recordings(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has recordings where one of the layouts puts them."""
    root = Path(folder)
    return any(path.suffix.lower() in _SUFFIXES for depth in ("*", "*/*", "*/*/*") for path in root.glob(depth))


def load_recordings(folder: str | os.PathLike[str], part: str | None = None) -> RecordingSet:
    r"""Find the labelled recordings of a folder; the layouts are listed at the top of this module.

    Parameters
    ----------
    folder : path
        The root.
    part : {"train", "test"}, optional
        Required if the folder has parts.

    Raises
    ------
    DataError
        If the folder has none of the layouts, a recording is missing, no regular file or outside of the folder, or a
        list is damaged; the message names the file and the line.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from neurosam.data import load_recordings
    >>> from neurosam.formats.events import EventRules
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "1.bs2").write_bytes(bytes([3, 1, 0x80, 0, 0]))  # x 3, y 1, on, 0 us
    >>> _ = (root / "train.txt").write_text("1 5")
    >>> train = load_recordings(root, "train")
    >>> train.labels, np.argwhere(train.events((2, 34, 34), EventRules(dt_us=1000)).dense()).tolist()
    (array([5]), [[0, 0, 1, 1, 3]])
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise DataError(str(folder), "is not a folder")
    if part not in (None, "train", "test"):
        raise DataError(str(folder), f"has no part {part!r}; allowed are 'train' and 'test'")
    parts = {path.name.lower(): path for path in sorted(root.iterdir()) if path.name.lower() in ("train", "test")}
    lists = [path for path in sorted(root.glob("*.txt")) if path.name.startswith(("train", "test"))]
    if parts:
        if part not in parts:
            raise DataError(str(folder), f"has the parts {' and '.join(parts)}; got part {part!r}")
        return _by_class(root, parts[part], parts.get("train", parts[part]))
    if lists:
        chosen = [path for path in lists if part is not None and path.name.startswith(part)]
        if len(chosen) != 1:
            raise DataError(str(folder), f"has the lists {', '.join(path.name for path in lists)}; exactly one whose "
                            f"name begins with the part is required, and the part is {part!r}")  # fmt: skip
        return _listed(root, chosen[0])
    if part is not None:
        raise DataError(str(folder), f"has neither a folder {part!r} nor a list {part}*.txt; leave the part out")
    return _by_class(root, root, root)


def _by_class(root: Path, target: Path, first: Path) -> RecordingSet:
    check_inside(root, target)
    names = _folders(root, first)
    files, labels = [], []
    for name in _folders(root, target):
        if name not in names:
            raise DataError(str(target / name), f"is a class that {first} has not; the parts must agree on the classes")
        found = sorted(path for path in (target / name).iterdir() if path.suffix.lower() in _SUFFIXES)
        files += [_recording(root, path) for path in found]
        labels += [names.index(name)] * len(found)
    if not files:
        raise DataError(str(target), f"has no recordings ({' '.join(_SUFFIXES)}) in a folder for each class")
    return RecordingSet(tuple(files), np.array(labels, dtype=np.int64), tuple(names), root.name)


def _folders(root: Path, folder: Path) -> list[str]:
    check_inside(root, folder)
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for name in names:
        check_inside(root, folder / name)
    return sorted(names, key=int) if all(name.isascii() and name.isdecimal() for name in names) else names


def _listed(root: Path, path: Path) -> RecordingSet:
    check_inside(root, path)
    if not path.is_file() or path.stat().st_size > _MOST_LIST_BYTES:
        raise DataError(str(path), f"is no regular file of at most {_MOST_LIST_BYTES} bytes")
    files, labels = [], []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not all(word.isascii() and word.isdecimal() and len(word) < 12 for word in words):
            raise DataError(f"{path}:{number}", f"is {line[:80]!r}; the number of a recording and a class are required")
        present = [root / (words[0] + suffix) for suffix in _SUFFIXES if (root / (words[0] + suffix)).exists()]
        if not present or int(words[1]) >= _MOST_CLASSES:
            problem = f"the class {words[1]}" if present else f"recording {words[0]}, which does not exist"
            raise DataError(f"{path}:{number}", f"names {problem}; a .bs2 or .bin and a class below {_MOST_CLASSES} "
                            "are required")  # fmt: skip
        files.append(_recording(root, present[0]))
        labels.append(int(words[1]))
    if not files:
        raise DataError(str(path), "lists no recordings")
    classes = tuple(str(label) for label in range(max(labels) + 1))
    return RecordingSet(tuple(files), np.array(labels, dtype=np.int64), classes, root.name)


def _recording(root: Path, path: Path) -> Path:
    check_inside(root, path)
    if not path.is_file():
        raise DataError(str(path), "is no regular file")
    return path
