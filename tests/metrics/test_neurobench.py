"""NeuroBench's definitions: numbers by hand, and how its harness counts, restated in torch, on random networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

import neurosam as ns
from neurosam.metrics.connections import deliveries
from neurosam.metrics.layers import layers, neuron_layers
from neurosam.metrics.measures import neurobench
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.metrics.static import connection_sparsity, parameter_count
from neurosam.network.synapse import Conv2d, Dense, Sparse
from neurosam.signals.recording import Recording
from support.networks import KINDS, random_case

Array = npt.NDArray[Any]


# --- with a pool ------------------------------------------------------------------------------------------------------


def pooled(x: Array, synapse: ns.Dense | ns.Conv2d, steps: int = 1) -> tuple[ns.Network, ns.Events, Recording]:
    """One picture of 4 x 4 -> sum pool of 2 x 2 -> synapse -> readout."""
    shape = synapse.output_shape((1, 2, 2) if isinstance(synapse, Conv2d) else (4,))
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("out", shape, ns.Readout())],
        [ns.Projection("in", "out", synapse, pool=ns.SumPool2d(2))],
    )
    events = ns.Events.from_dense(x.reshape(steps, -1, 1, 4, 4))
    return network, events, ns.run(network, events, "reference", ns.Record.everything(network))


PICTURE = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
"""Windows of 4, 0, 1 and 0 spikes."""


def test_a_window_is_one_value_however_many_spikes_it_holds() -> None:
    """Five spikes reach three weights each, of which a chip adds 15; NeuroBench multiplies two values, 4 and 1."""
    network, events, made = pooled(PICTURE, Dense(np.array([[1.0, 1, 1, 1], [0, 1, 1, 1], [2, 0, 0, 0]])))
    assert deliveries(network, made, events) == {"in->out": 15} == dict(made.operations)
    window_0, window_2 = 2, 2  # non-zero weights: rows 0 and 2, and rows 0 and 1
    assert synaptic_operations(network, made, events)["in->out"] == Operations(0, window_0 + window_2, 3 * 4)


def test_effective_operations_never_exceed_dense_where_deliveries_do() -> None:
    network, events, made = pooled(np.ones((4, 4), int), Dense(np.ones((3, 4))))
    assert deliveries(network, made, events) == {"in->out": 16 * 3}
    assert synaptic_operations(network, made, events)["in->out"] == Operations(0, 12, 12)


def test_single_spikes_in_their_windows_are_accumulates() -> None:
    single = np.zeros((4, 4), int)
    single[1, 2] = 1
    both = np.stack([PICTURE, single])  # step 0 multiplies, step 1 adds
    network, events, made = pooled(both, Dense(np.ones((3, 4))), steps=2)
    assert synaptic_operations(network, made, events)["in->out"] == Operations(3, 6, 24)


def test_one_graded_value_makes_the_whole_batch_multiply() -> None:
    single = np.zeros((4, 4), int)
    single[1, 2] = 1
    network, events, made = pooled(np.stack([PICTURE, single]), Dense(np.ones((3, 4))))
    assert made.samples == 2
    assert synaptic_operations(network, made, events)["in->out"] == Operations(0, 6 + 3, 24)
    assert synaptic_operations(network, made, events, batch_size=1)["in->out"] == Operations(3, 6, 24)
    assert neurobench(network, made, events, batch_size=1)["SynapticOperations"] == {
        "Effective_MACs": 3.0, "Effective_ACs": 1.5, "Dense": 12.0
    }  # fmt: skip


def test_padding_is_no_connection() -> None:
    """A 3 x 3 kernel on 2 x 2 windows with padding 1: each of the 4 values reaches all 4 outputs."""
    network, events, made = pooled(PICTURE, Conv2d(np.ones((1, 1, 3, 3)), padding=1))
    assert synaptic_operations(network, made, events)["in->out"] == Operations(0, 2 * 4, 4 * 4)


# --- what is no layer, and what is one --------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [False, True])
def test_max_pooling_of_spikes_has_no_weights_and_no_neurons(fixed: bool) -> None:
    """nn.MaxPool2d is no layer: all numbers are those of its neighbours."""
    one: Any = np.int8 if fixed else float
    conv = ns.Population("conv", (2, 4, 4), ns.FixedLIF(410, 1) if fixed else ns.LIF(0.9, 1.0))
    pool = ns.max_pool(conv, "pool", 2, fixed=fixed, delay=0)
    out = ns.Population("out", (3,), ns.FixedLIF(410, 1) if fixed else ns.LIF(0.9, 1.0))
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), conv, pool.population, out],
        [
            ns.Projection("in", "conv", Conv2d(np.full((2, 1, 1, 1), 2, one)), delay=0),
            pool.projection,
            ns.Projection("pool", "out", Dense(np.full((3, 8), 2, one)), delay=0),
        ],
        precision=ns.Precision.lava() if fixed else None,
    )
    x = np.zeros((2, 1, 1, 4, 4), int)
    x[0, 0, 0, 0, :2] = 1  # two spikes of each of two channels, in one window
    events = ns.Events.from_dense(x)
    made = ns.run(network, events, "reference", ns.Record.everything(network))
    assert [p.name for p in neuron_layers(network)] == ["conv", "out"]
    found = neurobench(network, made, events)
    assert found["ParameterCount"] == 2 + 24
    assert found["SynapticOperations"] == {
        "Effective_MACs": 0.0, "Effective_ACs": 2 * 2 + 2 * 3, "Dense": 2 * (32 + 24)
    }  # fmt: skip
    assert found["ActivationSparsityByLayer"] == {
        "conv": (64 - int(made.counts["conv"].sum())) / 64, "out": (6 - int(made.counts["out"].sum())) / 6,
    }  # fmt: skip
    assert deliveries(network, made, events)["conv->pool"] == int(made.counts["conv"].sum())
    # neurons that remember are a layer of their own
    kept = replace(pool.population, neuron=ns.FixedLIF(0, 1, "zero") if fixed else ns.LIF(0.5, 0.5, "zero"))
    other = replace(network, populations=(*network.populations[:2], kept, out))
    assert [p.name for p in neuron_layers(other)] == ["conv", "pool", "out"]


def test_a_chip_that_adds_to_a_decay_forgets_with_one_less() -> None:
    conv = ns.Population("conv", (2, 4, 4), ns.FixedLIF(410, 1))
    pool = ns.max_pool(conv, "pool", 2, fixed=True)
    one_less = replace(pool.population, neuron=ns.FixedLIF(4095, 1, "zero"))
    for offset, names in ((1, ["conv"]), (0, ["conv", "pool"])):
        network = ns.Network(
            [ns.Population("in", (1, 4, 4)), conv, one_less],
            [ns.Projection("in", "conv", Conv2d(np.full((2, 1, 1, 1), 2, np.int8))), pool.projection],
            precision=ns.Precision("chip", 8, membrane_decay_offset=offset),
        )
        assert [p.name for p in neuron_layers(network)] == names


@pytest.mark.parametrize(
    ("neuron", "pools"),
    [
        (ns.FixedLIF(4096, 1, "zero"), True),
        (ns.FixedLIF(np.array([4096, 4095]), 1, "zero"), False),  # one channel remembers
        (ns.FixedLIF(4096, np.array([1, 2]), "zero"), False),  # one needs two spikes
        (ns.FixedLIF(4096, np.array([1, 1, 1, 1, 1, 1, 1, 2]).reshape(2, 2, 2), "zero"), False),  # as one neuron does
        (ns.FixedLIF(4096, 1, "zero", bias_mantissa=1), False),
        (ns.FixedLIF(4096, 1, "zero", refractory=1), False),
    ],
)
def test_a_max_pool_is_what_fires_with_any_spike(neuron: ns.FixedLIF, pools: bool) -> None:
    conv = ns.Population("conv", (2, 4, 4), ns.FixedLIF(410, 1))
    pool = ns.max_pool(conv, "pool", 2, fixed=True)
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), conv, replace(pool.population, neuron=neuron)],
        [ns.Projection("in", "conv", Conv2d(np.full((2, 1, 1, 1), 2, np.int8))), pool.projection],
    )
    assert [p.name for p in neuron_layers(network)] == (["conv"] if pools else ["conv", "pool"])
    uneven = np.array([2, 2, 2, 3] * 2, np.int8).reshape(2, 1, 2, 2)
    other = replace(pool.projection, synapse=replace(pool.projection.synapse, weight=uneven))
    network = replace(network, projections=(network.projections[0], other))
    assert [p.name for p in neuron_layers(network)] == ["conv", "pool"]


def test_no_samples_make_no_operations() -> None:
    network, events, _ = pooled(PICTURE, Dense(np.ones((3, 4))))
    events = events.select(0, 0)
    found = neurobench(network, ns.run(network, events, "reference", ns.Record.everything(network)), events)
    assert found["SynapticOperations"] == {"Effective_MACs": 0.0, "Effective_ACs": 0.0, "Dense": 0.0}
    assert found["MembraneUpdates"] == 0.0


@pytest.mark.parametrize("sparse", [False, True])
def test_weights_beyond_8_bits_are_one_layer(sparse: bool) -> None:
    """Two projections on a chip: 300 = 44 + 2 * 128, 0 and 2 have one part that is 0."""
    weight = np.array([[300, 0, 1], [2, -301, 0]])
    network = ns.Network(
        [ns.Population("in", (3,)), ns.Population("out", (2,), ns.FixedReadout())],
        [ns.Projection("in", "out", Sparse.from_dense(weight) if sparse else Dense(weight))],
    )
    assert len(network.projections) == 2
    assert len(layers(network)) == 1
    assert parameter_count(network) == (4 if sparse else 6)
    assert connection_sparsity(network) == 2 / 6
    events = ns.Events.from_dense(np.ones((1, 1, 3), int))
    made = ns.run(network, events, "reference", ns.Record.everything(network))
    assert synaptic_operations(network, made, events)["in->out"] == Operations(4, 0, 6)


def test_a_network_without_spiking_neurons_has_sparsity_0() -> None:
    network, events, made = pooled(PICTURE, Dense(np.ones((3, 4))))
    found = neurobench(network, made, events)
    assert found["ActivationSparsity"] == 0.0
    assert found["ActivationSparsityByLayer"] == {}
    assert found["NeuronOperations"] == {"Effective Neuron Ops": 0.0, "Neuron Dense Ops": 0.0}


# --- random networks --------------------------------------------------------------------------------------------------


def binary(x: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(x) != 0).double()


def by_the_harness(network: ns.Network, made: Recording, events: ns.Events, batch_size: int) -> dict[str, list[int]]:
    """ACs, MACs and Dense: the layer itself, with ones for what is not 0, applied to such an input."""
    total: dict[str, list[int]] = {}
    for layer in layers(network):
        projection = layer.projection
        synapse, source = projection.synapse, network[projection.source]
        values = events.dense() if source.neuron is None else made.spikes[source.name].dense()
        lag = network.lag(projection)
        counted = total.setdefault(projection.label, [0, 0, 0])
        for t in range(events.steps):
            for first in range(0, events.samples, batch_size):
                sent = values[t - lag] if t >= lag else np.zeros_like(values[0])
                x = torch.as_tensor(sent[first : first + batch_size].astype(float))
                if projection.pool is not None:
                    kernel, stride, padding = projection.pool.geometry
                    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
                    x = F.conv2d(x, ones, stride=stride, padding=padding, groups=x.shape[1])
                graded = bool(((x != 0) & (x != 1) & (x != -1)).any())
                for place, weight, inputs in (
                    (int(graded), binary(synapse.weight), binary(x)),
                    (2, torch.ones(synapse.weight.shape).double(), torch.ones_like(x)),
                ):
                    if isinstance(synapse, Conv2d):
                        stride, padding, dilation = synapse.geometry
                        out = F.conv2d(inputs, weight, None, stride, padding, dilation, synapse.groups)
                    elif isinstance(synapse, Dense):
                        out = inputs.flatten(1) @ weight.T
                    else:
                        full = np.ones((synapse.indptr.size - 1, synapse.sources))
                        matrix = full if place == 2 else synapse.to_dense() != 0
                        out = inputs.flatten(1) @ torch.as_tensor(matrix).double().T
                    counted[place] += int(out.sum())
    return total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_operations_of_random_runs_are_those_of_binary_layers(seed: int, kind: str) -> None:
    network, events = random_case(np.random.default_rng(seed), kind, fixed=seed % 2 == 0)
    made = ns.run(network, events, "reference", ns.Record.everything(network))
    for batch_size in (1, events.samples):
        found = synaptic_operations(network, made, events, batch_size=batch_size)
        expected = by_the_harness(network, made, events, batch_size)
        assert {n: [o.effective_acs, o.effective_macs, o.dense] for n, o in found.items()} == expected
        assert all(o.effective_acs + o.effective_macs <= o.dense for o in found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_effective_operations_are_bounded_by_dense(kind: str) -> None:
    for seed in range(10, 16):
        network, events = random_case(np.random.default_rng(seed), kind)
        made = ns.run(network, events, "reference", ns.Record.everything(network))
        for found in synaptic_operations(network, made, events).values():
            assert 0 <= found.effective_acs + found.effective_macs <= found.dense
