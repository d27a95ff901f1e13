"""``neurosam info``: print the contents of a file as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam._util.atomic_write import write_bytes
from neurosam.cli.answers import refuse_foreign
from neurosam.cli.chips import show_fit
from neurosam.cli.common import MODEL, new_file, say, show
from neurosam.cli.export_module import InputShape
from neurosam.cli.float_network import any_network
from neurosam.cli.kept_facts import as_document, show_metadata
from neurosam.errors import FormatError, NeurosamError
from neurosam.network.alignment import alignment_warning
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, MaxPool2d, SumPool2d, neurons
from neurosam.signals.events import Events
from neurosam.signals.overflow import overflow_warning
from neurosam.signals.recording import Recording
from neurosam.signals.state import State

__all__ = ["info", "show_network", "show_recording"]


ANSWERS = {
    "last": "membrane after the last step", "mean": "mean membrane", "max": "largest membrane", "count": "spike count"
}  # fmt: skip
FLOAT_UNITS = "leaks: fraction kept per step; refractory: steps; the others are in the unit of the weights"
FIXED_UNITS = (
    "decays: 4096ths lost per step; thresholds: units of the weights; ..._64ths: 64ths of that unit, which is the "
    "membrane's own; refractory: steps"
)
HIDDEN_AT_DEFAULT = {
    "bias", "bias_mantissa", "fires", "reset_timing", "refractory", "max_spikes", "initial_membrane",
    "initial_current", "initial_membrane_64ths", "initial_current_64ths", "leak",
}  # fmt: skip


def info(
    file: Annotated[
        Path,
        typer.Argument(
            help="A network, recording, events or state file (HDF5); with --chip also a model (.safetensors), or "
            "file.py:FUNCTION, which returns a torch module."
        ),
    ],
    chip: Annotated[
        str | None,
        typer.Option(
            help="Which limits of this chip a network breaks, and what to do: a name that `neurosam chips` lists, or a "
            "chip file (.toml)."
        ),
    ] = None,
    shape: InputShape = None,
    full: Annotated[
        bool, typer.Option("--full", help="Of a network: all metadata, and the whole quantisation report.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--diagram", help="Of a network: draw it, and write the picture to this file (.svg).", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Of a network: print JSON, with --chip of what breaks its limits.")
    ] = False,
) -> None:
    """Print what a file holds: shapes, parameters, synapses, ranges, bytes; or what of a network fits a chip.

    A network that does not fit is not an error: the exit status is 0, and the last line says what breaks.
    """
    from neurosam.hdf5.files import digest, file_digest, load

    if picture is not None:
        new_file(picture, force, (".svg",), (file, chip))
        _draw(any_network(file, shape), picture)
        return
    if chip is not None:
        show_fit(any_network(file, shape), file.name, chip, as_json)
        return
    if shape is not None:
        raise NeurosamError("--shape", "goes with --chip or --diagram")
    kind = refuse_foreign(file)
    if file.suffix in MODEL and file.is_file():
        raise FormatError(str(file), f"is a trained model; export it as a network first: neurosam export {file}")
    held = load(file, mapped=kind == "recording")
    if isinstance(held, Network) and as_json:
        say(json.dumps(as_document(held) | {"digest": digest(held)}, indent=1, allow_nan=False))
        return
    if isinstance(held, Network):
        show_network(held, full)
    elif as_json or full:
        raise NeurosamError("--json" if as_json else "--full", f"is for networks; {file} holds another thing")
    elif isinstance(held, Recording):
        show_recording(held)
    elif isinstance(held, State):
        _state(held)
    elif isinstance(held, Events):
        say(_events(held))
    else:
        for name, events in held.items():
            say(f"{name}: {_events(events)}")
    if isinstance(held, Recording):  # whose values stay in the file
        stated = file_digest(file)
        say("digest: none (written by an earlier version)" if stated is None else f"digest: {stated} (not checked)")
    else:
        say(f"digest: {digest(held)}")


def _draw(network: Network, picture: Path) -> None:
    from neurosam.report.diagram import diagram

    write_bytes(picture, diagram(network))
    say(f"wrote {picture}")


def _events(events: Events) -> str:
    values = "spikes" if events.value is None else f"values up to {events.magnitude:g}"
    return (
        f"{len(events):,} events ({values}) in {events.steps} steps of {events.samples} samples, "
        f"shape {_shape(events.shape)}"
    )


def _state(state: State) -> None:
    rows = [
        (name, ", ".join(held), _shape(next(iter(held.values())).shape[1:]) if held else "-")
        for name, held in state.neurons.items()
    ]
    show(
        f"state of {state.samples} samples after {state.step} steps", ("population", "variables", "shape"), rows, left=3
    )
    if state.recent:
        say("spikes and events on their way: " + ", ".join(f"{n}, {len(x)} steps" for n, x in state.recent.items()))


def show_network(network: Network, full: bool = False) -> None:
    """Print a network as tables; long metadata are cut unless `full`."""
    from neurosam.metrics.static import connection_sparsity, footprint_bytes, parameter_count

    precision = network.precision
    kind = "float64" if precision is None else f"fixed point ({precision.name}, {precision.weight_bits}-bit weights)"
    populations = []
    for p in network.populations:
        trace = network.sam.get(p.name)
        neuron = type(p.neuron).__name__ if p.neuron else "input"
        neuron = neuron if p.pool is None else f"{_pool('max', p.pool)}, {neuron}"
        sam = "" if trace is None else f"{trace.mode} {trace.gamma:.3g}"
        populations.append((p.name, _shape(p.shape), neuron, sam, f"{neurons(p.shape):,}", network.onsets[p.name]))
    columns = ("population", "shape", "neuron", "SAM", "neurons", "onset")
    show(f"populations: {kind}", columns, populations, left=4)
    rows = [(p.name, _parameters(p)) for p in network.populations]
    show("parameters", ("population", "values"), rows, left=2, note=FIXED_UNITS if network.fixed else FLOAT_UNITS)

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
    say(
        f"NeuroBench: Footprint {footprint_bytes(network):,} bytes, ParameterCount {parameter_count(network):,}, "
        f"ConnectionSparsity {connection_sparsity(network):.4f}"
    )
    if warning := alignment_warning(network.populations, network.projections, network.groups):
        say(f"warning: {warning.partition('. If')[0]}")
    say("answer: " + ", ".join(f"{name} ({ANSWERS[answer]})" for name, answer in network.answers.items()))
    show_metadata(network, full)


def _shape(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def _parameters(population: Population) -> str:
    """Format the options that are set and have an effect, arrays as ranges."""
    neuron: Any = population.neuron
    if neuron is None:
        return f"|value| <= {population.magnitude}"
    values: dict[str, Any] = {}
    for item in fields(neuron):
        value: Any = getattr(neuron, item.name)
        default: Any = item.default
        if value is not None and not (item.name in HIDDEN_AT_DEFAULT and np.array_equal(value, default)):
            values[item.name] = value
    if "bias_mantissa" not in values:
        values.pop("bias_exponent", None)
    if "gain" not in values:
        values.pop("gain_shift", None)
    return ", ".join(f"{name} {_span(value)}" for name, value in values.items()) or "-"


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
    return text if projection.pool is None else f"{_pool('sum', projection.pool)}, {text}"


def _pool(what: str, windows: SumPool2d | MaxPool2d) -> str:
    """Format a pool with the settings that are not the defaults."""
    kernel, stride, padding = windows.geometry
    text = f"{what} pool {_shape(kernel)}"
    text += f" stride {_both(stride)}" if stride != kernel else ""
    return text + (f" padding {_both(padding)}" if padding != (0, 0) else "")


def _both(sides: tuple[int, int]) -> str:
    return str(sides[0]) if sides[0] == sides[1] else _shape(sides)


def show_recording(recording: Recording) -> None:
    """Print what a recording holds."""
    variables = ("spikes", "sam", "membrane", "current")
    parts: list[Mapping[str, Any]] = [
        recording.counts, *(getattr(recording, v) for v in variables), recording.saturated,
    ]  # fmt: skip
    counted = bool(recording.saturated)
    rows = []
    for name in dict.fromkeys(name for part in parts for name in part):
        recorded = [v for v in variables if name in getattr(recording, v)]
        counts = recording.counts.get(name)
        mean = counts.mean() if counts is not None and counts.size else 0.0
        spikes = ("-", "-") if counts is None else (f"{int(counts.sum()):,}", f"{mean:,.1f}")
        if counts is None and name in recording.spikes:
            spikes = f"{recording.spikes[name].count():,}", "-"
        left_range = (recording.saturated, recording.wrapped) if counted else ()
        rows.append((
            name, ", ".join(recorded) or "-", *spikes,
            *(f"{int(by_name[name].sum()):,}" if name in by_name else "-" for by_name in left_range),
        ))  # fmt: skip
    title = f"recording by {recording.backend}: {recording.samples} samples x {recording.steps} steps"
    columns = ["population", "recorded", "spikes", "per sample and step"]
    show(title, [*columns, *(("saturated", "wrapped") if counted else ())], rows, left=2)
    output = (
        f"output {_shape(recording.output.shape)} {recording.output.dtype}" if recording.has_output else "no output"
    )
    say(f"{output}; {recording.time_s:.3f} s")
    if recording.first_step:
        say(f"a part of a run: from own step {recording.first_step} on")
    for name, further in recording.other_outputs.items():
        say(f"output of {name} {_shape(further.shape)} {further.dtype}")
    if recording.state is not None:
        say(f"with the state after {recording.state.step} steps")
    if warning := overflow_warning(recording):
        say(f"warning: {warning}")
