"""N-MNIST's ``.bin`` (also N-Caltech101) and slayer's ``.bs2``: records of 40 bits, big-endian, one per event.

    x: 8 bits | y: 8 bits | on: 1 bit | time in microseconds: 23 bits

A record with y = 240 is no event: from there on, all times are 2^13 us later (as Tonic reads these files).
Source: G. Orchard et al., "Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades", Front.
Neurosci. 9:437 (2015), and slayerPytorch's ``read2Dspikes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neurosam.errors import FormatError
from neurosam.formats.events.source import BLOCK, Block, Source

__all__ = ["nmnist_file"]

RECORD = 5
OVERFLOW_ROW, OVERFLOW_US = 240, 1 << 13


def nmnist_file(path: Path) -> Source:
    """Open a file of 40-bit records.

    Raises
    ------
    FormatError
        If its length is no multiple of 5 bytes.
    """
    length = path.stat().st_size
    if length % RECORD:
        raise FormatError(str(path), f"has {length} bytes, which is no multiple of {RECORD}: the recording is cut off, "
                          "or of another format")  # fmt: skip

    def blocks() -> Iterator[Block]:
        overflow = 0
        with path.open("rb") as file:
            while raw := file.read(RECORD * BLOCK):
                bytes_ = np.frombuffer(raw, np.uint8).reshape(-1, RECORD).astype(np.int64)
                marks = bytes_[:, 1] == OVERFLOW_ROW
                t = (bytes_[:, 2] & 0x7F) << 16 | bytes_[:, 3] << 8 | bytes_[:, 4]
                t += overflow + OVERFLOW_US * np.cumsum(marks)
                overflow += OVERFLOW_US * int(marks.sum())
                keep = ~marks
                yield Block(t[keep], bytes_[keep, 0], bytes_[keep, 1], bytes_[keep, 2] >> 7 == 1)

    return Source(str(path), blocks, "us", size=length // RECORD)
