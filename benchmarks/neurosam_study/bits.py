"""Accuracy against bits per weight of two trained networks, by what is done against the loss.

    demo    the network of `neurosam demo`
    bntt    the same layers with batch norm through time

    quantised    as :func:`neurosam.quantise` does it, calibrated on 64 training canvases
    channel      with a unit per channel
    searched     and thresholds searched on 500 other training canvases, without labels
    fine-tuned   trained for one epoch of 4,000 training canvases with quantised weights first

All accuracies are measured on the same 1,000 held-out canvases and the same spikes; their standard error is 0.7 points
at 95 %. ``python -m neurosam_study.bits -o FOLDER`` trains what FOLDER does not hold yet, measures, and prints the
table; models and results are kept there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam import training
from neurosam._util.atomic_write import write_text
from neurosam.backends.registry import run
from neurosam.cli.inputs import held_out, training_set
from neurosam.data import ImageSet
from neurosam.demo import FULL
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise
from neurosam.deploy.threshold_search import search_thresholds
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.signals.events import Events
from neurosam.signals.stimulus import Stimulus
from neurosam.training.model_file import Recipe, load_model, save_model
from neurosam.training.sequential import SpikingSequential

__all__ = ["NETS", "Net", "measure", "table"]

DATA, SEED = "cluttered-mnist5k", 0
CALIBRATION, SEARCH, FINE_TUNE = 64, 500, 4000
COLUMNS = ("quantised", "channel", "searched", "fine-tuned")


@dataclass(frozen=True)
class Net:
    """How a network is trained.

    Parameters
    ----------
    train_steps, steps : int
        Steps per sample in training, and afterwards.
    epochs, batch : int
    bntt : bool
    architecture : str
    """

    train_steps: int
    steps: int
    epochs: int
    batch: int
    bntt: bool
    architecture: str = FULL.architecture

    def trained(self, path: Path, train_set: ImageSet, test_set: ImageSet) -> tuple[SpikingSequential, Recipe]:
        """The model in a file, trained and saved first if there is none."""
        if not path.exists():
            stimulus = Stimulus(self.steps, "poisson", classes=train_set.classes, data=DATA)
            recipe = Recipe(self.architecture, train_set.shape, stimulus, leak=FULL.leak, seed=SEED, bntt=self.bntt)
            module = recipe.build()
            training.train(
                module, train_set, test_set, steps=self.train_steps, epochs=self.epochs, batch_size=self.batch,
                lr=FULL.lr, seed=SEED, progress=True,
            )  # fmt: skip
            save_model(path, module, recipe)
        return load_model(path)


NETS = {
    "demo": Net(FULL.train_steps, FULL.steps, FULL.epochs, FULL.batch, bntt=False),
    "bntt": Net(10, 10, 4, 16, bntt=True),
}


def measure(
    folder: Path,
    nets: dict[str, Net] = NETS,
    bits: tuple[int, ...] = (8, 6, 5, 4),
    say: Callable[[str], object] = print,
    train_set: ImageSet | None = None,
    test_set: ImageSet | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure what ``folder/bits.json`` does not hold yet, and return all of it.

    Parameters
    ----------
    folder : Path
    nets : dict of str to Net
    bits : tuple of int
    say : callable
        Called with a line of text after each measurement.
    train_set, test_set : ImageSet, optional
        Instead of the canvases of MNIST-5k.

    Returns
    -------
    dict
        ``{net: {"float": accuracy, "<bits>": {column: accuracy}}}``.
    """
    train_set = training_set(DATA, SEED) if train_set is None else train_set
    test_set = held_out(DATA, SEED) if test_set is None else test_set
    path = folder / "bits.json"
    results: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, net in nets.items():
        module, recipe = net.trained(folder / f"{name}.safetensors", train_set, test_set)
        bench = _Bench(module, recipe, train_set, test_set)
        found = results.setdefault(name, {})
        if "float" not in found:
            found["float"] = bench.accuracy(bench.network)
        for column, count in product(COLUMNS, bits):  # the column that takes longest is the last
            accuracies = found.setdefault(str(count), {})
            if column not in accuracies:
                accuracies[column] = bench.accuracy(bench.fixed(column, Precision.lava(count)))
                say(f"{name}, {count} bits, {column}: {accuracies[column]:.1%}")
                write_text(path, json.dumps(results, indent=1) + "\n")
    return results


class _Bench:
    """A trained network with the events that it is quantised, searched and measured on."""

    def __init__(self, module: SpikingSequential, recipe: Recipe, train_set: ImageSet, test_set: ImageSet) -> None:
        self.module, self.recipe, self.train_set, self.test_set = module, recipe, train_set, test_set
        self.network = to_network(module, recipe.input_shape)
        self.calibration, self.search = (
            self._events(train_set.subset((start + np.arange(count)) % len(train_set)), seed)
            for start, count, seed in ((0, CALIBRATION, SEED), (CALIBRATION, SEARCH, SEED + 1))
        )
        self.test = self._events(test_set, SEED)

    def _events(self, images: ImageSet, seed: int) -> Events:
        return self.recipe.stimulus.encode(images.images, seed=seed)

    def accuracy(self, network: Network) -> float:
        return float(np.mean(run(network, self.test).predictions == self.test_set.labels))

    def fixed(self, column: str, precision: Precision) -> Network:
        """The fixed-point network of a column."""
        if column == "quantised":
            return quantise(self.network, precision, self.calibration)[0]
        if column == "fine-tuned":
            return quantise(self._tuned(precision.weight_bits), precision, self.calibration)[0]
        channel, report = quantise(self.network, precision, self.calibration, scale="channel")
        return channel if column == "channel" else search_thresholds(self.network, channel, report, self.search)[0]

    def _tuned(self, bits: int) -> Network:
        images = self.train_set.subset(np.arange(min(FINE_TUNE, len(self.train_set))))
        tuned, _ = training.fine_tune(
            self.module, images, self.test_set, bits=bits, epochs=1, lr=FULL.lr / 10, batch_size=32,
            steps=self.recipe.stimulus.steps, seed=SEED,
        )  # fmt: skip
        return to_network(tuned, self.recipe.input_shape)


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    lines = [f"| network | bits | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for name, found in results.items():
        lines.append(f"| {name} | float | {found['float']:.1%} |" + " |" * (len(COLUMNS) - 1))
        for bits in sorted((int(key) for key in found if key != "float"), reverse=True):
            measured = found[str(bits)]
            cells = (f"{measured[column]:.1%}" if column in measured else "" for column in COLUMNS)
            lines.append(f"| {name} | {bits} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for models and results.")] = Path("neurosam-bits"),
    net: Annotated[list[str] | None, typer.Option(help="demo or bntt; repeatable. Default: both.")] = None,
    bits: Annotated[str, typer.Option(help="Bits per weight, comma-separated.")] = "8,6,5,4",
) -> None:
    """Measure accuracy against bits per weight."""
    nets = {name: NETS[name] for name in net or NETS}
    typer.echo(table(measure(out, nets, tuple(map(int, bits.split(","))), typer.echo)))


if __name__ == "__main__":
    typer.run(_main)
