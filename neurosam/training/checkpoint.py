"""A training run after a finished epoch, in one safetensors file: weights, optimiser state, settings and measurements.

    module/<name>               parameters and buffers, named as in the state dict
    optimizer/<index>/<name>    optimiser state of the index-th parameter
    metadata "neurosam"         JSON: format (version), settings (of the run), epochs (measured so far)

The format holds numbers and text only, so that loading a file can run no code. A file is written under another name
beside its place and then renamed onto it: at any moment the place holds a whole checkpoint, the old or the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurosam._util.atomic_write import replacing
from neurosam.errors import DataError
from neurosam.training.history import Epoch

__all__ = ["load_checkpoint", "save_checkpoint"]

_FORMAT = 1


def save_checkpoint(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: list[Epoch],
) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : path
        Where; an existing file is replaced.
    settings : mapping of str to JSON values
        What :func:`load_checkpoint` will compare.
    module, optimizer
        Whose state to save.
    epochs : list of Epoch
        Those finished so far.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    tensors = {f"module/{name}": value for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    contiguous = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    about = {"format": _FORMAT, "settings": settings, "epochs": [asdict(epoch) for epoch in epochs]}
    try:
        with replacing(path) as beside:
            beside.write_bytes(save(contiguous, metadata={"neurosam": json.dumps(about)}))
    except (OSError, SafetensorError) as error:
        raise DataError(str(path), f"cannot write the checkpoint: {error}") from error


def load_checkpoint(
    path: str | os.PathLike[str], settings: Mapping[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer
) -> list[Epoch]:
    """Restore module and optimiser, if the file exists.

    Parameters
    ----------
    path : path
        Of a checkpoint.
    settings : mapping of str to JSON values
        Those of the run that wants to go on; all must be equal to the checkpoint's.
    module, optimizer
        Receive the state.

    Returns
    -------
    list of Epoch
        The finished ones; empty if there is no such file, and then nothing has changed.

    Raises
    ------
    DataError
        If the file is damaged, is no checkpoint, or belongs to another run. Nothing has changed then.
    """
    from safetensors import SafetensorError, safe_open

    place = Path(path)
    if not place.exists():
        return []
    try:
        with safe_open(place, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a method, not a mapping's
    except (OSError, SafetensorError) as error:
        raise DataError(
            str(place), f"no readable checkpoint ({error}); remove it, or start anew (resume=False; --force)"
        ) from error
    try:
        about = json.loads(metadata["neurosam"])
        version, found = about["format"], about["settings"]
        if version != _FORMAT:
            raise DataError(str(place), f"checkpoint of format {version!r}; this version reads {_FORMAT}")
        epochs = [Epoch(**epoch) for epoch in about["epochs"]]
        _require_equal(place, found, json.loads(json.dumps(settings)))
        weights = {name.removeprefix("module/"): t for name, t in tensors.items() if name.startswith("module/")}
        state = _optimizer_state(tensors, optimizer)
        _require_shapes(place, weights, module)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(str(place), f"not a checkpoint of neurosam ({error!r}); give another path") from error
    module.load_state_dict(weights)
    optimizer.load_state_dict(state)
    return epochs


def _require_equal(place: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in {**wanted, **found}:
        theirs, ours = found.get(name), wanted.get(name)
        if theirs != ours:
            difference = "differs" if name == "architecture" else f"was {theirs}, is now {ours}"
            advice = "give another path, or start anew (resume=False; --force)"
            raise DataError(str(place), f"checkpoint of another run: {name} {difference}; {advice}")


def _require_shapes(place: Path, weights: dict[str, Tensor], module: nn.Module) -> None:
    found = {name: tuple(value.shape) for name, value in weights.items()}
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if found != wanted:
        raise DataError(str(place), "damaged checkpoint: its tensors do not fit the architecture it names; remove it")


def _optimizer_state(tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A state dict for the optimiser: its own groups, the file's tensors in the memory layout of their parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            parameter = parameters[int(index)]
            if value.ndim:  # the same layout takes the same path through torch's kernels, and rounds alike
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
