"""``neurosam train``: train a model on images and save it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam._util.memory import keep_freed_memory
from neurosam._util.packages import require_package
from neurosam.cli.common import MODEL, console, new_file, say
from neurosam.cli.inputs import CLUTTERED, DATA_HELP, Size, data_option, held_out, training_set
from neurosam.cli.sample_count import mark_requested, report_fewer
from neurosam.errors import NetworkError, NeurosamError
from neurosam.signals.answer import unanswered_text
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurosam.training import Epoch

__all__ = ["train"]


@dataclass(frozen=True)
class _Setting:
    """Defaults that work for a kind of data; a readout with one neuron per class is appended to `layers`."""

    layers: str
    epochs: int
    shift: int


ITEMS = _Setting("16C5S2-32C3-P2-32C3", epochs=8, shift=2)
CANVASES = _Setting("16C5S2-32C3-P2-64C3-P2-64C3-P6", epochs=5, shift=0)  # images are already placed at random


SPIKING = ("steps", "coding", "leak", "threshold", "reset", "order", "bntt")
"""Options that do not apply to an ANN."""


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write.")] = Path("model.safetensors"),
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "mnist5k",
    size: Size = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            callback=mark_requested,
            help="Train on this many samples, each class in its share. Default: all; those held out stay the same.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="vgg5, vgg7, vgg9 or vgg11; or layers: nCk convolution (nCkSs with stride s), Pk average pool, Mk max "
            "pool, G global average pool, Dn dense; the last D is the readout. "
            f"Default: {ITEMS.layers}-D<classes>; a deeper one for cluttered data.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps per sample.")] = 8,
    coding: Annotated[str, typer.Option(help="poisson, poisson_signed, latency or direct.")] = "poisson",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Default: {ITEMS.epochs}; for cluttered data {CANVASES.epochs}, with two canvases per image.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples per batch.")] = 32,
    lr: Annotated[float, typer.Option(help="Initial learning rate; see --schedule.")] = 4e-3,
    optimizer: Annotated[str, typer.Option(help="adam, or sgd with momentum 0.9.")] = "adam",
    schedule: Annotated[str, typer.Option(help="cosine, or step: divided by 10 at 50, 70 and 90 %.")] = "cosine",
    weight_decay: Annotated[float, typer.Option(min=0.0, help="Weight decay of the optimiser.")] = 0.0,
    shift: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Shift training images at random by up to this many pixels. "
            f"Default: {ITEMS.shift}; for cluttered data {CANVASES.shift}.",
            show_default=False,
        ),
    ] = None,
    leak: Annotated[float, typer.Option(help="Fraction of the membrane kept from step to step, 0..1.")] = 0.9,
    threshold: Annotated[float, typer.Option(help="Membrane threshold, above 0.")] = 1.0,
    reset: Annotated[str, typer.Option(help="subtract or zero.")] = "subtract",
    order: Annotated[
        str, typer.Option(help="integrate_first, or fire_first (Eq. 2 of the SAM paper).")
    ] = "integrate_first",
    bntt: Annotated[bool, typer.Option("--bntt", help="Batch norm through time, as in the SAM paper.")] = False,
    ann: Annotated[bool, typer.Option("--ann", help="Train an ANN with ReLU, for `neurosam convert`.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, the weights and all other randomness.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Start over, and replace the model file.")] = False,
) -> None:
    """Train a spiking network with surrogate gradients, or an ANN to convert.

    The defaults reach 98 % on mnist5k in about a minute. A checkpoint is written
    next to the model file after each epoch; after Ctrl-C, the same command
    resumes from it.

    The SAM paper's recipe: --arch vgg9 --bntt --steps 25 --leak 0.95
    --coding poisson_signed --optimizer sgd --schedule step --lr 0.1
    --weight-decay 5e-4 --epochs 90
    """
    require_package("train", "torch", "safetensors")
    new_file(out, force, MODEL, (data,))
    if ann:
        sources = {name: context.get_parameter_source(name) for name in SPIKING}
        inapplicable = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
        if inapplicable:
            raise NeurosamError(f"--{inapplicable[0]}", "applies to spiking networks only; leave it out with --ann")
        steps, coding = 1, "direct"
    from neurosam import training
    from neurosam.training.model_file import Recipe, save_model

    train_set, test_set = training_set(data, seed, size), held_out(data, seed, size)
    if samples is not None:
        report_fewer(len(train_set), samples, "training samples")
        if samples < len(train_set):
            train_set = train_set.split(samples, len(train_set) - samples, seed)[0]
    setting = CANVASES if data.startswith(CLUTTERED) else ITEMS
    classes = len(train_set.classes)
    architecture = architecture or f"{setting.layers}-D{classes}"
    norm = training.Normalisation.measure(train_set.images) if coding == "poisson_signed" else None
    stimulus = Stimulus(
        steps, coding, norm.mean if norm else (), norm.std if norm else (), train_set.classes, data, size
    )
    architecture = training.describe(architecture, classes)
    recipe = Recipe(architecture, train_set.shape, stimulus, leak, threshold, reset, order, seed, bntt, ann)
    module = recipe.build()
    if not architecture.endswith(f"D{classes}"):
        raise NetworkError("--arch", f"got {architecture}; the last layer must be D{classes}, one neuron per class")
    epochs = setting.epochs if epochs is None else epochs
    say(f"{architecture} on {data}: {len(train_set):,} samples to train, {len(test_set):,} held out")
    checkpoint = out.with_suffix(".checkpoint")
    if checkpoint.is_symlink():
        raise NeurosamError(str(checkpoint), "is a link, by which a file elsewhere could be replaced; remove it")
    if checkpoint.exists() and not force:
        say(f"resuming from {checkpoint}")
    keep_freed_memory()
    try:
        history = training.train(
            module, train_set, test_set, steps=steps, coding=coding, epochs=epochs, batch_size=batch, lr=lr,
            optimizer=optimizer, schedule=schedule, weight_decay=weight_decay,
            shift=setting.shift if shift is None else shift, seed=seed, device=device, normalisation=norm,
            checkpoint=checkpoint, resume=not force, progress=True if console.is_terminal else _line(epochs),
        )  # fmt: skip
    except KeyboardInterrupt as interruption:
        state = f"the same command resumes from {checkpoint}" if checkpoint.exists() else "before the first epoch ended"
        raise type(interruption)(state) from None
    save_model(out, module, recipe)
    checkpoint.unlink(missing_ok=True)
    silent = unanswered_text(history.test_unanswered)
    say(f"test accuracy {history.test_accuracy:.2%}{silent} on {len(test_set):,} held-out samples")
    say(f"wrote {out}; next: neurosam {'convert' if ann else 'export'} {out}{data_option(data)}")


def _line(epochs: int) -> Callable[[Epoch], None]:
    """Print one line per epoch, for output that does not go to a terminal."""
    return lambda e: say(
        f"epoch {e.number}/{epochs}: loss {e.loss:.3f}, train {e.train_accuracy:.1%}, test {e.test_accuracy:.1%}, "
        f"{e.seconds:.1f} s"
    )
