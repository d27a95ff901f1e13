"""``neurosam export file.py:build --shape 1x28x28``: a network of the module that a function of the user returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from neurosam.cli.common import HDF5, new_file, say
from neurosam.cli.modules import load_module
from neurosam.deploy.quantise import quantise
from neurosam.errors import ArgumentError, FormatError, NeurosamError
from neurosam.formats.events.numpy_files import load_array
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.deploy.quantisation_report import QuantisationReport
    from neurosam.network.precision import Precision
    from neurosam.network.synapse import Shape
    from neurosam.network.trace import SamTrace

__all__ = ["InputShape", "Loop", "ModuleCoding", "ModuleSteps", "export_module", "shape_of"]

InputShape = Annotated[
    str | None,
    typer.Option("--shape", show_default=False, help="Of a module's input, without batch and time: 1x28x28, or 784."),
]
Loop = Annotated[
    str,
    typer.Option(
        "--time", help="What a module takes: step, first [T, B, ...], second [B, T, ...], folded [B*T, ...], inside."
    ),
]
ModuleCoding = Annotated[
    str | None,
    typer.Option(
        "--coding", show_default=False,
        help="Of its images: poisson, latency or direct (bytes as graded events). Default: as trained; poisson.",
    ),
]  # fmt: skip
ModuleSteps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps per sample. Default: as trained; 16.", show_default=False)
]


def export_module(
    model: Path, out: Path | None, shape: str | None, precision: Precision | None, calibrate: str, trace: SamTrace,
    coding: str | None, steps: int | None, time: str, longest_run: int | None, scale: str, rounding: str, force: bool,
) -> QuantisationReport | None:  # fmt: skip
    """Build the module, convert it, quantise the network if there is a `precision`, and write it."""
    path = Path(str(model).rpartition(":")[0] or model)
    sides = shape_of(shape)
    out = new_file(path.with_suffix(".h5") if out is None else out, force, HDF5, (path, calibrate))
    images = None if calibrate.isdecimal() else _images(Path(calibrate), sides)
    from neurosam.deploy.from_torch import to_network

    dense = images is not None and images.ndim == len(sides) + 2
    if images is not None and dense and steps is None:
        steps = len(images)
    stimulus = Stimulus(steps or 16, coding or "poisson")
    if precision is not None:
        stimulus = stimulus.in_integers()
    network: Network = to_network(
        load_module(str(model)), sides, sam=trace, coding=stimulus.coding, time=time, magnitude=stimulus.magnitude,
        input_unit=1 / stimulus.magnitude, metadata=stimulus.to_metadata() | {"module": Path(model).name},
    )  # fmt: skip
    report = None
    if precision is not None:
        calibration: Events | None = None
        if images is not None:
            given = images.reshape(*images.shape[: -len(sides)], *network.input.shape)
            calibration = Events.from_dense(given) if dense else stimulus.encode(given)
        network, report = quantise(network, precision, calibration, steps=longest_run, scale=scale, rounding=rounding)
    network.save(out)
    say(f"wrote {out}; next: neurosam info {out}")
    return report


def shape_of(text: str | None) -> Shape:
    """A shape as the command line has it: 1x28x28."""
    if text is None:
        raise NeurosamError("--shape", "is missing; a module needs the shape of its input, as in --shape 1x28x28")
    sides = text.lower().replace(",", "x").split("x")
    if not all(side.isdecimal() and 0 < int(side) < 2**31 for side in sides) or not 1 <= len(sides) <= 4:
        raise NeurosamError("--shape", f"got {text!r}; sides with x between them are required, as in 1x28x28")
    return tuple(int(side) for side in sides)


def _images(path: Path, shape: Shape) -> npt.NDArray[Any]:
    """Images ``[B, ...]``, or dense events ``[T, B, ...]``."""
    try:
        array = load_array(path)
    except FormatError as error:
        raise ArgumentError("--calibrate", f"{path} {error.problem}") from None
    if array.shape[-len(shape) :] != shape or array.ndim - len(shape) not in (1, 2):
        sides = ", ".join(map(str, shape))
        raise ArgumentError("--calibrate", f"{path} has shape {array.shape}; images [B, {sides}] are required")
    return np.asarray(array)
