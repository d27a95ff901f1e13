"""SpikingNetwork: a whole network as one hierarchical Process with named ports."""

from __future__ import annotations

from collections.abc import Sequence

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from neurosam.network.network import Network
from neurosam.network.synapse import as_chw
from neurosam_hw.lava.timing import timing

__all__ = ["SpikingNetwork"]


class SpikingNetwork(AbstractProcess):
    """A network that can be connected with other Processes.

    Ports, each in Lava's layout ``(W, H, C)`` or ``(N,)``:

    ``input``
        Spikes (or signed and graded events); step 1 of Lava is own step 0. With several inputs ``input_<population>``.
    ``output``
        Spikes of the output population, or its membrane if it is a readout. With several outputs
        ``output_<population>``.
    ``spikes_<population>``
        Spikes of every firing population.
    ``sam_<population>``
        Spike activation map ``(W, H, 1)`` of every population with a trace.

    Characters that Python does not allow in a name (``-`` and ``.``) become ``_`` in a port's name.

    Parameters
    ----------
    network : Network
    interval : int, optional
        Steps per presentation; None for a single endless one.
    name : str, optional

    Attributes
    ----------
    latency : dict of str to int
        Lava steps from own step 0 of the input to own step 0 of each port, by port name.
    """

    def __init__(self, *, network: Network, interval: int | None = None, name: str | None = None) -> None:
        super().__init__(network=network, interval=interval, name=name)
        start = timing(network).start
        self.latency: dict[str, int] = {}
        for name, port in named_ports("input", [p.name for p in network.inputs]).items():
            setattr(self, port, InPort(shape=tuple(reversed(network[name].shape))))
        for name, port in named_ports("output", list(network.answers)).items():
            self._port(port, tuple(reversed(network[name].shape)), start[name])
        for population in network.populations:
            if population.neuron is not None and population.fires:
                shape = tuple(reversed(population.shape))
                self._port(f"spikes_{port_name(population.name)}", shape, start[population.name])
        for layer in network.sam:
            _, height, width = as_chw(network[layer].shape)
            self._port(f"sam_{port_name(layer)}", (width, height, 1), start[layer] + 1)

    def _port(self, name: str, shape: tuple[int, ...], latency: int) -> None:
        setattr(self, name, OutPort(shape=shape))
        self.latency[name] = latency


def named_ports(kind: str, populations: Sequence[str]) -> dict[str, str]:
    """Ports of the inputs or outputs by population: just "input" or "output" if there is one."""
    return {name: kind if len(populations) == 1 else f"{kind}_{port_name(name)}" for name in populations}


def port_name(population: str) -> str:
    """Convert a population's name to a part of a port's name."""
    return "".join(c if c.isalnum() else "_" for c in population)
