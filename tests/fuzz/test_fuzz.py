"""Some damaged files for every reader, in seconds (``make fuzz`` takes minutes); and what was once found."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from fuzz.__main__ import Fault, fuzz, made
from fuzz.mutate import checksummed, lookup3, mutated
from fuzz.readers import KINDS, write_seeds
from neurosam.errors import NeurosamError

FILES = 8
"""Of each kind."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.filterwarnings("ignore")
def test_every_seed_is_read(seeds: dict[str, list[Path]]) -> None:
    """Else a reader would refuse all that is made of it, and nothing would be tried."""
    assert seeds.keys() == KINDS.keys()
    for kind, paths in seeds.items():
        for path in paths if KINDS[kind].share == 1 else ():  # tests/formats reads the others
            KINDS[kind].read(path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_end_in_words(seeds: dict[str, list[Path]]) -> None:
    counts: Counter[str] = Counter()
    kinds = [kind for kind in KINDS if KINDS[kind].share == 1]
    for kind in kinds:
        for part in fuzz(kind, FILES, 7, seeds):
            assert not isinstance(part, Fault), (
                f"{part}; repeat it: python -m fuzz --seed 7 --only {part.kind}:{part.number}"
            )
            counts += part
    assert sum(counts.values()) == FILES * len(kinds)
    assert counts["refused"] > counts["read"] > 0


@pytest.mark.parametrize(
    ("outcome", "read"),
    [
        ("traceback", lambda path: 1 / 0),
        ("memory", lambda path: bytearray(2**31)),
        ("crash", lambda path: __import__("os").kill(__import__("os").getpid(), 9)),
        ("hang", lambda path: __import__("time").sleep(60)),
        ("silent", lambda path: path.read_bytes()),
    ],
)
def test_each_fault_is_noticed(
    outcome: str, read: object, seeds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import fuzz.__main__ as main

    monkeypatch.setattr(main, "SECONDS", 1)
    monkeypatch.setattr(main, "_known", lambda kind, seeds: {b"the seed's"})
    monkeypatch.setitem(KINDS, "csv", replace(KINDS["csv"], read=read))  # type: ignore[arg-type]
    faults = [part for part in fuzz("csv", 1, 0, seeds) if isinstance(part, Fault)]
    assert [fault.outcome for fault in faults] == [outcome]


def test_the_same_number_is_the_same_file(seeds: dict[str, list[Path]]) -> None:
    for kind in KINDS:
        assert made(kind, 3, 1, seeds) == made(kind, 3, 1, seeds)
    assert made("network", 3, 1, seeds) != made("network", 4, 1, seeds)


def test_checksums_are_found_and_mended(seeds: dict[str, list[Path]]) -> None:
    """Of every part of a file; so a change comes further than HDF5's own test."""
    octets = next(path for path in seeds["network"] if path.name == "long.h5").read_bytes()
    parts = checksummed(octets)
    signatures = Counter(octets[start : start + 4] for start, _, _ in parts)
    assert signatures[b"OHDR"] > 50
    assert signatures[b"OCHK"] > 50
    assert signatures[b"FRHP"] == signatures[b"BTHD"] == signatures[b"FHDB"] > 0
    whole = 0
    for number in range(20):
        changed = mutated(octets, "hdf5", random.Random(number))
        if len(changed) == len(octets) and changed != octets:
            sums = [
                changed[at : at + 4] == struct.pack("<I", lookup3(changed[a:end])) for a, end, at in parts if at >= end
            ]
            whole += all(sums)
    assert whole > 10


def test_a_nul_inside_a_name_is_refused(seeds: dict[str, list[Path]], tmp_path: Path) -> None:
    """Found by this fuzzer: such a name was read, and could not be named in a digest."""
    octets = next(path for path in seeds["events"] if path.name == "inputs.h5").read_bytes()
    at = octets.index(b"left") + 1
    changed = octets[:at] + b"\0" + octets[at + 1 :]
    for start, end, place in checksummed(octets):
        if start <= at < end:
            changed = changed[:place] + struct.pack("<I", lookup3(changed[start:end])) + changed[place + 4 :]
    path = tmp_path / "a.h5"
    path.write_bytes(changed)
    with pytest.raises(NeurosamError, match="is text with a NUL inside"):
        KINDS["events"].read(path)
