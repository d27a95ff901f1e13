"""What a file is goes by its content; nothing in it is run, and a forged one costs nothing."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import neurosam as ns
from neurosam.errors import FormatError
from neurosam.formats.content import MODEL_KEY, identify
from neurosam.formats.netx.write import save_netx
from neurosam.formats.registry import Format, find, formats
from neurosam.training import model_file
from support.netx import network


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (Path("sprung"),)


def onnx() -> bytes:
    """The first fields of what torch.onnx writes: ir_version 8, producer "pytorch"."""
    return b"\x08\x08\x12\x07pytorch\x1a\x052.0.0" + bytes(40)


def saved(path: Path, write: Callable[[Any], None]) -> None:
    with path.open("wb") as file:
        write(file)


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def hdf5(path: Path, fill: Callable[[Any], None]) -> None:
    with h5py.File(path, "w") as file:
        fill(file)


def keras(file: Any) -> None:
    file.attrs["keras_version"] = "2.15.0"
    file["model_weights/dense"] = np.zeros(2)


MAKE: dict[str, Callable[[Path], Any]] = {
    "network": lambda p: network().save(p),
    "events": lambda p: ns.Events.from_dense(np.ones((2, 1, 3))).save(p),
    "netx": lambda p: save_netx(network(), p),
    "keras": lambda p: hdf5(p, keras),
    "hdf5": lambda p: hdf5(p, lambda file: file.create_group("layer")),
    "torch": lambda p: torch.save({"w": torch.zeros(2), "trap": Trap()}, p),
    "torchscript": lambda p: zipped(p, "net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"),
    "pickle": lambda p: p.write_bytes(pickle.dumps(Trap())),
    "onnx": lambda p: p.write_bytes(onnx()),
    "npz": lambda p: saved(p, lambda file: np.savez(file, a=np.zeros(2))),
    "npy": lambda p: saved(p, lambda file: np.save(file, np.zeros(2))),
    "zip": lambda p: zipped(p, "readme"),
    "safetensors": lambda p: save_file({"w": torch.zeros(2)}, p),
    "model": lambda p: save_file({"w": torch.zeros(2)}, p, {"neurosam-model": "{}"}),
    "image": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20)),
    "camera": lambda p: p.write_bytes(b"#!AER-DAT4.0\r\n" + bytes(20)),
    "text": lambda p: p.write_text("a network, honestly"),
    "empty": lambda p: p.write_bytes(b""),
    "unknown": lambda p: p.write_bytes(b"\xfe\x00\x01" * 40),
}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("name", ["file", "file.h5", "file.npy"])
def test_content_decides(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    MAKE[kind](path)
    assert identify(path) == kind
    assert not (tmp_path / "sprung").exists()


def test_a_model_is_known_by_the_key_that_models_have() -> None:
    assert MODEL_KEY == model_file._KEY


def test_a_models_header_may_begin_as_a_pickle_does(tmp_path: Path) -> None:
    """Its length of 1,152 bytes is 80 04, and those are the first bytes of a pickle of protocol 4."""
    text = b'{"__metadata__":{"' + MODEL_KEY.encode() + b'":""}}'
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", 1152) + text.ljust(1152))
    assert identify(tmp_path / "m.safetensors") == "model"


def test_torchs_old_files_are_pickles(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert identify(tmp_path / "old.pt") == "pickle"


def test_a_name_decides_where_content_does_not(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    MAKE["torch"](whole)
    for name, content, kind in (
        ("cut.pth", whole.read_bytes()[:100], "torch"), ("net.onnx", b"\xfe\x00\x01", "onnx"),
        ("a.bs2", b"\xfe\x00\x01", "camera"), ("a.py", b"import torch", "python"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert identify(tmp_path / name) == kind


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "cut.net").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(30))
    for path, message in (
        (tmp_path, "is a folder"), (tmp_path / "none", "does not exist"), (Path("/dev/zero"), "is not a regular file"),
        (tmp_path / "cut.net", "is damaged|is truncated"),
    ):  # fmt: skip
        with pytest.raises(FormatError, match=message):
            identify(path)


def test_a_header_that_claims_everything_is_not_read(tmp_path: Path) -> None:
    """A safetensors header of 1 GiB in a sparse file."""
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**30) + b"{")
        file.truncate(2**30 + 8)
    assert identify(path) == "safetensors"


def test_formats_are_found_by_name() -> None:
    assert [known.name for known in formats()][:4] == ["netx", "nir", "graphml", "json"]
    with pytest.raises(FormatError, match="got 'onnx'; netx, nir, graphml, json are written; ONNX has operators"):
        find("onnx")
    broken = Format("x", "X", ".x", recognise="no_such_module:f", load="no_such_module:f")
    assert not broken.recognises(Path("anything"))
