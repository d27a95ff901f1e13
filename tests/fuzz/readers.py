"""What is fuzzed: for each kind of file, seeds that the code makes, and the call that reads it.

A reader returns a digest of what it has read where the file itself states one, and None otherwise. So a changed file
that is read as something else than its seed is noticed.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

import neurosam as ns
from neurosam.data.folder import load_images
from neurosam.data.idx import read_idx
from neurosam.data.sources import load
from neurosam.errors import NeurosamError
from neurosam.formats.content import identify
from neurosam.formats.events.read import read_events_file
from neurosam.formats.events.rules import EventRules
from neurosam.formats.frames import to_numpy
from neurosam.formats.netx import load_netx, save_netx
from neurosam.formats.nir import load_nir, save_nir
from neurosam.formats.recordings import read_recording
from neurosam.signals.stimulus import Stimulus
from neurosam.training import build
from neurosam.training.checkpoint import load_checkpoint, save_checkpoint
from neurosam.training.model_file import Recipe, load_model, save_model
from neurosam_hw.chips.read import read_chip
from neurosam_hw.mapping.file import load_mapping, save_mapping
from neurosam_study.results import Result, load_result, save_result
from support.mappings import mesh_chip, random_mapping

__all__ = ["KINDS", "Kind", "write_seeds"]

SHAPE = (2, 5, 4)
SETTINGS = {"seed": 1}


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    suffix : str
        Of its name.
    read : callable
        Takes the path; returns a digest, or None.
    layout : str
        "hdf5", "json", "safetensors", "zip", "gzip", "lines" or "": how its parts are found (mutate.py).
    share : int
        Of so many files one is of this kind, where reading one takes so much longer.
    """

    suffix: str
    read: Callable[[Path], Any]
    layout: str = ""
    share: int = 1


def _only(read: Callable[[Path], Any]) -> Callable[[Path], None]:
    """A reader of files that state no digest."""

    def call(path: Path) -> None:
        read(path)

    return call


def _load(path: Path) -> str:
    return ns.digest(ns.load(path))


def _mapped(path: Path) -> None:
    recording = ns.load_recording(path, mapped=True)
    for values in recording.membrane.values():
        np.asarray(values).sum()


def _metadata(path: Path) -> None:
    metadata = _texts(path)
    Stimulus.from_metadata(metadata)
    EventRules.from_metadata(metadata)


def _texts(path: Path) -> dict[str, str]:
    """Lines ``key value``: no JSON, so that what is in a value reaches the readers of metadata."""
    lines = path.read_text("utf-8", errors="replace").split("\n")
    return {key: value for key, _, value in (line.partition(" ") for line in lines) if key}


def _checkpoint(path: Path) -> None:
    module = _module()
    load_checkpoint(path, SETTINGS, module, torch.optim.Adam(module.parameters()))


def _module() -> Any:
    return build("3C3-P2-D2", (1, 6, 6))


def _events(path: Path) -> None:
    read_events_file(path, SHAPE, EventRules(dt_us=1000))


def _study(path: Path) -> None:
    load_result(path.parent, path.stem, 1)


def _recording(path: Path) -> None:
    read_recording(path, _network(True))


def _mapping(path: Path) -> None:
    load_mapping(path, _network(True), mesh_chip())


def _folder(path: Path) -> None:
    """Lines ``name<tab>what``: what is a picture, a folder, a link (``->target``), octets (``=text``)."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "set"
        for line in path.read_bytes().split(b"\n")[:200]:
            _put(root, *line.partition(b"\t")[::2])
        faults = [_refusal(partial(load, root, part=part)) for part in (None, "train", "val", "test")]
        if faults[0] and all(faults):
            raise faults[0]


def _put(root: Path, name: bytes, what: bytes) -> None:
    """One new entry of a folder, if the system allows it and it does not lie outside."""
    try:
        place = root / os.fsdecode(name)
        parts = place.relative_to(root).parts
        inner = [root.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
        if ".." in parts or any(path.is_symlink() for path in inner) or os.path.lexists(place):
            return  # nothing is written through a link, or into a pipe
        place.parent.mkdir(parents=True, exist_ok=True)
        if what.startswith(b"->"):
            place.symlink_to(os.fsdecode(what[2:]))
        elif what == b"folder":
            place.mkdir(exist_ok=True)
        elif what == b"pipe":
            os.mkfifo(place)
        elif what in (b"picture", b"other"):
            place.write_bytes(_picture(what == b"other"))
        else:
            place.write_bytes(what.removeprefix(b"=").replace(b"|", b"\t").replace(b";", b"\n"))
    except (OSError, ValueError):
        pass


@cache
def _picture(other: bool) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (9, 7 if other else 8)).save(buffer, "PNG")
    return buffer.getvalue()


def _refusal(call: Callable[[], object]) -> NeurosamError | None:
    try:
        call()
    except NeurosamError as error:
        return error
    return None


KINDS: dict[str, Kind] = {
    "network": Kind(".h5", _load, "hdf5"),
    "recording": Kind(".h5", _load, "hdf5"),
    "mapped": Kind(".h5", _mapped, "hdf5"),
    "events": Kind(".h5", _load, "hdf5"),
    "state": Kind(".h5", _load, "hdf5"),
    "old": Kind(".h5", _only(ns.load), "hdf5"),
    "netx": Kind(".net", _only(load_netx), "hdf5"),
    "nir": Kind(".nir", _only(load_nir), "hdf5"),
    "content": Kind(".h5", _only(identify), "hdf5"),
    "model": Kind(".safetensors", _only(load_model), "safetensors"),
    "checkpoint": Kind(".safetensors", _checkpoint, "safetensors"),
    "metadata": Kind(".txt", _metadata, "json"),
    "npy": Kind(".npy", _events),
    "npz": Kind(".npz", _events, "zip"),
    "csv": Kind(".csv", _events),
    "idx": Kind("", lambda path: read_idx(path) is None),
    "idx.gz": Kind(".gz", lambda path: read_idx(path) is None, "gzip"),
    "png": Kind(".png", lambda path: load_images([path]) is None),
    "jpeg": Kind(".jpg", lambda path: load_images([path]) is None),
    "recording.csv": Kind(".csv", _recording, "json"),
    "recording.npz": Kind(".npz", _recording, "zip"),
    "mapping": Kind(".json", _mapping, "json"),
    "nmnist": Kind(".bin", _events),
    "aedat4": Kind(".aedat4", _events, share=50),
    "es": Kind(".es", _events, share=50),
    "dat": Kind(".dat", _events, share=50),
    "evt": Kind(".raw", _events, share=50),
    "folder": Kind(".txt", _folder, "lines"),
    "idx folder": Kind(".txt", _folder, "lines"),
    "study": Kind(".json", _study, "json"),
    "chip": Kind(".toml", _only(read_chip), "json"),
}


def write_seeds(folder: Path) -> dict[str, list[Path]]:
    """Write the files that mutations start from; by kind."""
    from PIL import Image

    rng = np.random.default_rng(0)
    fixed, floating = _network(True), _network(False)
    events = ns.Events.from_dense((rng.random((4, 2, 3)) < 0.5).astype(np.uint8))
    everything = ns.Record.everything(fixed)
    recording = ns.run(fixed, events, "reference", everything, keep_state=True)

    def at(name: str) -> Path:
        return folder / name

    fixed.save(at("fixed.h5"))
    floating.save(at("float.h5"))
    _long(12).save(at("long.h5"))
    recording.save(at("recording.h5"))
    events.save(at("events.h5"))
    ns.save({"left": events, "right": events}, at("inputs.h5"))
    if recording.state is not None:
        ns.save(recording.state, at("state.h5"))
    for name in ("fixed", "events"):
        _as_earliest(at(f"{name}.h5"), at(f"{name}-earliest.h5"))
    neuron = ns.FixedLIF(membrane_decay=410, threshold=64, reset="zero")
    chain = ns.Network(
        [ns.Population("in", (3,)), ns.Population("out", (2,), neuron)],
        [ns.Projection("in", "out", ns.Dense(np.array([[64, -32, 100], [0, 90, 2]])))],
    )
    save_netx(chain, at("chain.net"))
    save_nir(floating, at("float.nir"), dt=1e-3)
    golden = Path(__file__).parents[1] / "golden"
    for name in ("lava-chain", "options-fixed", "pooled-float"):
        at(f"{name}.h5").write_bytes((golden / name / "network.h5").read_bytes())
    recipe = Recipe("3C3-P2-D2", (1, 6, 6), Stimulus(5), seed=7)
    save_model(at("model.safetensors"), recipe.build(), recipe)
    module = _module()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2, 2, 1, 6, 6)).sum().backward()
    optimizer.step()
    save_checkpoint(at("checkpoint.safetensors"), SETTINGS, module, optimizer, [])
    rules = EventRules(dt_us=1000, crop="centre")
    at("metadata.txt").write_text("\n".join(f"{k} {v}" for k, v in {
        **Stimulus(5, "poisson_signed", (0.5,), (1.0,), ("a", "b"), "set").to_metadata(), **rules.to_metadata(),
    }.items()))  # fmt: skip
    columns = np.array([(0, 1, 1, 0), (1500, 2, 3, 1), (3000, 0, 0, 1)])
    records = np.array(list(map(tuple, columns)), dtype=[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    np.save(at("events.npy"), records)
    np.savez(at("events.npz"), t=columns[:, 0], x=columns[:, 1], y=columns[:, 2], p=columns[:, 3])
    np.savez_compressed(at("spikes.npz"), time=[0, 1], sample=[0, 0], neuron=[3, 1], steps=3, samples=1, shape=SHAPE)
    at("events.csv").write_text("t,x,y,p\n" + "".join(",".join(map(str, row)) + "\n" for row in columns.tolist()))
    idx = b"\0\0\x08\3" + np.array([2, 3, 4], ">u4").tobytes() + bytes(24)
    at("images").write_bytes(idx)
    import gzip

    at("images.gz").write_bytes(gzip.compress(idx))
    pixels = rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(at("picture.png"))
    Image.fromarray(pixels).save(at("picture.jpg"), progressive=True)
    save_result(folder, "study", 1, Result({"a": 1.0}, {"b": [1.0, 2.0]}, {"c": np.zeros(3)}, ("note",)))
    chip = Path(__file__).parents[2] / "hw" / "neurosam_hw" / "chips" / "example.toml"
    at("chip.toml").write_bytes(chip.read_bytes())
    spikes = recording.spikes["a"].dense().reshape(4, 2, -1)
    np.savez(at("recording.npz"), **to_numpy(recording))  # type: ignore[arg-type]  # allow_pickle is no array
    rows_only: dict[str, Any] = {"spikes.a": np.argwhere(spikes), "first_step": np.array(0)}
    np.savez(at("rows.npz"), **rows_only)
    rows = "".join(f"{t},{b},a,{n}\n" for t, b, n in np.argwhere(spikes))
    at("spikes.csv").write_text("step,sample,population,neuron\n" + rows)
    save_mapping(random_mapping(np.random.default_rng(2), fixed), at("map.json"))
    at("events.bin").write_bytes(bytes([3, 1, 0x80, 0, 0, 9, 240, 0, 0, 0, 2, 0, 5, 0xDC, 1]))
    _camera_files(folder, records)
    at("folders.txt").write_text(FOLDERS)
    at("boxes.txt").write_text(BOXES)
    at("idx.txt").write_bytes(_idx_folder())
    names = {
        "network": ["fixed.h5", "float.h5", "long.h5", "fixed-earliest.h5"], "recording": ["recording.h5"],
        "mapped": ["recording.h5"], "events": ["events.h5", "inputs.h5", "events-earliest.h5"], "state": ["state.h5"],
        "old": ["lava-chain.h5", "options-fixed.h5", "pooled-float.h5"], "netx": ["chain.net"], "nir": ["float.nir"],
        "content": ["float.nir", "chain.net", "events.h5"], "model": ["model.safetensors"],
        "checkpoint": ["checkpoint.safetensors"], "metadata": ["metadata.txt"], "npy": ["events.npy"],
        "npz": ["events.npz", "spikes.npz"], "csv": ["events.csv"], "idx": ["images"], "idx.gz": ["images.gz"],
        "recording.csv": ["spikes.csv"], "recording.npz": ["recording.npz", "rows.npz"], "mapping": ["map.json"],
        "nmnist": ["events.bin"], "aedat4": ["camera.aedat4"], "es": ["camera.es"], "dat": ["camera.dat"],
        "evt": ["camera.raw"], "folder": ["folders.txt", "boxes.txt"], "idx folder": ["idx.txt"],
        "png": ["picture.png"], "jpeg": ["picture.jpg"], "study": ["study.json"], "chip": ["chip.toml"],
    }  # fmt: skip
    return {kind: [at(name) for name in listed] for kind, listed in names.items()}


FOLDERS = """train/cat/a.png\tpicture
train/cat/b.png\tpicture
train/dog/images/a.png\tpicture
val/cat/c.png\tpicture
val/dog\tfolder
val/dog/d.png\tpicture
train/dog/images/.hidden\t=text
"""
BOXES = """wnids.txt\t=n01;n02;
words.txt\t=n01|goldfish, Carassius;n02|newt;
train/n01/images/n01_0.png\tpicture
train/n01/n01_boxes.txt\t=n01_0.png|0|1|8|7;
train/n02/images/n02_0.png\tpicture
train/n02/n02_boxes.txt\t=n02_0.png|2|2|3|3;
val/val_annotations.txt\t=v0.png|n01|0|0|4|4;v1.png|n02|1|1|8|7;
val/images/v0.png\tpicture
val/images/v1.png\tpicture
"""


def _idx_folder() -> bytes:
    """Images and labels of both parts; the bytes of IDX have to be text without tabs, |, ; and ends of lines."""
    images = b"\0\0\x08\3" + np.array([2, 3, 4], ">u4").tobytes() + bytes(range(65, 89))
    labels = b"\0\0\x08\1" + np.array([2], ">u4").tobytes() + b"\0\1"
    return b"".join(
        f"{part}-{what}-ubyte\t=".encode() + content + b"\n"
        for part in ("train", "t10k")
        for what, content in (("images-idx3", images), ("labels-idx1", labels))
    )


def _camera_files(folder: Path, records: Any) -> None:
    """The same events in each format that faery writes."""
    import faery

    for suffix in ("aedat4", "es", "dat", "raw"):
        events = np.zeros(len(records), faery.EVENTS_DTYPE)
        for name, other in (("t", "t"), ("x", "x"), ("y", "y"), ("on", "p")):
            events[name] = records[other]
        stream = faery.events_stream_from_array(events, dimensions=(SHAPE[2], SHAPE[1]))
        stream.to_file(folder / f"camera.{suffix}")


def _network(fixed: bool) -> ns.Network:
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> ns.Dense:
        whole = rng.integers(-40, 80, shape)
        return ns.Dense(whole if fixed else whole / 64)

    if not fixed:  # as NIR can say it
        return ns.Network(
            [ns.Population("in", (3,)), ns.Population("a", (2,), ns.LIF(0.9, 0.5, reset="zero"))],
            [ns.Projection("in", "a", weights(2, 3))],
        )
    return ns.Network(
        [
            ns.Population("in", (3,)),
            ns.Population("a", (2,), ns.FixedLIF(410, 40, bias_mantissa=np.array([1, -2]))),
            ns.Population("out", (2,), ns.FixedReadout()),
        ],
        [ns.Projection("in", "a", weights(2, 3)), ns.Projection("a", "out", weights(2, 2))],
        metadata=Stimulus(4).to_metadata(),
    ).with_sam()


def _long(count: int) -> ns.Network:
    """Many populations: their links lie in a heap."""
    one = ns.Dense(np.array([[1.0]]))
    names = [f"p{i}" for i in range(count)]
    populations = [ns.Population(name, (1,), ns.LIF(0.9, 1.0) if i else None) for i, name in enumerate(names)]
    return ns.Network(populations, [ns.Projection(a, b, one) for a, b in pairwise(names)])


def _as_earliest(old: Path, new: Path) -> None:
    """The same content in the layout of h5py's default."""
    with h5py.File(old) as source, h5py.File(new, "w") as target:
        for name in source:
            source.copy(name, target)
        for name, value in source.attrs.items():
            target.attrs[name] = np.bytes_(value) if isinstance(value, bytes) else value
