"""Sequences over time, descriptions of architectures, folding and fake quantisation."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurosam.errors import ExportError, NetworkError
from neurosam.training import (
    LIF,
    FastSigmoid,
    PiecewiseLinear,
    Readout,
    SpikingSequential,
    build,
    fake_quantise,
    fold_batch_norm,
)


def spikes(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4).double()


def settle(network: SpikingSequential) -> SpikingSequential:
    """Set statistics and parameters of the batch norms to random values, then freeze them."""
    generator = torch.Generator().manual_seed(7)
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and layer.running_mean is not None:
            assert layer.running_var is not None
            for tensor in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                tensor.uniform_(0.2, 0.9, generator=generator)
    return network.eval()


def test_all_steps_at_once_are_the_loop_over_steps() -> None:
    network = settle(build("4C3-P2-4C3S2-M2-D6-D3", (2, 16, 16), dropout=0.3).double())
    x = spikes(5, 3, 2, 16, 16)
    wanted = x
    for layer in network:
        whole = isinstance(layer, (LIF, Readout))
        wanted = layer(wanted) if whole else torch.stack([layer(step) for step in wanted])
    output, kept = network.activations(x, ["conv1", "pool2", "out"])
    assert output.shape == (3, 3)
    torch.testing.assert_close(output, wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(network(x), output)
    assert torch.equal(kept["out"], output)
    assert kept["conv1"].shape == (5, 3, 4, 16, 16)
    assert 0 < kept["conv1"].mean() < 1


def test_samples_do_not_see_one_another() -> None:
    network = settle(build("4C3-P2-D3", (1, 8, 8)).double())
    x = spikes(6, 4, 1, 8, 8)
    one_by_one = torch.cat([network(x[:, [b]]) for b in range(4)])
    torch.testing.assert_close(network(x), one_by_one, rtol=1e-12, atol=1e-12)


def test_max_pooling_of_spikes_is_or() -> None:
    x = spikes(3, 2, 2, 4, 4)
    wanted = x.reshape(3, 2, 2, 2, 2, 2, 2).bool().any(dim=4).any(dim=5)
    assert torch.equal(SpikingSequential(nn.MaxPool2d(2))(x), wanted.double())


def test_from_sequential_shares_parameters_and_keeps_names() -> None:
    plain = nn.Sequential(OrderedDict(flat=nn.Flatten(), synapse=nn.Linear(4, 3), cells=LIF(), sum=Readout()))
    wrapped = SpikingSequential.from_sequential(plain)
    assert list(dict(wrapped.named_children())) == ["flat", "synapse", "cells", "sum"]
    assert wrapped.synapse is plain.synapse
    assert wrapped(torch.rand(3, 2, 1, 2, 2)).shape == (2, 3)


def test_sequences_nest() -> None:
    inner = SpikingSequential(nn.Linear(4, 3), LIF())
    x = torch.rand(5, 2, 4)
    assert torch.equal(SpikingSequential(inner, Readout())(x), Readout()(inner(x)))


def test_kept_activations_carry_gradients() -> None:
    network = build("2C3-D3", (1, 6, 6))
    output, kept = network.activations(torch.rand(4, 2, 1, 6, 6), ["conv1"])
    (gradient,) = torch.autograd.grad(output.sum(), kept["conv1"])
    assert gradient.shape == (4, 2, 2, 6, 6)
    assert gradient.abs().max() > 0


def test_misfits_name_the_layer() -> None:
    network = build("2C3-P2-D3", (1, 6, 6))
    with pytest.raises(NetworkError, match=r"^conv1_conv: Conv2d cannot take \(4, 2, 3, 6, 6\)"):
        network(torch.rand(4, 2, 3, 6, 6))
    with pytest.raises(NetworkError, match=r"^out_linear: Linear cannot take"):
        network(torch.rand(4, 2, 1, 9, 9))
    with pytest.raises(NetworkError, match="got 'conv9'; allowed is conv1_conv, conv1_bn, conv1"):
        network.activations(torch.rand(4, 2, 1, 6, 6), ["conv9"])
    with pytest.raises(NetworkError, match="a readout ends the network"):
        SpikingSequential(Readout(), nn.ReLU())(torch.rand(3, 2, 4))


def test_description_gives_names_and_shapes() -> None:
    network = build("8C5S2-P2-6C3-M2-D7-D4", (3, 24, 32), leak=0.8, reset="zero", surrogate=FastSigmoid())
    assert list(dict(network.named_children())) == [
        *("conv1_conv", "conv1_bn", "conv1", "pool1", "conv2_conv", "conv2_bn", "conv2", "pool2", "flatten"),
        *("dense1_linear", "dense1_bn", "dense1", "out_linear", "out"),
    ]
    x = torch.rand(2, 3, 3, 24, 32)
    output, kept = network.activations(x, ["conv1", "pool1", "conv2", "flatten", "dense1"])
    shapes = [tuple(value.shape[2:]) for value in kept.values()]
    assert shapes == [(8, 12, 16), (8, 6, 8), (6, 6, 8), (6 * 3 * 4,), (7,)]
    assert output.shape == (3, 4)
    for layer in network:
        if isinstance(layer, LIF):
            assert (layer.leak, layer.reset, layer.surrogate) == (0.8, "zero", FastSigmoid())
    assert isinstance(network.out_linear, nn.Linear)
    assert network.out_linear.bias is not None


def test_options_of_build() -> None:
    plain = build("2C3-D5-D3", (1, 5, 5), batch_norm=False, dropout=0.5)
    names = list(dict(plain.named_children()))
    assert names[:3] == ["conv1_conv", "conv1", "flatten"]
    assert names[3:6] == ["dense1_dropout", "dense1_linear", "dense1"]
    assert "conv1_conv.bias" in plain.state_dict()


def test_seed_decides_the_weights_and_leaves_torch_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = (build("2C3-D3", (1, 6, 6), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["conv1_conv.weight"], c["conv1_conv.weight"])


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("", "got '' in ''; allowed are <n>C<k>"),
        ("16C3--D10", "got '' in '16C3--D10'"),
        ("16C-D10", "got '16C' in"),
        ("16X3-D10", "got '16X3'"),
        ("16C3 -D10", "got '16C3 '"),
        ("16C3-P2", "does not end with a dense layer"),
        ("D10-P2-D3", "'P2' comes after a dense layer"),
        ("0C3-D10", "'0C3': got 0; allowed is 1"),
        ("4C3S0-D10", "'4C3S0': got 0"),
        ("P2-P2-P2-D10", "'P2': the window is larger than the remaining side of 1 pixels"),
        ("4C9-P9-D3", "'P9': the window is larger than the remaining side of 6"),
        ("99999C3-D3", "got 99999; allowed is 1..65536"),
    ],
)
def test_wrong_descriptions_are_refused(description: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build(description, (1, 6, 6))


def test_other_wrong_arguments_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"input_shape: got \(6, 6\); three integers"):
        build("D3", (6, 6))  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="dropout: got 1"):
        build("D3", (1, 6, 6), dropout=1.0)
    with pytest.raises(NetworkError, match="leak"):
        build("4C3-D3", (1, 6, 6), leak=2.0)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_folding_changes_nothing_but_the_rounding(batch_norm: bool) -> None:
    network = settle(build("4C3-P2-4C3-D6-D3", (2, 8, 8), batch_norm=batch_norm).double())
    folded = fold_batch_norm(network)
    assert not any("bn" in name for name, _ in folded.named_modules())
    x = spikes(6, 3, 2, 8, 8)
    torch.testing.assert_close(folded(x), network(x), rtol=1e-12, atol=1e-12)
    assert folded(x).std() > 0


def test_folding_refuses_what_it_cannot_fold() -> None:
    with pytest.raises(ExportError, match="1: batch norm follows LIF; it must follow Conv2d or Linear"):
        fold_batch_norm(nn.Sequential(LIF(), nn.BatchNorm1d(3)))
    with pytest.raises(ExportError, match="without running statistics"):
        fold_batch_norm(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)))
    with pytest.raises(ExportError, match="normalises 4 channels, but its input has 3"):
        fold_batch_norm(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(4)))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_fake_quantised_weights_lie_on_the_grid(bits: int) -> None:
    network = build("3C3-D4", (1, 6, 6), batch_norm=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.rand(5, 2, 1, 6, 6)
    with fake_quantise(network, bits) as inside:
        assert inside is network
        output = network(x)
        assert sum(p.requires_grad for p in network.parameters()) == 4
    assert torch.equal(network(x), output)
    assert network.state_dict().keys() == before.keys()
    limit = 2 ** (bits - 1) - 1
    for name, value in network.state_dict().items():
        if name.endswith("bias"):
            assert torch.equal(value, before[name])
            continue
        full, scale = before[name].abs().max() / limit, value.abs().max() / limit
        levels = value / scale
        torch.testing.assert_close(levels, levels.round(), rtol=1e-6, atol=1e-5)
        assert 0.5 * full < scale * (1 + 1e-6) <= full * (1 + 2e-6)
        clipped = before[name].clamp(-limit * scale, limit * scale)
        assert (value - clipped).abs().max() <= scale / 2 * (1 + 1e-5)
        plain = (before[name] / full).round() * full  # without clipping
        assert (value - before[name]).square().sum() <= (plain - before[name]).square().sum()
    with fake_quantise(network, bits):  # quantising again changes nothing
        torch.testing.assert_close(network(x), output)


def test_fake_quantisation_passes_the_gradient_straight_through() -> None:
    layer = nn.Linear(3, 2)
    x = torch.rand(4, 3)
    with fake_quantise(layer, 3):
        layer(x).sum().backward()
        original = dict(layer.named_parameters())["parametrizations.weight.original"]
        assert original.grad is not None
        torch.testing.assert_close(original.grad, x.sum(0).expand(2, 3))


def test_given_scales_clip() -> None:
    network = SpikingSequential(OrderedDict(synapse=nn.Linear(3, 2)))
    assert isinstance(network.synapse, nn.Linear)
    weight = torch.tensor([[0.1, -0.3, 10.0], [0.0, 0.26, -10.0]])
    network.synapse.weight.data.copy_(weight)
    with fake_quantise(network, 3, scales={"synapse": 0.25}):
        pass
    wanted = np.array([[0.0, -0.25, 0.75], [0.0, 0.25, -0.75]])
    np.testing.assert_array_equal(network.synapse.weight.detach().numpy(), wanted)


def test_weights_come_back_even_after_an_error() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(KeyError), fake_quantise(layer):
        raise KeyError
    assert isinstance(layer.weight, nn.Parameter)


def test_a_layer_of_zeros_can_be_quantised() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.data.zero_()
    with fake_quantise(layer):
        assert not layer.weight.any()


def test_wrong_arguments_of_fake_quantise() -> None:
    layer = SpikingSequential(OrderedDict(synapse=nn.Linear(3, 2)))
    for arguments, message in (
        ({"bits": 1}, "bits: got 1"),
        ({"scales": {"other": 1.0}}, "got 'other'; layers with weights are synapse"),
        ({"scales": {"synapse": 0.0}}, "above 0"),
    ):
        with pytest.raises(NetworkError, match=message), fake_quantise(layer, **arguments):
            pass


def test_surrogate_is_part_of_what_a_network_says_of_itself() -> None:
    assert repr(build("2C3-D3", (1, 6, 6))) != repr(build("2C3-D3", (1, 6, 6), surrogate=PiecewiseLinear(1.0)))
