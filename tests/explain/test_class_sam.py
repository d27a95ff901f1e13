"""Class-conditional SAM: its equations in plain loops, on float and fixed-point networks and torch modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam.attribution import ModuleClassSAM
from neurosam.deploy.from_torch import to_network
from neurosam.errors import NeurosamError
from neurosam.explain.class_sam import ClassSAM, class_maps, contributions
from neurosam.training import BNTT, LIF, Readout, SpikingSequential

T, B, K = 6, 2, 3
RNG = np.random.default_rng(0)


def module() -> SpikingSequential:
    torch.manual_seed(0)
    net = SpikingSequential(
        nn.Conv2d(2, 4, 3, stride=(2, 1), padding=1, groups=2), LIF(0.9, 0.2),
        nn.AvgPool2d(2), nn.Conv2d(4, 5, 2, dilation=2, bias=False), BNTT(5, T), LIF(0.8, np.linspace(0.1, 0.3, 5)),
        nn.Flatten(), nn.Linear(5 * 2 * 2, K), Readout("sum"),
    ).double()  # fmt: skip
    with torch.no_grad():
        net[4].weight.mul_(torch.linspace(0.5, 2, 5 * T, dtype=torch.float64).reshape(T, 5))  # type: ignore[operator]
    return net.eval()


def fixed(exponents: tuple[int, int] = (0, 0)) -> ns.Network:
    """Two convolutions, of which the second meets a pooled shortcut in the readout."""
    rng = np.random.default_rng(1)
    kernel = rng.integers(-20, 60, (3, 1, 3, 3)).astype(np.int8)
    top = rng.integers(-20, 60, (2, 3, 3, 3)).astype(np.int8)
    first, second = (rng.integers(-100, 100, (K, n)).astype(np.int8) for n in (3 * 4, 2 * 4))
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("a", (3, 4, 4), ns.FixedLIF(400, 60)),
            ns.Population("b", (2, 2, 2), ns.FixedLIF(400, np.array([90, 30]))),
            ns.Population("out", (K,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(kernel)),
            ns.Projection("a", "b", ns.Conv2d(top)),
            ns.Projection("b", "out", ns.Dense(second), exponent=exponents[1]),
            ns.Projection("a", "out", ns.Dense(first), pool=ns.SumPool2d(2), exponent=exponents[0], delay=2),
        ],
    )


def spikes(network: ns.Network, layer: str) -> tuple[ns.Events, ns.Recording]:
    events = ns.encode(np.random.default_rng(2).random((B, *network.input.shape)), T, "poisson", 4)
    return events, ns.run(network, events, "reference", ns.Record(spikes=(layer,)))


def by_definition(train: np.ndarray[Any, Any], weight: np.ndarray[Any, Any], gamma: float) -> np.ndarray[Any, Any]:
    """Equation 1 with the sum over previous spikes written out."""
    steps, samples, _, height, width = train.shape
    maps = np.zeros((steps, samples, height, width))
    for t, b, c, y, x in zip(*np.nonzero(train), strict=True):
        score = sum(np.exp(-gamma * (t - before)) for before in range(t) if train[before, b, c, y, x])
        maps[t, b, y, x] += weight[b, c, y, x] * score
    return maps


def test_maps_are_their_definition() -> None:
    train = (RNG.random((T, B, 3, 4, 5)) < 0.5).astype(np.uint8)
    weight = RNG.normal(size=(B, 3, 4, 5))
    found = class_maps(train, ns.SamTrace(0.3), weight)
    np.testing.assert_allclose(found, by_definition(train, weight, 0.3), rtol=1e-12, atol=1e-14)
    ones = class_maps(ns.Spikes.from_dense(train), ns.SamTrace(0.3, "official"), np.ones_like(weight))
    np.testing.assert_allclose(ones, ns.from_spikes(train, ns.SamTrace(0.3, "official")), rtol=1e-12)


def test_without_memory_the_maps_add_up_to_the_logit() -> None:
    """Inclusive and forgetting at once: a score is 1, and Eq. 2 is exact."""
    net = module()
    x = (torch.rand(T, B, 2, 16, 8, generator=torch.Generator().manual_seed(3)) < 0.5).double()
    with torch.no_grad():
        wanted = net(x)[range(B), [2, 0]] - T * net[7].bias[[2, 0]]  # type: ignore[index]
    maps = ModuleClassSAM(net, "5", gamma=1e3, mode="inclusive").attribute(x, [2, 0])
    np.testing.assert_allclose(maps.sum(axis=(0, 2, 3)), wanted.numpy(), rtol=1e-12)
    network = to_network(net, (2, 16, 8))
    sam = ClassSAM(network, network.populations[-2].name, gamma=1e3, mode="inclusive", backend="reference")
    assert sam.contributions.exact
    found = sam.attribute(ns.Events.from_dense(x.numpy().astype(np.uint8)), [2, 0])
    np.testing.assert_allclose(found, maps, rtol=1e-12, atol=1e-15)


def test_in_integers_the_maps_of_a_run_add_up_to_the_readout_exactly() -> None:
    network = fixed((2, -1))
    events, recording = spikes(network, "b")
    train = recording.spikes["b"].dense().astype(np.int64)
    r = contributions(network, "b")
    assert r.exact
    assert r.weight.dtype == np.int64
    np.testing.assert_array_equal(r.weight.reshape(K, -1), network.projections[2].synapse.weight)
    contrast = contributions(network, "b", contrast=True)
    assert contrast.scale == K
    np.testing.assert_array_equal(contrast.weight, K * r.weight - r.weight.sum(axis=0))
    sam = ClassSAM(network, "b", gamma=0.3, backend="reference")
    found = sam.attribute(events, target=1)
    assert found.dtype == np.int32
    trace = sam.trace()
    assert isinstance(trace, ns.FixedSamTrace)
    wanted = np.zeros(found.shape, dtype=np.int64)
    state, last = np.zeros(train.shape[1:], dtype=np.int64), np.zeros(train.shape[1:], dtype=np.int64)
    for t, b, c, y, x in zip(*np.nonzero(train), strict=True):
        at = b, c, y, x
        factor = int(trace.table[min(t - last[at], trace.table.size - 1)])
        decayed = (int(state[at]) * factor) >> trace.shift
        wanted[t, b, y, x] += int(r.weight[1, c, y, x]) * decayed
        state[at], last[at] = decayed + trace.impulse, t
    np.testing.assert_array_equal(found, wanted)
    assert found.any()
    assert trace.largest() * r.largest_sum < 2**23
    exactly = class_maps(
        train, ns.FixedSamTrace(np.array([1, 0]), 1, 2, "inclusive"), np.broadcast_to(r.weight[1], train[0].shape)
    )
    np.testing.assert_array_equal(
        exactly.sum(axis=(0, 2, 3)), 2 * (train.reshape(T, B, -1).sum(0) @ r.weight[1].ravel())
    )


def test_weights_through_a_layer_between_are_the_matrix_product() -> None:
    """Every synapse as a matrix, found by sending single spikes: independent of the transposed loops."""
    network = fixed((1, 0))
    r = contributions(network, "a", bits=16)
    assert not r.exact
    conv, top, short = network.projections[1].synapse, network.projections[2].synapse, network.projections[3].synapse
    kernel = torch.from_numpy(conv.weight.astype(np.float64))
    units = torch.eye(48, dtype=torch.float64).reshape(48, 3, 4, 4)
    between = nn.functional.conv2d(units, kernel) / torch.tensor([90.0, 30.0]).reshape(1, 2, 1, 1)
    through = between.reshape(48, -1).numpy() @ top.weight.T.astype(np.float64)
    pooled = nn.functional.avg_pool2d(units, 2).reshape(48, -1).numpy() * 4 @ short.weight.T.astype(np.float64) * 2
    wanted = (through + pooled).T.reshape(K, 3, 4, 4)
    np.testing.assert_allclose(r.weight / r.scale, wanted, atol=0.5001 / r.scale)
    assert np.abs(r.weight).max() == 2**15 - 1


def test_a_module_and_its_network_agree() -> None:
    """Grouped, strided and dilated convolutions, a pool, batch norm through time, thresholds per channel."""
    net = module()
    network = to_network(net, (2, 16, 8))
    x = (torch.rand(T, B, 2, 16, 8, generator=torch.Generator().manual_seed(3)) < 0.5).double()
    for contrast in (False, True):
        sam = ClassSAM(network, "conv1", mode="official", contrast=contrast, backend="reference")
        wanted = sam.attribute(ns.Events.from_dense(x.numpy().astype(np.uint8)), [1, 2])
        assert wanted.any()
        found = ModuleClassSAM(net, "1", mode="official", contrast=contrast).attribute(x, [1, 2])
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)
    given = ModuleClassSAM(net, "1", mode="official", weight=contributions(network, "conv1").weight, contrast=True)
    np.testing.assert_allclose(given.attribute(x, [1, 2]), wanted, rtol=1e-10, atol=1e-13)


def test_what_has_no_class_maps() -> None:
    network = fixed()
    with pytest.raises(NeurosamError, match="layer 'out': does not spike"):
        contributions(network, "out")
    with pytest.raises(NeurosamError, match=r"got 7\.\.7; the 3 outputs are numbered 0\.\.2"):
        ClassSAM(network, "b", backend="reference").attribute(np.ones((1, 1, 6, 6)), 7, steps=2)
    with pytest.raises(NeurosamError, match="integers are required with a fixed-point trace"):
        class_maps(np.ones((2, 1, 3)), ns.FixedSamTrace(np.array([2, 1, 0]), 1, 2), np.ones((1, 3, 1, 1)))
    with pytest.raises(NeurosamError, match=r"must stay below 2\^23"):
        class_maps(np.ones((9, 1, 3)), ns.FixedSamTrace(np.array([2, 1, 0]), 1, 2), np.full((1, 3, 1, 1), 2**22))
    pooled = SpikingSequential(
        nn.Conv2d(1, 2, 1), LIF(0.9, 0.2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2), Readout()
    )
    with pytest.raises(NeurosamError, match="layer '2': is MaxPool2d, between the map's layer and the readout"):
        ModuleClassSAM(pooled, "1").attribute(torch.ones(2, 1, 1, 4, 4))
    with pytest.raises(NeurosamError, match="cannot follow Sequential from the layer to the logits; give weight"):
        ModuleClassSAM(nn.Sequential(nn.ReLU()), "0")
    neuron = ns.LIF(0.9, 1.0)
    loop = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (2,), neuron), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection(p, q, ns.Dense(np.eye(2))) for p, q in (("in", "a"), ("a", "a"), ("a", "out"))],
    )
    with pytest.raises(NeurosamError, match="reaches the output through the cycle at 'a'"):
        contributions(loop, "a")
