"""A network that was assembled from a graph does what the graph does, step by step, on every layer of neurons."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError, NetworkError
from neurosam.graph import (
    Edge,
    Graph,
    Input,
    MaxPool,
    Neurons,
    Offset,
    Pool,
    Reindex,
    Scale,
    Weights,
    assemble,
    matrices,
)
from neurosam.graph.layers import Layer, layer_shapes
from support.graphs import computed, eighths, lif, random_graph

STEPS, SAMPLES = 7, 3


def agree(graph: Graph, backend: str = "reference", seed: int = 0, quiet: bool = False) -> ns.Network:
    """Compare the network with the graph; its first layer must fire, and not always, unless it may be `quiet`."""
    network = assemble(graph)
    rng = np.random.default_rng(seed)
    x = {n: (rng.random((STEPS, SAMPLES, *layer.shape)) < 0.4).astype(np.uint8)
         for n, layer in graph.layers.items() if isinstance(layer, Input)}  # fmt: skip
    (values,) = x.values()
    expected = computed(graph, values)
    firing = tuple(n for n, layer in graph.layers.items() if isinstance(layer, Neurons) and network[n].fires)
    recording = ns.run(network, ns.Events.from_dense(values), backend, ns.Record(spikes=firing))
    assert quiet or 0 < expected[firing[0]].mean() < 1
    for name in firing:
        spikes = recording.spikes[name].dense()
        np.testing.assert_array_equal(spikes.reshape(expected[name].shape), expected[name], err_msg=name)
    for name, output in {network.output: recording.output, **recording.other_outputs}.items():
        if not network[name].fires and name in expected:
            np.testing.assert_array_equal(output.reshape(expected[name][-1].shape), expected[name][-1])
    return network


def chain(*layers: Layer, shape: tuple[int, ...] = (2, 6, 5)) -> Graph:
    """An input, layers one after the other, neurons, and a readout."""
    named: dict[str, Layer] = {"in": Input(shape), **{f"l{i}": layer for i, layer in enumerate(layers)}}
    names = list(named)
    return Graph(named, [Edge(a, b) for a, b in pairwise(names)])


RNG = np.random.default_rng(5)
CONV = Weights(ns.Conv2d(eighths(RNG, 3, 2, 3, 2), stride=(2, 1), padding=(1, 0)))
TURNED = Reindex(np.arange(60).reshape(2, 6, 5).transpose(0, 2, 1).copy())
CHANNELS = Reindex(
    np.where(np.arange(4)[:, None] == 2, -1, np.array([1, 0, 0, 1])[:, None] * 30 + np.arange(30)).reshape(4, 6, 5)
)
UP = ns.Sparse(  # nearest, by two
    np.arange(241), np.arange(60).reshape(2, 6, 5).repeat(2, 1).repeat(2, 2).reshape(-1), np.ones(240), 60, (2, 12, 10)
)
CHAINS: dict[str, tuple[Layer, ...]] = {
    "conv": (CONV,),
    "dense": (Weights(ns.Dense(eighths(RNG, 7, 60))),),
    "sparse": (Weights(ns.Sparse.from_dense(eighths(RNG, 6, 60) * (RNG.random((6, 60)) < 0.3), (1, 2, 3))),),
    "nothing": (),
    "scale by channel": (Scale([0.5, 2.0]), CONV),
    "scale by element": (Scale(2.0 ** RNG.integers(-2, 2, (2, 6, 5))), CONV),
    "average, conv": (Pool(ns.SumPool2d(2)), Scale(0.25), Weights(ns.Conv2d(eighths(RNG, 4, 2, 2, 2)))),
    "average, dense": (Pool(ns.SumPool2d(2, padding=1)), Scale(0.25), Weights(ns.Dense(eighths(RNG, 4, 2 * 4 * 3)))),
    "two pools": (Pool(ns.SumPool2d(2)), Pool(ns.SumPool2d(2, 1)), Scale(0.25)),
    "conv, average": (CONV, Pool(ns.SumPool2d(2)), Scale(0.5)),
    "conv, padded average": (CONV, Pool(ns.SumPool2d((3, 2), 1, 1)), Scale(0.5)),
    "conv, conv": (CONV, Weights(ns.Conv2d(eighths(RNG, 2, 3, 2, 3), dilation=(1, 1)))),
    "conv, padded conv": (CONV, Weights(ns.Conv2d(eighths(RNG, 2, 3, 2, 3), padding=1))),
    "conv, grouped conv": (CONV, Weights(ns.Conv2d(eighths(RNG, 6, 1, 2, 2), groups=3))),
    "grouped conv, conv": (
        Weights(ns.Conv2d(eighths(RNG, 4, 1, 2, 2), groups=2, dilation=2)),
        Weights(ns.Conv2d(eighths(RNG, 2, 4, 2, 2), 2)),
    ),
    "conv, norm": (CONV, Offset([0.5, -0.25, 0.0]), Scale([2.0, 0.5, -1.0]), Offset([0.125, 0.0, 0.25])),
    "conv, dense": (CONV, Offset([0.5, -0.25, 0.0]), Weights(ns.Dense(eighths(RNG, 5, 36)))),
    "dense, dense": (
        Weights(ns.Dense(eighths(RNG, 7, 60))), Offset(eighths(RNG, 7)), Weights(ns.Dense(eighths(RNG, 5, 7))),
    ),
    "turned, conv": (TURNED, Weights(ns.Conv2d(eighths(RNG, 2, 2, 2, 2)))),
    "channels, conv": (CHANNELS, Weights(ns.Conv2d(eighths(RNG, 2, 4, 2, 2)))),
    "channels, pool, conv": (
        CHANNELS, Pool(ns.SumPool2d(2)), Scale([1.0, 0.5, 2.0, 1.0]), Weights(ns.Conv2d(eighths(RNG, 2, 4, 2, 2))),
    ),
    "channels, grouped conv": (CHANNELS, Weights(ns.Conv2d(eighths(RNG, 2, 2, 2, 2), groups=2))),
    "conv, channels": (CONV, Reindex(np.roll(np.arange(3 * 12).reshape(3, 3, 4), 1, 0))),
    "dense, channels": (
        Weights(ns.Dense(eighths(RNG, 6, 60))), Offset(eighths(RNG, 6)), Reindex(np.array([5, -1, 0, 1])),
    ),
    "flat, picture, conv": (Reindex(np.arange(60)), Reindex(np.arange(60).reshape(2, 6, 5)), CONV),
    "conv, flat": (CONV, Offset([0.5, -0.25, 0.0]), Reindex(np.arange(36))),
    "upsampled, dense": (Weights(UP), Weights(ns.Dense(eighths(RNG, 5, 240)))),
    "weighted one to one, conv": (Weights(ns.Sparse.one_to_one((2, 6, 5), 0.5)), CONV),
    "conv, turned, dense": (CONV, Reindex(np.arange(36)[::-1].copy()), Weights(ns.Dense(eighths(RNG, 5, 36)))),
    "offset first": (Offset(0.25), Weights(ns.Conv2d(eighths(RNG, 2, 2, 3, 3), padding=1))),
    "offset by element, conv": (Offset(eighths(RNG, 2, 6, 5)), CONV),
    "offset, pool": (Offset(eighths(RNG, 2, 6, 5)), Pool(ns.SumPool2d(3, 2, 1)), Scale(0.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_affine_layers_is_one_projection(name: str) -> None:
    network = agree(
        chain(*CHAINS[name], lif(), Weights(ns.Dense(eighths(RNG, 3, _size(name)) + 0.25)), lif(threshold=0.25))
    )
    assert len(network.projections) == 2


def _size(name: str) -> int:
    graph = chain(*CHAINS[name])
    return int(np.prod(layer_shapes(graph)[list(graph.layers)[-1]]))


@pytest.mark.parametrize(
    ("name", "synapse", "pooled"),
    [
        ("conv", ns.Conv2d, False),
        ("scale by channel", ns.Conv2d, False),
        ("average, conv", ns.Conv2d, True),
        ("average, dense", ns.Dense, True),
        ("conv, average", ns.Conv2d, False),
        ("conv, conv", ns.Conv2d, False),
        ("conv, grouped conv", ns.Conv2d, False),
        ("conv, dense", ns.Dense, False),
        ("channels, conv", ns.Conv2d, False),
        ("channels, pool, conv", ns.Conv2d, True),
        ("conv, flat", ns.Conv2d, False),
        ("dense, dense", ns.Dense, False),
        ("conv, padded conv", ns.Sparse, False),
        ("turned, conv", ns.Sparse, False),
        ("upsampled, dense", ns.Dense, False),
        ("weighted one to one, conv", ns.Conv2d, False),
        ("conv, turned, dense", ns.Dense, False),
    ],
)
def test_the_simplest_form_is_found(name: str, synapse: type, pooled: bool) -> None:
    (projection,) = assemble(chain(*CHAINS[name], lif())).projections
    assert type(projection.synapse) is synapse
    assert (projection.pool is not None) == pooled


def block(*more: tuple[str, str, int]) -> Graph:
    layers: dict[str, Layer] = {
        "in": Input((4,)),
        "w1": Weights(ns.Dense(eighths(RNG, 6, 4) + 0.5)),
        "a": lif(),
        "w2": Weights(ns.Dense(eighths(RNG, 6, 6) + 0.5)),
        "b": lif(reset="zero"),
        "w3": Weights(ns.Dense(eighths(RNG, 6, 6) + 0.25)),
        "c": lif(),
        "out": Neurons(ns.Readout()),
    }
    edges = [("in", "w1", 0), ("w1", "a", 0), ("a", "w2", 0), ("w2", "b", 0), ("b", "w3", 0), ("w3", "c", 0)]
    return Graph(layers, [Edge(*edge) for edge in [*edges, ("c", "out", 0), *more]])


def test_skip_connections_wait_for_the_longest_path() -> None:
    network = agree(block(("a", "c", 0), ("a", "out", 0), ("b", "out", 0)))
    assert {p.label: p.delay for p in network.projections} == {
        "in->a": 1, "a->b": 1, "b->c": 1, "a->c": 2, "c->out": 1, "a->out": 3, "b->out": 2,
    }  # fmt: skip
    assert network.onsets == {"in": 0, "a": 1, "b": 2, "c": 3, "out": 4}


def test_feedback_takes_its_steps() -> None:
    network = agree(block(("b", "b", 1), ("c", "c", 2), ("a", "a", 1)))
    assert {p.label: p.delay for p in network.projections if p.source == p.target} == {"a->a": 1, "b->b": 1, "c->c": 2}


def test_a_loop_that_is_too_short_for_delays_runs_without_them() -> None:
    network = agree(_loop())
    assert "0 on some projections" in network.metadata["delays"]
    assert 0 in {p.delay for p in network.projections}


def _loop() -> Graph:
    """The input of the first layer depends on the last one, one step earlier."""
    graph = block()
    layers = {**graph.layers, "back": Weights(ns.Dense(-eighths(RNG, 6, 6)))}
    return Graph(layers, [*graph.edges, Edge("c", "back", 1), Edge("back", "a")])


def test_branches_are_joined_by_moving_each_to_its_place() -> None:
    def place(start: int, size: int, total: int) -> Reindex:
        index = np.full((total, 6, 5), -1)
        index[start : start + size] = np.arange(size * 30).reshape(size, 6, 5)
        return Reindex(index)

    layers: dict[str, Layer] = {
        "in": Input((2, 6, 5)),
        "w": Weights(ns.Conv2d(eighths(RNG, 3, 2, 3, 3), padding=1)),
        "a": lif(),
        "left": place(0, 3, 5),
        "right": place(3, 2, 5),
        "w2": Weights(ns.Conv2d(eighths(RNG, 4, 5, 3, 3), padding=1)),
        "b": lif(),
    }
    edges = [("in", "w"), ("w", "a"), ("a", "left"), ("in", "right"), ("left", "w2"), ("right", "w2"), ("w2", "b")]
    network = agree(Graph(layers, [Edge(*edge) for edge in edges]))
    assert [(p.label, p.synapse.weight.shape, p.delay) for p in network.projections] == [
        ("in->a", (3, 2, 3, 3), 1), ("a->b", (4, 3, 3, 3), 1), ("in->b", (4, 2, 3, 3), 2),
    ]  # fmt: skip


def branches(*synapses: ns.Conv2d) -> Graph:
    """Convolutions of one source whose outputs are joined by channels in front of a layer of neurons."""
    layers: dict[str, Layer] = {"in": Input((2, 6, 5))}
    edges, start = [], 0
    total = sum(synapse.weight.shape[0] for synapse in synapses)
    for number, synapse in enumerate(synapses):
        shape = synapse.output_shape((2, 6, 5))
        index = np.full((total, *shape[1:]), -1)
        index[start : start + shape[0]] = np.arange(int(np.prod(shape))).reshape(shape)
        start += shape[0]
        layers |= {f"w{number}": Weights(synapse), f"p{number}": Reindex(index)}
        edges += [Edge("in", f"w{number}"), Edge(f"w{number}", f"p{number}"), Edge(f"p{number}", "n")]
    return Graph({**layers, "n": lif()}, edges)


@pytest.mark.parametrize(
    ("others", "kernel", "projections"),
    [
        ([{"kernel": 1}, {"kernel": 3, "padding": 1}, {"kernel": 5, "padding": 2}], (5, 5), 1),
        ([{"kernel": 3, "padding": 2, "dilation": 2}, {"kernel": 1}], (3, 3), 1),
        ([{"kernel": 3, "padding": 1}, {"kernel": 3, "padding": 1, "groups": 2}], (3, 3), 1),
        ([{"kernel": 3, "padding": 1}, {"kernel": 3, "padding": 2, "dilation": 2}], (3, 3), 2),
        ([{"kernel": 3, "padding": 1, "stride": 2}, {"kernel": 1, "stride": 2}], (3, 3), 1),
    ],
)
def test_convolutions_that_are_joined_by_channels_are_one(
    others: list[dict[str, int]], kernel: tuple[int, int], projections: int
) -> None:
    rng = np.random.default_rng(len(others))
    synapses = []
    for options in others:
        given = dict(options)
        side, groups = given.pop("kernel"), given.get("groups", 1)
        synapses.append(ns.Conv2d(eighths(rng, 2, 2 // groups, side, side), **given))
    network = agree(branches(*synapses))
    assert len(network.projections) == projections
    assert network.projections[0].synapse.weight.shape[2:] == kernel


def test_a_shortcut_beside_a_convolution_stays_a_projection() -> None:
    """Weights of both reach the same channels; apart, each is quantised with an exponent of its own."""
    layers: dict[str, Layer] = {
        "in": Input((2, 6, 5)), "a": lif(), "w": Weights(ns.Conv2d(eighths(RNG, 2, 2, 3, 3), padding=1)), "b": lif(),
    }  # fmt: skip
    graph = Graph(layers, [Edge("in", "a"), Edge("a", "w"), Edge("w", "b"), Edge("a", "b")])
    assert len(agree(graph).projections) == 3


def test_max_pooling_of_spikes_is_an_or_population() -> None:
    pool = MaxPool(ns.MaxPool2d(3, 2, 1))
    network = agree(chain(CONV, lif(), pool, Weights(ns.Conv2d(eighths(RNG, 2, 3, 2, 2))), lif(threshold=0.25)))
    assert [p.name for p in network.populations] == ["in", "l1", "l2", "l4"]


def test_a_layer_that_fires_from_the_step_before_needs_no_delay_of_its_own() -> None:
    neuron = ns.LIF(0.5, 0.75)
    graph = chain(
        CONV,
        Neurons(neuron, lag=1),
        MaxPool(ns.MaxPool2d(2)),
        Weights(ns.Dense(eighths(RNG, 4, 6))),
        Neurons(neuron, lag=1),
    )
    network = assemble(graph)
    assert [p.delay for p in network.projections] == [0, 0, 1]
    assert set(network.onsets.values()) == {0}


def test_constants_reach_a_current_as_drive() -> None:
    """With a current, a constant per neuron is a bias and an initial current: the same spikes, up to rounding."""
    rng = np.random.default_rng(2)
    weight, value = rng.normal(size=(5, 3)), rng.normal(size=5)
    for neuron in (ns.LIF(0.8, 1.0, current_leak=0.5), ns.Readout(leak=0.8, current_leak=0.5)):
        constant = assemble(chain(Weights(ns.Dense(weight)), Offset(value), Neurons(neuron), shape=(3,)))
        table = ns.LIF(0.8, 1e9, current_leak=0.5, gain=np.ones((1, 1)), offset=value[None])
        if isinstance(neuron, ns.LIF):
            table = ns.LIF(0.8, 1.0, current_leak=0.5, gain=np.ones((1, 1)), offset=value[None])
        plain = ns.Network(
            [ns.Population("in", (3,)), ns.Population("l2", (5,), table)], [ns.Projection("in", "l2", ns.Dense(weight))]
        )
        x = ns.Events.from_dense((rng.random((20, 2, 3)) < 0.5).astype(np.uint8))
        a, b = (ns.run(n, x, "reference", ns.Record(membrane=("l2",))) for n in (constant, plain))
        np.testing.assert_allclose(a.membrane["l2"], b.membrane["l2"], atol=1e-12)


def test_an_end_without_neurons_is_a_readout_and_several_ends_are_outputs() -> None:
    graph = block()
    layers = {**graph.layers, "w4": Weights(ns.Dense(eighths(RNG, 2, 6)))}
    network = agree(Graph(layers, [*graph.edges, Edge("b", "w4")]))
    assert network.answers == {"out": "last", "w4": "last"}
    chosen = assemble(Graph(layers, [*graph.edges, Edge("b", "w4")], outputs={"b": "count", "w4": "max"}))
    assert chosen.answers == {"b": "count", "w4": "max"}


def test_input_units_and_magnitudes() -> None:
    graph = Graph(
        {"in": Input((3,), 255, 1 / 256), "w": Weights(ns.Dense(np.eye(3))), "n": lif()},
        [Edge("in", "w"), Edge("w", "n")],
    )
    network = assemble(graph)
    assert network.input.magnitude == 255
    np.testing.assert_array_equal(network.projections[0].synapse.weight, np.eye(3) / 256)


BY_CHANNEL, BY_NEURON = np.array([0.5, -0.25, 0.125]), RNG.integers(-4, 5, (3, 3, 3)) / 8


@pytest.mark.parametrize("constant", [BY_CHANNEL, BY_NEURON], ids=["channel", "neuron"])
@pytest.mark.parametrize("bias", [BY_CHANNEL / 2, BY_NEURON / 2], ids=["channel", "neuron"])
@pytest.mark.parametrize(
    "current", [None, BY_CHANNEL**2, np.where(BY_NEURON > 0, 0.5, 0.25)], ids=["none", "channel", "neuron"]
)
def test_constants_by_channel_and_by_neuron(constant: Any, bias: Any, current: Any) -> None:
    """With as many channels as rows and columns, where a wrong broadcast would go through."""
    readout = Neurons(ns.Readout(bias=bias, leak=0.5, current_leak=current))
    network = assemble(chain(Offset(constant), readout, shape=(3, 3, 3)))
    values = [np.asarray(v) for v in (constant, bias, 0.0 if current is None else current)]
    spread = [v[:, None, None] if v.ndim == 1 else v for v in values]
    x = (np.random.default_rng(9).random((STEPS, 1, 3, 3, 3)) < 0.4).astype(np.uint8)
    i, v = np.zeros((3, 3, 3)), np.zeros((3, 3, 3))
    for step in x[:, 0]:
        i = spread[2] * i + step + spread[0]
        v = 0.5 * v + i + spread[1]
    np.testing.assert_allclose(ns.run(network, ns.Events.from_dense(x), "reference").output.reshape(3, 3, 3), v)


def test_too_many_paths_and_entries() -> None:
    layers: dict[str, Layer] = {"in": Input((2,))}
    edges: list[Edge] = []
    for i in range(13):
        layers |= {f"{name}{i}": Scale(0.5) for name in "abc"}
        before = f"c{i - 1}" if i else "in"
        edges += [Edge(before, f"a{i}"), Edge(before, f"b{i}"), Edge(f"a{i}", f"c{i}"), Edge(f"b{i}", f"c{i}")]
    with pytest.raises(ExportError, match="layer 'c12': is reached on over 4096 paths"):
        assemble(Graph({**layers, "n": lif()}, [*edges, Edge("c12", "n")]))
    narrow = Weights(ns.Dense(np.ones((1, 9000)))), Weights(ns.Dense(np.ones((9000, 1))))
    with pytest.raises(ExportError, match="layer 'l1': needs a matrix of 81,000,000 entries"):
        assemble(chain(*narrow, lif(), shape=(9000,)))


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    """Chains, branches that meet, and feedback; every third on the event back end."""
    backend = "event" if seed % 3 == 0 else "reference"
    agree(random_graph(np.random.default_rng(seed)), backend, seed, quiet=True)


MAX = MaxPool(ns.MaxPool2d(2))
POINT = Weights(ns.Conv2d(np.ones((1, 3, 1, 1))))
UNEQUAL: dict[str, Layer] = {"in": Input((4,)), "w": Weights(ns.Dense(np.ones((3, 4)))), "n": lif()}
EDGES = [Edge("in", "w"), Edge("w", "n"), Edge("in", "n")]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: block(("c", "a", 0)), "graph: has a cycle without delay: "),
        (lambda: chain(Weights(ns.Dense(np.ones((2, 7)))), lif()), r"layer 'l0': Dense: weight: has 7 inputs"),
        (lambda: chain(), "is an input without a layer behind it"),
        (lambda: chain(CONV, MAX, POINT, lif()), "layer 'l2': follows max pooling of weighted sums"),
        (lambda: chain(CONV, MAX, Scale(-1.0), lif()), "layer 'l2': follows max pooling"),
        (lambda: chain(Reindex(np.array([60])), lif()), "layer 'l0': selects element 60 of 60"),
        (lambda: chain(CONV, Scale([1.0, 2.0]), lif()), r"layer 'l1': values: of shape \(2,\) do not fit \(3, 3, 4\)"),
        (lambda: Graph({**UNEQUAL, "m": lif()}, EDGES[:2]), "layer 'm': receives nothing"),
        (lambda: Graph(UNEQUAL, EDGES), r"layer 'n': adds values of shapes \(3,\) and \(4,\)"),
    ],
)  # fmt: skip
def test_what_no_network_expresses_is_refused_by_name(graph: Callable[[], Graph], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        assemble(graph())


def test_a_matrix_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "MAX_ENTRIES", 100)
    with pytest.raises(ExportError, match=r"layer 'l1': needs a matrix of .* no single convolution"):
        assemble(chain(*CHAINS["conv, padded conv"], lif()))


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(NetworkError, match="there is no 'b'"):
        Graph({"a": Input((1,))}, [Edge("a", "b")])
