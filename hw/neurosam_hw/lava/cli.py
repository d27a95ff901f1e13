"""``neurosam lava``: is Lava there, and does it work; a plug-in of the command line (entry point neurosam.commands)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from neurosam.errors import NeurosamError
from neurosam_hw.lava.interpreter import VARIABLE, examine, find

__all__ = ["app"]

app = typer.Typer(help="The Lava target: its environment, and lava-dl's file.", no_args_is_help=True)
console = Console(soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what the Lava back end has, and what is missing; exit status 1 if it cannot run."""
    try:
        python = find()
    except NeurosamError as error:
        console.print(f"[red]missing[/red]  {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
    finding = examine(python)
    source = VARIABLE if os.environ.get(VARIABLE) else "found beside this environment"
    console.print(f"found    {escape(finding.path)} ({source})", highlight=False)
    for name, version in finding.versions.items():
        console.print(f"{'found' if version else 'missing':8} {name} {version or ''}", highlight=False)
    problems = finding.problems or _trial()
    for problem in problems:
        console.print(f"[red]problem[/red]  {escape(problem)}", highlight=False)
    if problems:
        console.print("`make env` builds .venv-lava anew once it is removed", highlight=False)
        raise typer.Exit(1)
    console.print("works    a small network gives the same on Lava and on the event back end", highlight=False)


@app.command()
def netx(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for lava-dl's netx.")],
    restarts: Annotated[
        bool, typer.Option(help="netx will be given reset_interval and reset_offset=1, which biases need.")
    ] = False,
) -> None:
    """Write a hard-reset network for lava-dl's netx; what netx would run otherwise is refused by name."""
    from neurosam.formats.netx import save_netx
    from neurosam.hdf5 import load_network

    if out.exists():
        raise NeurosamError(str(out), "exists already; give another name or remove it")
    save_netx(load_network(network), out, restarts=restarts)
    console.print(f"wrote {escape(str(out))}", highlight=False)


def _trial() -> tuple[str, ...]:
    """What goes wrong with a run of the smallest kind."""
    import numpy as np

    from neurosam import Events, FixedLIF, Network, Population, Projection, Record, run
    from neurosam.backends import Options
    from neurosam.network.synapse import Dense
    from neurosam_hw.lava.backend import LavaBackend

    network = Network(
        (Population("in", (2,)), Population("out", (2,), FixedLIF(membrane_decay=100, threshold=60))),
        (Projection("in", "out", Dense(np.array([[40, -30], [70, 5]]))),),
    ).with_sam()
    events = Events.from_dense(np.ones((5, 2, 2), dtype=np.uint8))
    record = Record.everything(network)
    try:
        found = LavaBackend().run(network, events, record, Options(time_limit_s=60.0))
    except NeurosamError as error:
        return (str(error),)
    return () if found.same_as(run(network, events, record=record)) else ("a small network gives other bits",)
