"""``python -m neurosam_study.trace_bits -o FOLDER``: train what is missing, record, measure, and write the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.memory import keep_freed_memory
from neurosam.cli.common import say
from neurosam.cli.errors import report_errors
from neurosam.errors import DataError
from neurosam_study.plan import ITEMS
from neurosam_study.presets import plan_for
from neurosam_study.trace_bits.measure import measure
from neurosam_study.trace_bits.nets import benches
from neurosam_study.trace_bits.report import write
from neurosam_study.trace_bits.settings import FULL, QUICK


def _main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for models, measurements and results.")] = Path(
        "neurosam-trace-bits"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds of each network.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A small grid on small networks: minutes.")] = False,
    data: Annotated[
        list[str] | None, typer.Option(help="As in `neurosam study`; repeatable. Default: canvases of mnist5k.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="As in `neurosam study`.")] = None,
    size: Annotated[int | None, typer.Option(help="As in `neurosam study`.")] = None,
) -> None:
    """Measure what SAM loses in traces of few bits."""
    grid = QUICK if quick else FULL
    plans = {
        Path(name).name: plan_for(name, quick=quick, architecture=architecture, size=size) for name in data or ITEMS[:1]
    }
    for name, plan in plans.items():
        if plan.recordings:
            raise DataError(name, "holds recordings, which have one length; traces are compared over several")
    keep_freed_memory()
    found = []
    for bench in benches(plans, out / "cache", grid.samples, max(grid.steps), seeds, say):
        found += measure(bench, grid, out, say)
    for path in write(out, found, grid):
        say(f"wrote {path}")


if __name__ == "__main__":
    typer.run(report_errors()(_main))
