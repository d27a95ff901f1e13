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
    ("'0' (Linear): has input of shape (2, 9, 8); put nn.Flatten", [nn.Linear(4, 3), LIF()]),
    ("(Conv2d): follows max pooling", [nn.MaxPool2d(2), nn.Conv2d(2, 3, 3), LIF()]),
    ("'1' (Linear): has input of shape (2, 72)", [nn.Flatten(2), nn.Linear(8, 2)]),
    ("'3' (Linear)", [nn.Flatten(), nn.Linear(144, 3), training.Readout(), nn.Linear(3, 3)]),
    ("leak 0", [nn.Conv2d(2, 3, 3), LIF(leak=0.0, order="fire_first")]),
    ("no layer with weights", [nn.Flatten()]),
    ("'1' (GroupNorm)", [nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), LIF()]),
    ("'1' (LayerNorm)", [nn.Flatten(), nn.LayerNorm(144), nn.Linear(144, 3), LIF()]),
    ("'0' (InstanceNorm2d)", [nn.InstanceNorm2d(2), nn.Conv2d(2, 4, 3), LIF()]),
    ("'1' (BatchNorm2d): is a batch norm without", [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)]),
    ("'1' (GELU)", [nn.Conv2d(2, 3, 3), nn.GELU(), LIF()]),
    ("'0' (LazyConv2d): has no weights yet", [nn.LazyConv2d(3, 3), LIF()]),
]


@pytest.mark.parametrize(("message", "layers"), REFUSED, ids=[f"{i}-{m}" for i, (m, _) in enumerate(REFUSED)])
def test_what_cannot_be_expressed_is_refused_by_name(message: str, layers: list[nn.Module]) -> None:
    with pytest.raises(ExportError) as error:
        to_network(nn.Sequential(*layers), SHAPE)
    assert message in str(error.value)


EXACT: list[list[nn.Module]] = [
    [nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3), LIF()],
    [nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), LIF()],
    [nn.Conv2d(2, 3, 3), LIF(), nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Conv2d(3, 2, 1), LIF()],
    [nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(2, 3, 2), LIF()],
    [nn.AvgPool2d(2, padding=1, count_include_pad=False), nn.Conv2d(2, 3, 2), LIF()],
    [nn.AdaptiveAvgPool2d(4), nn.Conv2d(2, 3, 2), LIF()],
    [nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), LIF()],
    [nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), LIF()],
    [nn.Conv2d(2, 3, 2, padding="same"), LIF()],
    [nn.Conv2d(2, 3, 3), LIF(), nn.Conv2d(3, 3, 3), LIF(order="fire_first")],
    [nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1), LIF(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1), LIF()],
    [nn.Conv2d(2, 3, 3), LIF(), nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1), LIF()],
    [nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3), LIF()],
    [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2, 3, 3), LIF()],
    [nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(2, 3, 3), LIF()],
    [nn.Flatten(), nn.Linear(144, 16), LIF(), nn.Unflatten(1, (4, 2, 2)), nn.Conv2d(4, 2, 2), LIF()],
    [nn.Conv2d(2, 4, 3), nn.PixelShuffle(2), LIF(), nn.Flatten(2), nn.Conv1d(1, 2, 5, stride=2), LIF()],
    [nn.Flatten(2), nn.Conv1d(2, 3, 5), LIF(), nn.MaxPool1d(2), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(51, 4)],
    [nn.Conv2d(2, 3, 3), LIF(), nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(36, 10), LIF()],
    [nn.Unflatten(1, (1, 2)), nn.Conv3d(1, 2, 2), LIF(), nn.Flatten(), nn.Linear(112, 4), nn.Softmax(1)],
    [nn.Linear(8, 5), LIF()],
]


@pytest.mark.parametrize("layers", EXACT, ids=range(len(EXACT)))
def test_spikes_are_those_of_the_module(layers: list[nn.Module]) -> None:
    """The export compares them itself, with `check`; here on other input, by the event back end."""
    torch.manual_seed(0)
    net = training.SpikingSequential(*layers).double().eval()
    for name, value in net.state_dict().items():
        if value.ndim and "var" not in name:
            nn.init.normal_(value, 0.1, 0.5)
    network = to_network(net, SHAPE)
    events, x = inputs()
    names = [name for name, layer in net.named_children() if isinstance(layer, LIF)]
    populations = [p.name for p in network.populations if isinstance(p.neuron, ns.LIF) and p.name[:4] != "pool"]
    recording = ns.run(network, events, "reference", ns.Record(spikes=tuple(populations)))
    _, kept = net.activations(x, names)
    for name, population in zip(names, populations, strict=True):
        spikes = kept[name].detach().numpy()
        assert spikes.any()
        late = int(getattr(net, name).order == "fire_first")
        ours = recording.spikes[population].dense().reshape(spikes.shape)
        np.testing.assert_array_equal(ours[: len(spikes) - late], spikes[late:], err_msg=name)


def test_a_module_that_is_used_twice_is_read_twice() -> None:
    def layers(first: nn.Module, second: nn.Module) -> list[nn.Module]:
        convs = [nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)]
        return [convs[0], LIF(), first, convs[1], LIF(), second, convs[2], LIF()]

    pool = nn.MaxPool2d(2)
    torch.manual_seed(0)
    shared = training.SpikingSequential(*layers(pool, pool))
    torch.manual_seed(0)
    own = training.SpikingSequential(*layers(pool, nn.MaxPool2d(2)))
    x = torch.rand(3, 2, *SHAPE)
    torch.testing.assert_close(shared(x), own(x), rtol=0, atol=0)
    network = to_network(shared, SHAPE)
    assert network == to_network(own, SHAPE)
    assert [p.shape for p in network.populations][-1] == (4, 2, 2)


def test_a_quantised_export_is_planned_for_its_longest_run() -> None:
    """Calibrated on 4 steps; its readout then runs for 4,000."""
    net, (events, _) = module(), inputs(steps=4)
    short, planned = (ns.export(net, SHAPE, ns.Precision.lava(), events, longest_run=steps) for steps in (None, 4000))
    limit = 2**23 - 1
    reached = [np.abs(ns.run(fixed, inputs(steps=4000, samples=1)[0]).output).max() for fixed in (short, planned)]
    assert reached[0] == limit > reached[1] > 0
