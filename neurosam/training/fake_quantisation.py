"""Fake quantisation: quantised weights in the forward pass, and gradients as if they were not quantised.

    limit = 2^(bits-1) - 1,     q = clamp(round(w / scale), -limit, limit)
    scale = f max |w| / limit   per layer, with the f of FRACTIONS for which sum (scale q - w)^2 is smallest
    forward: scale * q          backward: d(scale * q)/dw = 1   (straight-through estimator)

`round` is to the nearest, ties to even. The range is symmetric, so -2^(bits-1) is not used. With few bits it is better
to clip a few large weights than to round all the others coarsely; with 8 bits f is 1 or little less.

Fold batch norm into the weights first (:func:`~neurosam.training.folding.fold_batch_norm`): hardware stores the folded
weights, whose scale differs from that of the weights before folding.

Source: Bengio, Leonard & Courville 2013 (arXiv 1308.3432); Jacob et al. 2018 (arXiv 1712.05877).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from neurosam._util.arguments import integer, reals
from neurosam.errors import NetworkError

__all__ = ["fake_quantise"]

FRACTIONS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Largest weights that are not clipped, relative to the largest of a layer."""

M = TypeVar("M", bound=nn.Module)


@contextmanager
def fake_quantise(module: M, bits: int = 8, scales: Mapping[str, float] | None = None) -> Iterator[M]:
    """Make all convolutions and dense layers use quantised weights inside a ``with`` block.

    Parameters
    ----------
    module : nn.Module
        Changed in place. Create the optimiser inside the block, because the parameters are different ones there.
    bits : int
        Bits per weight, including the sign, 2 .. 16.
    scales : mapping of str to float, optional
        Fixed scales (above 0) by layer name; those of the other layers are computed from their weights.

    Yields
    ------
    nn.Module
        The same module. After the block its weights are plain parameters again and hold the quantised values, so its
        outputs are the same as inside the block. Biases are not quantised.

    Raises
    ------
    NetworkError
        If a scale is given for an unknown layer or is not above 0, or `bits` is out of range.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from neurosam.training import fake_quantise
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 0.3]]))
    >>> with fake_quantise(layer, bits=3):  # multiples of 1/3
    ...     y = layer(torch.eye(2))
    >>> y.detach().flatten().tolist() == layer.weight.flatten().tolist()
    True
    >>> (3 * layer.weight).round().flatten().tolist()
    [3.0, 1.0]
    """
    limit = 2 ** (integer("bits", bits, 2, 16) - 1) - 1
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    given = {
        name: float(reals(f"scales[{name!r}]", scale, above=0.0, ndim=(0,))) for name, scale in (scales or {}).items()
    }
    if unknown := given.keys() - layers.keys():
        raise NetworkError("scales", f"got {min(unknown)!r}; layers with weights are {', '.join(layers)}")
    wrapped: list[nn.Module] = []
    try:
        for name, layer in layers.items():
            parametrize.register_parametrization(layer, "weight", _StraightThrough(limit, given.get(name)))
            wrapped.append(layer)
        yield module
    finally:
        for done in wrapped:
            parametrize.remove_parametrizations(done, "weight", leave_parametrized=True)


class _StraightThrough(nn.Module):
    def __init__(self, limit: int, scale: float | None) -> None:
        super().__init__()
        self.limit, self.scale = limit, scale

    def forward(self, weight: Tensor) -> Tensor:
        plain = weight.detach()
        if self.scale is not None:
            quantised = self._quantised(plain, torch.as_tensor(self.scale, dtype=weight.dtype))
        else:
            full = plain.abs().max() / self.limit
            if full == 0:
                return weight
            candidates = (self._quantised(plain, full * fraction) for fraction in FRACTIONS)
            quantised = min(candidates, key=lambda candidate: float((candidate - plain).square_().sum()))
        return _PassGradient.apply(weight, quantised)  # type: ignore[no-untyped-call,no-any-return]

    def _quantised(self, weight: Tensor, scale: Tensor) -> Tensor:
        return (weight / scale).round_().clamp_(-self.limit, self.limit).mul_(scale)

    def extra_repr(self) -> str:
        return f"limit={self.limit}, scale={self.scale}"


class _PassGradient(torch.autograd.Function):
    """The values of the second tensor with the gradient of the first; ``w + (q - w)`` would round."""

    @staticmethod
    def forward(ctx: object, weight: Tensor, quantised: Tensor) -> Tensor:
        return quantised

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None
