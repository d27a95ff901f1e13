# /// script
# requires-python = "==3.11.*"
# dependencies = [
#     "sinabs==3.1.3", "nir==1.0.4", "nirtorch==2.0.2", "torch==2.13.0", "numpy==2.4.6",
#     "numba", "h5py", "rich", "typer",
# ]
# ///
"""Sinabs: networks of from_model, layers over batch and time, several spikes per step, ExpLeak, ALIF, recurrence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sinabs.layers as sl
import torch
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from sinabs.from_torch import from_model
from sinabs.layers.alif import ALIFSqueeze
from sinabs.nir import to_nir
from torch import nn

from harness import Case, Variants, main, spikes

STEPS = 20
SAMPLES = 4


def converted() -> nn.Module:
    """The N-MNIST tutorial: a ReLU network, whose activations become integrate-and-fire neurons."""
    ann = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 16, 10, bias=False),
        nn.ReLU(),
    )
    return from_model(ann, input_shape=(2, 34, 34), batch_size=SAMPLES, add_spiking_output=True)


def summed() -> nn.Module:
    """What Sinabs' own NIR exporter takes: sum pooling, any number of spikes per step, a bound of one threshold."""
    ann = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), sl.SumPool2d(2), nn.Flatten(), nn.Linear(8 * 8 * 8, 10), nn.ReLU()
    )
    return from_model(ann, input_shape=(2, 16, 16), batch_size=SAMPLES)


def single() -> nn.Module:
    """from_model with one spike per step at most, and average pooling."""
    ann = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 8 * 8, 10), nn.ReLU()
    )
    return from_model(ann, input_shape=(2, 16, 16), batch_size=SAMPLES, spike_fn=SingleSpike, min_v_mem=-1.0)


class OverTime(nn.Module):
    """Layers of [batch, time, ...]: LIF with a current, at most three spikes, a reset to a value, and ExpLeak."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = sl.Repeat(nn.Conv2d(2, 6, 3, padding=1))
        self.lif1 = sl.LIF(tau_mem=20.0, tau_syn=4.0, norm_input=False)
        self.pool = sl.Repeat(nn.AvgPool2d(2))
        self.fc1 = nn.Linear(6 * 8 * 8, 30)
        self.lif2 = sl.LIF(tau_mem=10.0, spike_fn=MaxSpike(3), min_v_mem=-0.5)
        self.fc2 = nn.Linear(30, 20)
        self.lif3 = sl.LIF(tau_mem=15.0, spike_fn=SingleSpike, reset_fn=MembraneReset(), norm_input=False)
        self.fc3 = nn.Linear(20, 10)
        self.out = sl.ExpLeak(tau_mem=30.0)

    def forward(self, x: Any) -> Any:
        x = self.pool(self.lif1(self.conv(x)))
        x = self.lif2(self.fc1(x.flatten(2)))
        return self.out(self.fc3(self.lif3(self.fc2(x))))


def adaptive() -> nn.Module:
    """ALIF, and recurrent synapses inside a layer."""
    return nn.Sequential(
        nn.Linear(60, 40),
        sl.ALIF(tau_mem=torch.tensor(20.0), tau_adapt=torch.tensor(10.0), adapt_scale=1.2, norm_input=False),
        nn.Linear(40, 30),
        sl.LIFRecurrent(20.0, nn.Linear(30, 30, bias=False), spike_fn=SingleSpike, norm_input=False),
        nn.Linear(30, 10),
        sl.IAF(spike_fn=SingleSpike),
    )


def restart(net: Any) -> None:
    """All states to zero."""
    for part in net.modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()


def folded(net: Any, x: Any) -> Any:
    """Batch and time in one axis, batch first."""
    restart(net)
    given = x.swapaxes(0, 1).flatten(0, 1)
    return net.spiking_model(given)


def second(net: Any, x: Any) -> Any:
    restart(net)
    return net(x.swapaxes(0, 1))


def by_exporter(net: Any, x: Any) -> Any:
    restart(net)
    return to_nir(net.spiking_model, x)


def neurons() -> Iterator[Callable[[], nn.Module]]:
    """IAF, LIF and ALIF with each way to fire, each reset, a lower bound and a current; time constants per neuron."""
    batch = {"batch_size": SAMPLES}
    adapting = {"tau_mem": torch.tensor(9.0), "tau_adapt": torch.tensor(7.0), **batch}
    for spike_fn in (MultiSpike, SingleSpike, MaxSpike(2)):
        for reset_fn in (MembraneSubtract(), MembraneReset(), MembraneReset(-0.2)):
            for min_v_mem in (None, -0.4):
                options = {"spike_fn": spike_fn, "reset_fn": reset_fn, "min_v_mem": min_v_mem, **batch}
                yield partial(sl.IAFSqueeze, **options)
                yield partial(sl.LIFSqueeze, tau_mem=8.0, norm_input=False, **options)
                yield partial(sl.LIFSqueeze, tau_mem=8.0, tau_syn=4.0, **options)
        yield partial(ALIFSqueeze, spike_fn=spike_fn, **adapting)
        yield partial(ALIFSqueeze, spike_fn=spike_fn, tau_syn=torch.tensor(4.0), norm_input=False, **adapting)
        yield partial(ALIFSqueeze, spike_fn=spike_fn, tau_syn=torch.tensor(4.0), **adapting)
    yield partial(sl.LIFSqueeze, tau_mem=torch.linspace(2.0, 20.0, 8)[:, None, None], **batch)
    yield partial(sl.LIFSqueeze, tau_mem=torch.linspace(2.0, 20.0, 288).reshape(8, 6, 6), **batch)
    yield partial(sl.LIFSqueeze, tau_mem=8.0, spike_threshold=torch.tensor(0.5), train_alphas=True, **batch)
    yield partial(sl.IAFSqueeze, spike_fn=SingleSpike, reset_fn=MembraneSubtract(0.5), **batch)


def sequential_folded(net: Any, x: Any) -> Any:
    restart(net)
    return net(x.swapaxes(0, 1).flatten(0, 1))


CASES = [
    Case(
        "from_model: N-MNIST",
        converted,
        spikes(STEPS, SAMPLES, 2, 34, 34),
        folded,
        "network = ns.export(net, (2, 34, 34))",
        by_exporter,
        {"source": "sinabs"},
    ),
    Case(
        "from_model: sum pooling",
        summed,
        spikes(STEPS, SAMPLES, 2, 16, 16),
        folded,
        "network = ns.export(net, (2, 16, 16))",
        by_exporter,
        {"source": "sinabs"},
    ),
    Case(
        "from_model: single spikes",
        single,
        spikes(STEPS, SAMPLES, 2, 16, 16),
        folded,
        "network = ns.export(net, (2, 16, 16))",
    ),
    Case(
        "LIF, MaxSpike, MembraneReset, ExpLeak",
        OverTime,
        spikes(STEPS, SAMPLES, 2, 16, 16),
        second,
        "network = ns.export(net, (2, 16, 16))",
    ),
    Case("ALIF and LIFRecurrent", adaptive, spikes(STEPS, SAMPLES, 60), second, "network = ns.export(net, (60,))"),
]

VARIANTS = Variants(list(neurons()), sequential_folded)
REFUSED = [
    sl.LIFRecurrent(20.0, nn.Linear(3, 3)),
    sl.ExpLeak(20.0, min_v_mem=-1.0),
    sl.LIF(20.0, reset_fn=MembraneSubtract(0.5)),
]

if __name__ == "__main__":
    main("sinabs", "Sinabs", CASES, VARIANTS, REFUSED)
