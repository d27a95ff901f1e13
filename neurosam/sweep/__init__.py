"""Many samples, many machines: sweeps on any executor, with the same bits whatever the number of workers.

    chunks.py      samples as chunks, by measured time
    source.py      pictures and events, in parts that travel
    workers.py     any executor; pool.py: processes of this machine; cluster.py: Dask
    execution.py   chunks in flight, lost workers, a clean end
    worker.py      what a worker keeps
    shards.py      a file for each chunk, and their join
    record.py      runs
    tally.py       comparisons of back ends
    grid.py        a table of settings; measures.py: what is measured for each

How they are used is in docs/sweeps.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_MODULE_OF = {
    "Cluster": "cluster",
    "Pictures": "source",
    "ProcessPool": "pool",
    "Spikes": "source",
    "Workers": "workers",
    "grid_sweep": "measures",
    "read_table": "grid",
    "run_sweep": "record",
    "settings_of": "grid",
    "verify_sweep": "tally",
}

__all__ = [
    "Cluster", "Pictures", "ProcessPool", "Spikes", "Workers", "grid_sweep", "read_table", "run_sweep", "settings_of",
    "verify_sweep",
]  # fmt: skip

if TYPE_CHECKING:
    from neurosam.sweep.cluster import Cluster
    from neurosam.sweep.grid import read_table, settings_of
    from neurosam.sweep.measures import grid_sweep
    from neurosam.sweep.pool import ProcessPool
    from neurosam.sweep.record import run_sweep
    from neurosam.sweep.source import Pictures, Spikes
    from neurosam.sweep.tally import verify_sweep
    from neurosam.sweep.workers import Workers


def __getattr__(name: str) -> Any:
    """Import what is used: `neurosam run` needs one of these modules, and starts without the others."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
