"""A sequence of torch layers that runs over time: stateless layers step by step, neurons over all steps at once.

A stateless layer f (convolution, pooling, batch norm, ...) has no notion of time: ``y[t] = f(x[t])``. All steps of all
samples therefore pass through it as one large batch ``[T * B, ...]``. A layer derived from
:class:`~neurosam.training.neurons.Temporal` receives ``[T, B, ...]``.

Batch norm in training mode takes mean and variance over steps and samples together, so its running statistics are the
same for all steps. Max pooling of spikes is their OR.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import Tensor, nn

from neurosam.errors import NetworkError
from neurosam.training.neurons import Temporal

__all__ = ["SpikingSequential", "flat_layers", "named_layers"]


class SpikingSequential(nn.Sequential):
    """``nn.Sequential`` over ``[T, B, C, H, W]``.

    Takes the arguments of ``nn.Sequential``: modules, or one ``OrderedDict`` of named modules. On export, the names of
    the neuron layers become those of the populations.

    Raises
    ------
    NetworkError
        In ``forward``, if a layer cannot process the output of the previous one. The message names the layer.
    """

    @classmethod
    def from_sequential(cls, sequential: nn.Sequential) -> SpikingSequential:
        """Wrap the layers of a plain ``nn.Sequential``: the same modules under the same names, parameters shared."""
        wrapped = cls()
        for name, layer in named_layers(sequential):
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
        """The output of the network, and the outputs of selected layers.

        Parameters
        ----------
        x : Tensor
            ``[T, B, ...]``, floating point.
        names : collection of str
            Layers whose outputs to return.

        Returns
        -------
        output : Tensor
            As from ``forward``.
        kept : dict of str to Tensor
            ``[T, B, ...]`` for each name; these are part of the autograd graph, so ``retain_grad`` works on them.

        Raises
        ------
        NetworkError
            If there is no layer of a given name.
        """
        layers = dict(named_layers(self))
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


def named_layers(module: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """Named layers in order. A layer that is used twice appears twice, unlike in ``named_children``."""
    return list(module._modules.items())  # a Sequential has no empty entries


def flat_layers(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Named layers in order, without nesting; layers of a nested Sequential are named ``outer_inner``."""
    for name, layer in named_layers(module):
        if isinstance(layer, nn.Sequential):
            yield from flat_layers(layer, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", layer


def _each_step(layer: nn.Module, x: Tensor) -> Tensor:
    flat: Tensor = layer(x.flatten(0, 1))
    steps, batch = x.shape[:2]
    return flat.reshape(steps, batch, *flat.shape[1:])
