"""Ctrl-C and SIGTERM end a command in the same way, and while torch is being imported they are held back.

SIGTERM is what Slurm, systemd and ``kill`` send. It raises :class:`Terminated`, a KeyboardInterrupt: what a command
cleans up after Ctrl-C it cleans up then, and its exit status is 143. Ctrl-C raises :class:`Interrupted`, since after a
KeyboardInterrupt itself has passed through a call of ``exec``, Python ends by the signal in place of status 130.

Importing torch runs C++ that calls back into Python thousands of times. A KeyboardInterrupt raised in such a callback
unwinds through C++ that may not expect it; a SIGABRT seen once was probably caused by this. So an interrupt that
arrives while torch is partly imported is retried a moment later.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ["Interrupted", "Terminated", "end", "watch"]

DEFERRED_IMPORTS = ("torch",)
RETRY_S = 0.05


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def watch() -> None:
    """Handle both signals from now on, unless they are ignored, or a host program handles them itself."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupted)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def end() -> None:
    """Ignore interrupts while the interpreter shuts down: the command is done and its exit status is fixed."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGALRM", None)):
        if number is not None and signal.getsignal(number) in (_interrupted, _terminated_later, _interrupted_later):
            signal.signal(number, signal.SIG_IGN)


def _interrupted(number: int, _frame: FrameType | None) -> None:
    """Raise Interrupted or Terminated, or try again shortly."""
    error = Terminated if number == signal.SIGTERM else Interrupted
    if hasattr(signal, "setitimer") and any(_half_imported(name) for name in DEFERRED_IMPORTS):
        signal.signal(signal.SIGALRM, _terminated_later if error is Terminated else _interrupted_later)
        signal.setitimer(signal.ITIMER_REAL, RETRY_S)
        return
    raise error


def _interrupted_later(_number: int, frame: FrameType | None) -> None:
    _interrupted(signal.SIGINT, frame)


def _terminated_later(_number: int, frame: FrameType | None) -> None:
    _interrupted(signal.SIGTERM, frame)


def _half_imported(name: str) -> bool:
    """Whether a module is still being executed; the import system marks its spec until then."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))
