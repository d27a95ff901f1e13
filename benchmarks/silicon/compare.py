"""Predictions of the cost model against published measurements of chips.

    python benchmarks/silicon/compare.py        # (make silicon) writes results.json, results.md; a minute

Blouw et al.'s seven sizes on Loihi 1 (blouw.py; measured side: blouw2019.json, made by logs.py), and what else is
published (published.py). docs/hardware/trust.md shows the tables. Nothing here is fitted to the measurements.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

import mobilenet
import scaled
from blouw import CHIPS, RATES, Line, Measured, Prediction, measured, predict
from neurosam._util.atomic_write import write_text
from neurosam_hw.chips.load import load_chip
from neurosam_hw.mappers.build import map_network
from published import Row, rows
from tables import markdown

HERE = Path(__file__).resolve().parent
MIDDLE = len(RATES) // 2
STEPS_AN_INFERENCE = 10
NEURONS_A_CORE = 1024
SAME_NETWORK = 1
"""First of the sizes that have copies: without any, the step takes another time, and the last layer other inputs."""

GUESSES = {
    "silent": 0.0,
    "Nengo's default gains and biases, trained for at most 100 Hz": scaled.nengo_rate((100, 100)) / 1000,
    "Nengo's default gains and biases, 200 to 400 Hz": scaled.nengo_rate((200, 400)) / 1000,
    "all at 100 Hz": 0.1,
}
"""Rates to look at, in spikes a step of 1 ms. None of them is known to be that of the networks that were measured."""


def main() -> None:
    """Predict, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for results.json and results.md")
    options = parser.parse_args()
    found = results()
    write_text(options.out / "results.json", json.dumps(found, indent=1) + "\n")
    write_text(options.out / "results.md", markdown(found))
    print(markdown(found))


def results() -> dict[str, Any]:
    """All figures of the page."""
    sizes = measured()
    by_rate = [predict(sizes, rate) for rate in RATES]
    line, every = sizes.line("running_w", SAME_NETWORK), sizes.line("running_w")
    rates = {chip: meeting(sizes, [ps[k] for ps in by_rate], line.slope_w) for k, chip in enumerate(CHIPS)}
    return {
        "source": "github.com/abr/power_benchmarks at fce95c8; arXiv 1812.01739",
        "idle_w": sizes.idle_w,
        "measured": {
            "slope_w": line.slope_w,
            "constant_w": line.constant_w,
            "r2": line.r2,
            "slope_memory_w": sizes.line("memory_w", SAME_NETWORK).slope_w,
            "slope_all_w": every.slope_w,
            "constant_all_w": every.constant_w,
            "r2_all": every.r2,
            "loaded_slope_w": sizes.line("loaded_w").slope_w,
            "loaded_w": float(np.mean(sizes.loaded_w)),
        },
        "sizes": [
            {"neurons": neurons, "cores": 2 * scaled.SPLIT + scaled.LAYERS * copies, "step_s": step_s, **power}
            for copies, neurons, step_s, power in zip(
                sizes.copies, sizes.neurons, sizes.step_s, powers(sizes), strict=True
            )
        ],
        "rates": [by_rate[0][0].rate, by_rate[-1][0].rate],
        "predictions": {
            "lowest": {p.chip: p.power_w for p in by_rate[0]},
            "highest": {p.chip: p.power_w for p in by_rate[-1]},
        },
        "slopes": [
            {"name": name, "rate": rate}
            | {chip: at(sizes, [ps[k] for ps in by_rate], rate) for k, chip in enumerate(CHIPS)}
            for name, rate in GUESSES.items()
        ],
        "rates_that_meet": rates,
        "causes_j": {chip: causes([ps[k] for ps in by_rate], rates[chip]) for k, chip in enumerate(CHIPS)},
        "published": [
            asdict(row) | {"ratio": row.ratio}
            for row in [*whole(sizes, by_rate[MIDDLE]), chips_of_mobilenet(), *rows(float(np.mean(sizes.loaded_w)))]
        ],
    }


def whole(sizes: Measured, predictions: list[Prediction]) -> list[Row]:
    """What a sum of operations must not be held against: a board's energy, and a step that waits for its host."""
    by_chip = {p.chip: p for p in predictions}
    first, fitted = by_chip["loihi1"], by_chip["sanafe-loihi"]
    spotter = sizes.spotter
    inference_j = (spotter["running_w"]["all"] - sizes.idle_w) * spotter["step_s"] * STEPS_AN_INFERENCE
    return [
        Row(
            f"Loihi 1, keyword spotting: an inference, all above booted (`loihi1`, {first.rate:.2f} spikes a neuron "
            "and step)",
            first.power_w[0] * sizes.step_s[0] * STEPS_AN_INFERENCE,
            inference_j,
            "J",
            "512 neurons are next to nothing: what was measured is host, I/O and rest",
        ),
        Row(
            f"Loihi 1, a step of 512 neurons (`sanafe-loihi`, {fitted.rate:.2f} spikes a neuron and step)",
            fitted.step_s[0],
            spotter["step_s"],
            "s",
            "the host sets the pace",
        ),
        Row(
            f"Loihi 1, a step of 26,112 neurons (`sanafe-loihi`, {fitted.rate:.2f} spikes a neuron and step)",
            fitted.step_s[-1],
            sizes.step_s[-1],
            "s",
            f"likewise. Longer than a step of 3,072 neurons by {grown(sizes.step_s):.1f} % (measured) and "
            f"{grown(fitted.step_s):.0f} % (predicted)",
        ),
    ]


def grown(step_s: tuple[float, ...]) -> float:
    """Percent by which a step of the largest size is longer than one of the smallest with copies."""
    return 100 * (step_s[-1] / step_s[SAME_NETWORK] - 1)


def chips_of_mobilenet() -> Row:
    """A mapping against another's: fewer chips are fuller ones."""
    mapping = map_network(mobilenet.network(), load_chip("loihi1"))
    full = sum(piece.size for piece in mapping.pieces) / (mapping.cores * NEURONS_A_CORE)
    return Row(
        "Loihi 1, MobileNet on 128 x 128 pixels: chips, by NxTF's mapper (Rueckauer et al. 2021)",
        mapping.chips,
        16,
        "chips",
        f"mapping alone: {mapping.cores:,} cores, {100 * full:.0f} % full, where NxTF's were 80 % full",
    )


def powers(sizes: Measured) -> list[dict[str, float]]:
    """Measured powers by size."""
    each = zip(sizes.running_w, sizes.spread_w, sizes.loaded_w, strict=True)
    return [{"running_w": run, "spread_w": spread, "loaded_w": rest} for run, spread, rest in each]


def slope(sizes: Measured, prediction: Prediction) -> float:
    """Predicted slope over the sizes that have copies."""
    return Line.through(sizes.neurons[SAME_NETWORK:], prediction.power_w[SAME_NETWORK:]).slope_w


def at(sizes: Measured, predictions: list[Prediction], rate: float) -> float:
    """Predicted slope at a rate; silence apart, it is a straight line through the rates that were run."""
    if not rate:
        return slope(sizes, predictions[0])
    through = Polynomial.fit([p.rate for p in predictions[1:]], [slope(sizes, p) for p in predictions[1:]], 1)
    return float(through(rate))


def meeting(sizes: Measured, predictions: list[Prediction], slope_w: float) -> float:
    """The rate at which a chip's figures give a slope."""
    through = Polynomial.fit([slope(sizes, p) for p in predictions[1:]], [p.rate for p in predictions[1:]], 1)
    return float(through(slope_w))


def causes(predictions: list[Prediction], rate: float) -> dict[str, float]:
    """Energy of a neuron more in a step by cause, at a rate."""
    active = predictions[1:]
    rates = [p.rate for p in active]
    return {
        cause: float(Polynomial.fit(rates, [p.by_cause_j[cause] for p in active], 1)(rate))
        for cause in ("synapses", "neurons", "packets", "hops")
    }


if __name__ == "__main__":
    main()
