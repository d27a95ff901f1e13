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

from neurosam.sweep.cluster import Cluster
from neurosam.sweep.grid import read_table, settings_of
from neurosam.sweep.measures import grid_sweep
from neurosam.sweep.pool import ProcessPool
from neurosam.sweep.record import run_sweep
from neurosam.sweep.source import Pictures, Spikes
from neurosam.sweep.tally import verify_sweep
from neurosam.sweep.workers import Workers

__all__ = [
    "Cluster", "Pictures", "ProcessPool", "Spikes", "Workers", "grid_sweep", "read_table", "run_sweep", "settings_of",
    "verify_sweep",
]  # fmt: skip
