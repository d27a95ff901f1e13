"""SpikeTrace: the state of a spike activation map, updated only when its neuron spikes.

With trace X, n spikes so far, and ``dt`` steps since the last one, a spike at own step t emits the contribution
score and updates the trace (neurosam.network.trace):

    decayed = (X * K[dt]) >> shift                     float: X * exp(-gamma * dt)
    strict      emit decayed                                                        X <- decayed + impulse
    inclusive   emit decayed + impulse                                              X <- decayed + impulse
    official    emit decayed + impulse + (((t + 1 - n) * impulse * K[t]) >> shift)  X <- decayed + impulse

A neuron that fires s times in one step adds s impulses, and sends s times the score (neurosam.network.trace).

The score is sent as a graded spike; a Conv of ones sums it over channels one step later. A score of 0 sends no message,
which makes no difference to the sum.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["SpikeTrace"]


class SpikeTrace(AbstractProcess):
    """One trace per neuron.

    Parameters
    ----------
    shape : tuple of int
        Shape of the neurons.
    trace : SamTrace or FixedSamTrace
        Float, or integers: table K, shift, impulse.
    reset_interval, reset_offset : int
        Those of the neurons; the traces restart with them.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], trace: SamTrace | FixedSamTrace, reset_interval: int, reset_offset: int,
        name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            shape=shape, sam_trace=trace, reset_interval=reset_interval, reset_offset=reset_offset, name=name
        )
        table = trace.table if isinstance(trace, FixedSamTrace) else np.zeros(1)
        self.s_in = InPort(shape=shape)
        self.ncs_out = OutPort(shape=shape)
        self.table = Var(shape=table.shape, init=table)
        self.trace = Var(shape=shape, init=0)
        self.last = Var(shape=shape, init=0)
        self.count = Var(shape=shape, init=0)
