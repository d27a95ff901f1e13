"""The base classes of attribution methods: their call, checks of input and target, and running a module unchanged.

A method restores the training mode of the module and does not touch the gradients of its parameters. The output of a
module is the logits ``[B, K]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.errors import NeurosamError
from neurosam.signals.answer import NO_ANSWER, predicted
from neurosam.training import SpikingSequential

__all__ = ["InputMethod", "Maps", "Method", "Target", "evaluating", "logits", "prepared", "resolve", "selected"]

Maps: TypeAlias = npt.NDArray[np.float64]
Target: TypeAlias = int | Sequence[int] | npt.NDArray[Any] | Tensor | None


class Method(ABC):
    """Explains the output of a module by maps.

    Parameters
    ----------
    module : nn.Module
        A :class:`~neurosam.training.SpikingSequential`, or an ANN ``[B, C, H, W]`` to ``[B, K]``.
    """

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise NeurosamError(
                type(self).__name__, f"got {type(module).__name__}; a torch module is required (for a Network, see SAM)"
            )
        self.module = module

    def attribute(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> Maps:
        """Raw maps.

        Parameters
        ----------
        x : (T, B, C, H, W) or (B, C, H, W) tensor or array
            Moved to the module's device and dtype.
        target : int, (B,) ints, or None
            Class whose logit is explained; if None the predicted one, which every sample then needs to have.

        Returns
        -------
        float64 array
            Its shape is documented at the class.

        Raises
        ------
        NeurosamError
            If the input has another shape, a target is out of range, or the method cannot handle the module or layer.
        """
        tensor = prepared(type(self).__name__, self.module, x)
        with evaluating(self.module):
            maps = self._maps(tensor, resolve(self.module, tensor, target))
        return np.asarray(maps.detach().cpu().numpy(), dtype=np.float64)

    @abstractmethod
    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        """Maps of a prepared input for resolved targets; the module is in evaluation mode."""


class InputMethod(Method):
    """Attributes to every input value; a map is the sum over channels, ``[T, B, H, W]`` or ``[B, H, W]``."""

    def scores(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> Maps:
        """Attribution of every input value, in the shape of `x`; maps are its sum over channels."""
        tensor = prepared(type(self).__name__, self.module, x)
        with evaluating(self.module):
            scores = self._scores(tensor, resolve(self.module, tensor, target))
        return np.asarray(scores.detach().cpu().numpy(), dtype=np.float64)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        return self._scores(x, target).sum(dim=-3)

    @abstractmethod
    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        """Attribution of every value of `x`, in its shape."""


def prepared(where: str, module: nn.Module, x: Tensor | npt.NDArray[Any]) -> Tensor:
    """The input as a detached tensor on the module's device and in its dtype."""
    tensor = torch.as_tensor(x)
    if tensor.ndim not in (4, 5) or not tensor.numel():
        raise NeurosamError(
            f"{where}: input",
            f"got shape {tuple(tensor.shape)}; non-empty [T, B, C, H, W] or [B, C, H, W] is required",
        )
    if tensor.ndim == 5 and not isinstance(module, SpikingSequential):
        raise NeurosamError(
            f"{where}: input", f"got shape {tuple(tensor.shape)} for {type(module).__name__}, which has no time; "
            "[B, C, H, W] is required, or a SpikingSequential",
        )  # fmt: skip
    like = next(module.parameters(), None)
    if like is None:
        return tensor.detach().to(torch.get_default_dtype())
    return tensor.detach().to(like.device, like.dtype)


def logits(module: nn.Module, x: Tensor) -> Tensor:
    """Output ``[B, K]`` of a module; for a SpikingSequential, images without time are one step."""
    output: Tensor = module(x[None]) if isinstance(module, SpikingSequential) and x.ndim == 4 else module(x)
    if output.ndim != 2 or output.shape[0] != x.shape[-4]:
        raise NeurosamError(
            "module", f"gives {tuple(output.shape)} for {x.shape[-4]} samples; [B, classes] is required"
        )
    return output


@torch.no_grad()
def resolve(module: nn.Module, x: Tensor, target: Target) -> Tensor:
    """One class per sample, int64 ``[B]``; the predicted ones if `target` is None.

    Raises
    ------
    NeurosamError
        If a class is out of range or not an integer, or the number of classes is not that of the samples.
    """
    output = logits(module, x)
    samples, classes = output.shape
    if target is None:
        answers = predicted(output.cpu().numpy())
        if (answers == NO_ANSWER).any():
            at = int(np.argmax(answers == NO_ANSWER))
            raise NeurosamError(
                "target", f"is needed: sample {at} has no answer; its outputs are the same for all classes"
            )
        return torch.from_numpy(answers).to(x.device)
    chosen = torch.as_tensor(target, device=x.device)
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise NeurosamError("target", f"got {chosen.dtype}; class numbers are integers")
    if chosen.ndim > 1 or (chosen.ndim == 1 and len(chosen) != samples):
        raise NeurosamError("target", f"got shape {tuple(chosen.shape)}; one class, or one each of {samples} samples")
    if int(chosen.min()) < 0 or int(chosen.max()) >= classes:
        bad = int(chosen.min()) if int(chosen.min()) < 0 else int(chosen.max())
        raise NeurosamError("target", f"got class {bad}; the {classes} outputs are numbered 0..{classes - 1}")
    return chosen.long().expand(samples)


def selected(module: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Logit of each sample's target, ``[B]``."""
    return logits(module, x).gather(1, target[:, None])[:, 0]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and afterwards every submodule back into the mode it was in."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, training in modes:
            submodule.training = training
