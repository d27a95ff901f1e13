"""Neurons of Sinabs: IAF, LIF, ALIF, ExpLeak, their Squeeze forms, and IAFRecurrent and LIFRecurrent.

    i <- alpha_syn (i + x)                      if tau_syn is given; otherwise i = x
    v <- alpha v + i, or (1 - alpha) i          norm_input;  alpha = exp(-1 / tau_mem), 1 for IAF
    s = (v > 0) trunc(v / theta)                MultiSpike; at most n for MaxSpike(n); v >= theta for SingleSpike
    v <- v - s theta                            MembraneSubtract()
    v <- v (s == 0) + r, in every step          MembraneReset(r)
    v <- max(v, min_v_mem)
    ALIF        theta = b0 + adapt_scale b,  after firing b <- alpha_adapt b + (1 - alpha_adapt) s
    ExpLeak     as LIF, and never fires: its output is v

Layers take ``[B, T, ...]``, their Squeeze forms ``[B * T, ...]``. Read in Sinabs 3.1.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.deploy.readers.protocol import Feedback, Reading
from neurosam.deploy.readers.rules import UNLIMITED, layer, nearest, number, scaled, start, towards, without_equal
from neurosam.network.neuron import Readout

__all__ = ["adaptive", "leaky", "offset_of", "read", "reset", "resize"]

FIRES = ("IAF", "LIF", "ALIF", "IAFSqueeze", "LIFSqueeze", "ALIFSqueeze", "IAFRecurrent", "LIFRecurrent")


def leaky(
    leak: Any,
    threshold: Any,
    *,
    max_spikes: int,
    reset_to: float | None,
    reset_amount: float | None = None,
    lower_bound: float | None = None,
    norm_input: bool = False,
    current_leak: Any | None = None,
) -> dict[str, Any]:
    """IAF and LIF.

    Parameters
    ----------
    leak, current_leak
        The module's alpha_mem and alpha_syn.
    max_spikes : int
        1 for SingleSpike, :data:`UNLIMITED` for MultiSpike.
    reset_to : float or None
        Of MembraneReset; None for MembraneSubtract.
    """
    neuron = {"leak": leak, "threshold": threshold, "fires": "at"}
    if lower_bound is not None:
        neuron["lower_bound"] = lower_bound - offset_of(reset_to)
    if max_spikes != 1:
        neuron["max_spikes"] = max_spikes
    if reset_to is None:
        neuron["reset"] = "subtract"
        if reset_amount is not None:
            neuron["reset_amount"] = reset_amount
    else:  # the value is added in every step, whether the neuron fires or not
        neuron |= {"reset": "zero", **towards(reset_to, leak), **start(-reset_to)}
    gain = 1 - leak if norm_input else 1.0
    if current_leak is not None:  # the current decays after the input is added
        neuron["current_leak"] = current_leak
        gain = gain * current_leak
    return neuron | scaled(gain) if np.any(gain != 1.0) else neuron


def offset_of(reset_to: float | None) -> float:
    """The module's membrane minus ours."""
    return 0.0 if reset_to is None else reset_to


def adaptive(kept: Any, adapt_scale: float, **rule: Any) -> dict[str, Any]:
    """ALIF: the threshold's rise decays before firing and grows after it; `kept` is alpha_adapt."""
    return {**leaky(**rule), "threshold_leak": kept, "threshold_step": (1 - kept) * adapt_scale / kept}


def read(module: Any) -> Reading | None:
    """The reading of a module; None for one that is no layer of neurons."""
    from sinabs import layers

    if not isinstance(module, layers.StatefulLayer):
        return None
    kind = next(k.__name__ for k in type(module).__mro__ if k.__module__.startswith("sinabs."))
    time = "folded" if isinstance(module, layers.SqueezeMixin) else "second"
    leak, low = number(module.alpha_mem_calculated), module.min_v_mem
    if kind in ("ExpLeak", "ExpLeakSqueeze"):
        if low is not None:
            raise without_equal(module, f"has min_v_mem={number(low):g}", "leave it None: a readout has no lower bound")
        return Reading(Readout(leak=leak), time=time, weight=1 - leak if module.norm_input else 1.0)
    if kind not in FIRES:
        remedy = nearest(leaky(leak, 1.0, max_spikes=UNLIMITED, reset_to=None))
        raise without_equal(module, "has no equivalent", remedy)
    rule = _rule(module, leak)
    if kind.startswith("ALIF"):
        rule["threshold"] = number(module.b0)
        if rule["norm_input"] and "current_leak" in rule:  # its current is scaled in place, in every step
            rule |= {"norm_input": False, "current_leak": rule["current_leak"] * (1 - leak)}
        arguments = adaptive(number(module.alpha_adapt_calculated), number(module.adapt_scale), **rule)
    else:
        arguments = leaky(**rule)
    return layer(arguments, time=time, feedback=_feedback(module) if kind.endswith("Recurrent") else None)


def _rule(module: Any, leak: Any) -> dict[str, Any]:
    """Arguments of :func:`leaky`, from the module's functions and parameters."""
    from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike

    rule: dict[str, Any] = {"leak": leak, "norm_input": module.norm_input, "reset_to": None}
    if hasattr(module, "spike_threshold"):
        rule["threshold"] = number(module.spike_threshold)
    if module.spike_fn is SingleSpike:
        rule["max_spikes"] = 1
    elif module.spike_fn is MultiSpike or isinstance(module.spike_fn, MaxSpike):
        rule["max_spikes"] = getattr(module.spike_fn, "max_num_spikes_per_bin", None) or UNLIMITED
    else:
        raise without_equal(module, f"has spike_fn={module.spike_fn}", "use SingleSpike, MaxSpike(n) or MultiSpike")
    if isinstance(module.reset_fn, MembraneReset):
        rule["reset_to"] = float(module.reset_fn.reset_value)
    elif isinstance(module.reset_fn, MembraneSubtract):
        rule["reset_amount"] = module.reset_fn.subtract_value
    else:
        raise without_equal(module, f"has reset_fn={module.reset_fn}", "use MembraneSubtract or MembraneReset")
    if rule.get("reset_amount") is not None and rule["max_spikes"] > 1:
        reason = "counts spikes in thresholds and subtracts another amount for each"
        raise without_equal(module, reason, "use MembraneSubtract() without a value, or SingleSpike")
    if module.min_v_mem is not None:
        rule["lower_bound"] = low = number(module.min_v_mem)
        if np.any(low > offset_of(rule["reset_to"])):
            raise without_equal(module, "has min_v_mem above its reset value", "choose one that is not above it")
    if module.alpha_syn_calculated is not None:
        rule["current_leak"] = number(module.alpha_syn_calculated)
    return rule


def _feedback(module: Any) -> Feedback:
    inner = module.rec_connect
    if not hasattr(inner, "weight"):
        remedy = "use one Linear or Conv2d without a bias"
        raise without_equal(module, f"has rec_connect={type(inner).__name__}", remedy)
    if inner.bias is not None:
        reason = "adds the bias of rec_connect in all steps but the first"
        raise without_equal(module, reason, "build it with bias=False")
    return Feedback(inner.weight.detach().cpu().numpy().astype(np.float64))


def resize(module: Any, steps: int, samples: int) -> None:
    """Make a Squeeze layer take ``[samples * steps, ...]``: it has one of the two inside."""
    if hasattr(module, "num_timesteps"):
        module.batch_size, module.num_timesteps = samples, steps


def reset(module: Any) -> None:
    """Empty the states."""
    if hasattr(module, "reset_states"):
        module.reset_states()
