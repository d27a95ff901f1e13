"""``python -m neurosam_study.trace_bits -o FOLDER``: train what is missing, record, measure, and write the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from neurosam.cli.common import say
from neurosam_study.plan import FULL as STUDY
from neurosam_study.plan import QUICK as QUICK_STUDY
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
        list[Path] | None, typer.Option(help="Also a folder of images, such as Tiny-ImageNet; repeatable.")
    ] = None,
    architecture: Annotated[str, typer.Option(help="Of the networks on folders of images.")] = "vgg5",
) -> None:
    """Measure what SAM loses in traces of few bits."""
    grid, plan = (QUICK, QUICK_STUDY) if quick else (FULL, STUDY)
    plans = {"canvases": plan}
    for folder in data or ():
        plans[folder.name] = replace(plan, data=str(folder), train=None, deployed=()).of_network(architecture)
    found = []
    for bench in benches(plans, out / "cache", grid.samples, max(grid.steps), seeds, say):
        found += measure(bench, grid, out, say)
    for path in write(out, found, grid):
        say(f"wrote {path}")


if __name__ == "__main__":
    typer.run(_main)
