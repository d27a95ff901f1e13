"""Models of SpikeTrace; the cost of a step grows with its number of spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam.arithmetic import contribution
from neurosam_hw.lava.dynamics import OwnTime
from neurosam_hw.lava.spike_trace.process import SpikeTrace


class _Trace(OwnTime, PyLoihiProcessModel):
    """Base of both number formats: updates the traces of the neurons that spike."""

    s_in: Any = None
    ncs_out: Any = None
    trace: Any = None
    last: Any = LavaPyType(np.ndarray, np.int64)
    count: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.sam = proc_params["sam_trace"]

    def faded(self, held: npt.NDArray[Any], steps: npt.NDArray[np.int64]) -> Any:
        """Traces `held` after `steps` steps of decay."""
        raise NotImplementedError

    @property
    def one(self) -> Any:
        """Value of a spike."""
        raise NotImplementedError

    def run_spk(self) -> None:
        """Run one step."""
        spikes = self.s_in.recv()
        t = self.own_step
        if t == 0:
            self.trace[:] = 0
            self.last[:] = 0
            self.count[:] = 0
        scores = np.zeros(self.trace.shape, dtype=self.trace.dtype)
        at = np.nonzero(spikes) if t >= 0 else ()
        if at and at[0].size:
            scores[at] = self._touch(at, t, spikes[at])
        self.ncs_out.send(scores)

    def _touch(self, at: tuple[npt.NDArray[np.int64], ...], t: int, s: Any) -> Any:
        """Return the scores of the neurons that spike, `s` times each, and update their traces."""
        decayed = self.faded(self.trace[at], t - self.last[at])
        left = decayed + s * self.one
        self.trace[at] = left
        self.last[at] = t
        self.count[at] += 1
        if self.sam.mode == "strict":
            return s * decayed
        if self.sam.mode == "inclusive":
            return s * left
        silent = (t + 1 - self.count[at]) * self.one
        return s * (left + self.faded(silent, np.full(silent.shape, t)))


@implements(proc=SpikeTrace, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySpikeTraceFloat(_Trace):
    """In float64."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    ncs_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    table: Any = LavaPyType(np.ndarray, float)
    trace: Any = LavaPyType(np.ndarray, float)

    def faded(self, held: npt.NDArray[Any], steps: npt.NDArray[np.int64]) -> Any:
        """``held * exp(-gamma * steps)``."""
        return held * np.exp(-self.sam.gamma * steps)

    @property
    def one(self) -> float:
        """1."""
        return 1.0


@implements(proc=SpikeTrace, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeTraceFixed(_Trace):
    """In integers, with the decay table."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    ncs_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    table: Any = LavaPyType(np.ndarray, np.int64, precision=17)
    trace: Any = LavaPyType(np.ndarray, np.int64, precision=24)

    def faded(self, held: npt.NDArray[Any], steps: npt.NDArray[np.int64]) -> Any:
        """``(held * K[steps]) >> shift``; the last entry of the table extends it."""
        return contribution(held, self.table[np.minimum(steps, self.table.size - 1)], self.sam.shift)

    @property
    def one(self) -> int:
        """The impulse."""
        return int(self.sam.impulse)
