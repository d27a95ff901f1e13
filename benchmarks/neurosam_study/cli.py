"""``neurosam study``: run the SAM paper's experiments on cluttered canvases, claim by claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from neurosam._util.packages import require_package
from neurosam.cli.common import new_folder, say, show
from neurosam.cli.inputs import Size
from neurosam.errors import DataError

__all__ = ["study"]


def study(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results and the cache.")] = Path(
        "neurosam-study"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A small study: minutes, but weak evidence.")] = False,
    data: Annotated[
        str,
        typer.Option(
            help="Images for cluttered canvases: mnist5k or fashion. Or a folder of images, such as Tiny-ImageNet, "
            "used without canvases; experiments that need exact masks or pairs are left out."
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
    size: Size = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Number of seeds. Default: 5, with --quick 3.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every training. Default: as in the plan.", show_default=False)
    ] = None,
    recordings: Annotated[
        str,
        typer.Option(help="Folder of labelled recordings, N-MNIST or like it, to judge the methods on as well."),
    ] = "",
    device: Annotated[str, typer.Option(help="Device that torch computes on: auto, cpu, cuda, ...")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Run the SAM paper's experiments on cluttered canvases, with baselines, several seeds and intervals.

    An interrupted study resumes where it stopped; more seeds are added to existing ones. On a machine with a GPU:

        neurosam study --data tiny-imagenet-200 --architecture vgg11 --epochs 90 --device cuda
    """  # fmt: skip
    require_package("study", "torch", "safetensors", "matplotlib")
    new_folder(out, force, "plan.json", (data,))
    from neurosam_study.plan import FULL, QUICK
    from neurosam_study.runner import study as run_study

    plan = replace(QUICK if quick else FULL, data=data, size=size, recordings=recordings)
    if not plan.canvases:
        if architecture is None and Path(data).is_dir():
            raise DataError(
                "--architecture",
                f"is required for a folder of images ({data}): give vgg11, or layers that end in D<classes>",
            )
        plan = replace(plan, train=None, deployed=())
    plan = plan if architecture is None else plan.of_network(architecture)
    plan = plan if seeds is None else replace(plan, seeds=seeds)
    plan = plan if epochs is None else replace(plan, epochs=epochs, ann_epochs=epochs)
    changed = {"architecture": architecture, "size": size, "epochs": epochs, "recordings": recordings or None}
    options = "".join(f" --{name} {value}" for name, value in changed.items() if value is not None)
    command = f"neurosam study{' --quick' if quick else ''} --data {data} --seeds {plan.seeds}{options}"
    try:
        results = run_study(out, plan, say=say, command=command, device=device)
    except KeyboardInterrupt as interruption:
        raise type(interruption)(f"the same command resumes from {out / 'cache'}") from None
    pairs = zip(*results["verdicts"].values(), strict=True)
    rows = [(w["statement"]["experiment"], w["statement"]["text"], w["word"], f["word"]) for w, f in pairs]
    show("Verdicts", ("experiment", "statement", "float", "8 bits, event"), rows, left=2)
    say(f"wrote {out / 'results.md'} and {out / 'results.json'}")
