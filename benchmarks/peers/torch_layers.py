"""The synapses of a chain as torch modules, for the peers that are torch libraries and add their own neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from casefile import Layer, PlainCase
from harness import require_chain


def layers(case: PlainCase) -> list[tuple[Layer, Any]]:
    """Pair each layer with the module that computes its input from the spikes of the previous layer, ``[N, C, H, W]``.

    Raises
    ------
    CannotExpress
        For a recurrent case.
    """
    require_chain(case)
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
    """Return a function that runs all layers step by step and returns their spikes.

    Parameters
    ----------
    case : PlainCase
    neurons : function of (Layer)
        Called for each layer except poolings; returns the peer's neurons as a function of (currents, state) that
        returns spikes and the next state. The first state is None.
    divisor : float
        Weights are divided by it, for a peer that scales its input down.
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
            for layer, synapses, update in stack:
                x = synapses(x)
                if update is not None:
                    x, states[layer.name] = update(x, states.get(layer.name))
                spikes[layer.name] += x.sum()
        return {name: int(count) for name, count in spikes.items()}

    return run


def layer_by_layer(
    case: PlainCase, neurons: Callable[[Layer], Any], fire: Callable[[Any, Any], Any]
) -> Callable[[], dict[str, int]]:
    """Return a function that runs every layer over all steps at once and returns their spikes.

    Parameters
    ----------
    case : PlainCase
    neurons : function of (Layer)
        Called for each layer except poolings; returns the peer's neurons.
    fire : function of (neurons, currents)
        Runs neurons from rest; all steps are along the first axis.
    """
    stack = [(layer, synapses, None if layer.kind == "pool" else neurons(layer)) for layer, synapses in layers(case)]
    frames = torch.from_numpy(case.frames()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> dict[str, int]:
        x, spikes = frames, {}
        for layer, synapses, group in stack:
            x = synapses(x) if group is None else fire(group, synapses(x))
            spikes[layer.name] = int(x.sum())
        return spikes

    return run
