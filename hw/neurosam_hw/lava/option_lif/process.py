"""OptionLIF: neurons with all options of a network's LIF, by the rule that all back ends share (network/dynamics.py).

For what Lava's own Processes do not have: firing at the threshold, a reset to a value or none, a reset one step late, a
lower bound, a refractory period, an adaptive threshold, several spikes in one step (sent as a graded spike), and a
state to start from. It also counts where membranes saturate and sums wrap around.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from neurosam.network.fixed_neuron import Neuron
from neurosam.network.precision import Precision

__all__ = ["OptionLIF"]


class OptionLIF(AbstractProcess):
    """Neurons of a population.

    Ports: ``a_in``; ``s_out`` (how often each neuron fires) and ``v_out`` (its membrane after the reset).

    Parameters
    ----------
    shape : tuple of int
    neuron : LIF, Readout, FixedLIF or FixedReadout
    precision : Precision, optional
        Of integer neurons.
    reset_interval, reset_offset : int
        As for SoftLIF; neurons rest before own step 0, which is Lava's step `reset_offset`.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], neuron: Neuron, precision: Precision | None, reset_interval: int,
        reset_offset: int, name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            shape=shape, neuron=neuron, precision=precision, reset_interval=reset_interval,
            reset_offset=reset_offset, name=name,
        )  # fmt: skip
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.counted = Var(shape=(2,), init=0)
        """Membranes that saturated, and sums that wrapped, in this step."""
