"""Which neurosam neuron equals which module of a framework: its options and parameters in, arguments of `LIF` out.

README.md lists the frameworks' rules in their own order of operations. A recipe is exact in real numbers; it is exact
to the last bit where the framework adds and multiplies in the same order as `LIF`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["RECIPES", "Recipe", "recipe", "short", "text"]

UNLIMITED = 2**23 - 1
"""Spikes per step of Sinabs' MultiSpike, which has no limit: the most that `LIF` allows."""

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A neurosam neuron for a module, and how to read the module's answer.

    Parameters
    ----------
    neuron : dict
        Arguments of `LIF`, or of `Readout` if `readout`.
    readout : bool
    weight : float or (neurons,) array
        The module's weights are multiplied by this.
    lag : int
        The module is this many steps behind.
    offset : float
        The module's membrane minus ours.
    before_reset : bool
        The module returns the membrane before the reset, `LIF` after it: comparable where there is no spike.
    differs : str
        Why no neuron equals the module, if none does; then this is the nearest.
    """

    neuron: dict[str, Any]
    readout: bool = False
    weight: Any = 1.0
    lag: int = 0
    offset: float = 0.0
    before_reset: bool = False
    differs: str = ""


def scaled(gain: Any) -> dict[str, Any]:
    """Tables that multiply the input by `gain` after it is summed, which rounds once, as the frameworks do."""
    return {"gain": np.reshape(gain, (1, -1)), "offset": np.zeros((1, np.size(gain)))}


def hard_reset(value: float) -> dict[str, Any]:
    """Reset to a value; to zero by its own name."""
    return {"reset": "value", "reset_value": value} if value else {"reset": "zero"}


def towards(rest: float, rate: Any) -> dict[str, Any]:
    """A bias that pulls the membrane to `rest`."""
    return {"bias": rate * rest} if rest else {}


def start(value: float) -> dict[str, Any]:
    """Initial membrane, where it is not 0."""
    return {"initial_membrane": value} if value else {}


def leaky(o: Options, p: Options) -> Recipe:
    """Leaky of snnTorch."""
    neuron = {"leak": np.clip(p["beta"], 0, 1), "threshold": p["threshold"]}
    return _snntorch(neuron, o["reset_mechanism"], o.get("reset_delay", True))


def synaptic(o: Options, p: Options) -> Recipe:
    """Synaptic of snnTorch: its delayed reset to zero also loses the input of the step after the spike."""
    neuron = {"leak": np.clip(p["beta"], 0, 1), "threshold": p["threshold"], "current_leak": np.clip(p["alpha"], 0, 1)}
    if o["reset_mechanism"] == "zero" and o["reset_delay"]:
        return Recipe({**neuron, "reset": "zero", "refractory": 1}, before_reset=True)
    return _snntorch(neuron, o["reset_mechanism"], o["reset_delay"])


def lapicque(o: Options, p: Options) -> Recipe:
    """Lapicque of snnTorch: always delayed, and to zero as Synaptic."""
    r, c, dt = p["R"], p["C"], p["time_step"]
    neuron = {"leak": 1 - dt / (r * c), "threshold": p["threshold"], **scaled(r * (1 / (r * c)) * dt)}
    if o["reset_mechanism"] == "zero":
        return Recipe({**neuron, "reset": "zero", "refractory": 1}, before_reset=True)
    return _snntorch(neuron, o["reset_mechanism"], True)


def _snntorch(neuron: dict[str, Any], reset: str, delayed: bool) -> Recipe:
    """Not delayed, a subtraction leaves out what the step before already takes from a membrane above its threshold."""
    if reset == "none":
        return Recipe({**neuron, "reset": "none"})
    if delayed:
        return Recipe({**neuron, "reset": reset, "reset_timing": "next"})
    return Recipe({**neuron, "reset": reset, "reset_timing": "both" if reset == "subtract" else "now"})


def spikingjelly(o: Options, p: Options) -> Recipe:
    """SpikingJelly IFNode, LIFNode and ParametricLIFNode."""
    reset = o["v_reset"]
    neuron = {"leak": 1.0, "threshold": o["v_threshold"], "fires": "at"}
    neuron |= {"reset": "subtract"} if reset is None else {**hard_reset(reset), **start(reset)}
    if "decay_input" in o:
        rate = p["q"] if "q" in p else 1 / o["tau"]
        neuron |= {"leak": 1 - rate, **towards(reset or 0.0, rate)}
        if o["decay_input"]:
            neuron |= scaled(rate)
    return Recipe(neuron)


def norse_lif(o: Options, p: Options) -> Recipe:
    """Norse LIF and LIFCell, and LIFRefracCell, which holds the membrane for `rho_reset` steps."""
    rate = o["dt"] * o["tau_mem_inv"]
    neuron = {
        "leak": 1 - rate,
        "current_leak": 1 - o["dt"] * o["tau_syn_inv"],
        "threshold": o["v_th"],
        **hard_reset(o["v_reset"]),
        **towards(o["v_leak"], rate),
        **start(o["v_leak"]),
        **scaled(rate),
    }
    if "rho_reset" in o:
        neuron["refractory"] = o["rho_reset"]
    return Recipe(neuron)


def norse_box(o: Options, p: Options) -> Recipe:
    """Norse LIFBoxCell: no current."""
    rate = o["dt"] * o["tau_mem_inv"]
    reset = {"reset": "subtract"} if o["reset_method"] == "reset_subtract" else hard_reset(o["v_reset"])
    return Recipe(
        {
            "leak": 1 - rate,
            "threshold": o["v_th"],
            **reset,
            **towards(o["v_leak"], rate),
            **start(o["v_leak"]),
            **scaled(rate),
        }
    )


def norse_iaf(o: Options, p: Options) -> Recipe:
    """Norse IAFCell."""
    return Recipe({"leak": 1.0, "threshold": o["v_th"], **hard_reset(o["v_reset"])})


def norse_lsnn(o: Options, p: Options) -> Recipe:
    """Norse LSNNCell: the membrane sees the current of the step before."""
    neuron = norse_lif(o, p).neuron
    return Recipe({**neuron, "threshold_leak": 1 - o["dt"] * o["tau_adapt_inv"], "threshold_step": o["beta"]}, lag=1)


def norse_li(o: Options, p: Options) -> Recipe:
    """Norse LI."""
    rate = o["dt"] * o["tau_mem_inv"]
    neuron = {
        "leak": 1 - rate,
        "current_leak": 1 - o["dt"] * o["tau_syn_inv"],
        **towards(o["v_leak"], rate),
        **start(o["v_leak"]),
    }
    return Recipe(neuron, readout=True, weight=rate)


def sinabs(o: Options, p: Options) -> Recipe:
    """Sinabs IAF and LIF."""
    leak = p["alpha_mem"]
    neuron = {"leak": leak, "threshold": p["threshold"], "fires": "at"}
    if o["min_v_mem"] is not None:
        neuron["lower_bound"] = o["min_v_mem"]
    if o["spike_fn"] == "MultiSpike":
        neuron["max_spikes"] = UNLIMITED
    elif o["spike_fn"].startswith("MaxSpike"):
        neuron["max_spikes"] = int(o["spike_fn"][len("MaxSpike(") : -1])
    offset = 0.0
    if o["reset_fn"] == "MembraneSubtract()":
        neuron["reset"] = "subtract"
    else:  # the value is added in every step, whether the neuron fires or not
        offset = float(o["reset_fn"][len("MembraneReset(") : -1])
        neuron |= {"reset": "zero", **towards(offset, leak), **start(-offset)}
    gain = 1.0
    if o.get("norm_input"):
        gain = 1 - leak
    if "alpha_syn" in p:  # the current decays after the input is added
        neuron["current_leak"] = p["alpha_syn"]
        gain = gain * p["alpha_syn"]
    if np.any(gain != 1.0):
        neuron |= scaled(gain)
    return Recipe(neuron, offset=offset)


def sinabs_alif(o: Options, p: Options) -> Recipe:
    """Sinabs ALIF: the threshold's rise decays before firing and grows after it."""
    base, kept = sinabs(o, p), p["alpha_adapt"]
    neuron = {**base.neuron, "threshold_leak": kept, "threshold_step": (1 - kept) * o["adapt_scale"] / kept}
    return Recipe(neuron, offset=base.offset)


def rockpool(o: Options, p: Options) -> Recipe:
    """Rockpool LIFTorch: the current decays after the input is added."""
    return Recipe(
        {
            "leak": p["alpha"],
            "current_leak": p["beta"],
            "threshold": p["threshold"],
            "fires": "at",
            "reset": "subtract",
            "max_spikes": int(o["max_spikes_per_dt"]),
            "bias": p["bias"],
            **scaled(p["beta"]),
        }
    )


def xylo(o: Options, p: Options) -> Recipe:
    """The nearest float neuron to Xylo's hidden neurons, whose decays are shifts; membranes in units of the drive."""
    kept = 1 - 2.0 ** -o["dash_syn"]
    return Recipe(
        {
            "leak": 1 - 2.0 ** -o["dash_mem"],
            "current_leak": kept,
            "threshold": float(o["threshold"]),
            "fires": "at",
            "reset": "subtract",
            "max_spikes": 31,
        },
        weight=kept * 2.0 ** o["weight_shift"] * 8,  # the drive's unit is 1/8
        differs="its decays are shifts, by at least 1 towards zero",
    )


RECIPES: dict[tuple[str, str], Callable[[Options, Options], Recipe]] = {
    ("snnTorch", "Leaky"): leaky,
    ("snnTorch", "Synaptic"): synaptic,
    ("snnTorch", "Lapicque"): lapicque,
    ("SpikingJelly", "IFNode"): spikingjelly,
    ("SpikingJelly", "LIFNode"): spikingjelly,
    ("SpikingJelly", "ParametricLIFNode"): spikingjelly,
    ("Norse", "LIFCell"): norse_lif,
    ("Norse", "LIF"): norse_lif,
    ("Norse", "LIFBoxCell"): norse_box,
    ("Norse", "IAFCell"): norse_iaf,
    ("Norse", "LIFRefracCell"): norse_lif,
    ("Norse", "LSNNCell"): norse_lsnn,
    ("Norse", "LI"): norse_li,
    ("Sinabs", "IAF"): sinabs,
    ("Sinabs", "LIF"): sinabs,
    ("Sinabs", "ALIF"): sinabs_alif,
    ("Rockpool", "LIFTorch"): rockpool,
    ("Xylosim", "XyloLayer"): xylo,
}


def recipe(framework: str, module: str, options: Options, parameters: Options) -> Recipe:
    """The neuron that equals a module.

    Parameters
    ----------
    framework, module : str
    options : mapping
        Arguments of the module's constructor.
    parameters : mapping
        Values read from the module.

    Raises
    ------
    KeyError
        If there is no recipe for the module.
    """
    return RECIPES[framework, module](options, parameters)


def text(made: Recipe) -> str:
    """The neuron as it is written in Python."""
    arguments = ", ".join(f"{name}={short(value)}" for name, value in made.neuron.items())
    return f"{'Readout' if made.readout else 'LIF'}({arguments})"


def short(value: Any) -> str:
    """A number in six digits, an array as its range."""
    if isinstance(value, int | str):
        return repr(value).replace("'", '"')
    low, high = np.min(value), np.max(value)
    return f"{low:.6g}" if low == high else f"[{low:.6g} ... {high:.6g}]"
