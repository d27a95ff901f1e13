"""A NIR graph as plain values, wherever it came from: nodes by name, each with its fields, and edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import FormatError

__all__ = ["FIELDS", "MAX_EDGES", "MAX_ELEMENTS", "MAX_NODES", "Drawing", "Node"]

MAX_NODES = 4096
MAX_EDGES = 2**14
MAX_ELEMENTS = 2**24
"""Most elements of what a node gives; a layer of VGG16 on ImageNet has 3.2 million."""

FIELDS: Mapping[str, tuple[str, ...]] = {
    "Affine": ("weight", "bias"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "Delay": ("delay",),
    "Flatten": ("start_dim", "end_dim"),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "Input": ("shape",),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "Linear": ("weight",),
    "NIRGraph": (),
    "Output": (),
    "Scale": ("scale",),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "Threshold": ("threshold",),
}
"""Node types that are read, and the fields that each must have."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its type, and its fields as arrays and texts.

    Parameters
    ----------
    name, kind : str
    fields : mapping of str to array or str
    metadata : mapping of str to Any
    inside : Drawing, optional
        Of a NIRGraph.
    where : str
        Begins messages about the node.
    """

    name: str
    kind: str
    where: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    inside: Drawing | None = None

    def error(self, problem: str) -> FormatError:
        """The error about this node, to be raised."""
        return FormatError(self.where, problem)

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """A field as it is stored: finite integers or floats.

        Raises
        ------
        FormatError
            If it is missing, text, or has values that are NaN or infinite.
        """
        value = self.fields.get(name)
        if value is None:
            raise self.error(f"has no {name}; a {self.kind} needs {', '.join(FIELDS[self.kind])}")
        array: npt.NDArray[Any] = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise self.error(f"has a {name} that is no number ({array.dtype})")
        if not np.isfinite(array).all():
            count = int(array.size - np.count_nonzero(np.isfinite(array)))
            raise self.error(
                f"has {count} value(s) in {name} that are NaN or infinite; train again, or repair the file"
            )
        return array

    def text(self, name: str) -> str | None:
        """A field if it is a text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else None

    def whole(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """A field of integers in ``low..high``."""
        array = self.numbers(name)
        if array.ndim > 1 or not 1 <= array.size <= 8 or (array != np.floor(array)).any():
            raise self.error(f"has {name} of shape {array.shape}; a few integers are required")
        if ((array < low) | (array > high)).any():
            listed = ", ".join(f"{x:.12g}" for x in array.reshape(-1))
            raise self.error(f"has {name} ({listed}); {low}..{high} is allowed")
        return tuple(int(x) for x in array.reshape(-1))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Nodes and edges of a NIR graph.

    Parameters
    ----------
    where : str
        The file, or "NIR graph" for one in memory.
    nodes : dict of str to Node
    edges : list of (str, str)
    metadata : mapping of str to Any
    version : str
        Of the package that wrote the file; empty for a graph in memory.
    """

    where: str
    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


def checked_kind(where: str, name: str, kind: Any) -> str:
    """The type of a node, if it is one that is read.

    Raises
    ------
    FormatError
        For another, with those that are read.
    """
    if kind not in FIELDS:
        raise FormatError(
            f"{where}: node {name!r}",
            f"has the type {str(kind)[:64]!r}, which neurosam does not read; it reads {', '.join(sorted(FIELDS))}",
        )
    return str(kind)
