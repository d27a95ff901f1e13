"""``neurosam convert``: a trained ANN becomes a spiking model, and what its accuracy gains by waiting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from neurosam.cli.common import MODEL, new_file, require, say, show
from neurosam.cli.inputs import held_out, training_set
from neurosam.errors import NeurosamError

__all__ = ["convert"]


def convert(
    model: Annotated[Path, typer.Argument(help="What `neurosam train --ann` wrote (.safetensors).")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Model file. Default: NAME-converted.safetensors.", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a presentation, and of the calibration.")] = 100,
    percentile: Annotated[
        float, typer.Option(help="Of a layer's weighted inputs, which becomes its threshold; 100: their maximum.")
    ] = 99.9,
    scaling: Annotated[float, typer.Option(help="Factor of all thresholds, to 1: smaller is faster, and cuts.")] = 1.0,
    calibrate: Annotated[int, typer.Option(min=1, help="Training samples by which thresholds are balanced.")] = 100,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples for the accuracy.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the input spikes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Convert an ANN to a spiking network by threshold balancing.

    Nothing is trained: neurons without leak take the place of ReLU, and one
    threshold a layer makes their rates proportional to its activations. Rates
    need time, so accuracy is reported against steps.
    """
    require("convert", "torch", "torch", "safetensors")
    out = new_file(model.with_name(f"{model.stem}-converted.safetensors") if out is None else out, force, MODEL)
    from neurosam import training
    from neurosam.training.model_file import load_model, save_model

    ann, recipe = load_model(model)
    if not recipe.ann:
        raise NeurosamError(str(model), "is a spiking network already; conversion starts from `neurosam train --ann`")
    stimulus = replace(recipe.stimulus, steps=steps, coding="poisson")
    train_set = training_set(stimulus.data, recipe.seed, stimulus.size)
    test_set = held_out(stimulus.data, recipe.seed, stimulus.size)
    test_set = test_set.subset(np.arange(min(samples, len(test_set))))
    found = training.convert(
        ann, train_set.images[:calibrate], steps=steps, coding=stimulus.coding, percentile=percentile, scaling=scaling,
        seed=seed,
    )  # fmt: skip
    say("thresholds: " + ", ".join(f"{name} {threshold:.3g}" for name, threshold in found.thresholds.items()))
    reached = training.accuracy_by_step(found.module, test_set, steps=steps, coding=stimulus.coding, seed=seed)
    whole = training.evaluate(ann, test_set, steps=1, coding="direct")
    rows = [*((f"{step}", f"{reached[step - 1]:.2%}") for step in _shown(steps)), ("the ANN itself", f"{whole:.2%}")]
    show(f"accuracy on {len(test_set):,} held-out samples", ("steps", "accuracy after them"), rows)
    save_model(out, found.module, recipe.converted(found.thresholds, stimulus))
    say(f"wrote {out}; next: neurosam export {out}")


def _shown(steps: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... below `steps`, then `steps` itself."""
    round_ones = [digit * 10**power for power in range(len(str(steps))) for digit in (1, 2, 5)]
    return [*(step for step in round_ones if step < steps), steps]
