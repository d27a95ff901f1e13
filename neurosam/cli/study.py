"""``neurosam study``: the SAM paper's experiments on cluttered canvases, claim by claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from neurosam.cli.common import new_folder, require, say, show

__all__ = ["study"]


def study(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results and the cache.")] = Path(
        "neurosam-study"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A small one: minutes, and weak evidence.")] = False,
    data: Annotated[str, typer.Option(help="Items for the canvases: mnist5k or fashion.")] = "mnist5k",
    seeds: Annotated[
        int | None, typer.Option(min=2, help="Trainings of everything. Default: 5, quick 3.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Run the SAM paper's experiments on cluttered canvases, with baselines, several seeds and intervals.

    An interrupted study goes on where it stopped; more seeds add to those there are.
    """
    require("study", "demo", "torch", "safetensors", "matplotlib")
    new_folder(out, force, "plan.json")
    from neurosam.study import FULL, QUICK
    from neurosam.study import study as run_study

    plan = replace(QUICK if quick else FULL, data=data)
    plan = plan if seeds is None else replace(plan, seeds=seeds)
    command = f"neurosam study{' --quick' if quick else ''} --data {data} --seeds {plan.seeds}"
    try:
        results = run_study(out, plan, say=say, command=command)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {out / 'cache'}") from None
    pairs = zip(*results["verdicts"].values(), strict=True)
    rows = [(w["claim"]["experiment"], w["claim"]["text"], w["word"], f["word"]) for w, f in pairs]
    show("Claims, and what our seeds say", ("experiment", "claim", "float", "8 bits, event"), rows, left=2)
    say(f"wrote {out / 'results.md'} and {out / 'results.json'}")
