"""Modules in the layouts of other toolkits: samples first (Captum), or pictures (Quantus).

Toolkits take the first axis for the samples. A spiking net here has time first, ``[T, B, C, H, W]``, so that a toolkit
would mix steps and samples up, without an error where it only averages over axes: Captum's ``LayerGradCam`` takes T for
the samples, B for the channels, and averages over the true channels.

    BatchFirst(module)            [B, T, C, H, W]  ->  logits [B, K];   its layers give  [B, C, T, h, w]
    OnImages(module, steps, ...)  [B, C, H, W]     ->  logits [B, K],   encoded with a fixed seed
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice, integer
from neurosam.attribution.layers import Layer, layer_name
from neurosam.attribution.method import Model, as_module, hooked
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.signals.events import CODINGS, encode

__all__ = ["BatchFirst", "OnImages"]


class BatchFirst(nn.Module):
    """A time-first module with samples first, for Captum and others: ``[B, T, C, H, W]`` to ``[B, K]``.

    Parameters
    ----------
    module : nn.Module or callable
        Takes ``[T, B, C, H, W]``.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import BatchFirst
    >>> from neurosam import training
    >>> net = BatchFirst(training.build("4C3-P2-D10", (1, 8, 8)))
    >>> net(torch.ones(3, 5, 1, 8, 8)).shape  # three samples, five steps
    torch.Size([3, 10])
    >>> net.layer("conv1")  # for LayerGradCam(net, net.layer("conv1")), whose maps are [B, 1, T, h, w]
    Identity()
    """

    def __init__(self, module: Model) -> None:
        super().__init__()
        self.module = as_module("BatchFirst", module)
        self.layers = nn.ModuleDict()
        self._tapped: dict[str, tuple[nn.Module, str]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of ``[B, T, C, H, W]``.

        Raises
        ------
        NeurosamError
            If `x` has no steps, or the module gives something other than logits.
        """
        if x.ndim != 5:
            raise NeurosamError("BatchFirst", f"got {tuple(x.shape)}; [B, T, C, H, W] is required")
        with ExitStack() as taps:
            for key, (part, name) in self._tapped.items():
                taps.enter_context(hooked([part], _tap(name, self.layers[key])))
            output = self.module(x.transpose(0, 1))
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(x):
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise NeurosamError("BatchFirst", f"the module gives {got} for {len(x)} samples; [B, classes] is required")
        return output

    def layer(self, layer: Layer) -> nn.Module:
        """A module through which the output of a layer passes as ``[B, C, T, h, w]``, or ``[B, N, T]``.

        Channels are second, as toolkits expect, and time is one more axis of space: a mean over space is one over
        time as well.

        Parameters
        ----------
        layer : str or nn.Module
            Gives all steps in one call, ``[T, B, C, h, w]``, as every LIF layer here does.

        Raises
        ------
        NeurosamError
            If the module has no such layer; and in ``forward``, if it does not give ``[T, B, ...]``.
        """
        name = layer_name("BatchFirst", self.module, layer)
        key = name.replace(".", "/")
        if key not in self.layers:
            part = layer if isinstance(layer, nn.Module) else self.module.get_submodule(layer)
            self.layers[key], self._tapped[key] = nn.Identity(), (part, name)
        return self.layers[key]


def _tap(name: str, through: nn.Module) -> Callable[[Any, Any, Any], Tensor]:
    """A hook that sends the output of a layer through a module with samples first, and turns it back."""

    def hook(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim < 3 or not inputs or output.shape[:2] != inputs[0].shape[:2]:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise NeurosamError(f"BatchFirst: layer {name!r}", f"gives {got}; [T, B, C, ...] is required")
        passed: Tensor = through(output.movedim(0, 2))
        return passed.movedim(2, 0)

    return hook


class OnImages(nn.Module):
    """A spiking net that takes pictures, for toolkits that know nothing of time: ``[B, C, H, W]`` to ``[B, K]``.

    Every call encodes with the same seed. What is outside [0, 1] is clipped for a random or latency coding, since
    toolkits add noise to pictures.

    Parameters
    ----------
    module : nn.Module or callable
        Takes ``[T, B, C, H, W]``.
    steps, coding, seed
        See :func:`neurosam.encode`.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import OnImages
    >>> from neurosam import training
    >>> OnImages(training.build("4C3-P2-D10", (1, 8, 8)), steps=6)(torch.full((3, 1, 8, 8), 0.5)).shape
    torch.Size([3, 10])
    """

    def __init__(self, module: Model, steps: int, coding: str = "poisson", seed: int = 0) -> None:
        super().__init__()
        self.module = as_module("OnImages", module)
        self.steps = integer("OnImages: steps", steps, 1, 2**31 - 1, ArgumentError)
        self.coding = choice("OnImages: coding", coding, CODINGS, ArgumentError)
        self.seed = seed

    def encoded(self, images: Any) -> Tensor:
        """The input of the module, ``[T, B, C, H, W]``; uint8 images are 0..255."""
        array = torch.as_tensor(images).detach().cpu().numpy()
        if self.coding in ("poisson", "latency") and array.dtype.kind == "f":
            array = array.clip(0, 1)
        return torch.from_numpy(encode(array, self.steps, self.coding, self.seed).dense())

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]``; there is no gradient through the encoding."""
        like = next(self.module.parameters(), torch.empty(0))
        output: Tensor = self.module(self.encoded(images).to(like.device, like.dtype))
        return output
