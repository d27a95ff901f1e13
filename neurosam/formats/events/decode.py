"""Decode a file with faery in a process of its own: ``python -m neurosam.formats.events.decode PATH KIND``.

faery's decoders are native code. A damaged file can make one panic, and then abort the process that it runs in, or ask
for more memory than there is; here that ends this process alone. It writes to standard output

    a line of JSON             {"sensor": [width, height]}, or {"error": text}
    packets                    a count of 4 bytes, little-endian, at most ``BLOCK``, and as many records of ``RECORD``
    the end                    a count of 0; after an error a count of 2^32 - 1 and a line of JSON
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from neurosam.formats.events.camera import FAILED, RECORD, UNKNOWN
from neurosam.formats.events.source import BLOCK

__all__ = ["main"]

MOST_BYTES = 4 * 2**30
"""Address space of the decoder; a packet of a real camera has some hundred kilobytes."""


def main(path: str, kind: str) -> None:
    """Write a file's events to standard output."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    out = sys.stdout.buffer
    began = False
    try:
        from faery.file_decoder import Decoder

        decoder: Any = Decoder(path, dimensions_fallback=UNKNOWN, file_type=kind, time_range_cache=None)
        out.write(json.dumps({"sensor": [int(side) for side in decoder.dimensions()]}).encode() + b"\n")
        out.flush()
        began = True
        for packet in decoder:
            for start in range(0, len(packet), BLOCK):
                part = packet[start : start + BLOCK].astype(RECORD)
                out.write(len(part).to_bytes(4, "little") + part.tobytes())
        out.write(bytes(4))
        out.flush()
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; Python would complain when it flushes
    except BaseException as error:  # faery's panics are no Exceptions
        out.write((FAILED.to_bytes(4, "little") if began else b"") + json.dumps({"error": str(error)}).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
