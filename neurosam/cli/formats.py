"""``neurosam import`` and ``neurosam export --format``: networks from other tools, and for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam._util.packages import require_package
from neurosam.cli.answers import answer
from neurosam.cli.common import HDF5, network_in, new_file, say
from neurosam.cli.errors import report_warning
from neurosam.cli.export_module import shape_of
from neurosam.cli.info import show_network
from neurosam.cli.recording_files import (
    FirstStep,
    NetworkOfRecording,
    RecordedSamples,
    RecordedSteps,
    Silent,
    import_recording,
    refuse_options,
)
from neurosam.errors import FormatError, NeurosamError
from neurosam.formats.content import identify
from neurosam.formats.registry import Format, find, formats
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record

__all__ = ["Dt", "OtherFormat", "Reset", "Restarts", "export_network", "import_network"]

STEPS = 32
"""Of the run that tells how much a file changes a network."""

OtherFormat = Annotated[
    str | None,
    typer.Option(
        "--format", help="Write a network file for other tools: netx, nir, graphml, json.", show_default=False
    ),
]
Restarts = Annotated[
    bool,
    typer.Option("--restarts", help="netx will be called with reset_interval and reset_offset=1, which biases need."),
]
Dt = Annotated[
    float | None,
    typer.Option("--dt", help="NIR: step in seconds. Default: the source's; 1e-4 with --format.", show_default=False),
]
Reset = Annotated[
    str | None, typer.Option("--reset", help="NIR, which has no soft reset: zero or subtract.", show_default=False)
]


def import_network(
    file: Annotated[
        Path,
        typer.Argument(
            help="Network file of another tool: netx (.net) or NIR (.nir); or with --network a recording (.csv, .npz)."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write. Default: NAME.h5.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="NIR: the framework whose step it follows (snntorch, norse, sinabs, ...).", show_default=False
        ),
    ] = None,
    dt: Dt = None,
    reset: Reset = None,
    reset_timing: Annotated[
        str | None,
        typer.Option(help="Of --reset: now, next or both. Default: as the source resets.", show_default=False),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="netx: shape of the input (CxHxW), if no layer says it.", show_default=False)
    ] = None,
    magnitude: Annotated[
        int | None, typer.Option(min=1, help="Largest |value| of an input event. Default: 1.", show_default=False)
    ] = None,
    input_unit: Annotated[
        float | None,
        typer.Option(
            help="NIR: value that an event of 1 stands for (0.0039 for bytes). Default: 1.", show_default=False
        ),
    ] = None,
    network: NetworkOfRecording = None,
    first_step: FirstStep = None,
    steps: RecordedSteps = None,
    samples: RecordedSamples = None,
    silent: Silent = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Turn another tool's network file into one of neurosam's, or with --network a recording that it made.

    What a file is, its content decides, not its name. Files that hold no
    network (PyTorch weights, ONNX) are answered with what to do.
    """
    of_networks = {
        "source": source, "dt": dt, "reset": reset, "reset-timing": reset_timing, "shape": shape,
        "magnitude": magnitude, "input-unit": input_unit,
    }  # fmt: skip
    if network is not None:
        refuse_options(of_networks, "is for networks; --network says that the file is a recording")
        import_recording(file, out, network, first_step, steps, samples, silent, force)
        return
    of_recordings = {"first-step": first_step, "steps": steps, "samples": samples, "silent": silent}
    refuse_options(of_recordings, "is for recordings, with their --network")
    kind = identify(file)
    known = next((f for f in formats() if f.name == kind and f.load is not None), None)
    if known is None:
        raise answer(file, kind)
    given = {**of_networks, "shape": shape and shape_of(shape)}
    options = _options(known, given, known.load_options, file)
    target = new_file(file.with_suffix(".h5") if out is None else out, force, HDF5, (file,))
    found = known.read(file, **options)
    say(f"{file}: {known.title}")
    show_network(found, full=True)
    found.save(target)
    run = f"neurosam run {target} --events FILE"
    say(f"wrote {target}; next: {run if found.fixed else f'{run}, or neurosam quantise {target}'}")


def export_network(
    file: Path, name: str, out: Path | None, restarts: bool = False, reset: str | None = None, dt: float | None = None,
    force: bool = False,
) -> None:  # fmt: skip
    """Write a network file in another tool's format.

    Raises
    ------
    NeurosamError
        If the format is not known, its package is not installed, or it cannot hold the network; nothing is written.
    """
    known = find(name)
    if known.save is None:
        raise FormatError("--format", f"got {name!r}, which is read but not written")
    options = _options(known, {"restarts": restarts or None, "reset": reset, "dt": dt}, known.save_options, Path(name))
    if known.needs:
        require_package(f"--format {name}", known.needs)
    network = network_in(file)
    target = new_file(file.with_suffix(known.suffix) if out is None else out, force, (known.suffix,), (file,))
    held = known.write(network, target, **options)
    say(f"wrote {target}: {known.title}")
    if held is not network and (changed := _changed(network, held)):
        report_warning(changed)


def _changed(network: Network, held: Network) -> str:
    """How many spikes differ between a network and what a file holds of it, on random input; "" for none."""
    from neurosam.backends.registry import run

    rng = np.random.default_rng(0)
    inputs = {p.name: Events.from_dense(rng.random((STEPS, 1, *p.shape)) < 0.3) for p in network.inputs}
    names = tuple(p.name for p in network.populations if p.neuron is not None and p.fires)
    ours, theirs = (run(net, inputs, record=Record(spikes=names)).spikes for net in (network, held))
    total = sum(int(ours[name].dense().sum()) for name in names)
    wrong = sum(int((ours[name].dense() != theirs[name].dense()).sum()) for name in names)
    if not wrong:
        return ""
    return f"the file is another network: {wrong:,} spikes differ, of {total:,} on {STEPS} steps of random input"


def _options(known: Format, given: Mapping[str, Any], taken: Mapping[str, str], file: Path) -> dict[str, Any]:
    """Given options under the names of the function's parameters; an option that the format lacks is refused."""
    values = {name: value for name, value in given.items() if value is not None}
    for name in values:
        if name not in taken:
            allowed = ", ".join(f"--{option}" for option in taken) or "none"
            raise NeurosamError(f"--{name}", f"is not for {known.title} ({file}); its options are {allowed}")
    return {taken[name]: value for name, value in values.items()}
