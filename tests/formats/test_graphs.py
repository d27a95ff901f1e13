"""Networks as graphs for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from golden import write_pooled
from neurosam.errors import FormatError
from neurosam.formats.graphs import save_graphml, save_json, to_networkx
from support.netx import network

networkx = pytest.importorskip("networkx")


def test_populations_are_nodes_and_projections_edges() -> None:
    graph = to_networkx(network())
    assert list(graph.nodes) == ["in", "conv1", "conv2", "out"]
    assert graph.nodes["in"] == {"shape": (2, 9, 8), "neurons": 144, "neuron": "input", "onset": 0, "magnitude": 1}
    conv2 = graph.nodes["conv2"]
    assert (conv2["neuron"], conv2["onset"], conv2["threshold"], conv2["current_decay"]) == ("FixedLIF", 1, 150, 1500)
    edge = graph.edges["conv1", "conv2", 0]
    weight = network().projections[1].synapse.weight
    assert edge == {
        "synapse": "Conv2d", "synapses": 6 * 2 * 3 * 5 * 7, "weights": weight.size, "low": weight.min(),
        "high": weight.max(), "delay": 0, "exponent": 1, "kernel": (1, 3), "stride": (1, 1), "padding": (0, 0),
    }  # fmt: skip
    assert networkx.is_directed_acyclic_graph(graph)


def test_parts_of_a_split_projection_and_loops_are_edges_of_their_own() -> None:
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (2,), ns.FixedLIF(membrane_decay=0, threshold=9))],
        [
            ns.Projection("in", "a", ns.Dense(np.array([[301, 2], [3, 4]]))),
            ns.Projection("a", "a", ns.Sparse.one_to_one((2,), 1)),
        ],
    )
    graph = to_networkx(net)
    assert to_networkx(write_pooled.network(True)).nodes["b"]["pool"] == (3, 3)
    assert [(a, b, k) for a, b, k in graph.edges] == [("in", "a", 0), ("in", "a", 1), ("a", "a", 0)]


def test_files_are_read_back_by_networkx(tmp_path: Path) -> None:
    save_graphml(network(), tmp_path / "net.graphml")
    read = networkx.read_graphml(tmp_path / "net.graphml")
    assert read.nodes["conv1"]["shape"] == "4 x 5 x 9"
    assert read.edges["conv2", "out"]["synapses"] == 5 * 210
    save_json(network(), tmp_path / "net.json")
    data = json.loads((tmp_path / "net.json").read_text())
    assert networkx.node_link_graph(data, edges="links").nodes["out"]["neurons"] == 5
    with pytest.raises(FormatError, match="cannot be written"):
        save_json(network(), tmp_path / "missing" / "net.json")
