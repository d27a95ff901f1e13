"""The Lava target: a Network as a process graph of lava-nc 0.10.0, and the back end that runs it.

    timing.py      start of each population on Lava's clock, and waits of projections, so that all lags are kept
    weights.py     weights, exponents and geometry for Lava's synapses, or a refusal
    neurons.py     neuron parameters for Lava's LIF
    graph.py       the Processes and their connections (needs Lava)
    */process.py   our Processes, one folder each, next to their models (need Lava)
    dynamics.py, lif_models.py, row_file.py
                   shared by the models of our Processes (lif_models needs Lava)
    worker.py      the program that runs in Lava's Python
    backend.py     the back end `lava`: starts the worker, supervises it, and leaves nothing behind
    supervise.py   start and end of the worker: no process, segment or file is left
    interpreter.py which Python runs Lava
    loihi1.py      a study: the trace in 7 bits

Importing this package does not import Lava.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosam.network.network import Network

__all__ = ["build"]


def build(network: Network, interval: int | None = None, name: str | None = None) -> Any:
    """Build the hierarchical Lava Process of a network, to connect with your own Processes (Python 3.10).

    Parameters
    ----------
    network : Network
    interval : int, optional
        Steps per presentation, at whose start every population is reset. None: a single endless presentation.
    name : str, optional
        Name of the Process.

    Returns
    -------
    SpikingNetwork
        With the ports ``input``, ``output``, ``spikes_<population>`` and ``sam_<population>``, and ``latency``, the
        steps from the input to each of them.
    """
    from neurosam_hw.lava.spiking_network.process import SpikingNetwork

    return SpikingNetwork(network=network, interval=interval, name=name)
