"""The Lava target: a Network as a process graph of lava-nc 0.10.0, and the back end that runs it.

    timing.py      when each population starts on Lava's clock, and what waits so that lags come out right
    weights.py     weights, exponents and geometry as Lava's synapses take them, or a refusal
    neurons.py     neuron parameters as Lava's LIF takes them
    graph.py       the Processes and their connections (needs Lava)
    */process.py   our Processes, one folder each, with their models beside them (need Lava)
    worker.py      the program that runs in Lava's Python
    backend.py     the back end `lava`: starts the worker, watches it, and leaves nothing behind
    supervise.py   the worker's end: no process, segment or file is left
    interpreter.py which Python that is
    loihi1.py      a study: the trace in 7 bits

Importing this package loads none of Lava.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosam.network.network import Network

__all__ = ["build"]


def build(network: Network, interval: int | None = None, name: str | None = None) -> Any:
    """The hierarchical Lava Process of a network, to be connected with Processes of one's own (Python 3.10).

    Parameters
    ----------
    network : Network
    interval : int, optional
        Steps of one presentation: every population starts afresh at each. One presentation without end if None.
    name : str, optional
        Name of the Process.

    Returns
    -------
    SpikingNetwork
        With the ports ``input``, ``output``, ``spikes_<population>`` and ``sam_<population>``, and ``latency``, the
        steps from input to each of them.
    """
    from neurosam_hw.lava.spiking_network.process import SpikingNetwork

    return SpikingNetwork(network=network, interval=interval, name=name)
