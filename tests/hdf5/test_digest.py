"""The digest of a file's content: what it names, that a flipped bit is noticed, and that it depends on nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import FormatError
from neurosam.hdf5.files import stream_recording
from neurosam.hdf5.manifest import Manifest
from neurosam.hdf5.schema import write_record

GOLDEN = Path(__file__).parents[1] / "golden"


def network(**changes: Any) -> ns.Network:
    neuron = ns.FixedLIF(membrane_decay=410, threshold=64, bias_mantissa=np.array([1, -2]), reset="zero")
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (2,), neuron), ns.Population("out", (2,), ns.FixedReadout())],
        [ns.Projection("in", "a", ns.Dense(np.array([[64, 3], [9, 70]]))),
         ns.Projection("a", "out", ns.Dense(np.array([[1, 2], [3, -4]])))],
        metadata={"purpose": "a digest"},
    )  # fmt: skip
    return replace(net, **changes)


def events() -> ns.Events:
    return ns.Events.from_dense((np.random.default_rng(1).random((6, 3, 2)) < 0.6).astype(np.uint8))


def recording() -> ns.Recording:
    return ns.run(network(), events(), "reference", ns.Record.everything(network()))


def values() -> list[Any]:
    kept = ns.run(network(), events(), "reference", keep_state=True)
    return [network(), events(), {"left": events(), "right": events()}, recording(), kept.state]


def lines(group: Any, path: str = "") -> list[str]:
    """The lines of a file as FORMAT.md describes them."""
    own = {"version", "producer", "digest"} if not path else set()
    out = [line(path + name, group.attrs[name]) for name in group.attrs.keys() - own]
    for name, member in group.items():
        out += lines(member, f"{path}{name}/") if isinstance(member, h5py.Group) else [line(path + name, member[()])]
    return out


def line(path: str, value: Any) -> str:
    if isinstance(value, bytes):
        return f"{path} text - {hashlib.sha256(value).hexdigest()}\n"
    sides = ",".join(map(str, value.shape)) or "-"
    return f"{path} {value.dtype.name} {sides} {hashlib.sha256(value.tobytes()).hexdigest()}\n"


@pytest.mark.parametrize("kind", range(5))
def test_a_file_states_the_digest_of_what_is_in_it(kind: int, tmp_path: Path) -> None:
    value = values()[kind]
    ns.save(value, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        found = hashlib.sha256("".join(sorted(lines(file))).encode()).hexdigest()
    assert found == ns.file_digest(tmp_path / "a.h5") == ns.digest(value) == ns.digest(ns.load(tmp_path / "a.h5"))


def test_it_is_the_same_next_year() -> None:
    """A constant: two parties, and two versions of neurosam, have to agree."""
    assert ns.digest(network()) == "f0d450121c3269a2b3548b4fba2ee642745bcd9dee5c5cbe0a4d7a6dffadc143"


def test_equal_networks_and_only_they_have_the_same() -> None:
    assert ns.digest(network()) == ns.digest(network())
    weights = ns.Projection("in", "a", ns.Dense(np.array([[64, 3], [9, 71]])))
    for other in (
        network(metadata={}),
        network(projections=[weights, network().projections[1]]),
        network(projections=network().projections[::-1]),
        network(outputs={"out": "mean"}),
        network().with_sam(),
    ):
        assert other != network()
        assert ns.digest(other) != ns.digest(network())


def test_the_layout_of_the_file_does_not_matter(tmp_path: Path) -> None:
    """The same content, copied by h5py in another layout, with other chunks of metadata and names in another order."""
    network().save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as old, h5py.File(tmp_path / "b.h5", "w") as new:
        for name in reversed(list(old)):
            old.copy(name, new)
        for name, value in reversed(list(old.attrs.items())):
            new.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value
    assert (tmp_path / "a.h5").read_bytes()[8] == 2
    assert (tmp_path / "b.h5").read_bytes()[8] == 0
    assert ns.load(tmp_path / "b.h5") == network()


@pytest.mark.parametrize("kind", range(5))
def test_a_flipped_bit_of_the_values_is_noticed(kind: int, tmp_path: Path) -> None:
    """Each byte of the largest array, one bit at a time: never another value in silence."""
    path = tmp_path / "a.h5"
    ns.save(values()[kind], path)
    arrays: list[tuple[int, int]] = []

    def collect(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size and item.id.get_offset():
            arrays.append((item.id.get_storage_size(), item.id.get_offset()))

    with h5py.File(path) as file:
        file.visititems(collect)
    whole = path.read_bytes()
    size, start = max(arrays)
    for i in range(0, size, max(1, size // 12)):
        octets = bytearray(whole)
        octets[start + i] ^= 1 << (i % 8)
        path.write_bytes(octets)
        with pytest.raises(
            FormatError, match=r"is not what was saved: its content has the digest|is not a valid|metadata is"
        ):
            ns.load(path)


def test_a_recording_that_was_streamed_states_it_too(tmp_path: Path) -> None:
    """Values reach the file beside HDF5: they are read back from it."""
    whole = recording()
    with stream_recording(tmp_path / "s.h5", network(), ns.Record.everything(network()), 6, 3) as stream:
        for first, end in ((1, 3), (0, 1)):
            part = ns.run(network(), events().select(first, end), "reference", ns.Record.everything(network()))
            stream.put(part, first)
        stream.finish(whole)
    loaded = ns.load_recording(tmp_path / "s.h5")
    assert loaded.same_as(whole)
    assert ns.digest(loaded) == ns.file_digest(tmp_path / "s.h5") == ns.digest(whole)


def test_a_mapped_recording_is_not_checked_and_can_be(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    recording().save(path)
    mapped = ns.load_recording(path, mapped=True)
    assert ns.digest(mapped) == ns.file_digest(path)
    with h5py.File(path, "r+") as file:
        file["membrane/0/value"][0, 0, 0] += 1
    changed = ns.load_recording(path, mapped=True)
    assert ns.digest(changed) != ns.file_digest(path)
    with pytest.raises(FormatError, match="is not what was saved"):
        ns.load_recording(path)


@pytest.mark.parametrize("stated", [b"", b"x", b"\x1b[31m", b"0" * 64])
def test_a_digest_that_is_none_is_refused(stated: bytes, tmp_path: Path) -> None:
    network().save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["digest"] = np.bytes_(stated or b"\0")
    with pytest.raises(FormatError, match="is not what was saved") as caught:
        ns.load(tmp_path / "a.h5")
    assert "\x1b" not in str(caught.value)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file.attrs["digest"]
    with pytest.raises(FormatError, match="lacks the attribute 'digest'"):
        ns.load(tmp_path / "a.h5")


def test_files_of_earlier_versions_have_none() -> None:
    for folder in ("lava-chain", "options-fixed", "pooled-fixed"):
        path = GOLDEN / folder / "network.h5"
        assert ns.file_digest(path) is None
        assert len(ns.digest(ns.load_network(path))) == 64


def test_a_golden_file_of_version_4() -> None:
    path = GOLDEN / "digest" / "network.h5"
    assert ns.load_network(path) == network()
    assert ns.file_digest(path) == ns.digest(network())


def test_what_cannot_be_saved_has_no_digest() -> None:
    unfit: Any = {"a": 1}
    with pytest.raises(FormatError, match="digest: got dict to save"):
        ns.digest(unfit)
    with pytest.raises(FormatError, match=r"digest: .*has 5000 bytes"):
        ns.digest(replace(recording(), backend="b" * 5000))


def test_every_line_says_path_type_shape_and_hash() -> None:
    manifest = Manifest()
    write_record(manifest, network())
    by_path = dict(item.split(" ", 1) for item in manifest.lines)
    assert by_path["projections/0/synapse/weight"].startswith("int8 2,2 ")
    assert by_path["populations/1/neuron/threshold"].startswith("int32 - ")
    assert by_path["populations/1/neuron/reset"] == f"text - {hashlib.sha256(b'zero').hexdigest()}\n"
    assert by_path["populations/1/shape"].startswith("int64 1 ")
