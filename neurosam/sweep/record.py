"""A run over many samples: a shard for each chunk, made by any worker, joined to the file that one run writes.

What a sample gives does not depend on the chunk that it is in: a back end runs samples independently of each other. The
sums of a float network in another back end than `event` may depend on how many samples are run together; there,
samples are run in batches of GRAIN, and chunks are made of whole batches. Kernels have one thread.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from neurosam._util.orphans import remove_orphans, temporary_name
from neurosam._util.progress import Tick, task
from neurosam.backends.registry import check, check_dtype, load_backend, run
from neurosam.hdf5.files import digest, stream_recording
from neurosam.network.network import Network
from neurosam.signals.joining import joined_rests, without_values
from neurosam.signals.recording import Record, Recording
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import execute
from neurosam.sweep.shards import NETWORK, Shards
from neurosam.sweep.source import Part, Source
from neurosam.sweep.worker import loaded, one_thread
from neurosam.sweep.workers import Workers

__all__ = ["GRAIN", "PART_BYTES", "Job", "grain_of", "record_shards", "run_chunk", "run_sweep", "shards_of"]

GRAIN = 16
"""Samples that are run together where that decides about the last bits."""
PART_BYTES = 2**28
"""Most memory that the events of a chunk take, about."""


@dataclass(frozen=True)
class Job:
    """What a worker has to know of a sweep besides the samples of a chunk.

    Attributes
    ----------
    network, name : str
        File of the network, and its digest.
    record : Record
    backend, device, dtype : str
        As of :func:`neurosam.run`.
    grain : int
        Samples that are run together; 1 if it does not matter.
    """

    network: str
    name: str
    record: Record
    backend: str = "event"
    device: str = "cpu"
    dtype: str = "float64"
    grain: int = 1


def run_sweep(
    network: Network,
    source: Source,
    out: str | Path | None,
    workers: Workers,
    record: Record | None = None,
    *,
    folder: Path | None = None,
    backend: str = "event",
    device: str = "cpu",
    dtype: str = "float64",
    progress: Tick | None = None,
) -> Recording:
    """Run a network on many samples, and write the recording to a file; an interrupted sweep goes on where it stopped.

    Parameters
    ----------
    network : Network
    source : Source
        :class:`Pictures` or :class:`Spikes`.
    out : path, optional
        The file that ``neurosam.run(..., out=)`` writes; replaced when all samples are done. If None, answers and
        counts alone are returned, and nothing is kept of an interrupted sweep.
    workers : Workers
        Who works: :class:`ProcessPool`, :class:`Cluster`, or ``Workers(executor)`` of any executor.
    record, backend, device, dtype
        As of :func:`neurosam.run`.
    folder : Path, optional
        Of the shards; ``OUT.shards`` if None. It is removed when the file is written. Without `out`, a temporary one.
    progress : callable, optional
        Called with (samples done, all samples).

    Returns
    -------
    Recording
        Its arrays stay in the file; without `out`, it has no values of single steps.

    Raises
    ------
    ArgumentError, EventError, NetworkError, BackendError, FormatError
        As of :func:`neurosam.run`; and if the folder belongs to another sweep, or workers are lost again and again.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from neurosam.sweep import Spikes, Workers, run_sweep
    >>> net = ns.Network(
    ...     [ns.Population("in", (3,)), ns.Population("out", (2,), ns.FixedLIF(membrane_decay=410, threshold=9))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[7, 3, 1], [2, 8, 4]], np.int8)))],
    ... )
    >>> events = ns.Events.from_dense(np.random.default_rng(0).integers(0, 2, (6, 30, 3)))
    >>> source, out = Spikes(net, events), pathlib.Path(tempfile.mkdtemp()) / "run.h5"
    >>> with ThreadPoolExecutor(2) as executor:
    ...     recording = run_sweep(net, source, out, Workers(executor))
    >>> recording.samples, recording.same_as(ns.run(net, events))
    (30, True)
    """
    options = {"backend": backend, "device": device, "dtype": dtype}
    if out is None:
        with _temporary() as place:
            return record_shards(network, source, place, workers, Record(), progress=progress, **options).rest()
    out, record = Path(out), Record() if record is None else record
    where = shards_of(out) if folder is None else folder
    shards = record_shards(network, source, where, workers, record, progress=progress, **options)
    recording = shards.join(out, network, record, source.steps)
    shards.remove()
    return recording


def shards_of(out: Path) -> Path:
    """The folder of the shards of a file."""
    return out.with_name(out.name + ".shards")


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder that is gone when the block ends; what killed processes left of such folders goes too."""
    place = Path(tempfile.gettempdir())
    remove_orphans(place, folders=True)
    folder = place / temporary_name()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def record_shards(
    network: Network,
    source: Source,
    folder: Path,
    workers: Workers,
    record: Record,
    *,
    backend: str = "event",
    device: str = "cpu",
    dtype: str = "float64",
    progress: Tick | None = None,
) -> Shards:
    """Make the shards that are missing in a folder; arguments as of :func:`run_sweep`."""
    check(network, source.part(range(1)).inputs(network), record, to_file=True)
    check_dtype(network, dtype)
    load_backend(backend)
    grain = grain_of(network, backend)
    settings = {
        "inputs": source.name(), "steps": source.steps, "backend": backend, "device": device, "dtype": dtype,
        "record": {name: list(value) for name, value in asdict(record).items()}, "grain": grain,
    }  # fmt: skip
    shards = Shards(folder, network, settings, source.samples)
    job = Job(str(folder.resolve() / NETWORK), digest(network), record, backend, device, dtype, grain)

    def work(chunk: range) -> Callable[[], None]:
        return partial(run_chunk, job, source.part(chunk), str(shards.path(chunk).resolve()), len(chunk), source.steps)

    chunks = Chunks(shards.left, grain, PART_BYTES // max(source.sample_bytes, 1))
    try:
        with task("running", progress) as tick:
            execute(workers, chunks, work, lambda chunk, _: shards.add(chunk), source.samples, tick)
    finally:
        shards.tidy()
    return shards


def grain_of(network: Network, backend: str) -> int:
    """Samples that are run together so that the bits do not depend on the chunks."""
    return 1 if network.fixed or backend == "event" else GRAIN


def run_chunk(job: Job, part: Part, path: str, samples: int, steps: int) -> None:
    """Run some samples, in a worker, and write their shard."""
    network = loaded(job.network, job.name)
    inputs = part.inputs(network)
    one_thread()
    one = partial(run, network, backend=job.backend, record=job.record, device=job.device, dtype=job.dtype, threads=1)
    if job.grain == 1:
        one(inputs, out=path)
        return
    with stream_recording(path, network, job.record, steps, samples) as stream:
        rests = []
        for first in range(0, samples, job.grain):
            recording = one(inputs.select(first, first + job.grain))
            stream.put(recording, first)
            rests.append(without_values(recording))
        stream.finish(joined_rests(rests))
