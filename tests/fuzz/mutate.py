"""One change or a few of a file's bytes, drawn from a seed; in HDF5 at its structures, with checksums mended.

A change of random bytes rarely comes further than a checksum or a signature. So for HDF5, changes are drawn to the
headers, trees and heaps, and the checksum (Jenkins' lookup3) of what they lie in is made right again; zip members, gzip
streams and the header of safetensors are unpacked, changed and packed again; numbers of JSON become hostile ones.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import zipfile
from collections.abc import Callable
from functools import cache

from neurosam.hdf5.octets import Octets, StructureError
from neurosam.hdf5.structure import _Walk

__all__ = ["checksummed", "lookup3", "mutated"]

SIGNATURES = (
    b"OHDR",
    b"OCHK",
    b"FRHP",
    b"FHDB",
    b"FHIB",
    b"BTHD",
    b"BTLF",
    b"BTIN",
    b"TREE",
    b"SNOD",
    b"HEAP",
    b"GCOL",
)
NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63 - 1,
    2**64 - 1,
)
TEXTS = (
    b"1" + b"0" * 400, b"9" * 5000, b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b"[" * 100_000, b'{"a":' * 50_000,
    b'"\\ud800"', b"true", b"4000000", b"0", b"\x1b[31m", b"2147483648", b"1.5",
)  # fmt: skip
WHAT = (
    b"folder",
    b"pipe",
    b"other",
    b"picture",
    b"=",
    b"->.",
    b"->..",
    b"->/dev/zero",
    b"->a.png",
    b"->/etc",
    b"->none",
)
NAMES = (
    b"train", b"val", b"train/cat", b"train/n01/images", b"wnids.txt", b"val/val_annotations.txt",
    b"t10k-images-idx3-ubyte.gz", b"train/\xff\xfe/a.png", b"train/" + b"x" * 255, b"a.png",
)  # fmt: skip
MASK = 2**32 - 1


def mutated(octets: bytes, layout: str, rng: random.Random) -> bytes:
    """The file with a few changes."""
    if layout == "hdf5":
        return _hdf5(octets, rng)
    if layout == "gzip" and rng.random() < 0.7:
        return gzip.compress(_plain(gzip.decompress(octets), rng))
    if layout == "zip" and rng.random() < 0.7:
        return _zip(octets, rng)
    if layout == "safetensors" and rng.random() < 0.7:
        (size,) = struct.unpack("<Q", octets[:8])
        header = octets[8 : 8 + size].replace(b"neurosam-digest", b"forgotten-digest"[: 15 + rng.randrange(2)])
        header = _json(header, rng)
        return struct.pack("<Q", len(header)) + header + octets[8 + size :]
    if layout == "lines" and rng.random() < 0.8:
        return _lines(octets, rng)
    return _json(octets, rng) if layout == "json" and rng.random() < 0.7 else _plain(octets, rng)


def _plain(octets: bytes, rng: random.Random) -> bytes:
    out = bytearray(octets)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(out, rng.randrange(max(len(out), 1)), rng)
    return bytes(out)


def _change(out: bytearray, at: int, rng: random.Random) -> None:
    """One change at a place; in place where the length stays."""
    kind = rng.randrange(10)
    if kind < 3 and out:
        out[at] ^= 1 << rng.randrange(8)
    elif kind < 8 and out:
        width = rng.choice((1, 2, 4, 8))
        number = rng.choice((*NUMBERS, rng.randrange(len(out) + 1), at)) % 256**width
        out[at : at + width] = number.to_bytes(width, "little")[: len(out) - at]
    elif kind == 8:
        del out[at : at + rng.choice((1, 8, 100, len(out)))]
    else:
        start = rng.randrange(max(len(out), 1))
        out[at:at] = out[start : start + rng.choice((1, 8, 64, 512))]


def _json(octets: bytes, rng: random.Random) -> bytes:
    """A value replaced by a hostile one, or a change like any."""
    values = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"]*"|\[[^\[\]]*\]', octets))
    if not values or rng.random() < 0.2:
        return _plain(octets, rng)
    chosen = rng.choice(values)
    return octets[: chosen.start()] + rng.choice(TEXTS) + octets[chosen.end() :]


def _lines(octets: bytes, rng: random.Random) -> bytes:
    """Lines left out, twice, in another order, or with a part of another's or of a hostile one."""
    lines = octets.split(b"\n")
    for _ in range(rng.choice((1, 1, 2))):
        at, kind = rng.randrange(len(lines)), rng.randrange(5)
        if kind == 0:
            del lines[at : at + rng.choice((1, 1, 3))]
            lines = lines or [b""]
        elif kind == 1:
            lines.insert(at, rng.choice(lines))
        else:
            name, tab, what = lines[at].partition(b"\t")
            if kind == 2:
                what = rng.choice((*WHAT, rng.choice(lines).partition(b"\t")[2]))
            elif kind == 3:
                name = rng.choice((*NAMES, name + b"\xff", name.rpartition(b"/")[0] + b"/\x1b[2J"))
            else:
                what = _json(what, rng) if what.startswith(b"=") else b"=" + rng.choice(TEXTS)
            lines[at] = name + tab + what
    return b"\n".join(lines)


def _zip(octets: bytes, rng: random.Random) -> bytes:
    """A member changed, with its checksum made right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(octets)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = old.read(name)
            if name == chosen and rng.random() < 0.1:
                continue
            new.writestr(name, _npy(member, rng) if name == chosen else member)
    return out.getvalue()


def _npy(octets: bytes, rng: random.Random) -> bytes:
    """A change in the header's text, or anywhere."""
    if rng.random() < 0.5:
        place = re.search(rb"\((\d+),?", octets)
        if place:
            return octets[: place.start(1)] + rng.choice(TEXTS) + octets[place.end(1) :]
    return _plain(octets, rng)


def _hdf5(octets: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return _plain(octets, rng)
    out, places = bytearray(octets), _places(octets)
    changed = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        start, size = rng.choice(places)
        at = min(start + rng.randrange(size), len(out) - 1)
        kind = rng.randrange(8)
        if kind < 2:
            out[at] ^= 1 << rng.randrange(8)
        elif kind < 4:
            out[at] = rng.choice(NUMBERS) % 256
        else:
            width = rng.choice((2, 4, 8))
            other = rng.choice((*NUMBERS, rng.randrange(len(out)), rng.choice(places)[0], rng.choice(places)[0], start))
            out[at : at + width] = (other % 256**width).to_bytes(width, "little")[: len(out) - at]
        changed.append(at)
    for start, end, sum_at in checksummed(octets):
        if any(start <= at < end + 8 for at in changed):
            out[sum_at : sum_at + 4] = struct.pack("<I", _sum(bytes(out), start, end, sum_at))
    return bytes(out)


def _sum(octets: bytes, start: int, end: int, at: int) -> int:
    """The checksum of a part; a block of a heap has its own inside, taken as 0."""
    part = bytearray(octets[start:end])
    if start <= at < end:
        part[at - start : at - start + 4] = bytes(4)
    return lookup3(bytes(part))


@cache
def _places(octets: bytes) -> tuple[tuple[int, int], ...]:
    """Where structures begin, and how many bytes of each are worth a change."""
    found = [(0, 96)]
    for signature in SIGNATURES:
        at = -1
        while (at := octets.find(signature, at + 1)) >= 0:
            found.append((at, {b"OHDR": 200, b"OCHK": 200, b"TREE": 100, b"SNOD": 100}.get(signature, 64)))
    return tuple(found * 4) + tuple((start, 32) for start in range(0, len(octets), 64))


@cache
def checksummed(octets: bytes) -> tuple[tuple[int, int, int], ...]:
    """Begin, end and place of the checksum of each part of a file of superblock 2."""
    if octets[8] == 0:
        return ()
    parts: list[tuple[int, int, int]] = [(0, 44, 44)]

    class Traced(Octets):
        def take(self, at: str, address: int, count: int) -> bytes:
            taken = super().take(at, address, count)
            if octets[address - 4 : address] == b"OCHK":
                parts.append((address - 4, address + count, address + count))
            return taken

    try:
        _Walk(Traced(io.BytesIO(octets), len(octets))).file(len(octets))
    except StructureError:
        return ()
    sizes: dict[bytes, Callable[[int], tuple[int, int, int]]] = {
        b"OHDR": _header(octets), b"FRHP": lambda i: (i, i + 142, i + 142), b"BTHD": lambda i: (i, i + 34, i + 34),
        b"FHDB": lambda i: (i, i + 512, i + 17),
    }  # fmt: skip
    for signature, ends in sizes.items():
        at = -1
        while (at := octets.find(signature, at + 1)) >= 0:
            parts.append(ends(at))
    return tuple(p for p in parts if _sum(octets, *p) == int.from_bytes(octets[p[2] : p[2] + 4], "little"))


def _header(octets: bytes) -> Callable[[int], tuple[int, int, int]]:
    def part(at: int) -> tuple[int, int, int]:
        flags = octets[at + 5]
        start = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        end = start + width + int.from_bytes(octets[start : start + width], "little")
        return at, end, end

    return part


def lookup3(key: bytes) -> int:
    """Bob Jenkins' hash of 2006, as HDF5 uses it for its metadata."""
    a = b = c = (0xDEADBEEF + len(key)) & MASK

    def rot(x: int, k: int) -> int:
        return ((x << k) | (x >> (32 - k))) & MASK

    while len(key) > 12:
        x, y, z = struct.unpack("<3I", key[:12])
        a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
        for k in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & MASK) ^ rot(c, k)
            c = (c + b) & MASK
            a, b, c = b, c, a
        key = key[12:]
    if key:
        x, y, z = struct.unpack("<3I", key.ljust(12, b"\0"))
        a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
        for k in (14, 11, 25, 16, 4, 14, 24):
            c = ((c ^ b) - rot(b, k)) & MASK
            a, b, c = b, c, a
        c = b
    return c
