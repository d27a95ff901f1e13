"""``neurosam map``: put a network on the cores of a chip, or check a mapping; a plug-in (neurosam.commands)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam._util.packages import require_package
from neurosam.cli.common import network_in, new_file, say, show
from neurosam.errors import FormatError
from neurosam.signals.recording import Recording
from neurosam_hw.chips.load import load_chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.build import map_in_order, map_network
from neurosam_hw.mappers.metis import has_metis
from neurosam_hw.mappers.rates import recorded_rates
from neurosam_hw.mappers.traffic import Ways, ways
from neurosam_hw.mappers.utilisation import STORES, Utilisation, utilisation
from neurosam_hw.mapping.file import load_mapping, save_mapping
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.rules.assumptions import assumptions
from neurosam_hw.rules.check import check_mapping
from neurosam_hw.rules.cli import show_findings
from neurosam_hw.rules.findings import Findings

__all__ = ["map_"]

LISTED = 32
"""Cores that are listed one by one; more are summed up by population."""
LONGEST = 40
"""Characters of a cell that says what a core holds."""


def map_(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    chip: Annotated[str, typer.Option("--chip", help="A chip (neurosam chips), or the path of a chip file (.toml).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Mapping to write (.json).", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Picture of the chip to write (.png or .svg).", show_default=False)
    ] = None,
    activity: Annotated[
        Path | None,
        typer.Option(
            "--activity",
            help="Recording of a run: spikes count as often as they were fired. Default: all neurons alike.",
            show_default=False,
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--map", help="Mapping to check and to show, in place of making one.", show_default=False),
    ] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="The base line: neurons and cores in order, as many as fit.")
    ] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Put inputs on cores too. Default: their spikes come from outside.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Put a network on the cores of a chip, or of several: which core holds which neurons, and how full it is.

    Exit status 1 if a core would hold more than it can, as a mapping written by hand may say (--map).

    A mapping (-o) is for: neurosam cost --map. Where neurons are never changes a spike.
    """
    if out is not None:
        new_file(out, force, (".json",), (network, chip, activity, mapping))
    if picture is not None:
        require_package("map --picture", "matplotlib")
        new_file(picture, force, (".png", ".svg"), (network, chip, activity, mapping))
    if mapping is not None and (in_order or inputs):
        raise MappingError("--map", "checks a mapping that is there; leave out --in-order and --inputs")
    net, machine = network_in(network), load_chip(chip)
    rates = None if activity is None else recorded_rates(net, _recording(activity))
    begin = time.perf_counter()
    if mapping is not None:
        made = load_mapping(mapping, net, machine)
    elif in_order:
        made = map_in_order(net, machine, inputs_on_chip=inputs)
    else:
        made = map_network(net, machine, activity=rates, inputs_on_chip=inputs)
    seconds = time.perf_counter() - begin
    used, taken, findings = utilisation(made), ways(made, rates), check_mapping(made)
    if as_json:
        say(json.dumps(_plain(made, used, taken, findings, seconds), indent=2, allow_nan=False))
    else:
        _show(network.name, made, used, taken, findings, None if mapping is not None else seconds, rates is not None)
        if mapping is None and not in_order and not has_metis() and _has_lists(made):
            say("pymetis is not installed, so lists of neurons were cut without it: pip install 'neurosam[hw]'")
    written = []
    if out is not None:
        written.append(save_mapping(made, out))
    if picture is not None:
        from neurosam_hw.mappers.picture import mapping_picture, save_picture

        title = f"{network.name} on {machine.name}: {_cores(made)}"
        written.append(save_picture(mapping_picture(made, used, title), picture))
    if written and not as_json:
        say(f"wrote {', '.join(map(str, written))}")
    if any(violation.core is not None for violation in findings.violations):
        raise typer.Exit(1)


def _recording(path: Path) -> Recording:
    from neurosam.hdf5.files import file_kind, load_recording

    kind = file_kind(path)
    if kind != "recording":
        raise FormatError(str(path), f"holds {kind}; a recording is required, as `neurosam run --out` writes it")
    return load_recording(path, mapped=True)


def _cores(mapping: CoreMapping) -> str:
    chips = "1 chip" if mapping.chips == 1 else f"{mapping.chips} chips"
    each = mapping.cores_per_chip
    return f"{mapping.cores} of the {mapping.chips * each} cores of {chips}" if each else f"{mapping.cores} cores"


def _has_lists(mapping: CoreMapping) -> bool:
    return any(piece.box is None for piece in mapping.pieces)


def _show(
    name: str,
    mapping: CoreMapping,
    used: Utilisation,
    taken: Ways,
    findings: Findings,
    seconds: float | None,
    measured: bool,
) -> None:
    took = "" if seconds is None else f"; mapped in {seconds:.1f} s"
    say(f"{name} on {mapping.chip.name}: {_cores(mapping)}{took}")
    _show_populations(mapping, used)
    if mapping.cores <= LISTED:
        _show_cores(mapping, used)
    else:
        _show_stores(mapping, used)
    when = "in the recorded run" if measured else "if every neuron fires once"
    say(
        f"{taken.packets:,} packets {when}, of which {taken.crossings:,} go to another chip; "
        f"{taken.hops:,} hops within chips"
    )
    for sentence in assumptions(mapping.network, mapping.chip):
        say(f"assumed: {sentence}")
    show_findings("what breaks rules of the chip", (findings,))


def _show_populations(mapping: CoreMapping, used: Utilisation) -> None:
    rows = []
    share, fullest = used.share, used.fullest
    for population in mapping.network.populations:
        pieces = mapping.pieces_of(population.name)
        if not pieces:
            rows.append((population.name, "from outside", "", "", "", ""))
            continue
        cores = np.unique([piece.core for piece in pieces])
        full = int(cores[share[cores].argmax()])
        sizes = [piece.size for piece in pieces]
        count = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,}..{max(sizes):,}"
        most = f"{share[full]:.0%} of {STORES[fullest[full]]}"
        cut, mean = _cut(mapping, population.name), f"{share[cores].mean():.0%}"
        rows.append((population.name, cut, f"{len(cores):,}", count, mean, most))
    columns = ("population", "cut into", "cores", "neurons a core", "mean utilisation", "fullest core")
    show("populations", columns, rows, left=2)


def _cut(mapping: CoreMapping, name: str) -> str:
    """How a population is cut: the largest box, or lists."""
    pieces = mapping.pieces_of(name)
    boxes = [piece.box for piece in pieces if piece.box is not None]
    if len(boxes) < len(pieces):
        return "lists"
    if len(boxes) == 1:
        return "whole"
    return "x".join(str(max(box[side][1] - box[side][0] for box in boxes)) for side in range(3))


def _show_cores(mapping: CoreMapping, used: Utilisation) -> None:
    shares = used.shares
    rows = []
    for core in range(mapping.cores):
        chip, number = mapping.positions[core].tolist()
        held = ", ".join(f"{piece.population} {piece.size}" for piece in mapping.pieces_on(core))
        held = held if len(held) <= LONGEST else f"{held[: LONGEST - 1]}…"
        tile = mapping.tile(core)
        cells = [f"{share[core]:.0%}" for share in shares.values()]
        rows.append((core, f"{chip}:{number}", f"{tile.column},{tile.row}", held, *cells))
    columns = ("core", "chip:core", "tile", "holds", *(STORES[name] for name in shares))
    show("utilisation", columns, rows, left=4)


def _show_stores(mapping: CoreMapping, used: Utilisation) -> None:
    rows = []
    fullest = used.fullest
    for name, share in used.shares.items():
        allowed = np.unique(used.allowed[name])
        size = f"{allowed[0]:,}" if allowed.size == 1 else f"{allowed[0]:,}..{allowed[-1]:,}"
        bounds = sum(one == name for one in fullest)
        cells = [f"{value:.0%}" for value in (share.mean(), share.min(), np.median(share), share.max())]
        rows.append((STORES[name], size, *cells, bounds))
    columns = ("store", "a core has", "mean", "least", "median", "most", "fullest store of cores")
    show(f"utilisation of {mapping.cores} cores", columns, rows, left=1)


def _plain(mapping: CoreMapping, used: Utilisation, taken: Ways, findings: Findings, seconds: float) -> dict[str, Any]:
    """All of it as JSON has it."""
    cores = [
        {
            "chip": int(chip),
            "core": int(number),
            "tile": list(mapping.tile(core)[1:]),
            "neurons": {
                name: sum(p.size for p in mapping.pieces_on(core) if p.population == name)
                for name in dict.fromkeys(piece.population for piece in mapping.pieces_on(core))
            },
            "used": {name: int(counts[core]) for name, counts in used.used.items()},
            "share": round(float(used.share[core]), 6),
            "fullest": used.fullest[core],
        }
        for core, (chip, number) in enumerate(mapping.positions)
    ]
    return {
        "chip": mapping.chip.name,
        "cores": mapping.cores,
        "chips": mapping.chips,
        "tiles": mapping.tiles,
        "seconds": round(seconds, 3),
        "pymetis": has_metis(),
        "packets": taken.packets,
        "hops": taken.hops,
        "crossings": taken.crossings,
        "allowed": {name: sorted(set(counts.tolist())) for name, counts in used.allowed.items()},
        "mean_utilisation": round(float(used.share.mean()), 6),
        "assumptions": list(assumptions(mapping.network, mapping.chip)),
        "unchecked_rules": list(dict.fromkeys(item.rule for item in findings.unchecked)),
        "violations": [str(violation) for violation in findings.violations],
        "by_core": cores,
    }
