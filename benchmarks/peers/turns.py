"""A script of this folder as a process that takes turns: started and warmed up once, then idle between turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from environments import Skip

__all__ = ["Runner"]


class Runner:
    """A process that has built its network and run it once.

    Parameters
    ----------
    command : list of str
        Command that starts the script.
    case : Path
    threads : int
    limit_s : float
        Time limit for each answer.

    Raises
    ------
    Skip
        If the script cannot express the case or fails; the message is its reason or last line. Turns raise it, too.
    """

    def __init__(self, command: list[str], case: Path, threads: int, limit_s: float) -> None:
        self.limit_s = limit_s
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self.process = subprocess.Popen(
            [*command, os.fspath(case), "--threads", str(threads), "--turns"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
        )  # fmt: skip
        ready = self._answer()
        if "cannot" in ready:
            self.close()
            raise Skip(ready["cannot"])

    def turn(self) -> float:
        """Run one turn; return its time in seconds."""
        with suppress(BrokenPipeError):  # the process has ended, and _answer reports why
            self._input().write(b"\n")
            self._input().flush()
        return float(self._answer()["time_s"])

    def finish(self) -> dict[str, Any]:
        """End the process and return its report."""
        self._input().close()
        report = self._answer()
        self.close()
        return report

    def close(self) -> None:
        """Kill the process and all of its children."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def _input(self) -> Any:
        return self.process.stdin

    def _answer(self) -> dict[str, Any]:
        timed_out = threading.Event()

        def end() -> None:
            timed_out.set()
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

        timer = threading.Timer(self.limit_s, end)
        timer.start()
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        timer.cancel()
        if line:
            return dict(json.loads(line))
        self.errors.seek(0)
        messages = self.errors.read().decode(errors="replace").strip().splitlines() or ["no message"]
        self.close()
        raise Skip(f"no answer within {self.limit_s:.0f} s" if timed_out.is_set() else f"failed: {messages[-1]}")
