"""``vectors.h`` with every array and table for bench.c, and ``population.vh`` with the options of one unit for tb.v.

Names of arrays are those of manifest.json, p3_v or j0_weight; a population's own name appears in strings only, and
consists of letters, digits, ``_``, ``-`` and ``.`` (:class:`neurosam.Population`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neurosam.network.dynamics import Parameters
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.parameters import RESETS
from neurosam.network.synapse import Conv2d, Dense, Shape, as_chw, neurons
from neurosam.network.trace import MODES
from neurosam_hw.vectors.columns import Column, c_array
from neurosam_hw.vectors.golden import Golden, Unit

__all__ = ["c_header", "verilog_header"]

NONE = "0"


def verilog_header(unit: Unit, steps: int, samples: int) -> str:
    """Sizes and options of a unit as macros."""
    o, trace, shape = unit.switches, unit.trace, unit.population.shape
    macros: dict[str, Any] = {
        "NAME": f'"{unit.population.name}"', "STEPS": steps, "SAMPLES": samples, "NEURONS": neurons(shape),
        "CHANNELS": as_chw(shape)[0], "SPIKE_BITS": unit.columns["s"].bits, "RESET": o.reset, "AT": o.at,
        "DELAYED": o.delayed, "CORRECTED": o.corrected, "ADAPTED": o.adapted, "BOUNDED": o.bounded,
        "ADAPTIVE": o.adaptive, "REFRACTORY": o.refractory, "MAX_SPIKES": o.max_spikes,
        "TABLES": "gain" in unit.columns, "GAIN_SHIFT": unit.gain_shift, "SAM": trace is not None,
        "SAM_MODE": 0 if trace is None else MODES.index(trace.mode), "SAM_SHIFT": 0 if trace is None else trace.shift,
        "SAM_IMPULSE": 0 if trace is None else trace.impulse, "SAM_TABLE": 1 if trace is None else trace.table.size,
    }  # fmt: skip
    lines = (f"`define {name} {value if isinstance(value, str) else int(value)}" for name, value in macros.items())
    return "\n".join(["// written by neurosam vectors", *lines, ""])


def c_header(found: Golden, projections: Mapping[int, Projection], arrays: Mapping[str, Column]) -> str:
    """Arrays, and the tables that name them."""
    network = found.network
    populations = [p for p in network.populations if p.name in found.sent or p.name in found.units]
    at = {p.name: i for i, p in enumerate(populations)}
    parts = ["/* written by neurosam vectors */", '#include "bench.h"', ""]
    parts += [f"#define STEPS {found.recording.steps}", f"#define SAMPLES {found.recording.samples}"]
    parts += [f"#define POPULATIONS {len(populations)}", f"#define PROJECTIONS {len(projections)}", ""]
    whole = {key: column for key, column in arrays.items() if key.partition("_")[2] not in Parameters._fields}
    for key, column in whole.items():
        parts.append(c_array("int8_t" if column.bits == 8 else "int32_t", key, column.values))
    for name, unit in found.units.items():
        parts += _tables_of(f"p{_index(network, name)}", unit)
    rows = [_population_row(network, p, found.units.get(p.name), arrays) for p in populations]
    parts.append(_table("struct population", "populations", rows))
    extra, rows = [], []
    for j, projection in projections.items():
        extra += _windows_of(f"j{j}", projection)
        rows.append(_projection_row(network, f"j{j}", projection, at))
    parts += [*extra, _table("struct projection", "projections", rows)]
    return "\n".join(parts)


def _tables_of(key: str, unit: Unit) -> list[str]:
    """Options, parameters, trace and pool of a unit."""
    o = unit.switches
    options = (
        RESETS[o.reset].upper(), o.at, o.delayed, o.corrected, o.adapted, o.bounded, o.adaptive, o.refractory,
        o.max_spikes, "gain" in unit.columns, unit.gain_shift,
    )  # fmt: skip
    parts = [f"static const struct options {key}_options = {_braces(options)};"]
    each = np.stack([unit.columns[name].values for name in Parameters._fields], axis=1)
    parts.append(_table("struct parameters", f"{key}_parameters", [_braces(row) for row in each.tolist()]))
    if unit.trace is not None:
        trace = unit.trace
        row = (trace.mode.upper(), trace.shift, trace.impulse, trace.table.size, f"{key}_kernel")
        parts.append(f"static const struct sam {key}_trace = {_braces(row)};")
    if unit.population.pool is not None:
        parts.append(_window(f"{key}_pool", *unit.population.pool.geometry))
    return parts


def _population_row(network: Network, population: Population, unit: Unit | None, arrays: Mapping[str, Column]) -> str:
    key = f"p{_index(network, population.name)}"

    def named(*names: str) -> list[str]:
        return [f"{key}_{name}" if f"{key}_{name}" in arrays else NONE for name in names]

    tested = unit is not None
    drive = network.drive_shape(population.name) if tested else population.shape
    return _braces([
        f'"{population.name}"', _shape(population.shape), population.neuron is None, tested,
        *((f"&{key}_options", f"{key}_parameters") if tested else (NONE, NONE)),
        *named("initial_u", "initial_v", "gain", "offset", "a", "s", "u", "v"),
        f"&{key}_trace" if unit is not None and unit.trace is not None else NONE, *named("sam"),
        f"&{key}_pool" if tested and population.pool is not None else NONE, _shape(drive),
    ])  # fmt: skip


def _windows_of(key: str, projection: Projection) -> list[str]:
    """The pool and the kernel's window of a projection."""
    parts = [] if projection.pool is None else [_window(f"{key}_pool", *projection.pool.geometry)]
    if isinstance(projection.synapse, Conv2d):
        kernel = projection.synapse.weight.shape[2:]
        parts.append(_window(f"{key}_window", kernel, *projection.synapse.geometry))
    return parts


def _projection_row(network: Network, key: str, projection: Projection, at: Mapping[str, int]) -> str:
    synapse, pool = projection.synapse, projection.pool
    shape = network[projection.source].shape
    conv, dense = isinstance(synapse, Conv2d), isinstance(synapse, Dense)
    return _braces([
        at[projection.source], at[projection.target], "CONV" if conv else "DENSE" if dense else "SPARSE",
        network.lag(projection), projection.exponent, synapse.groups if isinstance(synapse, Conv2d) else 1,
        f"&{key}_pool" if pool is not None else NONE, _shape(shape if pool is None else pool.output_shape(shape)),
        f"&{key}_window" if conv else NONE, f"{key}_weight",
        *((NONE, NONE) if conv or dense else (f"{key}_indptr", f"{key}_indices")),
    ])  # fmt: skip


def _index(network: Network, name: str) -> int:
    return [p.name for p in network.populations].index(name)


def _shape(shape: Shape) -> str:
    return _braces(as_chw(shape))


def _window(name: str, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape = (1, 1)) -> str:
    row = _braces(map(_braces, (kernel, stride, padding, dilation)))
    return f"static const struct window {name} = {row};"


def _table(kind: str, name: str, rows: Sequence[str]) -> str:
    content = ",\n".join(rows)
    return f"static const {kind} {name}[] = {{\n{content}}};\n"


def _braces(values: Iterable[object]) -> str:
    return f"{{{', '.join(str(int(v)) if isinstance(v, (bool, np.integer)) else str(v) for v in values)}}}"
