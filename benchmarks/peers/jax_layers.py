"""A chain in JAX, for the peers that are JAX libraries and add their own neurons to convolutions and matrices of XLA.

There are two arrangements, each one compiled program: step by step, a `lax.scan` over all layers, or layer by layer, in
which only the neurons are a scan. The faster one is used. Images are ``[T, H, W, C]``, which XLA prefers on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from casefile import Layer, PlainCase
from harness import named, require_chain

TRIALS = 3
"""Runs of each arrangement, of which the fastest counts."""


class Neurons(NamedTuple):
    """The neurons of a layer in the terms of `lax.scan`.

    Parameters
    ----------
    rest : any
        State at rest.
    step : function of (state, currents)
        Returns the next state and the spikes.
    """

    rest: Any
    step: Callable[[Any, Any], tuple[Any, Any]]


def fastest(
    case: PlainCase, neurons: Callable[[Layer, tuple[int, ...]], Neurons], lag: int = 0
) -> Callable[[], dict[str, int]]:
    """Compile a chain in both arrangements; return the one that takes less time, which returns the spikes by layer.

    Parameters
    ----------
    case : PlainCase
    neurons : function of (Layer, shape)
        Called for each layer except poolings, with the shape of its currents, channels last.
    lag : int
        Steps by which the peer's spikes come later than the currents. As many more steps are run, and spikes are
        counted in each layer's own time.

    Raises
    ------
    CannotExpress
        For a recurrent case.
    """
    require_chain(case)
    weights, stack, source = [], [], case.shape
    for layer in case.layers:
        weights.append(_channels_last(layer, source))
        shape = (*layer.shape[1:], layer.shape[0])
        stack.append((layer, None if layer.kind == "pool" else neurons(layer, shape)))
        source = layer.shape
    arguments = jax.device_put((weights, np.moveaxis(case.frames(), 1, -1)))

    def compiled(counts: Callable[..., Any]) -> Callable[[], dict[str, int]]:
        program = jax.jit(lambda weights, x: counts(stack, weights, x, lag)).lower(*arguments).compile()
        return lambda: {layer.name: int(n) for layer, n in zip(case.layers, np.asarray(program(*arguments)))}

    runs = [named(compiled(_step_by_step), "step by step"), named(compiled(_layer_by_layer), "layer by layer")]
    return min(runs, key=_time)


def _step_by_step(stack: list[tuple[Layer, Any]], weights: list[Any], x: Any, lag: int) -> Any:
    """Count the spikes of each layer; one scan over steps runs all layers."""
    steps = len(x)
    first = np.cumsum([lag * (neurons is not None) for _, neurons in stack])

    def step(states: list[Any], x: Any) -> tuple[list[Any], Any]:
        after, counts = [], []
        for (layer, neurons), weight, state in zip(stack, weights, states):
            x = _synapses(layer, weight, x[None])[0]
            if neurons is not None:
                state, x = neurons.step(state, x)
            after.append(state)
            counts.append(x.sum(dtype=jnp.int32))
        return after, jnp.stack(counts)

    rest = [None if neurons is None else neurons.rest for _, neurons in stack]
    counts = lax.scan(step, rest, _padded(x, first[-1]))[1]
    return jnp.stack([counts[start : start + steps, k].sum() for k, start in enumerate(first)])


def _layer_by_layer(stack: list[tuple[Layer, Any]], weights: list[Any], x: Any, lag: int) -> Any:
    """Count the spikes of each layer; a layer runs over all steps at once, with a scan for its neurons alone."""
    counts = []
    for (layer, neurons), weight in zip(stack, weights):
        x = _synapses(layer, weight, x)
        if neurons is not None:
            x = lax.scan(neurons.step, neurons.rest, _padded(x, lag))[1][lag:]
        counts.append(x.sum(dtype=jnp.int32))
    return jnp.stack(counts)


def _padded(x: Any, steps: int) -> Any:
    return jnp.concatenate([x, jnp.zeros((steps, *x.shape[1:]), x.dtype)]) if steps else x


def _channels_last(layer: Layer, source: tuple[int, ...]) -> Any:
    """Weights of a convolution as ``(3, 3, I, O)``, or of a matrix as ``(sources, O)``, sources channels last."""
    if layer.kind == "pool":
        return np.float32(1)
    if layer.kind == "conv":
        return layer.values.transpose(2, 3, 1, 0)
    return np.moveaxis(layer.values.reshape(-1, *source), 1, -1).reshape(layer.size, -1).T


def _synapses(layer: Layer, weight: Any, x: Any) -> Any:
    """Compute the input of a layer from the spikes of the previous layer, or the spikes of a pooling."""
    if layer.kind == "pool":
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    if layer.kind == "conv":
        window = (layer.stride,) * 2, ((layer.padding,) * 2,) * 2
        return lax.conv_general_dilated(x, weight, *window, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return x.reshape(len(x), -1) @ weight


def _time(run: Callable[[], Any]) -> float:
    """Fastest of a few runs, in s; the first run is not measured."""
    times = []
    for _ in range(TRIALS + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times[1:])
