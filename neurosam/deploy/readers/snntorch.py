"""Neurons of snnTorch: Leaky, Synaptic, Lapicque, Alpha, and RLeaky and RSynaptic with their recurrent synapses.

In the order of their own forward (p: whether the membrane that is carried over is above the threshold):

    Leaky        v <- beta v + x - p theta             "subtract";    v <- beta (1 - p) v + x        "zero"
    Synaptic     u <- alpha u + x, then v as above with u in place of x; "zero" sets v to 0 after integrating,
                 so that the step after a spike loses its input; RLeaky and Lapicque do the same
    Lapicque     v <- x R / (R C) dt + (1 - dt / (R C)) v, otherwise as Leaky
    Alpha        e <- alpha e + x,  i <- beta i - x,  v <- tau (e + i) = tau (alpha - beta) (alpha, beta filtered) x,
                 one step later; tau = ln(alpha) / (ln(beta) - ln(alpha)) + 1
    all          s = v > theta

``reset_delay=False`` then takes what p has not: ``v <- v - (s - p) theta``. The reset is the one that was chosen when
the module was built: ``state_function``, not ``reset_mechanism_val``, which a state dict of another network overwrites.
Read in snnTorch 1.0.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.deploy.readers.protocol import Feedback, Reading
from neurosam.deploy.readers.rules import layer, nearest, number, scaled, without_equal

__all__ = ["alpha", "lapicque", "leaky", "read", "recurrent_leaky", "reset", "synaptic"]

RESETS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
MEMBRANES = {"Leaky": 1, "Lapicque": 1, "RLeaky": 1, "Synaptic": 2, "RSynaptic": 2, "Alpha": 3}
"""Position of the membrane among the outputs."""


def leaky(beta: Any, threshold: Any, reset: str, delayed: bool = True) -> dict[str, Any]:
    """Leaky."""
    return {"leak": np.clip(beta, 0, 1), "threshold": threshold, **_timing(reset, delayed)}


def recurrent_leaky(beta: Any, threshold: Any, reset: str, delayed: bool = True) -> dict[str, Any]:
    """RLeaky: its delayed reset to zero also loses the input of the step after the spike."""
    neuron = {"leak": np.clip(beta, 0, 1), "threshold": threshold}
    return {**neuron, **(_losing(reset) if delayed else _timing(reset, delayed))}


def synaptic(alpha: Any, beta: Any, threshold: Any, reset: str, delayed: bool = True) -> dict[str, Any]:
    """Synaptic and RSynaptic."""
    neuron = {"leak": np.clip(beta, 0, 1), "threshold": threshold, "current_leak": np.clip(alpha, 0, 1)}
    return {**neuron, **(_losing(reset) if delayed else _timing(reset, delayed))}


def lapicque(r: Any, c: Any, dt: Any, threshold: Any, reset: str) -> dict[str, Any]:
    """Lapicque: always delayed."""
    return {
        "leak": number(1 - dt / (r * c)),
        "threshold": threshold,
        **scaled(number(r * (1 / (r * c)) * dt)),
        **_losing(reset),
    }


def alpha(alpha: Any, beta: Any, threshold: Any, reset: str = "none") -> dict[str, Any]:
    """Alpha without a reset: two filters in a row, one step later."""
    alpha, beta = np.clip(alpha, 0, 1), np.clip(beta, 0, 1)
    tau = np.log(alpha) / (np.log(beta) - np.log(alpha)) + 1
    neuron = {"leak": beta, "threshold": threshold, "current_leak": alpha, "reset": reset}
    return {**neuron, **scaled(tau * (alpha - beta))}


def _losing(reset: str) -> dict[str, Any]:
    return {"reset": "zero", "refractory": 1} if reset == "zero" else _timing(reset, True)


def _timing(reset: str, delayed: bool) -> dict[str, Any]:
    """Not delayed, a subtraction leaves out what the step before already takes from a membrane above its threshold."""
    if reset == "none":
        return {"reset": "none"}
    if delayed:
        return {"reset": reset, "reset_timing": "next"}
    return {"reset": reset, "reset_timing": "both" if reset == "subtract" else "now"}


def read(module: Any) -> Reading | None:
    """The reading of a module; None for one that is no layer of neurons."""
    from snntorch import LeakyParallel, SpikingNeuron

    if not isinstance(module, (SpikingNeuron, LeakyParallel)):
        return None
    kind = next(kind.__name__ for kind in type(module).__mro__ if kind.__module__.startswith("snntorch."))
    if kind in MEMBRANES:
        return _read(module, kind)
    if kind in ("SpikingNeuron", "LIF"):
        raise without_equal(module, "is a neuron of your own", "register a reader for it")
    if hasattr(module, "beta"):
        threshold = number(getattr(module, "threshold", 1.0))
        raise without_equal(module, "has no equivalent", nearest(leaky(number(module.beta), threshold, "none")))
    raise without_equal(module, "is not a leaky integrate-and-fire neuron", "use Leaky or Synaptic in its place")


def _read(module: Any, kind: str) -> Reading:
    _refuse_options(module)
    reset, delayed = RESETS[module.state_function.__name__], getattr(module, "reset_delay", True)
    if not delayed and reset != list(RESETS.values())[int(module.reset_mechanism_val)]:
        reason = f"was built with reset_mechanism={reset!r}, and its state dict has another"
        raise without_equal(module, reason, "build it with the reset_mechanism that it was trained with")
    threshold = number(module.threshold)
    feedback = _feedback(module) if kind in ("RLeaky", "RSynaptic") else None
    if kind == "Lapicque":
        arguments = lapicque(module.R, module.C, module.time_step, threshold, reset)
    elif kind == "Alpha":
        return _alpha(module, reset, threshold)
    elif kind == "Leaky":
        arguments = leaky(number(module.beta), threshold, reset, delayed)
    elif kind == "RLeaky":
        arguments = recurrent_leaky(number(module.beta), threshold, reset, delayed)
    else:
        if kind == "RSynaptic" and not delayed:
            raise without_equal(module, "ignores reset_delay=False", "build it with reset_delay=True: the same spikes")
        arguments = synaptic(number(module.alpha), number(module.beta), threshold, reset, delayed)
    # where our reset is earlier, its membrane of the step of a spike is not the module's
    late = arguments["reset"] == "none" or "reset_timing" in arguments
    return layer(arguments, membrane=MEMBRANES[kind] if late else None, feedback=feedback)


def _alpha(module: Any, reset: str, threshold: Any) -> Reading:
    values = number(module.alpha), number(module.beta), threshold
    if reset != "none":
        reason = f"reset_mechanism={reset!r} changes its two currents as well, which no LIF does"
        raise without_equal(module, reason, f"{nearest(alpha(*values, reset))}, one step later")
    return layer(alpha(*values), lag=1)


def _refuse_options(module: Any) -> None:
    factor = number(module.graded_spikes_factor)
    if np.any(factor != 1.0):
        remedy = "leave it 1 and multiply the next layer's weights"
        raise without_equal(module, f"graded_spikes_factor={factor} sends values", remedy)
    if module.inhibition:
        raise without_equal(module, "inhibition=True lets one neuron of a layer fire", "train it with inhibition=False")
    if module.state_quant:
        remedy = "leave it False and give ns.export a precision, which quantises weights and states"
        raise without_equal(module, "state_quant rounds its states to floats", remedy)


def _feedback(module: Any) -> Feedback:
    """The recurrent Linear, Conv2d, or one weight for each neuron."""
    inner = module.recurrent
    if hasattr(inner, "weight"):
        bias = 0.0 if inner.bias is None else inner.bias.detach().cpu().numpy().astype(np.float64)
        return Feedback(inner.weight.detach().cpu().numpy().astype(np.float64), bias)
    return Feedback(number(inner.V))


def reset(module: Any) -> None:
    """Empty the membrane and the currents."""
    if hasattr(module, "reset_mem"):
        module.reset_mem()
