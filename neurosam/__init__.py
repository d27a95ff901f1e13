"""neurosam: from a trained PyTorch spiking network to what it will do, bit for bit, on Loihi-style hardware - and why.

``import neurosam as ns`` loads NumPy only; torch, Numba and HDF5 are imported when something that needs them is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosam.backends import available, run
    from neurosam.equivalence import compare
    from neurosam.errors import NeurosamError
    from neurosam.events import Events, encode
    from neurosam.from_torch import export
    from neurosam.hdf5 import load_network as load
    from neurosam.hdf5 import load_recording
    from neurosam.network import Network, Population, Projection, max_pool
    from neurosam.neuron import LIF, FixedLIF, FixedReadout, Readout
    from neurosam.precision import Precision
    from neurosam.recording import Record, Recording, Spikes
    from neurosam.sam import SAM
    from neurosam.synapse import Conv2d, Dense, Sparse, SumPool2d
    from neurosam.trace import FixedSamTrace, SamTrace

__version__ = "0.1.0"

_HOME = {
    "available": ("neurosam.backends", "available"),
    "run": ("neurosam.backends", "run"),
    "compare": ("neurosam.equivalence", "compare"),
    "NeurosamError": ("neurosam.errors", "NeurosamError"),
    "Events": ("neurosam.events", "Events"),
    "encode": ("neurosam.events", "encode"),
    "export": ("neurosam.from_torch", "export"),
    "load": ("neurosam.hdf5", "load_network"),
    "load_recording": ("neurosam.hdf5", "load_recording"),
    "Network": ("neurosam.network", "Network"),
    "Population": ("neurosam.network", "Population"),
    "Projection": ("neurosam.network", "Projection"),
    "max_pool": ("neurosam.network", "max_pool"),
    "LIF": ("neurosam.neuron", "LIF"),
    "FixedLIF": ("neurosam.neuron", "FixedLIF"),
    "FixedReadout": ("neurosam.neuron", "FixedReadout"),
    "Readout": ("neurosam.neuron", "Readout"),
    "Precision": ("neurosam.precision", "Precision"),
    "Record": ("neurosam.recording", "Record"),
    "Recording": ("neurosam.recording", "Recording"),
    "Spikes": ("neurosam.recording", "Spikes"),
    "SAM": ("neurosam.sam", "SAM"),
    "Conv2d": ("neurosam.synapse", "Conv2d"),
    "Dense": ("neurosam.synapse", "Dense"),
    "Sparse": ("neurosam.synapse", "Sparse"),
    "SumPool2d": ("neurosam.synapse", "SumPool2d"),
    "FixedSamTrace": ("neurosam.trace", "FixedSamTrace"),
    "SamTrace": ("neurosam.trace", "SamTrace"),
}

__all__ = [
    "LIF",
    "SAM",
    "Conv2d",
    "Dense",
    "Events",
    "FixedLIF",
    "FixedReadout",
    "FixedSamTrace",
    "Network",
    "NeurosamError",
    "Population",
    "Precision",
    "Projection",
    "Readout",
    "Record",
    "Recording",
    "SamTrace",
    "Sparse",
    "Spikes",
    "SumPool2d",
    "__version__",
    "available",
    "compare",
    "encode",
    "export",
    "load",
    "load_recording",
    "max_pool",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurosam' has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
