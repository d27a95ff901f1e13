"""``neurosam study``: the SAM paper's experiments on cluttered canvases, claim by claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from neurosam.cli.common import console
from neurosam.cli.learn import require_torch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(study)


def study(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write; an interrupted study goes on there.")
    ] = Path("neurosam-study"),
    quick: Annotated[bool, typer.Option("--quick", help="A small one: minutes, and weak evidence.")] = False,
    data: Annotated[str, typer.Option(help="Items for the canvases: mnist5k or fashion.")] = "mnist5k",
    seeds: Annotated[int, typer.Option(min=0, help="Trainings of everything; 0 leaves the plan's number.")] = 0,
) -> None:
    """Run every experiment of the SAM paper on cluttered canvases, with baselines, several seeds and intervals."""
    require_torch("study")
    from neurosam.study import FULL, QUICK
    from neurosam.study import study as run_study

    plan = replace(QUICK if quick else FULL, data=data)
    plan = replace(plan, seeds=seeds) if seeds else plan
    command = f"neurosam study{' --quick' if quick else ''} --data {data} --seeds {plan.seeds}"
    results = run_study(out, plan, say=lambda line: console.print(line, highlight=False), command=command)
    table = Table(title="claims, float / 8 bits on the event back end", title_justify="left")
    for column in ("experiment", "claim", "float", "8 bits"):
        table.add_column(column)
    for whole, fixed in zip(*results["verdicts"].values(), strict=True):
        table.add_row(whole["claim"]["experiment"], whole["claim"]["text"], whole["word"], fixed["word"])
    console.print(table)
    console.print(f"wrote {out / 'results.md'} and {out / 'results.json'}")
