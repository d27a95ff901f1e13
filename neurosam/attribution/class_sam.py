"""Class-conditional SAM of a layer of a torch module, without export.

The maps equal those of :class:`neurosam.explain.class_sam.ClassSAM` in float, which has the equations: the scores of a
layer's spikes, each weighted with what a spike of its neuron contributes to the readout of the class. In a
:class:`~neurosam.training.SpikingSequential`, the weights are found by passing the class back through the layers above
the given one, in which a LIF layer stands for the division by its threshold, and batch norm through time for its mean
gain. Of any other module, the weights are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.attribution.layer_sam import layer_spikes, spiking_layer
from neurosam.attribution.layers import Layer
from neurosam.attribution.method import Method, Model, per_channel
from neurosam.errors import NeurosamError
from neurosam.explain.class_sam import class_maps
from neurosam.network.trace import SamTrace
from neurosam.training import BNTT, LIF, Readout, SpikingSequential
from neurosam.training.bntt import GainOffset
from neurosam.training.sequential import named_layers

__all__ = ["ModuleClassSAM"]

_LINEAR = (
    nn.Conv2d, nn.Linear, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.BatchNorm1d,
    nn.BatchNorm2d, nn.Identity,
)  # fmt: skip


class ModuleClassSAM(Method):
    """Class-conditional Spike Activation Maps of a LIF layer, ``[T, B, h, w]``, in the unit of the readout's input.

    Parameters
    ----------
    module : nn.Module or callable
    layer : str or nn.Module
        A LIF layer of a SpikingSequential; with `weight`, any layer whose output is spikes.
    gamma : float
        Decay of the trace per step, at least 0.
    mode : {"strict", "inclusive", "official"}
    contrast : bool
        Whether a class is set against the mean of all.
    weight : (K, C, h, w) array, optional
        What a spike of each neuron contributes to each class: of a linear readout behind the layer, its weight.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import ModuleClassSAM
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> ModuleClassSAM(module, "conv1", contrast=True).attribute(torch.ones(5, 3, 1, 8, 8), target=2).shape
    (5, 3, 8, 8)
    """

    def __init__(
        self,
        module: Model,
        layer: Layer,
        gamma: float = 0.5,
        mode: str = "strict",
        *,
        contrast: bool = False,
        weight: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(module)
        self._name = spiking_layer("ModuleClassSAM", self.module, layer)
        if weight is None and not isinstance(self.module, SpikingSequential):
            raise NeurosamError(
                "ModuleClassSAM", f"cannot follow {type(module).__name__} from the layer to the logits; give weight"
            )
        self.layer, self.trace, self.contrast = layer, SamTrace(gamma, mode), contrast
        self.weight = None if weight is None else np.asarray(weight, dtype=np.float64)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        spikes = layer_spikes("ModuleClassSAM", self.module, self.layer, x)
        weight = self._given(target) if self.weight is not None else self._found(spikes.shape[1:], x, target)
        if spikes.ndim == 3:
            weight = weight.reshape(*weight.shape[:2], 1, 1)
        return torch.from_numpy(class_maps(spikes, self.trace, weight))

    def _given(self, target: Tensor) -> npt.NDArray[np.float64]:
        weight: Any = self.weight
        if int(target.max()) >= len(weight):
            raise NeurosamError("ModuleClassSAM: weight", f"has {len(weight)} classes; the target is {target.max()}")
        if self.contrast:
            weight = weight - weight.mean(axis=0, keepdims=True)
        return np.asarray(weight[target.cpu().numpy()])

    def _found(self, shape: tuple[int, ...], x: Tensor, target: Tensor) -> npt.NDArray[np.float64]:
        """R of each sample's class, by one backward pass through the layers above, made linear."""
        layers = named_layers(self.module)  # type: ignore[arg-type]  # a SpikingSequential
        names = [name for name, _ in layers]
        above = layers[names.index(self._name) + 1 :]
        spike = x.new_zeros((1, *shape)).requires_grad_()
        with torch.enable_grad():
            y = spike
            for name, layer in above:
                y = _linear(name, layer, y)
            seed = torch.nn.functional.one_hot(target, y.shape[-1]).to(y.dtype)
            if self.contrast:
                seed = seed - 1 / y.shape[-1]
            (weight,) = torch.autograd.grad(y, spike, seed.reshape(y.shape))
        return np.asarray(weight[0].cpu().numpy(), dtype=np.float64)


def _linear(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """One step ``[1, B, ...]`` through a layer without what is not linear in it."""
    if isinstance(layer, LIF):
        return x / per_channel(layer.threshold, x)
    if isinstance(layer, (BNTT, GainOffset)):
        gain = layer.tables()[0] if isinstance(layer, BNTT) else layer.gain
        return x * gain.mean(dim=0).reshape(-1, *(1,) * (x.ndim - 3))
    if isinstance(layer, Readout):
        return x
    if not isinstance(layer, _LINEAR):
        raise NeurosamError(
            f"ModuleClassSAM: layer {name!r}", f"is {type(layer).__name__}, between the map's layer and the readout, "
            "and not linear; take a later layer, or give weight",
        )  # fmt: skip
    found: Tensor = layer(x[0])[None]
    return found
