"""``neurosam train``: from images to a trained module in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam.cli.common import DATA_HELP, console, require_new, train_and_test
from neurosam.errors import BackendError
from neurosam.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.training import Epoch

__all__ = ["register", "require_torch"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def require_torch(what: str) -> None:
    """Say how to get torch where it is missing."""
    try:
        import torch  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise BackendError(what, "needs torch, which is not installed: pip install 'neurosam[torch]'") from None


def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write (.safetensors).")] = Path(
        "model.safetensors"
    ),
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "mnist5k",
    architecture: Annotated[
        str,
        typer.Option(
            "--arch",
            help="vgg5, vgg7, vgg9, vgg11; or layers: nCk conv, Pk average pool, Mk max pool, G global average pool, "
            "Dn dense; last D is the readout.",
        ),
    ] = "16C3-P2-32C3-P2-D10",
    steps: Annotated[int, typer.Option(help="Steps a presentation.", min=1)] = 8,
    coding: Annotated[str, typer.Option(help="poisson, poisson_signed or direct.")] = "poisson",
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Samples a batch.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate at the start.")] = 2e-3,
    optimizer: Annotated[str, typer.Option(help="adam, or sgd with momentum 0.9.")] = "adam",
    schedule: Annotated[str, typer.Option(help="cosine, or step: a tenth at 50, 70 and 90 %.")] = "cosine",
    weight_decay: Annotated[float, typer.Option(min=0.0)] = 0.0,
    shift: Annotated[int, typer.Option(min=0, help="Move training images by up to so many pixels.")] = 2,
    leak: Annotated[float, typer.Option(help="Retained fraction of the membrane, 0..1.")] = 0.9,
    threshold: Annotated[float, typer.Option(help="Above 0.")] = 1.0,
    reset: Annotated[str, typer.Option(help="subtract or zero.")] = "subtract",
    order: Annotated[
        str, typer.Option(help="integrate_first, or fire_first (Eq. 2 of the SAM paper).")
    ] = "integrate_first",
    bntt: Annotated[bool, typer.Option("--bntt", help="Batch norm through time, as in the SAM paper.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Train anew and overwrite.")] = False,
) -> None:
    """Train a spiking network with surrogate gradients.

    A checkpoint beside the model file is written after each epoch; the same command goes on from it.

    The SAM paper's recipe: --arch vgg9 --bntt --steps 25 --leak 0.95 --coding poisson_signed --optimizer sgd
    --schedule step --lr 0.1 --weight-decay 5e-4 --epochs 90.
    """
    require_torch("train")
    require_new(out, force)
    from neurosam import training
    from neurosam.training.model import Recipe, save_model

    train_set, test_set = train_and_test(data, seed)
    norm = training.Normalisation.measure(train_set.images) if coding == "poisson_signed" else None
    stimulus = Stimulus(steps, coding, norm.mean if norm else (), norm.std if norm else (), train_set.classes, data)
    architecture = training.describe(architecture, len(train_set.classes))
    recipe = Recipe(architecture, train_set.shape, stimulus, leak, threshold, reset, order, seed, bntt)
    module = recipe.build()
    console.print(f"{architecture} on {data}: {len(train_set):,} samples to train, {len(test_set):,} held out")
    checkpoint = out.with_suffix(".checkpoint")
    history = training.train(
        module, train_set, test_set, steps=steps, coding=coding, epochs=epochs, batch_size=batch, lr=lr,
        optimizer=optimizer, schedule=schedule, weight_decay=weight_decay, shift=shift, seed=seed,
        device=device, normalisation=norm, checkpoint=checkpoint, resume=not force,
        progress=True if console.is_terminal else show_epoch,
    )  # fmt: skip
    save_model(out, module, recipe)
    checkpoint.unlink(missing_ok=True)
    console.print(f"test accuracy [bold]{history.test_accuracy:.2%}[/bold] on {len(test_set):,} held-out samples")
    console.print(f"wrote {out}; next: neurosam export {out}")


def show_epoch(epoch: Epoch) -> None:
    """One line an epoch, for output that is no terminal."""
    console.print(
        f"epoch {epoch.number}: loss {epoch.loss:.3f}, train {epoch.train_accuracy:.1%}, "
        f"test {epoch.test_accuracy:.1%}, {epoch.seconds:.1f} s"
    )
