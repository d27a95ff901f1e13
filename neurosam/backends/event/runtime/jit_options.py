"""The options with which kernels are compiled; what they say is part of the kernels' digest (folder.py)."""

from __future__ import annotations

from typing import Any

from neurosam.backends.event.simd.bounds import CHECKED

__all__ = ["ALWAYS", "BY_ADDRESS", "INLINED", "INLINED_SOURCE", "OVERLOAD"]

ALWAYS: dict[str, Any] = {"nogil": True, "boundscheck": CHECKED, "no_cfunc_wrapper": True}
"""Of all kernels; nothing calls them as C functions."""
BY_ADDRESS = {"no_cpython_wrapper": True}
"""Of kernels that Python does not call: to take arguments from Python costs as much as a small kernel."""
INLINED = {"forceinline": True, "no_cpython_wrapper": True}
INLINED_SOURCE = {"inline": "always"}
OVERLOAD: dict[str, Any] = {"boundscheck": CHECKED}
