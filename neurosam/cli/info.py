"""``neurosam info``: print the contents of a file as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam.cli.common import MODEL, say, show
from neurosam.errors import FormatError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, neurons
from neurosam.signals.recording import Recording

__all__ = ["info"]


def info(file: Annotated[Path, typer.Argument(help="A network, recording or events file (HDF5).")]) -> None:
    """Print what a file holds: shapes, parameters, synapses, ranges, bytes."""
    from neurosam.hdf5.files import file_kind, load_events, load_network, load_recording

    if file.suffix in MODEL and file.is_file():
        raise FormatError(str(file), f"is a trained model; export it as a network first: neurosam export {file}")
    kind = file_kind(file)
    if kind == "network":
        _network(load_network(file))
    elif kind == "recording":
        _recording(load_recording(file, mapped=True))
    else:
        events = load_events(file)
        values = "spikes" if events.value is None else f"values up to {events.magnitude:g}"
        say(
            f"{len(events):,} events ({values}) in {events.steps} steps of {events.samples} samples, "
            f"shape {_shape(events.shape)}"
        )


def _network(network: Network) -> None:
    precision = network.precision
    kind = "float64" if precision is None else f"fixed point ({precision.name}, {precision.weight_bits}-bit weights)"
    populations = []
    for p in network.populations:
        trace = network.sam.get(p.name)
        neuron = type(p.neuron).__name__ if p.neuron else "input"
        sam = "" if trace is None else f"{trace.mode} {trace.gamma:.3g}"
        populations.append((p.name, _shape(p.shape), neuron, sam, f"{neurons(p.shape):,}", network.onsets[p.name]))
    columns = ("population", "shape", "neuron", "SAM", "neurons", "onset")
    show(f"populations: {kind}", columns, populations, left=4)
    show("parameters", ("population", "values"), [(p.name, _parameters(p)) for p in network.populations], left=2)

    projections = []
    synapses = size = 0
    for projection in network.projections:
        shape = network[projection.source].shape
        count = projection.synapse.synapses(projection.pool.output_shape(shape) if projection.pool else shape)
        weight = projection.synapse.weight
        synapses, size = synapses + count, size + weight.nbytes
        scale = f" x 2^{projection.exponent}" if projection.exponent else ""
        span = _span(weight) + scale
        edge = f"{projection.source} -> {projection.target}"
        row = (edge, _synapse(projection), _shape(weight.shape), span, f"{count:,}", f"{weight.nbytes:,}")
        projections.append((*row, projection.delay))
    titles = ("projection", "synapse", "weights", "range", "synapses", "bytes", "delay")
    show("projections", titles, projections, left=4)

    neuron_count = sum(neurons(p.shape) for p in network.populations if p.neuron is not None)
    say(f"{neuron_count:,} neurons, {synapses:,} synapses, {size:,} bytes of weights")
    for key, value in network.metadata.items():
        say(f"{key}: {value if len(value) <= 100 else value[:97] + '...'}")


def _shape(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def _parameters(population: Population) -> str:
    """Format the parameters that are set and have an effect, arrays as ranges."""
    neuron: Any = population.neuron
    if neuron is None:
        return f"|value| <= {population.magnitude}"
    values = {name: getattr(neuron, name) for name in neuron.__dataclass_fields__}
    if not np.any(values.get("bias", values.get("bias_mantissa"))):
        values |= dict.fromkeys(("bias", "bias_mantissa", "bias_exponent"))
    if values.get("gain") is None:
        values["gain_shift"] = None
    return ", ".join(f"{name} {_span(value)}" for name, value in values.items() if value is not None) or "-"


def _span(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return str(value)
    if not value.size:
        return "none"
    low, high = value.min(), value.max()
    return f"{low:.6g}" if low == high else f"{low:.4g}..{high:.4g}"


def _synapse(projection: Projection) -> str:
    """Format the kind of a synapse with the settings that are not the defaults."""
    synapse = projection.synapse
    words = [type(synapse).__name__]
    if isinstance(synapse, Conv2d):
        for name, default in (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            value = getattr(synapse, name)
            if value != default:
                words.append(f"{name} {value}" if name == "groups" else f"{name} {_both(value)}")
    text = " ".join(words)
    if projection.pool is None:
        return text
    kernel, stride, padding = projection.pool.geometry
    pool = f"sum pool {_shape(kernel)}"
    pool += f" stride {_both(stride)}" if stride != kernel else ""
    pool += f" padding {_both(padding)}" if padding != (0, 0) else ""
    return f"{pool}, {text}"


def _both(sides: tuple[int, int]) -> str:
    return str(sides[0]) if sides[0] == sides[1] else _shape(sides)


def _recording(recording: Recording) -> None:
    rows = []
    for name, counts in recording.counts.items():
        recorded = [v for v in ("spikes", "sam", "membrane", "current") if name in getattr(recording, v)]
        mean = counts.mean() if counts.size else 0.0
        rows.append((name, ", ".join(recorded) or "-", f"{int(counts.sum()):,}", f"{mean:,.1f}"))
    for variable in ("sam", "membrane", "current"):  # a readout never fires, so it has no counts
        rows += [(name, variable, "-", "-") for name in getattr(recording, variable) if name not in recording.counts]
    title = f"recording by {recording.backend}: {recording.samples} samples x {recording.steps} steps"
    show(title, ("population", "recorded", "spikes", "per sample and step"), rows, left=2)
    say(f"output {_shape(recording.output.shape)} {recording.output.dtype}; {recording.time_s:.3f} s")
