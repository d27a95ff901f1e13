"""NIR graphs as plain values (drawing.py): read from a file with suspicion, or taken from the package's objects.

A file (nir 0.1 to 1.0) holds the text ``version`` and the group ``node``; a node is a group with the text ``type`` and
one dataset for each field; a graph has the groups ``nodes`` and ``edges``, a table of two texts per edge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurosam.errors import FormatError
from neurosam.formats.nir.drawing import FIELDS, MAX_EDGES, MAX_NODES, Drawing, Node, checked_kind
from neurosam.hdf5.foreign import Foreign, opened_foreign

__all__ = ["is_nir", "read_drawing"]

MAX_DEPTH = 8
EXTRA = ("v_reset", "w_in", "input_shape")
MEMORY = "NIR graph"


def is_nir(path: str | Path) -> bool:
    """Whether a file is HDF5 with a NIR graph in it, whatever else is wrong with it."""
    try:
        with opened_foreign(path, "a NIR file") as root:
            return "node" in root.members() and "type" in root.inner("node").members()
    except FormatError:
        return False


def read_drawing(source: Any) -> Drawing:
    """The graph of a NIR file, or of a ``nir.NIRGraph``.

    Parameters
    ----------
    source : str, Path or nir.NIRGraph

    Raises
    ------
    FormatError
        If a file is damaged, forged or no NIR file, or a node has a type that is not read.
    """
    if isinstance(source, (str, Path)):
        return _Reading(str(source)).file(source)
    if hasattr(source, "nodes") and hasattr(source, "edges"):
        return _from_package(source, MEMORY, 0)
    raise FormatError(MEMORY, f"got {type(source).__name__}; the path of a .nir file or a nir.NIRGraph is required")


class _Reading:
    """Reads the groups of one file; counts nodes, since hard links can name one group many times."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.count = 0

    def file(self, path: str | Path) -> Drawing:
        with opened_foreign(path, "a NIR file") as root:
            members = root.members()
            if "node" not in members or not root.is_group("node"):
                raise FormatError(self.where, "is an HDF5 file without a NIR graph (no group 'node')")
            version = root.value("version") if "version" in members else ""
            top = self._node(root.inner("node"), "", 0)
        if top.inside is None:
            raise FormatError(self.where, f"holds a single {top.kind}; a NIRGraph is required")
        drawing = top.inside
        return Drawing(self.where, drawing.nodes, drawing.edges, drawing.metadata, str(version))

    def _node(self, group: Foreign, name: str, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise FormatError(self.where, f"has more than {MAX_NODES} nodes, or graphs nested deeper than {MAX_DEPTH}")
        members = group.members()
        kind = checked_kind(self.where, name, group.value("type") if "type" in members else None)
        where = f"{self.where}: node {name!r} ({kind})" if name else self.where
        metadata = _values(group.inner("metadata")) if "metadata" in members and group.is_group("metadata") else {}
        if kind == "NIRGraph":
            inside = self._graph(group, members, metadata, depth)
            return Node(name, kind, where, metadata=metadata, inside=inside)
        known = {*FIELDS[kind], *EXTRA}
        fields = {member: group.value(member) for member in members if member in known}
        return Node(name, kind, where, fields, metadata)

    def _graph(self, group: Foreign, members: list[str], metadata: dict[str, Any], depth: int) -> Drawing:
        for member in ("nodes", "edges"):
            if member not in members:
                raise group.error("", f"is a NIRGraph without {member}")
        inner = group.inner("nodes")
        nodes = {name: self._node(inner.inner(name), name, depth + 1) for name in inner.members()}
        table = group.value("edges")
        if isinstance(table, str) or (table.size and (table.ndim != 2 or table.shape[1] != 2 or table.dtype != object)):
            raise group.error("edges", "is not a table of two names for each edge")
        if len(table) > MAX_EDGES:
            raise group.error("edges", f"has {len(table)} edges; at most {MAX_EDGES} are read")
        edges = [(str(row[0]), str(row[1])) for row in table.tolist()] if table.size else []
        return Drawing(self.where, nodes, edges, metadata)


def _values(group: Foreign) -> dict[str, Any]:
    """The datasets of a group of metadata; groups inside it are not read."""
    return {name: group.value(name) for name in group.members() if not group.is_group(name)}


def _from_package(graph: Any, where: str, depth: int) -> Drawing:
    """The same from objects of the package, or of whatever has their attributes."""
    if depth > MAX_DEPTH:
        raise FormatError(where, f"has graphs nested deeper than {MAX_DEPTH}")
    nodes = {}
    for name, item in dict(graph.nodes).items():
        kind = checked_kind(where, str(name), type(item).__name__)
        at = f"{where}: node {str(name)!r} ({kind})"
        metadata = _plain(getattr(item, "metadata", None))
        if kind == "NIRGraph":
            nodes[str(name)] = Node(str(name), kind, at, {}, metadata, _from_package(item, where, depth + 1))
            continue
        fields = {
            key: _array(value) for key, value in vars(item).items() if not key.endswith("_type") and key != "metadata"
        }
        if kind == "Input":
            given = getattr(item, "input_type", None)
            fields["shape"] = _array(given.get("input") if isinstance(given, dict) else given)
        nodes[str(name)] = Node(str(name), kind, at, {k: v for k, v in fields.items() if v is not None}, metadata)
    edges = [(str(source), str(target)) for source, target in graph.edges]
    return Drawing(where, nodes, edges, _plain(getattr(graph, "metadata", None)))


def _array(value: Any) -> Any:
    """Numbers as an array; torch tensors, which exporters leave in their graphs, included."""
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _plain(metadata: Any) -> dict[str, Any]:
    return dict(metadata) if isinstance(metadata, dict) else {}
