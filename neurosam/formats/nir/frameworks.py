"""How frameworks compute a step of what a NIR file holds: as their own importers and neurons do, in their precision.

What an importer refuses, or would drop in silence, is refused here. Read in the source of the versions that
docs/bring/nir.md names, and held against them by benchmarks/nir_files.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from neurosam.formats.nir.equations import Euler
from neurosam.formats.nir.parameters import Cell, Parameters, Values, hard_reset, one
from neurosam.network.neuron import LIF, Readout
from neurosam.network.parameters import MAX_SPIKES

__all__ = ["Lava", "Norse", "Rockpool", "Sinabs", "SnnTorch", "SpikingJelly"]


def refuse(p: Parameters, framework: str, why: str) -> NoReturn:
    """Refuse a type of node that a framework does not run."""
    raise p.node.error(f"is not run by {framework} ({why}); give source 'euler' or 'exact'")


class SnnTorch(Euler):
    """Leaky and Synaptic, reset to zero in the same step; the threshold is divided by the gain of the input."""

    dt = 1e-4
    rule = "v = (1 - dt/tau) v + x; v > v_threshold / (r dt/tau); v = 0"
    soft_timing = "next"

    def lif(self, p: Parameters) -> Cell:
        """LIF, as Leaky."""
        self._check(p)
        share = p.rate("tau")
        return Cell(LIF(1 - share, self._threshold(p, p.r * share), reset="zero"))

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF, as Synaptic."""
        self._check(p)
        p.must("r", p.tau_mem / p.dt, "snnTorch")
        synapse, membrane = p.rate("tau_syn"), p.rate("tau_mem")
        threshold = self._threshold(p, p.w_in * synapse)
        return Cell(LIF(1 - membrane, threshold, reset="zero", current_leak=1 - synapse))

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF."""
        refuse(p, "snnTorch", "its importer makes a Leaky with beta 0.9 of it")

    @staticmethod
    def _threshold(p: Parameters, gain: Values) -> Values:
        scaled: Values = p.v_threshold if np.allclose(gain, 1.0) else p.v_threshold / gain
        return scaled

    @staticmethod
    def _check(p: Parameters) -> None:
        p.must("v_leak", 0.0, "snnTorch")
        p.must("v_reset", 0.0, "snnTorch")


class SpikingJelly(Euler):
    """IFNode, LIFNode and CUBALIFNode with a hard reset; parameters in float64."""

    dt = 1e-4
    rule = "v += dt/tau ((v_leak - v) + r x), from v_reset; v >= v_threshold; v = v_reset"

    def share(self, p: Parameters, tau: str) -> Values:
        """``dt / tau`` in float64, whatever the file has."""
        p.rate(tau)
        return np.minimum(p.dt / p.values[tau].astype(np.float64), 1.0)

    def lif(self, p: Parameters) -> Cell:
        """LIF, as LIFNode: its input decays, too, unless r is tau / dt."""
        share = self.share(p, "tau")
        p.must("v_leak", p.v_reset, "SpikingJelly")
        gain = one(p.r * share)
        if np.ndim(gain):
            p.must("r", 1.0, "SpikingJelly")
            gain = share
        return Cell(self._neuron(p, 1 - share, bias=share * p.v_leak), gain)

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF, as CUBALIFNode."""
        p.must("v_leak", 0.0, "SpikingJelly")
        p.must("r", p.tau_mem / p.dt, "SpikingJelly")
        p.must("w_in", p.tau_syn / p.dt, "SpikingJelly")
        return Cell(self._neuron(p, 1 - self.share(p, "tau_mem"), current_leak=1 - self.share(p, "tau_syn")))

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF, as IFNode."""
        p.must("r", 1.0 / p.dt, "SpikingJelly")
        return Cell(self._neuron(p, 1.0))

    @staticmethod
    def _neuron(p: Parameters, leak: Values | float, **options: Any) -> LIF:
        reset = hard_reset(p.v_reset)
        return LIF(leak, p.v_threshold, fires="at", initial_membrane=p.v_reset, **reset, **options)


class Norse(Euler):
    """LIFBoxCell, behind an LIBoxCell for a CubaLIF, and IAFCell; its importer drops r and v_reset of a LIF."""

    dt = 1e-3
    rule = "v += dt/tau ((v_leak - v) + x), from v_leak; v > v_threshold; v = 0"

    def share(self, p: Parameters, tau: str) -> Values:
        """``dt * (1 / tau)``, as Norse rounds it."""
        p.rate(tau)
        share: Values = p.dt * (1 / p.values[tau])
        return share

    def lif(self, p: Parameters) -> Cell:
        """LIF, as LIFBoxCell."""
        p.must("r", 1.0, "Norse")
        p.must("v_reset", 0.0, "Norse")
        share = self.share(p, "tau")
        neuron = LIF(1 - share, p.v_threshold, reset="zero", bias=share * p.v_leak, initial_membrane=p.v_leak)
        return Cell(neuron, share)

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF, as an LIBoxCell and a LIFBoxCell."""
        p.must("v_leak", 0.0, "Norse")
        p.must("v_reset", 0.0, "Norse")
        synapse, membrane = self.share(p, "tau_syn"), self.share(p, "tau_mem")
        neuron = LIF(1 - membrane, p.v_threshold, reset="zero", current_leak=1 - synapse)
        return Cell(neuron, p.w_in * synapse * p.r * membrane)

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF, as IAFCell."""
        p.must("r", 1.0, "Norse")
        p.must("v_reset", 0.0, "Norse")
        return Cell(LIF(1.0, p.v_threshold, reset="zero"))


class Sinabs(Euler):
    """LIF and IAF with any number of spikes per step; time constants are in steps."""

    dt = 1.0
    rule = "v = exp(-dt/tau) v + x; s = v // v_threshold; v -= s v_threshold"

    def lif(self, p: Parameters) -> Cell:
        """LIF."""
        self._check(p, "v_leak", "v_reset")
        return Cell(LIF(p.decay("tau"), p.v_threshold, fires="at", max_spikes=MAX_SPIKES))

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF, as IAF, whose membrane stays above -v_threshold."""
        self._check(p, "v_reset")
        lower = -p.v_threshold
        return Cell(LIF(1.0, p.v_threshold, fires="at", max_spikes=MAX_SPIKES, lower_bound=lower))

    def leaky(self, p: Parameters) -> Cell:
        """LI, as ExpLeak."""
        self._check(p, "v_leak")
        return Cell(Readout(leak=p.decay("tau")))

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF."""
        refuse(p, "Sinabs", "its importer knows LIF, IF and LI")

    cuba_leaky = integrator = cuba_lif

    @staticmethod
    def _check(p: Parameters, *zero: str) -> None:
        for name in zero:
            p.must(name, 0.0, "Sinabs")
        p.must("r", 1.0, "Sinabs")


class Rockpool(Euler):
    """LIFNeuronTorch, and LIFTorch, whose current decays after the input is added; v_leak is a bias."""

    rule = "v = exp(-dt/tau) v + x + v_leak; s = v // v_threshold; v -= s v_threshold"
    finds_dt = True
    most = 2**16

    def step(self, p: Parameters) -> float:
        """As the importer finds it from r, which the exporter set to ``tau exp(-dt / tau) / dt``."""
        tau = p.values["tau" if "tau" in p.values else "tau_mem"]
        return float((tau / (1 + p.r)).min())

    def lif(self, p: Parameters) -> Cell:
        """LIF, as LIFNeuronTorch."""
        return Cell(self._neuron(p, p.decay("tau")))

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF, as LIFTorch."""
        p.must("w_in", 1.0, "Rockpool")
        synapse = p.decay("tau_syn")
        return Cell(self._neuron(p, p.decay("tau_mem"), current_leak=synapse), synapse)

    def leaky(self, p: Parameters) -> Cell:
        """LI, as ExpSynTorch."""
        p.must("v_leak", 0.0, "Rockpool")
        leak = p.decay("tau")
        return Cell(Readout(leak=leak), leak)

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF."""
        refuse(p, "Rockpool", "its importer knows LIF, CubaLIF and LI")

    cuba_leaky = integrator = integrate_fire

    def _neuron(self, p: Parameters, leak: Values, **options: Any) -> LIF:
        p.must("v_reset", 0.0, "Rockpool")
        return LIF(leak, p.v_threshold, fires="at", max_spikes=self.most, bias=p.v_leak, **options)


class Lava(Euler):
    """Lava's LIF process in float, as the NIR paper's script builds it: NIR's equations, reset to zero only."""

    dt = 1e-4
    rule = "v += dt/tau ((v_leak - v) + r x); v > v_threshold; v = 0"

    def lif(self, p: Parameters) -> Cell:
        """LIF."""
        p.must("v_reset", 0.0, "Lava")
        return super().lif(p)

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF."""
        p.must("v_reset", 0.0, "Lava")
        return super().cuba_lif(p)

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF: x is added as it is."""
        p.must("v_reset", 0.0, "Lava")
        p.must("r", 1.0, "Lava")
        return Cell(LIF(1.0, p.v_threshold, reset="zero"))
