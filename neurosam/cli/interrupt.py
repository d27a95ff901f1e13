"""Ctrl-C while torch is being imported is held back until the import has finished.

Importing torch runs C++ that calls back into Python thousands of times. A KeyboardInterrupt raised in such a callback
unwinds through C++ that may not expect it; a SIGABRT seen once was probably caused by this. So an interrupt that
arrives while torch is partly imported is retried a moment later.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ["end", "watch"]

DEFERRED_IMPORTS = ("torch",)
RETRY_S = 0.05


def watch() -> None:
    """Hold back interrupts during delicate imports from now on; if SIGINT is ignored, it stays ignored."""
    if hasattr(signal, "setitimer") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGALRM, _interrupted)
        signal.signal(signal.SIGINT, _interrupted)


def end() -> None:
    """Ignore interrupts while the interpreter shuts down: the command is done and its exit status is fixed."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or try again shortly."""
    if any(_half_imported(name) for name in DEFERRED_IMPORTS):
        signal.setitimer(signal.ITIMER_REAL, RETRY_S)
        return
    raise KeyboardInterrupt


def _half_imported(name: str) -> bool:
    """Whether a module is still being executed; the import system marks its spec until then."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))
