"""Named tensors and text in one safetensors file, which cannot hold code; files are written atomically.

The metadata have a digest of the content, ``neurosam-digest``: a SHA-256 of a line ``NAME TYPE SHAPE SHA256`` for each
tensor and ``NAME text - SHA256`` for each text, sorted (hdf5/manifest.py). A file without one is read too.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from neurosam._util.atomic_write import replacing
from neurosam.errors import DataError
from neurosam.hdf5.manifest import Manifest

__all__ = ["MAX_TENSORS", "read_tensors", "write_tensors"]

MAX_TENSORS = 2**14
"""Most tensors of a file: a VGG-16 with the state of its optimiser has some 300."""

_KEY = "neurosam-digest"


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors from any device; an existing file is replaced. Raises an OSError or SafetensorError."""
    from safetensors.torch import save

    contiguous = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as temporary:
        described = {**metadata, _KEY: _digest(contiguous, metadata)}
        temporary.write_bytes(_in_order(save(contiguous, metadata=described)))


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors (on the CPU) and metadata.

    Raises
    ------
    OSError, SafetensorError
        If the file is no safetensors file.
    DataError
        If it is a folder or a pipe, its content is not what was saved, or it has more tensors than any network.
    """
    from safetensors import safe_open

    if (place := Path(path)).exists() and not place.is_file():  # opening a pipe waits for ever
        raise DataError(str(path), "is not a regular file")
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        if (count := len(file.keys())) > MAX_TENSORS:
            raise DataError(str(path), f"has {count} tensors; at most {MAX_TENSORS} are read")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a method, not a mapping's
    stated = metadata.pop(_KEY, None)
    if stated is not None and stated != _digest(tensors, metadata):
        raise DataError(str(path), "is not what was saved: its digest differs. Copy it again from where it came")
    return tensors, metadata


def _in_order(octets: bytes) -> bytes:
    """The same file with its metadata in the order of their names, where safetensors writes them in any order."""
    (size,) = struct.unpack_from("<Q", octets)
    header = json.loads(octets[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + octets[8 + size :]


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    manifest = Manifest()
    for name, text in metadata.items():
        manifest.text(name, text)
    for name, value in tensors.items():
        octets = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        manifest.octets(name, str(value.dtype).removeprefix("torch."), tuple(value.shape), octets.data)
    return manifest.digest()
