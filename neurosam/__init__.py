"""neurosam: from a trained PyTorch spiking network to what it will do, bit for bit, on Loihi-style hardware - and why.

``import neurosam as ns`` loads NumPy only; torch, Numba and HDF5 are imported when something that needs them is used.
Examples in docstrings assume ``import numpy as np`` and ``import neurosam as ns``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from neurosam._version import __version__ as __version__

_MODULE_OF = {
    # a network
    "Network": "neurosam.network.network",
    "Population": "neurosam.network.elements",
    "Projection": "neurosam.network.elements",
    "max_pool": "neurosam.network.elements",
    "add": "neurosam.network.branches",
    "concatenate": "neurosam.network.branches",
    "LIF": "neurosam.network.neuron",
    "Readout": "neurosam.network.neuron",
    "FixedLIF": "neurosam.network.fixed_neuron",
    "FixedReadout": "neurosam.network.fixed_neuron",
    "Dense": "neurosam.network.synapse",
    "Conv2d": "neurosam.network.synapse",
    "Sparse": "neurosam.network.synapse",
    "SumPool2d": "neurosam.network.synapse",
    "MaxPool2d": "neurosam.network.synapse",
    "SamTrace": "neurosam.network.trace",
    "FixedSamTrace": "neurosam.network.trace",
    "Precision": "neurosam.network.precision",
    # from a trained module
    "check_export": "neurosam.deploy.checking.check_export",
    "export": "neurosam.deploy.from_torch",
    "quantise": "neurosam.deploy.quantise",
    # a run
    "Events": "neurosam.signals.events",
    "encode": "neurosam.signals.events",
    "Record": "neurosam.signals.recording",
    "Recording": "neurosam.signals.recording",
    "Spikes": "neurosam.signals.recording",
    "recording_from": "neurosam.signals.from_arrays",
    "available_backends": "neurosam.backends.registry",
    "run": "neurosam.backends.registry",
    "Session": "neurosam.backends.session",
    "progress": "neurosam._util.progress",
    # files
    "digest": "neurosam.hdf5.files",
    "file_digest": "neurosam.hdf5.files",
    "load": "neurosam.hdf5.files",
    "load_events": "neurosam.hdf5.files",
    "load_network": "neurosam.hdf5.files",
    "load_recording": "neurosam.hdf5.files",
    "save": "neurosam.hdf5.files",
    # equivalence
    "compare": "neurosam.equivalence.comparison",
    "verify": "neurosam.equivalence.comparison",
    "Divergence": "neurosam.equivalence.divergence",
    "Equivalence": "neurosam.equivalence.result",
    # spike activation maps
    "SAM": "neurosam.explain.sam",
    "from_spikes": "neurosam.explain.sam",
    "NarrowTrace": "neurosam.explain.narrow_trace",
    "collapse_bits": "neurosam.explain.narrow_trace",
    "loihi_trace": "neurosam.explain.narrow_trace",
    "narrow_maps": "neurosam.explain.narrow_trace",
    "narrow_trace": "neurosam.explain.narrow_trace",
    "aggregate": "neurosam.explain.maps",
    "normalise": "neurosam.explain.maps",
    "overlay": "neurosam.explain.maps",
    "upsample": "neurosam.explain.maps",
    # errors
    "NeurosamError": "neurosam.errors",
    "ArgumentError": "neurosam.errors",
    "BackendError": "neurosam.errors",
    "DataError": "neurosam.errors",
    "EventError": "neurosam.errors",
    "ExportError": "neurosam.errors",
    "FormatError": "neurosam.errors",
    "MissingPackageError": "neurosam.errors",
    "NetworkError": "neurosam.errors",
    "AlignmentWarning": "neurosam.errors",
    "RangeWarning": "neurosam.errors",
}
"""The module of every public name."""

__all__ = ["__version__", *_MODULE_OF]

if TYPE_CHECKING:  # the same names for type checkers; tests/project/test_names.py compares the two
    from neurosam._util.progress import progress as progress
    from neurosam.backends.registry import available_backends as available_backends
    from neurosam.backends.registry import run as run
    from neurosam.backends.session import Session as Session
    from neurosam.deploy.checking.check_export import check_export as check_export
    from neurosam.deploy.from_torch import export as export
    from neurosam.deploy.quantise import quantise as quantise
    from neurosam.equivalence.comparison import compare as compare
    from neurosam.equivalence.comparison import verify as verify
    from neurosam.equivalence.divergence import Divergence as Divergence
    from neurosam.equivalence.result import Equivalence as Equivalence
    from neurosam.errors import AlignmentWarning as AlignmentWarning
    from neurosam.errors import ArgumentError as ArgumentError
    from neurosam.errors import BackendError as BackendError
    from neurosam.errors import DataError as DataError
    from neurosam.errors import EventError as EventError
    from neurosam.errors import ExportError as ExportError
    from neurosam.errors import FormatError as FormatError
    from neurosam.errors import MissingPackageError as MissingPackageError
    from neurosam.errors import NetworkError as NetworkError
    from neurosam.errors import NeurosamError as NeurosamError
    from neurosam.errors import RangeWarning as RangeWarning
    from neurosam.explain.maps import aggregate as aggregate
    from neurosam.explain.maps import normalise as normalise
    from neurosam.explain.maps import overlay as overlay
    from neurosam.explain.maps import upsample as upsample
    from neurosam.explain.narrow_trace import NarrowTrace as NarrowTrace
    from neurosam.explain.narrow_trace import collapse_bits as collapse_bits
    from neurosam.explain.narrow_trace import loihi_trace as loihi_trace
    from neurosam.explain.narrow_trace import narrow_maps as narrow_maps
    from neurosam.explain.narrow_trace import narrow_trace as narrow_trace
    from neurosam.explain.sam import SAM as SAM
    from neurosam.explain.sam import from_spikes as from_spikes
    from neurosam.hdf5.files import digest as digest
    from neurosam.hdf5.files import file_digest as file_digest
    from neurosam.hdf5.files import load as load
    from neurosam.hdf5.files import load_events as load_events
    from neurosam.hdf5.files import load_network as load_network
    from neurosam.hdf5.files import load_recording as load_recording
    from neurosam.hdf5.files import save as save
    from neurosam.network.branches import add as add
    from neurosam.network.branches import concatenate as concatenate
    from neurosam.network.elements import Population as Population
    from neurosam.network.elements import Projection as Projection
    from neurosam.network.elements import max_pool as max_pool
    from neurosam.network.fixed_neuron import FixedLIF as FixedLIF
    from neurosam.network.fixed_neuron import FixedReadout as FixedReadout
    from neurosam.network.network import Network as Network
    from neurosam.network.neuron import LIF as LIF
    from neurosam.network.neuron import Readout as Readout
    from neurosam.network.precision import Precision as Precision
    from neurosam.network.synapse import Conv2d as Conv2d
    from neurosam.network.synapse import Dense as Dense
    from neurosam.network.synapse import MaxPool2d as MaxPool2d
    from neurosam.network.synapse import Sparse as Sparse
    from neurosam.network.synapse import SumPool2d as SumPool2d
    from neurosam.network.trace import FixedSamTrace as FixedSamTrace
    from neurosam.network.trace import SamTrace as SamTrace
    from neurosam.signals.events import Events as Events
    from neurosam.signals.events import encode as encode
    from neurosam.signals.from_arrays import recording_from as recording_from
    from neurosam.signals.recording import Record as Record
    from neurosam.signals.recording import Recording as Recording
    from neurosam.signals.recording import Spikes as Spikes


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'neurosam' has no attribute {name!r}")
    try:
        value = getattr(import_module(_MODULE_OF[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "neurosam").startswith("neurosam") or hasattr(error, "problem"):
            raise
        from neurosam._util.packages import missing_package

        raise missing_package(f"ns.{name}", error.name or "") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
