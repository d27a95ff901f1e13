"""The step and the discretisation of a NIR file, which it does not hold: one preset for each framework.

NIR describes neurons in continuous time: ``tau dv/dt = (v_leak - v) + r x``, a spike where ``v > v_threshold``, then
``v = v_reset``. What a framework computes from that differs: the same file gives 0, 4 or 60 spikes. A preset does what
the framework's own importer and neurons do (versions: docs/bring/nir.md), in the precision of the file's arrays. What
the importer refuses or would drop in silence is refused here.

    snntorch      dt 1e-4   leak 1 - dt/tau; the threshold is divided by r dt/tau; v > threshold, to 0
    spikingjelly  dt 1e-4   leak 1 - dt/tau, input times dt/tau or 1; v >= threshold, to v_reset, where it starts
    norse         dt 1e-3   leak 1 - dt/tau, input times dt/tau; v > threshold, to 0; starts at v_leak
    sinabs        dt 1      leak exp(-dt/tau), input times 1; any number of spikes v // threshold, minus as many thresholds
    rockpool      from r    leak exp(-dt/tau), input times 1 (a current: exp(-dt/tau_syn)); spikes as Sinabs; v_leak is a bias
    lava          dt 1e-4   leak 1 - dt/tau, input times r dt/tau; v > threshold, to 0
    euler         dt asked  the same, to v_reset: NIR's equations, by Euler's rule
    exact         dt asked  leak exp(-dt/tau), input times r (1 - exp(-dt/tau)): NIR's equations, solved for an input that
                            is constant within the step (a CubaLIF: the current first, then the membrane)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.formats.nir.drawing import Node
from neurosam.network.neuron import LIF, Readout
from neurosam.network.parameters import MAX_SPIKES

__all__ = ["SOURCES", "Cell", "Parameters", "Source", "resetting"]

Values = npt.NDArray[Any]

ROCKPOOL_SPIKES = 2**16
CLOSE = 1e-6
"""Relative difference up to which a factor is taken as 1: parameters are stored in float32."""


@dataclass(frozen=True)
class Cell:
    """A layer of neurons, and what its input is multiplied by."""

    neuron: LIF | Readout
    gain: Any = 1.0


@dataclass(frozen=True)
class Parameters:
    """Fields of a node of neurons, each an array that broadcasts to the layer; `dt` in the unit of its time constants."""

    node: Node
    values: Mapping[str, Values]
    dt: float

    def __getattr__(self, name: str) -> Values:
        return self.values[name]

    def rate(self, tau: str) -> Values:
        """``dt / tau``; refused above 1, where Euler's rule is unstable."""
        self._positive(tau)
        rate: Values = self.dt / self.values[tau]
        if (rate > 1 + CLOSE).any():
            raise self.node.error(
                f"has {tau} {self.values[tau].min():g}, less than the step dt of {self.dt:g}: a leak below 0; give a "
                "smaller dt (Norse 1.1 writes dt * tau instead of tau: dt is then the square of its step)"
            )
        return np.minimum(rate, rate.dtype.type(1))

    def decay(self, tau: str) -> Values:
        """``exp(-dt / tau)``."""
        self._positive(tau)
        decay: Values = np.exp(-self.dt / self.values[tau])
        return decay

    def _positive(self, tau: str) -> None:
        if (self.values[tau] <= 0).any():
            raise self.node.error(f"has {tau} {self.values[tau].min():g}; a time constant is above 0")

    def must(self, name: str, value: float | Values, framework: str) -> None:
        """Refuse a parameter that a framework's importer refuses or drops."""
        if name in self.values and not np.allclose(self.values[name], value, rtol=CLOSE, atol=1e-12):
            wanted = f"{np.ravel(value)[0]:g}"
            raise self.node.error(
                f"has {name} {np.ravel(self.values[name])[0]:g}; {framework}'s importer takes it as {wanted}. Give "
                "source='euler' to have it as NIR defines it"
            )

    def refused(self, framework: str, why: str) -> Any:
        """Refuse a type of node that a framework does not run."""
        raise self.node.error(f"is not run by {framework} ({why}); give source='euler' or 'exact'")


Rule = Callable[[Parameters], Cell]


@dataclass(frozen=True)
class Source:
    """A preset: how each type of node is stepped.

    Parameters
    ----------
    dt : float or None
        Step in seconds (Sinabs: in steps); None if it has to be given.
    rule : str
        In words, for the network's metadata.
    lif, cuba_lif, integrate_fire, leaky, cuba_leaky, integrator : function
        Of the parameters of a LIF, CubaLIF, IF, LI, CubaLI or I.
    step : function, optional
        The step where none is given, from the parameters.
    """

    dt: float | None
    rule: str
    lif: Rule
    cuba_lif: Rule
    integrate_fire: Rule
    leaky: Rule
    cuba_leaky: Rule
    integrator: Rule
    step: Callable[[Parameters], float] | None = None


def one(gain: Any) -> Any:
    """A gain that is 1 within the rounding of float32 is 1."""
    return 1.0 if np.allclose(gain, 1.0, rtol=0, atol=CLOSE) else gain


def hard(value: Values) -> dict[str, Any]:
    """A reset to `value`, to zero by its own name."""
    return {"reset": "value", "reset_value": value} if value.any() else {"reset": "zero"}


# NIR's equations by Euler's rule; also what Lava's LIF computes


def euler_lif(p: Parameters) -> Cell:
    rate = p.rate("tau")
    return Cell(LIF(1 - rate, p.v_threshold, bias=rate * p.v_leak, **hard(p.v_reset)), one(p.r * rate))


def euler_cuba_lif(p: Parameters) -> Cell:
    synapse, membrane = p.rate("tau_syn"), p.rate("tau_mem")
    neuron = LIF(
        1 - membrane, p.v_threshold, bias=membrane * p.v_leak, current_leak=1 - synapse, **hard(p.v_reset)
    )  # fmt: skip
    return Cell(neuron, one(one(p.w_in * synapse) * one(p.r * membrane)))


def euler_if(p: Parameters) -> Cell:
    return Cell(LIF(1.0, p.v_threshold, **hard(p.v_reset)), one(p.r * p.dt))


def euler_li(p: Parameters) -> Cell:
    rate = p.rate("tau")
    return Cell(Readout(rate * p.v_leak, 1 - rate), one(p.r * rate))


def euler_cuba_li(p: Parameters) -> Cell:
    synapse, membrane = p.rate("tau_syn"), p.rate("tau_mem")
    return Cell(
        Readout(membrane * p.v_leak, 1 - membrane, 1 - synapse), one(one(p.w_in * synapse) * one(p.r * membrane))
    )


def euler_i(p: Parameters) -> Cell:
    return Cell(Readout(), one(p.r * p.dt))


# NIR's equations, solved exactly for a constant input


def exact_lif(p: Parameters) -> Cell:
    leak = p.decay("tau")
    return Cell(LIF(leak, p.v_threshold, bias=(1 - leak) * p.v_leak, **hard(p.v_reset)), one(p.r * (1 - leak)))


def exact_cuba_lif(p: Parameters) -> Cell:
    synapse, membrane = p.decay("tau_syn"), p.decay("tau_mem")
    bias = (1 - membrane) * p.v_leak
    neuron = LIF(membrane, p.v_threshold, bias=bias, current_leak=synapse, **hard(p.v_reset))
    return Cell(neuron, one(p.w_in * (1 - synapse) * p.r * (1 - membrane)))


def exact_li(p: Parameters) -> Cell:
    leak = p.decay("tau")
    return Cell(Readout((1 - leak) * p.v_leak, leak), one(p.r * (1 - leak)))


def exact_cuba_li(p: Parameters) -> Cell:
    synapse, membrane = p.decay("tau_syn"), p.decay("tau_mem")
    readout = Readout((1 - membrane) * p.v_leak, membrane, synapse)
    return Cell(readout, one(p.w_in * (1 - synapse) * p.r * (1 - membrane)))


# snnTorch: Leaky and Synaptic with reset to zero in the same step


def snntorch_lif(p: Parameters) -> Cell:
    p.must("v_leak", 0.0, "snnTorch")
    p.must("v_reset", 0.0, "snnTorch")
    rate = p.rate("tau")
    scale = p.r * rate
    threshold = p.v_threshold if np.allclose(scale, 1.0) else p.v_threshold / scale
    return Cell(LIF(1 - rate, threshold, reset="zero"))


def snntorch_cuba_lif(p: Parameters) -> Cell:
    for name in ("v_leak", "v_reset"):
        p.must(name, 0.0, "snnTorch")
    synapse, membrane = p.rate("tau_syn"), p.rate("tau_mem")
    p.must("r", p.tau_mem / p.dt, "snnTorch")
    scale = p.w_in * synapse
    threshold = p.v_threshold if np.allclose(scale, 1.0) else p.v_threshold / scale
    return Cell(LIF(1 - membrane, threshold, reset="zero", current_leak=1 - synapse))


def snntorch_if(p: Parameters) -> Cell:
    cell: Cell = p.refused("snnTorch", "its importer makes a Leaky with beta 0.9 of it")
    return cell


# SpikingJelly: IFNode, LIFNode, CUBALIFNode with a hard reset


def _spikingjelly(p: Parameters, leak: Values | float, **options: Any) -> LIF:
    start = {"initial_membrane": p.v_reset} if p.v_reset.any() else {}
    return LIF(leak, p.v_threshold, fires="at", **hard(p.v_reset), **start, **options)


def _spikingjelly_rate(p: Parameters, tau: str) -> Values:
    """In float64, in which its importer computes, whatever the file has."""
    p.rate(tau)
    return np.minimum(p.dt / p.values[tau].astype(np.float64), 1.0)


def spikingjelly_lif(p: Parameters) -> Cell:
    rate = _spikingjelly_rate(p, "tau")
    p.must("v_leak", p.v_reset, "SpikingJelly")
    gain = one(p.r * rate)
    if np.ndim(gain):  # not 1, so it has to be decay_input
        p.must("r", 1.0, "SpikingJelly")
        gain = rate
    bias = {"bias": rate * p.v_leak} if p.v_leak.any() else {}
    return Cell(_spikingjelly(p, 1 - rate, **bias), gain)


def spikingjelly_cuba_lif(p: Parameters) -> Cell:
    synapse, membrane = _spikingjelly_rate(p, "tau_syn"), _spikingjelly_rate(p, "tau_mem")
    p.must("v_leak", 0.0, "SpikingJelly")
    p.must("r", p.tau_mem / p.dt, "SpikingJelly")
    p.must("w_in", p.tau_syn / p.dt, "SpikingJelly")
    return Cell(_spikingjelly(p, 1 - membrane, current_leak=1 - synapse))


def spikingjelly_if(p: Parameters) -> Cell:
    p.must("r", 1.0 / p.dt, "SpikingJelly")
    return Cell(_spikingjelly(p, 1.0))


# Norse: LIFBoxCell behind an LIBoxCell for a CubaLIF; IAFCell


def _norse_rate(p: Parameters, tau: str) -> Values:
    p.rate(tau)
    return p.dt * (1 / p.values[tau])


def norse_lif(p: Parameters) -> Cell:
    p.must("r", 1.0, "Norse")
    p.must("v_reset", 0.0, "Norse")
    rate = _norse_rate(p, "tau")
    rest = {"bias": rate * p.v_leak, "initial_membrane": p.v_leak} if p.v_leak.any() else {}
    return Cell(LIF(1 - rate, p.v_threshold, reset="zero", **rest), rate)


def norse_cuba_lif(p: Parameters) -> Cell:
    p.must("v_leak", 0.0, "Norse")
    p.must("v_reset", 0.0, "Norse")
    synapse, membrane = _norse_rate(p, "tau_syn"), _norse_rate(p, "tau_mem")
    neuron = LIF(1 - membrane, p.v_threshold, reset="zero", current_leak=1 - synapse)
    return Cell(neuron, one(p.w_in * synapse * p.r * membrane))


def norse_if(p: Parameters) -> Cell:
    p.must("r", 1.0, "Norse")
    p.must("v_reset", 0.0, "Norse")
    return Cell(LIF(1.0, p.v_threshold, reset="zero"))


# Sinabs: LIF and IAF with any number of spikes per step; time constants are in steps


def _multiple(p: Parameters, leak: Values | float, most: int, **options: Any) -> LIF:
    return LIF(leak, p.v_threshold, fires="at", max_spikes=most, **options)


def sinabs_lif(p: Parameters) -> Cell:
    for name, value in (("v_leak", 0.0), ("r", 1.0), ("v_reset", 0.0)):
        p.must(name, value, "Sinabs")
    return Cell(_multiple(p, p.decay("tau"), MAX_SPIKES))


def sinabs_if(p: Parameters) -> Cell:
    for name, value in (("r", 1.0), ("v_reset", 0.0)):
        p.must(name, value, "Sinabs")
    return Cell(_multiple(p, 1.0, MAX_SPIKES, lower_bound=-p.v_threshold))


def sinabs_li(p: Parameters) -> Cell:
    for name, value in (("v_leak", 0.0), ("r", 1.0)):
        p.must(name, value, "Sinabs")
    return Cell(Readout(leak=p.decay("tau")))


def sinabs_cuba(p: Parameters) -> Cell:
    cell: Cell = p.refused("Sinabs", "its importer knows LIF, IF and LI")
    return cell


# Rockpool: LIFNeuronTorch and LIFTorch, whose current decays after the input is added


def rockpool_step(p: Parameters) -> float:
    """The step, as the importer finds it from r, which the exporter set to tau exp(-dt/tau) / dt."""
    tau = p.values.get("tau", p.values.get("tau_mem"))
    return float((tau / (1 + p.r)).min())


def rockpool_lif(p: Parameters) -> Cell:
    p.must("v_reset", 0.0, "Rockpool")
    return Cell(_multiple(p, p.decay("tau"), ROCKPOOL_SPIKES, bias=p.v_leak))


def rockpool_cuba_lif(p: Parameters) -> Cell:
    p.must("v_reset", 0.0, "Rockpool")
    p.must("w_in", 1.0, "Rockpool")
    synapse = p.decay("tau_syn")
    neuron = _multiple(p, p.decay("tau_mem"), ROCKPOOL_SPIKES, current_leak=synapse, bias=p.v_leak)
    return Cell(neuron, synapse)


def rockpool_li(p: Parameters) -> Cell:
    p.must("v_leak", 0.0, "Rockpool")
    leak = p.decay("tau")
    return Cell(Readout(leak=leak), leak)


def rockpool_other(p: Parameters) -> Cell:
    cell: Cell = p.refused("Rockpool", "its importer knows LIF, CubaLIF and LI")
    return cell


def lava_lif(p: Parameters) -> Cell:
    p.must("v_reset", 0.0, "Lava")
    return euler_lif(p)


def lava_cuba_lif(p: Parameters) -> Cell:
    p.must("v_reset", 0.0, "Lava")
    return euler_cuba_lif(p)


def lava_if(p: Parameters) -> Cell:
    p.must("v_reset", 0.0, "Lava")
    p.must("r", 1.0, "Lava")
    return Cell(LIF(1.0, p.v_threshold, reset="zero"))


def resetting(source: Source, reset: str, timing: str) -> Source:
    """The same preset for neurons that are reset in another way, which NIR cannot say."""

    def changed(rule: Rule) -> Rule:
        def apply(p: Parameters) -> Cell:
            cell = rule(p)
            if not isinstance(cell.neuron, LIF):
                return cell
            neuron = replace(cell.neuron, reset=reset, reset_value=None, reset_amount=None, reset_timing=timing)
            return Cell(neuron, cell.gain)

        return apply

    return replace(
        source,
        rule=f"{source.rule}; but reset={reset!r} ({timing!r})",
        lif=changed(source.lif),
        cuba_lif=changed(source.cuba_lif),
        integrate_fire=changed(source.integrate_fire),
    )


EULER = "v += dt/tau ((v_leak - v) + r x)"

SOURCES: Mapping[str, Source] = {
    "snntorch": Source(
        1e-4, "v = (1 - dt/tau) v + x; v > v_threshold / (r dt/tau); v = 0",
        snntorch_lif, snntorch_cuba_lif, snntorch_if, euler_li, euler_cuba_li, euler_i,
    ),
    "spikingjelly": Source(
        1e-4, f"{EULER}; v >= v_threshold; v = v_reset",
        spikingjelly_lif, spikingjelly_cuba_lif, spikingjelly_if, euler_li, euler_cuba_li, euler_i,
    ),
    "norse": Source(
        1e-3, f"{EULER} with r = 1, from v_leak; v > v_threshold; v = 0",
        norse_lif, norse_cuba_lif, norse_if, euler_li, euler_cuba_li, euler_i,
    ),
    "sinabs": Source(
        1.0, "v = exp(-dt/tau) v + x; s = v // v_threshold; v -= s v_threshold",
        sinabs_lif, sinabs_cuba, sinabs_if, sinabs_li, sinabs_cuba, euler_i,
    ),
    "rockpool": Source(
        None, "v = exp(-dt/tau) v + x + v_leak; s = v // v_threshold; v -= s v_threshold",
        rockpool_lif, rockpool_cuba_lif, rockpool_other, rockpool_li, rockpool_other, rockpool_other, rockpool_step,
    ),
    "lava": Source(
        1e-4, f"{EULER}; v > v_threshold; v = 0",
        lava_lif, lava_cuba_lif, lava_if, euler_li, euler_cuba_li, euler_i,
    ),
    "euler": Source(
        None, f"{EULER}; v > v_threshold; v = v_reset",
        euler_lif, euler_cuba_lif, euler_if, euler_li, euler_cuba_li, euler_i,
    ),
    "exact": Source(
        None, "v = v_leak + exp(-dt/tau) (v - v_leak) + (1 - exp(-dt/tau)) r x; v > v_threshold; v = v_reset",
        exact_lif, exact_cuba_lif, euler_if, exact_li, exact_cuba_li, euler_i,
    ),
}  # fmt: skip
