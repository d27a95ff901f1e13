"""A Dask cluster as workers: of many machines, which may come and go while the work is done.

Dask gives the task of a worker that died to another one. After some deaths it takes the task for their cause, and then
the sweep decides. What workers write, they write to a folder that all machines see.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

from neurosam._util.packages import require_package
from neurosam.errors import BackendError
from neurosam.sweep.workers import Workers

__all__ = ["Cluster"]

CONNECT_S = 10
"""Time to reach a scheduler."""


class Cluster(Workers):
    """Workers of a Dask cluster.

    Parameters
    ----------
    address : str or distributed.Client
        Of the scheduler, as ``tcp://HOST:8786``; or the path of the file that it writes (``--scheduler-file``); or a
        client, which stays open.

    Raises
    ------
    MissingPackageError
        If Dask is not installed.
    BackendError
        If there is no scheduler at the address.
    """

    def __init__(self, address: Any) -> None:
        require_package("--dask", "distributed")
        from distributed import Client, KilledWorker

        self.broken, self.lost = (), (KilledWorker,)
        self._own = isinstance(address, str)
        self.name = f"the Dask cluster at {address}" if self._own else "the Dask cluster"
        try:
            where = {"scheduler_file": address} if self._own and address.endswith(".json") else {"address": address}
            self._client = Client(timeout=CONNECT_S, **where) if self._own else address
        except (OSError, ValueError, TypeError) as error:
            raise BackendError(
                self.name,
                f"cannot be reached ({str(error).splitlines()[0][:200]}); start one with `dask scheduler`, and give "
                "the address that it prints",
            ) from None

    def open(self) -> Executor:
        """The cluster's executor; each task counts on its own, and may be done again."""
        self._executor = self._client.get_executor(pure=False, retries=0)
        return self._executor

    def count(self) -> int:
        """Threads of the workers that are there now."""
        return sum(self._client.nthreads().values())

    def close(self) -> None:
        """Disconnect."""
        if self._own:
            self._client.close()

    def abort(self) -> None:
        """Withdraw all tasks, and disconnect."""
        self._executor.shutdown(wait=False)
        self.close()
