"""A network as a graph for other tools to draw and count: networkx, GraphML (Gephi, yEd, Cytoscape), JSON.

Populations are nodes, projections are edges. Weights are not in it, only what they are like.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from neurosam._util.atomic_write import replacing
from neurosam.errors import FormatError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, neurons

__all__ = ["save_graphml", "save_json", "to_networkx"]

PLAIN = (bool, int, float, str)


def to_networkx(network: Network) -> Any:
    """A network as ``networkx.MultiDiGraph``; needs the package networkx (``pip install 'neurosam[frames]'``).

    Parameters
    ----------
    network : Network

    Returns
    -------
    networkx.MultiDiGraph
        Nodes have ``shape``, ``neurons``, ``neuron`` ("input", "LIF", "FixedReadout", ...), ``onset``, and those
        parameters that are one value for the population. Edges have ``synapse`` ("Dense", "Conv2d", "Sparse"),
        ``synapses`` (how many connections), ``weights`` (how many stored values), ``low``, ``high`` (of them),
        ``delay`` and, if there are any, ``exponent``, ``pool``, ``kernel``, ``stride``, ``padding``. The graph has
        ``precision`` and the metadata.

    Examples
    --------
    >>> from neurosam.formats.graphs import to_networkx
    >>> network = ns.Network(
    ...     populations=[ns.Population("in", shape=(2,)), ns.Population("out", shape=(1,), neuron=ns.Readout())],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[0.5, -0.25]]))],
    ... )
    >>> graph = to_networkx(network)
    >>> graph.nodes["out"]["neuron"], graph.edges["in", "out", 0]["synapses"]
    ('Readout', 2)
    """
    import networkx

    precision = "float64" if network.precision is None else network.precision.name
    graph = networkx.MultiDiGraph()
    graph.graph.update({**network.metadata, "precision": precision})
    for population in network.populations:
        graph.add_node(population.name, **_node(network, population))
    for projection in network.projections:
        graph.add_edge(projection.source, projection.target, **_edge(network, projection))
    return graph


def save_graphml(network: Network, path: str | Path) -> None:
    """Write :func:`to_networkx` as GraphML, which has no lists: a shape is "3 x 66 x 200"."""
    import networkx

    graph = to_networkx(network)
    graph.graph.clear()  # metadata are texts of any length
    for _, values in graph.nodes(data=True):
        values.update({key: _text(value) for key, value in values.items()})
    for *_, values in graph.edges(data=True):
        values.update({key: _text(value) for key, value in values.items()})
    _write(path, "\n".join(networkx.generate_graphml(graph)) + "\n")


def save_json(network: Network, path: str | Path) -> None:
    """Write :func:`to_networkx` as the JSON of nodes and links that ``networkx.node_link_graph`` and D3 read."""
    import networkx

    data = networkx.node_link_data(to_networkx(network), edges="links")
    _write(path, json.dumps(data, indent=1) + "\n")


def _node(network: Network, population: Population) -> dict[str, Any]:
    neuron = population.neuron
    values: dict[str, Any] = {
        "shape": population.shape, "neurons": neurons(population.shape),
        "neuron": "input" if neuron is None else type(neuron).__name__, "onset": network.onsets[population.name],
    }  # fmt: skip
    if neuron is None:
        return {**values, "magnitude": population.magnitude}
    if population.pool is not None:
        values["pool"] = population.pool.kernel
    for item in fields(neuron):
        value = getattr(neuron, item.name)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, PLAIN):
            values[item.name] = value
    return values


def _edge(network: Network, projection: Projection) -> dict[str, Any]:
    source, synapse, pool = network[projection.source], projection.synapse, projection.pool
    weight = synapse.weight
    values: dict[str, Any] = {
        "synapse": type(synapse).__name__,
        "synapses": synapse.synapses(pool.output_shape(source.shape) if pool else source.shape),
        "weights": int(weight.size),
        "low": weight.min(initial=0).item(), "high": weight.max(initial=0).item(), "delay": projection.delay,
    }  # fmt: skip
    if projection.exponent:
        values["exponent"] = projection.exponent
    if pool is not None:
        values["pool"] = pool.kernel
    if isinstance(synapse, Conv2d):
        values |= {"kernel": weight.shape[2:], "stride": synapse.stride, "padding": synapse.padding}
    return values


def _text(value: Any) -> Any:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else value


def _write(path: str | Path, content: str) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    except OSError as error:
        raise FormatError(str(path), f"cannot be written: {error.strerror}") from None
