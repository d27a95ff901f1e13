"""``neurosam bench``: how fast this machine runs the standard cases, against dense PyTorch and its own limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam.atomic import write_text
from neurosam.cli.common import new_folder, progress, require, say, show
from neurosam.errors import DataError

__all__ = ["bench"]

ALL = "conv32,vgg11-64,sparse10k"


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
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Measure the event back end: seconds, synaptic operations a second, and the roofline of the same minute."""
    if dense:
        require("bench", "torch", "torch")
    new_folder(out, force, "results.json")
    from neurosam.benchmark import CASES, activity_sweep, measure, roofline, startup
    from neurosam.benchmark.page import markdown, plot

    names = [name.strip() for name in cases.split(",") if name.strip()]
    for name in names:
        if name not in CASES:
            raise DataError("--cases", f"got {name!r}; known are {', '.join(CASES)}")
    with progress("the machine's own limits"):
        results: dict[str, Any] = {"machine": roofline(), "startup": startup(), "cases": []}
    for name in names:
        with progress(f"{name}: finding thresholds, then {repeats} runs of each"):
            found = measure(name, density, repeats, threads, dense)
        results["cases"].append(found)
        rows = [(label, f"{1e3 * seconds:.2f} ms", f"{ratio:.2f}") for label, seconds, ratio in found["rows"]]
        show(f"{name}, {found['activity']:.1%} activity", ("what", "median", "ratio"), rows)
    if sweep:
        with progress("sweep over activity"):
            results["sweep"] = activity_sweep(repeats, threads)
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    write_text(out / "results.md", markdown(results))
    files = ["results.json", "results.md", *plot(results, out / "results.png")]
    say(f"wrote {', '.join(files)} in {out}")
