"""Window: lets through what belongs to the presentation that will receive it.

A projection with lag l delivers at own step t what its source sent at ``t - l``. Where presentations follow each
other, or neurons stir before their own step 0, the last or earlier spikes of the source would arrive in the first l
steps of its target; they stop here. It takes no step.
"""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

__all__ = ["Window"]


class Window(AbstractProcess):
    """A gate on the source's own time.

    Parameters
    ----------
    shape : tuple of int
    lag : int
        Messages of the last `lag` steps of each interval are stopped, and those before own step 0.
    reset_interval, reset_offset : int
        The source's; own step 0 is Lava's step `reset_offset`.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], lag: int, reset_interval: int, reset_offset: int, name: str | None = None
    ) -> None:
        super().__init__(shape=shape, lag=lag, reset_interval=reset_interval, reset_offset=reset_offset, name=name)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
