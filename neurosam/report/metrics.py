"""NeuroBench's metrics as a table of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosam.report.model import Cell, Table

__all__ = ["neurobench_table"]

UNITS = {"Footprint": "bytes"}


def neurobench_table(metrics: Mapping[str, Any]) -> Table:
    """A row for each number of :func:`neurosam.metrics.neurobench`; parts and layers are named behind a colon."""
    rows: list[tuple[Cell, ...]] = []
    for metric, value in metrics.items():
        unit = f" ({UNITS[metric]})" if metric in UNITS else ""
        parts = value if isinstance(value, Mapping) else {"": value}
        rows += [(f"{metric}{unit}" + (f": {part}" if part else ""), number) for part, number in parts.items()]
    return Table("NeuroBench", ("metric", "value"), rows, "operations and updates are averages over samples")
