"""``neurosam hw``: other programs that simulate chips; a plug-in (entry point neurosam.commands)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.atomic_write import write_bytes
from neurosam.backends.registry import check
from neurosam.cli.common import network_in, new_folder, say, show
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Coding, Data, Seed, Size, Steps, presented
from neurosam.errors import EventError, FormatError, NeurosamError
from neurosam.hdf5.files import load_network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam_hw.chips.load import load_chip
from neurosam_hw.cost.amount import si
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping.file import load_mapping, save_mapping
from neurosam_hw.sanafe.architecture import check_chip
from neurosam_hw.sanafe.comparison import TOLERANCE, Comparison, compare_results
from neurosam_hw.sanafe.placing import place_inputs
from neurosam_hw.sanafe.plan import plan
from neurosam_hw.sanafe.refusals import check as check_exact
from neurosam_hw.sanafe.results import read_results
from neurosam_hw.sanafe.write import export

__all__ = ["app"]

app = typer.Typer(help="Other programs that simulate chips: files for them, their results read.", no_args_is_help=True)

CHIP, MAP = "chip", "map.json"
SYNAPSE_BYTES = 800
"""Memory that SANA-FE 2.2.9 takes for a synapse, about."""
MUCH = 2e9


@app.command()
def sanafe(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    chip: Annotated[
        str, typer.Option("--chip", help="A chip (neurosam chips), or the path of a chip file (.toml).")
    ] = "sanafe-loihi",
    mapping: Annotated[
        Path | None,
        typer.Option("--map", help="Mapping (neurosam map). Default: mapped here.", show_default=False),
    ] = None,
    events: EventsFiles = None,
    data: Data = None,
    size: Size = None,
    steps: Steps = None,
    coding: Coding = None,
    seed: Seed = 0,
    sample: Annotated[int, typer.Option("--sample", min=0, help="Which sample of the input, from 0.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Write a mapped network and a sample for SANA-FE, a simulator of chips by others (GPL-3).

    What SANA-FE would run differently is refused by name. Inputs are placed on cores, since it has none from outside.

    Then, where `pip install sanafe numpy` was done: python FOLDER/run.py. And here: neurosam hw sanafe-compare FOLDER.
    """
    new_folder(out, force, "plan.json", (network, chip, mapping, data, events))
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    net, machine = network_in(network), load_chip(chip)
    check_chip(machine)
    if mapping is None:
        placed = map_network(net, machine, inputs_on_chip=True)
    else:
        placed = place_inputs(load_mapping(mapping, net, machine))
    if events:
        inputs = read_inputs(events, net)
    else:
        inputs = Inputs.of(net, presented(net, data, sample + 1, seed, steps, coding, size)[0])
    if sample >= inputs.samples:
        raise EventError("--sample", f"got {sample}; the input has {inputs.samples} samples, counted from 0")
    check(net, inputs, Record())
    made = export(placed, inputs, out, sample=sample)
    save_mapping(placed, out / MAP)
    _keep_chip(machine.path, out / CHIP)
    form = "snn.yaml" if (out / "snn.yaml").exists() else "edges.npz"
    say(f"wrote {out}: {placed.cores} cores with the inputs, {made.steps} steps; {made.synapses:,} synapses in {form}")
    if net.sam:
        say(f"left out, since SANA-FE has none: the SAM traces of {', '.join(net.sam)}")
    memory = made.synapses * SYNAPSE_BYTES
    note = f" (it will take about {memory / 1e9:.0f} GB of memory)" if memory > MUCH else ""
    say(f"next, in an environment with SANA-FE: python {out / 'run.py'}{note}")


@app.command("sanafe-compare")
def sanafe_compare(
    folder: Annotated[Path, typer.Argument(help="What neurosam hw sanafe wrote.")],
    results: Annotated[
        Path | None,
        typer.Argument(help="Folder with spikes.csv and perf.csv. Default: the same.", show_default=False),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0, max=1, help="Largest relative difference; 1e-6 for SANA-FE's own files."),
    ] = TOLERANCE,
) -> None:
    """Compare SANA-FE's results with neurosam's: every spike, count, energy and time. Exit status 1 if one differs."""
    network = load_network(folder / "network.h5")
    inputs = read_inputs([str(folder / "events.h5")], network)
    mapping = load_mapping(folder / MAP, network, load_chip(_chip_in(folder / CHIP)))
    check_exact(mapping, inputs)
    theirs = read_results(results or folder, plan(mapping, inputs))
    found = compare_results(mapping, inputs, theirs, tolerance=tolerance)
    _show(found)
    if not found.equal:
        say("SANA-FE and neurosam differ")
        raise typer.Exit(1)
    say(f"equal in every one of {found.steps} steps")


def _keep_chip(path: Path, folder: Path) -> None:
    """Keep the chip's file, under its name, which is the chip's."""
    content = path.read_bytes()
    for older in folder.glob("*.toml"):
        older.unlink()
    write_bytes(folder / path.name, content)


def _chip_in(folder: Path) -> Path:
    """The chip's file that was kept."""
    found = list(folder.glob("*.toml"))
    if len(found) != 1:
        raise FormatError(
            str(folder), f"holds {len(found)} chip files; one is required, as `neurosam hw sanafe` writes"
        )
    return found[0]


def _show(found: Comparison) -> None:
    """Print the tables."""
    spikes = [
        (x.population, x.ours, x.theirs, x.differ, "-" if x.first is None else "step {}, neuron {}".format(*x.first))
        for x in found.spikes
    ]
    show("spikes, inputs too", ("population", "neurosam", "SANA-FE", "differ", "first, in own time"), spikes)
    counts = [(x.name, x.ours, x.theirs, "-" if x.first is None else x.first) for x in found.counts]
    show("counts", ("count", "neurosam", "SANA-FE", "first step that differs"), counts)
    costs = [(x.name, si(x.ours, x.unit), si(x.theirs, x.unit), f"{x.difference:.1e}") for x in found.costs]
    show("costs", ("cost", "neurosam", "SANA-FE", "apart, at most in a step"), costs)
