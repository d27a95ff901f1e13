"""NIR's own equations in steps: by Euler's rule, or solved for an input that is constant within the step.

    LIF      tau dv/dt = (v_leak - v) + r x                    z = v > v_threshold, then v = v_reset
    CubaLIF  tau_syn di/dt = -i + w_in x,  tau_mem dv/dt = (v_leak - v) + r i                       likewise
    IF       dv/dt = r x                                                                            likewise
    LI, CubaLI, I    the same without spikes: the membrane is the output

Euler: ``v <- v + dt/tau (...)``. Exact: ``v <- v_inf + exp(-dt/tau) (v - v_inf)`` with ``v_inf = v_leak + r x``; of a
CubaLIF, the current first, and then the membrane with that current.
"""

from __future__ import annotations

from neurosam.formats.nir.parameters import Cell, Parameters, Values, hard_reset, one
from neurosam.network.neuron import LIF, Readout

__all__ = ["Euler", "Exact"]


class Euler:
    """Euler's rule, and what all presets have in common: one method for each type of node.

    Attributes
    ----------
    dt : float or None
        Step in seconds; None if it has to be given, or is found in the nodes.
    rule : str
        In words, for the network's metadata.
    finds_dt : bool
        Whether `step` finds the step in a node.
    soft_timing : str
        When the framework's soft reset, which NIR cannot say, acts by default.
    """

    dt: float | None = None
    rule = "v += dt/tau ((v_leak - v) + r x); v > v_threshold; v = v_reset"
    finds_dt = False
    soft_timing = "now"

    def step(self, p: Parameters) -> float:
        """The step that a node says, for a source that `finds_dt`."""
        raise NotImplementedError

    def share(self, p: Parameters, tau: str) -> Values:
        """What a step forgets: ``dt / tau``."""
        return p.rate(tau)

    def lif(self, p: Parameters) -> Cell:
        """LIF."""
        share = self.share(p, "tau")
        return Cell(LIF(1 - share, p.v_threshold, bias=share * p.v_leak, **hard_reset(p.v_reset)), one(p.r * share))

    def cuba_lif(self, p: Parameters) -> Cell:
        """CubaLIF."""
        synapse, membrane = self.share(p, "tau_syn"), self.share(p, "tau_mem")
        reset = hard_reset(p.v_reset)
        neuron = LIF(1 - membrane, p.v_threshold, bias=membrane * p.v_leak, current_leak=1 - synapse, **reset)
        return Cell(neuron, one(one(p.w_in * synapse) * one(p.r * membrane)))

    def integrate_fire(self, p: Parameters) -> Cell:
        """IF."""
        return Cell(LIF(1.0, p.v_threshold, **hard_reset(p.v_reset)), one(p.r * p.dt))

    def leaky(self, p: Parameters) -> Cell:
        """LI."""
        share = self.share(p, "tau")
        return Cell(Readout(share * p.v_leak, 1 - share), one(p.r * share))

    def cuba_leaky(self, p: Parameters) -> Cell:
        """CubaLI."""
        synapse, membrane = self.share(p, "tau_syn"), self.share(p, "tau_mem")
        readout = Readout(membrane * p.v_leak, 1 - membrane, 1 - synapse)
        return Cell(readout, one(one(p.w_in * synapse) * one(p.r * membrane)))

    def integrator(self, p: Parameters) -> Cell:
        """I."""
        return Cell(Readout(), one(p.r * p.dt))


class Exact(Euler):
    """Solved exactly for an input that is constant within the step."""

    rule = "v = v_leak + exp(-dt/tau) (v - v_leak) + (1 - exp(-dt/tau)) r x; v > v_threshold; v = v_reset"

    def share(self, p: Parameters, tau: str) -> Values:
        """What a step forgets: ``1 - exp(-dt / tau)``."""
        return 1 - p.decay(tau)
