"""Neurons of Norse: LIF, LIFBox, IAF, LIFRefrac, LSNN, and the readouts LI, LIBox and LILinear, as cells and as layers.

The recurrent ones (LIFRecurrent, LIFRefracRecurrent, LSNNRecurrent) have two Linear inside, for input and for spikes.
With a = dt tau_mem_inv and b = dt tau_syn_inv, in the order of their own forward:

    LIF         i <- i + x,  v <- v + a (v_leak - v + i),  i <- i - b i
    LIFBox      v <- v + a (x + v_leak - v);   IAF  v <- v + x
    LSNN        as LIF, but v sees the i of the step before;
                h <- h - dt tau_adapt_inv h, and after firing h <- h + beta s
    all         s = v > v_th (+ h),  v <- (1 - s) v + s v_reset
    LI          as LIF, and never fires: its output is v

The membrane starts at ``v_leak`` (IAF: at ``v_reset``). Parameters are 0-dimensional float32 tensors unless they are
given as float64: ``dt * tau_mem_inv`` is rounded as in the module. Cells take one step and return their state; layers
take ``[T, B, ...]``. Read in Norse 1.1.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.deploy.readers.protocol import Feedback, Reading
from neurosam.deploy.readers.rules import hard_reset, layer, nearest, number, scaled, start, towards, without_equal
from neurosam.network.neuron import Readout

__all__ = ["adaptive", "box", "integrate", "integrator", "leaky", "read", "reset"]

CELLS = {
    "LIFCell": "lif",
    "LIF": "lif",
    "LIFRecurrentCell": "lif",
    "LIFRecurrent": "lif",
    "LIFRefracCell": "refractory",
    "LIFRefracRecurrentCell": "refractory",
    "LIFRefracRecurrent": "refractory",
    "LIFBoxCell": "box",
    "IAFCell": "iaf",
    "IAF": "iaf",
    "LSNNCell": "lsnn",
    "LSNN": "lsnn",
    "LSNNRecurrentCell": "lsnn",
    "LSNNRecurrent": "lsnn",
    "LICell": "li",
    "LI": "li",
    "LIBoxCell": "li",
    "LILinearCell": "li",
}


def leaky(
    mem_rate: Any, syn_rate: Any, v_leak: Any, v_th: Any, v_reset: Any, refractory: int | None = None
) -> dict[str, Any]:
    """LIF; LIFRefrac holds the membrane for `refractory` steps. A rate is ``dt * tau_inv``."""
    neuron = {
        "leak": 1 - mem_rate,
        "current_leak": 1 - syn_rate,
        "threshold": v_th,
        **hard_reset(v_reset),
        **towards(v_leak, mem_rate),
        **start(v_leak),
        **scaled(mem_rate),
    }
    return neuron if refractory is None else {**neuron, "refractory": refractory}


def adaptive(
    mem_rate: Any, syn_rate: Any, adapt_rate: Any, v_leak: Any, v_th: Any, v_reset: Any, beta: Any
) -> dict[str, Any]:
    """LSNN, which is one step behind: its membrane sees the current of the step before."""
    neuron = leaky(mem_rate, syn_rate, v_leak, v_th, v_reset)
    return {**neuron, "threshold_leak": 1 - adapt_rate, "threshold_step": beta}


def box(mem_rate: Any, v_leak: Any, v_th: Any, v_reset: Any, subtract: bool) -> dict[str, Any]:
    """LIFBox: no current."""
    return {
        "leak": 1 - mem_rate,
        "threshold": v_th,
        **({"reset": "subtract"} if subtract else hard_reset(v_reset)),
        **towards(v_leak, mem_rate),
        **start(v_leak),
        **scaled(mem_rate),
    }


def integrate(v_th: Any, v_reset: Any, initial: Any) -> dict[str, Any]:
    """IAF; `initial` is its first membrane."""
    return {"leak": 1.0, "threshold": v_th, **hard_reset(v_reset), **start(initial)}


def integrator(mem_rate: Any, syn_rate: Any | None, v_leak: Any) -> dict[str, Any]:
    """LI, as arguments of `Readout` behind weights times `mem_rate`; LIBox has no current."""
    current = {} if syn_rate is None else {"current_leak": 1 - syn_rate}
    return {"leak": 1 - mem_rate, **current, **towards(v_leak, mem_rate), **start(v_leak)}


def read(module: Any) -> Reading | None:
    """The reading of a module; None for one that is no layer of neurons."""
    from norse.torch.module import snn

    kinds = (snn.SNNCell, snn.SNN, snn.SNNRecurrentCell, snn.SNNRecurrent)
    kind = next(k.__name__ for k in type(module).__mro__ if k.__module__.startswith("norse."))
    if kind not in CELLS:
        if not isinstance(module, kinds) and not kind.endswith("Cell"):
            return None
        raise without_equal(module, "has no equivalent", _nearest(module))
    p, dt, family = module.p, module.dt, CELLS[kind]
    if getattr(getattr(p, "lif", p), "method", "super") == "adjoint":
        raise without_equal(module, 'method="adjoint" is for training', 'build it with method="super": the same spikes')
    time = "step" if kind.endswith("Cell") else "first"
    if family == "li":
        syn_rate = number(dt * p.tau_syn_inv) if hasattr(p, "tau_syn_inv") else None
        rate = number(dt * p.tau_mem_inv)
        neuron = Readout(**integrator(rate, syn_rate, number(p.v_leak)))
        weight = rate * number(module.input_weights) if hasattr(module, "input_weights") else rate
        return Reading(neuron, time=time, weight=weight)
    weights: dict[str, Any] = {}
    if hasattr(module, "recurrent_weights"):
        weights["weight"] = module.input_weights.detach().cpu().numpy().astype(np.float64)
        weights["feedback"] = Feedback(module.recurrent_weights.detach().cpu().numpy().astype(np.float64))
    return layer(_arguments(module, family), lag=int(family == "lsnn"), time=time, **weights)


def _arguments(module: Any, family: str) -> dict[str, Any]:
    p, dt = getattr(module.p, "lif", module.p), module.dt
    v_th, v_reset = number(p.v_th), number(p.v_reset)
    if family == "iaf":
        return integrate(v_th, v_reset, v_reset)
    mem_rate, v_leak = number(dt * p.tau_mem_inv), number(p.v_leak)
    if family == "box":
        return box(mem_rate, v_leak, v_th, v_reset, _subtracts(module, p.reset_method))
    syn_rate = number(dt * p.tau_syn_inv)
    if family == "lsnn":
        return adaptive(mem_rate, syn_rate, number(dt * p.tau_adapt_inv), v_leak, v_th, v_reset, number(p.beta))
    if family == "lif":
        return leaky(mem_rate, syn_rate, v_leak, v_th, v_reset)
    steps = number(module.p.rho_reset)
    if np.ndim(steps) or steps != int(steps):
        raise without_equal(module, f"rho_reset={steps}", "use one whole number of steps for the layer")
    return leaky(mem_rate, syn_rate, v_leak, v_th, v_reset, int(steps))


def _subtracts(module: Any, method: Any) -> bool:
    from norse.torch.functional.reset import reset_subtract, reset_value

    if method not in (reset_subtract, reset_value):
        raise without_equal(module, f"reset_method={method}", "use reset_value or reset_subtract")
    return bool(method is reset_subtract)


def _nearest(module: Any) -> str:
    p = getattr(module.p, "lif", module.p)
    given = {name: number(getattr(p, name, float(name == "v_th"))) for name in ("v_leak", "v_th", "v_reset")}
    rates = [number(module.dt * getattr(p, name, 100.0)) for name in ("tau_mem_inv", "tau_syn_inv")]
    return nearest(leaky(*rates, **given))


def reset(module: Any) -> None:
    """Nothing: the state is the caller's."""
