"""Temporal spike attribution: spike times, weights and the class's probability, multiplied from input to output.

With S_l,i[t] the spikes of neuron i of layer l (l = 0 is the input), N_l the size of the layer, W_l the weights from
layer l to l + 1, L their number, p the softmax of the logits after T steps, and beta the leak of the membrane,

    n_l,i[t] = S_l,i[t] beta^(T - t)                                 where the neuron spikes at step t
             = -beta^(T - t) / N_l  (absent="negative")  or  0       where it does not

    A_ic[t]  = ( diag(n_0[t]) W_0  diag(n_1[t]) W_1  ...  diag(n_(L-1)[t]) W_(L-1) )_ic  p_c

All layers are read at the same step. Biases have no part in it; pooling, and batch norm at inference, belong to the
weights. An event of another size than 1 counts by its size. A spike's contribution falls with its age at the end of
the run, so the map favours late steps, and L times so.

Source: Nguyen, Nauta, Englebienne & Seifert 2023 (Feature Attribution Explanations for Spiking Neural Networks, arXiv
2311.02110), TSA-S (spikes only) and TSA-NS (with absent spikes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice, reals
from neurosam.attribution.gradients import NONLINEAR, gradient
from neurosam.attribution.method import InputMethod, Model, hooked, logits
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.training import LIF, Readout

__all__ = ["TSA"]


class TSA(InputMethod):
    """Temporal spike attribution of every input value; a map is the sum over channels.

    Parameters
    ----------
    module : nn.Module
        Its neurons are LIF layers.
    absent : {"none", "negative"}
        Whether the absence of a spike counts against: TSA-S or TSA-NS.
    beta : float, optional
        In [0, 1]; the leak of the LIF layers if None.

    Raises
    ------
    NeurosamError
        If the module has no LIF layer or another non-linearity, or LIF layers of different leak without a `beta`.

    Examples
    --------
    >>> import torch
    >>> from neurosam.attribution import TSA
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> TSA(module, absent="negative").attribute(torch.ones(5, 3, 1, 8, 8), target=2).shape
    (5, 3, 8, 8)
    """

    def __init__(self, module: Model, absent: str = "none", beta: float | None = None) -> None:
        super().__init__(module)
        self.absent = choice("TSA: absent", absent, ("none", "negative"), ArgumentError)
        self._neurons = [part for part in self.module.modules() if isinstance(part, LIF)]
        if not self._neurons:
            raise NeurosamError("TSA", "finds no LIF layer; spike times are what it is made of")
        for name, part in self.module.named_modules():
            if isinstance(part, (nn.ReLU, *NONLINEAR)):
                raise NeurosamError(f"TSA: layer {name!r}", f"is {type(part).__name__}, which has no spike times")
        if beta is None:
            leaks = {repr(neuron.leak) for neuron in self._neurons}
            leak = self._neurons[0].leak
            if len(leaks) > 1 or not isinstance(leak, float):
                raise NeurosamError("TSA: beta", f"is needed: the leaks of the layers are {', '.join(sorted(leaks))}")
            beta = leak
        self.beta = float(reals("TSA: beta", beta, low=0.0, high=1.0, ndim=(0,), error=ArgumentError))

    def _scores(self, x: Tensor, target: Tensor) -> Tensor:
        if x.ndim != 5:
            raise NeurosamError("TSA: input", f"got shape {tuple(x.shape)}; [T, B, C, H, W] is required")
        with torch.no_grad():
            probability = torch.softmax(logits(self.module, x), dim=1).gather(1, target[:, None])[:, 0]
        readouts = [part for part in self.module.modules() if isinstance(part, Readout)]
        with hooked(self._neurons, self._weighted), hooked(readouts, _summed):
            product = gradient(self.module, x, target)
        return self._contribution(x) * product * probability[:, None, None, None]

    def _contribution(self, spikes: Tensor) -> Tensor:
        """N of a layer, in the shape of its spikes ``[T, B, ...]``."""
        steps = len(spikes)
        age = torch.arange(steps, 0, -1, device=spikes.device).to(spikes.dtype)
        fade = (self.beta**age).reshape(-1, *(1,) * (spikes.ndim - 1))
        absent = 0.0 if self.absent == "none" else -1.0 / spikes[0, 0].numel()
        return torch.where(spikes != 0, spikes, absent) * fade

    def _weighted(self, part: LIF, inputs: tuple[Tensor], spikes: Tensor) -> Tensor:
        """The spikes, with n as the derivative by the weighted input of the same step."""
        passed = self._contribution(spikes.detach()) * inputs[0]
        return spikes.detach() + (passed - passed.detach())


def _summed(part: Readout, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """The output, with 1 as the derivative by each step's input also for a mean over steps."""
    total: Tensor = inputs[0].sum(dim=0)
    return output.detach() + (total - total.detach())
