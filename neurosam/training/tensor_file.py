"""Named tensors and text in one safetensors file, which cannot hold code; files are written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torch import Tensor

from neurosam._util.atomic_write import replacing

__all__ = ["read_tensors", "write_tensors"]


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors from any device; an existing file is replaced. Raises an OSError or SafetensorError."""
    from safetensors.torch import save

    contiguous = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(contiguous, metadata=dict(metadata)))


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors (on the CPU) and metadata. Raises an OSError or SafetensorError."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a method, not a mapping's
    return tensors, metadata
