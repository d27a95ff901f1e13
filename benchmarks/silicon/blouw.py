"""Predicted against measured: what a neuron more costs, in the seven sizes that Blouw et al. ran on Loihi 1.

Predicted dynamic power of a size is the energy of a step (counts times figures, no host, no static power) by the
measured time of a step: the chip waits for its host most of the time, so the time of a step is not the chip's. What is
held against the measurement is its slope over the neurons; what does not depend on the network is the board's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import scaled
from neurosam.backends.registry import run
from neurosam.network.network import Network
from neurosam.signals.recording import Record
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.load import load_chip
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.duration import duration
from neurosam_hw.cost.ledger import ledger
from neurosam_hw.cost.work import work
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["CHIPS", "RATES", "Line", "Measured", "Prediction", "measured", "predict"]

HERE = Path(__file__).resolve().parent
CHIPS = ("loihi1", "sanafe-loihi")
RATES = (0.0, 0.025, 0.05, 0.075, 0.1)
"""Spikes a neuron and step that networks are built for: from silence to 100 Hz in steps of 1 ms, the highest rate that
the authors trained their keyword spotter for."""
STEPS = 40


@dataclass(frozen=True)
class Line:
    """A straight line through power over neurons."""

    slope_w: float
    constant_w: float
    r2: float

    @classmethod
    def through(cls, neurons: Sequence[int], power_w: Sequence[float]) -> Line:
        """Least squares."""
        slope, constant = np.polyfit(neurons, power_w, 1)
        rest = np.asarray(power_w) - (constant + slope * np.asarray(neurons))
        return cls(float(slope), float(constant), float(1 - rest.var() / np.var(power_w)))


@dataclass(frozen=True)
class Measured:
    """What the logs say (logs.py): power of both rails, and of the memories' alone."""

    copies: tuple[int, ...]
    neurons: tuple[int, ...]
    step_s: tuple[float, ...]
    running_w: tuple[float, ...]
    spread_w: tuple[float, ...]
    loaded_w: tuple[float, ...]
    memory_w: tuple[float, ...]
    idle_w: float
    spotter: dict[str, Any]

    def line(self, name: str, first: int = 0) -> Line:
        """The line through `running_w`, `loaded_w` or `memory_w`, less the power at idle, from the first size on."""
        power = [watts - self.idle_w for watts in getattr(self, name)]
        return Line.through(self.neurons[first:], power[first:])


@dataclass(frozen=True)
class Prediction:
    """What a chip's figures give, at one rate of firing.

    Parameters
    ----------
    chip, standing : str
    rate : float
        Spikes a neuron and step that were counted, of the largest size.
    power_w : tuple of float
        Dynamic power, by size.
    step_s : tuple of float
        Time of a step, by size.
    by_cause_j : mapping of str to float
        Energy that one more neuron takes in a step.
    """

    chip: str
    standing: str
    rate: float
    power_w: tuple[float, ...]
    step_s: tuple[float, ...]
    by_cause_j: dict[str, float]


def measured() -> Measured:
    """Read blouw2019.json."""
    read = json.loads((HERE / "blouw2019.json").read_text())
    sizes = read["scaled"]
    return Measured(
        copies=tuple(size["copies"] for size in sizes),
        neurons=tuple(size["neurons"] for size in sizes),
        step_s=tuple(size["step_s"] for size in sizes),
        running_w=tuple(size["running_w"]["all"] for size in sizes),
        spread_w=tuple(size["running_spread_w"] for size in sizes),
        loaded_w=tuple(size["loaded_w"]["all"] for size in sizes),
        memory_w=tuple(size["running_w"]["vddm"] for size in sizes),
        idle_w=read["idle_w"]["all"],
        spotter=read["spotter"],
    )


def predict(sizes: Measured, rate: float) -> list[Prediction]:
    """Both chips' predictions for all sizes, from one run of each network."""
    runs = [Run.of(copies, rate) for copies in sizes.copies]
    return [prediction(load_chip(name), sizes, runs) for name in CHIPS]


@dataclass(frozen=True)
class Run:
    """A run of a network, from the step on in which every layer is at work.

    Parameters
    ----------
    net : Network
    arrays : mapping of str to (STEPS, 1, cores) array
        How often each thing happens, by the names of cost/terms.py.
    """

    net: Network
    arrays: Mapping[str, npt.NDArray[np.int64]]

    @classmethod
    def of(cls, copies: int, rate: float) -> Run:
        """Run and count."""
        net = scaled.network(copies, rate)
        depth = HardwareSchedule.of(net).depth
        steps = STEPS + depth
        events = scaled.events(steps, rate)
        recording = run(net, events, record=Record.everything(net))
        counts = count(scaled.mapping(net, load_chip(CHIPS[0])), recording, events)
        known = {name: array for name, array in work(counts).items() if array is not None}
        return cls(net, {name: array[depth:steps] for name, array in known.items()})

    @property
    def numbers(self) -> dict[str, float]:
        """Means of a step."""
        return {name: float(array.sum()) / STEPS for name, array in self.arrays.items()}

    def step_s(self, chip: Chip) -> float:
        """Mean time of a step on a chip."""
        took = duration(scaled.mapping(self.net, chip), STEPS, self.arrays)
        return float(took.known.value.mean())


def prediction(chip: Chip, sizes: Measured, runs: Sequence[Run]) -> Prediction:
    """Counts times figures, by the measured time of a step."""
    bills = [ledger(chip, each.numbers) for each in runs]
    totals = [bill.total for bill in bills if bill.total is not None]
    power = tuple(total.value / step_s for total, step_s in zip(totals, sizes.step_s, strict=True))
    small, large = (
        {cause: sum_.value for cause, sum_ in bill.by_cause.items() if sum_} for bill in (bills[1], bills[-1])
    )
    neurons = sizes.neurons[-1] - sizes.neurons[1]
    by_cause = {cause: (large[cause] - small[cause]) / neurons for cause in large}
    rate = runs[-1].numbers["spikes"] / sizes.neurons[-1]
    steps = tuple(each.step_s(chip) for each in runs)
    return Prediction(chip.name, totals[-1].standing, rate, power, steps, by_cause)
