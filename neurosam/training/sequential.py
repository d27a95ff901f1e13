"""A sequence of torch layers that runs over time: stateless layers a step at a time, neurons over all steps.

A stateless layer f (convolution, pooling, batch norm, ...) knows nothing of time: ``y[t] = f(x[t])``. All steps of all
samples therefore pass through it as one large batch ``[T * B, ...]``. A layer derived from
:class:`~neurosam.training.neurons.Temporal` receives ``[T, B, ...]``.

Batch norm in training mode takes its mean and variance over steps and samples together; its running statistics then
serve all steps alike. Max pooling of spikes is their OR.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from neurosam.errors import NetworkError
from neurosam.training.neurons import Temporal

__all__ = ["SpikingSequential"]


class SpikingSequential(nn.Sequential):
    """``nn.Sequential`` over ``[T, B, C, H, W]``.

    Takes what ``nn.Sequential`` takes: modules, or one ``OrderedDict`` of named modules. Names are kept; those of the
    neuron layers become the names of populations on export.

    Raises
    ------
    NetworkError
        From ``forward``, if a layer cannot take what the one before it gives. The message names the layer.
    """

    @classmethod
    def from_sequential(cls, sequential: nn.Sequential) -> SpikingSequential:
        """Wrap the layers of a plain ``nn.Sequential``: the same modules under the same names, parameters shared."""
        wrapped = cls()
        for name, layer in sequential.named_children():
            wrapped.add_module(name, layer)
        return wrapped

    def forward(self, input: Tensor) -> Tensor:
        """Run all layers over all steps.

        Parameters
        ----------
        input : Tensor
            ``[T, B, ...]``, floating point.

        Returns
        -------
        Tensor
            ``[B, K]`` after a readout, else ``[T, B, ...]``.
        """
        return self.activations(input, ())[0]

    def activations(self, x: Tensor, names: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The output, and on the way the outputs of some layers.

        Parameters
        ----------
        x : Tensor
            ``[T, B, ...]``, floating point.
        names : collection of str
            Layers to keep.

        Returns
        -------
        output : Tensor
            As from ``forward``.
        kept : dict of str to Tensor
            ``[T, B, ...]`` for each name, part of the autograd graph (``retain_grad`` works on them).

        Raises
        ------
        NetworkError
            For a name that is no layer's.
        """
        layers = dict(self.named_children())
        if unknown := [name for name in names if name not in layers]:
            raise NetworkError("layers", f"got {unknown[0]!r}; allowed is {', '.join(layers)}")
        kept = {}
        for name, layer in layers.items():
            if x.ndim < 3:
                raise NetworkError(name, f"got {tuple(x.shape)}; [T, B, ...] is required (a readout ends the network)")
            try:
                x = layer(x) if isinstance(layer, (Temporal, SpikingSequential)) else _each_step(layer, x)
            except (RuntimeError, ValueError) as error:
                raise NetworkError(name, f"{type(layer).__name__} cannot take {tuple(x.shape)}: {error}") from error
            if name in names:
                kept[name] = x
        return x, kept


def _each_step(layer: nn.Module, x: Tensor) -> Tensor:
    flat: Tensor = layer(x.flatten(0, 1))
    steps, batch = x.shape[:2]
    return flat.reshape(steps, batch, *flat.shape[1:])
