"""``--jobs`` and ``--dask``: who works on the samples of a command, and what is said of an interrupted one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam.cli.common import progress, say
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

if TYPE_CHECKING:
    from neurosam.sweep.shards import Shards
    from neurosam.sweep.source import Source
    from neurosam.sweep.workers import Workers

__all__ = ["Dask", "Jobs", "Recorder", "going_on", "sweep", "workers_of"]

JOINED = "recording.h5"
"""In a folder of shards: all of them."""

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, max=1024, show_default=False,
        help="Processes that share the samples, each with one thread; for many samples. Default: none, and the "
        "threads of this one.",
    ),
]  # fmt: skip
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", show_default=False,
        help="A Dask cluster whose workers share the samples: tcp://HOST:8786, or a scheduler file (.json).",
    ),
]  # fmt: skip


def workers_of(jobs: int | None, dask: str | None) -> Workers | None:
    """The workers that the options name; None for this process alone.

    Raises
    ------
    NeurosamError
        If both are given, or the cluster cannot be reached.
    """
    _refuse_both(jobs, dask)
    if dask is not None:
        from neurosam.sweep.cluster import Cluster

        return Cluster(dask)
    if jobs is not None:
        from neurosam.sweep.pool import ProcessPool

        return ProcessPool(jobs)
    return None


def _refuse_both(jobs: int | None, dask: str | None) -> None:
    if jobs is not None and dask is not None:
        raise NeurosamError("--jobs", "and --dask exclude each other; give one of them")


def sweep(
    network: Network, source: Source, out: Path | None, workers: Workers, record: Record, backend: str, *,
    device: str = "cpu", dtype: str = "float64",
) -> Recording:  # fmt: skip
    """Run all samples by some workers; shards that an interrupted command left are used."""
    from neurosam.sweep.record import run_sweep, shards_of

    with going_on(None if out is None else shards_of(out)), progress(f"running on {backend}") as tick:
        return run_sweep(
            network, source, out, workers, record, backend=backend, device=device, dtype=dtype, progress=tick
        )


class Recorder:
    """Runs whose recordings a command needs for a while: in this process, or by workers, into folders of shards.

    Parameters
    ----------
    jobs, dask
        The options.
    out : Path
        What the command writes; the folders are beside it.
    """

    def __init__(self, jobs: int | None, dask: str | None, out: Path) -> None:
        self._jobs, self._dask, self._out = jobs, dask, out
        self._shards: list[Shards] = []
        _refuse_both(jobs, dask)

    def run(
        self, network: Network, inputs: Inputs, backend: str, record: Record, dtype: str, title: str, name: str = ""
    ) -> Recording:
        """Run all samples; `name` tells the runs of a command from each other."""
        from neurosam.backends.registry import run
        from neurosam.sweep.record import record_shards
        from neurosam.sweep.source import Spikes

        workers = workers_of(self._jobs, self._dask)
        with progress(title) as tick:
            if workers is None:
                return run(network, inputs, backend, record, dtype=dtype, progress=tick)
            folder = self._out.with_name(f"{self._out.name}{name}.shards")
            with going_on(folder):
                shards = record_shards(
                    network, Spikes(network, inputs), folder, workers, record, backend=backend, dtype=dtype,
                    progress=tick,
                )  # fmt: skip
                self._shards.append(shards)
                return shards.join(folder / JOINED, network, record, inputs.steps)

    def tidy(self) -> None:
        """Remove the shards: what they were needed for is done."""
        for shards in self._shards:
            shards.remove()


@contextmanager
def going_on(folder: Path | None) -> Iterator[None]:
    """Say that what an interrupted command left is used, or that it will be."""
    if folder is not None and folder.is_dir():
        say(f"goes on from {folder}")
    try:
        yield
    except KeyboardInterrupt as interruption:
        if folder is None or not folder.is_dir():
            raise
        raise type(interruption)(f"the same command goes on from {folder}") from None
    finally:
        if folder is not None:
            with suppress(OSError):  # it holds something to go on from, or is gone
                folder.rmdir()
