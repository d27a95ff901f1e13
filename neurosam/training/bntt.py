"""Batch norm through time: every step has its own mean, variance and weight; in inference it reduces to two tables.

With y_t the weighted input at step t, for each channel over samples and pixels:

    training     x_t = w_t (y_t - mean_B(y_t)) / sqrt(var_B(y_t) + eps)
    inference    x_t = g_t y_t + o_t,      g_t = w_t / sqrt(var_t + eps),      o_t = -g_t mean_t

mean_t and var_t are running averages with momentum 0.1 (var unbiased, as in torch); eps is 1e-4; w_t is trained; there
is no bias. o_t is added to every neuron in every step, whether or not there is an input event, which costs operations
on a chip.

:class:`BNTT` is the layer to train. :class:`GainOffset` holds only the tables g and o, as a network description and a
back end do (``LIF.gain``, ``LIF.offset``); :func:`~neurosam.training.folding.fold_batch_norm` turns the first into the
second.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 4; Kim & Panda 2020 (arXiv 2010.01729), section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurosam._util.arguments import integer, reals
from neurosam.errors import NetworkError
from neurosam.training.neurons import Temporal

__all__ = ["BNTT", "GainOffset"]

_MOST = 65536


class BNTT(Temporal):
    """Batch norm with statistics and a weight for each step.

    Parameters
    ----------
    channels : int
        C, or units of a dense layer; at least 1.
    steps : int
        Length T of the longest run, at least 1. A shorter run uses the first steps.
    eps : float
        Added to the variance, above 0.
    momentum : float
        Weight of a new batch in the running averages, in (0, 1].

    Raises
    ------
    NetworkError
        For a value outside its range.

    Notes
    -----
    State dict: ``weight``, ``running_mean`` and ``running_var``, each ``[T, C]``.
    """

    weight: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, steps: int, *, eps: float = 1e-4, momentum: float = 0.1) -> None:
        super().__init__()
        size = (integer("BNTT: steps", steps, 1, _MOST), integer("BNTT: channels", channels, 1, 2**31 - 1))
        self.eps = float(reals("BNTT: eps", eps, above=0.0, ndim=(0,)))
        self.momentum = float(reals("BNTT: momentum", momentum, above=0.0, high=1.0, ndim=(0,)))
        self.weight = nn.Parameter(torch.ones(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    @property
    def steps(self) -> int:
        """Length of the longest run."""
        return self.weight.shape[0]

    def tables(self) -> tuple[Tensor, Tensor]:
        """Gain and offset of every step, each ``[T, C]``, in the dtype of the parameters."""
        gain = self.weight / torch.sqrt(self.running_var + self.eps)
        return gain, -gain * self.running_mean

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each step by itself; in training mode with the statistics of the batch.

        Parameters
        ----------
        x : Tensor
            ``[T, B, C, ...]`` with 1 <= T <= `steps`.

        Raises
        ------
        NetworkError
            If the shape is not valid, or a training batch has only one value per channel.
        """
        _fit("BNTT", x, self.weight)
        if not self.training:
            return _affine(x, *self.tables())
        if x[0].numel() == x.shape[2]:
            raise NetworkError(
                "BNTT", f"got {tuple(x.shape)}; training requires more than one value per channel and step"
            )
        steps = [  # channels are moved last so that stack and unbind keep the memory layout of the convolutions
            functional.batch_norm(y.movedim(-1, 1), mean, var, weight, None, True, self.momentum, self.eps).movedim(
                1, -1
            )
            for y, mean, var, weight in zip(
                x.movedim(2, -1).unbind(0),
                self.running_mean,
                self.running_var,
                self.weight.unbind(0),
                strict=False,
            )
        ]
        return torch.stack(steps).movedim(-1, 2)

    def extra_repr(self) -> str:
        """Return the constructor parameters."""
        steps, channels = self.weight.shape
        return f"channels={channels}, steps={steps}, eps={self.eps}, momentum={self.momentum}"


class GainOffset(Temporal):
    """Frozen tables: x_t = gain_t y_t + offset_t, with the product and the sum rounded separately.

    Parameters
    ----------
    gain, offset : Tensor
        ``[T, C]``; part of the state dict, not trained.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, gain: Tensor, offset: Tensor) -> None:
        super().__init__()
        if gain.ndim != 2 or gain.shape != offset.shape or not gain.numel():
            raise NetworkError(
                "GainOffset", f"got {tuple(gain.shape)} and {tuple(offset.shape)}; two tables [T, C] are required"
            )
        self.register_buffer("gain", gain.detach().clone())
        self.register_buffer("offset", offset.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, ...]`` to the same shape, with T at most the length of the tables."""
        _fit("GainOffset", x, self.gain)
        return _affine(x, self.gain, self.offset)

    def extra_repr(self) -> str:
        """Return the size of the tables."""
        steps, channels = self.gain.shape
        return f"channels={channels}, steps={steps}"


def _fit(where: str, x: Tensor, table: Tensor) -> None:
    steps, channels = table.shape
    if x.ndim < 3 or not 1 <= x.shape[0] <= steps or x.shape[2] != channels:
        raise NetworkError(
            where, f"got {tuple(x.shape)}; [T, B, {channels}, ...] with T in 1..{steps}, the trained steps, is required"
        )


def _affine(x: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Multiply, round, add, round: the order of operations of every back end."""
    size = (x.shape[0], 1, x.shape[2], *(1,) * (x.ndim - 3))
    return x * gain[: x.shape[0]].reshape(size) + offset[: x.shape[0]].reshape(size)
