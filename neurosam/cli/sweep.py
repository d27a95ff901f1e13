"""``neurosam sweep``: a network under many settings, a table in and a tidy table out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosam._util.atomic_write import write_text
from neurosam.cli.chips import energy
from neurosam.cli.common import network_in, new_file, progress, say, show
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import (
    Calibrate,
    Calibration,
    Coding,
    Data,
    Seed,
    Size,
    Steps,
    pictures,
    training_name,
)
from neurosam.cli.labels import Labels, labels_of
from neurosam.cli.quantise import calibration_of
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.cli.workers import Dask, Jobs, going_on, workers_of
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.sweep.grid import Setting
    from neurosam.sweep.source import Source

__all__ = ["sweep"]

CSV = (".csv",)
SHOWN = ("samples", "accuracy", "agreement", "spikes", "operations", "sam_correlation", "energy_j")


def sweep(
    network: Annotated[Path, typer.Argument(help="Network file of the rows that name none.")],
    table: Annotated[
        Path,
        typer.Argument(
            help="Settings (.csv), a row each, below the names of columns: network, threshold, gamma, mode, bits, "
            "precision, steps, coding, seed, backend, dtype, chip."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (.csv), a row for each setting.")],
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    labels_file: Labels = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.", callback=mark_requested)] = 100,
    steps: Steps = None,
    coding: Coding = None,
    seed: Seed = 0,
    calibration: Calibration = None,
    calibrate: Calibrate = 64,
    jobs: Jobs = None,
    dask: Dask = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing table.")] = False,
) -> None:
    """Measure a network under many settings: thresholds, gammas, bits, precisions, steps, chips.

    Every row of the table is run on the same samples. What comes out has a row for each, with accuracy, agreement with
    the first row, spikes and synaptic operations of a sample, integers out of range, correlation of the maps with those
    of the first row, and energy where a chip is named. Rows are shared by --jobs processes (default 1), or by the
    workers of a Dask cluster; an interrupted sweep goes on where it stopped.
    """
    from neurosam.sweep.grid import read_table, write_table
    from neurosam.sweep.measures import grid_sweep

    new_file(out, force, CSV, (network, table, data, events, labels_file, calibration))
    if events and (data is not None or size is not None or steps is not None or coding is not None):
        raise NeurosamError("--events", "and --data, --size, --steps or --coding exclude each other; give one of them")
    if labels_file is not None and not events:
        raise NeurosamError("--labels", "goes with --events; a data set has its own")
    settings = read_table(table)
    net = network_in(network)
    networks = {str(network): net}
    for setting in settings:
        if setting.network is not None and setting.network not in networks:
            networks[setting.network] = network_in(Path(setting.network))
    source: Source
    if events:
        source, labels = _events(net, events, labels_file, samples)
    else:
        source, labels = _images(net, data, samples, seed, steps, coding, size)
    typical = None
    if any(setting.bits is not None or setting.precision in ("lava", "nxsdk") for setting in settings):
        images = training_name(net, data) if not events else None
        found = calibration_of(net, calibration, calibrate, images, seed, steps, size)
        typical = None if found is None else Inputs.of(net, found)
    folder = out.with_name(out.name + ".rows")
    workers = workers_of(1 if jobs is None and dask is None else jobs, dask)
    if workers is None:
        raise NeurosamError("--jobs", "names no workers; give a number, or --dask ADDRESS")
    with going_on(folder), progress("measuring rows") as tick:
        rows = grid_sweep(
            networks, str(network), settings, source, workers, folder, labels=labels, calibration=typical,
            energy=energy() if any(setting.chip is not None for setting in settings) else None, progress=tick,
        )  # fmt: skip
    write_text(out, write_table(rows))
    shutil.rmtree(folder)
    _show(settings, rows)
    say(f"wrote {out}")


def _events(net: Network, files: Sequence[str], labels: Path | None, samples: int) -> tuple[Source, Any]:
    from neurosam.sweep.source import Spikes

    source = Spikes(net, first_samples(read_inputs(files, net), samples))
    return source, labels_of(labels, files, source.samples, net)


def _images(
    net: Network, data: str | None, samples: int, seed: int, steps: int | None, coding: str | None, size: int | None
) -> tuple[Source, Any]:
    from neurosam.sweep.source import Pictures

    stimulus, fitting, images = pictures(net, data, samples, steps, coding, size)
    return Pictures(fitting, stimulus, seed), images.labels


def _show(settings: Sequence[Setting], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what differs from row to row."""
    columns = [name for name in SHOWN if any(row[name] is not None for row in rows)]
    cells = [
        (str(setting), *(_text(row[name]) for name in columns)) for setting, row in zip(settings, rows, strict=True)
    ]
    show("Sweep", ("setting", *columns), cells, note="spikes and operations of a sample; agreement with the first row")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
