"""The command line: ``neurosam COMMAND``, one module a group of commands, errors in one place.

Exit status 0: done; 1: `verify` found a difference; 2: a mistake of the user, said in a sentence or two, no traceback;
130: interrupted (what was finished is kept).
"""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console

from neurosam import __version__
from neurosam.cli import bench, deploy, equal, learn, look, show
from neurosam.errors import NeurosamError

__all__ = ["app", "main"]

app = typer.Typer(
    name="neurosam",
    help="What a trained spiking network will do on Loihi-style hardware, bit for bit, and what it looked at. "
    "Start with [bold]neurosam demo[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"neurosam {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


for module in (show, learn, deploy, look, equal, bench):
    module.register(app)


def main() -> None:
    """Run the command line; the entry point of ``neurosam``."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads wait without spinning on a busy machine
    try:
        app()
    except NeurosamError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]neurosam:[/bold red] {_plain(error)}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("neurosam: interrupted; what was finished is kept")
        sys.exit(130)
    except MemoryError:
        Console(stderr=True).print("neurosam: out of memory; use fewer samples or steps at a time")
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        Console(stderr=True, soft_wrap=True).print(f"neurosam: {where}{error.strerror or error}", markup=False)
        sys.exit(2)


def _plain(error: NeurosamError) -> str:
    """The message, with square brackets kept from being read as markup."""
    return str(error).replace("[", r"\[")
