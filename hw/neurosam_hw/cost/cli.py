"""``neurosam cost``: what an inference costs on a chip; a plug-in (entry point neurosam.commands)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.packages import require_package
from neurosam.cli.common import network_in, new_file, progress, say, show
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Coding, Data, Seed, Size, Steps, presented
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.cli.workers import Dask, Jobs, workers_of
from neurosam.errors import FormatError, NeurosamError
from neurosam.hdf5.files import file_kind, load_recording
from neurosam.report.model import Cell, Table
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording
from neurosam.sweep.source import Spikes
from neurosam_hw.chips.load import load_chip
from neurosam_hw.cost.batches import batches, metered_by
from neurosam_hw.cost.boards import board_of
from neurosam_hw.cost.document import document
from neurosam_hw.cost.inference import Cost, Meter
from neurosam_hw.cost.sam.meter import SamMeter
from neurosam_hw.cost.sam.price import SamPrice
from neurosam_hw.cost.sam.room import trace_room
from neurosam_hw.cost.sam.tables import sam_document, sam_summary, sam_tables
from neurosam_hw.cost.sam.unit import trace_unit
from neurosam_hw.cost.tables import (
    board_table,
    core_table,
    cores_text,
    energy_table,
    layer_table,
    summary,
    time_table,
)
from neurosam_hw.cost.verdict import refuse, verdict
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping.file import load_mapping
from neurosam_hw.rules.check import check

__all__ = ["cost"]

BUSIEST = 8
"""Cores that the terminal lists."""


def cost(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    chip: Annotated[str, typer.Option("--chip", help="A chip (neurosam chips), or the path of a chip file (.toml).")],
    board: Annotated[
        str | None, typer.Option("--board", help="A board of the chip's file, for rows of its own.", show_default=False)
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--map", help="Mapping (neurosam map). Default: mapped here.", show_default=False),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--recording",
            show_default=False,
            help="Recording of a run, with spikes and membranes, whose input --events gives. Default: run here.",
        ),
    ] = None,
    events: EventsFiles = None,
    data: Data = None,
    size: Size = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples to run.", callback=mark_requested)] = 20,
    steps: Steps = None,
    coding: Coding = None,
    seed: Seed = 0,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Go on if the network breaks rules of the chip, and say so everywhere.")
    ] = False,
    sam: Annotated[
        bool, typer.Option("--sam", help="Also what SAM costs: state, operations, energy and time, by traced layer.")
    ] = False,
    jobs: Jobs = None,
    dask: Dask = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Page to write (.html), with a .json next to it.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """What an inference costs on a chip: operations, energy by cause, time; each with its standing.

    Figures that no source gives are named, and no total is made without them. What a board draws stands apart.
    """
    if out is not None:
        require_package("cost --out", "matplotlib")
        reads = (network, chip, mapping, recording, data, events)
        new_file(out, force, (".html",), reads)
        new_file(out.with_suffix(".json"), force, (".json",), reads)
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    if (jobs is not None or dask is not None) and (sam or recording is not None):
        raise NeurosamError("--jobs and --dask", "run the network; they go without --sam and --recording")
    net, machine = network_in(network), load_chip(chip)
    if board is not None:
        board_of(machine, board)
    if sam:
        trace_unit(machine)  # which refuses chips that hold none
    if not what_if:
        refuse(check(net, machine), machine)  # before a mapping that may fail for the same reason
    if recording is not None and not events:
        raise NeurosamError("--recording", "needs the input of that run too: give --events")
    given = None if recording is None else _recording(recording)
    if events:
        inputs = first_samples(read_inputs(events, net), samples)
    else:
        inputs = Inputs.of(net, presented(net, data, samples, seed, steps, coding, size)[0])
    if mapping is None:
        placed = map_network(net, machine, extra=trace_room(net, machine, inputs.steps) if sam else None)
    else:
        placed = load_mapping(mapping, net, machine)
    said = verdict(placed, what_if)
    meter: Meter | SamMeter
    if (workers := workers_of(jobs, dask)) is not None:
        with progress("running") as tick:
            meter = metered_by(workers, placed, Spikes(net, inputs), tick)
    else:
        meter = SamMeter(placed, what_if=what_if) if sam else Meter(placed)
        for part, batch in batches(placed, inputs, given, runs=3 + len(net.sam) if sam else 1):
            meter.add(part, batch)
    price: SamPrice | None = None
    if isinstance(meter, SamMeter):
        price = meter.price(board)
        found = price.without
    else:
        found = meter.cost(said, board)
    if as_json:
        say(json.dumps(document(found) | ({"sam": sam_document(price)} if price else {}), indent=1, allow_nan=False))
    else:
        _show(found, network.name)
        if price is not None:
            _show_sam(price)
    if out is not None:
        from neurosam_hw.cost.page import write_cost_page

        more = () if price is None else sam_tables(price)
        page, numbers = write_cost_page(out, found, network.name, {"network": network.name}, more)
        if not as_json:
            say(f"wrote {page}, {numbers}")


def _recording(path: Path) -> Recording:
    kind = file_kind(path)
    if kind != "recording":
        raise FormatError(str(path), f"holds {kind}; a recording is required, as `neurosam run --out` writes it")
    return load_recording(path, mapped=True)


def _show(cost: Cost, name: str) -> None:
    """Print the tables."""
    mapping = cost.mapping
    say(f"{name} on {mapping.chip.name}: {cores_text(mapping)}, {cost.samples} samples x {cost.steps} steps")
    if cost.label:
        say(cost.label)
    tables = (energy_table(cost), time_table(cost), layer_table(cost), core_table(cost, BUSIEST), board_table(cost))
    left = (2, 3, 1, 3, 5)
    for table, columns in zip(tables, left, strict=True):
        if table is not None:
            _table(table, columns)
    for item in summary(cost):
        say(f"{item.what}: {item.value} ({item.remark})")
    for sentence in cost.verdict.assumed:
        say(f"assumed: {sentence}")
    if cost.verdict.unchecked:
        say(f"rules that were not checked, since no source gives the limit: {', '.join(cost.verdict.unchecked)}")
    if cost.label:
        say(cost.label)


def _show_sam(price: SamPrice) -> None:
    """Print what SAM adds."""
    for table in sam_tables(price):
        _table(table, 1)
    for item in sam_summary(price):
        say(f"{item.what}: {item.value} ({item.remark})")


def _table(table: Table, left: int) -> None:
    show(table.heading, table.columns, [[_text(cell) for cell in row] for row in table.rows], left, table.note)


def _text(cell: Cell) -> str:
    """A cell in four digits, with thousands apart; a dash for what is unknown."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
