"""Export: the network has the spikes of the module; what a network cannot represent is refused."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam import training
from neurosam.deploy.from_torch import to_network
from neurosam.errors import ExportError

SHAPE = (2, 9, 8)


def module(order: str = "integrate_first", reset: str = "subtract", **lif: Any) -> training.SpikingSequential:
    """Every layer that export supports, with trained batch norm statistics, in float64."""
    torch.manual_seed(0)

    def neurons() -> training.LIF:
        return training.LIF(**{"leak": 0.8, "threshold": 0.6, "reset": reset, "order": order, **lif})

    layers = OrderedDict(
        conv1_conv=nn.Conv2d(2, 6, 3, padding=1, bias=False),
        conv1_bn=nn.BatchNorm2d(6),
        conv1=neurons(),
        drop=nn.Dropout2d(0.1),
        pool1=nn.AvgPool2d(2, stride=2),
        conv2_conv=nn.Conv2d(6, 8, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2), groups=2),
        conv2=neurons(),
        pool2=nn.MaxPool2d((2, 1)),
        flatten=nn.Flatten(),
        dense1_linear=nn.Linear(8 * 2 * 1, 12),
        dense1_bn=nn.BatchNorm1d(12),
        dense1=neurons(),
        out_linear=nn.Linear(12, 5),
        out=training.Readout("sum"),
    )
    net = training.SpikingSequential(layers).double()
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(4, 8, *SHAPE, dtype=torch.float64))
    return net.eval()


def inputs(steps: int = 7, samples: int = 5) -> tuple[ns.Events, torch.Tensor]:
    dense = (np.random.default_rng(1).random((steps, samples, *SHAPE)) < 0.5).astype(np.uint8)
    return ns.Events.from_dense(dense), torch.tensor(dense, dtype=torch.float64)


@pytest.mark.parametrize("backend", ["reference", "event"])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("current", [None, 0.5])
def test_integrate_first_is_the_module(backend: str, reset: str, current: float | None) -> None:
    net = module(reset=reset, current_leak=current)
    events, x = inputs()
    record = ns.Record(spikes=("conv1", "conv2", "dense1"))
    recording = ns.run(to_network(net, SHAPE), events, backend, record)
    output, kept = net.activations(x, ("conv1", "conv2", "dense1"))
    assert sum(int(s.detach().sum()) for s in kept.values()) > 100
    for name, spikes in kept.items():
        np.testing.assert_array_equal(recording.spikes[name].dense(), spikes.detach().numpy(), err_msg=name)
    np.testing.assert_allclose(recording.output, output.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_fire_first_is_the_module_one_step_earlier(reset: str) -> None:
    net = module(order="fire_first", reset=reset)
    events, x = inputs(steps=9)
    network = to_network(net, SHAPE)
    recording = ns.run(network, events, "reference", ns.Record(spikes=("conv1", "conv2", "dense1")))
    output, kept = net.activations(x, ("conv1", "conv2", "dense1"))
    for name, spikes in kept.items():
        theirs = spikes.detach().numpy()
        assert not theirs[0].any()
        assert theirs.any()
        np.testing.assert_array_equal(recording.spikes[name].dense()[:-1], theirs[1:], err_msg=name)
    np.testing.assert_allclose(recording.output, output.detach().numpy(), rtol=0, atol=1e-12)


def test_names_shapes_and_delays() -> None:
    network = to_network(module(), SHAPE, metadata={"classes": "five"})
    assert [p.name for p in network.populations] == ["input", "conv1", "conv2", "pool2", "dense1", "out"]
    assert network["conv2"].shape == (8, 4, 1)
    assert [p.delay for p in network.projections] == [1, 1, 1, 1, 1]
    assert [network.lag(p) for p in network.projections] == [0, 0, 0, 0, 0]
    assert set(network.sam) == {"conv1", "conv2", "pool2", "dense1"}
    assert network.metadata == {"classes": "five"}


def test_plain_and_nested_sequentials_get_names() -> None:
    plain = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), training.LIF()),
        nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 4),
        training.LIF(),
        nn.Linear(4, 2),
    )
    network = to_network(plain, SHAPE)
    assert [p.name for p in network.populations] == ["input", "conv1", "dense1", "out"]
    assert network.projections[1].pool is not None
    assert network.projections[1].pool.area == 7 * 6
    linear = plain[4]
    assert isinstance(linear, nn.Linear)
    expected = linear.weight.detach().double().numpy() / 42
    np.testing.assert_allclose(network.projections[1].synapse.weight, expected, rtol=1e-15)


def test_same_padding_and_input_unit() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding="same", bias=False), training.LIF())
    network = to_network(net, SHAPE, input_unit=1 / 255, magnitude=255)
    assert network["conv1"].shape == (3, 9, 8)
    assert network.input.magnitude == 255
    conv = net[0]
    assert isinstance(conv, nn.Conv2d)
    np.testing.assert_allclose(network.projections[0].synapse.weight * 255, conv.weight.detach().double().numpy())


def test_the_module_stays_as_it_was() -> None:
    net = module().float().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    to_network(net, SHAPE)
    assert net.training
    assert all(
        torch.equal(before[name], value) and before[name].dtype == value.dtype
        for name, value in net.state_dict().items()
    )


LIF = training.LIF
REFUSED: list[tuple[str, list[nn.Module]]] = [
    ("'1' (ReLU)", [nn.Conv2d(2, 3, 3), nn.ReLU()]),
    ("'1' (Conv2d)", [nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3), LIF()]),
    ("'0' (Linear)", [nn.Linear(8, 3), LIF()]),
    ("'0' (LIF)", [LIF()]),
    ("'1' (AvgPool2d)", [nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), LIF()]),
    ("'0' (MaxPool2d)", [nn.MaxPool2d(2), nn.Conv2d(2, 3, 3), LIF()]),
    ("'3' (MaxPool2d)", [nn.Conv2d(2, 3, 3), LIF(), nn.AvgPool2d(2), nn.MaxPool2d(2)]),
    ("'3' (AvgPool2d)", [nn.Conv2d(2, 3, 3), LIF(), nn.AvgPool2d(2), nn.AvgPool2d(2)]),
    ("'2' (AvgPool2d)", [nn.Conv2d(2, 3, 3), LIF(), nn.AvgPool2d(2, ceil_mode=True)]),
    ("'2' (AvgPool2d)", [nn.Conv2d(2, 3, 3), LIF(), nn.AvgPool2d(2, padding=1, count_include_pad=False)]),
    ("'2' (AdaptiveAvgPool2d)", [nn.Conv2d(2, 3, 3), LIF(), nn.AdaptiveAvgPool2d(4)]),
    ("'0' (Flatten)", [nn.Flatten(2), nn.Linear(8, 2)]),
    ("'0' (Conv2d)", [nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), LIF()]),
    ("'0' (Conv2d)", [nn.Conv2d(2, 3, 2, padding="same"), LIF()]),
    ("'3' (Linear)", [nn.Flatten(), nn.Linear(144, 3), training.Readout(), nn.Linear(3, 3)]),
    ("orders", [nn.Conv2d(2, 3, 3), LIF(), nn.Conv2d(3, 3, 3), LIF(order="fire_first")]),
    ("leak 0", [nn.Conv2d(2, 3, 3), LIF(leak=0.0, order="fire_first")]),
    ("no layer with weights", [nn.Flatten()]),
    ("batch norm", [nn.Conv2d(2, 3, 3), LIF(), nn.BatchNorm2d(3)]),
]


@pytest.mark.parametrize(("message", "layers"), REFUSED, ids=[f"{i}-{m}" for i, (m, _) in enumerate(REFUSED)])
def test_what_cannot_be_expressed_is_refused_by_name(message: str, layers: list[nn.Module]) -> None:
    with pytest.raises(ExportError) as error:
        to_network(nn.Sequential(*layers), SHAPE)
    assert message in str(error.value)


def test_a_module_that_is_no_sequential_is_refused() -> None:
    with pytest.raises(ExportError, match="Sequential"):
        to_network(nn.Conv2d(2, 3, 3), SHAPE)  # type: ignore[arg-type]


def test_a_quantised_export_is_planned_for_its_longest_run() -> None:
    """Calibrated on 4 steps; its readout then runs for 4,000."""
    net, (events, _) = module(), inputs(steps=4)
    short, planned = (ns.export(net, SHAPE, ns.Precision.lava(), events, longest_run=steps) for steps in (None, 4000))
    limit = 2**23 - 1
    reached = [np.abs(ns.run(fixed, inputs(steps=4000, samples=1)[0]).output).max() for fixed in (short, planned)]
    assert reached[0] == limit > reached[1] > 0
