"""Temporary files and folders whose writer is gone: their names say who writes them, so that the next run can tell.

    .neurosam-HOST-BOOT-NAMESPACE-PID-START-RANDOM.tmp

A process that is killed (SIGKILL, a power loss) cannot remove what it was writing. What it leaves is removed by the
next process that writes into that folder, if it is proven to be an orphan: the machine has been started anew since, or,
in the same namespace of process numbers, the process does not exist any more (a number that was given again has another
START). Folders are removed where they are asked for, and only this user's own: the place for temporary ones is shared.
Files of other machines, and of containers whose processes cannot be seen from here, are left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["remove_orphans", "temporary_name"]

NAME = re.compile(r"\.neurosam-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,10})-(\d{1,20})-[0-9a-f]{16}\.tmp")


def temporary_name() -> str:
    """A name that no other process will choose, and that says which process chose it."""
    host, boot, namespace = _here()
    pid = os.getpid()
    return f".neurosam-{host}-{boot}-{namespace}-{pid}-{_started(pid) or 0}-{secrets.token_hex(8)}.tmp"


def remove_orphans(folder: Path, folders: bool = False, again: bool = False) -> None:
    """Remove what dead processes left in a folder; each process looks into a folder once, and ignores failures.

    Parameters
    ----------
    folder : Path
    folders : bool
        Remove folders of this user with such names, and no files.
    again : bool
        Look even if this process has looked before: processes that it had started are gone now.
    """
    if again:
        _remove(os.fspath(folder), folders)
    else:
        _remove_once(os.fspath(folder), folders, os.getpid())


@cache
def _remove_once(folder: str, folders: bool, _process: int) -> None:
    _remove(folder, folders)


def _remove(folder: str, folders: bool) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = NAME.fullmatch(entry.name)
            if not match or not _is_orphan(*match.groups()):
                continue
            if folders and entry.is_dir(follow_symlinks=False) and _is_own(entry.stat(follow_symlinks=False)):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif not folders and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def _is_orphan(host: str, boot: str, namespace: str, pid: str, started: str) -> bool:
    here = _here()
    if host != here[0]:
        return False
    if boot != here[1]:
        return True
    return namespace == here[2] and not _is_alive(int(pid), int(started))


def _is_alive(pid: int, started: int) -> bool:
    """Whether the process of this number, started at this time (0: not known), exists."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    now = _started(pid)
    return not started or now is None or now == started


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _here() -> tuple[str, str, str]:
    """The machine, its present start, and the namespace of processes, each as 8 hexadecimal digits."""
    host = socket.gethostname() + _text("/etc/machine-id")
    boot = _text("/proc/sys/kernel/random/boot_id")
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return _short(host), _short(boot), _short(namespace)


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
