"""The commands that are killed, and how what they write is told from what it replaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurosam.errors import NeurosamError
from neurosam.hdf5.files import file_kind, load_recording

__all__ = ["COMMANDS", "PREPARE", "Command", "same_content"]

MODEL, NETWORK = "../base/m.safetensors", "../base/m.h5"
TRAIN = ("train", "--arch", "4C5S4-D10", "--samples", "300", "--steps", "4")
PREPARE = (
    (*TRAIN, "--epochs", "1", "-o", "m.safetensors"),
    ("export", "m.safetensors", "--calibrate", "16", "--samples", "0"),
)
"""What makes the inputs of all commands, in the folder ``base``."""


@dataclass(frozen=True)
class Command:
    """A command line, run in a folder beside ``base``.

    Attributes
    ----------
    arguments : tuple of str
    outputs : tuple of str
        Files that it writes.
    before : tuple of str
        Options with which it writes other ones, which it then replaces. None of them: its folder is empty at first, and
        what is left of it, it resumes.
    lava : bool
        Whether it starts Lava.
    """

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    before: tuple[str, ...] = ()
    lava: bool = False


PAGE = ("report.html", "report.json", "samples.png")
COMMANDS = {
    "train": Command((*TRAIN, "--epochs", "6", "-o", "m.safetensors"), ("m.safetensors",)),
    "train --force": Command(
        (*TRAIN, "--epochs", "2", "-o", "m.safetensors", "--force"), ("m.safetensors",), ("--seed", "1")
    ),
    "export": Command(
        ("export", MODEL, "-o", "n.h5", "--calibrate", "16", "--samples", "50", "--force"), ("n.h5",), ("--bits", "6")
    ),
    "run -o": Command(
        ("run", NETWORK, "--record", "all", "--samples", "500", "--steps", "20", "-o", "r.h5", "--force"), ("r.h5",),
        ("--seed", "1"),
    ),
    "run --jobs": Command(
        ("run", NETWORK, "--record", "all", "--samples", "500", "--steps", "20", "-o", "r.h5", "--jobs", "2"),
        ("r.h5",),
    ),
    "explain": Command(("explain", NETWORK, "-o", "x"), tuple(f"x/{name}" for name in PAGE), ("--seed", "1")),
    "verify": Command(
        ("verify", NETWORK, "--samples", "10", "--json", "v.json", "--force"), ("v.json",), ("--steps", "3")
    ),
    "run, Lava": Command(
        ("run", NETWORK, "--backend", "lava", "--samples", "3", "--record", "all", "-o", "r.h5", "--force"), ("r.h5",),
        ("--seed", "1"), lava=True,
    ),
    "verify, Lava": Command(
        ("verify", NETWORK, "--backends", "event,lava", "--samples", "2", "--json", "v.json", "--force"), ("v.json",),
        ("--steps", "3"), lava=True,
    ),
}  # fmt: skip


def same_content(path: Path, other: Path) -> bool:
    """Whether two files hold the same; of recordings, all but the time that a run took."""
    if not (path.is_file() and other.is_file()):
        return False
    if path.read_bytes() == other.read_bytes():
        return True
    try:
        return (
            path.suffix == ".h5"
            and file_kind(path) == file_kind(other) == "recording"
            and load_recording(path).same_as(load_recording(other))
        )
    except NeurosamError:
        return False
