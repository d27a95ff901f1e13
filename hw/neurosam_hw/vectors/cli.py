"""``neurosam vectors``: golden vectors for RTL and C, with benches; a plug-in (entry point neurosam.commands)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosam.cli.common import network_in, new_folder, say, show
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Coding, Data, Seed, Size, Steps, presented
from neurosam.errors import EventError, NeurosamError
from neurosam.signals.inputs import Inputs
from neurosam_hw.vectors.golden import check as check_fixed
from neurosam_hw.vectors.write import MANIFEST, write_vectors

__all__ = ["vectors"]


def vectors(
    network: Annotated[Path, typer.Argument(help="Network file, fixed point.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    events: EventsFiles = None,
    data: Data = None,
    size: Size = None,
    steps: Steps = None,
    coding: Coding = None,
    seed: Seed = 0,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Samples, the first of the input.")] = 1,
    only: Annotated[
        str, typer.Option(help="Populations to test, comma-separated. Default: all.", show_default=False)
    ] = "",
    backend: Annotated[str, typer.Option(help="Back end that gives the golden values.")] = "event",
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that holds other files, and replace changed skeletons.")
    ] = False,
) -> None:
    """Write golden vectors of a network: what a design in Verilog or C is tested against, with benches that do it.

    Of each population what arrives, its parameters, and spikes, currents, membranes and maps of each step: files for
    $readmemh, a C header and .npz; weights for a full design. Then: make -C FOLDER.
    """
    new_folder(out, force, MANIFEST, (network, data, events))
    if events and any(option is not None for option in (data, size, steps, coding)):
        raise NeurosamError("--events", "has its own steps and needs no --data, --size, --steps or --coding")
    net = network_in(network)
    names = [name.strip() for name in only.split(",") if name.strip()] or None
    check_fixed(net, names or ())
    if events:
        inputs = read_inputs(events, net)
        if samples > inputs.samples:
            raise EventError("--samples", f"got {samples}; the input has {inputs.samples}")
        inputs = inputs.select(0, samples)
    else:
        inputs = Inputs.of(net, presented(net, data, samples, seed, steps, coding, size)[0])
    made = write_vectors(net, inputs, out, populations=names, backend=backend, force=force)
    index = {p.name: i for i, p in enumerate(net.populations)}
    rows = []
    for name, unit in made.units.items():
        s = unit.columns["s"].values
        rows.append((f"p{index[name]}", name, s.shape[2], net.onsets[name], int(s.sum())))
    show("units", ("folder", "population", "neurons", "onset", "spikes"), rows, left=2)
    run = made.recording
    say(f"wrote {out}: {run.steps} steps x {run.samples} sample{'s' * (run.samples > 1)}")
    say(f"next, with iverilog and a C compiler: make -C {out}")
