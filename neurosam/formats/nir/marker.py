"""What a NIR file cannot hold of a network, kept in its metadata, so that neurosam reads back the same network.

The graph's metadata have ``source`` = "neurosam" and ``neurosam``, a JSON text: populations in order with onsets and
magnitudes, projections in order with delays, outputs, traces, metadata, and the step. A node of neurons has the exact
parameters as ``neurosam.<field>``, and one of synapses the positions of a compressed matrix. Other software ignores
all this; if it changes the nodes, reading notices, and the metadata are refused rather than believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from neurosam._util.untrusted import MALFORMED
from neurosam.errors import ExportError, FormatError, NetworkError
from neurosam.formats.nir.drawing import Node
from neurosam.formats.nir.inverse import written
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Shape, Sparse
from neurosam.network.trace import SamTrace

__all__ = [
    "MARK", "PREFIX", "content_of", "exact_neuron", "exact_sparse", "is_ours", "mark", "neuron_mark", "restored",
    "sparse_mark",
]  # fmt: skip

MARK = "neurosam"
PREFIX = MARK + "."
VERSION = 1
CHANGED = "was changed since neurosam wrote it; give source= (--source), for example 'euler'"


def changed(where: str) -> FormatError:
    """The error for a file whose metadata no longer belong to its nodes."""
    return FormatError(where, CHANGED)


def mark(network: Network, dt: float) -> dict[str, str]:
    """Metadata of the graph."""
    content = {
        "version": VERSION,
        "dt": dt,
        "populations": [[p.name, p.onset, p.magnitude] for p in network.populations],
        "projections": [[p.source, p.target, p.delay] for p in network.projections],
        "outputs": network.answers,
        "sam": {name: asdict(trace) for name, trace in network.sam.items()},
        "metadata": dict(network.metadata),
    }
    return {"source": MARK, MARK: json.dumps(content)}


def neuron_mark(neuron: LIF | Readout) -> dict[str, Any]:
    """Metadata of a node of neurons: its parameters, exactly."""
    values = {PREFIX + item.name: getattr(neuron, item.name) for item in fields(neuron)}
    return {
        name: float(value) if isinstance(value, np.ndarray) and value.ndim == 0 else value
        for name, value in values.items()
        if value is not None
    }


def sparse_mark(synapse: Sparse) -> dict[str, Any]:
    """Metadata of a node that stands for a compressed matrix."""
    return {PREFIX + "indptr": np.array(synapse.indptr), PREFIX + "indices": np.array(synapse.indices)}


def exact_neuron(node: Node, shape: Shape, dt: float) -> LIF | Readout:
    """The neuron that a node's metadata hold.

    Raises
    ------
    FormatError
        If they do not belong to the node.
    """
    kind = LIF if "v_threshold" in node.fields else Readout
    values = {
        item.name: _plain(node.metadata[PREFIX + item.name])
        for item in fields(kind)
        if PREFIX + item.name in node.metadata
    }
    try:
        neuron: LIF | Readout = kind(**values)
        same = written(Population("p", shape, neuron), dt)
    except (ExportError, NetworkError, TypeError):
        raise changed(node.where) from None
    if same.kind != node.kind or any(
        name not in node.fields or not np.array_equal(node.fields[name], value) for name, value in same.fields.items()
    ):
        raise changed(node.where)
    return neuron


def exact_sparse(node: Node, weight: Any, shape: Shape) -> Sparse | None:
    """The compressed matrix that a Linear or Scale stands for, if it does."""
    indptr, indices = (node.metadata.get(PREFIX + name) for name in ("indptr", "indices"))
    if indptr is None or indices is None:
        return None
    try:
        rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
        values = weight[rows, indices] if weight.ndim == 2 else weight.reshape(-1)[indices]
        sources = weight.shape[1] if weight.ndim == 2 else weight.size
        return Sparse(indptr, indices, values.astype(np.float64), sources, shape)
    except (NetworkError, *MALFORMED):
        raise changed(node.where) from None


def is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether a graph's metadata say that neurosam wrote it."""
    return metadata.get("source") == MARK and MARK in metadata


def content_of(where: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON text of a graph's metadata."""
    try:
        content: dict[str, Any] = json.loads(metadata[MARK])
        if content["version"] != VERSION:
            raise FormatError(
                where, f"has metadata of neurosam's version {content['version']!r}; {VERSION} is read. Upgrade neurosam"
            )
        if not 0 < float(content["dt"]) < float("inf"):
            raise changed(where)
    except MALFORMED:
        raise changed(where) from None
    return content


def restored(network: Network, content: Mapping[str, Any], where: str) -> Network:
    """The network that was saved: order, delays, onsets, outputs, traces and metadata as they were.

    Raises
    ------
    FormatError
        If the metadata do not belong to the network.
    """
    try:
        populations = [
            replace(network[name], onset=onset) if network[name].neuron is not None
            else replace(network[name], onset=onset, magnitude=magnitude)
            for name, onset, magnitude in content["populations"]
        ]  # fmt: skip
        waiting = list(network.projections)
        projections, before = [], []
        for source, target, delay in content["projections"]:
            found = next(p for p in waiting if (p.source, p.target) == (source, target))
            waiting.remove(found)
            projections.append(replace(found, delay=delay))
            before.append(network.lag(found))
        sam = {name: SamTrace(**values) for name, values in content["sam"].items()}
        whole = Network(
            populations, projections, sam, None, content["outputs"], content["metadata"], check_alignment=False
        )
        lags = [whole.lag(projection) for projection in projections]
    except (AttributeError, KeyError, NetworkError, StopIteration, TypeError, ValueError):
        raise changed(where) from None
    if waiting or lags != before or len(populations) != len(network.populations):
        raise changed(where)
    return whole


def _plain(value: Any) -> Any:
    """A value of metadata as a parameter: numbers of no dimension as Python's."""
    array = np.asarray(value)
    return value if array.ndim or isinstance(value, str) else array.item()
