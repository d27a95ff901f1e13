"""Find chips by name or path.

Packages offer chips through the entry-point group ``neurosam.chips``: a package whose folder holds the files, or a
function that returns their paths. The name of a chip is that of its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from neurosam.errors import ArgumentError, BackendError, FormatError
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.messages import nearest
from neurosam_hw.chips.read import read_chip

__all__ = ["GROUP", "available_chips", "load_chip"]

GROUP = "neurosam.chips"


def available_chips() -> tuple[str, ...]:
    """Names of the chips that installed packages offer, in alphabetical order."""
    return tuple(sorted(_installed()))


def load_chip(chip: str | Path) -> Chip:
    """Read the file of a chip.

    Parameters
    ----------
    chip : str or Path
        A name of :func:`available_chips`, or the path of a file; a string is a path if it ends in ``.toml``.

    Returns
    -------
    Chip

    Raises
    ------
    ArgumentError
        If no package offers a chip of this name.
    FormatError
        If the file is missing, too large, no TOML, or any figure in it is not as it should be.
    BackendError
        If this Python cannot read TOML (3.10).
    """
    if isinstance(chip, Path) or chip.endswith(".toml"):
        return read_chip(Path(chip))
    installed = _installed()
    if chip not in installed:
        names = sorted(installed)
        raise ArgumentError(
            f"chip {chip!r}",
            f"is unknown{nearest(chip, names)}; installed are {', '.join(names) or 'none'}. "
            "A file is given by a path that ends in .toml",
        )
    return read_chip(installed[chip])


def _installed() -> dict[str, Path]:
    """Files by name; refuses two packages that offer a chip of the same name."""
    found: dict[str, Path] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        for path in _offered(point):
            if path.stem in found and found[path.stem] != path:
                raise FormatError(f"chip {path.stem!r}", f"is in two files: {found[path.stem]} and {path}")
            found[path.stem] = path
    return found


def _offered(point: EntryPoint) -> list[Path]:
    """The files that an entry point offers."""
    where = f"entry point {point.name!r} of {GROUP!r}"
    try:
        target: ModuleType | Callable[[], Iterable[str | Path]] = point.load()
        if isinstance(target, ModuleType):
            return sorted(path for folder in target.__path__ for path in Path(folder).glob("*.toml"))
        return [Path(path) for path in target()]
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BackendError(where, f"cannot be loaded from {point.value}: {reason}") from None
