"""``neurosam lava``: check the Lava installation, and export to netx; a plug-in (entry point neurosam.commands)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from neurosam._util.untrusted import printable
from neurosam.errors import NeurosamError
from neurosam_hw.lava.interpreter import VARIABLE, advice, examine, find

__all__ = ["app"]

app = typer.Typer(help="The Lava target: check its environment, and export networks for lava-dl.", no_args_is_help=True)
console = Console(soft_wrap=True)


@app.command()
def doctor() -> None:
    """Report what the Lava back end has and what is missing, and run a small network; exit status 1 if that fails."""
    try:
        python = find()
    except NeurosamError as error:
        _line("missing", str(error), "red")
        raise typer.Exit(1) from None
    finding = examine(python)
    own = Path(finding.path) == Path(sys.executable)
    source = VARIABLE if os.environ.get(VARIABLE) else "the running one" if own else "found without being named"
    _line("found", f"{finding.path} ({source})")
    for name, version in finding.versions.items():
        _line("found" if version else "missing", f"{name} {version or ''}")
    problems = finding.problems or _trial()
    for problem in problems:
        _line("problem", problem, "red")
    if problems:
        console.print(Text(f"to get one that works: {printable(advice())}"))
        raise typer.Exit(1)
    _line("works", "a small network gives the same result on Lava and on the event back end")


def _line(word: str, text: str, style: str = "") -> None:
    """A finding; what the other Python says comes from elsewhere."""
    console.print(Text.assemble((f"{word:8}", style), " ", printable(text)))


@app.command()
def netx(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for lava-dl's netx.")],
    restarts: Annotated[
        bool, typer.Option(help="netx will be called with reset_interval and reset_offset=1, which biases need.")
    ] = False,
) -> None:
    """Write a hard-reset network for lava-dl's netx: the same as neurosam export NETWORK --format netx.

    Whatever netx would run differently is refused. What `neurosam train
    --reset zero` made fits after `neurosam export --for netx`.
    """
    from neurosam.cli.formats import export_network

    export_network(network, "netx", out, restarts)


def _trial() -> tuple[str, ...]:
    """Run a tiny network; return the problems."""
    import numpy as np

    from neurosam import Events, FixedLIF, Network, Population, Projection, Record, run
    from neurosam.backends import Options
    from neurosam.network.synapse import Dense
    from neurosam.signals.inputs import Inputs
    from neurosam_hw.lava.backend import LavaBackend

    network = Network(
        (Population("in", (2,)), Population("out", (2,), FixedLIF(membrane_decay=100, threshold=60))),
        (Projection("in", "out", Dense(np.array([[40, -30], [70, 5]]))),),
    ).with_sam()
    events = Events.from_dense(np.ones((5, 2, 2), dtype=np.uint8))
    record = Record.everything(network)
    try:
        recording = LavaBackend().run(network, Inputs.of(network, events), record, Options(time_limit_s=60.0))
    except NeurosamError as error:
        return (str(error),)
    expected = run(network, events, record=record)
    return () if recording.same_as(expected) else ("a small network gives a different result than on event",)
