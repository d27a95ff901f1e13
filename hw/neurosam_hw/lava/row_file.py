"""The file of an instrument: one row per Lava step, memory-mapped."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RowFile"]


class RowFile:
    """A model that writes one row per step to the NumPy file ``path`` of its Process."""

    time_step: int

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]  # the next class is Lava's model
        self.rows = np.lib.format.open_memmap(proc_params["path"], mode="r+")

    def write_row(self, values: Any) -> None:
        """Write the row of the current step; steps beyond the end of the file are not recorded."""
        if self.time_step <= len(self.rows):
            self.rows[self.time_step - 1] = values
