"""Supervision of a worker: it is started in its own process group, monitored, and ended so that nothing is left.

However the run ends (result, error, time limit, Ctrl-C), the process group is killed, its shared-memory segments are
unlinked, and its folder is removed. If this process itself is killed, the worker notices that its input has closed and
does the same.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from neurosam._util.orphans import remove_orphans, temporary_name
from neurosam.errors import BackendError
from neurosam_hw.lava.interpreter import command
from neurosam_hw.lava.segments import new_prefix, unlink_segments

__all__ = ["Worker", "alive", "private_folder"]

GONE_S = 10.0
"""Maximum time to wait for a killed group to disappear."""

CODE = "from neurosam_hw.lava.worker import main; main(sys.argv[2], sys.argv[3])"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder that only this user can read; remove it at the end, or when a later run finds it."""
    place = Path(tempfile.gettempdir())
    remove_orphans(place, folders=True)
    folder = place / temporary_name()  # known before it exists, so that a signal cannot come between
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """A running worker; a context manager, so that it is always ended.

    Parameters
    ----------
    python : Path
        Lava's interpreter.
    folder : Path
        Contains the request; the result is written to it.
    code : str, optional
        Code to run instead of the worker, for tests.
    """

    def __init__(self, python: Path, folder: Path, code: str | None = None) -> None:
        self.prefix = new_prefix()
        self.folder = folder
        self.log = folder / "log.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command(python, code or CODE, str(folder), self.prefix), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, cwd=folder, env=environment, start_new_session=True,
            )  # fmt: skip
        self.group = self.process.pid

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def wait(self, limit_s: float | None, silence_s: float, on_line: Callable[[str], None]) -> int:
        """Wait for the worker to end, and pass on each line of its output.

        Parameters
        ----------
        limit_s : float, optional
            Maximum time of the run.
        silence_s : float
            Maximum time without a line.
        on_line : callable
            Called with each line.

        Returns
        -------
        int
            The worker's exit status.

        Raises
        ------
        BackendError
            If it takes too long.
        """
        start = last_line = time.monotonic()
        pipe = self.process.stdout
        if pipe is None:
            raise ValueError("the worker has no output")
        pending = b""
        while True:
            now = time.monotonic()
            ends = [last_line + silence_s] + ([] if limit_s is None else [start + limit_s])
            if now >= min(ends):
                timed_out = limit_s is not None and now >= start + limit_s
                raise BackendError(
                    "back end 'lava'",
                    f"reached the time limit of {limit_s:g} s; allow more (time_limit_s) or run fewer samples"
                    if timed_out
                    else f"gave no sign of life for {silence_s:g} s and was stopped. {self.last_output()}",
                )
            readable, _, _ = select.select([pipe], [], [], min(min(ends) - now, 1.0))
            if readable:
                chunk = os.read(pipe.fileno(), 65536)
                if not chunk:
                    return self._status(min(ends))
                last_line = time.monotonic()
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"))
            elif self.process.poll() is not None:
                return self._status(min(ends))

    def _status(self, latest: float) -> int:
        try:
            return self.process.wait(max(latest - time.monotonic(), 1.0))
        except subprocess.TimeoutExpired:
            raise BackendError("back end 'lava'", f"closed its output but did not end. {self.last_output()}") from None

    def last_output(self) -> str:
        """The last lines that the worker and Lava wrote, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        except OSError:
            lines = []
        return f"Its last output: {' | '.join(lines)}" if lines else "It left no message"

    def end(self) -> None:
        """Kill the rest of the group, and remove its segments."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._wait_until_gone()
        unlink_segments(self.prefix)

    def _wait_until_gone(self) -> None:
        """Wait until no process of the group runs, as one that is being killed may still hold a segment."""
        latest = time.monotonic() + GONE_S
        while time.monotonic() < latest and alive(self.group):
            time.sleep(0.01)


def alive(group: int) -> bool:
    """Whether a process group has a member that is not a zombie."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    status = Path("/proc")
    if not (status / "self" / "stat").exists():
        return True
    for entry in status.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                return True
    return False
