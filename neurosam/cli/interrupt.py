"""Ctrl-C while torch is being imported: kept until the import is over.

Importing torch runs C++ that calls back into Python thousands of times. A KeyboardInterrupt that is raised in such a
call passes through C++ that need not expect it: once, that is the likely cause, it ended the process by SIGABRT. So an
interrupt that comes while torch is half imported is looked at again a moment later.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ["end", "watch"]

DELICATE = ("torch",)
AGAIN_S = 0.05


def watch() -> None:
    """From now on, keep interrupts that come at a delicate moment; where they are ignored, they stay so."""
    if hasattr(signal, "setitimer") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGALRM, _interrupted)
        signal.signal(signal.SIGINT, _interrupted)


def end() -> None:
    """The command is done and its status is fixed: no interrupt any more while the interpreter takes itself apart."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or come back."""
    if any(_half_imported(name) for name in DELICATE):
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        return
    raise KeyboardInterrupt


def _half_imported(name: str) -> bool:
    """Whether a module's own code is still running; the import system marks its spec meanwhile."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))
