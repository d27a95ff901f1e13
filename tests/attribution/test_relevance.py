"""Layer-wise relevance propagation and temporal spike attribution, against their equations in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurosam.attribution import LRP, TSA, InputXGradient
from neurosam.errors import NeurosamError
from neurosam.training import BNTT, LIF, Readout, SpikingSequential, build_ann

T, B, SIDE, HIDDEN, K = 6, 3, 2, 5, 3
TARGET = [2, 0, 1]
Array = np.ndarray[Any, Any]


def spikes() -> Tensor:
    return (torch.rand(T, B, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) < 0.6).double()


def dense(scale: str = "sum", *, bias: bool = False, **neuron: Any) -> SpikingSequential:
    torch.manual_seed(1)
    net = SpikingSequential(
        nn.Flatten(), nn.Linear(SIDE * SIDE, HIDDEN, bias=bias), LIF(0.8, 0.3, **neuron),
        nn.Linear(HIDDEN, K, bias=bias), Readout(scale),
    ).double()  # fmt: skip
    with torch.no_grad():
        net[1].weight.add_(0.2)  # type: ignore[operator]
    return net


def weights(net: SpikingSequential) -> tuple[Array, Array]:
    parameters = dict(net.named_parameters())
    return parameters["1.weight"].detach().numpy(), parameters["3.weight"].detach().numpy()


def hidden(net: SpikingSequential, x: Tensor) -> tuple[Array, Array]:
    with torch.no_grad():
        kept = net.activations(x, ("1", "2"))[1]
    return kept["1"].numpy(), kept["2"].numpy()


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("order", ["integrate_first", "fire_first"])
def test_relevance_of_a_spiking_net_is_the_division_written_out(reset: str, order: str) -> None:
    net, x = dense("mean", reset=reset, order=order), spikes()
    first, second = weights(net)
    drive, fired = hidden(net, x)
    assert 0 < fired.mean() < 1
    wanted = np.zeros((T, B, SIDE * SIDE))
    a = x.numpy().reshape(T, B, -1)
    late = order == "fire_first"
    for t in range(T):
        for b in range(B):
            for j in np.flatnonzero(fired[t, b]):
                relevance = second[TARGET[b], j] / T  # of this spike: what it adds to the logit
                start = 0
                if reset == "zero":
                    before = np.flatnonzero(fired[:t, b, j])
                    start = 0 if not len(before) else before[-1] + (not late)
                times = range(start, t + (not late))
                left = {u: 0.8 ** (t - u) * drive[u, b, j] for u in times}
                for u, part in left.items():
                    share = relevance * part / sum(left.values())
                    wanted[u, b] += share * a[u, b] * first[j] / drive[u, b, j] if drive[u, b, j] else 0
    assert np.abs(wanted).max() > 0.01
    found = LRP(net).scores(x, TARGET).reshape(T, B, -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(LRP(net).residual(x, TARGET), 0, atol=1e-13)


def deep() -> SpikingSequential:
    torch.manual_seed(2)
    net = SpikingSequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), LIF(0.9, 0.2, current_leak=0.5), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 2, padding=1, bias=False), BNTT(6, T), LIF(np.linspace(0.5, 0.9, 6), 0.1, order="fire_first"),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, K, bias=False), Readout(),
    ).double()  # fmt: skip
    return net.eval()


def test_relevance_is_conserved_through_a_deep_net() -> None:
    """Conservation holds for every weight without biases, and for the gamma-rule too."""
    net = deep()
    x = (torch.rand(T, B, 1, 8, 6, generator=torch.Generator().manual_seed(3)) < 0.5).double()
    with torch.no_grad():
        logit = net(x)[range(B), TARGET].numpy()
    assert np.abs(logit).min() > 1e-3
    for gamma in (0.0, 0.5):
        np.testing.assert_allclose(LRP(net, gamma).scores(x, TARGET).sum((0, 2, 3, 4)), logit, rtol=1e-9)
        np.testing.assert_allclose(LRP(net, gamma).residual(x, TARGET), 0, atol=1e-12)
    assert not np.allclose(LRP(net).scores(x, TARGET), LRP(net, 0.5).scores(x, TARGET))


def test_the_residual_is_the_relevance_of_the_biases() -> None:
    net, x = dense(bias=True), spikes()
    second = weights(net)[1]
    drive, fired = hidden(net, x)
    bias, output_bias = (dict(net.named_parameters())[name].detach().numpy() for name in ("1.bias", "3.bias"))
    kept = 0.0
    taken = np.array([T * output_bias[c] for c in TARGET])
    for t in range(T):
        kept = 0.8 * kept + drive[t]
        fade = np.array([0.8 ** (t - u) for u in range(t + 1)]).sum()
        ratio = np.divide(fired[t], kept, out=np.zeros_like(fired[t]), where=fired[t] > 0)
        taken += (ratio * fade * bias * second[TARGET]).sum(axis=1)
    np.testing.assert_allclose(LRP(net).residual(x, TARGET), -taken, rtol=1e-10)
    assert np.abs(taken).min() > 0.01


def test_gamma_rule_of_one_linear_layer() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, K)).double()
    x = spikes()[0] + 0.5
    w, bias, a = net[1].weight.detach().numpy(), net[1].bias.detach().numpy(), x.numpy().reshape(B, 4)  # type: ignore[operator]
    for b, c in enumerate(TARGET):
        favoured = w[c] + 0.25 * w[c].clip(0)
        total = a[b] @ favoured + bias[c] + 0.25 * max(bias[c], 0)
        wanted = a[b] * favoured / total * (a[b] @ w[c] + bias[c])
        np.testing.assert_allclose(LRP(net, 0.25).scores(x, TARGET)[b].ravel(), wanted, rtol=1e-12)


def test_relevance_of_an_ann_is_input_times_gradient() -> None:
    ann = build_ann("4C3-P2-D3", (1, 8, 6)).double()
    x = torch.rand(B, 1, 8, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    np.testing.assert_allclose(LRP(ann).scores(x, TARGET), InputXGradient(ann).scores(x, TARGET), rtol=1e-12)


class Plain(nn.Module):
    """An ANN of layers that Captum has rules for."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.relu = nn.Conv2d(2, 4, 3, padding=1, bias=bias), nn.ReLU()
        self.pool, self.head = nn.AvgPool2d(2), nn.Linear(48, K, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.relu(self.conv(x))).flatten(1))
        return logits


@pytest.mark.filterwarnings("ignore")  # Captum's own
@pytest.mark.parametrize(("gamma", "bias"), [(0.0, True), (0.0, False), (0.25, False)])
def test_relevance_of_an_ann_is_captums(gamma: float, bias: bool) -> None:
    """It adds 1e-9 to what it divides by, and has another gamma-rule for biases."""
    attr = pytest.importorskip("captum.attr", reason="captum is not installed; `make env` does it")
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    ours, theirs = Plain(bias=bias).double().eval(), Plain(bias=bias).double().eval()
    x = torch.rand(B, 2, 8, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for layer in (theirs.conv, theirs.head):
        layer.rule = rules.GammaRule(gamma) if gamma else rules.EpsilonRule(1e-12)
    wanted = attr.LRP(theirs).attribute(x.clone().requires_grad_(), target=torch.tensor(TARGET)).detach().numpy()
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(LRP(ours, gamma).scores(x, TARGET), wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("absent", ["none", "negative"])
@pytest.mark.parametrize("scale", ["sum", "mean"])
def test_tsa_is_the_product_of_diagonals_and_weights(absent: str, scale: str) -> None:
    net, x = dense(scale, bias=True), spikes()
    first, second = weights(net)
    fired = hidden(net, x)[1]
    with torch.no_grad():
        probability = torch.softmax(net(x), 1).numpy()
    a, wanted = x.numpy().reshape(T, B, -1), np.zeros((T, B, SIDE * SIDE))
    for t in range(T):
        fade = 0.8 ** (T - t)
        for b, c in enumerate(TARGET):
            n = [
                np.diag([fade if s else -fade / len(layer) if absent == "negative" else 0.0 for s in layer])
                for layer in (a[t, b], fired[t, b])
            ]
            wanted[t, b] = (n[0] @ first.T @ n[1] @ second.T)[:, c] * probability[b, c]
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(TSA(net, absent).scores(x, TARGET).reshape(T, B, -1), wanted, rtol=1e-10, atol=1e-15)


def test_tsa_takes_the_leak_that_is_given() -> None:
    net, x = dense(), spikes()
    late, flat = TSA(net, beta=0.5).scores(x, 1), TSA(net, beta=1.0).scores(x, 1)
    age = np.arange(T, 0, -1).reshape(-1, 1, 1, 1, 1)
    np.testing.assert_allclose(late, flat * 0.25**age, rtol=1e-12, atol=1e-16)  # two layers: beta to twice the age


def test_modules_without_a_rule() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(NeurosamError, match="LRP: layer '2': is Tanh; there is no rule for it"):
        LRP(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Tanh()))
    with pytest.raises(NeurosamError, match="LRP: layer '1': is Foreign; there is no rule for it"):
        LRP(nn.Sequential(nn.Flatten(), Foreign()))
    with pytest.raises(NeurosamError, match="LRP: layer '': is Foreign; there is no rule for it"):
        LRP(Foreign())
    with pytest.raises(NeurosamError, match="LRP: got a function, whose layers it cannot see"):
        LRP(lambda x: x)
    with pytest.raises(NeurosamError, match="TSA: finds no LIF layer"):
        TSA(plain)
    with pytest.raises(NeurosamError, match="TSA: layer '1': is ReLU, which has no spike times"):
        TSA(SpikingSequential(LIF(0.9, 1.0), nn.ReLU()))
    with pytest.raises(NeurosamError, match=r"TSA: beta: is needed: the leaks of the layers are 0\.5, 0\.9"):
        TSA(SpikingSequential(LIF(0.9, 1.0), LIF(0.5, 1.0)))


class Foreign(nn.Module):
    """A layer of another framework."""
