"""Shared by the scripts of all frameworks: export each module as it is, run it, and compare every spike with its own.

    python run_FRAMEWORK.py OUT.json
    python run_FRAMEWORK.py OUT.json --only "tutorial 5" --verbose

A script passes `main` a list of :class:`Case`. For each, the module is built with seeded weights, scaled until every
layer of neurons spikes, put through one step of training (its states then belong to a graph, as a user's do), and
exported. The network runs on the event back end; the module runs by the framework's own code in float64, and its
neurons are watched with hooks. What is compared is every spike of every neuron in every step.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import neurosam as ns
from neurosam.deploy.readers.protocol import Reading, read
from neurosam.deploy.tracing.steps import copied
from neurosam.formats.nir.load import load_nir

__all__ = ["Case", "Variants", "images", "main", "spikes"]

WEIGHTS = (nn.Conv1d, nn.Conv2d, nn.Linear)

RATE = 0.12
"""Spikes per neuron and step to which the weights of each layer are scaled."""


@dataclass(frozen=True)
class Case:
    """A module, and how its users run it.

    Parameters
    ----------
    name : str
        As in the table.
    build : function
        Returns the module, with random weights.
    inputs : (T, B, ...) array
        What the network sees: spikes, or images that stay the same in every step.
    forward : function
        Takes the module and ``[T, B, ...]``, and runs it as the framework's users do.
    code : str
        The lines that a user writes between `import neurosam as ns` and `ns.run(network, events)`; `net` is the module.
    nir : function, optional
        Takes a float32 copy of the module and one step of input, returns the graph of the framework's own exporter.
    load : dict
        Arguments of :func:`neurosam.load_nir` for that graph.
    remark : str
        On what its exporter leaves out.
    scaled : bool
        Whether weights are scaled for spikes; False for modules with batch norm in front of every neuron.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Any
    forward: Callable[[nn.Module, torch.Tensor], Any]
    code: str
    nir: Callable[[Any, torch.Tensor], Any] | None = None
    load: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    scaled: bool = True


@dataclass(frozen=True)
class Variants:
    """A small convolutional network for each neuron and option: two layers of it, one row of the table.

    Parameters
    ----------
    neurons : sequence of functions
        Each makes a layer of neurons of 8 channels of 6 x 6.
    forward : function
        As that of a :class:`Case`.
    container : type
        Takes the layers, as nn.Sequential does.
    """

    neurons: Sequence[Callable[[], nn.Module]]
    forward: Callable[[nn.Module, torch.Tensor], Any]
    container: Callable[..., nn.Module] = nn.Sequential

    def row(self) -> dict[str, Any]:
        """Sums over the networks."""
        rows = []
        for index, neuron in enumerate(self.neurons):

            def build(neuron: Callable[[], nn.Module] = neuron) -> nn.Module:
                return self.container(nn.Conv2d(2, 8, 3), neuron(), nn.Conv2d(8, 8, 1), neuron())

            inputs = spikes(20, 4, 2, 8, 8, rate=0.3)
            try:
                rows.append(row(Case(str(index), build, inputs, self.forward, "network = ns.export(net, (2, 8, 8))")))
            except Exception as error:
                raise RuntimeError(f"neuron {index}, {neuron()}: {error}") from error
        layers = {f"{one['network']}.{name}": layer for one in rows for name, layer in one["layers"].items()}
        total = {name: sum(one[name] for one in rows) for name in ("neurons", "spikes", "differ")}
        name = f"each neuron with its options: {len(rows)} networks"
        return {**rows[0], "network": name, "layers": layers, **total}


@dataclass
class Watched:
    """A layer of neurons of the module.

    Parameters
    ----------
    name : str
        Path of the module.
    reading : Reading
        From which the axes of its output and its lag are taken.
    calls : list of tensors
        What it sent, a call each.
    """

    name: str
    reading: Reading
    calls: list[torch.Tensor] = field(default_factory=list)

    def sent(self, samples: int) -> Any:
        """Spikes, ``[T, B, ...]``."""
        if self.reading.time == "step":
            return torch.stack(self.calls).numpy()
        array = torch.cat(self.calls, dim=int(self.reading.time == "second")).numpy()
        if self.reading.time == "folded":
            array = array.reshape(samples, -1, *array.shape[1:])
        return array if self.reading.time == "first" else np.swapaxes(array, 0, 1)


def spikes(steps: int, samples: int, *shape: int, rate: float = 0.2, seed: int = 1) -> Any:
    """Random spikes, ``[T, B, *shape]``."""
    return (np.random.default_rng(seed).random((steps, samples, *shape)) < rate).astype(np.uint8)


def images(steps: int, samples: int, *shape: int, seed: int = 1) -> Any:
    """Random images in [0, 1) that stay the same in every step, ``[T, B, *shape]``."""
    return np.repeat(np.random.default_rng(seed).random((1, samples, *shape)), steps, axis=0)


@contextmanager
def watching(module: nn.Module) -> Iterator[dict[str, Watched]]:
    """Record what each layer of neurons sends, in the order of their first calls.

    Some frameworks send spikes as float32 whatever they are given, which a layer in float64 refuses; they are whole
    numbers, and are handed on in the other's type.
    """
    seen: dict[str, Watched] = {}
    handles = []
    for name, part in module.named_modules():
        if isinstance(part, WEIGHTS):
            handles.append(part.register_forward_pre_hook(lambda part, given: (given[0].to(part.weight.dtype),)))
        reading = read(part)
        if reading is None:
            continue

        def hook(part: Any, given: Any, output: Any, name: str = name, reading: Reading = reading) -> Any:
            sent, rest = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
            sent = sent.to(given[0].dtype)
            if hasattr(reading.neuron, "threshold"):
                seen.setdefault(name, Watched(name, reading)).calls.append(sent.detach().clone())
            return sent if rest is None else (sent, *rest)

        handles.append(part.register_forward_hook(hook))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def prepared(case: Case) -> nn.Module:
    """The module, spiking in every layer, after one step of training."""
    torch.manual_seed(0)
    module = case.build()
    x = torch.as_tensor(np.asarray(case.inputs), dtype=torch.float32)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in norms:  # statistics of the data, and the spread of gains and biases that training gives
        part.momentum = None
        nn.init.uniform_(part.weight, 0.7, 1.7)
        nn.init.uniform_(part.bias, -0.1, 0.6)
    module.train()
    with torch.no_grad():
        for _ in range(3 if norms else 0):
            case.forward(module, x)
    if case.scaled:
        module.eval()
        _scale(case, module, x)
    module.train()
    output = _tensor(case.forward(module, x))
    if output.requires_grad:
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-4)
        output.float().square().mean().backward()
        optimizer.step()
    return module.eval()


def _scale(case: Case, module: nn.Module, x: torch.Tensor) -> None:
    """Scale the weights in front of each layer of neurons, from the first layer to the last, by bisection."""
    groups = _groups(case, module, x)
    with torch.no_grad(), watching(module) as seen:
        for name, parameters in groups.items():
            first = [parameter.clone() for parameter in parameters]
            low, high = -6.0, 10.0
            for _ in range(10):
                middle = (low + high) / 2
                for parameter, value in zip(parameters, first, strict=True):
                    parameter.copy_(value * 2**middle)
                seen.clear()
                case.forward(module, x)
                rate = float(torch.cat([call.reshape(-1) for call in seen[name].calls]).mean())
                if 0.7 * RATE < rate < 1.4 * RATE:
                    break
                low, high = (middle, high) if rate < RATE else (low, middle)


def _groups(case: Case, module: nn.Module, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """Weights and biases in front of each layer of neurons: those used since the layer before was called."""
    order: dict[str, nn.Module] = {}
    handles = []
    for name, part in module.named_modules():
        if isinstance(part, WEIGHTS) or read(part) is not None:

            def hook(part: nn.Module, given: Any, name: str = name) -> None:
                order.setdefault(name, part)

            handles.append(part.register_forward_pre_hook(hook))
    with torch.no_grad():
        case.forward(module, x)
    for handle in handles:
        handle.remove()
    groups, waiting = {}, []
    for name, part in order.items():
        reading = read(part)
        if reading is None:
            waiting += part.parameters()
        elif hasattr(reading.neuron, "threshold"):
            groups[name] = [*waiting, *([part.input_weights] if hasattr(part, "input_weights") else [])]
            waiting = []
    return groups


def _tensor(output: Any) -> torch.Tensor:
    while isinstance(output, (tuple, list)):
        output = output[0]
    return output


def compared(case: Case, module: nn.Module, network: ns.Network) -> dict[str, Any]:
    """Run both and count: layers, neurons, spikes, and how many differ."""
    x = np.asarray(case.inputs)
    steps, samples = x.shape[:2]
    with torch.no_grad(), watching(module) as seen:
        case.forward(module, torch.as_tensor(x, dtype=torch.float64))
    theirs = {name: layer.sent(samples) for name, layer in seen.items()}
    pairs = _pairs(network, theirs)
    recording = ns.run(network, ns.Events.from_dense(x), "event", ns.Record(spikes=tuple(pairs.values())), threads=1)
    differ, layers = 0, {}
    for name, population in pairs.items():
        lag, expected = seen[name].reading.lag, theirs[name].astype(np.int64)
        ours = recording.spikes[population].dense().astype(np.int64).reshape(expected.shape)
        ours = np.concatenate([np.zeros_like(ours[:lag]), ours[: steps - lag]])
        wrong = int(np.abs(ours - expected).sum())
        layers[name] = {
            "population": population,
            "spikes": int(expected.sum()),
            "rate": round(float(expected.mean()), 4),
        }
        layers[name] |= {"differ": wrong} if wrong else {}
        differ += wrong
    return {
        "steps": steps,
        "samples": samples,
        "neurons": int(sum(a[0, 0].size for a in theirs.values())),
        "spikes": int(sum(a.sum() for a in theirs.values())),
        "differ": differ,
        "layers": layers,
    }


def _pairs(network: ns.Network, theirs: dict[str, Any]) -> dict[str, str]:
    """The population of each layer of neurons: the one with its name, else the next of its size."""
    free = {p.name: int(np.prod(p.shape)) for p in network.populations if p.fires and p.neuron is not None}
    pairs = {name: name for name in theirs if name in free}
    for name in pairs:
        del free[name]
    for name, array in theirs.items():
        if name in pairs:
            continue
        size = array[0, 0].size
        population = next((p for p, neurons in free.items() if neurons == size), None)
        if population is None:
            raise AssertionError(f"no population has the {size} neurons of {name!r}: {free}")
        pairs[name] = population
        del free[population]
    return pairs


def brought(case: Case, module: nn.Module) -> ns.Network:
    """The network that the user's lines make of the module."""
    scope = {"ns": ns, "net": module, **vars(sys.modules[case.build.__module__])}
    exec(case.code, scope)
    network: ns.Network = scope["network"]
    return network


def row(case: Case) -> dict[str, Any]:
    """One row of the table."""
    module = prepared(case)
    begin = time.perf_counter()
    network = brought(case, module)
    seconds = time.perf_counter() - begin
    module = module.double()
    about = {"network": case.name, "lines": case.code.count("\n") + 3, "export_s": round(seconds, 2)}
    return {**about, **compared(case, module, network), "nir": nir(case, module), "remark": case.remark}


def nir(case: Case, module: nn.Module) -> Any:
    """Spikes that differ by the framework's own NIR exporter, or why there is no such network."""
    if case.nir is None:
        return "-"
    x = torch.as_tensor(np.asarray(case.inputs), dtype=torch.float32)
    try:
        with redirect_stdout(sys.stderr):
            graph = case.nir(copied(module).float().eval(), x[0])
    except Exception as error:  # whatever another tool's exporter raises is the answer
        said = str(error).splitlines() or [""]
        return f"its exporter: {type(error).__name__}: {said[0]}"[:160]
    try:
        network = load_nir(graph, **case.load)
    except ns.NeurosamError as error:
        return f"refused: {error}"
    return compared(case, module, network)["differ"]


def refusal(layer: nn.Module) -> str:
    """What a user is told who exports a network with a layer that has no equal."""
    try:
        ns.export(nn.Sequential(nn.Linear(4, 3), layer), (4,))
    except ns.NeurosamError as error:
        return str(error)
    raise AssertionError(f"{type(layer).__name__} is not refused")


def main(package: str, framework: str, cases: list[Case], variants: Variants, refused: list[nn.Module]) -> None:
    """Run the cases that the command line names and write a JSON file; `refused` are layers without an equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--verbose", action="store_true", help="a traceback for each case that fails")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    rows = []
    jobs = {case.name: functools.partial(row, case) for case in cases} | {"each neuron": variants.row}
    for name, job in jobs.items():
        if options.only not in name:
            continue
        try:
            rows.append(job())
        except Exception as error:  # one that fails is a row of the table, not the end of it
            if options.verbose:
                traceback.print_exc()
            rows.append({"network": name, "failed": f"{type(error).__name__}: {error}"})
        print(json.dumps(rows[-1]), file=sys.stderr)
    messages = {type(layer).__name__: refusal(layer) for layer in refused}
    about = {"framework": framework, "version": version(package), "torch": torch.__version__, "refused": messages}
    about["rows"] = rows
    options.out.write_text(json.dumps(about) + "\n")
