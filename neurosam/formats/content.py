"""What a file is, by its content and not by its name; nothing is unpickled, built or run for it.

HDF5        ours ("network", "recording", "events", ...), a registered format, "keras", or another ("hdf5")
zip         "torch" (with data.pkl), "torchscript" (with code/), "keras" (v3), "npz", or another ("zip")
pickle      "pickle": also what older versions of torch.save wrote
protobuf    "onnx"
others      "safetensors" and "model" (ours), "npy", "image", "camera", "python", "text", "empty", "unknown"
"""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

from neurosam._util.untrusted import MALFORMED
from neurosam.errors import FormatError
from neurosam.formats.registry import formats
from neurosam.hdf5.files import kind_of
from neurosam.hdf5.foreign import opened_foreign

__all__ = ["MODEL_KEY", "OURS", "identify"]

OURS = ("network", "recording", "events", "inputs", "state")
MODEL_KEY = "neurosam-model"
"""What the metadata of our models hold (training/model_file.py)."""

HEAD = 512
MAX_HEADER = 2**24
HDF5 = b"\x89HDF\r\n\x1a\n"
MAGIC = (
    (b"\x93NUMPY", "npy"), (b"\x89PNG\r\n\x1a\n", "image"), (b"\xff\xd8\xff", "image"), (b"GIF8", "image"),
    (b"P5\n", "image"), (b"P6\n", "image"), (b"#!AER-DAT", "camera"),
)  # fmt: skip
SUFFIXES = {
    ".pth": "torch", ".pt": "torch", ".ckpt": "torch", ".pkl": "pickle", ".pickle": "pickle", ".onnx": "onnx",
    ".bs2": "camera", ".dat": "camera", ".raw": "camera", ".aedat4": "camera", ".bin": "camera", ".csv": "camera",
    ".py": "python", ".keras": "keras",
}  # fmt: skip
"""What a file is taken for if its content does not say."""
PICKLE_PROTOCOLS = range(2, 6)


def identify(path: Path) -> str:
    """What a file is: the name of a format (registry.py), or a word of the table above.

    Raises
    ------
    FormatError
        If it is missing, a folder, not readable or a damaged HDF5 file.

    Examples
    --------
    >>> import torch
    >>> torch.save({"weight": torch.zeros(2)}, "weights.pth")
    >>> identify(Path("weights.pth"))
    'torch'
    """
    size, head = _beginning(path)
    if not size:
        return "empty"
    if head.startswith(HDF5):
        return _hdf5(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path)
    if _is_safetensors(size, head):  # before a pickle: a header of 1,152 bytes begins with the same two
        return "model" if _has_recipe(path) else "safetensors"
    if head[0] == 0x80 and head[1:2] and head[1] in PICKLE_PROTOCOLS:
        return "pickle"
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if _is_onnx(head):
        return "onnx"
    kind = SUFFIXES.get(path.suffix.lower(), "")
    return kind or ("text" if _is_text(head) else "unknown")


def _beginning(path: Path) -> tuple[int, bytes]:
    """Size of a regular file, and its first bytes."""
    where = str(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise FormatError(where, "is a folder; give the name of a file")
        if not stat.S_ISREG(status.st_mode):
            raise FormatError(where, "is not a regular file; copy its content to one first")
        with open(path, "rb") as file:
            return status.st_size, file.read(HEAD)
    except FileNotFoundError:
        raise FormatError(where, "does not exist; check the name") from None
    except (OSError, ValueError) as error:
        raise FormatError(where, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _hdf5(path: Path) -> str:
    with opened_foreign(path, "a file") as root:
        members, attributes = set(root.members()), set(root.attributes())
        if "format" in attributes:
            with suppress(FormatError):
                return kind_of(root)
    for known in formats():
        if known.recognises(path):
            return known.name
    if attributes & {"keras_version", "layer_names"} or members & {"model_weights", "_layer_checkpoint_dependencies"}:
        return "keras"
    return "hdf5"


def _zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return SUFFIXES.get(path.suffix.lower(), "zip")
    inside = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in inside:
        return "torchscript" if any("/code/" in name for name in names) else "torch"
    if "model.weights.h5" in inside:
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _is_safetensors(size: int, head: bytes) -> bool:
    """Eight bytes of length, then a JSON object."""
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] + 8 <= size


def _has_recipe(path: Path) -> bool:
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            return False
        try:
            header = json.loads(file.read(length))
        except MALFORMED:
            return False
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and MODEL_KEY in metadata


def _is_onnx(head: bytes) -> bool:
    """A ModelProto: ir_version (field 1), then the name of its producer (field 2) or the graph (field 7)."""
    if len(head) < 4 or head[0] != 0x08 or not 0 < head[1] < 64:
        return False
    producer = head[4 : 4 + head[3]]
    return head[2] == 0x3A or (head[2] == 0x12 and producer.isascii() and producer.decode("latin-1").isprintable())


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and b"\0" not in head
    return b"\0" not in head
