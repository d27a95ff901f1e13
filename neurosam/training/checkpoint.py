"""Checkpoints of a training run, each in one safetensors file: weights, optimiser state, settings and results.

    module/<name>               parameters and buffers, named as in the state dict
    optimizer/<index>/<name>    optimiser state of the index-th parameter
    metadata "neurosam"         JSON: format (version), settings (of the run), epochs (results so far)

The format holds only numbers and text, so loading a file cannot run code. A file is written under a temporary name in
the same folder and then renamed, so at any time there is a complete checkpoint, the old or the new one.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurosam._util.untrusted import MALFORMED
from neurosam.errors import DataError
from neurosam.training.history import Epoch
from neurosam.training.tensor_file import read_tensors, write_tensors

__all__ = ["finished_epochs", "load_checkpoint", "save_checkpoint"]

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
        An existing file is replaced.
    settings : mapping of str to JSON values
        Settings of the run, which :func:`load_checkpoint` compares with those of the resumed run.
    module, optimizer
        Their state is saved.
    epochs : list of Epoch
        Epochs finished so far.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from safetensors import SafetensorError

    tensors = {f"module/{name}": value for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    about = {"format": _FORMAT, "settings": settings, "epochs": [asdict(epoch) for epoch in epochs]}
    try:
        write_tensors(path, tensors, {"neurosam": json.dumps(about)})
    except (OSError, SafetensorError) as error:
        raise DataError(str(path), f"cannot write the checkpoint: {error}") from error


def load_checkpoint(
    path: str | os.PathLike[str], settings: Mapping[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer
) -> list[Epoch]:
    """Restore the state of module and optimiser if the file exists.

    Parameters
    ----------
    path : path
        File of the checkpoint.
    settings : mapping of str to JSON values
        Settings of the run to be resumed; all must equal those of the checkpoint.
    module, optimizer
        Their state is replaced.

    Returns
    -------
    list of Epoch
        The finished epochs; empty if there is no such file, in which case nothing is changed.

    Raises
    ------
    DataError
        If the file is damaged, is not a checkpoint, or belongs to another run; nothing is changed then.
    """
    from safetensors import SafetensorError

    place = Path(path)
    if not place.exists():
        return []
    try:
        tensors, metadata = read_tensors(place)
    except (OSError, SafetensorError) as error:
        raise DataError(
            str(place), f"not a readable checkpoint ({error}); remove it, or restart (resume=False; --force)"
        ) from error
    try:
        about = json.loads(metadata["neurosam"])
        version, saved_settings = about["format"], about["settings"]
        if version != _FORMAT:
            raise DataError(str(place), f"is a checkpoint of format {version!r}; this version reads {_FORMAT}")
        epochs = [Epoch(**epoch) for epoch in about["epochs"]]
        _require_equal(place, saved_settings, json.loads(json.dumps(settings)))
        weights = {name.removeprefix("module/"): t for name, t in tensors.items() if name.startswith("module/")}
        state = _optimizer_state(tensors, optimizer)
        _require_shapes(place, weights, module)
        _require_state(place, state["state"], optimizer)
    except MALFORMED as error:
        raise DataError(str(place), f"is not a checkpoint of neurosam ({error!r}); give another path") from error
    before = copy.deepcopy((module.state_dict(), optimizer.state_dict()))
    try:
        module.load_state_dict(weights)
        optimizer.load_state_dict(state)
    except (*MALFORMED, RuntimeError) as error:
        module.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])
        raise DataError(str(place), f"is not a checkpoint of neurosam ({error!r:.200}); give another path") from error
    return epochs


def finished_epochs(path: str | os.PathLike[str]) -> int:
    """The number of epochs that a checkpoint has.

    Raises
    ------
    DataError
        If the file is damaged, or is not a checkpoint.
    """
    from safetensors import SafetensorError

    try:
        return len(json.loads(read_tensors(Path(path))[1]["neurosam"])["epochs"])
    except (OSError, SafetensorError, *MALFORMED) as error:
        raise DataError(str(path), f"is not a readable checkpoint ({error!r:.200}); remove it") from error


def _require_equal(place: Path, saved: dict[str, Any], current: dict[str, Any]) -> None:
    for name in {**current, **saved}:
        if saved.get(name) != current.get(name):
            values = f"was {saved.get(name)}, is now {current.get(name)}"
            difference = "differs" if name == "architecture" else values
            advice = "give another path, or restart (resume=False; --force)"
            raise DataError(str(place), f"checkpoint of another run: {name} {difference}; {advice}")


def _require_shapes(place: Path, weights: dict[str, Tensor], module: nn.Module) -> None:
    saved = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if saved != expected:
        raise DataError(str(place), "damaged checkpoint: its tensors do not match its architecture; remove it")


def _require_state(place: Path, state: dict[int, dict[str, Tensor]], optimizer: torch.optim.Optimizer) -> None:
    """Of each parameter, the tensors that the optimiser makes in a step, which is the only one to know them."""
    trial = copy.deepcopy(optimizer)
    for group in trial.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()
    expected = {i: _shapes(tensors) for i, tensors in trial.state_dict()["state"].items()}
    if any(_shapes(tensors) != expected.get(i) for i, tensors in state.items()):
        raise DataError(str(place), "damaged checkpoint: its tensors do not match its optimiser; remove it")


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items() if isinstance(value, Tensor)}


def _optimizer_state(tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A state dict for the optimiser: its own groups, and the saved tensors in the memory layout of the parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            parameter = parameters[int(index)]
            if value.ndim:  # with the same layout, torch uses the same kernels and rounds identically
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
