"""neurosam: from a trained PyTorch spiking network to what it will do, bit for bit, on Loihi-style hardware - and why.

``import neurosam as ns`` loads NumPy only; torch, Numba and HDF5 are imported when something that needs them is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from neurosam._version import __version__

if TYPE_CHECKING:
    from neurosam.backends.registry import available, run
    from neurosam.deploy.from_torch import export
    from neurosam.equivalence.comparison import compare
    from neurosam.errors import NeurosamError
    from neurosam.explain.sam import SAM
    from neurosam.hdf5.files import load_network as load
    from neurosam.hdf5.files import load_recording
    from neurosam.network.elements import Population, Projection, max_pool
    from neurosam.network.network import Network
    from neurosam.network.neuron import LIF, FixedLIF, FixedReadout, Readout
    from neurosam.network.precision import Precision
    from neurosam.network.synapse import Conv2d, Dense, Sparse, SumPool2d
    from neurosam.network.trace import FixedSamTrace, SamTrace
    from neurosam.signals.events import Events, encode
    from neurosam.signals.recording import Record, Recording, Spikes


_HOME = {
    "available": ("neurosam.backends.registry", "available"),
    "run": ("neurosam.backends.registry", "run"),
    "compare": ("neurosam.equivalence.comparison", "compare"),
    "NeurosamError": ("neurosam.errors", "NeurosamError"),
    "Events": ("neurosam.signals.events", "Events"),
    "encode": ("neurosam.signals.events", "encode"),
    "export": ("neurosam.deploy.from_torch", "export"),
    "load": ("neurosam.hdf5.files", "load_network"),
    "load_recording": ("neurosam.hdf5.files", "load_recording"),
    "Network": ("neurosam.network.network", "Network"),
    "Population": ("neurosam.network.elements", "Population"),
    "Projection": ("neurosam.network.elements", "Projection"),
    "max_pool": ("neurosam.network.elements", "max_pool"),
    "LIF": ("neurosam.network.neuron", "LIF"),
    "FixedLIF": ("neurosam.network.neuron", "FixedLIF"),
    "FixedReadout": ("neurosam.network.neuron", "FixedReadout"),
    "Readout": ("neurosam.network.neuron", "Readout"),
    "Precision": ("neurosam.network.precision", "Precision"),
    "Record": ("neurosam.signals.recording", "Record"),
    "Recording": ("neurosam.signals.recording", "Recording"),
    "Spikes": ("neurosam.signals.recording", "Spikes"),
    "SAM": ("neurosam.explain.sam", "SAM"),
    "Conv2d": ("neurosam.network.synapse", "Conv2d"),
    "Dense": ("neurosam.network.synapse", "Dense"),
    "Sparse": ("neurosam.network.synapse", "Sparse"),
    "SumPool2d": ("neurosam.network.synapse", "SumPool2d"),
    "FixedSamTrace": ("neurosam.network.trace", "FixedSamTrace"),
    "SamTrace": ("neurosam.network.trace", "SamTrace"),
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
