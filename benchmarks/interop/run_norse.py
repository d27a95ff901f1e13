# /// script
# requires-python = "==3.11.*"
# dependencies = [
#     "norse==1.1.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6",
#     "nir==1.0.8", "nirtorch==2.6", "numba", "h5py", "rich", "typer",
# ]
# ///
"""Norse: SequentialState, the convolutional network of its MNIST notebook, Lift, and recurrent cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_refrac import LIFRefracParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.leaky_integrator import LILinearCell
from norse.torch.module.lif import LIFCell
from torch import nn

from harness import Case, Variants, main, spikes

STEPS = 20
SAMPLES = 4


def sequential() -> nn.Module:
    """The network of Norse's front page: one step per call, its state handed on."""
    return norse.SequentialState(
        nn.Conv2d(1, 20, 5, 1),
        norse.LIFCell(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(20, 50, 5, 1),
        norse.LIFCell(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(800, 10),
        norse.LICell(),
    )


class ConvNet(nn.Module):
    """The network of the MNIST notebook: a loop over the first axis, functional pooling, a linear readout cell."""

    def __init__(
        self, num_channels: int = 1, feature_size: int = 28, method: str = "super", alpha: float = 100
    ) -> None:
        super().__init__()
        self.features = int(((feature_size - 4) / 2 - 4) / 2)
        self.conv1 = nn.Conv2d(num_channels, 20, 5, 1)
        self.conv2 = nn.Conv2d(20, 50, 5, 1)
        self.fc1 = nn.Linear(self.features * self.features * 50, 500)
        self.lif0 = LIFCell(p=LIFParameters(method=method, alpha=torch.as_tensor(alpha)))
        self.lif1 = LIFCell(p=LIFParameters(method=method, alpha=torch.as_tensor(alpha)))
        self.lif2 = LIFCell(p=LIFParameters(method=method, alpha=torch.as_tensor(alpha)))
        self.out = LILinearCell(500, 10)

    def forward(self, x: Any) -> Any:
        seq_length = x.shape[0]
        batch_size = x.shape[1]
        s0 = s1 = s2 = so = None
        voltages = torch.zeros(seq_length, batch_size, 10, device=x.device, dtype=x.dtype)
        for ts in range(seq_length):
            z = self.conv1(x[ts, :])
            z, s0 = self.lif0(z, s0)
            z = nn.functional.max_pool2d(z, 2, 2)
            z = 10 * self.conv2(z)
            z, s1 = self.lif1(z, s1)
            z = nn.functional.max_pool2d(z, 2, 2)
            z = z.view(-1, self.features**2 * 50)
            z = self.fc1(z)
            z, s2 = self.lif2(z, s2)
            v, so = self.out(nn.functional.relu(z), so)
            voltages[ts, :, :] = v
        return voltages


def lifted() -> nn.Module:
    """All steps at once: Lift around what has no state, LIF, and LI at the end."""
    return norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 8, 3, padding=1)),
        norse.LIF(norse.LIFParameters(v_leak=torch.tensor(-0.1), v_reset=torch.tensor(-0.2))),
        norse.Lift(nn.AvgPool2d(2)),
        norse.Lift(nn.Conv2d(8, 12, 3)),
        norse.LIF(),
        nn.Flatten(2),
        nn.Linear(12 * 6 * 6, 10),
        norse.LI(),
    )


def cells() -> nn.Module:
    """LIFBoxCell with both resets, IAFCell, LIFRefracCell, LSNNCell, and recurrent synapses."""
    return norse.SequentialState(
        nn.Linear(60, 40),
        norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=reset_subtract, v_th=torch.tensor(0.3))),
        nn.Linear(40, 40),
        norse.IAFCell(norse.IAFParameters(v_reset=torch.tensor(-0.25))),
        nn.Linear(40, 30),
        norse.LIFRefracCell(LIFRefracParameters(rho_reset=torch.tensor(2.0))),
        norse.LIFRecurrentCell(30, 20),
        nn.Linear(20, 20),
        norse.LSNNCell(norse.LSNNParameters(v_th=torch.tensor(0.5))),
        nn.Linear(20, 10),
        norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.4), v_reset=torch.tensor(-0.1))),
    )


def boxes() -> nn.Module:
    """Cells that Norse's own exporter takes."""
    return norse.SequentialState(
        nn.Conv2d(2, 8, 3, padding=1),
        norse.LIFBoxCell(),
        nn.Conv2d(8, 4, 3),
        norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.5))),
    )


def currents() -> nn.Module:
    """Cells with a current; its exporter leaves out the factor of the current (w_in)."""
    return norse.SequentialState(
        nn.Conv2d(2, 8, 3, padding=1), norse.LIFCell(), nn.Conv2d(8, 4, 3, stride=2), norse.LIFCell()
    )


def stepwise(net: Any, x: Any) -> Any:
    state, out = None, []
    for step in range(x.shape[0]):
        spike, state = net(x[step], state)
        out.append(spike)
    return torch.stack(out)


def at_once(net: Any, x: Any) -> Any:
    return net(x)


def by_exporter(net: Any, x: Any) -> Any:
    from norse.torch.utils.export_nir import to_nir

    return to_nir(net, x[0])  # one sample: it keeps the batch axis


DIGITS = spikes(STEPS, SAMPLES, 1, 28, 28, rate=0.3)
SMALL = spikes(STEPS, SAMPLES, 2, 16, 16, rate=0.3)


def neurons() -> Iterator[Callable[[], nn.Module]]:
    """Cells with three sets of potentials and two of time constants; time constants and thresholds per neuron."""

    def tensors(**values: float) -> Any:
        return {name: torch.tensor(value) for name, value in values.items()}

    for v_leak, v_reset, v_th in ((0.0, 0.0, 1.0), (-0.2, -0.1, 0.5), (0.1, 0.2, 0.8)):
        potentials = tensors(v_leak=v_leak, v_reset=v_reset, v_th=v_th)
        for tau_syn_inv, tau_mem_inv in ((200.0, 100.0), (500.0, 400.0)):
            parameters = {**potentials, **tensors(tau_syn_inv=tau_syn_inv, tau_mem_inv=tau_mem_inv)}
            lif = norse.LIFParameters(**parameters)
            yield partial(norse.LIFCell, lif)
            yield partial(norse.LIFRefracCell, LIFRefracParameters(lif, torch.tensor(3.0)))
            yield partial(norse.LSNNCell, norse.LSNNParameters(**parameters, tau_adapt_inv=torch.tensor(50.0)))
        rate = torch.tensor(300.0)
        yield partial(norse.LIFBoxCell, norse.LIFBoxParameters(tau_mem_inv=rate, **potentials))
        yield partial(norse.LIFBoxCell, norse.LIFBoxParameters(rate, **potentials, reset_method=reset_subtract))
        yield partial(norse.IAFCell, norse.IAFParameters(v_th=potentials["v_th"], v_reset=potentials["v_reset"]))
    yield partial(norse.LIFCell, norse.LIFParameters(tau_mem_inv=torch.linspace(50.0, 400.0, 288).reshape(8, 6, 6)))
    yield partial(norse.LIFCell, norse.LIFParameters(v_th=torch.linspace(0.5, 1.5, 8)[:, None, None]))


CASES = [
    Case("SequentialState", sequential, DIGITS, stepwise, "network = ns.export(net, (1, 28, 28))"),
    Case("LIFCell convolution, loop inside forward", ConvNet, DIGITS, at_once, "network = ns.export(net, (1, 28, 28))"),
    Case("Lift, LIF and LI over all steps at once", lifted, SMALL, at_once, "network = ns.export(net, (2, 16, 16))"),
    Case(
        "box, IAF, refractory, adaptive and recurrent cells",
        cells,
        spikes(STEPS, SAMPLES, 60),
        stepwise,
        "network = ns.export(net, (60,))",
    ),
    Case(
        "LIFBoxCell convolution",
        boxes,
        SMALL,
        stepwise,
        "network = ns.export(net, (2, 16, 16))",
        by_exporter,
        {"source": "norse", "dt": 1e-6},  # it writes dt / tau_inv: 0.001 times the time constant
    ),
    Case(
        "LIFCell convolution",
        currents,
        SMALL,
        stepwise,
        "network = ns.export(net, (2, 16, 16))",
        by_exporter,
        {"source": "norse", "dt": 1e-6},
        "its exporter writes w_in = 1, where the cell has 1 / (dt tau_syn_inv)",
    ),
]

VARIANTS = Variants(list(neurons()), stepwise, norse.SequentialState)
REFUSED = [
    norse.LIFAdExCell(),
    norse.LIFExCell(),
]

if __name__ == "__main__":
    main("norse", "Norse", CASES, VARIANTS, REFUSED)
