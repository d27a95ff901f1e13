"""The synapses of a chain as torch modules, for the peers that are torch libraries; their neurons come between."""

from __future__ import annotations

from collections.abc import Callable
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


def step_by_step(
    case: PlainCase, neurons: Callable[[Layer], Callable[[Any, Any], tuple[Any, Any]]], divisor: float = 1.0
) -> Callable[[], dict[str, int]]:
    """A function that runs all layers step after step, and returns their spikes.

    Parameters
    ----------
    case : PlainCase
    neurons : function of (Layer)
        The peer's neurons for a layer, not asked for poolings: a function of (currents, state) that returns spikes and
        the next state. The first state is None.
    divisor : float
        Weights are divided by it, for a peer that takes but a share of its input.
    """
    stack = [(layer, synapses, None if layer.kind == "pool" else neurons(layer)) for layer, synapses in layers(case)]
    for _, synapses, _ in stack:
        for weight in synapses.parameters():
            weight.data /= divisor
    frames = torch.from_numpy(case.frames())

    @torch.inference_mode()
    def run() -> dict[str, int]:
        states: dict[str, Any] = {}
        spikes: dict[str, Any] = {layer.name: 0 for layer, _, _ in stack}
        for x in frames.split(1):
            for layer, synapses, own in stack:
                x = synapses(x)
                if own is not None:
                    x, states[layer.name] = own(x, states.get(layer.name))
                spikes[layer.name] += x.sum()
        return {name: int(count) for name, count in spikes.items()}

    return run


def layer_by_layer(
    case: PlainCase, neurons: Callable[[Layer], Any], fire: Callable[[Any, Any], Any]
) -> Callable[[], dict[str, int]]:
    """A function that runs every layer over all steps at once, and returns its spikes.

    Parameters
    ----------
    case : PlainCase
    neurons : function of (Layer)
        The peer's neurons for a layer; not asked for poolings.
    fire : function of (neurons, currents)
        Spikes of neurons that start from rest, all steps along the first axis.
    """
    stack = [(layer, synapses, None if layer.kind == "pool" else neurons(layer)) for layer, synapses in layers(case)]
    frames = torch.from_numpy(case.frames()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> dict[str, int]:
        x, spikes = frames, {}
        for layer, synapses, own in stack:
            x = synapses(x) if own is None else fire(own, synapses(x))
            spikes[layer.name] = int(x.sum())
        return spikes

    return run
