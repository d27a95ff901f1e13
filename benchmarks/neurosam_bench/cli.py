"""``neurosam bench``: time the standard cases on this machine, against dense rivals and the machine's limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam._util.atomic_write import write_text
from neurosam._util.packages import require_package
from neurosam.cli.common import network_in, new_folder, progress, say, show

__all__ = ["bench"]


def bench(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.json, results.md and plots.")] = Path(
        "neurosam-bench"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Two small cases, few points per sweep: a minute.")] = False,
    cases: Annotated[
        str | None,
        typer.Option(help="Cases, comma-separated: conv32, vgg11-64, sparse10k, demo, or none.", show_default="all"),
    ] = None,
    sweeps: Annotated[
        str | None,
        typer.Option(help="Sweeps, comma-separated: activity, batch, steps, neurons, sam or none.", show_default="all"),
    ] = None,
    network: Annotated[
        list[Path] | None, typer.Option(help="Also measure this network file, on random input; repeatable.")
    ] = None,
    density: Annotated[float, typer.Option(min=0.001, max=0.9, help="Fraction of neurons that fire per step.")] = 0.05,
    repeats: Annotated[
        int | None, typer.Option(min=5, help="Runs of each variant. Default: 7, with --quick 5.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to use. Default: 2, with --device all cores.", show_default=False)
    ] = None,
    dense: Annotated[bool, typer.Option(help="Also run dense PyTorch and the reference back end.")] = True,
    device: Annotated[
        str | None,
        typer.Option(help="Instead, check and time the reference back end on this torch device, such as cuda."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Measure the event back end: time, synaptic operations per second, memory, and this machine's roofline.

    Everything takes some minutes. With --device cuda, compare the reference on the GPU value by value, and time it.
    """
    if dense or device is not None:
        require_package("bench", "torch")
    from neurosam_bench.suite import FULL, QUICK, bench_device
    from neurosam_bench.suite import bench as run_bench

    threads = threads or (2 if device is None else os.cpu_count() or 1)
    plan = replace(QUICK if quick else FULL, density=density, threads=threads, dense=dense)
    if repeats is not None:
        plan = replace(plan, repeats=repeats)
    if cases is not None:
        plan = replace(plan, cases=_names(cases))
    if sweeps is not None:
        plan = replace(plan, sweeps=_names(sweeps))
    others = {path.name: network_in(path) for path in network or ()}
    new_folder(out, force, "results.json", (network,))
    if device is not None:
        _write(out, bench_device(plan, device, progress, others))
        return
    results = run_bench(plan, progress, others)
    for case in results["cases"]:
        _show(f"{case['case']}, {case['activity']:.1%} activity", case["rows"])
    _write(out, results)


def _names(text: str) -> tuple[str, ...]:
    """Parse comma-separated names; "none" stands for no names."""
    return () if text.strip() == "none" else tuple(name.strip() for name in text.split(",") if name.strip())


def _show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    cells = [
        (row["what"], f"{1e3 * row['median_s']:.2f} ms", f"{row['ratio']:.2f}") if "median_s" in row else (row["what"],)
        for row in rows
    ]
    show(title, ("what", "median", "ratio"), cells)


def _write(out: Path, results: dict[str, Any]) -> None:
    """Show a device's tables; write JSON, page and plots."""
    from neurosam_bench.page import draw

    if "device" in results:
        equal = results["device"]["equivalence"]
        cells = [(r["case"], f"{r['compared']:,}", f"{r['differing']:,}", str(r["first"])) for r in equal]
        show(results["device"]["name"], ("case", "compared", "differing", "first"), cells)
        rows = results["device"]["throughput"]
        _show("throughput", [{**r, "what": f"{r['case']}, {r['samples']} at once: {r['what']}"} for r in rows])
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    say(f"wrote {', '.join(('results.json', *draw(results, out)))} in {out}")
