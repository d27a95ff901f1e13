"""The model of SpikingNetwork: the graph of its network (graph.py)."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from neurosam_hw.lava.graph import wire
from neurosam_hw.lava.spiking_network.process import SpikingNetwork, named_ports, port_name


@implements(proc=SpikingNetwork)
@tag("fixed_pt", "floating_pt")
class SpikingNetworkModel(AbstractSubProcessModel):
    """Creates the Processes and connects their ports to those of the network."""

    def __init__(self, proc: Any) -> None:
        network, interval = proc.proc_params["network"], proc.proc_params["interval"]
        sources = {
            name: getattr(proc.in_ports, port)
            for name, port in named_ports("input", [p.name for p in network.inputs]).items()
        }
        graph = wire(network, sources, interval, tuple(network.sam), readout_port=True, watch=False)
        for k, process in enumerate(graph.processes):
            setattr(self, f"process_{k}", process)  # Lava finds them as attributes
        for name, port in named_ports("output", list(network.answers)).items():
            out = graph.neurons[name]
            (out.s_out if network[name].fires else out.v_out).connect(getattr(proc.out_ports, port))
        for name, neurons in graph.neurons.items():
            if network[name].fires:
                neurons.s_out.connect(getattr(proc.out_ports, f"spikes_{port_name(name)}"))
        for name, total in graph.maps.items():
            total.a_out.connect(getattr(proc.out_ports, f"sam_{port_name(name)}"))
