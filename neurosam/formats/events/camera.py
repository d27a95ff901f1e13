"""Files of event cameras, read by faery: Prophesee's ``.raw`` (EVT2, EVT3) and ``.dat``, AEDAT4, and ES.

faery checks what it decodes, but takes a file that ends inside an event for one that ends before it, and lets no time
run backwards; so lengths are checked here, where records are of fixed length (EVT and DAT).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neurosam.errors import BackendError, FormatError
from neurosam.formats.events.columns import block
from neurosam.formats.events.source import Block, Source

__all__ = ["camera_file", "kind_of"]

SUFFIXES = {".aedat4": "aedat", ".aedat": "aedat", ".es": "es", ".dat": "dat", ".raw": "evt", ".evt": "evt"}
UNKNOWN = (65535, 65535)
"""Given to faery as the size of a sensor that the file may not name."""
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
    BackendError
        If faery is not installed.
    FormatError
        If faery cannot read it, or it is cut off.
    """
    where, kind = str(path), kind_of(path)
    if find_spec("faery") is None:
        raise BackendError(where, "needs faery, which is not installed: pip install 'neurosam[events]'")
    _check_version(path)
    if kind in ("evt", "dat"):
        _check_length(path, kind)
    decoder = _asked(where, lambda: _decoder(path, kind))
    width, height = (int(side) for side in decoder.dimensions())

    def blocks() -> Iterator[Block]:
        packets, first = iter(decoder), 0
        while True:
            packet = _asked(where, lambda: next(packets, None))
            if packet is None:
                return
            yield block(where, {"t": packet["t"], "x": packet["x"], "y": packet["y"], "p": packet["on"]}, first)
            first += len(packet)

    return Source(where, blocks, "us", None if (width, height) == UNKNOWN else (width, height))


def _decoder(path: Path, kind: str | None) -> Any:
    from faery.file_decoder import Decoder

    return Decoder(path, dimensions_fallback=UNKNOWN, file_type=kind, time_range_cache=None)


def _asked(where: str, function: Any) -> Any:
    """What faery answers, or its complaint as ours; its panics are no Exceptions."""
    try:
        return function()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        cut = "fill whole buffer" in str(error)
        raise FormatError(where, "ends in the middle of a packet: the recording is cut off" if cut
                          else f"cannot be read ({error})") from None  # fmt: skip


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
