"""Batch norm through time: Eq. 4, its gradients by hand, and its tables in a network of either precision."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neurosam as ns
from neurosam.deploy.from_torch import export, to_network
from neurosam.deploy.quantise import quantise
from neurosam.errors import ExportError, NetworkError
from neurosam.training import BNTT, LIF, GainOffset, Readout, SpikingSequential, fine_tune, fold_batch_norm

T, B = 6, 5
SHAPE = (2, 8, 6)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(order: str = "integrate_first", bias: bool = False, **lif: Any) -> SpikingSequential:
    """Convolutions and a dense layer with trained BNTT statistics, in float64."""
    torch.manual_seed(3)

    def neurons() -> LIF:
        return LIF(0.9, 0.7, order=order, **lif)

    layers = OrderedDict(
        conv1_conv=nn.Conv2d(2, 6, 3, padding=1, bias=bias),
        conv1_bntt=BNTT(6, T),
        conv1=neurons(),
        pool1=nn.AvgPool2d(2),
        conv2_conv=nn.Conv2d(6, 5, 3, padding=1, bias=bias),
        conv2_bntt=BNTT(5, T),
        conv2=neurons(),
        flatten=nn.Flatten(),
        dense1_linear=nn.Linear(5 * 4 * 3, 9, bias=bias),
        dense1_bntt=BNTT(9, T),
        dense1=neurons(),
        out_linear=nn.Linear(9, 4, bias=False),
        out=Readout("sum"),
    )
    net = SpikingSequential(layers).double().train()
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, BNTT):
                layer.weight.uniform_(0.3, 1.7)
        for _ in range(10):
            net((torch.rand(T, 8, *SHAPE) < 0.4).double())
    return net.eval()


def inputs(samples: int = 4) -> tuple[ns.Events, Tensor]:
    """Signed events, as the paper's first layer receives."""
    rng = np.random.default_rng(1)
    dense = rng.integers(-1, 2, (T, samples, *SHAPE)).astype(np.int32)
    return ns.Events.from_dense(dense), torch.tensor(dense, dtype=torch.float64)


def test_each_step_is_normalised_by_its_own_batch() -> None:
    layer, x = BNTT(3, T).double(), random(T, B, 3, 4, 2) * 3 + 1
    with torch.no_grad():
        layer.weight.copy_(random(T, 3, seed=1))
    out = layer(x)
    for t in range(T):
        mean = x[t].mean(dim=(0, 2, 3), keepdim=True)
        variance = x[t].var(dim=(0, 2, 3), unbiased=False, keepdim=True)
        wanted = layer.weight[t].reshape(1, 3, 1, 1) * (x[t] - mean) / torch.sqrt(variance + 1e-4)
        torch.testing.assert_close(out[t], wanted)
        torch.testing.assert_close(layer.running_mean[t], 0.1 * mean.flatten())
        unbiased = x[t].var(dim=(0, 2, 3), unbiased=True)
        torch.testing.assert_close(layer.running_var[t], 0.9 + 0.1 * unbiased)


def test_inference_is_the_tables_and_a_shorter_run_the_first_steps() -> None:
    layer, x = BNTT(3, T).double(), random(T, B, 3) * 2
    layer(x)
    layer.eval()
    gain, offset = layer.tables()
    wanted = (x - layer.running_mean[:, None]) / torch.sqrt(layer.running_var[:, None] + 1e-4)
    torch.testing.assert_close(layer(x), wanted)
    assert torch.equal(layer(x), gain[:, None] * x + offset[:, None])
    assert torch.equal(layer(x[:2]), layer(x)[:2])
    assert torch.equal(GainOffset(gain, offset)(x), layer(x))


def test_gradients_are_backpropagation_through_time_by_hand() -> None:
    """Linear, BNTT, LIF (reset detached), linear, mean readout, cross-entropy: the chain rule of Eq. 4-8."""
    torch.manual_seed(0)
    leak, theta, beta, eps = 0.8, 0.5, 0.3, 1e-4
    first, second, norm = nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False), BNTT(3, T)
    net = SpikingSequential(first, norm, LIF(leak, theta), second, Readout()).double()
    x, labels = random(T, B, 4) * 2, torch.tensor([0, 1, 1, 0, 1])
    loss = nn.functional.cross_entropy(net(x), labels)
    loss.backward()

    w1, w2, g = (p.detach().numpy() for p in (first.weight, second.weight, norm.weight))
    s_in = x.numpy()
    y = s_in @ w1.T
    centred = y - y.mean(axis=1, keepdims=True)
    sigma = np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)
    drive = g[:, None] * centred / sigma
    v, potential, spikes = np.zeros((B, 3)), [], []
    for t in range(T):
        v = leak * v + drive[t]
        potential.append(v)
        spikes.append((v > theta) * 1.0)
        v = v - theta * spikes[-1]
    logits = sum(s @ w2.T for s in spikes) / T
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (chance - np.eye(2)[labels.numpy()]) / B  # Eq. 7, over the batch's mean
    grad_w2 = sum(error.T @ s for s in spikes) / T
    grad_w1, grad_g, later = np.zeros_like(w1), np.zeros_like(g), np.zeros((B, 3))
    for t in reversed(range(T)):
        slope = beta * np.maximum(0, 1 - np.abs((potential[t] - theta) / theta))  # Eq. 8
        later = leak * later + (error @ w2 / T) * slope
        unit = centred[t] / sigma[t]
        grad_g[t] = (later * unit).sum(axis=0)
        d = later * g[t]
        grad_y = (d - d.mean(axis=0) - unit * (d * unit).mean(axis=0)) / sigma[t]
        grad_w1 += grad_y.T @ s_in[t]
    assert 0 < np.mean(spikes) < 1
    for parameter, wanted in ((first.weight, grad_w1), (second.weight, grad_w2), (norm.weight, grad_g)):
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, rtol=1e-9, atol=1e-12)
        assert np.abs(wanted).max() > 1e-3


@pytest.mark.parametrize("backend", ["reference", "event"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("current", [None, 0.4])
def test_integrate_first_is_the_module(backend: str, bias: bool, current: float | None) -> None:
    net = network(bias=bias, current_leak=current)
    events, x = inputs()
    names = ("conv1", "conv2", "dense1")
    recording = ns.run(to_network(net, SHAPE), events, backend, ns.Record(spikes=names))
    output, kept = net.activations(x, names)
    for name, spikes in kept.items():
        assert 0.01 < float(spikes.detach().mean()) < 0.9
        np.testing.assert_array_equal(recording.spikes[name].dense(), spikes.detach().numpy(), err_msg=name)
    np.testing.assert_allclose(recording.output, output.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "event"])
def test_fire_first_is_the_module_one_step_earlier(backend: str) -> None:
    net = network(order="fire_first")
    events, x = inputs()
    names = ("conv1", "conv2", "dense1")
    recording = ns.run(to_network(net, SHAPE), events, backend, ns.Record(spikes=names))
    output, kept = net.activations(x, names)
    for name, spikes in kept.items():
        assert spikes.any()
        np.testing.assert_array_equal(recording.spikes[name].dense()[:-1], spikes.detach().numpy()[1:], err_msg=name)
    np.testing.assert_allclose(recording.output, output.detach().numpy(), rtol=0, atol=1e-12)


def test_folding_moves_powers_of_two_only() -> None:
    net = network()
    folded = fold_batch_norm(net)
    x = inputs()[1]
    assert torch.equal(folded(x), net(x))
    for name in ("conv1", "conv2", "dense1"):
        tables, norm = getattr(folded, f"{name}_bntt"), getattr(net, f"{name}_bntt")
        assert isinstance(tables, GainOffset)
        peak = tables.gain.abs().amax(dim=0)
        assert ((peak > 0.5) & (peak <= 1)).all()
        power = torch.log2(norm.tables()[0][0] / tables.gain[0])
        assert torch.equal(power, power.round())


@pytest.mark.parametrize("order", ["integrate_first", "fire_first"])
@pytest.mark.parametrize("precision", [ns.Precision.lava(), ns.Precision.nxsdk(), ns.Precision.lava(5)])
def test_fixed_point_reference_is_event(order: str, precision: ns.Precision) -> None:
    net = network(order=order)
    events, _ = inputs(samples=12)
    fixed = export(net, SHAPE, precision, events)
    record = ns.Record.everything(fixed)
    reference, event = (ns.run(fixed, events, backend, record) for backend in ("reference", "event"))
    assert ns.compare(reference, event, fixed) is None
    neuron = fixed["conv1"].neuron
    assert isinstance(neuron, ns.FixedLIF)
    assert neuron.gain is not None
    assert neuron.gain.shape == (T, 6)
    assert len(np.unique(neuron.gain[:, 0])) > 1  # the tables do differ from step to step


def test_fixed_point_stays_close_to_float() -> None:
    net = network()
    events, _ = inputs(samples=40)
    names = ("conv1", "conv2", "dense1")
    record = ns.Record(spikes=names)
    whole = ns.run(export(net, SHAPE), events, "event", record)
    fixed = ns.run(export(net, SHAPE, ns.Precision.lava(), events), events, "event", record)
    for name in names:
        differ = whole.spikes[name].dense() != fixed.spikes[name].dense()
        assert differ.mean() < 0.03, name


def test_fine_tuned_tables_export_without_loss() -> None:
    rng = np.random.default_rng(0)

    class Images:
        images = rng.integers(0, 256, (24, *SHAPE), dtype=np.uint8)
        labels = rng.integers(0, 4, 24)

    tuned, _ = fine_tune(network().float(), Images(), Images(), steps=T, batch_size=12, device="cpu")
    assert isinstance(tuned.conv1_bntt, GainOffset)
    events, _ = inputs()
    row = quantise(to_network(tuned, SHAPE), ns.Precision.lava(), events)[1].populations[0]
    assert (row.population, row.clipped) == ("conv1", 0)
    assert row.weight_snr_db > 100


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"T in 1\.\.6, the trained steps"):
        BNTT(3, T)(torch.zeros(T + 1, 2, 3))
    with pytest.raises(NetworkError, match=r"\[T, B, 3, ...\]"):
        BNTT(3, T)(torch.zeros(T, 2, 4))
    with pytest.raises(NetworkError, match="more than one value per channel"):
        BNTT(3, T)(torch.zeros(T, 1, 3))
    with pytest.raises(NetworkError, match="BNTT: steps"):
        BNTT(3, 0)
    with pytest.raises(NetworkError, match="two tables"):
        GainOffset(torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(ExportError, match="a: BNTT follows LIF"):
        fold_batch_norm(SpikingSequential(OrderedDict(c=nn.Linear(3, 2), n=LIF(), a=BNTT(2, T))))
    with pytest.raises(ExportError, match="readout has no tables"):
        to_network(SpikingSequential(nn.Linear(3, 2), BNTT(2, T), Readout()), (3,))
    with pytest.raises(ExportError, match="normalises 3 channels, but its input has 2"):
        fold_batch_norm(SpikingSequential(nn.Linear(3, 2), BNTT(3, T), LIF()))
    too_long = ns.Events.from_dense(np.ones((T + 1, 1, *SHAPE), np.uint8))
    with pytest.raises(ns.NeurosamError, match="has 6 steps"):
        ns.run(to_network(network(), SHAPE), too_long)


def test_weights_of_zero_and_below_fold_and_export_too() -> None:
    net = network()
    for layer in net:
        if isinstance(layer, BNTT):
            with torch.no_grad():
                layer.weight[:, 0] = 0
                layer.weight[:, 1] *= -1
    events, x = inputs()
    folded = fold_batch_norm(net)
    assert torch.equal(folded(x), net(x))
    assert not folded.conv1_bntt.gain[:, 0].any()  # type: ignore[index, union-attr]
    network_ = to_network(net, SHAPE)
    spikes = ns.run(network_, events, "event", ns.Record(spikes=("conv1",))).spikes["conv1"].dense()
    np.testing.assert_array_equal(spikes, net.activations(x, ("conv1",))[1]["conv1"].detach().numpy())
    fixed = export(net, SHAPE, ns.Precision.lava(), events)
    record = ns.Record.everything(fixed)
    reference, event = (ns.run(fixed, events, backend, record) for backend in ("reference", "event"))
    assert ns.compare(reference, event, fixed) is None
