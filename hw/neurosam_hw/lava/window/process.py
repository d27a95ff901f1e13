"""Window: passes only spikes that arrive in the presentation in which they were sent.

A projection with lag l delivers at own step t the spikes that its source sent at ``t - l``. If presentations follow
each other, or neurons are active before own step 0, spikes from the end of the previous presentation or from before
the start would arrive in the first l steps of the target; the Window blocks them. It takes no step.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

__all__ = ["Window"]


class Window(AbstractProcess):
    """A gate in the source's own time.

    Parameters
    ----------
    shape : tuple of int
    lag : int
        Messages of the last `lag` steps of each interval are blocked, and so are those before own step 0.
    reset_interval, reset_offset : int
        Those of the source; own step 0 is Lava's step `reset_offset`.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], lag: int, reset_interval: int, reset_offset: int, name: str | None = None
    ) -> None:
        super().__init__(shape=shape, lag=lag, reset_interval=reset_interval, reset_offset=reset_offset, name=name)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
