"""The quantisation report as a table, as ``neurosam export``, ``quantise`` and ``info --full`` print it."""

from __future__ import annotations

import numpy as np

from neurosam.cli.common import say, show
from neurosam.deploy.quantisation_report import QuantisationReport

__all__ = ["show_quantisation"]


def show_quantisation(report: QuantisationReport) -> None:
    """Print a table of the quantised layers."""
    columns = ("layer", "weights", "clipped", "SNR dB", "threshold", "input", "of 2^17", "membrane", "safe steps")
    rows = [
        (
            row.population, f"{row.weight_low}..{row.weight_high}", f"{row.clipped:.2%}", f"{row.weight_snr_db:.1f}",
            row.threshold or "-", f"{row.arrival_bound:,}", f"{row.arrival_bound / 2**17:.1%}",
            f"{row.membrane_peak / 2**23:.1%}" if row.membrane_peak else "-",
            "-" if row.safe_steps is None else f"{row.safe_steps:,}",
        )
        for row in report.populations
    ]  # fmt: skip
    note = (
        "input: the largest sum of weights in a step; membrane: its peak, of 2^23; safe steps: until a membrane that "
        "goes on growing as in the calibration saturates"
    )
    if np.isfinite(report.agreement):
        note += f"\nfloat and fixed point agree on {report.agreement:.1%} of the calibration samples"
    show("quantisation", columns, rows, note=note)
    for warning in report.warnings:
        say(f"warning: {warning}")
