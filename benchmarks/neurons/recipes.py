"""Which neurosam neuron equals which module of a framework: its options and parameters in, arguments of `LIF` out.

README.md lists the frameworks' rules in their own order of operations. A recipe is exact in real numbers; it is exact
to the last bit where the framework adds and multiplies in the same order as `LIF`. The rules themselves are those by
which modules are read: neurosam/deploy/readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neurosam.deploy.readers import norse, sinabs, snntorch, spikingjelly
from neurosam.deploy.readers.rules import UNLIMITED, scaled, written

__all__ = ["RECIPES", "Recipe", "recipe", "text"]

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


def leaky(o: Options, p: Options) -> Recipe:
    """Leaky of snnTorch."""
    return Recipe(snntorch.leaky(p["beta"], p["threshold"], o["reset_mechanism"], o.get("reset_delay", True)))


def synaptic(o: Options, p: Options) -> Recipe:
    """Synaptic of snnTorch."""
    neuron = snntorch.synaptic(p["alpha"], p["beta"], p["threshold"], o["reset_mechanism"], o["reset_delay"])
    return Recipe(neuron, before_reset="refractory" in neuron)


def lapicque(o: Options, p: Options) -> Recipe:
    """Lapicque of snnTorch."""
    neuron = snntorch.lapicque(p["R"], p["C"], p["time_step"], p["threshold"], o["reset_mechanism"])
    return Recipe(neuron, before_reset="refractory" in neuron)


def jelly(o: Options, p: Options) -> Recipe:
    """SpikingJelly IFNode, LIFNode and ParametricLIFNode."""
    if "decay_input" not in o:
        return Recipe(spikingjelly.integrate(o["v_threshold"], o["v_reset"]))
    rate = p["q"] if "q" in p else 1 / o["tau"]
    return Recipe(spikingjelly.leaky(rate, o["decay_input"], o["v_threshold"], o["v_reset"]))


def norse_lif(o: Options, p: Options) -> Recipe:
    """Norse LIF and LIFCell, and LIFRefracCell, which holds the membrane for `rho_reset` steps."""
    rates = o["dt"] * o["tau_mem_inv"], o["dt"] * o["tau_syn_inv"]
    return Recipe(norse.leaky(*rates, o["v_leak"], o["v_th"], o["v_reset"], o.get("rho_reset")))


def norse_box(o: Options, p: Options) -> Recipe:
    """Norse LIFBoxCell: no current."""
    subtracts = o["reset_method"] == "reset_subtract"
    return Recipe(norse.box(o["dt"] * o["tau_mem_inv"], o["v_leak"], o["v_th"], o["v_reset"], subtracts))


def norse_iaf(o: Options, p: Options) -> Recipe:
    """Norse IAFCell, whose runs start at 0."""
    return Recipe(norse.integrate(o["v_th"], o["v_reset"], 0.0))


def norse_lsnn(o: Options, p: Options) -> Recipe:
    """Norse LSNNCell: the membrane sees the current of the step before."""
    rates = [o["dt"] * o[name] for name in ("tau_mem_inv", "tau_syn_inv", "tau_adapt_inv")]
    return Recipe(norse.adaptive(*rates, o["v_leak"], o["v_th"], o["v_reset"], o["beta"]), lag=1)


def norse_li(o: Options, p: Options) -> Recipe:
    """Norse LI."""
    rate = o["dt"] * o["tau_mem_inv"]
    return Recipe(norse.integrator(rate, o["dt"] * o["tau_syn_inv"], o["v_leak"]), readout=True, weight=rate)


def sinabs_lif(o: Options, p: Options) -> Recipe:
    """Sinabs IAF and LIF."""
    rule = _sinabs(o, p)
    return Recipe(sinabs.leaky(**rule), offset=sinabs.offset_of(rule["reset_to"]))


def sinabs_alif(o: Options, p: Options) -> Recipe:
    """Sinabs ALIF: the threshold's rise decays before firing and grows after it."""
    rule = _sinabs(o, p)
    neuron = sinabs.adaptive(p["alpha_adapt"], o["adapt_scale"], **rule)
    return Recipe(neuron, offset=sinabs.offset_of(rule["reset_to"]))


def _sinabs(o: Options, p: Options) -> dict[str, Any]:
    spike_fn, reset_fn = o["spike_fn"], o["reset_fn"]
    limits = {"SingleSpike": 1, "MultiSpike": UNLIMITED}
    return {
        "leak": p["alpha_mem"],
        "threshold": p["threshold"],
        "max_spikes": limits[spike_fn] if spike_fn in limits else int(spike_fn[len("MaxSpike(") : -1]),
        "reset_to": None if reset_fn == "MembraneSubtract()" else float(reset_fn[len("MembraneReset(") : -1]),
        "lower_bound": o["min_v_mem"],
        "norm_input": o.get("norm_input", False),
        "current_leak": p.get("alpha_syn"),
    }


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
    ("SpikingJelly", "IFNode"): jelly,
    ("SpikingJelly", "LIFNode"): jelly,
    ("SpikingJelly", "ParametricLIFNode"): jelly,
    ("Norse", "LIFCell"): norse_lif,
    ("Norse", "LIF"): norse_lif,
    ("Norse", "LIFBoxCell"): norse_box,
    ("Norse", "IAFCell"): norse_iaf,
    ("Norse", "LIFRefracCell"): norse_lif,
    ("Norse", "LSNNCell"): norse_lsnn,
    ("Norse", "LI"): norse_li,
    ("Sinabs", "IAF"): sinabs_lif,
    ("Sinabs", "LIF"): sinabs_lif,
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
    return written("Readout" if made.readout else "LIF", made.neuron)
