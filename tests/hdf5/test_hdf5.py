"""Files of networks, recordings and events: what is saved comes back, and invalid files are refused."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosam import __version__, hdf5
from neurosam._util.arguments import identical
from neurosam.errors import FormatError
from neurosam.hdf5 import (
    file_kind,
    load_events,
    load_network,
    load_recording,
    save,
)
from neurosam.hdf5.reader import MAX_MEMBERS, MAX_TEXT
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, Sparse, SumPool2d
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, Spikes
from support.networks import KINDS, edge_case, random_case

TEXT = h5py.string_dtype("utf-8", 40)


def small(**changes: Any) -> Network:
    """A fixed-point network with a bit of everything."""
    neuron = FixedLIF(
        np.array([1, 2, 3]), 64, bias_mantissa=-5, gain=np.ones((4, 1), dtype=int), offset_64ths=np.eye(4, 3, dtype=int)
    )
    network = Network(
        (Population("in", (2, 4, 4)), Population("a", (3, 2, 2), neuron), Population("out", (5,), FixedReadout(3, 2))),
        (
            Projection("in", "a", Conv2d(np.arange(6).reshape(3, 2, 1, 1)), pool=SumPool2d(2), exponent=-3),
            Projection("a", "out", Dense(np.arange(-30, 30).reshape(5, 12))),
            Projection("a", "out", Sparse.from_dense(np.eye(5, 12, dtype=int)), delay=2),
        ),
        metadata={"classes": "zero, один, 二", "": '{"a": [1, "\\u0000"]}', "b/c": ""},
    ).with_sam(SamTrace(0.25, "official"))
    return replace(network, **changes)


def recording(steps: int = 3, samples: int = 2) -> Recording:
    rng = np.random.default_rng(5)
    shape = (steps, samples, 70, 2, 3)
    membrane = rng.integers(-99, 99, shape)
    return Recording(
        "event", steps, samples, rng.normal(size=(samples, 10)),
        spikes={"z": Spikes.from_dense(rng.random(shape) < 0.5), "a": Spikes.from_dense(np.ones((steps, samples, 64)))},
        sam={"z": rng.integers(0, 99, (steps, samples, 2, 3)).astype(np.int32)}, sam_scale={"z": 64.0},
        membrane={"z": membrane.astype(np.int32), "a": rng.normal(size=(steps, samples, 64))},
        current={"z": membrane.astype(np.float32)}, counts={"z": membrane[:, :, 0, 0, 0]},
        operations={"in->z": 2**40, "z->a": 0}, time_s=0.25,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A valid file, to be damaged."""
    path = tmp_path / "network.h5"
    save(small(), path)
    return path


# --- round trips ---


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_and_events_return_bit_for_bit(kind: str, fixed: bool, tmp_path: Path) -> None:
    for seed in range(6):
        network, events = random_case(np.random.default_rng(seed), kind, fixed=fixed)
        save(network, tmp_path / "n.h5")
        save(events, tmp_path / "e.h5")
        assert load_network(tmp_path / "n.h5") == network
        assert identical(load_events(tmp_path / "e.h5"), events)


def test_networks_at_the_limits_return_bit_for_bit(tmp_path: Path) -> None:
    for seed in range(5):
        network, events = edge_case(np.random.default_rng(seed))
        save(network, tmp_path / "n.h5")
        save(events, tmp_path / "e.h5")
        assert load_network(tmp_path / "n.h5") == network
        assert identical(load_events(tmp_path / "e.h5"), events)


@pytest.mark.parametrize("gamma", [0.0, 1e-300, 0.1, np.nextafter(0.5, 1)])
def test_floats_keep_every_bit(gamma: float, tmp_path: Path) -> None:
    weight = np.array([[np.nextafter(1, 2), -0.0, 5e-324], [1e308, 0.1, 1 / 3]])
    neuron = LIF(np.array([np.nextafter(1, 0), 0.1]), 1 / 3, "zero", current_leak=0.7)
    network = Network(
        (Population("in", (3,)), Population("a", (2,), neuron), Population("out", (1,), Readout(np.pi))),
        (Projection("in", "a", Dense(weight)), Projection("a", "out", Dense(np.ones((1, 2), dtype=np.float32)))),
        {"a": SamTrace(gamma, "inclusive")},
    )
    save(network, tmp_path / "n.h5")
    assert load_network(tmp_path / "n.h5") == network


def test_order_metadata_and_precision_return(tmp_path: Path) -> None:
    populations = (
        Population("in", (2,)), Population("z", (2,), FixedLIF(0, 1)), Population("a", (2,), FixedLIF(0, 1), onset=1),
    )  # fmt: skip
    network = Network(
        populations,
        (Projection("in", "z", Sparse.one_to_one((2,), 1)), Projection("z", "a", Sparse.one_to_one((2,), 2))),
        precision=Precision("mine", 5, 0, 1), outputs="z", metadata={"z": "1", "a": "2"},
    ).with_sam(populations=["a", "z"])  # fmt: skip
    network.save(tmp_path / "n.h5")
    found = load_network(str(tmp_path / "n.h5"))
    assert found == network
    assert (list(found.sam), list(found.metadata), found.output) == (["a", "z"], ["z", "a"], "z")


@settings(max_examples=20)
@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_any_metadata_return(metadata: dict[str, str]) -> None:
    field = hdf5.schema.RECORDS[Network]["metadata"]
    with h5py.File(io.BytesIO(), "w") as root:
        field.write(hdf5.writer.Writer(root), "metadata", metadata)
        reader = hdf5.reader.Reader(root["/"].id, "memory", "", hdf5.reader._File(2**20))
        assert list(field.read(reader, "metadata").items()) == list(metadata.items())


@pytest.mark.parametrize(("steps", "samples"), [(3, 2), (1, 1), (4, 0)])
def test_recordings_return_bit_for_bit(steps: int, samples: int, tmp_path: Path) -> None:
    made = recording(steps, samples)
    made.save(tmp_path / "r.h5")
    assert identical(load_recording(tmp_path / "r.h5"), made)
    assert made.same_as(load_recording(tmp_path / "r.h5"))


@pytest.mark.parametrize(
    "x", [np.zeros((2, 3, 4)), np.full((2, 1, 4), -3), np.full((1, 2, 1, 2, 2), 0.1), np.zeros((1, 0, 4))]
)
def test_events_return_bit_for_bit(x: np.ndarray[Any, Any], tmp_path: Path) -> None:
    events = Events.from_dense(x)
    save(events, tmp_path / "e.h5")
    assert identical(load_events(tmp_path / "e.h5"), events)


def test_no_samples_return(tmp_path: Path) -> None:
    none = np.zeros(0, dtype=np.int32)
    events = Events(none, none, none, 3, 0, (4,), np.zeros(0))
    save(events, tmp_path / "e.h5")
    assert identical(load_events(tmp_path / "e.h5"), events)


def test_same_network_same_bytes(tmp_path: Path) -> None:
    save(small(), tmp_path / "a")
    save(load_network(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_integers_are_stored_as_integers(file: Path) -> None:
    with h5py.File(file) as root:
        types = {root["projections/0/synapse/weight"].dtype: "i1", root["sam/0/value/table"].dtype: "<i4"}
        types[root["populations/1/neuron/gain"].dtype] = "<i2"
        assert all(found == np.dtype(wanted) for found, wanted in types.items())
        assert root.attrs["producer"].decode() == f"neurosam {__version__}"


def test_kind_is_reported(file: Path, tmp_path: Path) -> None:
    save(recording(), tmp_path / "r.h5")
    save(Events.from_dense(np.eye(3)[None]), tmp_path / "e.h5")
    assert [file_kind(path) for path in (file, tmp_path / "r.h5", tmp_path / "e.h5")] == [
        "network",
        "recording",
        "events",
    ]
    refused(file, "holds a network, not a recording; use .*load_network", load_recording)
    refused(tmp_path / "r.h5", "holds a recording, not a network; use .*load_recording")


# --- invalid files ---


def refused(path: Path, match: str, load: Callable[[Path], Any] = load_network) -> None:
    """The file is refused with its name and the reason, and is closed."""
    with pytest.raises(FormatError, match=match) as caught:
        load(path)
    assert caught.value.where == str(path)
    assert not h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)


@contextmanager
def unprivileged() -> Any:
    """Run without the permissions of root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_paths_that_are_no_files(file: Path, tmp_path: Path) -> None:
    refused(tmp_path / "absent", "does not exist")
    refused(tmp_path, "is a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a regular file")
    refused(Path("a\0b"), "cannot be read")
    file.chmod(0)
    with unprivileged():
        refused(file, "cannot be read: Permission denied")


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(b"")
    refused(path, "is empty")
    path.write_bytes(b"PK\3\4 not HDF5 at all")
    refused(path, "is not an HDF5 file")
    for name, value in ((None, None), ("format", "nir"), ("format", np.bytes_("neurosam-picture")), ("format", 3)):
        with h5py.File(path, "w") as root:
            root["populations"] = [1]
            if name:
                root.attrs[name] = value
        refused(path, "not one of neurosam's")
        refused(path, "not one of neurosam's", file_kind)


def test_newer_version(file: Path) -> None:
    with h5py.File(file, "r+") as root:
        root.attrs["version"] = np.int64(5)
        root.attrs["producer"] = np.array(b"neurosam 9.1", dtype=TEXT)
        root["populations/1"].attrs["novelty"] = 1
    refused(file, r"version 5 .*neurosam 9\.1.*reads versions 1 to 4\. Upgrade")
    assert file_kind(file) == "network"


def put(path: str, value: Any, **options: Any) -> Callable[[Any], None]:
    """Damage to a file: another value of a member."""

    def damage(root: Any) -> None:
        if path in root:
            del root[path]
        if isinstance(value, (h5py.SoftLink, h5py.ExternalLink)):
            root[path] = value
        elif callable(value):
            value(root, path)
        else:
            root.create_dataset(path, data=value, **options)

    return damage


def mark(path: str, name: str, value: Any, dtype: Any = None) -> Callable[[Any], None]:
    """Damage to a file: another value of an attribute."""
    return lambda root: root[path].attrs.create(name, value, dtype=dtype)


def virtual(root: Any, path: str) -> None:
    layout = h5py.VirtualLayout((5, 12), "i1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "w", (5, 12))
    root.create_virtual_dataset(path, layout)


def shared(root: Any, path: str) -> None:
    """Many names for one large dataset."""
    root.create_dataset(path, data=np.ones((300, 300), dtype="i1"))
    for place in range(3, 30):
        root["projections"].create_group(str(place))
        for name, value in root["projections/1"].attrs.items():
            root[f"projections/{place}"].attrs.create(name, value)
        root[f"projections/{place}/synapse"] = root["projections/1/synapse"]


def crowd(root: Any, path: str) -> None:
    for place in range(MAX_MEMBERS + 1):
        root.create_group(f"{path}/{place}")


def loop(root: Any, path: str) -> None:
    root[path] = root["populations"]


def null(root: Any, path: str) -> None:
    root[path] = h5py.Empty("i1")


def array(root: Any, path: str) -> None:
    root.create_dataset(path, (5,), dtype=np.dtype("(12,)i1"))[...] = np.ones((5, 12), "i1")


def reference(root: Any, path: str) -> None:
    root.create_dataset(path, data=root.ref, dtype=h5py.ref_dtype)


def unallocated(shape: tuple[int, ...], **options: Any) -> Callable[[Any, str], None]:
    return lambda root, path: root.create_dataset(path, shape, "i1", **options)


def sparse_huge(root: Any, path: str) -> None:
    """10^12 bytes that the file really has, as a hole in it."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((10**6, 10**6))
    h5py.h5d.create(root.id, path.encode(), h5py.h5t.STD_I8LE, space, plan)


W = "projections/1/synapse/weight"
TABLE = "populations/1/neuron/gain"
HOSTILE = {
    "external link": (put(W, h5py.ExternalLink("/etc/passwd", "/x")), f"{W} is a soft or external link"),
    "soft link": (put(W, h5py.SoftLink("/projections/0/synapse/weight")), f"{W} is a soft or external link"),
    "dangling link": (put(W, h5py.SoftLink("/nowhere")), "is a soft or external link"),
    "link to a group": (put("projections", h5py.SoftLink("/sam")), "projections is a soft or external link"),
    "external storage": (put(W, np.ones((5, 12), "i1"), external=[("beside.bin", 0, 60)]), "in another file"),
    "virtual": (put(W, virtual), "virtual"),
    "bomb": (put(W, np.zeros((5000, 5000), "i1"), compression="gzip"), "chunked, filtered"),
    "chunked": (put(W, np.zeros((5, 12), "i1"), chunks=(5, 12)), "chunked"),
    "huge, chunked, empty": (put(W, unallocated((10**6, 10**6), chunks=(1000, 1000))), "chunked"),
    "huge, unallocated": (put(W, unallocated((10**6, 10**6))), "declares 1000000000000 bytes .* 0 are allocated"),
    "unallocated": (put(W, unallocated((5, 12))), "declares 60 bytes .* 0 are allocated"),
    "shared": (put(W, shared), "declares 90000 bytes"),
    "object": (put(W, np.full((5, 12), "a", dtype=object), dtype=h5py.string_dtype()), "variable-length"),
    "reference": (put(W, reference), "64-bit reference type"),
    "compound": (put(W, np.zeros((5, 12), "i1,i1")), "compound"),
    "array": (put(W, array), "96-bit array type"),
    "enum": (put(W, np.ones((5, 12), bool)), "enum"),
    "float32": (put(W, np.ones((5, 12), "f4")), "32-bit floating-point type; int8 or float64"),
    "big-endian": (put(W, np.ones((5, 12), ">f8")), "little-endian"),
    "unsigned": (put(W, np.ones((5, 12), "u1")), "8-bit integer"),
    "rank": (put(W, np.ones(60, "i1")), r"shape \(60,\); 2 dimension"),
    "null": (put(W, null), "has no value"),
    "group for dataset": (put(W, lambda root, path: root.create_group(path)), "is not a dataset"),
    "dataset for group": (put("projections/0/synapse", [1]), "is not a group"),
    "type for dataset": (put(W, lambda root, path: root.__setitem__(path, np.dtype("i1"))), "is not a dataset"),
    "loop": (put("populations/0/neuron", loop), r"is damaged at .* \(groups that contain each other\)"),
    "crowd": (put("sam", crowd), f"sam has {MAX_MEMBERS + 1} members; at most {MAX_MEMBERS}"),
    "gap": (lambda root: root.move("projections/0", "projections/7"), r"unknown member\(s\) '7'"),
    "missing group": (lambda root: root.pop("projections"), "lacks the member 'projections'"),
    "missing dataset": (lambda root: root.pop(W), "projections/1/synapse lacks the member 'weight'"),
    "missing attribute": (lambda root: root["populations/0"].attrs.pop("name"), "lacks the attribute 'name'"),
    "unknown member": (put("projections/0/plasticity", [1]), r"projections/0 has the unknown member\(s\) 'plasticity'"),
    "unknown attribute": (mark("populations/1", "colour", 1), r"unknown attribute\(s\) 'colour'"),
    "unknown type": (mark("populations/1/neuron", "type", b"Izhikevich", TEXT), "type 'Izhikevich'; known here are"),
    "wrong type": (mark("populations/1/neuron", "type", b"FixedReadout", TEXT), "unknown attribute"),
    "vlen text": (mark("populations/1", "name", "a", h5py.string_dtype()), "variable-length string"),
    "long text": (mark("populations/1", "name", np.bytes_(b"a" * (MAX_TEXT + 1))), f"at most {MAX_TEXT} bytes"),
    "number for text": (mark("populations/1", "name", 3), "64-bit integer type; a fixed-length string"),
    "not UTF-8": (mark("populations/1", "name", np.bytes_(b"\xff\xfe")), "is not UTF-8"),
    "several texts": (mark("populations/1", "name", np.array([b"a", b"b"])), "dimension"),
    "version as text": (mark("/", "version", np.bytes_(b"1")), "version has a 1-byte string type"),
    "version 0": (mark("/", "version", 0), "version is 0"),
    "no producer": (lambda root: root.attrs.pop("producer"), "lacks the attribute 'producer'"),
    "shape": (mark("populations/1", "shape", [3, -2, -2]), "got -2; allowed is 1"),
    "rank of shape": (mark("populations/1", "shape", [3, 4]), "got 2 numbers; 1 or 3"),
    "names": (mark("sam/0", "name", b"nobody", TEXT), "'nobody'.*is not in the network"),
    "range": (put("populations/1/neuron/threshold", np.int32(-1)), "neuron is not a valid FixedLIF: .*threshold: got"),
    "table": (put(TABLE, np.ones((0, 1), "<i2")), "gain/offset"),
    "graph": (mark("projections/1", "source", b"out", TEXT), "not a valid Network: projection out->out: starts at"),
    "not JSON": (put("metadata", np.bytes_(b"{oops")), "metadata is not a JSON object"),
    "nested JSON": (put("metadata", np.bytes_(b'{"a": {"b": "c"}}')), "metadata is not a JSON object"),
    "deep JSON": (put("metadata", np.bytes_(b'{"a":' * 100_000)), "metadata is not a JSON object"),
    "twice in JSON": (put("metadata", np.bytes_(b'{"a": "1", "a": "2"}')), "metadata is not a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_hostile_files_are_refused(case: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    spoil, match = HOSTILE[case]
    with h5py.File(file, "r+") as root:
        spoil(root)
    refused(file, match)


def test_names_of_a_mapping_differ(tmp_path: Path) -> None:
    save(recording(), tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "r+") as root:
        root["spikes/1"].attrs["name"] = root["spikes/0"].attrs["name"]
    refused(tmp_path / "r.h5", "'z', which an earlier entry has", load_recording)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"samples": 3}, "output has shape"),
        ({"steps": 4}, "sam of 'z' has shape"),
        ({"counts": {"z": np.zeros((2, 2), dtype=np.int64)}}, "counts of 'z'"),
        (
            {"spikes": {"z": Spikes(np.zeros((3, 2, 2, 3, 1), dtype=np.uint64), (70, 2, 3))}},
            "spikes of 'z' have planes",
        ),
        ({"spikes": {"z": Spikes(np.full((3, 2, 1, 1, 1), 2**5, dtype=np.uint64), (5,))}}, "beyond channel 4"),
    ],
)
def test_inconsistent_recordings_are_neither_written_nor_read(
    changes: Any, match: str, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "r.h5"
    with pytest.raises(FormatError, match=match):
        save(replace(recording(), **changes), path)
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(hdf5.files, "inconsistency", lambda _: None)
        save(replace(recording(), **changes), path)
    refused(path, match, load_recording)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("samples", -1), ("steps", 2)])
def test_impossible_events(name: str, value: int, tmp_path: Path) -> None:
    save(Events.from_dense(np.ones((3, 2, 4))), tmp_path / "e.h5")
    with h5py.File(tmp_path / "e.h5", "r+") as root:
        root.attrs[name] = value
    refused(tmp_path / "e.h5", "is not a valid Events", load_events)


# --- memory and crashes: in a separate process with a memory limit ---

DAMAGED = """
import resource, sys
import numpy as np
from neurosam.errors import FormatError
from neurosam.hdf5 import load_network
from neurosam.network import Network
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
path, good = sys.argv[1], bytearray(open(sys.argv[1], "rb").read()) if len(sys.argv) > 2 else b""
refused = 0
for seed in range(int(sys.argv[2]) if good else 1):
    if good:
        rng, data = np.random.default_rng(seed), bytearray(good)
        at, end = sorted(rng.integers(0, len(data), 2).tolist())
        if seed % 4 == 0:
            data = data[:at]
        elif seed % 4 == 1:
            data[at : min(end, at + 64)] = bytes([int(rng.choice([0, 255]))]) * (min(end, at + 64) - at)
        else:
            for place in rng.integers(0, len(data), rng.integers(1, 6)):
                data[place] = rng.integers(256) if seed % 4 == 2 else data[place] ^ 1 << int(rng.integers(8))
        with open(path, "wb") as file:
            file.write(data)
    try:
        assert isinstance(load_network(path), Network)
    except FormatError as error:
        assert error.where == path
        refused += 1
print(refused)
"""


def run_limited(*arguments: Any) -> int:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DAMAGED, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("make", [sparse_huge, unallocated((10**6, 10**6)), unallocated((2**31, 2**31), chunks=(8, 8))])
def test_huge_shapes_take_no_memory(make: Callable[[Any, str], None], file: Path) -> None:
    with h5py.File(file, "r+") as root:
        put(W, make)(root)
    assert run_limited(file) == 1


@pytest.mark.parametrize("layout", ["as written", "of old HDF5, without checksums"])
def test_damaged_bytes_are_refused_or_harmless(layout: str, file: Path) -> None:
    if layout != "as written":
        old = file.with_name("old.h5")
        with h5py.File(file) as source, h5py.File(old, "w", libver="earliest") as copy:
            for name in source:
                source.copy(name, copy)
            for name, value in source.attrs.items():
                copy.attrs.create(name, value, dtype=source.attrs.get_id(name).dtype)
        file = old
    assert load_network(file) == small()
    assert run_limited(file, 200) > 100


# --- writing ---


def unchanged(file: Path, before: bytes) -> None:
    """The old file is unchanged, and nothing else is in its folder."""
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


FULL_DISK = """
import resource, sys
from neurosam.errors import FormatError
from neurosam.hdf5 import load_network, save
network = load_network(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    save(network, sys.argv[1])
except FormatError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 100, 5000])
def test_full_disk_leaves_the_old_file(room: int, file: Path) -> None:
    before = file.read_bytes()
    assert len(before) > room
    arguments = [sys.executable, "-W", "error", "-c", FULL_DISK, str(file), str(room)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")  # no crash of HDF5 at exit
    assert done.stdout == f"{file}: could not be written: File too large. An older file there is unchanged\n"
    unchanged(file, before)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_late_failure_leaves_the_old_file(call: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = file.read_bytes()
    monkeypatch.setattr(os, call, full)
    with pytest.raises(FormatError, match="No space left"):
        save(small(metadata={}), file)
    unchanged(file, before)


def test_interruption_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = file.read_bytes()
    monkeypatch.setattr(hdf5.writer.Writer, "text_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(small(), file)
    unchanged(file, before)


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (small(precision=Precision("a\0b")), "NUL"),
        (small(precision=Precision("\ud800")), "not valid Unicode"),
        (small(precision=Precision("x" * (MAX_TEXT + 1))), f"at most {MAX_TEXT}"),
        (small(metadata={"log": "x" * 2**20}), "metadata has .* bytes; at most 1048576"),
        ("network", "got str to save; allowed are Network, Recording, Events"),
    ],
)
def test_what_a_file_cannot_hold(network: Any, match: str, file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(FormatError, match=match) as caught:
        save(network, file)
    assert caught.value.where == str(file)
    unchanged(file, before)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, match in (
        ("none/n.h5", "folder .* does not exist"),
        ("a\0b", "holds a NUL"),
        ("", "is a folder"),
        ("pipe", "is not a regular file"),
    ):
        with pytest.raises(FormatError, match=match):
            save(small(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with unprivileged(), pytest.raises(FormatError, match="Permission denied"):
        save(small(), locked / "n.h5")


def test_replacing_keeps_links_and_modes(file: Path) -> None:
    file.chmod(0o640)
    link = file.with_name("link.h5")
    link.symlink_to(file.name)
    save(small(metadata={}), link)
    assert link.is_symlink()
    assert load_network(file) == small(metadata={})
    assert file.stat().st_mode & 0o777 == 0o640
