"""Methods on any module or function that loops over time, layers by module or name, and inputs that are no pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurosam.attribution import GradCAM, IntegratedGradients, ModuleSAM, Occlusion, Saliency, SpikingGradCAM
from neurosam.errors import NeurosamError
from neurosam.training import LIF, Readout, SpikingSequential, build_ann, fire

T, B = 5, 3
TARGET = [2, 0, 1]


def sequential() -> SpikingSequential:
    torch.manual_seed(4)
    return SpikingSequential(
        nn.Conv2d(2, 4, 3, padding=1), LIF(0.9, 0.5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 3), Readout("sum")
    ).double()


class Neuron(nn.Module):
    """A neuron of another framework: one step at a time, spikes and membrane out, state kept until it is reset."""

    def __init__(self) -> None:
        super().__init__()
        self.membrane: Tensor | None = None

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        before = torch.zeros_like(current) if self.membrane is None else self.membrane
        membrane = 0.9 * before + current
        spikes = fire(membrane, 0.5, LIF(0.9, 0.5).surrogate)
        self.membrane = membrane - 0.5 * spikes.detach()
        return spikes, membrane


class Looping(nn.Module):
    """The net of `sequential` with a time loop of its own, over [T, B, C, H, W]."""

    def __init__(self, *, resets: bool = True) -> None:
        super().__init__()
        net = sequential()
        self.conv, self.head, self.neuron, self.resets = net[0], net[4], Neuron(), resets

    def forward(self, x: Tensor) -> Tensor:
        if self.resets:
            self.neuron.membrane = None
        logits = torch.zeros(x.shape[1], 3, dtype=x.dtype)
        for frame in x:
            spikes, _ = self.neuron(self.conv(frame))
            logits = logits + self.head(nn.functional.avg_pool2d(spikes, 2).flatten(1))
        return logits


def spikes() -> Tensor:
    return (torch.rand(T, B, 2, 8, 6, generator=torch.Generator().manual_seed(5)) < 0.4).double()


def test_a_time_loop_of_ones_own_gives_the_maps_of_a_sequential() -> None:
    mine, net, x = Looping(), sequential(), spikes()
    pairs = [
        (Saliency(mine), Saliency(net)),
        (IntegratedGradients(mine, 2), IntegratedGradients(net, 2)),
        (Occlusion(mine, 4), Occlusion(net, 4)),
        (ModuleSAM(mine, "neuron"), ModuleSAM(net, "1")),
        (SpikingGradCAM(mine, "neuron", "per_step"), SpikingGradCAM(net, "1", "per_step")),
        (SpikingGradCAM(mine, mine.neuron), SpikingGradCAM(net, net[1])),
    ]
    for found, wanted in pairs:
        maps = wanted.attribute(x, TARGET)
        assert maps.any()
        np.testing.assert_allclose(found.attribute(x, TARGET), maps, rtol=1e-10, atol=1e-14)


def test_a_function_around_a_batch_first_module() -> None:
    """A function may turn the axes and reset the state; its layers are given as modules."""
    inner, net, x = Looping(resets=False), sequential(), spikes()

    def forward(batch_first: Tensor) -> Tensor:
        inner.neuron.membrane = None
        output: Tensor = inner(batch_first.transpose(0, 1))
        return output

    def around(time_first: Tensor) -> Tensor:
        return forward(time_first.transpose(0, 1))

    np.testing.assert_allclose(Saliency(around).attribute(x, TARGET), Saliency(net).attribute(x, TARGET), rtol=1e-10)
    np.testing.assert_array_equal(ModuleSAM(around, inner.neuron).attribute(x), ModuleSAM(net, "1").attribute(x))
    with pytest.raises(NeurosamError, match="a function has no names; give the layer as a module"):
        ModuleSAM(around, "neuron")


def test_a_layer_that_is_called_once_with_steps_and_samples_in_one_axis() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = sequential()

        def forward(self, x: Tensor) -> Tensor:
            current = self.net[0](x.flatten(0, 1)).unflatten(0, x.shape[:2])
            output: Tensor = self.net[5](self.net[4](self.net[2](self.net[1](current).flatten(0, 1)).flatten(1))
                                         .unflatten(0, x.shape[:2]))  # fmt: skip
            return output

    flat, net, x = Flat().double(), sequential(), spikes()
    for layer in ("0", "1"):
        wanted = SpikingGradCAM(net, layer).attribute(x, TARGET)
        np.testing.assert_allclose(SpikingGradCAM(flat, f"net.{layer}").attribute(x, TARGET), wanted, rtol=1e-10)


def test_a_module_that_keeps_its_state_is_refused() -> None:
    with pytest.raises(NeurosamError, match="other logits for the same input in a second call; give a function"):
        Saliency(Looping(resets=False)).attribute(spikes())


def test_layers_given_as_modules() -> None:
    ann = build_ann("4C3-P2-D3", (2, 8, 6)).double()
    x = spikes()[0]
    by_name = GradCAM(ann, "conv1").attribute(x, TARGET)
    np.testing.assert_array_equal(GradCAM(ann, ann.get_submodule("conv1")).attribute(x, TARGET), by_name)
    with pytest.raises(NeurosamError, match="layer: the given Conv2d is not in the module"):
        GradCAM(ann, nn.Conv2d(1, 1, 1))
    shared = LIF(0.9, 0.3)
    twice = SpikingSequential(nn.Conv2d(2, 2, 1), shared, nn.Conv2d(2, 2, 1), shared)
    with pytest.raises(NeurosamError, match="is used as '1' and '3'; give one by name"):
        ModuleSAM(twice, shared)
    with pytest.raises(NeurosamError, match=r"layer 'conv': gives values other than 0, 1, ..., which are not spikes"):
        ModuleSAM(Looping(), "conv").attribute(spikes())
    with pytest.raises(NeurosamError, match=r"layer 'head': gives \(5, 3, 3\); a map requires"):
        SpikingGradCAM(Looping(), "head").attribute(spikes())


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_raw_pictures_are_refused_with_the_remedy(kind: Any) -> None:
    """As a current of 0..255, a picture would make every neuron fire; spikes as bytes are fine."""
    net, x = sequential(), spikes()
    pictures = kind((x[0].numpy() * 200).astype(np.uint8))
    for raw in (pictures, kind(np.stack([np.asarray(pictures)] * T))):
        with pytest.raises(NeurosamError, match=r"got uint8 of shape .* with values up to 200, a raw picture; divide"):
            ModuleSAM(net, "1").attribute(raw)
    with pytest.raises(NeurosamError, match=r"a raw picture; divide it by 255 for an ANN"):
        Saliency(build_ann("4C3-P2-D3", (2, 8, 6))).attribute(pictures)
    as_bytes = ModuleSAM(net, "1").attribute(kind(x.numpy().astype(np.uint8)))
    np.testing.assert_array_equal(as_bytes, ModuleSAM(net, "1").attribute(x))
    ModuleSAM(net, "1").attribute(kind((x.numpy() * 3).astype(np.int32)))  # counts of events


def test_what_is_neither_module_nor_function() -> None:
    with pytest.raises(NeurosamError, match=r"Saliency: got type; a torch module is required, or a function"):
        Saliency(nn.ReLU)  # type: ignore[arg-type]
    with pytest.raises(NeurosamError, match=r"module: gives list; one tensor \[B, classes\] is required"):
        Saliency(lambda x: [x]).attribute(spikes())  # type: ignore[arg-type, return-value]
    with pytest.raises(NeurosamError, match=r"module: Looping cannot take \(5, 3, 1, 8, 6\): .*channels"):
        Saliency(Looping()).attribute(spikes()[:, :, :1])
