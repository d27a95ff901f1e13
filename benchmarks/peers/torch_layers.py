"""The synapses of a chain as torch modules, for the peers that are torch libraries; their neurons come between."""

from __future__ import annotations

from typing import Any

import torch

from casefile import Layer, PlainCase
from harness import CannotExpress


def layers(case: PlainCase) -> list[tuple[Layer, Any]]:
    """Each layer with the module that computes its input from the spikes of the layer below, ``[N, C, H, W]``.

    Raises
    ------
    CannotExpress
        For a recurrent case: dense libraries would multiply a matrix of 10^8 weights in every step.
    """
    if case.recurrent:
        raise CannotExpress("no sparse recurrent layer; a dense one would have 10^8 weights")
    out: list[tuple[Layer, Any]] = []
    for layer in case.layers:
        if layer.kind == "pool":
            out.append((layer, torch.nn.MaxPool2d(2)))
            continue
        weight = torch.from_numpy(layer.values)
        if layer.kind == "conv":
            module: Any = torch.nn.Conv2d(
                weight.shape[1], weight.shape[0], 3, layer.stride, layer.padding, bias=False
            ).to(memory_format=torch.channels_last)
        else:
            module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        module.weight.data.copy_(weight)
        out.append((layer, torch.nn.Sequential(torch.nn.Flatten(1), module) if layer.kind == "dense" else module))
    return out
