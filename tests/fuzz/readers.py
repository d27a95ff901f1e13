"""What is fuzzed: for each kind of file, seeds that the code makes, and the call that reads it.

A reader returns a digest of what it has read where the file itself states one, and None otherwise. So a changed file
that is read as something else than its seed is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

import neurosam as ns
from neurosam.data.folder import load_images
from neurosam.data.idx import read_idx
from neurosam.formats.content import identify
from neurosam.formats.events.read import read_events_file
from neurosam.formats.events.rules import EventRules
from neurosam.formats.netx import load_netx, save_netx
from neurosam.formats.nir import load_nir, save_nir
from neurosam.signals.stimulus import Stimulus
from neurosam.training import build
from neurosam.training.checkpoint import load_checkpoint, save_checkpoint
from neurosam.training.model_file import Recipe, load_model, save_model
from neurosam_hw.chips.read import read_chip
from neurosam_study.results import Result, load_result, save_result

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
        "hdf5", "json", "safetensors", "zip", "gzip" or "": how its parts are found (mutate.py).
    """

    suffix: str
    read: Callable[[Path], Any]
    layout: str = ""


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
    names = {
        "network": ["fixed.h5", "float.h5", "long.h5", "fixed-earliest.h5"], "recording": ["recording.h5"],
        "mapped": ["recording.h5"], "events": ["events.h5", "inputs.h5", "events-earliest.h5"], "state": ["state.h5"],
        "old": ["lava-chain.h5", "options-fixed.h5", "pooled-float.h5"], "netx": ["chain.net"], "nir": ["float.nir"],
        "content": ["float.nir", "chain.net", "events.h5"], "model": ["model.safetensors"],
        "checkpoint": ["checkpoint.safetensors"], "metadata": ["metadata.txt"], "npy": ["events.npy"],
        "npz": ["events.npz", "spikes.npz"], "csv": ["events.csv"], "idx": ["images"], "idx.gz": ["images.gz"],
        "png": ["picture.png"], "jpeg": ["picture.jpg"], "study": ["study.json"], "chip": ["chip.toml"],
    }  # fmt: skip
    return {kind: [at(name) for name in listed] for kind, listed in names.items()}


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
