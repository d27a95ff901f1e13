"""``neurosam quantise`` turns a float network into a fixed-point one, and reports layer by layer what that costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import typer

from neurosam._util.atomic_write import write_text
from neurosam._util.packages import require_package
from neurosam.cli.common import HDF5, console, network_in, new_file, new_folder, progress, say
from neurosam.cli.deploy import LongestRun, Rounding, Scale, fixed_precision
from neurosam.cli.inputs import (
    Calibrate,
    Calibration,
    Data,
    EventsFile,
    Seed,
    Size,
    Steps,
    data_of,
    presented,
    read_events,
    training_events,
    training_name,
)
from neurosam.cli.quantisation import show_quantisation
from neurosam.cli.sample_count import mark_requested, report_fewer
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.deploy.layer_report import LayerReport
    from neurosam.deploy.quantisation_report import QuantisationReport
    from neurosam.deploy.threshold_search import ThresholdSearch

__all__ = ["calibration_of", "quantise"]

REPORT = "layers.json"


def quantise(
    network: Annotated[Path, typer.Argument(help="Float network (.h5): from `neurosam export --precision float`, ...")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Network file to write. Default: NAME-<bits>bit.h5.", show_default=False),
    ] = None,
    precision: Annotated[str, typer.Option(help="lava or nxsdk; they round the decay differently.")] = "lava",
    bits: Annotated[int, typer.Option(min=2, max=9, help="Bits per weight.")] = 8,
    calibration: Calibration = None,
    calibrate: Calibrate = 64,
    longest_run: LongestRun = None,
    scale: Scale = "population",
    rounding: Rounding = "nearest",
    search: Annotated[
        bool,
        typer.Option(
            "--search-thresholds",
            help="Scale the thresholds of each layer where that brings predictions closer to those of the float "
            "network (on training images, or on the first half of --events).",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder for a report by layer: tables, {REPORT} and layers.png, measured on held-out images or "
            "--events.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    size: Size = None,
    events: EventsFile = None,
    samples: Annotated[
        int, typer.Option(min=2, help="Samples for the report and the search.", callback=mark_requested)
    ] = 256,
    steps: Steps = None,
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Quantise a float network, search its thresholds, and report by layer what is lost.

    Without labels (--events), accuracy is left out, and agreement with the float network remains.
    """
    from neurosam.deploy.quantise import quantise as quantise_network
    from neurosam.deploy.threshold_search import search_thresholds

    if events is not None and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    given = (network, calibration, data, events)
    out = new_file(network.with_name(f"{network.stem}-{bits}bit.h5") if out is None else out, force, HDF5, given)
    if report is not None:
        require_package("quantise", "matplotlib")
        new_folder(report, force, REPORT, given)
    format_ = fixed_precision(precision, bits)
    net = network_in(network)
    if net.fixed:
        raise NeurosamError(str(network), "is in fixed point already; give the float network it was made from")
    images = training_name(net, data) if events is None else None
    typical = calibration_of(net, calibration, calibrate, images, seed, steps, size)
    shown, labels, searched = None, None, None
    if report is not None or (search and images is None):
        shown, labels = _evaluation(net, data, events, calibration, samples, seed, steps, size)
    if search:
        searched = shown
        if images is not None:
            searched = training_events(net, images, samples, seed, steps, size, first=calibrate)
    fixed, quantisation = quantise_network(
        net, format_, typical, steps=longest_run, scale=scale, rounding=rounding, seed=seed
    )
    show_quantisation(quantisation)
    found = None
    if searched is not None:
        with progress("searching thresholds") as tick:
            fixed, found = search_thresholds(net, fixed, quantisation, searched, progress=tick)
        _show_search(found)
    if report is not None and shown is not None:
        _report(report, net, fixed, quantisation, found, shown, labels)
    fixed.save(out)
    say(f"wrote {out}; next: neurosam run {out}")


def calibration_of(
    network: Network,
    path: Path | None,
    count: int,
    images: str | None,
    seed: int,
    steps: int | None,
    size: int | None,
) -> Events | None:
    """Typical input: of a file, or training images; None if there are neither, or none are wanted."""
    if not count:
        return None
    if path is not None:
        return read_events(path, network).select(0, count)
    if images is None:
        if (stimulus := Stimulus.from_metadata(network.metadata)).data:
            data_of(stimulus, None)  # a path, which is refused
        say("no --calibration, and the network does not name its data: all inputs weigh the same")
        return None
    return training_events(network, images, count, seed, steps, size)


def _evaluation(
    network: Network,
    data: str | None,
    events: Path | None,
    calibration: Path | None,
    samples: int,
    seed: int,
    steps: int | None,
    size: int | None,
) -> tuple[Events, npt.NDArray[np.int64] | None]:
    """Input of the report, and labels if it has them: events of a file, held-out images, or the calibration events."""
    if events is None and training_name(network, data) is None and calibration is not None:
        events = calibration
    if events is not None:
        given = read_events(events, network)
        report_fewer(given.samples, samples, f"samples in {events}")
        return given.select(0, samples), None
    stimulus, images = presented(network, data, samples, seed, steps, size=size)
    return stimulus, images.labels


def _show_search(search: ThresholdSearch) -> None:
    factors = ", ".join(f"{name} {factor:g}" for name, factor in search.factors.items() if factor != 1.0)
    say(f"thresholds scaled: {factors or 'none'}")
    say(
        f"{search.measure} {search.search_before:.2%} -> {search.search_after:.2%} on the {search.search_samples} "
        f"samples searched on, {search.held_out_before:.2%} -> {search.held_out_after:.2%} on "
        f"{search.held_out_samples} others"
    )


def _report(
    folder: Path,
    network: Network,
    fixed: Network,
    quantisation: QuantisationReport,
    search: ThresholdSearch | None,
    events: Events,
    labels: npt.NDArray[np.int64] | None,
) -> None:
    """Measure, print the tables, and write the JSON file and the picture."""
    from neurosam.deploy.layer_report import layer_report
    from neurosam.report.figures import save
    from neurosam.report.layers import layer_figure

    with progress("measuring layers") as tick:
        measured: LayerReport = layer_report(network, fixed, quantisation, events, labels, progress=tick)
    for table in measured.tables():
        console.print(table)
        say("")
    folder.mkdir(parents=True, exist_ok=True)
    result = measured.to_dict() | {"threshold_search": None if search is None else asdict(search)}
    write_text(folder / REPORT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    save(layer_figure(measured), folder / "layers.png")
    say(f"wrote {folder / REPORT} and {folder / 'layers.png'}")
