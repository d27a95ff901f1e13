"""Modules that are called in every way: what their layers received and sent is in the right step, sample and place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neurosam as ns
from neurosam.deploy.checking.module_run import run_module
from neurosam.deploy.readers.protocol import Feedback, Reading, register
from neurosam.errors import ExportError

T, B = 7, 3
X = (np.random.default_rng(2).random((T, B, 12)) < 0.4).astype(np.float64)


class Stepwise(nn.Module):
    """Takes one step and keeps its membrane; with a matrix from its own spikes of the step before."""

    def __init__(self, feedback: bool = False) -> None:
        super().__init__()
        self.back = nn.Linear(8, 8) if feedback else None
        self.v = self.s = torch.zeros((), dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        if self.back is not None:
            x = x + self.back(self.s.expand_as(x))
        self.v = 0.75 * self.v * (1 - self.s) + x
        self.s = (self.v > 0.5).to(x.dtype)
        return self.s


class Whole(nn.Module):
    """Takes all steps at once; `axis` is that of time."""

    def __init__(self, axis: int, folded: bool = False) -> None:
        super().__init__()
        self.axis, self.folded = axis, folded

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, T_FOLDED, *x.shape[1:]) if self.folded else x
        out = run_all(Stepwise(), x.movedim(self.axis, 0)).movedim(0, self.axis)
        return out.flatten(0, 1) if self.folded else out


T_FOLDED = 4  # of the tracing pass; a folded module has to know its number of steps


def run_all(cell: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([cell(now) for now in x])


def reading(module: Any) -> Reading:
    neuron = ns.LIF(leak=0.75, threshold=0.5, reset="zero")
    if isinstance(module, Whole):
        return Reading(neuron, time="folded" if module.folded else ("first", "second")[module.axis])
    if module.back is None:
        return Reading(neuron)
    return Reading(neuron, feedback=Feedback(*(p.detach().numpy() for p in module.back.parameters())))


register(Stepwise, reading)
register(Whole, reading)


class Net(nn.Module):
    """Two layers, a skip connection, and a loop if it is asked for."""

    def __init__(self, neurons: list[nn.Module], loop: str = "") -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two, self.skip = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.out = nn.Linear(8, 3)
        self.n1, self.n2 = neurons
        self.loop = loop

    def forward(self, x: Tensor) -> Tensor:
        if not self.loop:
            return self.once(x)
        steps = [self.once(now) for now in (x if self.loop == "over" else [x] * T)]
        return torch.stack(steps)

    def once(self, x: Tensor) -> Tensor:
        a = self.n1(self.one(x))
        b: Tensor = self.out(self.n2(self.two(a)) + self.skip(a))
        return b


WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "step": (lambda: Net([Stepwise(), Stepwise()]), {}),
    "feedback": (lambda: Net([Stepwise(), Stepwise(feedback=True)]), {}),
    "first": (lambda: Net([Whole(0), Whole(0)]), {}),
    "second": (lambda: Net([Whole(1), Whole(1)]), {}),
    "a loop over the input": (lambda: Net([Stepwise(), Stepwise()], "over"), {}),
    "a loop over the second axis": (lambda: Net([Stepwise(), Stepwise()], "over"),
                                    {"run": lambda net, x: net(x.transpose(0, 1).transpose(0, 1))}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_module_is_its_export(way: str) -> None:
    make, how = WAYS[way]
    module = make()
    net = ns.export(module, (12,), **how)
    result = ns.check_export(module, net, X, **how)
    assert result.equal, str(result)
    assert not result.differing
    assert [layer.population for layer in result.layers] == ["n1", "n2", "out"]
    assert all(20 < layer.module_spikes < layer.compared - 20 for layer in result.layers[:2])


def test_a_loop_inside_presents_a_still_input() -> None:
    module = Net([Stepwise(), Stepwise()], "inside")
    net = ns.export(module, (12,))
    assert net.metadata["steps"] == str(T)
    still = np.repeat(X[:1], T, axis=0)
    assert ns.check_export(module, net, still).equal
    with pytest.raises(ExportError, match="presents one input in every step"):
        ns.check_export(module, net, X)
    with pytest.raises(ExportError, match="module: runs for 7 steps; the input has 5"):
        ns.check_export(module, net, still[:5])


def test_functions_that_become_neurons_stand_between() -> None:
    class Product(Net):
        def once(self, x: Tensor) -> Tensor:
            a, b = self.n1(self.one(x)), self.n2(self.skip(x[:, :8]))
            y: Tensor = self.out(self.two(a * b))
            return y

    net = ns.export(Product([Stepwise(), Stepwise()]), (12,))
    result = ns.check_export(Product([Stepwise(), Stepwise()]), net, X)
    assert result.equal, str(result)
    assert {layer.population for layer in result.layers} == {"n1", "n2", "out"}
    assert len(result.not_compared) == 1


def test_an_export_tells_what_is_wrong_with_a_reader() -> None:
    class Soft(Stepwise):
        pass

    register(Soft, lambda module: Reading(ns.LIF(leak=0.75, threshold=0.5, reset="subtract")))
    with pytest.raises(ExportError, match=r"'n2' \(Soft\): gives .* resets to zero; .* Correct the reader"):
        ns.export(Net([Stepwise(), Soft()]), (12,))


def test_what_the_layers_received_is_what_the_module_computed() -> None:
    module: Any = Net([Stepwise(), Stepwise(feedback=True)]).double()
    runs = run_module(module, X)
    with torch.no_grad():
        first = module.one(torch.from_numpy(X)).numpy()
        np.testing.assert_array_equal(runs["n1"].drive, first)
        assert runs["n1"].spikes is not None
        own = module.n2.back(torch.from_numpy(np.concatenate([np.zeros((1, B, 8)), runs["n2"].sent[:-1]]))).numpy()
        second = module.two(torch.from_numpy(runs["n1"].spikes)).numpy()
    np.testing.assert_allclose(runs["n2"].drive, second + own, rtol=1e-14)
    assert module.n1.v.ndim == 0  # a copy ran
