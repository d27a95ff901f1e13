"""The model of SpikingNetwork: the graph of its network (graph.py)."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from neurosam_hw.lava.graph import wire
from neurosam_hw.lava.spiking_network.process import SpikingNetwork, port_name


@implements(proc=SpikingNetwork)
@tag("fixed_pt", "floating_pt")
class SpikingNetworkModel(AbstractSubProcessModel):
    """Creates the Processes and connects their ports to those of the network."""

    def __init__(self, proc: Any) -> None:
        network, interval = proc.proc_params["network"], proc.proc_params["interval"]
        graph = wire(network, proc.in_ports.input, interval, tuple(network.sam), readout_port=True)
        for k, process in enumerate(graph.processes):
            setattr(self, f"process_{k}", process)  # Lava finds them as attributes
        out = graph.neurons[network.readout.name]
        (out.s_out if network.readout.fires else out.v_out).connect(proc.out_ports.output)
        for name, neurons in graph.neurons.items():
            if network[name].fires:
                neurons.s_out.connect(getattr(proc.out_ports, f"spikes_{port_name(name)}"))
        for name, total in graph.maps.items():
            total.a_out.connect(getattr(proc.out_ports, f"sam_{port_name(name)}"))
