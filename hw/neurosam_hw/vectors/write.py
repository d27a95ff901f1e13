"""Golden vectors of a fixed-point network, with benches in Verilog and C that test an implementation against them.

A folder holds

    manifest.json   what each file holds, its width and layout, and when each population acts
    p0/, p1/, ...   a population each: inputs and outputs of its neurons in each step, their parameters ($readmemh)
    j0/, j1/, ...   a projection each: weights, for a full design
    vectors.h, vectors.npz    the same for C and for Python
    lif.v, sam_trace.v, tb.v  a skeleton and its testbench: one population, step by step
    lif.c, bench.c            the same in C99; computes what arrives from weights, too
    Makefile, SHA256SUMS      all of it: make -C FOLDER

Every file is written whole or not at all, and the manifest last: a folder without one is not complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import replacing, write_bytes
from neurosam.errors import ArgumentError, ExportError
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Sparse, as_chw, neurons
from neurosam.network.trace import FixedSamTrace
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam_hw.vectors.columns import Column
from neurosam_hw.vectors.golden import Golden, check, golden
from neurosam_hw.vectors.header import c_header, verilog_header
from neurosam_hw.vectors.manifest import manifest

__all__ = ["MANIFEST", "MOST_VALUES", "columns", "estimate", "write_vectors"]

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
MOST_VALUES = 4_000_000
"""Numbers in all columns; a compiler takes about 800 MB and some seconds for a header of as many."""
BYTES = 22
"""About what a number takes in all files together."""
SKELETONS = Path(__file__).with_name("skeletons")


def write_vectors(
    network: Network,
    events: Events | Mapping[str, Events],
    folder: str | Path,
    *,
    populations: Iterable[str] | None = None,
    backend: str = "event",
    force: bool = False,
) -> Golden:
    """Run a network and write what an implementation of it is tested against.

    Parameters
    ----------
    network : Network
        Fixed point.
    events : Events or mapping of str to Events
        The input, all samples of it.
    folder : str or Path
        Made if it is missing; older vectors are replaced.
    populations : iterable of str, optional
        Which populations to test; all with neurons if None.
    backend : str
        Back end that gives the golden values.
    force : bool
        Replace a skeleton that was changed.

    Returns
    -------
    Golden
        The run, taken apart.

    Raises
    ------
    ExportError
        For a float network, more than 4,000,000 values, a changed skeleton, or a link in the folder.
    ArgumentError
        If there are no samples, or no populations.

    Examples
    --------
    >>> import tempfile
    >>> from neurosam_hw.vectors import write_vectors
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedLIF(410, threshold=3))],
    ...     [ns.Projection("in", "out", ns.Dense([[2, 1]]))],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = write_vectors(net, ns.Events.from_dense(np.ones((3, 1, 2))), folder)
    >>> made.units["out"].columns["v"].values.ravel()
    array([192, 172, 154])
    """
    inputs = Inputs.of(network, events)
    names = [p.name for p in network.populations if p.neuron is not None] if populations is None else list(populations)
    check(network, names)
    if not names or not inputs.samples:
        raise ArgumentError("vectors", "got no populations, or no samples; at least one of each is required")
    count = estimate(network, names, inputs.steps, inputs.samples)
    if count > MOST_VALUES:
        raise ExportError(
            "vectors",
            f"would be {count:,} values, about {count * BYTES / 1e6:,.0f} MB; at most {MOST_VALUES:,} are allowed. "
            "Take fewer samples, steps or populations",
        )
    target = Path(folder)
    _refuse_changed(target, force)
    found = golden(network, inputs, names, backend)
    projections = {j: p for j, p in enumerate(network.projections) if p.target in found.units}
    arrays = columns(found, projections)
    (target / MANIFEST).unlink(missing_ok=True)
    for older in target.glob("p[0-9]*/population.vh"):
        older.unlink()
    for skeleton in sorted(SKELETONS.iterdir()):
        write_bytes(target / skeleton.name, skeleton.read_bytes())
    _write_data(target, found, projections, arrays)
    return found


def estimate(network: Network, names: Iterable[str], steps: int, samples: int) -> int:
    """Numbers in all columns of these populations."""
    chosen = set(names)
    count = 0
    for population in network.populations:
        size, cells = neurons(population.shape), steps * samples
        channels = as_chw(population.shape)[0]
        sends = any(p.source == population.name and p.target in chosen for p in network.projections)
        if population.name in chosen:
            count += 4 * cells * size + 11 * size + 2 * steps * channels * (population in network.tabled)
            trace = network.sam.get(population.name)
            if isinstance(trace, FixedSamTrace):
                count += cells * size // channels + trace.table.size
        elif sends:
            count += cells * size
    for projection in network.projections:
        if projection.target in chosen:
            synapse = projection.synapse
            count += synapse.weight.size
            count += synapse.indptr.size + synapse.indices.size if isinstance(synapse, Sparse) else 0
    return count


def columns(found: Golden, projections: Mapping[int, Projection]) -> dict[str, Column]:
    """Every column by the name that files, header and archive share."""
    arrays: dict[str, Column] = {}
    for index, population in enumerate(found.network.populations):
        unit = found.units.get(population.name)
        held = unit.columns if unit is not None else {}
        if population.name in found.sent and not held:
            held = {"s": found.sent[population.name]}
        arrays |= {f"p{index}_{name}": column for name, column in held.items()}
    for index, projection in projections.items():
        arrays |= {f"j{index}_{name}": column for name, column in _synapses(projection).items()}
    return arrays


def _synapses(projection: Projection) -> dict[str, Column]:
    """Mantissas as the network has them."""
    synapse = projection.synapse
    weight = synapse.weight.astype(np.int64)
    if isinstance(synapse, Dense):
        return {"weight": Column(weight, 8, ("target", "source"))}
    if isinstance(synapse, Conv2d):
        return {"weight": Column(weight, 8, ("target channel", "source channel of its group", "row", "column"))}
    return {
        "weight": Column(weight, 8, ("synapse",)),
        "indptr": Column(synapse.indptr, 32, ("target",)),
        "indices": Column(synapse.indices, 32, ("synapse",)),
    }


def _write_data(
    target: Path, found: Golden, projections: Mapping[int, Projection], arrays: Mapping[str, Column]
) -> None:
    """All but the skeletons; sums of the files, and the manifest last."""
    sums: dict[str, str] = {}

    def put(name: str, content: bytes) -> None:
        sums[name] = hashlib.sha256(content).hexdigest()
        write_bytes(target / name, content)

    for key, column in arrays.items():
        of, _, variable = key.partition("_")
        put(f"{of}/{variable}.hex", column.hex(key))
    steps, samples = found.recording.steps, found.recording.samples
    for index, population in enumerate(found.network.populations):
        if population.name in found.units:
            text = verilog_header(found.units[population.name], steps, samples)
            put(f"p{index}/population.vh", text.encode())
    put("vectors.h", c_header(found, projections, arrays).encode())
    narrow: dict[str, Any] = {key: _narrow(column) for key, column in arrays.items()}
    with replacing(target / "vectors.npz") as temporary:
        with temporary.open("wb") as file:
            np.savez(file, **narrow)
        sums["vectors.npz"] = hashlib.sha256(temporary.read_bytes()).hexdigest()
    content = json.dumps(manifest(found, projections, arrays), indent=1).encode() + b"\n"
    sums[MANIFEST] = hashlib.sha256(content).hexdigest()
    write_bytes(target / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode())
    write_bytes(target / MANIFEST, content)


def _narrow(column: Column) -> npt.NDArray[np.generic]:
    """In the type of its width."""
    return column.values.astype(np.int32 if column.bits == 32 else np.int8 if column.bits == 8 else np.uint8)


def _refuse_changed(target: Path, force: bool) -> None:
    """Refuse a folder in which a skeleton was changed, or a link would be followed."""
    for path in (*target.glob("*"), *target.glob("[pj][0-9]*/*")):
        if path.is_symlink():
            raise ExportError(str(path), "is a link; vectors are written into a folder without links")
    for skeleton in SKELETONS.iterdir():
        path = target / skeleton.name
        if path.is_file() and not force and path.read_bytes() != skeleton.read_bytes():
            raise ExportError(
                str(path), "was changed and would be replaced; give your own design another name, or --force"
            )
