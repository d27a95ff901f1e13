"""What is measured for each setting of a table, by any worker; rows that are finished outlive an interruption.

    accuracy          share of samples whose answer is their label
    agreement         share of samples with the answer of the first row
    spikes, operations   of a sample: of all neurons, and weights added
    out_of_range      neuron-steps in which an integer left its range, over all samples
    sam_correlation   of a sample's map summed over steps with that of the first row (Pearson, over pixels): mean over
                      samples and layers
    energy_j, latency_s   of an inference on the row's chip, as far as its figures go, and in words with their standing

A row is run by one worker, in batches that fit the memory. Its result is a file, FOLDER/row-KEY.npz; the key is a
digest of network, setting and input, so a file is used by no other row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import replacing
from neurosam._util.orphans import remove_orphans
from neurosam._util.packages import missing_packages
from neurosam._util.progress import Tick
from neurosam._util.untrusted import MALFORMED_ARCHIVE
from neurosam.backends.registry import load_backend, run
from neurosam.equivalence.comparison import chunk_size
from neurosam.errors import ArgumentError, FormatError, NeurosamError
from neurosam.explain.maps import aggregate
from neurosam.hdf5.files import digest
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import execute
from neurosam.sweep.grid import Setting, at_row, with_setting
from neurosam.sweep.source import Pictures, Source
from neurosam.sweep.worker import loaded, one_thread
from neurosam.sweep.workers import Workers

__all__ = ["Energy", "grid_sweep"]

Array = npt.NDArray[Any]

Energy = Callable[[Network, str, Inputs], Mapping[str, Any]]
"""What an inference costs: of a network, a chip's name and the input, energy_j, latency_s and the same in words."""


@dataclass(frozen=True)
class Row:
    """What a worker has to know of a row.

    Attributes
    ----------
    number : int
        From 1 on.
    file, name : str
        Of the network, and its digest.
    setting : Setting
    source : Source
        As the setting has it.
    calibration : Inputs, optional
    energy : Energy, optional
    result : str
        File to write.
    """

    number: int
    file: str
    name: str
    setting: Setting
    source: Source
    calibration: Inputs | None
    energy: Energy | None
    result: str


def grid_sweep(
    networks: Mapping[str, Network],
    default: str,
    settings: Sequence[Setting],
    source: Source,
    workers: Workers,
    folder: Path,
    *,
    labels: npt.NDArray[np.int64] | None = None,
    calibration: Inputs | None = None,
    energy: Energy | None = None,
    progress: Tick | None = None,
) -> list[dict[str, Any]]:
    """Measure every setting of a table.

    Parameters
    ----------
    networks : mapping of str to Network
        By their files, which all workers see.
    default : str
        The file of rows that name none.
    settings : sequence of Setting
        At least one; agreement and correlation are with the first.
    source : Source
    workers : Workers
    folder : Path
        Of the results of rows; those that it holds are used.
    labels : (B,) int array, optional
    calibration : Inputs, optional
        Typical input, for rows that quantise.
    energy : Energy, optional
        Needed if a row names a chip.
    progress : callable, optional
        Called with (rows done, all rows).

    Returns
    -------
    list of dict
        A row for each setting: the setting, and what was measured, None where it is not known.

    Raises
    ------
    NeurosamError
        If a setting does not fit its network; the message has the number of the row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_orphans(folder)
    names = {file: digest(network) for file, network in networks.items()}
    typical = None if calibration is None else digest(calibration)
    rows = []
    for number, setting in enumerate(settings, 1):
        file = setting.network or default
        try:
            load_backend(setting.backend or "event")
            if setting.chip is not None and energy is None:
                raise ArgumentError("chip", "needs a package that knows chips (neurosam_hw); none is installed")
            given = _changed(source, setting)
        except NeurosamError as error:
            raise at_row(number, error) from None
        said = json.dumps([names[file], setting.given, given.name(), typical], sort_keys=True)
        result = folder.resolve() / f"row-{hashlib.sha256(said.encode()).hexdigest()[:24]}.npz"
        priced = energy if setting.chip is not None else None
        where = str(Path(file).resolve())
        rows.append(Row(number, where, names[file], setting, given, calibration, priced, str(result)))
    first_of = {row.result: row for row in reversed(rows)}  # equal rows are measured once
    todo = [row for row in rows if first_of[row.result] is row and not Path(row.result).is_file()]

    def work(chunk: range) -> Callable[[], None]:
        return partial(measure, todo[chunk.start])

    chunks = Chunks([range(len(todo))], most=1)
    execute(workers, chunks, work, lambda *_: None, len(first_of), progress, "rows")
    results = [_result(row) for row in rows]
    return [_tidy(row, result, results[0], labels) for row, result in zip(rows, results, strict=True)]


def measure(row: Row) -> None:
    """Measure a row, in a worker, and write its file."""
    one_thread()
    try:
        found = _measured(row)
    except NeurosamError as error:
        raise at_row(row.number, error) from None
    with replacing(row.result) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)


def _measured(row: Row) -> dict[str, Any]:
    setting, source = row.setting, row.source
    network = with_setting(loaded(row.file, row.name), setting, row.calibration, source.steps)
    maps = tuple(name for name in network.sam if np.prod(as_chw(network[name].shape)[1:]) > 1)
    firing = [p.name for p in network.populations if p.fires and p.neuron is not None]
    size = chunk_size(network, source.steps)
    predictions: list[Array] = []
    totals = np.zeros(3, np.int64)
    looked: dict[str, list[Array]] = {name: [] for name in maps}
    for first in range(0, source.samples, size):
        inputs = source.part(range(first, min(first + size, source.samples))).inputs(network)
        recording = run(
            network, inputs, setting.backend or "event", Record(sam=maps), dtype=setting.dtype or "float64", threads=1
        )
        predictions.append(recording.predictions)
        left_range = [*recording.saturated.values(), *recording.wrapped.values()]
        totals += (
            sum(int(recording.counts[name].sum()) for name in firing),
            sum(recording.operations.values()),
            sum(int(count.sum()) for count in left_range),
        )
        for name in maps:
            looked[name].append(aggregate(recording.sam[name]) / recording.sam_scale[name])
    found: dict[str, Any] = {"predictions": np.concatenate(predictions), "totals": totals}
    found |= {f"map {name}": np.concatenate(parts) for name, parts in looked.items()}
    if row.energy is not None and setting.chip is not None:
        priced = row.energy(network, setting.chip, source.inputs(network))
        found["cost"] = np.array(json.dumps(dict(priced)))
    return found


def _changed(source: Source, setting: Setting) -> Source:
    """The input with the steps, coding and seed of a setting."""
    if setting.steps is None and setting.coding is None and setting.seed is None:
        return source
    if not isinstance(source, Pictures):
        raise ArgumentError("steps, coding, seed", "are for images; events have their own")
    stimulus = source.stimulus
    if setting.coding is not None and setting.coding != stimulus.coding:
        stimulus = replace(stimulus, coding=setting.coding, mean=(), std=())
    if setting.steps is not None:
        stimulus = replace(stimulus, steps=setting.steps)
    return replace(source, stimulus=stimulus, seed=source.seed if setting.seed is None else setting.seed)


def _result(row: Row) -> dict[str, Array]:
    """The arrays of a row's file."""
    try:
        with np.load(row.result, allow_pickle=False) as held:
            found = {name: held[name] for name in held.files}
        if found["predictions"].shape != (row.source.samples,) or found["totals"].shape != (3,):
            raise ValueError("its arrays do not fit")
        return found
    except (*MALFORMED_ARCHIVE, KeyError) as error:
        raise FormatError(row.result, f"is not what was saved ({str(error)[:200]}); remove it, and run the command "
                          "again") from None  # fmt: skip


def _tidy(
    row: Row, result: Mapping[str, Array], first: Mapping[str, Array], labels: npt.NDArray[np.int64] | None
) -> dict[str, Any]:
    """The row of the table that is written."""
    samples = row.source.samples
    spikes, operations, out_of_range = (int(total) for total in result["totals"])
    found = {name: getattr(row.setting, name) for name in Setting.__dataclass_fields__}
    found |= {
        "samples": samples,
        "accuracy": None if labels is None else float(np.mean(result["predictions"] == labels)),
        "agreement": float(np.mean(result["predictions"] == first["predictions"])),
        "spikes": spikes / samples,
        "operations": operations / samples,
        "out_of_range": out_of_range,
        "sam_correlation": _correlation(result, first),
        "energy_j": None, "latency_s": None, "cost": None,
    }  # fmt: skip
    if "cost" in result:
        priced = json.loads(str(result["cost"]))
        found |= {name: priced.get(name) for name in ("energy_j", "latency_s", "cost")}
    return found


def _correlation(result: Mapping[str, Array], first: Mapping[str, Array]) -> float | None:
    """Mean correlation of the maps that both have; None without any, or without torch, which evaluation needs."""
    names = [name for name in result if name.startswith("map ") and name in first]
    pairs = [(result[name], first[name]) for name in names if result[name].shape == first[name].shape]
    if not pairs or missing_packages("torch"):
        return None
    from neurosam.evaluation.agreement import pearson

    found = np.concatenate([pearson(a, b) for a, b in pairs])
    return None if np.isnan(found).all() else float(np.nanmean(found))
