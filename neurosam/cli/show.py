"""``neurosam info``: what is in a file, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from neurosam.cli.common import console
from neurosam.network import Network, Population
from neurosam.recording import Recording
from neurosam.synapse import Conv2d, neurons

__all__ = ["network_tables", "register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(info)


def info(file: Annotated[Path, typer.Argument(help="A network, recording or events file (HDF5).")]) -> None:
    """Print what a file holds: populations, projections, ranges, bytes."""
    from neurosam.hdf5 import file_kind, load_events, load_network, load_recording

    kind = file_kind(file)
    if kind == "network":
        for table in network_tables(load_network(file)):
            console.print(table)
    elif kind == "recording":
        console.print(_recording_table(load_recording(file)))
    else:
        events = load_events(file)
        values = "spikes" if events.value is None else f"values up to {events.magnitude:g}"
        console.print(
            f"{len(events)} events ({values}) in {events.steps} steps of {events.samples} samples, shape {events.shape}"
        )


def network_tables(network: Network) -> tuple[Table, Table]:
    """Populations and projections of a network as tables."""
    precision = network.precision
    kind = "float64" if precision is None else f"fixed point ({precision.name}, {precision.weight_bits}-bit weights)"
    populations = Table(title=f"populations - {kind}", title_justify="left")
    for column in ("name", "shape", "neurons", "neuron", "parameters", "onset", "sam"):
        populations.add_column(column, justify="right" if column in ("neurons", "onset") else "left")
    for p in network.populations:
        trace: Any = network.sam.get(p.name)
        populations.add_row(
            p.name,
            " x ".join(map(str, p.shape)),
            f"{neurons(p.shape):,}",
            type(p.neuron).__name__ if p.neuron else "input",
            _parameters(p),
            str(network.onsets[p.name]),
            "" if trace is None else f"{trace.mode}, gamma {trace.gamma:.3g}",
        )
    projections = Table(title="projections", title_justify="left")
    for column in ("from", "to", "synapse", "synapses", "weights", "range", "bytes", "delay"):
        projections.add_column(column, justify="right" if column in ("synapses", "bytes", "delay") else "left")
    synapses = total = 0
    for q in network.projections:
        shape = network[q.source].shape
        pooled = q.pool.output_shape(shape) if q.pool else shape
        count, weight = q.synapse.synapses(pooled), q.synapse.weight
        synapses, total = synapses + count, total + weight.nbytes
        scale = f" x 2^{q.exponent}" if q.exponent else ""
        projections.add_row(
            q.source, q.target, _synapse(q), f"{count:,}", " x ".join(map(str, weight.shape)),
            f"{weight.min(initial=0):.4g} .. {weight.max(initial=0):.4g}{scale}", f"{weight.nbytes:,}", str(q.delay),
        )  # fmt: skip
    cells = sum(neurons(p.shape) for p in network.populations if p.neuron is not None)
    notes = "; ".join(f"{key}: {value}" for key, value in network.metadata.items() if len(value) <= 60)
    projections.caption = f"{cells:,} neurons, {synapses:,} synapses, {total:,} bytes of weights" + (
        f"\n{notes}" if notes else ""
    )
    projections.caption_justify = "left"
    return populations, projections


def _parameters(population: Population) -> str:
    """Parameters that are set, arrays as ranges."""
    if population.neuron is None:
        return f"|value| <= {population.magnitude}"
    parts = []
    for name in population.neuron.__dataclass_fields__:
        value = getattr(population.neuron, name)
        if value is None or (name.startswith("bias") and not np.any(population.neuron.__dict__.get("bias", 1))):
            continue
        if isinstance(value, np.ndarray):
            low, high = value.min(), value.max()
            value = f"{low:.4g}" if low == high else f"{low:.4g}..{high:.4g}"
        parts.append(f"{name} {value}")
    return ", ".join(parts)


def _synapse(projection: Any) -> str:
    synapse = projection.synapse
    text = type(synapse).__name__
    if isinstance(synapse, Conv2d):
        defaults = (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1))
        options = [(name, getattr(synapse, name)) for name, default in defaults if getattr(synapse, name) != default]
        text += "".join(
            f" {name} {value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value}"
            for name, value in options
        )
    if projection.pool is not None:
        kernel, stride, _ = projection.pool.geometry
        text = f"sum pool {kernel[0]}x{kernel[1]}" + (f" stride {stride}" if stride != kernel else "") + f", {text}"
    return text


def _recording_table(recording: Recording) -> Table:
    table = Table(
        title=f"recording by {recording.backend}: {recording.samples} samples x {recording.steps} steps",
        title_justify="left",
    )
    for column in ("population", "spikes", "spikes a step", "recorded"):
        table.add_column(column, justify="right" if column.startswith("spikes") else "left")
    for name, counts in recording.counts.items():
        kept = [v for v in ("spikes", "sam", "membrane", "current") if name in getattr(recording, v)]
        mean = counts.mean() if counts.size else 0.0
        table.add_row(name, f"{int(counts.sum()):,}", f"{mean:.1f}", ", ".join(kept))
    return table
