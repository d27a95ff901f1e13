"""Neurons of SpikingJelly: IFNode, LIFNode, ParametricLIFNode, the Simple ones, HalfThresholdIFNode and CUBALIFNode.

    IFNode          v <- v + x
    LIFNode         v <- v + (x - (v - v_reset)) / tau         decay_input
                    v <- v - (v - v_reset) / tau + x           not decay_input
    Parametric      likewise, with sigmoid(w) in place of 1 / tau
    CUBALIFNode     c <- c_decay c + x,  v <- v_decay v + c
    all             s = v >= v_threshold,  v <- v - s v_threshold (v_reset=None)  or  s v_reset + (1 - s) v

The membrane starts at ``v_reset`` (the Simple nodes' at 0, HalfThresholdIFNode's at half the threshold), and
``v_reset=None`` counts as 0 in the leak. In step mode "m" a node takes all steps, ``[T, B, ...]``. Its layers
(``layer.Conv2d``, ``layer.SeqToANNContainer``, ...) need no reader. Read in SpikingJelly 2.0.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.deploy.readers.protocol import Reading
from neurosam.deploy.readers.rules import hard_reset, layer, nearest, number, scaled, start, towards, without_equal

__all__ = ["current_based", "integrate", "leaky", "read", "reset"]

INTEGRATES = ("IFNode", "SimpleIFNode", "HalfThresholdIFNode")
LEAKS = ("LIFNode", "SimpleLIFNode", "ParametricLIFNode")
REASONS = {
    "QIFNode": "its membrane grows with the square of the distance to its rest",
    "EIFNode": "its membrane grows exponentially near the threshold",
    "IzhikevichNode": "its membrane is quadratic and has a recovery variable",
    "KLIFNode": "it scales and rectifies its membrane before it fires",
    "NonSpikingIFNode": "it never fires and returns a list of membranes or a reduction of it",
    "NonSpikingLIFNode": "it never fires and returns a list of membranes or a reduction of it",
}


def integrate(threshold: float, v_reset: float | None, initial: float | None = None) -> dict[str, Any]:
    """IFNode; `initial` where the membrane does not start at the reset value."""
    return {"leak": 1.0, "threshold": threshold, "fires": "at", **_reset(v_reset, initial)}


def leaky(
    rate: Any, decay_input: bool, threshold: float, v_reset: float | None, initial: float | None = None
) -> dict[str, Any]:
    """LIFNode (`rate` is 1 / tau) and ParametricLIFNode (sigmoid(w))."""
    neuron = {**integrate(threshold, v_reset, initial), "leak": 1 - rate, **towards(v_reset or 0.0, rate)}
    return neuron | scaled(rate) if decay_input else neuron


def current_based(c_decay: float, v_decay: float, threshold: float, v_reset: float | None) -> dict[str, Any]:
    """CUBALIFNode."""
    return {**integrate(threshold, v_reset), "leak": v_decay, "current_leak": c_decay}


def _reset(v_reset: float | None, initial: float | None) -> dict[str, Any]:
    if v_reset is None:
        return {"reset": "subtract", **start(initial or 0.0)}
    return {**hard_reset(v_reset), **start(v_reset if initial is None else initial)}


def read(module: Any) -> Reading | None:
    """The reading of a module; None for one that is no layer of neurons."""
    from spikingjelly.activation_based import neuron

    ours = [kind for kind in type(module).__mro__ if kind.__module__.startswith(neuron.__name__)]
    if not ours or not ours[0].__name__.endswith(("Node", "PSN", "FlexSN")):
        return None
    kind = ours[0].__name__
    if kind not in (*INTEGRATES, *LEAKS, "CUBALIFNode"):
        raise without_equal(module, REASONS.get(kind, "has no equivalent"), _nearest(module))
    surrogate = module.surrogate_function
    if not getattr(surrogate, "spiking", True):
        raise without_equal(module, "sends the surrogate's values", "set its surrogate_function.spiking = True")
    threshold, v_reset = float(module.v_threshold), module.v_reset
    if kind == "CUBALIFNode":
        arguments = current_based(module.c_decay, module.v_decay, threshold, v_reset)
    elif kind in LEAKS:
        rate = number(module.w.sigmoid()) if kind == "ParametricLIFNode" else 1 / module.tau
        initial = 0.0 if kind == "SimpleLIFNode" else None
        arguments = leaky(rate, module.decay_input, threshold, v_reset, initial)
    else:
        initial = {"SimpleIFNode": 0.0, "HalfThresholdIFNode": threshold / 2}.get(kind)
        arguments = integrate(threshold, v_reset, initial)
    return layer(arguments, time="first" if module.step_mode == "m" else "step")


def _nearest(module: Any) -> str:
    """A leaky neuron with the module's own constants, as far as it has them."""
    threshold = number(getattr(module, "v_threshold", 1.0))
    threshold = threshold if np.ndim(threshold) == 0 and threshold > 0 else 1.0
    v_reset, tau = getattr(module, "v_reset", 0.0), getattr(module, "tau", None)
    arguments = leaky(1 / tau, True, threshold, v_reset) if isinstance(tau, float) else integrate(threshold, v_reset)
    return nearest(arguments)


def reset(module: Any) -> None:
    """Put the membrane back to its first value."""
    if hasattr(module, "reset"):
        module.reset()
