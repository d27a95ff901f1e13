"""Kernels compiled ahead of the first run: those that given networks need, or those that usual networks need.

A network's kernels depend on what its layers are, not on their sizes or weights. So a run of one silent step loads or
compiles all of them, once as ``neurosam run`` runs it, and once with everything recorded, as ``neurosam explain`` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.runtime.folder import cache_folder
from neurosam.backends.event.runtime.stored_kernels import SUFFIX
from neurosam.backends.protocol import Options
from neurosam.backends.registry import check, unrolled
from neurosam.network.elements import Population, Projection, max_pool
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Dense, as_chw
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam.signals.stimulus import Stimulus

__all__ = ["stored", "usual_networks", "warm"]


def warm(network: Network) -> None:
    """Load or compile the kernels that a network needs, and store them.

    A float network's are those of both types, float64 and float32.
    """
    stimulus = Stimulus.from_metadata(network.metadata)
    given = {p.name: _silence(as_chw(p.shape)) for p in network.inputs}
    if stimulus.coding in ("direct", "poisson_signed") and len(network.inputs) == 1:
        picture = np.full((1, *as_chw(network.input.shape)), 128, np.uint8)
        given = {network.input.name: stimulus.encode(picture, seed=0)}
    inputs = Inputs.of(network, given)
    for record in (Record(), Record.everything(network)):
        check(network, inputs, record)
        for dtype in ("float64",) if network.fixed else ("float64", "float32"):
            EventBackend().run(unrolled(network, inputs.steps), inputs, record, Options(dtype=dtype, threads=1))


def _silence(shape: tuple[int, ...]) -> Events:
    """A step without spikes."""
    return Events.from_dense(np.zeros((1, 1, *shape), np.uint8))


def stored() -> tuple[str, int, int]:
    """The folder of compiled kernels, how many it holds, and their bytes."""
    folder = cache_folder()
    sizes = [path.stat().st_size for path in folder.glob(f"*{SUFFIX}")]
    return str(folder), len(sizes), sum(sizes)


def usual_networks() -> Iterator[tuple[str, Network]]:
    """Small networks whose kernels are those of usual ones: a name for each, and the network."""
    yield "convolutions in integers", _convolutions(fixed=True, largest=1)
    yield "convolutions in integers that may saturate", _convolutions(fixed=True, largest=127)
    yield "convolutions in floats", _convolutions(fixed=False, largest=1)
    yield "a recurrent network in integers", _recurrent()


def _convolutions(fixed: bool, largest: int) -> Network:
    """Whole and half tiles, gathered and looked up, behind a max pooling and a readout."""
    neuron = FixedLIF(membrane_decay=410, threshold=90) if fixed else LIF(leak=0.9, threshold=1.0)
    narrow = Population("narrow", (16, 10, 10), neuron)
    pool = max_pool(narrow, "pool", 2, fixed=fixed)
    populations = [
        Population("in", (1, 12, 12)),
        narrow,
        pool.population,
        Population("wide", (64, 5, 5), neuron),
        Population("last", (32, 3, 3), neuron),
        Population("out", (10,), FixedReadout() if fixed else Readout()),
    ]
    projections = [
        Projection("in", "narrow", Conv2d(_weights((16, 1, 3, 3), fixed, largest))),
        pool.projection,
        Projection("pool", "wide", Conv2d(_weights((64, 16, 3, 3), fixed, largest), padding=1)),
        Projection("wide", "last", Conv2d(_weights((32, 64, 3, 3), fixed, largest))),
        Projection("last", "out", Dense(_weights((10, 288), fixed, largest))),
    ]
    return Network(populations, projections).with_sam()


def _recurrent() -> Network:
    """A population that projects to itself."""
    weights = _weights((64, 64), True, 1)
    return Network(
        [
            Population("in", (64,)),
            Population("a", (64,), FixedLIF(membrane_decay=410, threshold=90)),
            Population("out", (10,), FixedReadout()),
        ],
        [
            Projection("in", "a", Dense(weights)),
            Projection("a", "a", Dense(weights), delay=1),
            Projection("a", "out", Dense(_weights((10, 64), True, 1))),
        ],
    )


def _weights(shape: tuple[int, ...], fixed: bool, largest: int) -> npt.NDArray[np.int8] | npt.NDArray[np.float64]:
    """Weights, all the same: a run is silent, and no kernel depends on them."""
    return np.full(shape, largest, np.int8) if fixed else np.full(shape, 0.1)
