"""Any module is recorded as it is: loops of its own, axes in any order, branches, delays, neurons of the user's own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import neurosam as ns
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.readers import Feedback, Reading, register
from neurosam.errors import ExportError


class Neuron(nn.Module):
    """Neurons that no framework has: one step, with the membrane inside."""

    beta, threshold = 0.8, 1.0
    membrane: Any = 0.0

    def forward(self, x: Tensor) -> Any:
        membrane = self.beta * self.membrane + x
        spikes = (membrane > self.threshold).to(x.dtype)
        self.membrane = membrane - spikes * self.threshold
        return spikes


class Cell(Neuron):
    """The same, with the membrane as an argument and an output."""

    def forward(self, x: Tensor, membrane: Any = 0.0) -> tuple[Tensor, Tensor]:
        self.membrane = membrane
        return super().forward(x), self.membrane


class Whole(Neuron):
    """The same, over all steps along one axis."""

    axis = 0

    def forward(self, x: Tensor) -> Tensor:
        self.membrane = 0.0
        return torch.stack([Neuron.forward(self, y) for y in x.unbind(self.axis)], self.axis)


class Second(Whole):
    axis = 1


class Folded(Whole):
    """``[B * T, ...]`` of four steps."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unflatten(0, (-1, 4)).transpose(0, 1)).transpose(0, 1).flatten(0, 1)


class Recurrent(Neuron):
    """With synapses of its own from its spikes of the step before."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, size)
        self.spikes = torch.zeros(1, size)

    def forward(self, x: Tensor) -> Tensor:
        self.spikes = super().forward(x + self.inner(self.spikes.to(x.dtype)))
        return self.spikes


def neuron(module: Any) -> ns.LIF:
    return ns.LIF(module.beta, module.threshold)


def start(module: Any) -> None:
    module.membrane = 0.0


def reading(**options: Any) -> Callable[[Any], Reading]:
    return lambda module: Reading(neuron(module), **options)


register(Neuron, reading(), start)
register(Cell, reading(membrane=1), start)
register(Whole, reading(time="first"))
register(Second, reading(time="second"))
register(Folded, reading(time="folded"))
register(Recurrent, lambda m: Reading(neuron(m), feedback=Feedback(m.inner.weight.detach(), m.inner.bias.detach())))


class Net(nn.Module):
    """Two layers of cells, on one step, or in a loop that its methods below have."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 8), Cell(), nn.Linear(8, 4), Cell()

    def loop(self, inputs: Any) -> tuple[Tensor, Tensor]:
        first: Any = 0.0
        second: Any = 0.0
        spikes, membranes = [], []
        for x in inputs:
            hidden, first = self.lif1(self.fc1(x), first)
            out, second = self.lif2(self.fc2(hidden), second)
            spikes.append(out)
            membranes.append(second)
        return torch.stack(spikes), torch.stack(membranes)


class TimeFirst(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.loop(x)[0]


class BatchFirst(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.loop(x[:, t] for t in range(x.size(1)))


class Still(Net):
    """Seven steps of one input."""

    def __init__(self, answer: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(*self.loop([x] * 7))


class Filled(Net):
    """Spikes of each step written into a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        out, membrane = torch.zeros(len(x), x.shape[1], 8), torch.zeros(1)
        for t in range(len(x)):
            out[t], membrane = self.lif1(self.fc1(x[t]), membrane)
        return out


class Accumulating(Net):
    """Spikes added up in place; a count that is only looked at."""

    def forward(self, x: Tensor) -> Tensor:
        total, membrane, self.seen = torch.zeros(x.shape[1], 8), torch.zeros(1), 0.0
        for step in x:
            spikes, membrane = self.lif1(self.fc1(step), membrane)
            total += spikes
            self.seen += spikes.sum().item()
        return total


class Deciding(Net):
    """Multiplies by the largest value of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.loop(x * (x.sum(2).max().item() or 1))[0]


class ByHand(Net):
    """A recurrent layer whose feedback stands in the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        spikes, membrane, out = torch.zeros(x.shape[1], 8), torch.zeros(1), []
        for t in range(len(x)):
            spikes, membrane = self.lif1(self.fc1(x[t]) + self.back(spikes), membrane)
            out.append(self.fc2(spikes))
        return torch.stack(out).sum(0)


class Residual(nn.Module):
    """A step of a convolutional net with two skip connections, an addition and a concatenation."""

    def __init__(self, kind: type[nn.Module] = Neuron) -> None:
        super().__init__()
        self.c1, self.bn, self.l1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), kind()
        self.c2, self.l2 = nn.Conv2d(4, 4, 3, padding=1), kind()
        self.c3, self.l3, self.fc = nn.Conv2d(8, 3, 3), kind(), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Any:
        a = self.l1(functional.avg_pool2d(self.bn(self.c1(x)), 2))
        y = functional.relu(a + self.l2(self.c2(a)))
        z = self.l3(self.c3(torch.cat([y, a], 1)))
        return self.fc(z.view(z.size(0), -1))


class ResidualBatchFirst(Residual):
    """``[B, T, C, H, W]``, with weights on ``[T * B, ...]``."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 0, 2, 3, 4)
        steps = x.shape[:2]

        def each(layer: Any, value: Tensor) -> Tensor:
            return layer(value.flatten(0, 1)).unflatten(0, steps)  # type: ignore[no-any-return]

        a = self.l1(each(lambda v: functional.avg_pool2d(self.bn(self.c1(v)), 2), x))
        y = a + self.l2(each(self.c2, a))
        return each(self.fc, self.l3(each(self.c3, torch.cat([y, a], 2))).flatten(2)).mean(0)


class Pairs(nn.Module):
    """Spikes combined: AND, AND NOT, OR."""

    def __init__(self, combined: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.l, self.b, self.m, self.c = nn.Linear(6, 6), Neuron(), nn.Linear(6, 6), Neuron(), nn.Linear(6, 2)
        self.combined = combined

    def forward(self, x: Tensor) -> Any:
        p = self.l(self.a(x))
        q = self.m(self.b(p))
        return self.c(self.combined(p, q))


class Delayed(nn.Module):
    """Spikes of now and of two steps ago."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.l, self.b, self.m = nn.Linear(6, 6), Whole(), nn.Linear(12, 3), Whole()

    def forward(self, x: Tensor) -> Tensor:
        p = self.l(self.a(x))
        before = functional.pad(p, (0, 0, 0, 0, 2, 0))[: len(p)]
        return self.m(self.b(torch.cat([p, before], -1)))  # type: ignore[no-any-return]


def net(*kinds: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), kinds[0](), nn.Linear(8, 4), kinds[-1]())


def drawn(module: nn.Module) -> nn.Module:
    """With weights that make it fire."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if value.ndim and "var" not in name and "spikes" not in name:
            nn.init.normal_(value, 0.1, 0.6, generator=generator)
    return module.eval()


SHAPES: dict[type[nn.Module], tuple[int, ...]] = {Residual: (2, 8, 8), ResidualBatchFirst: (2, 8, 8)}

# module, names of its populations, delays of its projections, answers
EXACT: list[tuple[nn.Module, str, list[int], dict[str, str]]] = [
    (net(Neuron), "dense1 dense2", [1, 1], {"dense2": "count"}),
    (net(Whole), "dense1 dense2", [1, 1], {"dense2": "count"}),
    (net(Second), "dense1 dense2", [1, 1], {"dense2": "count"}),
    (net(Folded), "dense1 dense2", [1, 1], {"dense2": "count"}),
    (nn.Sequential(nn.Linear(6, 8), Recurrent(8)), "dense1", [1, 1], {"dense1": "count"}),
    (TimeFirst(), "lif1 lif2", [1, 1], {"lif2": "count"}),
    (BatchFirst(), "lif1 lif2", [1, 1], {"lif2": "count"}),
    (Filled(), "lif1", [1], {"lif1": "count"}),
    (Accumulating(), "lif1", [1], {"lif1": "count"}),
    (ByHand(), "lif1 out", [1, 1, 1], {"out": "last"}),
    (Residual(), "l1 l2 l3 out", [1, 1, 2, 1, 2, 1], {"out": "last"}),
    (ResidualBatchFirst(Whole), "l1 l2 l3 out", [1, 1, 2, 1, 2, 1], {"out": "last"}),
    (Pairs(lambda p, q: p * q), "l m and out", [1, 1, 2, 1, 1], {"out": "last"}),
    (Pairs(lambda p, q: q * (1 - p)), "l m and_not out", [1, 1, 1, 2, 1], {"out": "last"}),
    (Pairs(torch.maximum), "l m or out", [1, 1, 2, 1, 1], {"out": "last"}),
    (Delayed(), "l m", [1, 1, 3], {"m": "count"}),
    (Still(lambda spikes, _: spikes), "lif1 lif2", [1, 1], {"lif2": "count"}),
    (Still(lambda spikes, _: sum(spikes) / 7), "lif1 lif2", [1, 1], {"lif2": "count"}),
    (Still(lambda spikes, _: spikes.mean(0).softmax(1)), "lif1 lif2", [1, 1], {"lif2": "count"}),
    (Still(lambda _, membranes: membranes[-1]), "lif1 lif2", [1, 1], {"lif2": "last"}),
    (Still(lambda _, membranes: membranes.mean(0)), "lif1 lif2", [1, 1], {"lif2": "mean"}),
    (Still(lambda _, membranes: membranes.max(0)[0]), "lif1 lif2", [1, 1], {"lif2": "max"}),
    (Still(lambda *both: both), "lif1 lif2", [1, 1], {"lif2": "count"}),
]


@pytest.mark.parametrize(
    ("module", "names", "delays", "answers"), EXACT, ids=[f"{i}-{type(row[0]).__name__}" for i, row in enumerate(EXACT)]
)
def test_a_module_becomes_a_network(
    module: nn.Module, names: str, delays: list[int], answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export compares every spike with the module's: that it does is shown below."""
    network = to_network(drawn(module), SHAPES.get(type(module), (6,)))
    assert [p.name for p in network.populations] == ["input", *names.split()]
    assert [p.delay for p in network.projections] == delays
    assert network.answers == answers


def test_the_spikes_are_compared() -> None:
    """A reading that is a little wrong is noticed, and `check=False` lets it pass."""

    class Lying(Neuron):
        pass

    register(Lying, lambda module: Reading(ns.LIF(0.2, module.threshold)), start)
    module = drawn(net(Lying))
    with pytest.raises(ExportError, match=r"layer '1' \(Lying\): gives [01] in step \d, neuron \d, where the network"):
        to_network(module, (6,))
    assert to_network(module, (6,), check=False)["dense1"].neuron is not None


def test_the_output_is_compared() -> None:
    """A function that is not torch's own changes what the module returns behind the recording's back."""

    class Outside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
                np.copyto(x.numpy(), x.numpy() ** 2)
            return x

    with pytest.raises(ExportError, match="output: differs from that of the network's readout 'out'"):
        to_network(drawn(nn.Sequential(nn.Linear(6, 8), Neuron(), nn.Linear(8, 4), Outside())), (6,))


def test_a_run_of_ones_own() -> None:
    module = drawn(BatchFirst())
    by_hand = to_network(module, (6,), run=lambda net_, x: net_(x.transpose(0, 1))[0])
    np.testing.assert_array_equal(
        by_hand.projections[0].synapse.weight, to_network(module, (6,)).projections[0].synapse.weight
    )


def test_a_state_that_a_module_takes_and_returns_is_given_back() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 3), Cell()

        def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Tensor]:
            return self.lif(self.fc(x), 0.0 if state is None else state)  # type: ignore[no-any-return]

    assert to_network(drawn(Stateful()), (6,)).answers == {"lif": "count"}


def test_several_outputs_and_states_left_behind() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(6, 6), Neuron()) for _ in range(2)])
            self.a, self.b = nn.Linear(6, 2), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            for block in self.blocks:
                x = block(x)
            return {"a": self.a(x), "b": self.b(x)}

    module = drawn(Heads())
    module(torch.ones(7, 6))["a"].sum().backward()  # membranes of seven samples, which belong to a graph
    network = to_network(module, (6,))
    assert network.answers == {"out": "last", "out_2": "last"}
    assert [p.name for p in network.populations][1:3] == ["blocks.0.1", "blocks.1.1"]


def test_float32_parameters_stay_what_they_are() -> None:
    class Learned(Neuron):
        def __init__(self) -> None:
            super().__init__()
            self.decay = nn.Parameter(torch.tensor(0.9))

        def forward(self, x: Tensor) -> Any:
            self.membrane = self.decay / self.beta * self.membrane  # which the base multiplies by beta
            return super().forward(x)

    register(Learned, lambda module: Reading(ns.LIF(module.decay.item(), 1.0)), start)
    module = nn.Sequential(nn.Linear(6, 8), Learned()).eval()
    assert to_network(module, (6,))["dense1"].neuron.leak == float(np.float32(0.9))  # type: ignore[union-attr]
    assert all(p.dtype == torch.float32 for p in module.parameters())


class Unknown(nn.Module):
    tau, v_th = 4.0, 0.5

    def forward(self, x: Tensor) -> Tensor:
        return (x / self.tau > self.v_th).float()


class Changing(Net):
    """Other weights in every second step."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros(1), []
        for t in range(len(x)):
            spikes, membrane = self.lif1(self.fc1(x[t]) * (1 + t % 2), membrane)
            out.append(spikes)
        return torch.stack(out)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Ahead(Delayed):
    def forward(self, x: Tensor) -> Tensor:
        return self.m(self.b(functional.pad(self.l(self.a(x)).tile(2), (0, 0, 0, 0, 0, 1))[1:]))  # type: ignore[no-any-return]


class AtTheEnd(Still):
    """A layer behind the sum over all steps."""

    def forward(self, x: Tensor) -> Any:
        return self.fc2(torch.cat([self.loop([x] * 7)[0].sum(0)] * 2, 1))


class Rarely(Net):
    """The second layer is called in the last step only."""

    def forward(self, x: Tensor) -> Tensor:
        membrane = torch.zeros(1)
        for step in x:
            spikes, membrane = self.lif1(self.fc1(step), membrane)
        return self.lif2(self.fc2(spikes))[0]  # type: ignore[no-any-return]


REFUSED: list[tuple[nn.Module, str]] = [
    (nn.Sequential(nn.Linear(6, 3), Unknown(), nn.Linear(3, 2)), "layer '1' (Unknown): compares with a threshold"),
    (nn.Sequential(nn.Linear(6, 3), Unknown()), "neurosam.LIF(leak=0.75, threshold=0.5)"),
    (Changing(), "layer 'lif1' (Cell): gets its input from other layers in step 3 than in the step before"),
    (nn.Sequential(nn.Linear(6, 3), Noise(), Neuron()), "layer '1' (Noise): draws random numbers"),
    (Ahead(), "layer 'b' (Linear): takes a value of a later step"),
    (AtTheEnd(lambda *_: 0), "(Linear): follows the sum over all steps; take it at the very end"),
    (Deciding(), "module (Deciding: item): decides by values that it reads"),
    (Still(lambda spikes, _: spikes.softmax(2).mean(0)), "output: is the mean over steps of softmax"),
    (Rarely(), "layer 'lif2' (Cell): is called for the first time in step 3; a network calls every layer once"),
    (Still(lambda spikes, _: spikes[-1]), "output: is of step 6 alone; return the sum or mean over steps"),
    (Still(lambda spikes, _: spikes.max(0)[0]), "output: is a maximum over steps"),
    (Still(lambda *_: torch.zeros(5, 4)), "module: returns nothing that depends on its input"),
    (nn.Sequential(nn.Linear(5, 3), Neuron()), "layer '0' (Linear): got (5, 6): mat1 and mat2 shapes"),
    (nn.Sequential(nn.Linear(6, 3), nn.Tanh(), Neuron()), "layer '1' (Tanh): is a tanh, which is no spiking neuron"),
    (nn.Sequential(nn.Linear(6, 6), Neuron(), nn.TransformerEncoderLayer(6, 2), Neuron()), "layer '2.self_attn'"),
]


@pytest.mark.parametrize(("module", "message"), REFUSED, ids=[f"{i}-{m[:20]}" for i, (_, m) in enumerate(REFUSED)])
def test_what_cannot_be_expressed_is_refused_by_name(module: nn.Module, message: str) -> None:
    with pytest.raises(ExportError) as error:
        to_network(drawn(copy.deepcopy(module)), (6,))
    assert message in str(error.value)


def test_directly_coded_images_are_integers_in_fixed_point() -> None:
    """Standardised as well; zeros of a padding stay zeros, so the constants differ at the border."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Neuron(), nn.Flatten(), nn.Linear(144, 5)).eval()
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 6, 6), dtype=np.uint8)
    standard: Any = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3), "coding": "direct"}
    network = ns.export(module, (3, 6, 6), **standard)
    fixed = ns.export(module, (3, 6, 6), ns.Precision.lava(), images, steps=6, **standard)
    events = ns.encode(images, 6, "direct", magnitude=255)
    assert network.metadata == {"coding": "direct"}
    assert fixed.metadata.keys() == {"steps", "coding", "magnitude", "quantisation"}
    assert [fixed.metadata[name] for name in ("steps", "coding", "magnitude")] == ["6", "direct", "255"]
    assert (fixed.input.magnitude, events.magnitude) == (255, int(images.max()))
    assert network["conv1"].neuron.bias.shape == (4, 6, 6)  # type: ignore[union-attr]
    exact = ns.run(network, ns.encode(images, 6, "direct"), "reference", ns.Record(spikes=("conv1",)))
    rounded = ns.run(fixed, events, "reference", ns.Record(spikes=("conv1",)))
    same = exact.spikes["conv1"].dense() == rounded.spikes["conv1"].dense()
    assert exact.spikes["conv1"].dense().any()
    assert same.mean() > 0.97
    with pytest.raises(ExportError, match='mean, std: go with coding="direct"'):
        ns.export(module, (3, 6, 6), mean=(0.5,), std=(1.0,))
    with pytest.raises(ExportError, match="got 2 and 2 values; one for each of 3 channels"):
        ns.export(module, (3, 6, 6), mean=(0.5, 0.5), std=(1.0, 1.0), coding="direct")
