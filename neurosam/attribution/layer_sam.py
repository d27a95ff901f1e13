"""SAM of a layer of a torch module, without export; the maps equal those of :class:`neurosam.SAM` in float.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 12-14; see :mod:`neurosam.network.trace` for the modes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurosam.attribution.method import Method
from neurosam.errors import NeurosamError
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import SamTrace
from neurosam.training import LIF, SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["ModuleSAM"]


class ModuleSAM(Method):
    """Spike Activation Maps of a LIF layer, ``[T, B, h, w]``. The target is checked but has no influence.

    Parameters
    ----------
    module : SpikingSequential
    layer : str
        A LIF layer.
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

    def __init__(self, module: SpikingSequential, layer: str, gamma: float = 0.5, mode: str = "strict") -> None:
        super().__init__(module)
        spiking = [name for name, part in named_layers(module) if isinstance(part, LIF)]
        if layer not in spiking:
            raise NeurosamError(
                f"ModuleSAM: layer {layer!r}", f"is not a LIF layer of a SpikingSequential; it has {spiking or 'none'}"
            )
        self._net, self.layer, self.trace = module, layer, SamTrace(gamma, mode)

    def _maps(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 5:
            raise NeurosamError("ModuleSAM: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
        with torch.no_grad():
            spikes = self._net.activations(x, (self.layer,))[1][self.layer]
        return torch.from_numpy(from_spikes(spikes.cpu().numpy(), self.trace))
