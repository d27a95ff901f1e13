"""``neurosam run`` runs a network on images, events or recordings; reports accuracy, activity, saturation and speed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam.cli.common import HDF5, network_in, new_file, progress, say
from neurosam.cli.errors import report_warning
from neurosam.cli.event_files import EventsFiles, read_inputs, read_state
from neurosam.cli.event_options import DtUs, Files, FilmFile, Polarity, Rule, Window, columns_in, rules_of
from neurosam.cli.given import Given, given
from neurosam.cli.inputs import Coding, Data, Dtype, Seed, Size, Steps, pictures, stimulus_of
from neurosam.cli.labels import Labels, labels_of
from neurosam.cli.recordings import FilmRequest, read_all, run_recordings, run_recordings_by
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.cli.summary import Totals, show_answers, show_speed, show_totals
from neurosam.cli.workers import Dask, Jobs, sweep, workers_of
from neurosam.data.folder import image_files, is_image
from neurosam.deploy.kept_report import kept_report, outlasted
from neurosam.errors import DataError, EventError, NetworkError, NeurosamError
from neurosam.network.network import Network
from neurosam.signals.answer import accuracy_text
from neurosam.signals.overflow import overflow_warning
from neurosam.signals.recording import Record
from neurosam.signals.stimulus import Stimulus

__all__ = ["run"]

FILMS = (".html", ".gif")


def run(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    files: Files = None,
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    backend: Annotated[str, typer.Option(help="event, reference, or another installed back end.")] = "event",
    labels_file: Labels = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Held-out samples; files of a folder.", callback=mark_requested)
    ] = 100,
    steps: Steps = None,
    coding: Coding = None,
    seed: Seed = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to use. Default: chosen by the back end.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda, for the reference back end.")] = "cpu",
    dtype: Dtype = "float64",
    record: Annotated[
        str,
        typer.Option(help="What to write to --out besides outputs and counts: spikes, sam, membrane, current, or all."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Recording file to write.", show_default=False)
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(help="State to start from: what --keep-state wrote, of as many samples.", show_default=False),
    ] = None,
    keep_state: Annotated[
        Path | None, typer.Option(help="File to write the final state to, to go on from.", show_default=False)
    ] = None,
    dt_us: DtUs = None,
    polarity: Polarity = None,
    rule: Rule = None,
    film: FilmFile = None,
    layers: Annotated[
        str, typer.Option(help="Layers in the film, comma-separated. Default: all with maps.", show_default=False)
    ] = "",
    window: Window = None,
    jobs: Jobs = None,
    dask: Dask = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Run a network on held-out images, your files or recordings; report accuracy, spikes, operations and time.

    Variables named by --record are streamed to --out, so they may be larger than memory. So may recordings of an
    event camera, which are run piece by piece; with --out they are read whole. With --jobs or --dask, chunks of
    samples are run by several processes; with --out, an interrupted run goes on where it stopped.
    """
    from neurosam.backends.registry import run as run_network
    from neurosam.hdf5.files import save
    from neurosam.sweep.source import Pictures, Source, Spikes

    numbers = film.with_suffix(".json") if film is not None and film.suffix.lower() == ".html" else None
    for path, suffixes in ((out, HDF5), (keep_state, HDF5), (film, FILMS), (numbers, (".json",))):
        if path is not None:
            new_file(path, force, suffixes, (network, files, data, events, labels_file, initial))
    if out is not None and keep_state is not None and os.path.realpath(out) == os.path.realpath(keep_state):
        raise NeurosamError("--keep-state", "and --out name the same file; give two")
    if out is None and record:
        raise NeurosamError("--record", "needs --out; give a file to write to")
    _refuse_mixed(files, events, data, size)
    swept = jobs is not None or dask is not None
    if swept and (threads is not None or initial is not None or keep_state is not None):
        raise NeurosamError("--threads, --initial, --keep-state", "go without --jobs and --dask")
    net = network_in(network)
    found = given(files, net, size, samples, columns_in(rule or [])) if files else _data_files(data, net, size, samples)
    if not found.recordings and (film is not None or dt_us or polarity or rule):
        raise NeurosamError("--film, --dt-us, --polarity, --rule", "are for recordings of an event camera; name some")
    if found.recordings and (coding is not None or size is not None):
        raise NeurosamError("--coding, --size", "are for images; a recording takes --dt-us, --polarity and --rule")
    if labels_file is not None and not (events or found.spikes):
        raise NeurosamError("--labels", "goes with --events; images and recordings in folders have their own")
    if dask is not None and jobs is None and out is None and not found.recordings:
        raise NeurosamError("--dask", "needs --out, in a folder that all workers see; give a file to write to")
    rules = rules_of(net, dt_us, polarity, steps, rule or []) if found.recordings else None
    if rules is not None and not (out or keep_state or initial):
        picture = FilmRequest(film, layers, window)
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        if (workers := workers_of(jobs, dask)) is not None:
            run_recordings_by(workers, net, network, found, rules, picture, backend, **options)
        else:
            run_recordings(net, found, rules, picture, backend, threads=threads, **options)
        return
    if film is not None:
        raise NeurosamError("--film", "is drawn while a recording streams; leave out --out, --initial and --keep-state")
    request = _record(record, Record.everything(net))
    labels = None
    source: Source
    if events or found.spikes is not None:
        named = events or [str(found.spikes)]
        source = Spikes(net, first_samples(read_inputs(named, net), samples))
        labels = labels_of(labels_file, named, source.samples, net)
    elif rules is not None:
        whole, tally = read_all(found.recordings, net, rules)
        source = Spikes(net, whole)
        labels = None if found.labels is None else np.array(found.labels)
        say(f"{tally}; {rules}")
    elif found.images is not None:
        stimulus = stimulus_of(net, steps, coding)
        _refuse_images(found.images, stimulus, seed)
        source = Pictures(found.images, stimulus, seed)
        say(f"{source.samples} images, coding {stimulus.coding}, {stimulus.steps} steps")
    else:
        stimulus, fitting, images = pictures(net, found.folder or data, samples, steps, coding, size)
        source, labels = Pictures(fitting, stimulus, seed), images.labels
    state = None if initial is None else read_state(initial, net, source.samples)
    if (workers := workers_of(jobs, dask)) is not None:
        recording = sweep(net, source, out, workers, request, backend, device=device, dtype=dtype)
    else:
        with progress(f"running on {backend}") as tick:
            recording = run_network(
                net, source.inputs(net), backend, request, device=device, dtype=dtype, threads=threads, progress=tick,
                out=out, initial=state, keep_state=keep_state is not None,
            )  # fmt: skip
    totals = Totals.of(recording)
    show_totals(net, totals, f"{recording.samples} samples x {recording.steps} steps on {recording.backend}")
    show_speed(totals)
    if labels is not None:
        say(f"accuracy {accuracy_text(recording.predictions, labels)} on {recording.samples} samples")
    elif files or found.images is not None:
        show_answers(net, recording.predictions.tolist())
    if warning := overflow_warning(recording) or outlasted(kept_report(net), recording.steps):
        report_warning(warning)
    if keep_state is not None:
        if recording.state is None:
            raise NeurosamError("--keep-state", f"the back end {backend!r} keeps no state; use another one")
        save(recording.state, keep_state)
        say(f"wrote {keep_state}: the state after {recording.state.step} steps")
    if out is not None:
        say(f"wrote {out}")


def _refuse_mixed(files: list[str] | None, events: list[str] | None, data: str | None, size: int | None) -> None:
    """Refuse several sources of input."""
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    if files and (events or data is not None):
        raise NeurosamError(" ".join(files[:3]), "and --events or --data exclude each other; give one of them")


def _data_files(data: str | None, network: Network, size: int | None, most: int) -> Given:
    """Images that --data names by file, or by a folder without classes; nothing if it names a data set."""
    path = None if data is None else Path(data)
    if (
        path is None
        or len(network.inputs) > 1
        or not (is_image(path) or path.suffix.lower() == ".npy" or (path.is_dir() and image_files(path)))
    ):
        return Given()
    found = given([str(path)], network, size, most)
    if found.images is None:
        raise NeurosamError(
            f"--data {path}", f"has no images for the input {network.input.shape}; events go without --data"
        )
    return found


def _refuse_images(images: Any, stimulus: Stimulus, seed: int) -> None:
    """Refuse images that the network's stimulus does not take."""
    if stimulus.mean and images.dtype != np.uint8:
        raise DataError(
            "images", f"are {images.dtype}; uint8 (0..255) is required, which the network's mean and std normalise"
        )
    try:
        stimulus.encode(images[:1], seed)
    except EventError as error:
        raise DataError("images", error.problem) from None


def _record(text: str, everything: Record) -> Record:
    """Parse a comma-separated list of variables into a request for all populations that have them."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    variables = tuple(Record.__dataclass_fields__)
    for name in names:
        if name != "all" and name not in variables:
            raise NetworkError("--record", f"got {name!r}; allowed: {', '.join(variables)}, all")
    return Record(**{name: getattr(everything, name) for name in variables if name in names or "all" in names})
