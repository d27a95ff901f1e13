"""Fold batch norm into the weights before it: the same network with fewer operations, as hardware runs it.

In evaluation mode, a batch norm with weight g, bias b, running mean mu and variance var maps y in each channel to
g (y - mu) / sigma + b with sigma = sqrt(var + eps). Together with a linear layer y = W x + c before it, this is linear
again:

    W' = (g / sigma) W        c' = (g / sigma) (c - mu) + b

c' is added in every step, whether or not there is an input event; it becomes the bias of the neurons.

Batch norm through time has a different g and b in every step t, which weights cannot represent. It becomes two tables
(:class:`~neurosam.training.bntt.GainOffset`), and only one power of two per channel moves into the weights, exactly:

    W' = 2^k W,  c' = 2^k c        gain'_t = 2^-k gain_t        with the smallest k such that |gain'_t| <= 1 for all t

The weighted inputs then have the magnitude of the membrane, so an integer gain costs no head-room.

Source: Ioffe & Szegedy 2015 (arXiv 1502.03167), section 3.1; Jacob et al. 2018 (arXiv 1712.05877), section 3.2.
"""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn

from neurosam.errors import ExportError
from neurosam.training.bntt import BNTT, GainOffset
from neurosam.training.sequential import SpikingSequential, flat_layers

__all__ = ["fold_batch_norm"]


def fold_batch_norm(network: nn.Sequential) -> SpikingSequential:
    """A copy of `network` without batch norm that has the same outputs in evaluation mode, up to rounding.

    Parameters
    ----------
    network : nn.Sequential
        Every batch norm (or BNTT) directly follows a ``Conv2d`` or ``Linear``, if sequences in it are unpacked. It is
        not changed.

    Returns
    -------
    SpikingSequential
        Flat, in evaluation mode, with the same names except those of the batch norms (``outer_inner`` for a layer of a
        nested sequence); a BNTT becomes a GainOffset of the same name. A layer that is used twice becomes two. Weights
        are computed in float64 and rounded once.

    Raises
    ------
    ExportError
        If a batch norm follows another layer, or has no running statistics.

    Examples
    --------
    >>> from neurosam.training import fold_batch_norm
    >>> from neurosam import training
    >>> [name for name, _ in fold_batch_norm(training.build("4C3-P2-D10", (1, 8, 8))).named_children()]
    ['conv1_conv', 'conv1', 'pool1', 'flatten', 'out_linear', 'out']
    """
    folded: OrderedDict[str, nn.Module] = OrderedDict()
    previous: nn.Module | None = None
    for name, layer in flat_layers(network):
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if not isinstance(previous, (nn.Conv2d, nn.Linear)):
                raise ExportError(
                    name, f"batch norm follows {type(previous).__name__}; it must follow Conv2d or Linear"
                )
            _fold(name, previous, layer)
            previous = None
        elif isinstance(layer, BNTT):
            if not isinstance(previous, (nn.Conv2d, nn.Linear)):
                raise ExportError(name, f"BNTT follows {type(previous).__name__}; it must follow Conv2d or Linear")
            previous = folded[name] = _tabulate(name, previous, layer)
        else:
            previous = copy.deepcopy(layer)
            folded[name] = previous
    return SpikingSequential(folded).eval()


@torch.no_grad()
def _fold(name: str, linear: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ExportError(name, "batch norm without running statistics (track_running_stats=False) cannot be folded")
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    weight = norm.weight.double() if norm.affine else torch.ones_like(mean)
    shift = norm.bias.double() if norm.affine else torch.zeros_like(mean)
    bias = torch.zeros_like(mean) if linear.bias is None else linear.bias.double()
    gain = weight / torch.sqrt(variance + norm.eps)
    if len(gain) != linear.weight.shape[0]:
        raise ExportError(name, f"normalises {len(gain)} channels, but its input has {linear.weight.shape[0]}")
    columns = gain.reshape(-1, *(1,) * (linear.weight.ndim - 1))
    linear.weight = _parameter(columns * linear.weight.double(), linear.weight)
    linear.bias = _parameter(gain * (bias - mean) + shift, linear.weight)


@torch.no_grad()
def _tabulate(name: str, linear: nn.Conv2d | nn.Linear, norm: BNTT) -> GainOffset:
    """The tables of a BNTT, with the powers of two of its gains moved into the weights."""
    gain, offset = copy.deepcopy(norm).double().tables()
    if gain.shape[1] != linear.weight.shape[0]:
        raise ExportError(name, f"normalises {gain.shape[1]} channels, but its input has {linear.weight.shape[0]}")
    peak = gain.abs().amax(dim=0)
    power = torch.where(peak > 0, torch.exp2(torch.ceil(torch.log2(peak))), 1.0)
    linear.weight = _parameter(power.reshape(-1, *(1,) * (linear.weight.ndim - 1)) * linear.weight, linear.weight)
    if linear.bias is not None:
        linear.bias = _parameter(power * linear.bias, linear.weight)
    dtype = linear.weight.dtype
    return GainOffset((gain / power).to(dtype), offset.to(dtype))


def _parameter(value: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(value.to(like.dtype))
