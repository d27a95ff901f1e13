"""``neurosam study``: run the SAM paper's experiments, statement by statement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam._util.memory import keep_freed_memory
from neurosam._util.packages import require_package
from neurosam._util.progress import progress
from neurosam.cli.common import new_folder, say, show
from neurosam.cli.inputs import Size

__all__ = ["study"]


def study(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results and the cache.")] = Path(
        "neurosam-study"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A small study: minutes, but weak evidence.")] = False,
    data: Annotated[
        str,
        typer.Option(
            help="Images for cluttered canvases: mnist5k or fashion. Or a folder, used without canvases: "
            "Tiny-ImageNet, whose boxes are the masks; images, without masks; or N-MNIST, whose recordings have no ANN."
        ),
    ] = "mnist5k",
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture",
            "--arch",
            show_default=False,
            help="vgg5, vgg7, vgg9, vgg11, or layers as in `neurosam train --help`. Needed for a folder of images.",
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option(show_default=False, help="Factor for the channels of vgg5 ... vgg11.")
    ] = None,
    size: Size = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Number of seeds. Default: 5, with --quick 3.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every training. Default: as in the plan.", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps per sample. Default: as in the plan.", show_default=False)
    ] = None,
    order: Annotated[
        list[str] | None,
        typer.Option(
            help="fire_first (the paper's) or integrate_first; repeatable. Default: both.", show_default=False
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help="adam, or sgd as in the paper. Default: as in the plan.", show_default=False),
    ] = None,
    experiments: Annotated[
        list[str] | None,
        typer.Option(help='Run these alone, as in "Fig. 10"; repeatable. Default: all.', show_default=False),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Say what would be trained and how long that takes, and stop.")
    ] = False,
    device: Annotated[str, typer.Option(help="Device that torch computes on: auto, cpu, cuda, ...")] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            show_default=False,
            help="Processes that share the seeds, each with one thread of torch. Default: one seed after the other, "
            "with all threads; a training of one thread and one of several differ in their last bits.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Run the SAM paper's experiments, with baselines, several seeds and intervals.

    An interrupted study resumes where it stopped; more seeds are added to existing ones. The paper's data on two cores,
    in a few hours, and its network on a machine with a GPU:

        neurosam study --data tiny-imagenet-200 --size 32

        neurosam study --data tiny-imagenet-200 --architecture vgg11 --epochs 90 --device cuda
    """  # fmt: skip
    require_package("study", "torch", "safetensors", "matplotlib")
    from neurosam_study.estimate import describe
    from neurosam_study.models import Models
    from neurosam_study.presets import plan_for
    from neurosam_study.runner import study as run_study

    keep_freed_memory()
    plan = plan_for(data, quick=quick, architecture=architecture, size=size)
    changed: dict[str, Any] = {
        "width": width, "seeds": seeds, "epochs": epochs, "ann_epochs": epochs, "steps": steps, "optimizer": optimizer,
        "orders": None if not order else tuple(order),
    }  # fmt: skip
    plan = replace(plan, **{name: value for name, value in changed.items() if value is not None})
    if plan_only:
        Models(plan, 0, out / "cache", say, device).check()
        describe(plan, out / "cache", device, say)
        return
    new_folder(out, force, "plan.json", (data,))
    given = {
        "architecture": architecture, "width": width, "size": size, "epochs": epochs, "steps": steps,
        "optimizer": optimizer,
    }  # fmt: skip
    options = "".join(f" --{name} {value}" for name, value in given.items() if value is not None)
    options += "".join(f" --order {value}" for value in order or ())
    options += "" if jobs is None else f" --jobs {jobs}"
    command = f"neurosam study{' --quick' if quick else ''} --data {data} --seeds {plan.seeds}{options}"
    try:
        with progress():
            results = run_study(out, plan, say, command, device, experiments or (), jobs)
    except KeyboardInterrupt as interruption:
        raise type(interruption)(f"the same command resumes from {out / 'cache'}") from None
    pairs = zip(*results["verdicts"].values(), strict=True)
    rows = [(w["statement"]["experiment"], w["statement"]["text"], w["word"], f["word"]) for w, f in pairs]
    show("Verdicts", ("experiment", "statement", "float", "8 bits, event"), rows, left=2)
    say(f"wrote {out / 'results.md'} and {out / 'results.json'}")
