"""The network description, frozen and validated: what a file holds and what every back end runs."""

from neurosam.network.elements import MaxPool, Population, Projection, max_pool
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Sparse, SumPool2d, Synapse
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = [
    "LIF", "Conv2d", "Dense", "FixedLIF", "FixedReadout", "FixedSamTrace", "MaxPool", "MaxPool2d", "Network", "Neuron",
    "Population", "Precision", "Projection", "Readout", "SamTrace", "Sparse", "SumPool2d", "Synapse", "max_pool",
]  # fmt: skip
