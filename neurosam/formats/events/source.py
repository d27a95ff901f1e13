"""What a reader of recordings returns: raw events, block by block, as the camera or the file has them.

An event is a time t, a pixel (x, y) with x to the right and y downwards, and a polarity: brighter (on) or darker (off).
A reader knows nothing of steps and networks; :mod:`neurosam.formats.events.binning` turns blocks into the events of
steps, as :class:`~neurosam.formats.events.rules.EventRules` say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "UNITS", "Block", "Source"]

UNITS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6, "step": 1.0}
"""Microseconds in each unit of time; times in "step" are steps already."""

BLOCK = 1 << 16
"""Events in a block of a reader that chooses its size."""


class Block(NamedTuple):
    """Events in the order of the recording.

    Attributes
    ----------
    t : (n,) int or float array
        In the unit of the source.
    x, y : (n,) int array
    on : (n,) bool array
    """

    t: npt.NDArray[Any]
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    on: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """One recording.

    Parameters
    ----------
    name : str
        As the user knows it, for messages: a file, "array", "sample 3".
    blocks : function
        Begins to read; may be called again to read from the start.
    unit : str
        Unit of the times, a key of ``UNITS``; "" if the format does not fix it (microseconds for integers then).
    sensor : (int, int), optional
        Width and height in pixels, where known.
    size : int, optional
        Number of events, where it is known without reading.
    """

    name: str
    blocks: Callable[[], Iterator[Block]]
    unit: str = ""
    sensor: tuple[int, int] | None = None
    size: int | None = None
