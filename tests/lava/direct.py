"""Runs networks through Lava's process models without Lava's runtime; a program for Lava's Python.

For every ``<case>/network.h5`` and ``<case>/events-<k>.h5`` (by input) it writes ``<case>/recording.h5``. The Processes
and model classes are those of the back end (graph.py), selected by the same tag; only the channels are replaced: each
model's ``run_spk`` is called once per step, synapses last, and a synapse sends what it held when the step began. Test
support for test_models.py: hundreds of networks in the time that the runtime takes for ten.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.process.ports.ports import create_port_id
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.sparse.process import Sparse

from neurosam.errors import NeurosamError
from neurosam.hdf5 import load_events, load_network, save
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam_hw.lava.collect import collect, feed, lava_steps, recorded_populations
from neurosam_hw.lava.graph import tag, wire
from neurosam_hw.lava.spike_trace.process import SpikeTrace
from neurosam_hw.lava.window.process import Window

SYNAPSES = (Conv, Dense, Sparse)


def model_class(process: Any, model_tag: str) -> Any:
    """Find the model that Lava's compiler would select."""
    module = type(process).__module__
    for name in (module, module.rpartition(".")[0] + ".models"):
        try:
            members = vars(import_module(name)).values()
        except ModuleNotFoundError:
            continue
        for model in members:
            if getattr(model, "implements_process", None) is type(process) and model_tag in model.tags:
                return model
    raise LookupError(f"{type(process).__name__} has no {model_tag} model")


class OutputPort:
    """An output port that keeps the last message, in the port's type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.message: Any = None

    def send(self, message: Any) -> None:
        self.message = np.array(message).astype(self.dtype)


class InputPort:
    """An input port that sums the messages of its sources, after the transformations of the connection."""

    def __init__(self, port: Any, dtype: Any) -> None:
        self.shape, self.dtype = port.shape, dtype
        self.sources: list[tuple[OutputPort, Any]] = []

    def recv(self) -> Any:
        total = np.zeros(self.shape, dtype=self.dtype)
        for port, transforms in self.sources:
            message = port.message
            for transform in transforms:
                message = transform(message)
            total = total + message
        return total


class Direct:
    """The models of a graph, stepped one by one."""

    def __init__(self, processes: list[Any], model_tag: str) -> None:
        self.models = {process: self.model(process, model_tag) for process in processes}
        outputs = {
            create_port_id(p.id, port.name): getattr(m, port.name)
            for p, m in self.models.items()
            for port in p.out_ports
        }
        for process, model in self.models.items():
            for port in process.in_ports:
                transforms = port.get_incoming_transform_funcs()
                for source in port.get_src_ports():
                    key = create_port_id(source.process.id, source.name)
                    getattr(model, port.name).sources.append((outputs[key], transforms.get(key, [])))
        self.order = sorted(self.models, key=rank)

    def model(self, process: Any, model_tag: str) -> Any:
        kind = model_class(process, model_tag)
        model = kind(process.proc_params)
        for var in process.vars:
            declared = getattr(kind, var.name)
            value = var.init
            if issubclass(declared.cls, np.ndarray):
                array = np.ndarray(var.shape, declared.d_type)
                array[...] = value
                value = array
            setattr(model, var.name, value)
        for port in process.out_ports:
            setattr(model, port.name, OutputPort(getattr(kind, port.name).d_type))
        for port in process.in_ports:
            declared = getattr(kind, port.name)
            assert issubclass(declared.cls, PyInPort)
            setattr(model, port.name, InputPort(port, declared.d_type))
        return model

    def step(self, t: int) -> None:
        """Run Lava's step t, counted from 1."""
        for process, model in self.models.items():
            model.time_step = t
            if isinstance(process, SYNAPSES):
                model.a_out.send(model.a_buf if isinstance(process, Conv) else model.a_buff)
        for process in self.order:
            self.models[process].run_spk()


def rank(process: Any) -> int:
    """Order within a step: a Process whose output is read in the same step comes first."""
    if isinstance(process, RingBuffer):
        return 0
    if isinstance(process, (Window, SpikeTrace)):
        return 2
    return 3 if isinstance(process, SYNAPSES) else 1


def run(network: Network, inputs: Inputs, record: Record) -> tuple[Recording, list[str]]:
    """Do what the back end does without its runtime; also return the names of the Processes used."""
    sources = {p.name: RingBuffer(data=np.zeros((*reversed(p.shape), 1), dtype=np.int32)) for p in network.inputs}
    graph = wire(network, {name: source.s_out for name, source in sources.items()}, inputs.steps, record.sam)
    steps = lava_steps(graph.timing, inputs, bool(record.sam))
    for name, source in sources.items():
        source.data.init = feed(inputs[name], steps, network.fixed)
        source.data.shape = source.data.init.shape
    direct = Direct([*sources.values(), *graph.processes], tag(network))
    rows: dict[tuple[str, str], Any] = {}
    for variable, names in recorded_populations(network, record).items():
        for name in names:
            shape = graph.maps[name].a_out.shape if variable == "sam" else graph.neurons[name].s_out.shape
            rows[variable, name] = np.zeros((steps, *shape), np.float64 if not network.fixed else np.int64)
    for name in graph.watches:
        rows["counted", name] = np.zeros((steps, 2), np.int64)
    for t in range(steps):
        direct.step(t + 1)
        for (variable, name), array in rows.items():
            if variable == "sam":
                array[t] = direct.models[graph.maps[name]].a_out.message
                continue
            if variable == "counted":
                array[t] = direct.models[graph.watches[name]].counted
                continue
            model = direct.models[graph.neurons[name]]
            array[t] = {"spikes": model.s_out.message, "membrane": model.v, "current": model.u}[variable]
    watches = list(graph.watches.values())
    used = [
        f"{type(process).__module__}:{type(process).__name__}" for process in graph.processes if process not in watches
    ]
    return collect(network, inputs, record, graph.timing, rows), used


def main(folder: Path) -> None:
    for case in sorted(folder.iterdir()):
        network = load_network(case / "network.h5")
        try:
            inputs = Inputs({p.name: load_events(case / f"events-{k}.h5") for k, p in enumerate(network.inputs)})
            recording, processes = run(network, inputs, Record.everything(network))
        except NeurosamError as error:
            (case / "refused.json").write_text(json.dumps({"where": error.where, "problem": error.problem}))
        else:
            save(recording, case / "recording.h5")
            (case / "processes.json").write_text(json.dumps(processes))


if __name__ == "__main__":
    main(Path(sys.argv[2]))
