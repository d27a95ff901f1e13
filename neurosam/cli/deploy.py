"""``neurosam export`` turns a trained model into a network file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam._util.packages import require_package
from neurosam.cli.accuracy import with_accuracy
from neurosam.cli.answers import refuse_foreign
from neurosam.cli.common import HDF5, new_file, progress, say
from neurosam.cli.export_module import InputShape, Loop, ModuleCoding, ModuleSteps, export_module
from neurosam.cli.float_network import network_of_model, spiking_model
from neurosam.cli.formats import Dt, OtherFormat, Reset, Restarts, export_network
from neurosam.cli.inputs import Data, data_of, data_option, held_out, training_set, with_changes
from neurosam.cli.modules import is_module
from neurosam.cli.quantisation import show_quantisation
from neurosam.cli.sample_count import mark_requested
from neurosam.deploy.quantise import quantise
from neurosam.errors import NetworkError, NeurosamError
from neurosam.formats.netx.fit import for_netx
from neurosam.formats.netx.write import check_netx
from neurosam.network.precision import Precision
from neurosam.network.trace import SamTrace

if TYPE_CHECKING:
    from neurosam.training import SpikingSequential
    from neurosam.training.model_file import Recipe

__all__ = ["LongestRun", "Rounding", "Scale", "export", "fixed_precision"]

LongestRun = Annotated[
    int | None,
    typer.Option(
        "--longest-run",
        min=1,
        show_default=False,
        help="Steps of the longest run that is planned; the readout gets room for it. Default: twice the calibration.",
    ),
]
Scale = Annotated[
    str, typer.Option("--scale", help="population: one unit for all its channels; channel: one for each, more exact.")
]
Rounding = Annotated[str, typer.Option("--rounding", help="Of weights: nearest or stochastic.")]

PRECISIONS = {"lava": Precision.lava, "nxsdk": Precision.nxsdk}


def export(
    model: Annotated[
        Path,
        typer.Argument(
            help="Model written by `neurosam train` (.safetensors), or file.py:FUNCTION, which returns a torch module; "
            "with --format, a network file."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File to write. Default: NAME.h5, or the format's suffix.", show_default=False
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="lava or nxsdk (fixed point; they round the decay differently), or float.")
    ] = "lava",
    bits: Annotated[int, typer.Option(min=2, max=9, help="Bits per weight in fixed point.")] = 8,
    calibrate: Annotated[
        str,
        typer.Option(
            help="Training samples used to choose scales (0: none, all inputs weigh the same); for a module, a "
            ".npy of images, or of events [T, B, ...]."
        ),
    ] = "64",
    data: Data = None,
    longest_run: LongestRun = None,
    scale: Scale = "population",
    rounding: Rounding = "nearest",
    fine_tune: Annotated[
        int, typer.Option(min=0, help="Epochs of training with quantised weights first, when few bits cost accuracy.")
    ] = 0,
    samples: Annotated[
        int,
        typer.Option(
            min=0,
            callback=mark_requested,
            help="Held-out samples on which the accuracy of a trained model's network is measured, in float and in "
            "fixed point; 0: none.",
        ),
    ] = 500,
    gamma: Annotated[float, typer.Option(help="Decay of the SAM traces per step.")] = 0.5,
    mode: Annotated[str, typer.Option(help="SAM mode: strict, inclusive or official.")] = "strict",
    shape: InputShape = None,
    time: Loop = "auto",
    coding: ModuleCoding = None,
    steps: ModuleSteps = None,
    purpose: Annotated[
        str | None,
        typer.Option(
            "--for",
            show_default=False,
            help="netx: a network that lava-dl can hold, with biases in the unit of the weights and pools in the "
            "weights; refused by name if there is none.",
        ),
    ] = None,
    other: OtherFormat = None,
    restarts: Restarts = False,
    reset: Reset = None,
    dt: Dt = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Turn a trained model into a network file, quantised by default; or a network file into another tool's format."""
    if data is not None and (other is not None or is_module(str(model))):
        raise NeurosamError("--data", "is the training data of a model of `neurosam train`; leave it out here")
    if other is not None:
        export_network(model, other, out, restarts, reset, dt, force)
        return
    if restarts or reset is not None or dt is not None:
        raise NeurosamError(
            "--restarts, --reset, --dt", "go with --format, which writes a network file for other tools"
        )
    refuse_foreign(model)
    require_package("export", "torch", "safetensors")
    if purpose not in (None, "netx"):
        raise NeurosamError("--for", f"got {purpose!r}; allowed: netx")
    if purpose and (is_module(str(model)) or precision == "float"):
        raise NeurosamError(f"--for {purpose}", "goes with a model of `neurosam train`, and without --precision float")
    if is_module(str(model)):
        report = export_module(
            model, out, shape, _precision(precision, bits), calibrate, SamTrace(gamma, mode), coding, steps, time,
            longest_run, scale, rounding, force,
        )  # fmt: skip
        if report is not None:
            show_quantisation(report)
        return
    if shape is not None or time != "auto":
        raise NeurosamError("--shape, --time", "go with file.py:FUNCTION; a model of `neurosam train` knows its input")
    if not calibrate.isdecimal():
        raise NeurosamError("--calibrate", f"got {calibrate!r}; the number of training samples is required")
    if model.suffix in HDF5:
        raise NeurosamError(str(model), "is a network file; give the model (.safetensors) it was exported from, or "
                            "--format netx, nir or graphml to write it for other tools")  # fmt: skip
    fixed = _precision(precision, bits)
    trace = SamTrace(gamma, mode)
    out = new_file(model.with_suffix(".h5") if out is None else out, force, HDF5, (model, data))
    module, recipe = spiking_model(model)
    if fine_tune:
        if fixed is None:
            raise NetworkError("--fine-tune", "trains with fixed-point weights; --precision float has none")
        module = _fine_tuned(module, recipe, data, fixed.weight_bits, fine_tune)
    stimulus = with_changes(recipe.stimulus, steps, coding)
    if fixed is not None:
        stimulus = stimulus.in_integers()
    network = exact = network_of_model(module, recipe, stimulus, trace)
    if fixed is not None:
        calibration = None
        if int(calibrate):
            train_set = training_set(data_of(stimulus, data), recipe.seed, stimulus.size)
            images = train_set.images[: min(int(calibrate), len(train_set))]
            calibration = stimulus.encode(images, seed=recipe.seed)
        network, report = quantise(
            network, fixed, calibration, steps=longest_run, scale=scale, rounding=rounding, seed=recipe.seed
        )
        show_quantisation(report)
        if purpose:
            network = for_netx(network)
            check_netx(network, restarts=True)
    network = with_accuracy(network, None if fixed is None else exact, samples, data)
    network.save(out)
    say(
        f"wrote {out}; next: neurosam "
        + (f"export {out} --format netx --restarts" if purpose else f"run {out}{data_option(data or stimulus.data)}")
    )


def _fine_tuned(
    module: SpikingSequential, recipe: Recipe, data: str | None, bits: int, epochs: int
) -> SpikingSequential:
    """Train the module further with quantised weights and batch norm folded into them."""
    from neurosam import training

    stimulus = recipe.stimulus
    norm = training.Normalisation(stimulus.mean, stimulus.std) if stimulus.mean else None
    name = data_of(stimulus, data)
    train_set, test_set = (load(name, recipe.seed, stimulus.size) for load in (training_set, held_out))
    with progress(f"fine-tuning at {bits} bits"):
        tuned, history = training.fine_tune(
            module, train_set, test_set, bits=bits, epochs=epochs, lr=4e-4, batch_size=32, steps=stimulus.steps,
            coding=stimulus.coding, seed=recipe.seed, normalisation=norm,
        )  # fmt: skip
    say(f"fine-tuned at {bits} bits: test accuracy {history.test_accuracy:.2%} on {len(test_set):,} held-out samples")
    return tuned


def _precision(name: str, bits: int) -> Precision | None:
    """Return the preset of that name; None for "float"."""
    return None if name == "float" else fixed_precision(name, bits, "float")


def fixed_precision(name: str, bits: int, *others: str) -> Precision:
    """Return the preset of that name; `others` are further names to mention where it is not known."""
    if name not in PRECISIONS:
        raise NetworkError("--precision", f"got {name!r}; allowed: {', '.join((*PRECISIONS, *others))}")
    return PRECISIONS[name](bits)
