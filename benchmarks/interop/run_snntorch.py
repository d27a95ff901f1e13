# /// script
# requires-python = "==3.11.*"
# dependencies = [
#     "snntorch==1.0.0", "nir==1.0.8", "nirtorch==2.6", "torch==2.13.0", "numpy==2.4.6",
#     "numba", "h5py", "rich", "typer",
# ]
# ///
"""snnTorch: the networks of its tutorials 5, 6 and 7, recurrent and residual ones, and a neuron of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import surrogate, utils
from snntorch.export_nir import export_to_nir
from torch import nn

import neurosam as ns
from harness import Case, Variants, images, main, spikes
from neurosam.deploy.readers.protocol import Reading, register

beta = 0.95
num_steps = 25
batch_size = 4
spike_grad = surrogate.fast_sigmoid(slope=25)


class Net(nn.Module):
    """Tutorial 5: two dense layers and a loop over time inside forward; the image is the input of every step."""

    def __init__(self, num_inputs: int = 28 * 28, num_hidden: int = 1000, num_outputs: int = 10) -> None:
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, num_hidden)
        self.lif1 = snn.Leaky(beta=beta)
        self.fc2 = nn.Linear(num_hidden, num_outputs)
        self.lif2 = snn.Leaky(beta=beta)

    def forward(self, x: Any) -> Any:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec = []
        mem2_rec = []
        for step in range(num_steps):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


def sequential() -> nn.Module:
    """Tutorial 6: pooling before the neurons, hidden states, one step per call."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.Conv2d(12, 64, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True, output=True),
    )


def forward_pass(net: Any, data: Any) -> Any:
    """Tutorials 6 and 7: reset, then one call per step."""
    spk_rec = []
    utils.reset(net)
    for step in range(data.size(0)):
        spk_out, mem_out = net(data[step])
        spk_rec.append(spk_out)
    return torch.stack(spk_rec)


class ConvNet(nn.Module):
    """Tutorial 6 as a class: functional pooling, and a view with the batch size inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5)
        self.lif1 = snn.Leaky(beta=0.5, spike_grad=spike_grad)
        self.conv2 = nn.Conv2d(12, 64, 5)
        self.lif2 = snn.Leaky(beta=0.5, spike_grad=spike_grad)
        self.fc1 = nn.Linear(64 * 4 * 4, 10)
        self.lif3 = snn.Leaky(beta=0.5, spike_grad=spike_grad)

    def forward(self, x: Any) -> Any:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        mem3 = self.lif3.init_leaky()
        spk3_rec = []
        mem3_rec = []
        for step in range(num_steps):
            cur1 = F.max_pool2d(self.conv1(x), 2)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = F.max_pool2d(self.conv2(spk1), 2)
            spk2, mem2 = self.lif2(cur2, mem2)
            cur3 = self.fc1(spk2.view(batch_size, -1))
            spk3, mem3 = self.lif3(cur3, mem3)
            spk3_rec.append(spk3)
            mem3_rec.append(mem3)
        return torch.stack(spk3_rec), torch.stack(mem3_rec)


def nmnist() -> nn.Module:
    """Tutorial 7: N-MNIST, pooling behind the neurons."""
    return nn.Sequential(
        nn.Conv2d(2, 12, 5),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 32, 5),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 5 * 5, 10),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True, output=True),
    )


class Residual(nn.Module):
    """By hand: a strided convolution, a block with a shortcut, one with a projected shortcut, pooling, a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, stride=2, padding=1)
        self.bn0 = nn.BatchNorm2d(8)
        self.lif0 = snn.Leaky(beta=0.8)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.lif1 = snn.Leaky(beta=0.8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.lif2 = snn.Leaky(beta=0.8)
        self.conv3 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(16)
        self.short3 = nn.Conv2d(8, 16, 1, stride=2, bias=False)
        self.lif3 = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.fc = nn.Linear(16, 10)
        nn.init.normal_(self.fc.weight)
        self.lif4 = snn.Leaky(beta=0.8, reset_delay=False)

    def forward(self, x: Any) -> Any:
        mem0, mem1, mem2, mem3, mem4 = (
            lif.reset_mem() for lif in (self.lif0, self.lif1, self.lif2, self.lif3, self.lif4)
        )
        out = []
        for step in range(x.shape[0]):
            spk0, mem0 = self.lif0(self.bn0(self.stem(x[step])), mem0)
            spk1, mem1 = self.lif1(self.bn1(self.conv1(spk0)), mem1)
            spk2, mem2 = self.lif2(self.bn2(self.conv2(spk1)) + spk0, mem2)
            spk3, mem3 = self.lif3(self.bn3(self.conv3(spk2)) + self.short3(spk0), mem3)
            spk4, mem4 = self.lif4(self.fc(F.adaptive_avg_pool2d(spk3, 1).flatten(1)), mem4)
            out.append(spk4)
        return torch.stack(out)


class Recurrent(nn.Module):
    """RLeaky, all-to-all and one-to-one, RSynaptic, and Lapicque."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(60, 40)
        self.lif1 = snn.RLeaky(beta=0.9, linear_features=40)
        self.fc2 = nn.Linear(40, 30)
        self.lif2 = snn.RLeaky(beta=0.8, all_to_all=False, V=torch.linspace(-0.5, 0.5, 30), reset_mechanism="zero")
        self.fc3 = nn.Linear(30, 20)
        self.lif3 = snn.RSynaptic(alpha=0.7, beta=0.8, linear_features=20)
        self.fc4 = nn.Linear(20, 10)
        self.lif4 = snn.Lapicque(R=5.0, C=0.8)

    def forward(self, x: Any) -> Any:
        spk1, mem1 = self.lif1.init_rleaky()
        spk2, mem2 = self.lif2.init_rleaky()
        spk3, syn3, mem3 = self.lif3.init_rsynaptic()
        mem4 = self.lif4.init_lapicque()
        out = []
        for step in range(x.shape[0]):
            spk1, mem1 = self.lif1(self.fc1(x[step]), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
            spk3, syn3, mem3 = self.lif3(self.fc3(spk2), spk3, syn3, mem3)
            spk4, mem4 = self.lif4(self.fc4(spk3), mem4)
            out.append(spk4)
        return torch.stack(out)


def learnt() -> nn.Module:
    """A threshold and a beta for each neuron, learnt, a Synaptic layer, and an Alpha layer that is never reset."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(50, 40),
        snn.Leaky(
            torch.linspace(0.5, 0.99, 40),
            torch.linspace(0.5, 1.5, 40),
            learn_beta=True,
            learn_threshold=True,
            init_hidden=True,
        ),
        nn.Linear(40, 30),
        snn.Synaptic(alpha=0.9, beta=0.8, learn_alpha=True, reset_mechanism="zero", init_hidden=True),
        nn.Linear(30, 20),
        snn.Alpha(alpha=0.9, beta=0.8, reset_mechanism="none", init_hidden=True),
        nn.Linear(20, 10),
        snn.Leaky(beta=0.9, init_hidden=True, output=True),
    )


def per_neuron() -> nn.Module:
    """What snnTorch's own NIR exporter takes: parameters of one value per neuron, no max pooling, no batch norm."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        snn.Leaky(torch.full((6, 14, 14), 0.75), torch.ones(6, 14, 14), init_hidden=True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 7 * 7, 20),
        snn.Synaptic(torch.full((20,), 0.5), torch.full((20,), 0.75), torch.ones(20), init_hidden=True),
        nn.Linear(20, 10),
        snn.Leaky(torch.linspace(0.5, 0.9, 10), torch.ones(10), init_hidden=True, output=True),
    )


class Own(nn.Module):
    """A neuron of the user's own: soft reset, and a leak that acts on the input as well."""

    def __init__(self, decay: float, limit: float) -> None:
        super().__init__()
        self.decay, self.limit = decay, limit

    def forward(self, x: Any, v: Any) -> Any:
        v = self.decay * (v + x)
        s = (v > self.limit).to(x.dtype)
        return s, v - s * self.limit


class WithOwn(nn.Module):
    """Two layers of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(50, 40), nn.Linear(40, 10)
        self.a, self.b = Own(0.75, 1.0), Own(0.5, 0.5)

    def forward(self, x: Any) -> Any:
        v1 = v2 = 0.0
        out = []
        for step in range(x.shape[0]):
            s1, v1 = self.a(self.fc1(x[step]), v1)
            s2, v2 = self.b(self.fc2(s1), v2)
            out.append(s2)
        return torch.stack(out)


def read_own(m: Any) -> Reading:
    """Its reader: the leak that acts on the input is a gain."""
    return Reading(ns.LIF(leak=m.decay, threshold=m.limit, gain=[[m.decay]], offset=[[0.0]]))


def static(net: Any, x: Any) -> Any:
    """Networks with the loop inside see one image."""
    return net(x[0])


def inside(net: Any, x: Any) -> Any:
    """Networks that index time themselves."""
    return net(x)


def by_exporter(net: Any, x: Any) -> Any:
    utils.reset(net)
    return export_to_nir(net, x, ignore_dims=[0])


OWN = """from neurosam.deploy.readers.protocol import Reading, register
register(Own, lambda m: Reading(ns.LIF(m.decay, m.limit, gain=[[m.decay]], offset=[[0.0]])))
network = ns.export(net, (50,))"""

register(Own, read_own)


def neurons() -> Iterator[Callable[[], nn.Module]]:
    """Every neuron, with every reset, delayed and not; values per channel and per neuron; recurrent convolutions."""
    hidden = {"init_hidden": True}
    single = {"all_to_all": False, "V": -0.3}
    for reset in ("subtract", "zero", "none"):
        for delay in (True, False):
            options = {"reset_mechanism": reset, "reset_delay": delay, **hidden}
            yield partial(snn.Leaky, beta=0.8, **options)
            yield partial(snn.Synaptic, alpha=0.7, beta=0.8, **options)
            yield partial(snn.RLeaky, beta=0.8, **single, **options)
        yield partial(snn.RSynaptic, alpha=0.6, beta=0.8, **single, reset_mechanism=reset, **hidden)
        yield partial(snn.Lapicque, beta=0.8, reset_mechanism=reset, **hidden)
        yield partial(snn.Lapicque, R=2.0, C=1.5, time_step=0.5, reset_mechanism=reset, **hidden)
    yield partial(snn.Alpha, alpha=0.9, beta=0.7, reset_mechanism="none", **hidden)
    yield partial(
        snn.Leaky, torch.linspace(0.1, 0.9, 8)[:, None, None], torch.linspace(0.5, 1.5, 8)[:, None, None], **hidden
    )
    yield partial(snn.Leaky, torch.linspace(0.1, 0.9, 288).reshape(8, 6, 6), **hidden)
    yield partial(snn.RLeaky, beta=0.8, conv2d_channels=8, kernel_size=3, **hidden)


def restarted(net: Any, x: Any) -> Any:
    """One step per call; `utils.reset` would leave the spikes of the last batch in RSynaptic."""
    for part in net.modules():
        if isinstance(part, snn.SpikingNeuron):
            part.reset_mem()
    return torch.stack([net(x[t]) for t in range(x.shape[0])])


CASES = [
    Case(
        "tutorial 5: loop inside forward, static image",
        Net,
        images(num_steps, batch_size, 784),
        static,
        "network = ns.export(net, (784,))",
    ),
    Case(
        "tutorial 6: Sequential, max pooling before the neurons",
        sequential,
        images(num_steps, batch_size, 1, 28, 28),
        forward_pass,
        "network = ns.export(net, (1, 28, 28))",
        by_exporter,
        {"source": "snntorch"},
    ),
    Case(
        "tutorial 6: class, functional pooling, view",
        ConvNet,
        images(num_steps, batch_size, 1, 28, 28),
        static,
        "network = ns.export(net, (1, 28, 28), samples=batch_size)",
    ),
    Case(
        "tutorial 7: N-MNIST convolution",
        nmnist,
        spikes(num_steps, batch_size, 2, 34, 34),
        forward_pass,
        "network = ns.export(net, (2, 34, 34))",
        by_exporter,
        {"source": "snntorch"},
    ),
    Case(
        "residual network by hand",
        Residual,
        spikes(15, batch_size, 2, 16, 16),
        inside,
        "network = ns.export(net, (2, 16, 16))",
        scaled=False,
    ),
    Case(
        "recurrent: RLeaky, RSynaptic, Lapicque",
        Recurrent,
        spikes(num_steps, batch_size, 60),
        inside,
        "network = ns.export(net, (60,))",
    ),
    Case(
        "learnt thresholds and leaks, Synaptic, Alpha",
        learnt,
        spikes(num_steps, batch_size, 50),
        forward_pass,
        "network = ns.export(net, (50,))",
        by_exporter,
        {"source": "snntorch"},
    ),
    Case(
        "a value per neuron, which its NIR exporter takes",
        per_neuron,
        spikes(num_steps, batch_size, 2, 16, 16),
        forward_pass,
        "network = ns.export(net, (2, 16, 16))",
        by_exporter,
        {"source": "snntorch", "reset": "subtract", "reset_timing": "next"},
    ),
    Case("a neuron of the user's own, with a reader", WithOwn, spikes(num_steps, batch_size, 50), inside, OWN),
]

VARIANTS = Variants(list(neurons()), restarted)
REFUSED = [
    snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True),
    snn.Leaky(beta=0.9, graded_spikes_factor=2.0, init_hidden=True),
    snn.StateLeaky(beta=0.9, channels=3),
    snn.SLSTM(3, 3, init_hidden=True),
]

if __name__ == "__main__":
    main("snntorch", "snnTorch", CASES, VARIANTS, REFUSED)
