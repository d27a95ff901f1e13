"""``neurosam convert``: turn a trained ANN into a spiking model; report its accuracy against the number of steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.packages import require_package
from neurosam.cli.common import MODEL, new_file, say, show
from neurosam.cli.inputs import Data, Seed, data_of, data_option, first_of, held_out, training_set
from neurosam.cli.sample_count import mark_requested
from neurosam.errors import NeurosamError

__all__ = ["convert"]


def convert(
    model: Annotated[Path, typer.Argument(help="Model written by `neurosam train --ann` (.safetensors).")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Model file. Default: NAME-converted.safetensors.", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps per sample, and in calibration.")] = 100,
    percentile: Annotated[
        float, typer.Option(help="Percentile of a layer's weighted input that becomes its threshold; 100: its maximum.")
    ] = 99.9,
    scaling: Annotated[
        float, typer.Option(help="Factor on all thresholds, at most 1: a smaller one needs fewer steps but clips more.")
    ] = 1.0,
    calibrate: Annotated[int, typer.Option(min=1, help="Training samples used to balance the thresholds.")] = 100,
    samples: Annotated[
        int, typer.Option(min=1, help="Held-out samples to measure accuracy on.", callback=mark_requested)
    ] = 500,
    data: Data = None,
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Convert an ANN to a spiking network by threshold balancing.

    Nothing is trained: neurons without leak replace ReLU, and one threshold per
    layer makes their rates proportional to its activations. Rates need time to
    settle, so accuracy is reported against the number of steps.
    """
    require_package("convert", "torch", "safetensors")
    out = new_file(
        model.with_name(f"{model.stem}-converted.safetensors") if out is None else out, force, MODEL, (model, data)
    )
    from neurosam import training
    from neurosam.training.model_file import load_model, save_model

    ann, recipe = load_model(model)
    if not recipe.ann:
        raise NeurosamError(str(model), "is already a spiking network; give the model of a `neurosam train --ann`")
    stimulus = replace(recipe.stimulus, steps=steps, coding="poisson")
    name = data_of(stimulus, data)
    train_set = training_set(name, recipe.seed, stimulus.size)
    test_set = first_of(held_out(name, recipe.seed, stimulus.size), samples)
    conversion = training.convert(
        ann, train_set.images[:calibrate], steps=steps, coding=stimulus.coding, percentile=percentile, scaling=scaling,
        seed=seed,
    )  # fmt: skip
    say("thresholds: " + ", ".join(f"{name} {threshold:.3g}" for name, threshold in conversion.thresholds.items()))
    by_step = training.accuracy_by_step(conversion.module, test_set, steps=steps, coding=stimulus.coding, seed=seed)
    ann_accuracy = training.evaluate(ann, test_set, steps=1, coding="direct")
    rows = [(f"{step}", f"{by_step[step - 1]:.2%}") for step in _shown(steps)]
    rows.append(("the ANN itself", f"{ann_accuracy:.2%}"))
    show(f"accuracy on {len(test_set):,} held-out samples", ("steps", "accuracy"), rows)
    save_model(out, conversion.module, recipe.converted(conversion.thresholds, stimulus))
    say(f"wrote {out}; next: neurosam export {out}{data_option(name)}")


def _shown(steps: int) -> list[int]:
    """Return 1, 2, 5, 10, 20, 50, ... below `steps`, then `steps` itself."""
    round_ones = [digit * 10**power for power in range(len(str(steps))) for digit in (1, 2, 5)]
    return [*(step for step in round_ones if step < steps), steps]
