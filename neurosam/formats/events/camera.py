"""Files of event cameras, read by faery: Prophesee's ``.raw`` (EVT2, EVT3) and ``.dat``, AEDAT4, and ES.

faery runs in a process of its own (decode.py). It checks what it decodes, but takes a file that ends inside an event
for one that ends before it, and lets no time run backwards; so lengths are checked here, where records are of fixed
length (EVT and DAT).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from weakref import finalize

import numpy as np
import numpy.typing as npt

from neurosam._util.packages import require_package
from neurosam.errors import FormatError
from neurosam.formats.events.columns import block
from neurosam.formats.events.source import BLOCK, Block, Source

__all__ = ["FAILED", "RECORD", "UNKNOWN", "camera_file", "kind_of"]

Decoding: TypeAlias = "subprocess.Popen[bytes]"

SUFFIXES = {".aedat4": "aedat", ".aedat": "aedat", ".es": "es", ".dat": "dat", ".raw": "evt", ".evt": "evt"}
RECORD = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
UNKNOWN = (65535, 65535)
"""Given to faery as the size of a sensor that the file may not name."""
FAILED = 2**32 - 1
"""What stands for the count of a packet that could not be decoded."""
MAGIC = {b"#!AER-DAT4.0": "aedat", b"Event Stream": "es"}


def kind_of(path: Path) -> str | None:
    """Name of the format in faery, by the first bytes or the suffix; None for another format."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        head = b""
    return MAGIC.get(head) or SUFFIXES.get(path.suffix.lower())


def camera_file(path: Path) -> Source:
    """Open a file of a camera.

    Raises
    ------
    MissingPackageError
        If faery is not installed.
    FormatError
        If faery cannot read it, or it is cut off.
    """
    where, kind = str(path), kind_of(path)
    require_package(where, "faery")
    _check_version(path)
    if kind in ("evt", "dat"):
        _check_length(path, kind)
    process, sensor = _begin(path, kind)
    ready = [process]

    def blocks() -> Iterator[Block]:
        first, running = 0, ready.pop() if ready else _begin(path, kind)[0]
        try:
            while (packet := _packet(where, running)) is not None:
                yield block(where, {"t": packet["t"], "x": packet["x"], "y": packet["y"], "p": packet["on"]}, first)
                first += len(packet)
        finally:
            _end(running)

    source = Source(where, blocks, "us", None if sensor == UNKNOWN else sensor)
    finalize(source, _end_all, ready)
    return source


def _begin(path: Path, kind: str | None) -> tuple[Decoding, tuple[int, int]]:
    """Start to decode, and wait for the size of the sensor."""
    command = [sys.executable, "-m", "neurosam.formats.events.decode", str(path), str(kind)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        width, height = _told(str(path), process)["sensor"]
    except BaseException:
        _end(process)
        raise
    return process, (int(width), int(height))


def _packet(where: str, process: Decoding) -> npt.NDArray[Any] | None:
    """The next events; None at the end."""
    count = int.from_bytes(_exactly(where, process, 4), "little")
    if count > BLOCK:
        _told(where, process)
        raise FormatError(where, "cannot be read: faery's answer makes no sense")
    return np.frombuffer(_exactly(where, process, count * RECORD.itemsize), RECORD) if count else None


def _told(where: str, process: Decoding) -> dict[str, Any]:
    """A line of what the decoder has to say, or its complaint as ours."""
    line = process.stdout.readline() if process.stdout else b""
    said: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": f"faery ended with {process.wait()}"}
    if error := said.get("error"):
        cut = "fill whole buffer" in error
        problem = "ends in the middle of a packet: the recording is cut off" if cut else f"cannot be read ({error})"
        raise FormatError(where, problem)
    return said


def _exactly(where: str, process: Decoding, size: int) -> bytes:
    content = process.stdout.read(size) if process.stdout else b""
    if len(content) != size:
        raise FormatError(where, f"cannot be read (faery ended with status {process.wait()}): it is damaged")
    return content


def _end_all(processes: list[Decoding]) -> None:
    """End decoders that nobody has read from."""
    for process in processes:
        _end(process)


def _end(process: Decoding) -> None:
    """End a decoder that may still be running."""
    if process.stdout:
        process.stdout.close()
    process.kill()
    process.wait()


def _check_version(path: Path) -> None:
    """Answer the older formats that share a suffix with AEDAT4."""
    with path.open("rb") as file:
        head = file.readline(40)
    if head.startswith((b"#!AER-DAT1", b"#!AER-DAT2", b"#!AER-DAT3")):
        version = head[9:12].decode("ascii", "replace")
        raise FormatError(str(path), f"is AEDAT {version}; AEDAT 4 is read. Convert it with dv-processing or jAER, or "
                          "give its events as a structured array (x, y, t, p) in a .npy")  # fmt: skip


def _check_length(path: Path, kind: str) -> None:
    """Refuse a file whose last word or record is not whole; a file cut between two of them cannot be told."""
    header = bytearray()
    with path.open("rb") as file:
        start = 0
        while file.peek(1)[:1] == b"%" and not header.endswith(b"% end\n"):
            line = file.readline(4096)
            start, header = start + len(line), header + line
    size = 2
    if kind == "dat":
        start, size = start + 2, 8
    elif b"evt 2.1" in header or b"EVT21" in header:
        size = 8
    elif b"evt 2.0" in header or b"EVT2;" in header:
        size = 4
    if (path.stat().st_size - start) % size:
        raise FormatError(str(path), "ends in the middle of an event: the recording is cut off")
