"""``--samples``: a number that the user gave is kept apart from a default, so that only the former is answered."""

from __future__ import annotations

import typer

from neurosam.cli.errors import report_warning
from neurosam.signals.inputs import Inputs

__all__ = ["Requested", "first_samples", "mark_requested", "report_fewer"]


class Requested(int):
    """A number that was given on the command line."""


def mark_requested(context: typer.Context, value: int | None) -> int | None:
    """Mark the value of ``--samples``, as the callback of that option."""
    source = context.get_parameter_source("samples")
    return value if value is None or source is None or source.name.startswith("DEFAULT") else Requested(value)


def report_fewer(there: int, wanted: int, what: str) -> None:
    """Say in a line that fewer are there than the user asked for."""
    if there < wanted and isinstance(wanted, Requested):
        report_warning(f"--samples {wanted:,}: there are {there:,} {what}; all of them are used")


def first_samples(inputs: Inputs, samples: int) -> Inputs:
    """Of a file of events, as many samples as the user asked for; all by default."""
    if not isinstance(samples, Requested):
        return inputs
    report_fewer(inputs.samples, samples, "samples in the events")
    return inputs.select(0, samples) if samples < inputs.samples else inputs
