"""Comparisons of back ends over many samples: parts by any worker, added up in the order of samples.

How many operations are compared, the tolerance of floats, and the last bits of their sums depend on which samples are
compared together. So samples are compared in batches of GRAIN, and chunks are made of whole batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from neurosam._util.progress import Tick
from neurosam.backends.registry import check
from neurosam.equivalence.comparison import Equivalence, verify
from neurosam.equivalence.result import merged, shifted
from neurosam.hdf5.files import digest
from neurosam.network.network import Network
from neurosam.signals.recording import Record
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import gather
from neurosam.sweep.record import GRAIN, PART_BYTES
from neurosam.sweep.source import Part, Source
from neurosam.sweep.worker import loaded, one_thread
from neurosam.sweep.workers import Workers

__all__ = ["verify_sweep"]

Results = dict[str, Equivalence]


def verify_sweep(
    network: Network,
    file: Path,
    source: Source,
    workers: Workers,
    backends: Sequence[str] = ("reference", "event"),
    *,
    dtype: str = "float64",
    progress: Tick | None = None,
) -> Results:
    """Compare back ends on many samples, as :func:`neurosam.verify` does.

    Parameters
    ----------
    network : Network
    file : Path
        Of the network, which all workers see.
    source : Source
    workers : Workers
    backends, dtype
        As of :func:`neurosam.verify`.
    progress : callable, optional
        Called with (samples done, all samples).
    """
    check(network, source.part(range(1)).inputs(network), Record())
    where, name = str(file.resolve()), digest(network)

    def work(chunk: range) -> Callable[[], Results]:
        return partial(_verify_chunk, where, name, source.part(chunk), len(chunk), backends, dtype)

    chunks = Chunks([range(source.samples)], GRAIN, PART_BYTES // max(source.sample_bytes, 1))
    parts = gather(workers, chunks, work, source.samples, progress)
    return {other: merged([shifted(results[other], chunk.start) for chunk, results in parts]) for other in backends[1:]}


def _verify_chunk(
    file: str, name: str, part: Part, samples: int, backends: Sequence[str], dtype: str
) -> Results:  # fmt: skip
    """Compare some samples, in a worker."""
    network = loaded(file, name)
    inputs = part.inputs(network)
    one_thread()
    batches = [
        (first, verify(network, inputs.select(first, first + GRAIN), backends, dtype=dtype, threads=1))
        for first in range(0, samples, GRAIN)
    ]
    return {other: merged([shifted(results[other], first) for first, results in batches]) for other in backends[1:]}
