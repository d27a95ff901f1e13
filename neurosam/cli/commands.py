"""The commands in the order in which they are used, from training to an explained network."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from neurosam._version import __version__
from neurosam.cli import (
    check,
    convert,
    demo,
    deploy,
    explain,
    formats,
    info,
    plugins,
    quantise,
    run,
    sweep,
    train,
    verify,
)  # fmt: skip
from neurosam.cli.errors import report_errors

__all__ = ["app"]

HELP = """What a trained spiking network will do on Loihi-style hardware, bit for bit,
what it looked at, and what that costs.

The complete workflow in about three minutes: [bold]neurosam demo[/bold]. Or step by step:

\b
  neurosam train -o digits.safetensors   train (here on MNIST-5k, a minute)
  neurosam export digits.safetensors     quantise to 8 bits: digits.h5
  neurosam info digits.h5                shapes, parameters, ranges, bytes
  neurosam run digits.h5                 accuracy, spikes, operations, time
  neurosam verify digits.h5              two back ends: is every value equal?
  neurosam explain digits.h5             what it looked at: a page, images
\b
[bold]neurosam import[/bold] reads networks that other tools wrote: netx, NIR.
[bold]neurosam convert[/bold] turns an ANN into a spiking network; then as above.
[bold]neurosam quantise[/bold] quantises a float network file, with a report by layer.
[bold]neurosam check[/bold] compares a network with the torch module it was made from.
[bold]neurosam sweep[/bold] measures a network under many settings, a table in and a table out.

\b
Hardware: [bold]neurosam chips[/bold] lists what is known of each chip, with sources;
[bold]neurosam info NETWORK --chip loihi1[/bold] says what fits, [bold]map[/bold] puts it on cores,
[bold]cost[/bold] counts operations, energy and time, [bold]hw[/bold] asks another simulator,
[bold]vectors[/bold] writes what a design in Verilog or C has to give.

\b
Exit status: 0 success; 1 the answer is no (verify or check found a
difference, a mapping does not fit); 2 a user error (no file is left
half-written); 70 a defect of neurosam; 130 interrupted; 141 the reader of a
pipe is gone; 143 terminated."""


class _Commands(TyperGroup):
    """The root group; errors of every command are reported here."""

    def invoke(self, ctx: Any) -> Any:
        with report_errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="neurosam",
    cls=_Commands,
    help=HELP,
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


for command in (
    demo.demo, train.train, convert.convert, deploy.export, quantise.quantise, info.info, run.run, verify.verify,
    check.check, explain.explain, sweep.sweep,
):  # fmt: skip
    app.command()(command)
app.command("import")(formats.import_network)
plugins.register(app)
