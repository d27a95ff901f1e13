"""``neurosam check``: is a network file the same network as the torch module that it was made from; status 1 if not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam._util.atomic_write import write_text
from neurosam._util.packages import require_package
from neurosam.cli.common import console, network_in, new_file, say
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.export_module import Loop
from neurosam.cli.inputs import Data, Seed, Size, Steps, presented
from neurosam.cli.modules import is_module, load_module
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.errors import NeurosamError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["check"]

JSON = (".json",)


def check(
    model: Annotated[
        str, typer.Argument(help="The original: FILE.py:FUNCTION, which returns the module, or a .safetensors model.")
    ],
    network: Annotated[Path, typer.Argument(help="Network file, in float or quantised.")],
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.", callback=mark_requested)] = 4,
    steps: Steps = None,
    seed: Seed = 0,
    input_unit: Annotated[
        float | None,
        typer.Option(
            help="Input of the module that an event of value 1 stands for. Default: as the network says, or 1.",
            show_default=False,
        ),
    ] = None,
    time: Loop = "auto",
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> None:
    """Run a torch module and the network made from it, and compare them layer by layer and step by step.

    Differences are explained: rounding, another reset, a delay, a missing bias, other weights, ... Exit status 0 if the
    two are the same but for rounding, or the network is quantised; 1 if not.
    """
    require_package("check", "torch")
    if report is not None:
        new_file(report, force, JSON, (model, network, data, events))
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    net = network_in(network)
    module = _module(model)
    given = (
        first_samples(read_inputs(events, net), samples)[net.input.name]
        if events
        else presented(net, data, samples, seed, steps, size=size)[0]
    )
    from neurosam.deploy.checking.check_export import check_export

    result = check_export(module, net, given.select(0, samples), input_unit=input_unit, time=time)
    console.print(result.table())
    if report is not None:
        write_text(report, result.to_json() + "\n")
        say(f"wrote {report}")
    if not result.equal and not result.quantised:
        raise typer.Exit(1)


def _module(model: str) -> nn.Module:
    """Build or load the original."""
    if is_module(model):
        return load_module(model)
    require_package("check", "safetensors")
    from neurosam.training.model_file import load_model

    module, recipe = load_model(Path(model))
    if recipe.ann:
        raise NeurosamError(model, f"is an ANN; the network was exported from its conversion: neurosam convert {model}")
    return module
