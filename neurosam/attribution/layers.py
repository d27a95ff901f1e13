"""A layer of a module, by name or by itself, and its output in a run, ``[T, B, C, h, w]`` or ``[B, C, h, w]``.

A :class:`~neurosam.training.SpikingSequential` names the outputs of its layers itself. In any other module, the output
is taken by a forward hook. A layer that is called once for each of T steps gives T outputs ``[B, ...]``; one that is
called once for all gives ``[T, B, ...]`` or, with steps and samples in one axis, ``[T B, ...]``. Of several outputs
(spikes and membrane), the first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from neurosam.attribution.method import Forward, logits
from neurosam.errors import NeurosamError
from neurosam.training import SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["Layer", "LayerRun", "layer_name", "run_with_layer"]

Layer: TypeAlias = str | nn.Module


@dataclass(frozen=True, eq=False)
class LayerRun:
    """A run of a module in which the output of a layer was kept.

    Attributes
    ----------
    logits : (B, K) tensor
    calls : sequence of Tensor
        What the layer gave, call by call; part of the autograd graph.
    time : (int, int), optional
        T and B of an input with steps.
    """

    logits: Tensor
    calls: Sequence[Tensor]
    time: tuple[int, int] | None

    @property
    def output(self) -> Tensor:
        """The output of the layer, in time where the input has steps."""
        return self._joined(self.calls)

    def gradient(self, where: str, score: Tensor) -> Tensor:
        """Gradient of a scalar with respect to the output of the layer, in its shape."""
        if not score.requires_grad:
            raise NeurosamError(where, "has no influence on the output")
        found: Sequence[Tensor | None] = torch.autograd.grad(score, list(self.calls), allow_unused=True)
        if all(grad is None for grad in found):
            raise NeurosamError(where, "has no influence on the output")
        return self._joined([torch.zeros_like(x) if g is None else g for g, x in zip(found, self.calls, strict=True)])

    def _joined(self, calls: Sequence[Tensor]) -> Tensor:
        if len(calls) > 1:
            return torch.stack(list(calls))
        (x,) = calls
        if self.time is not None and x.shape[:2] != self.time and x.shape[0] == self.time[0] * self.time[1]:
            return x.reshape(*self.time, *x.shape[1:])
        return x


def layer_name(where: str, module: nn.Module, layer: Layer) -> str:
    """The name of a layer that is given by name or as a module; of a function's layer, the name of its class.

    Raises
    ------
    NeurosamError
        If the module has no such layer, or uses the given module twice.
    """
    if isinstance(module, SpikingSequential):
        layers = named_layers(module)
    else:
        layers = [(name, part) for name, part in module.named_modules(remove_duplicate=False) if name]
    if isinstance(layer, nn.Module):
        if isinstance(module, Forward):
            return type(layer).__name__
        found = [name for name, part in layers if part is layer]
        if len(found) > 1:
            raise NeurosamError(f"{where}: layer", f"is used as {' and '.join(map(repr, found))}; give one by name")
        if not found:
            raise NeurosamError(f"{where}: layer", f"the given {type(layer).__name__} is not in the module")
        return found[0]
    names = [name for name, _ in layers]
    if layer not in names:
        remedy = "a function has no names; give the layer as a module" if isinstance(module, Forward) else (
            f"is not in the module; it has {', '.join(names)}"
        )  # fmt: skip
        raise NeurosamError(f"{where}: layer {layer!r}", remedy)
    return layer


def run_with_layer(where: str, module: nn.Module, layer: Layer, x: Tensor) -> LayerRun:
    """Run a module on a prepared input and keep the output of a layer.

    Raises
    ------
    NeurosamError
        If the layer gives no tensor, is not used, or is used neither once nor once per step.
    """
    time = (x.shape[0], x.shape[1]) if x.ndim == 5 else None
    name = layer_name(where, module, layer)
    if isinstance(module, SpikingSequential) and time is not None:
        output, kept = module.activations(x, (name,))
        return LayerRun(output, (kept[name],), time)
    calls: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if not isinstance(first, Tensor):
            raise NeurosamError(f"{where}: layer {name!r}", f"gives {type(output).__name__}, not a tensor")
        calls.append(first)

    part = layer if isinstance(layer, nn.Module) else module.get_submodule(layer)
    handle = part.register_forward_hook(keep)
    try:
        output = logits(module, x)
    finally:
        handle.remove()
    allowed = (1,) if time is None else (1, time[0])
    if len(calls) not in allowed or len({call.shape for call in calls}) > 1:
        wanted = "once is required" if time is None else f"once, or once for each of {time[0]} steps, is required"
        raise NeurosamError(f"{where}: layer {name!r}", f"ran {len(calls)} times; {wanted}")
    return LayerRun(output, tuple(calls), time)
