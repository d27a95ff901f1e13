"""``manifest.json``: what each file holds, how it is laid out, and when each population acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosam._version import __version__
from neurosam.network.dynamics import Switches
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.parameters import RESETS
from neurosam.network.synapse import Conv2d, neurons
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.vectors.columns import Column
from neurosam_hw.vectors.golden import Golden, Unit

__all__ = ["VERSION", "manifest"]

VERSION = 1

TIME = (
    "Own step t of a population is global step t + onset of the network, and step t + hardware_depth of a chip on "
    "which every projection takes a step (null where a cycle has too few). All files are in own steps."
)
LAYOUT = (
    "Files of words for $readmemh, one a line in C order of the axes, the last axis fastest; neurons are flat "
    "(C, H, W). The same columns are in vectors.npz and, with parameters as structures, in vectors.h, by name."
)
ARITHMETIC = (
    "a: sum of weighted events. All else carries 6 fractional bits: u, v, thresholds, biases, amounts. factor_* are "
    "of 4096. u of a population without a synaptic current is what arrives, in those units."
)


def manifest(found: Golden, projections: Mapping[int, Projection], arrays: Mapping[str, Column]) -> dict[str, Any]:
    """The content of manifest.json."""
    network, recording = found.network, found.recording
    try:
        schedule: HardwareSchedule | None = HardwareSchedule.of(network)
    except MappingError:
        schedule = None
    precision = network.precision
    return {
        "format": "neurosam vectors",
        "version": VERSION,
        "neurosam": __version__,
        "backend": recording.backend,
        "steps": recording.steps,
        "samples": recording.samples,
        "precision": None if precision is None else vars(precision),
        "time": TIME,
        "layout": LAYOUT,
        "arithmetic": ARITHMETIC,
        "populations": [
            _population(network, i, p, found.units.get(p.name), schedule, arrays)
            for i, p in enumerate(network.populations)
            if p.name in found.sent or p.name in found.units
        ],
        "projections": [_projection(network, j, projection, schedule, arrays) for j, projection in projections.items()],
        "skeletons": {
            "verilog": ["lif.v", "sam_trace.v", "tb.v"],
            "c": ["lif.h", "lif.c", "bench.h", "bench.c", "vectors.h"],
            "options": [*(name for name in Switches._fields), "gain tables", "initial state", "SAM traces"],
        },
    }


def _population(
    network: Network, index: int, population: Population, unit: Unit | None, schedule: HardwareSchedule | None,
    arrays: Mapping[str, Column],
) -> dict[str, Any]:  # fmt: skip
    out: dict[str, Any] = {
        "name": population.name,
        "folder": f"p{index}",
        "kind": "input" if population.neuron is None else "neurons" if population.fires else "readout",
        "tested": unit is not None,
        "shape": population.shape,
        "neurons": neurons(population.shape),
        "onset": network.onsets[population.name],
        "hardware_depth": None if schedule is None else schedule.depths[population.name],
    }
    if unit is not None:
        out["options"] = unit.switches._asdict() | {"reset": RESETS[unit.switches.reset], "gain_shift": unit.gain_shift}
        out["pool"] = None if population.pool is None else _geometry(population.pool.geometry)
        if unit.trace is not None:
            trace = unit.trace
            out["sam"] = {"mode": trace.mode, "shift": trace.shift, "impulse": trace.impulse}
    return out | {"files": _files(f"p{index}", arrays)}


def _projection(
    network: Network,
    index: int,
    projection: Projection,
    schedule: HardwareSchedule | None,
    arrays: Mapping[str, Column],
) -> dict[str, Any]:
    synapse = projection.synapse
    out: dict[str, Any] = {
        "folder": f"j{index}",
        "source": projection.source,
        "target": projection.target,
        "kind": type(synapse).__name__,
        "delay": projection.delay,
        "lag": network.lag(projection),
        "hardware_delay": None if schedule is None else schedule.delays[index],
        "exponent": projection.exponent,
        "pool": None if projection.pool is None else _geometry(projection.pool.geometry),
    }
    if isinstance(synapse, Conv2d):
        stride, padding, dilation = synapse.geometry
        out |= {"stride": stride, "padding": padding, "dilation": dilation, "groups": synapse.groups}
    return out | {"files": _files(f"j{index}", arrays)}


def _geometry(geometry: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    return dict(zip(("kernel", "stride", "padding"), geometry, strict=True))


def _files(folder: str, arrays: Mapping[str, Column]) -> dict[str, Any]:
    """The files of a folder, by variable."""
    found = {}
    for key, column in arrays.items():
        of, _, variable = key.partition("_")
        if of == folder:
            least, most = column.extent
            found[variable] = {
                "file": f"{folder}/{variable}.hex", "name": key, "bits": column.bits, "signed": column.bits > 1,
                "axes": column.axes, "shape": column.values.shape, "least": least, "most": most,
            }  # fmt: skip
    return found
