"""The quantisation report as a table, as ``neurosam export``, ``quantise`` and ``info --full`` print it."""

from __future__ import annotations

from neurosam.cli.common import say, show
from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.report.tables import quantisation_table

__all__ = ["show_quantisation"]


def show_quantisation(report: QuantisationReport) -> None:
    """Print a table of the quantised layers."""
    table = quantisation_table(report)
    show(table.heading, table.columns, table.rows, note=table.note)
    for warning in report.warnings:
        say(f"warning: {warning}")
