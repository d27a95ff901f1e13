"""SAM of a layer of a torch module, without export; the maps equal those of :class:`neurosam.SAM` in float.

Any layer that gives numbers of spikes (0, 1, ...) has maps, in a module of another framework too.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 12-14; see :mod:`neurosam.network.trace` for the modes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.attribution.layers import Layer, layer_name, run_with_layer
from neurosam.attribution.method import Method, Model
from neurosam.errors import NeurosamError
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import SamTrace
from neurosam.training import LIF, SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["ModuleSAM", "layer_spikes", "spiking_layer"]


class ModuleSAM(Method):
    """Spike Activation Maps of a spiking layer, ``[T, B, h, w]``. The target is checked but has no influence.

    Parameters
    ----------
    module : nn.Module or callable
        A :class:`~neurosam.training.SpikingSequential`, or any module or function that loops over steps.
    layer : str or nn.Module
        A LIF layer, or a layer of another framework whose output (or the first of whose outputs) is spikes.
    gamma : float
        Decay of the trace per step, at least 0.
    mode : {"strict", "inclusive", "official"}

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import ModuleSAM
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> ModuleSAM(module, "conv1").attribute(torch.ones(5, 3, 1, 8, 8)).shape
    (5, 3, 8, 8)
    """

    def __init__(self, module: Model, layer: Layer, gamma: float = 0.5, mode: str = "strict") -> None:
        super().__init__(module)
        spiking_layer("ModuleSAM", self.module, layer)
        self.layer, self.trace = layer, SamTrace(gamma, mode)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        return torch.from_numpy(from_spikes(layer_spikes("ModuleSAM", self.module, self.layer, x), self.trace))


def spiking_layer(where: str, module: nn.Module, layer: Layer) -> str:
    """The name of a layer that may spike: in a SpikingSequential, a LIF layer."""
    if isinstance(module, SpikingSequential):
        spiking = [name for name, part in named_layers(module) if isinstance(part, LIF)]
        if not isinstance(layer, nn.Module) and layer not in spiking:
            raise NeurosamError(
                f"{where}: layer {layer!r}", f"is not a LIF layer of a SpikingSequential; it has {spiking or 'none'}"
            )
    return layer_name(where, module, layer)


@torch.no_grad()
def layer_spikes(where: str, module: nn.Module, layer: Layer, x: Tensor) -> npt.NDArray[np.float64]:
    """Numbers of spikes of a layer in each step, ``[T, B, C, h, w]``.

    Raises
    ------
    NeurosamError
        If the input has no steps, or the layer's output is not spikes.
    """
    if x.ndim != 5:
        raise NeurosamError(f"{where}: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
    spikes = run_with_layer(where, module, layer, x).output
    name = layer_name(where, module, layer)
    if spikes.ndim not in (3, 5):
        raise NeurosamError(
            f"{where}: layer {name!r}", f"gives {tuple(spikes.shape)}; [T, B, C, h, w] or [T, B, N] is required"
        )
    if bool((spikes < 0).any() or (spikes != spikes.round()).any()):
        raise NeurosamError(f"{where}: layer {name!r}", "gives values other than 0, 1, ..., which are not spikes")
    return np.asarray(spikes.cpu().numpy(), dtype=np.float64)
