"""How far 7-bit traces that decay in every step (Loihi's y1) reproduce the maps of SAM.

    neurosam demo -o neurosam-demo
    python benchmarks/traces/compare.py neurosam-demo/network.h5      # writes results.md; half a minute

A trace of the chip is an integer of 7 bits without a sign. In each step it decays and is rounded to an integer, and a
spike adds an impulse; above 127 it stays at 127:

    x <- round(x * exp(-gamma));    a spike reads x (strict: before its own impulse), then x <- min(x + impulse, 127)

The chip rounds at random, up with the probability of the fraction. That is how two emulators describe it (nengo-loihi,
exp(-1 / tau) with a whole tau; brian2-loihi, 1 - 1 / tau); no chip was asked. Rounding to the nearest integer and down
show what randomness is worth. The maps of all of these are compared with those of the network's own integer traces, for
the same spikes, in the unit of a float trace.

First, the same code without rounding and clipping must give the float map of `neurosam.from_spikes` to 1e-9.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import neurosam as ns
from neurosam._util.atomic_write import write_text
from neurosam.data import cluttered, load
from neurosam.network.synapse import as_chw
from neurosam.signals.stimulus import Stimulus

HERE = Path(__file__).resolve().parent
LARGEST = 127
GAMMAS = (1.0, 0.5, 0.25, 0.1)
"""1 / tau for tau = 1, 2, 4, 10: the chip's time constants are whole numbers."""
SEEDS = 3
STEPS = (12, 100)
"""Of the demonstration, and a long run."""

Array = npt.NDArray[np.float64]
Round = Callable[[Array], Array]


def main() -> None:
    """Run the network, and compare the maps of its layers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, help="a fixed-point network of `neurosam demo`")
    parser.add_argument("--samples", type=int, default=40, help="held-out canvases")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for results.md")
    options = parser.parse_args()
    network = ns.load(options.network)
    stimulus = Stimulus.from_metadata(network.metadata)
    seed = int(network.metadata["seed"])
    _, held_out = load("mnist5k").split(4000, 1000, seed=seed)
    images = cluttered(held_out, seed=2 * seed + 1).images[: options.samples]
    layers = tuple(network.sam)
    rows = []
    for steps in STEPS:
        events = replace(stimulus, steps=steps).encode(images, seed)
        spikes = ns.run(network, events, record=ns.Record(spikes=layers)).spikes
        rows += [
            (str(steps), *row) for layer in layers[:1] + layers[-1:] for row in compare(layer, spikes[layer], steps)
        ]
    write_text(options.out / "results.md", markdown(rows, options.samples))
    print("\n".join(" | ".join(row) for row in rows))


def compare(layer: str, recorded: ns.Spikes, steps: int) -> Iterator[tuple[str, ...]]:
    """Rows of the table: gamma, rounding, and how its maps differ from those of the integer traces."""
    channels, spikes = as_chw(recorded.shape)[0], recorded.dense()
    rate = f"{spikes.mean():.0%}"
    if largest_difference(spikes) > 1e-9:
        raise SystemExit(f"{layer}: without rounding, the maps are not those of the float trace")
    for gamma in GAMMAS:
        fixed = ns.SamTrace(gamma).quantise(channels, steps)
        wanted = ns.from_spikes(spikes, fixed) / fixed.scale
        impulse = largest_impulse(gamma, steps)
        for name, seeds in (("at random", SEEDS), ("nearest", 1), ("down", 1)):
            found = [
                figures(maps(spikes, gamma, impulse, rounding(name, seed), LARGEST) / impulse, wanted)
                for seed in range(seeds)
            ]
            yield (layer, rate, f"{gamma:g}", str(impulse), name, *spread(found))


def maps(spikes: npt.NDArray[Any], gamma: float, impulse: float, to_integer: Round, largest: float) -> Array:
    """The maps ``[T, B, H, W]`` of a trace that decays in every step, in units of the trace."""
    keep = math.exp(-gamma)
    trace = np.zeros(spikes.shape[1:])
    found = []
    for fired in spikes.astype(bool):
        trace = to_integer(trace * keep)
        found.append((trace * fired).sum(axis=1))
        trace = np.minimum(trace + impulse * fired, largest)
    return np.stack(found)


def rounding(name: str, seed: int) -> Round:
    """One of the three ways to an integer."""
    rng = np.random.default_rng(seed)
    ways: dict[str, Round] = {
        "at random": lambda x: np.floor(x) + (rng.random(x.shape) < x % 1),
        "nearest": np.rint,
        "down": np.floor,
    }
    return ways[name]


def largest_impulse(gamma: float, steps: int) -> int:
    """The largest impulse with which a neuron that fires in every step stays below 127, but for rounding."""
    return math.floor(LARGEST / sum(math.exp(-gamma * n) for n in range(steps)))


def largest_difference(spikes: npt.NDArray[Any]) -> float:
    """How far the code here is from the library, where nothing is rounded."""
    few = spikes[:, :2]
    exact = maps(few, 0.5, 1.0, lambda x: x, math.inf)
    return float(np.abs(exact - ns.from_spikes(few, ns.SamTrace(0.5))).max())


def figures(found: Array, wanted: Array) -> tuple[float, ...]:
    """Correlation step by step and of the sums over time, mean error, bias and largest error."""
    sums, wanted_sums = found.sum(axis=0), wanted.sum(axis=0)
    by_sample = [correlation(a, b) for a, b in zip(sums, wanted_sums, strict=True)]
    scale = wanted.mean()
    error = found - wanted
    return (
        correlation(found, wanted), float(np.min(by_sample)), float(np.abs(error).sum() / wanted.sum()),
        float(error.mean() / scale), float(np.abs(error).max()),
    )  # fmt: skip


def correlation(a: Array, b: Array) -> float:
    """Pearson's."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def spread(found: list[tuple[float, ...]]) -> tuple[str, ...]:
    """The worst of each figure over the seeds."""
    pooled, worst, error, bias, most = np.array(found).T
    largest_bias = bias[np.abs(bias).argmax()]
    return (
        f"{pooled.min():.5f}", f"{worst.min():.5f}", f"{error.max():.1%}", f"{largest_bias:+.2%}", f"{most.max():.2f}",
    )  # fmt: skip


def markdown(rows: list[tuple[str, ...]], samples: int) -> str:
    """Format the page."""
    head = (
        "steps", "layer", "rate", "gamma", "impulse", "rounding", "correlation", "of sums, worst sample", "mean error",
        "bias", "largest error",
    )  # fmt: skip
    lines = [
        "# Maps of 7-bit traces that decay in every step",
        "",
        f"The network of `neurosam demo`, {samples} held-out canvases, strict; against its integer traces of up to 16",
        "fractional bits, for the same spikes. `python benchmarks/traces/compare.py neurosam-demo/network.h5` wrote",
        "this page; in the long run the output saturates, which no map sees.",
        "",
        f"At random: the worst of {SEEDS} seeds. *rate*: spikes by neuron and step; *impulse*: the largest with which",
        "nothing is clipped; *correlation*: of all pixels and steps; *of sums*: of a sample's map added up over time;",
        "*mean error*: the absolute error by the map's mean; *largest error*: of one pixel in a step, in spikes.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
