"""The complete workflow in minutes: train on cluttered digits, export at 8 bits, run, verify, explain, measure, report.

Digits of MNIST-5k are placed at random on a textured canvas with distractor patches. The exact mask of each digit is
known, so an explanation can be right or wrong. This module only calls the parts of the library in order.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosam._util.atomic_write import write_text
from neurosam.backends.registry import run
from neurosam.data import ImageSet, cluttered, load
from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.deploy.quantise import quantise
from neurosam.equivalence.comparison import Equivalence, verify
from neurosam.errors import BackendError
from neurosam.explain.localisation import baselines, localisation
from neurosam.explain.maps import aggregate
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.trace import SamTrace
from neurosam.signals.answer import NO_ANSWER
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.overflow import overflow_warning, overflows
from neurosam.signals.recording import Record, Recording
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.report import Table
    from neurosam.training import Epoch

__all__ = ["FULL", "QUICK", "Plan", "demo", "tables"]

Say = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class Plan:
    """Sizes of the demonstration.

    Parameters
    ----------
    train, test : int
        Training canvases (from 4,000 digits, each placed at random again on every canvas) and held-out canvases (from
        1,000 other digits).
    epochs, batch : int
    lr : float
    architecture : str
    train_steps, steps : int
        Steps per sample in training, and afterwards.
    leak : float
    verified, explained : int
        Held-out samples on which back ends are compared, and on which maps are evaluated.
    timed : int
        Samples per timed run.
    lava : int
        Held-out samples that are also run on Lava, if it is installed; 0: none.
    """

    train: int = 8000
    test: int = 1000
    epochs: int = 5
    batch: int = 32
    lr: float = 4e-3
    architecture: str = "16C5S2-32C3-P2-64C3-P2-64C3-P6-D10"
    train_steps: int = 4
    steps: int = 12
    leak: float = 0.9
    verified: int = 200
    explained: int = 200
    timed: int = 128
    lava: int = 20


FEWER_BITS = (6, 5, 4)
"""Weights of these bits are measured too, beside the 8 bits that are saved."""
SHOWN = 12
"""Samples on the page."""
FULL = Plan()
QUICK = Plan(train=4000, test=500, epochs=3, verified=50, explained=100, timed=64, lava=5)


@dataclass
class Deployed:
    """Results of training and export, for the measurements."""

    module: Any
    stimulus: Stimulus
    test: ImageSet
    float_network: Network
    network: Network
    quantisation: QuantisationReport
    calibration: Events


def demo(folder: Path, plan: Plan = FULL, seed: int = 0, *, say: Say, bar: Bar) -> dict[str, Any]:
    """Run the demonstration and write its results to a folder.

    Parameters
    ----------
    folder : Path
        Created if missing; files of the same names are replaced, others are kept.
    plan : Plan
    seed : int
    say : callable
        Called with a line of text at each stage.
    bar : callable
        Called with a title; returns a context manager that yields a progress callback (done, total).

    Returns
    -------
    dict
        All measurements; also in ``folder/results.json``, whose entry "finished" is False until the end.
    """
    write_text(folder / "results.json", json.dumps({"plan": asdict(plan), "seed": seed, "finished": False}))
    start = time.perf_counter()
    deployed = _deploy(folder, plan, seed, say)
    accuracy = _accuracy(deployed, seed, bar)
    say(f"accuracy on {accuracy['samples']} canvases: float {accuracy['float']:.1%}, 8 bits {accuracy['fixed']:.1%}")
    shown = deployed.stimulus.encode(deployed.test.images[: max(plan.verified, plan.explained)], seed)
    equivalences = _verified(deployed, shown, plan, bar)
    lava = _on_lava(deployed, shown.select(0, plan.lava), say, bar) if plan.lava else None
    if lava is not None:
        equivalences["fixed point on Lava"] = lava
    for name, equivalence in equivalences.items():
        total = equivalence.total
        say(
            f"{' = '.join(equivalence.backends)}, {name}: {total.compared:,} values compared, {total.mismatches} differ"
        )
    layers = tuple(name for name in deployed.network.sam if name.startswith("conv"))
    inputs = shown.select(0, plan.explained)
    explained = run(deployed.network, inputs, record=Record(spikes=layers, sam=layers, membrane=("out",)))
    if warning := overflow_warning(explained):
        say(f"warning: {warning}")
    scores = _localisation(explained, deployed.test, layers)
    timed = _throughput(deployed, shown.select(0, plan.timed), bar)
    if lava is not None:
        timed.append(_timed(deployed.network, shown.select(0, max(1, plan.lava // 5)), "lava", None, 1, bar))
    results = {
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "plan": asdict(plan),
        "seed": seed,
        "finished": True,
        "accuracy": accuracy,
        "quantisation": deployed.quantisation.to_dict(),
        "equivalence": {name: e.to_dict() for name, e in equivalences.items()},
        "localisation": scores,
        "out of range": {name: row._asdict() for name, row in overflows(explained).items()},
        "throughput": timed,
        "duration_s": time.perf_counter() - start,
    }
    _write(folder, deployed, explained, inputs, results, {"seed": seed, "data": deployed.stimulus.data})
    return results


def _deploy(folder: Path, plan: Plan, seed: int, say: Say) -> Deployed:
    from neurosam import training
    from neurosam.deploy.from_torch import to_network
    from neurosam.training.model_file import Recipe, save_model

    train_items, test_items = load("mnist5k").split(4000, plan.test, seed=seed)
    train_set = cluttered(train_items, seed=2 * seed, indices=range(plan.train))
    test_set = cluttered(test_items, seed=2 * seed + 1)
    stimulus = Stimulus(plan.steps, "poisson", classes=train_set.classes, data="cluttered-mnist5k")
    recipe = Recipe(plan.architecture, train_set.shape, stimulus, leak=plan.leak, seed=seed)
    module = recipe.build()
    say(f"training {plan.architecture} on {plan.train:,} canvases, {plan.train_steps} steps, {plan.epochs} epochs")

    def epoch(e: Epoch) -> None:
        say(f"  epoch {e.number}/{plan.epochs}: loss {e.loss:.3f}, held-out {e.test_accuracy:.1%}, {e.seconds:.0f} s")

    training.train(
        module, train_set, test_set, steps=plan.train_steps, epochs=plan.epochs, batch_size=plan.batch, lr=plan.lr,
        seed=seed, progress=epoch,
    )  # fmt: skip
    save_model(folder / "model.safetensors", module, recipe)
    metadata = stimulus.to_metadata() | {"seed": str(seed), "architecture": plan.architecture}
    float_network = to_network(module, train_set.shape, sam=SamTrace(0.5, "strict"), metadata=metadata)
    calibration = stimulus.encode(train_set.images[:64], seed)
    network, report = quantise(float_network, Precision.lava(), calibration)
    float_network.save(folder / "network-float.h5")
    network.save(folder / "network.h5")
    return Deployed(module, stimulus, test_set, float_network, network, report, calibration)


def _accuracy(deployed: Deployed, seed: int, bar: Bar) -> dict[str, Any]:
    """Accuracy of the float network and of fixed-point ones, on all held-out samples with the same input spikes."""
    events = deployed.stimulus.encode(deployed.test.images, seed)
    networks = {"float64": deployed.float_network, "8 bits": deployed.network}
    for bits in FEWER_BITS:
        networks[f"{bits} bits"] = quantise(
            deployed.float_network, Precision.lava(weight_bits=bits), deployed.calibration.select(0, 16)
        )[0]
    predictions = {}
    for name, network in networks.items():
        with bar(f"running {name}") as tick:
            predictions[name] = run(network, events, progress=tick).predictions
    rows = {
        name: {
            "accuracy": float(np.mean(answers == deployed.test.labels)),
            "agreement": float(np.mean(answers == predictions["float64"])),
            "no answer": int(np.count_nonzero(answers == NO_ANSWER)),
        }
        for name, answers in predictions.items()
    }
    return {
        "samples": events.samples,
        "float": rows["float64"]["accuracy"],
        "fixed": rows["8 bits"]["accuracy"],
        "agreement": rows["8 bits"]["agreement"],
        "networks": rows,
    }


def _verified(deployed: Deployed, shown: Events, plan: Plan, bar: Bar) -> dict[str, Equivalence]:
    """Compare reference and event in every spike, membrane and SAM value; integers exactly, float64 up to rounding."""
    equivalences = {}
    for name, network, samples in (
        ("fixed point", deployed.network, plan.verified),
        ("float64", deployed.float_network, max(1, plan.verified // 10)),
    ):
        with bar(f"verifying {name}") as tick:
            equivalences[name] = verify(network, shown.select(0, samples), ("reference", "event"), progress=tick)[
                "event"
            ]
    return equivalences


def _on_lava(deployed: Deployed, events: Events, say: Say, bar: Bar) -> Equivalence | None:
    """Compare event with Lava's own Processes in fixed point; if Lava is not installed, say so and return None."""
    try:
        with bar("verifying on Lava") as tick:
            return verify(deployed.network, events, ("event", "lava"), progress=tick)["lava"]
    except BackendError as error:
        say(f"skipping Lava: {error}")
        return None


def _localisation(recording: Recording, test: ImageSet, layers: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Share of the maps' mass inside the exact masks, for SAM and for baselines without a network."""
    if test.masks is None:
        return {}
    images, masks = test.images[: recording.samples], test.masks[: recording.samples]
    maps = {f"SAM {name}": aggregate(recording.sam[name]) for name in layers}
    for name in layers:
        maps[f"spike count {name}"] = baselines(images, recording.spikes[name])["spikes"]
    trivial = baselines(images)
    return localisation(
        {**maps, "input image": trivial["input"], "centre": trivial["centre"], "uniform": trivial["uniform"]}, masks
    )


def _throughput(deployed: Deployed, events: Events, bar: Bar) -> list[dict[str, Any]]:
    """Time each back end: the median of three runs after a warm-up."""
    cases = (("reference", 2), ("event", 1), ("event", 2))
    return [_timed(deployed.network, events, backend, threads, 4, bar) for backend, threads in cases]


def _timed(network: Network, events: Events, backend: str, threads: int | None, runs: int, bar: Bar) -> dict[str, Any]:
    times: list[float] = []
    with bar(f"timing {backend}") as tick:
        for i in range(runs):
            recording = run(network, events, backend, threads=threads)
            times.append(recording.time_s)
            tick(i + 1, runs)
    median = statistics.median(times[1:] or times)
    return {
        "backend": backend,
        "threads": threads,
        "samples": events.samples,
        "samples_per_s": events.samples / median,
        "synaptic_operations_per_s": sum(recording.operations.values()) / median,
    }


def _write(
    folder: Path,
    deployed: Deployed,
    explained: Recording,
    events: Events,
    results: dict[str, Any],
    provenance: dict[str, Any],
) -> None:
    from neurosam.report.folder import write_folder
    from neurosam.report.recorded import report_of
    from neurosam.report.samples import record_neurons
    from neurosam.report.tables import difference_table, quantisation_table

    test, count = deployed.test, explained.samples
    accuracy, layers = results["accuracy"], tuple(explained.sam)
    exact = run(deployed.float_network, events.select(0, min(SHOWN, count)), record=Record(sam=layers))
    report = report_of(
        deployed.network, explained, test.images[:count], inputs=Inputs.of(deployed.network, events),
        detail=record_neurons(deployed.network, events, layers=layers, samples=SHOWN), beside=("float64", exact),
        shown=SHOWN,
        title="What a spiking network looked at: cluttered digits", labels=test.labels[:count],
        masks=None if test.masks is None else test.masks[:count], classes=test.classes, provenance=provenance,
        highlights={
            "accuracy, float": f"{accuracy['float']:.1%}",
            "accuracy, 8 bits": f"{accuracy['fixed']:.1%}",
            "values that differ": sum(e["total"]["mismatches"] for e in results["equivalence"].values()),
        },
        tables=[*tables(results), difference_table(explained, exact, "float64"),
                quantisation_table(deployed.quantisation)],
    )  # fmt: skip
    write_folder(folder, report, explained)
    write_text(folder / "results.json", json.dumps(results, indent=2))


def _against_lava(rows: list[dict[str, Any]]) -> str:
    speed = {row["backend"]: row["samples_per_s"] for row in rows}  # the last row of a back end has the most threads
    return f"; event is {speed['event'] / speed['lava']:,.0f} times as fast as Lava" if "lava" in speed else ""


def tables(results: dict[str, Any]) -> list[Table]:
    """Format the results as short tables, for the terminal and the page."""
    from neurosam.report.model import Table
    from neurosam.report.tables import percent

    accuracy = results["accuracy"]
    return [
        Table(
            f"accuracy on {accuracy['samples']} held-out canvases",
            ("network", "accuracy, %", "agreement with float64, %", "no answer"),
            [(name, percent(row["accuracy"]), percent(row["agreement"]), row["no answer"])
             for name, row in accuracy["networks"].items()],
            "fixed point of fewer bits, without training again",
        ),
        Table(
            "equivalence", ("network", "back ends", "samples", "values compared", "differ", "decided by rounding"),
            [(name, " = ".join(e["backends"]), e["samples"], f"{e['total']['compared']:,}", e["total"]["mismatches"],
              e["total"]["rounded"] if name == "float64" else "-")
             for name, e in results["equivalence"].items()],
            "every spike, membrane, SAM value, count and output",
        ),
        Table(
            "where the maps point", ("map", "mass inside the mask", "pointing game"),
            [(name, f"{m['mass_inside']:.1%}", f"{m['pointing_game']:.1%}")
             for name, m in results["localisation"].items()],
            "share inside the digit's exact pixels; the last rows are baselines",
        ),
        Table(
            "throughput, fixed point", ("back end", "threads", "samples/s", "ratio", "G synaptic operations/s"),
            [(r["backend"], r["threads"] or "-", f"{r['samples_per_s']:,.3g}",
              f"{r['samples_per_s'] / results['throughput'][0]['samples_per_s']:.2g}",
              f"{r['synaptic_operations_per_s'] / 1e9:.3g}")
             for r in results["throughput"]],
            "median of 3 runs without compilation (Lava: one run of fewer samples, without start-up); "
            "ratio to the exact-integer reference" + _against_lava(results["throughput"]),
        ),
    ]  # fmt: skip
