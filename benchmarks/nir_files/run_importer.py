"""Run NIR graphs by the importer of one framework, in an environment of its own; compare.py runs the same files here.

    python run_importer.py FRAMEWORK FOLDER

Writes FOLDER/FRAMEWORK-CASE.nir and .npz (input [T, B, ...], output [T, B, ...]). Modules run in float64 on the
parameters of the file, which are float32. Weights are multiples of 1/64, so that sums are exact in any order: what is
compared are neurons, their parameters and the structure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

STEPS, BATCH = 120, 3
DT = {"snntorch": 1e-4, "spikingjelly": 1e-4, "norse": 1e-3, "sinabs": 1.0, "rockpool": 1e-3}


def weights(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    """Random multiples of 1/64 in float32."""
    return (np.round(rng.normal(0.1, 0.6, shape) * 64 * scale) / 64).astype(np.float32)


def single(value: float, shape: int | tuple[int, ...]) -> np.ndarray:
    """A parameter that all neurons share."""
    return np.full(shape, value, dtype=np.float32)


def lif(framework: str, shape: Any, tau_steps: float = 8.0, threshold: float = 1.0) -> nir.NIRNode:
    """A LIF whose r is what the framework's exporter writes."""
    dt = DT[framework]
    tau = tau_steps * dt
    r = {
        "snntorch": tau_steps, "spikingjelly": tau_steps, "norse": 1.0, "sinabs": 1.0,
        "rockpool": tau_steps * np.exp(-1 / tau_steps),
    }[framework]  # fmt: skip
    if framework == "norse":
        threshold /= tau_steps
    return nir.LIF(
        tau=single(tau, shape), r=single(r, shape), v_leak=single(0, shape), v_threshold=single(threshold, shape)
    )


def decaying(framework: str, shape: Any) -> nir.NIRNode:
    """A LIF whose input decays, with r = 1; SpikingJelly's resets to -0.25."""
    rest = single(-0.25 if framework == "spikingjelly" else 0.0, shape)
    reset = {"v_reset": rest} if framework == "spikingjelly" else {}  # nir 1.0.4, which Sinabs needs, does not know it
    return nir.LIF(
        tau=single(8 * DT[framework], shape), r=single(1, shape), v_leak=rest, v_threshold=single(0.125, shape), **reset
    )


def cuba(framework: str, shape: Any, threshold: float = 3.0) -> nir.NIRNode:
    """A CubaLIF with the r and w_in that the importer wants."""
    dt = DT[framework]
    r, w_in = {
        "snntorch": (8.0, 4.0), "spikingjelly": (8.0, 4.0), "norse": (1.0, 4.0),
        "rockpool": (8.0 * np.exp(-1 / 8), 1.0),
    }[framework]  # fmt: skip
    return nir.CubaLIF(
        tau_syn=single(4 * dt, shape), tau_mem=single(8 * dt, shape), r=single(r, shape), v_leak=single(0, shape),
        v_threshold=single(threshold / (8 if framework == "norse" else 1), shape), w_in=single(w_in, shape),
    )  # fmt: skip


def integrate_fire(framework: str, shape: Any) -> nir.NIRNode:
    """An IF with the r that the importer wants."""
    r = 1 / DT[framework] if framework == "spikingjelly" else 1.0
    return nir.IF(r=single(r, shape), v_threshold=single(1, shape))


def sequence(*nodes: nir.NIRNode) -> nir.NIRGraph:
    """Nodes one behind the other, between an Input and an Output."""
    return nir.NIRGraph.from_list(*nodes)


def affine(rng: np.random.Generator, out: int, into: int) -> nir.NIRNode:
    """Weights and biases."""
    return nir.Affine(weights(rng, out, into, scale=2 / np.sqrt(into)), weights(rng, out, scale=0.25))


def conv(rng: np.random.Generator, out: int, into: int, size: int, **options: Any) -> nir.NIRNode:
    """A convolution of 3 x 3."""
    defaults = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1} | options
    return nir.Conv2d(
        (size, size), weights(rng, out, into, 3, 3, scale=0.5), bias=weights(rng, out, scale=0.25), **defaults
    )


def cases(framework: str) -> dict[str, nir.NIRGraph]:
    """Graphs that the importer accepts."""
    rng = np.random.default_rng(7)
    found = {"lif": sequence(affine(rng, 30, 20), lif(framework, 30), affine(rng, 10, 30), lif(framework, 10))}
    found["slow"] = sequence(affine(rng, 30, 20), lif(framework, 30, 37.0, 2.0))
    if framework in ("norse", "sinabs", "spikingjelly"):
        found["decaying"] = sequence(affine(rng, 30, 20), decaying(framework, 30))
        found["if"] = sequence(
            affine(rng, 30, 20), integrate_fire(framework, 30), affine(rng, 10, 30), integrate_fire(framework, 10)
        )
    if framework != "sinabs":
        found["cuba"] = sequence(affine(rng, 30, 20), cuba(framework, 30), affine(rng, 10, 30), cuba(framework, 10))
    if framework != "rockpool":
        pool = nir.AvgPool2d if framework in ("snntorch", "spikingjelly") else nir.SumPool2d
        layer = integrate_fire if framework == "sinabs" else lif  # whose importer fails for a LIF of pictures
        found["conv"] = sequence(
            nir.Input(np.array([2, 9, 9])), conv(rng, 4, 2, 9), layer(framework, (4, 9, 9)),
            pool(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
            conv(rng, 6, 4, 4, stride=2), layer(framework, (6, 2, 2)),
            nir.Flatten({"input": np.array([6, 2, 2])}, 0, -1), affine(rng, 5, 24), lif(framework, 5),
        )  # fmt: skip
    if framework == "norse":
        found["leak"] = sequence(
            affine(rng, 30, 20),
            nir.LIF(single(8e-3, 30), single(1, 30), np.linspace(-0.25, 0.25, 30, dtype=np.float32), single(0.125, 30)),
        )
    return found


def run(framework: str, graph: nir.NIRGraph, x: torch.Tensor) -> torch.Tensor:
    """Output [T, B, ...] of the framework's own importer."""
    if framework == "snntorch":
        from snntorch.import_nir import import_from_nir

        net = import_from_nir(graph).double()
        for module in net.modules():
            if hasattr(module, "spike_grad"):
                module.spike_grad = lambda mem: (mem > 0).double()  # its own makes spikes float32
        return stepped(net, x)
    if framework == "spikingjelly":
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        return stepped(import_from_nir(graph, dt=DT[framework], dtype=torch.float64), x)
    if framework == "norse":
        from norse.torch import from_nir

        return stepped(doubled(from_nir(graph, dt=DT[framework])), x)
    if framework == "sinabs":
        from sinabs.nir import from_nir

        tensors(graph)
        out = from_nir(graph, batch_size=x.shape[1])(x.float().transpose(0, 1).flatten(0, 1))[0]
        return out.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)
    from rockpool.nn.modules.torch.nir import from_nir

    for node in graph.nodes.values():
        if isinstance(node, nir.LIF):
            node.tau_mem = node.tau  # its importer looks for this name, which a LIF does not have
    out = from_nir(graph)(x.float().transpose(0, 1))
    return (out[0] if isinstance(out, tuple) else out).transpose(0, 1)


def stepped(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Step by step, one sample at a time: snnTorch's and Norse's importers flatten the batch, too."""
    samples = []
    for sample in range(x.shape[1]):
        state, out = None, []
        for module in net.modules():
            if hasattr(module, "reset_mem"):
                module.reset_mem()
        for step in x[:, sample : sample + 1]:
            y, state = net(step, state)
            out.append(y.reshape(y.shape[-1] if y.ndim < 3 else y.shape[1:]))
        samples.append(torch.stack(out))
    return torch.stack(samples, dim=1)


def doubled(net: torch.nn.Module) -> torch.nn.Module:
    """Norse keeps its parameters in tuples, which double() does not reach."""
    for module in net.modules():
        p = getattr(module, "p", None)
        if isinstance(p, tuple):
            module.p = type(p)(*[v.double() if isinstance(v, torch.Tensor) else v for v in p])
        if hasattr(module, "w_in"):
            module.w_in, module.r = module.w_in.double(), module.r.double()
    return net.double()


def tensors(graph: nir.NIRGraph) -> None:
    """Sinabs expects tensors in its nodes, as its exporter leaves them."""
    for node in graph.nodes.values():
        if isinstance(node, (nir.LIF, nir.IF)):
            for name in ("tau", "r", "v_leak", "v_threshold"):
                if hasattr(node, name):
                    setattr(node, name, torch.from_numpy(getattr(node, name)))


def exported(framework: str) -> dict[str, tuple[nir.NIRGraph, Callable[[torch.Tensor], torch.Tensor], dict[str, Any]]]:
    """Modules of the framework: the graph of its own exporter, the module as it runs, and what load_nir is told."""
    rng = np.random.default_rng(11)
    if framework == "snntorch":
        return _snntorch_modules(rng)
    if framework == "norse":
        import norse.torch as norse

        def cell(count: int) -> torch.nn.Module:
            same = {"tau_mem_inv": 125.0, "v_th": 0.125, "v_leak": 0.0}
            return norse.LIFBoxCell(norse.LIFBoxParameters(**{k: torch.full((count,), v) for k, v in same.items()}))

        net = norse.SequentialState(linear(rng, 30, 20), cell(30), linear(rng, 10, 30), cell(10))
        graph = norse.to_nir(net, torch.zeros(1, 20))
        return {"LIFBoxCell": (graph, lambda x: stepped(doubled(net), x), {"dt": 1e-6})}
    if framework == "sinabs":
        import sinabs.layers as sl
        from sinabs.nir import to_nir

        layers = [sl.IAFSqueeze(batch_size=BATCH, min_v_mem=-1.0) for _ in range(3)]
        convolution = torch.nn.Conv2d(2, 4, 3, padding=1)
        convolution.weight.data = torch.from_numpy(weights(rng, 4, 2, 3, 3, scale=0.5))
        convolution.bias.data = torch.from_numpy(weights(rng, 4, scale=0.25))
        net = torch.nn.Sequential(
            convolution, layers[0], sl.SumPool2d(2), torch.nn.Flatten(),
            linear(rng, 10, 64), layers[1], linear(rng, 5, 10), layers[2],
        )  # fmt: skip
        net(torch.zeros(BATCH, 2, 9, 9))
        graph = to_nir(net, torch.zeros(BATCH, 2, 9, 9))
        graph.infer_types()

        def all_steps(x: torch.Tensor) -> torch.Tensor:
            for layer in layers:
                layer.reset_states()
            out = net(x.float().transpose(0, 1).flatten(0, 1))
            return out.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)

        return {"IAFSqueeze-conv": (graph, all_steps, {})}
    if framework == "spikingjelly":
        from spikingjelly.activation_based import functional, neuron
        from spikingjelly.activation_based.nir_exchange import export_to_nir

        net = torch.nn.Sequential(linear(rng, 30, 20), neuron.LIFNode(tau=8.0, v_threshold=0.125, v_reset=0.0),
                                  linear(rng, 20, 30), neuron.IFNode(v_reset=0.0), linear(rng, 10, 20),
                                  neuron.LIFNode(tau=4.0, decay_input=False, v_reset=-0.25))  # fmt: skip
        graph = export_to_nir(net, torch.zeros(1, 20), dt=1e-4)

        def by_step(x: torch.Tensor) -> torch.Tensor:
            functional.reset_net(net.double())
            return torch.stack([net(step) for step in x])

        return {"LIFNode-IFNode": (graph, by_step, {})}
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    dense = [LinearTorch((i, o), has_bias=True) for i, o in ((20, 30), (30, 10))]
    for module in dense:
        module.weight.data = torch.from_numpy(weights(rng, *module.weight.shape, scale=0.2) - 1 / 64)
        module.bias.data = torch.from_numpy(weights(rng, *module.bias.shape, scale=0.25))

    def neurons(count: int) -> torch.nn.Module:
        return LIFTorch(count, tau_mem=torch.full((count,), 0.02), tau_syn=torch.full((count, 1), 0.01), dt=1e-3)

    net = Sequential(dense[0], neurons(30), dense[1], neurons(10))
    graph = to_nir(net, torch.zeros(1, 1, 20))

    def from_rest(x: torch.Tensor) -> torch.Tensor:
        net.reset_state()  # the exporter has run it
        return net(x.float().transpose(0, 1))[0].transpose(0, 1)

    return {"LIFTorch": (graph, from_rest, {"dt": 1e-3})}


def _snntorch_modules(rng: np.random.Generator) -> dict[str, Any]:
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def net(options: dict[str, Any], recurrent: bool) -> torch.nn.Module:
        now = {"init_hidden": True, **options}
        beta, alpha = torch.full((30,), 0.875), torch.full((10,), 0.75)
        if recurrent:
            first = snn.RLeaky(beta=0.875, linear_features=30, **now)
            first.recurrent.weight.data = torch.from_numpy(weights(rng, 30, 30, scale=0.25))
            first.recurrent.bias.data = torch.from_numpy(weights(rng, 30, scale=0.125))
            second = snn.Leaky(beta=torch.full((10,), 0.875), threshold=torch.ones(10), **now)
        else:
            first = snn.Leaky(beta=beta, threshold=torch.ones(30), **now)
            second = snn.Synaptic(alpha=alpha, beta=torch.full((10,), 0.875), threshold=torch.full((10,), 2.0), **now)
        return torch.nn.Sequential(linear(rng, 30, 20), first, linear(rng, 10, 30), second)

    found = {}
    for name, options, recurrent, told in (
        ("zero", {"reset_mechanism": "zero", "reset_delay": False}, False, {}),
        ("default", {}, False, {"reset": "subtract"}),
        ("recurrent", {"reset_mechanism": "zero", "reset_delay": False}, True, {}),
    ):
        module = net(options, recurrent)
        graph = export_to_nir(module, torch.zeros(1, 20), ignore_dims=[0])
        for part in module.modules():
            if hasattr(part, "spike_grad"):
                part.spike_grad = lambda mem: (mem > 0).double()
        found[name] = (graph, partial(_snntorch_steps, module.double()), told)
    return found


def _snntorch_steps(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    for part in module.modules():
        if hasattr(part, "reset_mem"):
            part.reset_mem()
    return torch.stack([module(step) for step in x])


def linear(rng: np.random.Generator, out: int, into: int) -> torch.nn.Linear:
    """torch's, with the weights of `affine`."""
    node, module = affine(rng, out, into), torch.nn.Linear(into, out)
    module.weight.data, module.bias.data = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
    return module


def files(framework: str) -> dict[str, nir.NIRGraph]:
    """Files of the NIR paper, if the folder NEUROSAM_DATA has them."""
    name = {"norse": "lif_norse", "rockpool": "lif_rockpool", "sinabs": "cnn_sinabs"}.get(framework, "")
    path = Path(os.environ.get("NEUROSAM_DATA", "")) / "nir" / f"{name}.nir"
    return {f"file-{name}": nir.read(path)} if path.exists() else {}


def drive(case: str) -> np.ndarray:
    """Input [T, B, ...] of a case: random, but for a network that was trained on recordings."""
    if case == "file-cnn_sinabs":
        raw = np.fromfile(Path(os.environ["NEUROSAM_DATA"]) / "nir" / "sample_nmnist.bin", np.uint8).reshape(-1, 5)
        raw = raw.astype(np.int64)
        time = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // 1000
        x = np.zeros((int(time.max()) + 1, 1, 2, 34, 34))
        x[time, 0, raw[:, 2] >> 7, raw[:, 1], raw[:, 0]] = 1
        return x
    shape = (2, 9, 9) if "conv" in case else (1,) if "file" in case else (20,)
    rate = 0.8 if "file" in case else 0.3
    return (np.random.default_rng(3).random((STEPS, BATCH, *shape)) < rate).astype(np.float64)


def main(framework: str, folder: Path) -> None:
    """Write and run all cases."""
    folder.mkdir(parents=True, exist_ok=True)
    done: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        case: (graph, None, {}) for case, graph in {**cases(framework), **files(framework)}.items()
    }
    done |= {f"module-{name}": case for name, case in exported(framework).items()}
    for case, (graph, module, told) in done.items():
        path = folder / f"{framework}-{case}.nir"
        nir.write(path, graph)
        x = drive(case)
        with torch.no_grad():
            out = run(framework, nir.read(path), torch.from_numpy(x)) if module is None else module(torch.from_numpy(x))
        np.savez_compressed(
            path.with_suffix(".npz"), x=x.astype(np.uint8), out=out.detach().numpy(), version=version(framework),
            told=json.dumps(told),
        )  # fmt: skip
        print(f"{framework} {case}: {float(out.sum()):.0f} spikes, largest {float(out.max()):.0f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
