"""A copy of a module that can be recorded: float64, in evaluation mode, on the CPU; the original stays as it is."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from neurosam.deploy.tracing.recording import tensors_in
from neurosam.errors import ExportError
from neurosam.training.neurons import Temporal
from neurosam.training.sequential import SpikingSequential, named_layers

__all__ = ["InOrder", "copied", "traceable"]


class InOrder(SpikingSequential):
    """A plain Sequential of our own neurons: layers act on each step, neurons on all of them."""


def traceable(module: nn.Module) -> nn.Module:
    """A float64 copy in evaluation mode, whose parameters can be read. Float32 values stay what they are.

    Raises
    ------
    ExportError
        If it holds parameters that have no values yet.
    """
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise ExportError(
                f"layer {name!r} ({type(part).__name__})" if name else "module",
                "is TorchScript, which cannot be looked into; export the Python module that it was made from",
            )
        if any(is_lazy(parameter) for parameter in part._parameters.values()):
            raise ExportError(
                f"layer {name!r} ({type(part).__name__})", "has no weights yet; run the module once on an input first"
            )
    out = _uncompiled(copied(module).cpu().double().eval())
    return _in_order(out) if isinstance(out, nn.Sequential) and _is_plain(out) and _has_own(out) else out


def copied(module: nn.Module) -> nn.Module:
    """A deep copy, of a module that was trained a moment ago as well, with all of its options.

    States that a training step left behind belong to a graph, which ``deepcopy`` refuses; and a class with a
    ``__deepcopy__`` of its own may forget options (Sinabs' ALIF forgets ``norm_input``).
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in tensors_in({key: v for key, v in vars(part).items() if key not in ("_parameters", "_modules")}):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    for part in reversed(list(module.modules())):
        if hasattr(type(part), "__deepcopy__") and id(part) not in memo:
            memo[id(part)] = twin = object.__new__(type(part))
            vars(twin).update(copy.deepcopy(vars(part), memo))
    out: nn.Module = copy.deepcopy(module, memo)
    return out


def _uncompiled(module: nn.Module) -> nn.Module:
    """Without the wrappers of torch.compile."""
    while isinstance(inner := module._modules.get("_orig_mod"), nn.Module):
        module = inner
    for name, child in module.named_children():
        module._modules[name] = _uncompiled(child)
    return module


def _in_order(module: nn.Sequential) -> SpikingSequential:
    out = SpikingSequential() if isinstance(module, SpikingSequential) else InOrder()
    for name, layer in named_layers(module):
        nested = isinstance(layer, nn.Sequential) and _is_plain(layer) and _has_own(layer)
        out.add_module(name, _in_order(layer) if isinstance(layer, nn.Sequential) and nested else layer)
    return out.eval()


def _is_plain(module: nn.Module) -> bool:
    """Whether its forward is that of a Sequential."""
    return type(module).forward in (nn.Sequential.forward, SpikingSequential.forward)


def _has_own(module: nn.Module) -> bool:
    return any(isinstance(part, Temporal) for part in module.modules())
