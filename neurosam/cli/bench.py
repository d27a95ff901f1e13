"""``neurosam bench``: how fast this machine runs the standard cases, against dense PyTorch and its own limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from neurosam.cli.common import console
from neurosam.errors import DataError

__all__ = ["bench", "register"]

ALL = "conv32,vgg11-64,sparse10k"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(bench)


def bench(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.json, results.md, results.png.")] = Path(
        "neurosam-bench"
    ),
    cases: Annotated[str, typer.Option(help="Comma-separated: conv32, vgg11-64, sparse10k.")] = ALL,
    density: Annotated[float, typer.Option(min=0.001, max=0.9, help="Share of neurons that fire in a step.")] = 0.05,
    repeats: Annotated[int, typer.Option(min=3, help="Runs of each; the median is kept, ratios in pairs.")] = 7,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    dense: Annotated[bool, typer.Option(help="Run dense float32 PyTorch beside it.")] = True,
    sweep: Annotated[
        bool, typer.Option(help="Also run conv32 at 1 to 30 % activity, for cost against events.")
    ] = False,
) -> None:
    """Measure the event back end: seconds, synaptic operations a second, and the roofline of the same minute."""
    from neurosam.benchmark import CASES, activity_sweep, measure, roofline, startup
    from neurosam.benchmark.page import markdown, plot

    names = [name.strip() for name in cases.split(",") if name.strip()]
    for name in names:
        if name not in CASES:
            raise DataError("--cases", f"got {name!r}; known are {', '.join(CASES)}")
    out.mkdir(parents=True, exist_ok=True)
    with console.status("the machine's own limits"):
        results: dict[str, Any] = {"machine": roofline(), "startup": startup(), "cases": []}
    for name in names:
        with console.status(f"{name}: finding thresholds, then {repeats} runs of each"):
            found = measure(name, density, repeats, threads, dense)
        results["cases"].append(found)
        table = Table(title=f"{name}, {found['activity']:.1%} activity", title_justify="left")
        for column in ("what", "median", "ratio"):
            table.add_column(column, justify="left" if column == "what" else "right")
        for label, seconds, ratio in found["rows"]:
            table.add_row(label, f"{1e3 * seconds:.2f} ms", f"{ratio:.2f}")
        console.print(table)
    if sweep:
        with console.status("sweep over activity"):
            results["sweep"] = activity_sweep(repeats, threads)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "results.md").write_text(markdown(results), encoding="utf-8")
    files = ["results.json", "results.md", *plot(results, out / "results.png")]
    console.print(f"wrote {', '.join(files)} in {out}")
