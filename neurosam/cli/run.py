"""``neurosam run`` runs a network on a back end and reports accuracy, activity, saturation and speed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from neurosam.cli.common import HDF5, network_in, new_file, progress, say, show
from neurosam.cli.errors import report_warning
from neurosam.cli.event_files import EventsFiles, read_inputs, read_state
from neurosam.cli.inputs import Coding, Data, Dtype, Seed, Size, Steps, presented
from neurosam.errors import NetworkError, NeurosamError
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.overflow import overflow_warning
from neurosam.signals.recording import Record, Recording

__all__ = ["run"]


def run(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    backend: Annotated[str, typer.Option(help="event, reference, or another installed back end.")] = "event",
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.")] = 100,
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
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Run a network on held-out images or events; report accuracy, spikes, operations, saturation and time.

    Variables named by --record are streamed to --out, so they may be larger than memory.
    """
    from neurosam.backends.registry import run as run_network
    from neurosam.hdf5.files import save

    for path in (out, keep_state):
        if path is not None:
            new_file(path, force, HDF5)
    if out is not None and out == keep_state:
        raise NeurosamError("--keep-state", "and --out name the same file; give two")
    if out is None and record:
        raise NeurosamError("--record", "needs --out; give a file to write to")
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    net = network_in(network)
    request = _record(record, Record.everything(net))
    labels = None
    if events:
        inputs = read_inputs(events, net)
    else:
        stimulus, images = presented(net, data, samples, seed, steps, coding, size)
        inputs, labels = Inputs.of(net, stimulus), images.labels
    state = None if initial is None else read_state(initial, net, inputs.samples)
    with progress(f"running on {backend}") as tick:
        recording = run_network(
            net, inputs, backend, request, device=device, dtype=dtype, threads=threads, progress=tick, out=out,
            initial=state, keep_state=keep_state is not None,
        )  # fmt: skip
    _summary(net, recording)
    if labels is not None:
        say(f"accuracy {(recording.predictions == labels).mean():.2%} on {recording.samples} samples")
    if warning := overflow_warning(recording):
        report_warning(warning)
    if keep_state is not None:
        if recording.state is None:
            raise NeurosamError("--keep-state", f"the back end {backend!r} keeps no state; use another one")
        save(recording.state, keep_state)
        say(f"wrote {keep_state}: the state after {recording.state.step} steps")
    if out is not None:
        say(f"wrote {out}")


def _summary(network: Network, recording: Recording) -> None:
    """Print the spikes of each population, how often its integers left their range, and the speed."""
    samples = max(recording.samples, 1)
    counted = bool(recording.saturated)
    rows = []
    for population in network.populations:
        name = population.name
        counts = recording.counts.get(name)
        row = ["-", "-", "-"]
        if counts is not None:
            active = f"{counts.mean() / np.prod(population.shape):.2%}" if counts.size else "-"
            row = [f"{int(counts.sum()):,}", f"{counts.sum() / samples:,.0f}", active]
        for left_range in (recording.saturated, recording.wrapped) if counted else ():
            row.append(f"{int(left_range[name].sum()):,}" if name in left_range else "-")
        if counts is not None or counted:
            rows.append((name, *row))
    title = f"{recording.samples} samples x {recording.steps} steps on {recording.backend}"
    columns = ["population", "spikes", "per sample", "per neuron and step"]
    note = (
        "saturated, wrapped: neuron-steps in which a membrane was clipped, or a sum wrapped around" if counted else ""
    )
    show(title, [*columns, *(["saturated", "wrapped"] if counted else [])], rows, note=note)
    if recording.time_s:
        speed = f"{recording.time_s:.3f} s: {recording.samples / recording.time_s:,.0f} samples/s"
        operations = sum(recording.operations.values())
        if operations:
            speed += f", {operations / recording.time_s / 1e9:.2f} G synaptic operations/s"
        say(speed)


def _record(text: str, everything: Record) -> Record:
    """Parse a comma-separated list of variables into a request for all populations that have them."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    variables = tuple(Record.__dataclass_fields__)
    for name in names:
        if name != "all" and name not in variables:
            raise NetworkError("--record", f"got {name!r}; allowed: {', '.join(variables)}, all")
    return Record(**{name: getattr(everything, name) for name in variables if name in names or "all" in names})
