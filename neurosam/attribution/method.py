"""The base classes of attribution methods: their call, checks of input and target, and running a module unchanged.

A module gives the logits ``[B, K]`` of an input ``[T, B, C, H, W]``, over whose steps it loops itself, or
``[B, C, H, W]``. It is any ``nn.Module``, or a function (:class:`Forward`): one that calls a module whose axes are in
another order, or that resets the state of its neurons first. A method restores the training mode of the module and does
not touch the gradients of its parameters.

A module that keeps its state between two calls gives other logits for the same input the second time. It is refused,
because what a method measures would then be the state that an earlier call has left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.errors import NeurosamError
from neurosam.signals.answer import answered
from neurosam.training import SpikingSequential

__all__ = [
    "Forward",
    "InputMethod",
    "Maps",
    "Method",
    "Model",
    "Target",
    "as_module",
    "evaluating",
    "has_time",
    "hooked",
    "logits",
    "per_channel",
    "prepared",
    "resolve",
    "selected",
]

Maps: TypeAlias = npt.NDArray[np.float64]
Target: TypeAlias = int | Sequence[int] | npt.NDArray[Any] | Tensor | None
Model: TypeAlias = nn.Module | Callable[[Tensor], Tensor]

_SAME = 1e-3
"""Relative difference that the logits of two calls may have (sums of a GPU in another order)."""


class Forward(nn.Module):
    """A function as a module: ``function(x)`` gives the logits ``[B, K]``.

    Its input keeps its own dtype and device. A method cannot see the modules that the function calls: it neither puts
    them in evaluation mode nor knows their layers by name; layers can be given as modules.

    Parameters
    ----------
    function : callable
        Tensor ``[T, B, C, H, W]`` or ``[B, C, H, W]`` to tensor ``[B, K]``.

    Examples
    --------
    A net of another framework that takes one step at a time:

    >>> import torch
    >>> from torch import nn
    >>> from neurosam.attribution import Saliency
    >>> step = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> Saliency(lambda x: sum(step(frame) for frame in x)).attribute(torch.ones(5, 3, 1, 2, 2), target=1).shape
    (5, 3, 2, 2)
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(x)


class Method(ABC):
    """Explains the output of a module by maps.

    Parameters
    ----------
    module : nn.Module or callable
        Gives logits ``[B, K]``: a :class:`~neurosam.training.SpikingSequential`, any other module or function that
        loops over the steps of ``[T, B, C, H, W]``, or an ANN, which takes ``[B, C, H, W]``.
    """

    def __init__(self, module: Model) -> None:
        self.module = as_module(type(self).__name__, module)

    def attribute(self, x: Tensor | npt.NDArray[Any], target: Target = None) -> Maps:
        """Raw maps.

        Parameters
        ----------
        x : (T, B, C, H, W) or (B, C, H, W) tensor or array
            Moved to the device and dtype of the module's parameters, if it has any. Pictures are floats; integers are
            spikes or counts of events.
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


def as_module(where: str, module: Model) -> nn.Module:
    """The module itself, or a function as a module."""
    if isinstance(module, nn.Module):
        return module
    if isinstance(module, type) or not callable(module):
        raise NeurosamError(
            where,
            f"got {type(module).__name__}; a torch module is required, or a function of a tensor (for a Network, see "
            "SAM)",
        )
    return Forward(module)


def has_time(module: nn.Module) -> bool:
    """Whether a module can loop over steps; a sequence of torch's own layers cannot."""
    own = (part for part in module.modules() if type(part) is not nn.Sequential)
    return any(not type(part).__module__.startswith("torch.nn.") for part in own)


def prepared(where: str, module: nn.Module, x: Tensor | npt.NDArray[Any]) -> Tensor:
    """The input as a detached tensor on the module's device and in its dtype."""
    tensor = _tensor(x)
    if tensor.ndim not in (4, 5) or not tensor.numel():
        raise NeurosamError(
            f"{where}: input",
            f"got shape {tuple(tensor.shape)}; non-empty [T, B, C, H, W] or [B, C, H, W] is required",
        )
    _refuse_raw_pictures(where, tensor)
    if tensor.ndim == 5 and not has_time(module):
        raise NeurosamError(
            f"{where}: input", f"got shape {tuple(tensor.shape)} for {type(module).__name__}, which has no time; "
            "[B, C, H, W] is required, or a SpikingSequential, or a module or function that loops over the steps",
        )  # fmt: skip
    like = next(module.parameters(), None)
    if like is None:
        return tensor.detach() if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())
    return tensor.detach().to(like.device, like.dtype)


def _tensor(values: Any) -> Tensor:
    """As a tensor; torch warns of an array that cannot be written to (a view, a constant), although it is only read."""
    read_only = isinstance(values, np.ndarray) and not values.flags.writeable
    return torch.as_tensor(values.copy() if read_only else values)


def _refuse_raw_pictures(where: str, x: Tensor) -> None:
    """Bytes 0..255 would run as currents of 0..255; spikes 0 and 1 as bytes (``Events.dense``) are fine."""
    if x.dtype == torch.uint8 and int(x.max()) > 1:
        raise NeurosamError(
            f"{where}: input",
            f"got uint8 of shape {tuple(x.shape)} with values up to {int(x.max())}, a raw picture; divide it by 255 "
            "for an ANN, encode it for a spiking net (neurosam.encode(images, steps).dense()), or give counts of "
            "events as int32",
        )


def logits(module: nn.Module, x: Tensor) -> Tensor:
    """Output ``[B, K]`` of a module; for a SpikingSequential, images without time are one step."""
    try:
        output: Any = module(x[None]) if isinstance(module, SpikingSequential) and x.ndim == 4 else module(x)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError) as error:
        raise NeurosamError("module", f"{type(module).__name__} cannot take {tuple(x.shape)}: {error}") from error
    if not isinstance(output, Tensor):
        raise NeurosamError("module", f"gives {type(output).__name__}; one tensor [B, classes] is required")
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
        If a class is out of range or not an integer, or the number of classes is not that of the samples; and if the
        module gives other logits in a second call.
    """
    output = logits(module, x)
    if _may_keep_state(module) and not torch.allclose(output, logits(module, x), rtol=_SAME, atol=_SAME):
        raise NeurosamError(
            "module",
            f"{type(module).__name__} gives other logits for the same input in a second call; give a function that "
            "first resets the state of its neurons (or the seed of what it draws)",
        )
    samples, classes = output.shape
    if target is None:
        return torch.from_numpy(answered(output.cpu().numpy())).to(x.device)
    chosen = _tensor(target).to(x.device)
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise NeurosamError("target", f"got {chosen.dtype}; class numbers are integers")
    if chosen.ndim > 1 or (chosen.ndim == 1 and len(chosen) != samples):
        raise NeurosamError("target", f"got shape {tuple(chosen.shape)}; one class, or one each of {samples} samples")
    if int(chosen.min()) < 0 or int(chosen.max()) >= classes:
        bad = int(chosen.min()) if int(chosen.min()) < 0 else int(chosen.max())
        raise NeurosamError("target", f"got class {bad}; the {classes} outputs are numbered 0..{classes - 1}")
    return chosen.long().expand(samples)


def _may_keep_state(module: nn.Module) -> bool:
    """Whether it has parts that are neither torch's nor ours; those keep none in evaluation mode."""
    return any(not type(part).__module__.startswith(("torch.nn.", "neurosam.training.")) for part in module.modules())


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


@contextmanager
def hooked(parts: Iterable[nn.Module], hook: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Put a forward hook on each part, and take it off afterwards."""
    handles = [part.register_forward_hook(hook) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def per_channel(value: float | npt.NDArray[np.float64], x: Tensor) -> Tensor:
    """A constant of a layer, one or one per channel, in a shape that broadcasts against ``x``, ``[T, B, C, ...]``."""
    constant = torch.as_tensor(np.array(value), dtype=x.dtype, device=x.device)
    return constant if constant.ndim == 0 else constant.reshape(-1, *(1,) * (x.ndim - 3))
