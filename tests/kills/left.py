"""What a command leaves when it ends: processes, segments of shared memory, temporary files and folders.

Processes are known by a mark in their environment, which their children inherit; segments by the prefix that Lava's
worker has in its command line (neurosam_hw/lava/segments.py), so both are told from those of anything else that runs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from neurosam_hw.lava.segments import segments

__all__ = ["MARK", "Traces"]

MARK = "NEUROSAM_KILLS"
"""Variable of the environment that marks a process."""
PATIENCE_S = 15.0
"""Time for a worker, or a process that removes what it used, to end."""


class Traces:
    """Looks for what the commands with a mark leave in a folder and in a folder for temporary files.

    Parameters
    ----------
    mark : str
    folder, temporary : Path
    """

    def __init__(self, mark: str, folder: Path, temporary: Path) -> None:
        self.mark, self.folder, self.temporary = f"{MARK}={mark}".encode(), folder, temporary
        self.prefixes: set[str] = set()

    def processes(self) -> dict[int, str]:
        """Running processes with the mark, by process id: their command lines."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, IndexError):
                if self.mark in (entry / "environ").read_bytes().split(b"\0"):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    self.prefixes |= {word for word in words if word.startswith("psm_ns")}
                    if state not in "ZX":
                        found[int(entry.name)] = " ".join(words)
        return found

    def left(self) -> list[str]:
        """All that is there after the processes had time to end."""
        end = time.monotonic() + PATIENCE_S
        while (running := self.processes()) and time.monotonic() < end:
            time.sleep(0.1)
        return [*(f"process {pid}: {line[:80]}" for pid, line in running.items()), *map(str, self._files())]

    def remove(self) -> None:
        """End and remove all of it, so that the next kill is judged by itself."""
        for pid in self.processes():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for path in list(self._files()):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()

    def _files(self) -> Iterator[Path]:
        """Segments, temporary files, and all that is in the folder for temporary files, deepest first."""
        for prefix in self.prefixes:
            yield from segments(prefix)
        yield from sorted(self.folder.rglob(".neurosam-*"))
        yield from sorted((path for path in self.temporary.rglob("*") if not _of_torch(path)), reverse=True)


def _of_torch(path: Path) -> bool:
    """Whether it is the folder that torch makes as soon as it is imported, and uses again."""
    return any(part.startswith("torchinductor_") for part in path.parts)
