"""Functions that only move data: they run on addresses as they run on the data (axes.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurosam.deploy.tracing.axes import Value
from neurosam.deploy.tracing.calls import Call, NotExpressible
from neurosam.deploy.tracing.recording import tensors_in

__all__ = ["MOVES", "move"]

MOVES = frozenset((
    "clone",
    "__getitem__", "T", "mT", "H", "mH", "adjoint", "broadcast_tensors", "broadcast_to", "cat", "channel_shuffle",
    "chunk", "concat", "concatenate", "constant_pad_nd", "diagonal", "dsplit", "dstack", "expand", "expand_as",
    "flatten", "flip", "fliplr", "flipud", "gather", "hsplit", "hstack", "index_select", "moveaxis", "movedim",
    "narrow", "native_channel_shuffle", "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "ravel", "repeat",
    "repeat_interleave", "reshape", "reshape_as", "roll", "rot90", "select", "split", "split_with_sizes", "squeeze",
    "squeeze_", "stack", "swapaxes", "swapdims", "t", "take", "take_along_dim", "tensor_split", "tile", "transpose",
    "transpose_", "t_", "unbind", "unflatten", "unfold", "unsafe_chunk", "unsafe_split", "unsqueeze", "unsqueeze_",
    "view", "view_as", "vsplit", "vstack", "atleast_1d", "atleast_2d", "atleast_3d", "column_stack", "row_stack",
))  # fmt: skip


ORDERED = frozenset(
    ("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "ravel", "view_as", "reshape_as", "clone")
)
"""Those that leave the elements in their order."""


def move(call: Call, name: str) -> None:
    """Record a function of :data:`MOVES`, or ``x[i] = y``."""
    value = call.recording.value(call.args[0]) if call.args else None
    if name in ORDERED and value is not None and value.block is not None:
        call.recording.values[call.result] = Value(tuple(call.result.shape), value.block)
        return
    if name == "__setitem__":
        _put(call)
        return
    if (
        name == "pad"
        and call.kwargs.get("value") not in (None, 0, 0.0)
        and call.kwargs.get("mode") in (None, "constant")
    ):
        raise NotExpressible(f"pads with {call.kwargs['value']}; only zeros can be padded")
    out = call.func(*_addressed(call, call.args), **_addressed(call, call.kwargs))
    for addresses, result in zip(tensors_in(out), tensors_in(call.result), strict=True):
        call.give_moved(addresses, result)


def _addressed(call: Call, item: Any) -> Any:
    """Arguments with addresses in the place of values; constants have to be zero."""
    if isinstance(item, Tensor):
        value = call.recording.value(item)
        if value is not None:
            return value.addresses
        if item.is_floating_point():
            if bool(item.detach().any()):
                raise NotExpressible("joins values of the network with constants other than 0")
            return torch.zeros(item.shape, dtype=torch.float64)
        return item
    if isinstance(item, dict):
        return {key: _addressed(call, value) for key, value in item.items()}
    if isinstance(item, (tuple, list)):
        return type(item)(_addressed(call, x) for x in item) if type(item) in (tuple, list) else item
    return item


def _put(call: Call) -> None:
    """``x[i] = y``; the function has run already, so of a constant x only what is elsewhere has to be zero."""
    base, where, item = call.args
    value = call.recording.value(base)
    if value is None:
        rest = base.detach().clone()
        rest[where] = 0
        if bool(rest.any()):
            raise NotExpressible("puts values of the network among constants other than 0")
        addresses = torch.zeros(base.shape, dtype=torch.float64)
    else:
        addresses = value.addresses.clone()
    if isinstance(item, Tensor):
        addresses[where] = _addressed(call, item)
    elif item == 0:
        addresses[where] = 0
    else:
        raise NotExpressible(f"puts the constant {item} among values of the network; only 0 can be put there")
    call.give_moved(addresses, base)
