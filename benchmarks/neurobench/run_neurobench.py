# /// script
# requires-python = "==3.11.*"
# dependencies = [
#     "torch==2.13.0", "snntorch==1.0.0", "tqdm==4.67.1", "numpy==2.4.6", "numba", "h5py", "rich", "typer",
# ]
# ///
"""NeuroBench's own harness and neurosam's metrics on the same snnTorch modules; run by compare.py in an environment.

python run_neurobench.py OUT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ActivationSparsityByLayer,
    MembraneUpdates,
    NeuronOperations,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel, TorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neurosam as ns
from neurosam.metrics import neurobench

STEPS, SAMPLES = 12, 6

STATIC = [Footprint, ParameterCount, ConnectionSparsity]
WORKLOAD = [ActivationSparsity, SynapticOperations, MembraneUpdates, NeuronOperations, ActivationSparsityByLayer]
"""In this order: ActivationSparsityByLayer does not say that it needs hooks, so another one has to ask for them."""


def leaky(reset: str = "subtract", last: bool = False) -> nn.Module:
    """A layer of neurons without a synaptic current."""
    return snn.Leaky(beta=0.75, reset_mechanism=reset, init_hidden=True, output=last)


def dense(reset: str) -> nn.Module:
    """Two dense layers."""
    return nn.Sequential(nn.Linear(40, 30), leaky(reset), nn.Linear(30, 10), leaky(reset, last=True))


def synaptic(reset: str) -> nn.Module:
    """The same with a synaptic current in the first."""
    hidden = snn.Synaptic(alpha=0.5, beta=0.75, reset_mechanism=reset, init_hidden=True)
    return nn.Sequential(nn.Linear(40, 30), hidden, nn.Linear(30, 10), leaky(reset, last=True))


def convolution(*pool: nn.Module, before: bool = False) -> nn.Module:
    """Two convolutions, the second with stride and without a bias; pools behind the first neurons, or before them."""
    front, behind = (pool, ()) if before else ((), pool)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), *front, leaky("zero"), *behind,
        nn.Conv2d(6, 8, 3, padding=1, stride=2, bias=False), leaky(),
        nn.Flatten(), nn.Linear(8 * (9 if pool else 36), 10), leaky(last=True),
    )  # fmt: skip


RATE, SELDOM = 0.25, 0.01
"""Share of inputs with an event in a step."""

CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "dense, reset by subtraction": (lambda: dense("subtract"), (40,), 1),
    "dense, reset to zero": (lambda: dense("zero"), (40,), 1),
    "dense, graded input": (lambda: dense("subtract"), (40,), 3),
    "dense, synaptic current, subtraction": (lambda: synaptic("subtract"), (40,), 1),
    "dense, synaptic current, to zero": (lambda: synaptic("zero"), (40,), 1),
    "convolution": (convolution, (2, 12, 12), 1),
    "convolution, sum pool": (lambda: convolution(nn.AvgPool2d(2, divisor_override=1)), (2, 12, 12), 1),
    "convolution, average pool": (lambda: convolution(nn.AvgPool2d(2)), (2, 12, 12), 1),
    "convolution, average pool, few spikes": (lambda: convolution(nn.AvgPool2d(2)), (2, 12, 12), 1),
    "convolution, max pool of spikes": (lambda: convolution(nn.MaxPool2d(2)), (2, 12, 12), 1),
    "convolution, max pool of sums": (lambda: convolution(nn.MaxPool2d(2), before=True), (2, 12, 12), 1),
}
"""Module, shape of the input, largest value of an input event."""


def prepared(build: Callable[[], nn.Module]) -> nn.Module:
    """In float64, with weights that are multiples of 1/64 and three in ten of them 0."""
    torch.manual_seed(0)
    module = build().double().eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                spread = 3 / part.weight[0].numel() ** 0.5
                part.weight.copy_(torch.round(torch.randn(part.weight.shape) * spread * 64) / 64)
                part.weight[torch.rand(part.weight.shape) < 0.3] = 0
                part.register_forward_pre_hook(as_float64)
                if part.bias is not None:
                    part.bias.copy_((torch.randint(1, 9, part.bias.shape)) / 64)
    return module


def as_float64(part: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """SnnTorch's spikes are float32 whatever it is given."""
    return (given[0].double(),)


def harness(module: nn.Module, x: Any, batch_size: int) -> dict[str, Any]:
    """What NeuroBench says; `x` is ``[T, B, ...]``."""
    data = TensorDataset(torch.as_tensor(x, dtype=torch.float64).transpose(0, 1), torch.zeros(x.shape[1]))
    loader = DataLoader(data, batch_size=batch_size)
    benchmark = Benchmark(SNNTorchModel(module), loader, [], [], [STATIC, WORKLOAD])
    with torch.no_grad():
        results: dict[str, Any] = benchmark.run(quiet=True)
    benchmark.workload_metric_manager.cleanup_hooks(benchmark.model)
    return results


def file_footprint(network: ns.Network) -> int:
    """NeuroBench's Footprint of the arrays that a network file holds, each of which becomes a buffer."""
    holder = nn.Module()
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "network.h5")
        with h5py.File(Path(folder) / "network.h5") as file:

            def keep(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and name != "metadata":
                    holder.register_buffer(name.replace("/", "_"), torch.as_tensor(np.asarray(item)))

            file.visititems(keep)
    return int(Footprint()(TorchModel(holder)))


def rows() -> Iterator[dict[str, Any]]:
    """A row for each case, batch size and metric."""
    for name, (build, shape, magnitude) in CASES.items():
        random = np.random.default_rng(1)
        size = (STEPS, SAMPLES, *shape)
        x = (random.random(size) < (SELDOM if "few" in name else RATE)) * random.integers(1, magnitude + 1, size)
        network = ns.export(prepared(build), shape, magnitude=magnitude)
        events = ns.Events.from_dense(x)
        recording = ns.run(network, events, "reference", ns.Record.everything(network))
        for batch_size in (SAMPLES, 2):
            theirs = harness(prepared(build), x, batch_size)
            ours = neurobench(network, recording, events, batch_size=batch_size)
            for metric, value, mine in pairs(theirs, ours):
                yield {"case": name, "batch": batch_size, "metric": metric, "theirs": value, "ours": mine}
        fixed, _ = ns.quantise(network, ns.Precision.lava())
        for kind, deployed in (("float64", network), ("8-bit", fixed)):
            made = ns.run(deployed, events, "reference", ns.Record.everything(deployed))
            yield {
                "case": name, "batch": 0, "metric": f"Footprint of the {kind} file", "theirs": file_footprint(deployed),
                "ours": neurobench(deployed, made, events)["Footprint"],
            }  # fmt: skip


def pairs(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each number by its name; layers in their order, as names are of modules there and populations here."""
    for metric in theirs:
        value, mine = theirs[metric], ours.get(metric)
        if metric == "ActivationSparsityByLayer":
            yield metric, list(value.values()), list(mine.values())
        elif isinstance(value, dict):
            for part in value:
                yield f"{metric}: {part}", value[part], None if mine is None else mine[part]
        else:
            yield metric, value, mine


def main() -> None:
    """Write all rows."""
    versions = {name: version(name) for name in ("neurobench", "snntorch", "torch")}
    Path(sys.argv[1]).write_text(json.dumps({"versions": versions, "rows": list(rows())}))


if __name__ == "__main__":
    main()
