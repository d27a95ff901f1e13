"""The formats of other programs, in one table: what a file of each looks like, and which functions read and write it.

``neurosam import``, ``neurosam export --format`` and the answers to wrong files know a format by its line here. Another
package adds its own by an entry point of the group ``neurosam.formats`` that names a :class:`Format`. No module of a
format is imported before a file needs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from neurosam.errors import FormatError
from neurosam.network.network import Network

__all__ = ["GROUP", "Format", "find", "formats"]

GROUP = "neurosam.formats"


@dataclass(frozen=True)
class Format:
    """What the commands know of a format. Functions are named "module:function", and imported when they are used.

    Parameters
    ----------
    name : str
        As in ``--format NAME``.
    title : str
        In a sentence: "lava-dl's netx".
    suffix : str
        Of files that are written; reading goes by content.
    recognise : str, optional
        ``f(path) -> bool``, for an existing file; False for any damage.
    load : str, optional
        ``f(path, **options) -> Network``. What it decides goes into the network's metadata.
    save : str, optional
        ``f(network, path, **options)``, atomically; returns the network that the file holds, if options changed it.
    load_options, save_options : mapping of str to str
        Options of the command line that it takes, with the names of the function's parameters.
    needs : str
        The package that has to be installed to write it.

    Examples
    --------
    >>> from neurosam.formats.registry import find
    >>> find("netx").suffix
    '.net'
    """

    name: str
    title: str
    suffix: str
    recognise: str | None = None
    load: str | None = None
    save: str | None = None
    load_options: Mapping[str, str] = field(default_factory=dict)
    save_options: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""

    def recognises(self, path: Path) -> bool:
        """Whether a file is one of this format, by its content; never, if the format's module cannot be imported."""
        if self.recognise is None:
            return False
        try:
            recognise = _function(self.recognise)
        except ImportError:
            return False
        return bool(recognise(path))

    def read(self, path: Path, **options: Any) -> Network:
        """The network in a file."""
        if self.load is None:
            raise FormatError(str(path), f"is {self.title}, which is written but not read")
        network: Network = _function(self.load)(path, **options)
        return network

    def write(self, network: Network, path: Path, **options: Any) -> Network:
        """Write a network; returns what the file holds."""
        if self.save is None:
            raise FormatError(str(path), f"is to be {self.title}, which is read but not written")
        held = _function(self.save)(network, path, **options)
        return held if isinstance(held, Network) else network


BUILT_IN = (
    Format(
        "netx", "lava-dl's netx", ".net", "neurosam.formats.netx.read:is_netx", "neurosam.formats.netx.read:load_netx",
        "neurosam.formats.netx.write:save_netx", {"shape": "input_shape", "magnitude": "magnitude"},
        {"restarts": "restarts"},
    ),
    Format(
        "nir", "NIR", ".nir", "neurosam.formats.nir:is_nir", "neurosam.formats.nir:load_nir",
        "neurosam.formats.nir:save_nir",
        {
            "source": "source", "dt": "dt", "reset": "reset", "reset-timing": "reset_timing", "magnitude": "magnitude",
            "input-unit": "input_unit",
        },
        {"dt": "dt", "reset": "reset"}, "nir",
    ),
    Format(
        "graphml", "GraphML", ".graphml", save="neurosam.formats.graphs:save_graphml", needs="networkx",
    ),
    Format(
        "json", "JSON of nodes and links", ".json", save="neurosam.formats.graphs:save_json", needs="networkx",
    ),
)  # fmt: skip


@cache
def formats() -> tuple[Format, ...]:
    """All formats, ours first; those of other packages in alphabetical order."""
    found = list(BUILT_IN)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            known = point.load()
        except Exception as error:  # of a package that is not ours: the other formats work
            warnings.warn(f"cannot load the format {point.name!r}: {type(error).__name__}: {error}", stacklevel=2)
            continue
        found.append(known)
    return tuple(found)


def find(name: str) -> Format:
    """The format of that name.

    Raises
    ------
    FormatError
        If there is none; the message lists those that are written.
    """
    for known in formats():
        if known.name == name:
            return known
    written = ", ".join(known.name for known in formats() if known.save)
    why = (
        "; ONNX has operators for layers, but none for a neuron that keeps a membrane and resets it: a spiking network "
        "would lose what it is" if name == "onnx" else ""
    )  # fmt: skip
    raise FormatError("--format", f"got {name!r}; {written} are written{why}")


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
