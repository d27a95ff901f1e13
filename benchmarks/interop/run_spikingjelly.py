# /// script
# requires-python = "==3.11.*"
# dependencies = [
#     "spikingjelly==2.0.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6",
#     "nir==1.0.8", "nirtorch==2.6", "numba", "h5py", "rich", "typer",
# ]
# ///
"""SpikingJelly: the CSNN of its Fashion-MNIST example, SEW-ResNet blocks and its sew_resnet18, and single steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.nir_exchange import export_to_nir
from torch import nn

from harness import Case, Variants, images, main, spikes

try:
    from spikingjelly.activation_based.model import sew_resnet
except RuntimeError:  # torchvision's wheels need torch with CUDA; all that the models take from it is torch's own
    sys.modules["torchvision.models.utils"] = torch.hub  # type: ignore[assignment]
    from spikingjelly.activation_based.model import sew_resnet

STEPS = 10
SAMPLES = 4


class CSNN(nn.Module):
    """The Fashion-MNIST example: multi-step, batch norm, the image repeated over time inside forward."""

    def __init__(self, T: int, channels: int) -> None:
        super().__init__()
        self.T = T
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),  # 14 * 14
            layer.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(channels),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),  # 7 * 7
            layer.Flatten(),
            layer.Linear(channels * 7 * 7, channels * 4 * 4, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(channels * 4 * 4, 10, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x: Any) -> Any:
        x_seq = x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)  # [N, C, H, W] -> [T, N, C, H, W]
        x_seq = self.conv_fc(x_seq)
        fr = x_seq.mean(0)
        return fr


def csnn() -> nn.Module:
    """With dense weights large enough that its dense layers spike."""
    net = CSNN(T=STEPS, channels=12)
    for index in (9, 11):
        nn.init.normal_(net.conv_fc[index].weight, std=0.12)
    return net


def block(connect: str) -> Any:
    """A convolution, a SEW block with an identity shortcut, one with a projected shortcut, and a readout layer."""
    sew = sew_resnet.BasicBlock
    arguments: dict[str, Any] = {
        "cnf": connect,
        "spiking_neuron": neuron.IFNode,
        "surrogate_function": surrogate.ATan(),
        "detach_reset": True,
    }
    projected = nn.Sequential(layer.Conv2d(8, 16, 1, stride=2, bias=False), layer.BatchNorm2d(16))
    net = nn.Sequential(
        layer.Conv2d(2, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        neuron.IFNode(detach_reset=True),
        sew(8, 8, **arguments),
        sew(8, 16, stride=2, downsample=projected, **arguments),
        layer.AdaptiveAvgPool2d((1, 1)),
        layer.Flatten(),
        layer.Linear(16, 10),
    )
    functional.set_step_mode(net, "m")
    return net


def sew_add() -> nn.Module:
    return block("ADD")


def sew_and() -> nn.Module:
    return block("AND")


def sew_iand() -> nn.Module:
    return block("IAND")


def resnet18() -> nn.Module:
    """The library's own, for small images."""
    net = sew_resnet.sew_resnet18(
        num_classes=10, cnf="ADD", spiking_neuron=neuron.IFNode, surrogate_function=surrogate.ATan(), detach_reset=True
    )
    functional.set_step_mode(net, "m")
    return net


def single_step() -> nn.Module:
    """One step per call: a decaying input, soft reset, a learnt time constant, and SpikingJelly's containers."""
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1),
        neuron.LIFNode(tau=2.5, v_reset=None),
        layer.AvgPool2d(2),
        layer.Conv2d(6, 8, 3, bias=False),
        layer.BatchNorm2d(8),
        neuron.ParametricLIFNode(init_tau=2.0, v_threshold=0.8, v_reset=-0.2),
        layer.Flatten(),
        layer.Linear(8 * 6 * 6, 20),
        neuron.LIFNode(tau=3.0, decay_input=False),
        layer.Linear(20, 10),
        neuron.IFNode(v_threshold=1.5, store_v_seq=True),
    )
    return net


def container() -> nn.Module:
    """A container that folds time into the batch around layers of torch."""
    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)),
        neuron.LIFNode(step_mode="m"),
        layer.SeqToANNContainer(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 8 * 8, 20)),
        neuron.LIFNode(tau=1.5, step_mode="m"),
    )


def plain() -> nn.Module:
    """Dense layers that SpikingJelly's own exporter takes."""
    return nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1),
        neuron.IFNode(),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(6 * 8 * 8, 20),
        neuron.LIFNode(tau=2.5),
        layer.Linear(20, 10),
        neuron.LIFNode(tau=3.0, decay_input=False),
    )


def static(net: Any, x: Any) -> Any:
    """The module repeats the image itself."""
    functional.reset_net(net)
    return net(x[0])


def at_once(net: Any, x: Any) -> Any:
    functional.reset_net(net)
    return net(x)


def stepwise(net: Any, x: Any) -> Any:
    functional.reset_net(net)
    return torch.stack([net(x[t]) for t in range(x.shape[0])])


def by_exporter(net: Any, x: Any) -> Any:
    functional.reset_net(net)
    return export_to_nir(net, x)


DEPLOY = "network = ns.export(net, (2, 16, 16))"
SMALL = spikes(STEPS, SAMPLES, 2, 16, 16)


def neurons() -> Iterator[Callable[[], nn.Module]]:
    """Every neuron with soft reset and with hard resets to three values."""
    yield neuron.HalfThresholdIFNode
    for v_reset in (None, 0.0, -0.3, 0.2):
        for kind in (neuron.IFNode, neuron.SimpleIFNode, neuron.CUBALIFNode):
            yield partial(kind, v_reset=v_reset)
        for decays in (True, False):
            yield partial(neuron.LIFNode, tau=3.0, decay_input=decays, v_reset=v_reset)
            yield partial(neuron.ParametricLIFNode, init_tau=3.0, decay_input=decays, v_reset=v_reset, v_threshold=0.7)
            if v_reset is not None:
                yield partial(neuron.SimpleLIFNode, tau=3.0, decay_input=decays, v_reset=v_reset)


CASES = [
    Case(
        "CSNN, multi-step, batch norm",
        csnn,
        images(STEPS, SAMPLES, 1, 28, 28),
        static,
        "network = ns.export(net, (1, 28, 28))",
        scaled=False,
    ),
    Case("SEW-ResNet blocks, ADD", sew_add, SMALL, at_once, DEPLOY, scaled=False),
    Case("SEW-ResNet blocks, AND", sew_and, SMALL, at_once, DEPLOY, scaled=False),
    Case("SEW-ResNet blocks, IAND", sew_iand, SMALL, at_once, DEPLOY, scaled=False),
    Case(
        "sew_resnet18, ADD",
        resnet18,
        spikes(STEPS, SAMPLES, 3, 32, 32),
        at_once,
        "network = ns.export(net, (3, 32, 32))",
        scaled=False,
    ),
    Case("single step: LIF, ParametricLIF, soft and hard reset", single_step, SMALL, stepwise, DEPLOY),
    Case("SeqToANNContainer", container, SMALL, at_once, DEPLOY),
    Case("plain convolution", plain, SMALL, stepwise, DEPLOY, by_exporter, {"source": "spikingjelly"}),
]

VARIANTS = Variants(list(neurons()), stepwise)
REFUSED = [
    neuron.QIFNode(),
    neuron.EIFNode(),
    neuron.IzhikevichNode(),
    neuron.KLIFNode(),
    neuron.PSN(T=4),
]

if __name__ == "__main__":
    main("spikingjelly", "SpikingJelly", CASES, VARIANTS, REFUSED)
