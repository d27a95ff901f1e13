"""Small networks, each with something that the export to SANA-FE has to say: resets, biases, padding, pools, loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import neurosam as ns
from neurosam.network.synapse import neurons
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping import CoreMapping, Piece

__all__ = ["CASES", "Case", "placed"]

STEPS, RATE = 40, 0.2

Values = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A network, its input, on how many cores each population stands (one, if not said), and which share the first."""

    network: ns.Network
    events: ns.Events | Mapping[str, ns.Events]
    cores: Mapping[str, int] = {}
    shared: tuple[str, ...] = ()


def placed(case: Case, chip: Chip) -> CoreMapping:
    """Populations one after the other, each in even parts on cores of its own; before them, those that share one."""
    network = case.network
    pieces = [Piece(name, 0, neurons=np.arange(neurons(network[name].shape))) for name in case.shared]
    core = int(bool(pieces))
    for population in (p for p in network.populations if p.name not in case.shared):
        parts = np.array_split(np.arange(neurons(population.shape)), case.cores.get(population.name, 1))
        for part in parts:
            pieces.append(Piece(population.name, core, neurons=part))
            core += 1
    return CoreMapping(network, chip, tuple(pieces))


def _weights(random: np.random.Generator, *shape: int, low: int = -60, high: int = 90) -> Values:
    return random.integers(low, high, shape).astype(np.int16)


def _events(random: np.random.Generator, shape: tuple[int, ...], rate: float = RATE) -> ns.Events:
    return ns.Events.from_dense((random.random((STEPS, 1, *shape)) < rate).astype(np.uint8))


def dense(
    low: int = -60,
    high: int = 90,
    exponent: int = 0,
    factor: int = 1,
    cores: Mapping[str, int] | None = None,
    **lif: Any,
) -> Case:
    """Two dense layers; options of the first one's neurons."""
    random = np.random.default_rng(1)
    options: dict[str, Any] = {"membrane_decay": 410, "threshold": 300, "reset": "zero"} | lif
    network = ns.Network(
        [
            ns.Population("in", (30,)),
            ns.Population("hidden", (24,), ns.FixedLIF(**options)),
            ns.Population("out", (10,), ns.FixedLIF(123, 200, reset="zero")),
        ],
        [
            ns.Projection(
                "in", "hidden", ns.Dense(factor * _weights(random, 24, 30, low=low, high=high)), exponent=exponent
            ),
            ns.Projection("hidden", "out", ns.Dense(_weights(random, 10, 24))),
        ],
    )
    return Case(network, _events(random, (30,)), cores or {})


def clipped() -> Case:
    """Inhibition far below the lowest membrane of 24 bits, then excitation, which has to come from there."""
    case = dense(exponent=7, threshold=2000, membrane_decay=20)
    weight = np.full((24, 30), 100, np.int8)
    weight[:, :15] = -100
    first, *others = case.network.projections
    network = replace(case.network, projections=[replace(first, synapse=ns.Dense(weight)), *others])
    active = np.zeros((STEPS, 1, 30), bool)
    active[:15, :, :15] = active[15:, :, 15:] = True
    return Case(network, ns.Events.from_dense(active & (np.random.default_rng(7).random(active.shape) < RATE)))


def convolution(readout: bool = False, pool: bool = False) -> Case:
    """A padded convolution with a stride, a leak for each channel and soft reset, perhaps pooled; on three cores."""
    random = np.random.default_rng(2)
    leaks = np.array([0, 100, 410, 800, 1600, 4096])
    out = ns.FixedReadout(bias_mantissa=5, membrane_decay=64) if readout else ns.FixedLIF(410, 100, reset="zero")
    network = ns.Network(
        [
            ns.Population("in", (2, 8, 8)),
            ns.Population("conv", (6, 4, 4), ns.FixedLIF(leaks, 150)),
            ns.Population("out", (5,), out),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(_weights(random, 6, 2, 3, 3), stride=2, padding=1)),
            ns.Projection(
                "conv", "out", ns.Dense(_weights(random, 5, 24 if pool else 96, low=-60, high=60)),
                pool=ns.SumPool2d(2) if pool else None,
            ),
        ],
    )  # fmt: skip
    return Case(network, _events(random, (2, 8, 8)), {"conv": 3})


def grouped() -> Case:
    """Groups, dilation, an overlapping pool in front of the convolution, and 16-bit weights: hi and lo of each."""
    random = np.random.default_rng(3)
    weight = _weights(random, 4, 2, 2, 2, low=-289, high=320)
    network = ns.Network(
        [ns.Population("in", (4, 9, 8)), ns.Population("conv", (4, 2, 2), ns.FixedLIF(300, 700))],
        [ns.Projection("in", "conv", ns.Conv2d(weight, dilation=(2, 1), groups=2), pool=ns.SumPool2d(3, stride=2))],
    )
    return Case(network, _events(random, (4, 9, 8), 0.05), {"in": 2, "conv": 2})


def recurrent() -> Case:
    """A loop with one step of delay, sparse weights, and an input one to one."""
    random = np.random.default_rng(4)
    loop = _weights(random, 40, 40, low=-50, high=50) * (random.random((40, 40)) < 0.3)
    network = ns.Network(
        [ns.Population("in", (40,)), ns.Population("loop", (40,), ns.FixedLIF(410, 200, reset="zero"))],
        [
            ns.Projection("in", "loop", ns.Sparse.one_to_one((40,), 120)),
            ns.Projection("loop", "loop", ns.Sparse.from_dense(loop)),
        ],
    )
    return Case(network, _events(random, (40,)), {"loop": 4})


def kinds() -> Case:
    """A convolution and a sparse shortcut into one population: synapses of two kinds."""
    random = np.random.default_rng(5)
    shape = (3, 6, 6)
    network = ns.Network(
        [
            ns.Population("in", shape),
            ns.Population("conv.1", shape, ns.FixedLIF(200, 180)),
            ns.Population("out", (4,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv.1", ns.Conv2d(_weights(random, 3, 3, 3, 3), padding=1)),
            ns.Projection("in", "conv.1", ns.Sparse.one_to_one(shape, 70)),
            ns.Projection("conv.1", "out", ns.Dense(_weights(random, 4, 108))),
        ],
    )
    return Case(network, _events(random, shape, 0.1), {"conv.1": 3})


def inputs() -> Case:
    """Two inputs and the neurons between them on one core."""
    random = np.random.default_rng(6)
    network = ns.Network(
        [
            ns.Population("left", (12,)),
            ns.Population("right", (9,)),
            ns.Population("both", (15,), ns.FixedLIF(300, 150)),
            ns.Population("out", (4,), ns.FixedLIF(300, 100)),
        ],
        [
            ns.Projection("left", "both", ns.Dense(_weights(random, 15, 12))),
            ns.Projection("right", "both", ns.Dense(_weights(random, 15, 9))),
            ns.Projection("both", "out", ns.Dense(_weights(random, 4, 15))),
        ],
    )
    events = {"left": _events(random, (12,)), "right": _events(random, (9,))}
    return Case(network, events, {}, ("left", "both", "right"))


CASES: dict[str, Callable[[], Case]] = {
    "dense": dense,
    "soft reset": lambda: dense(reset="subtract"),
    "exponent 3": lambda: dense(exponent=3),
    "exponent -1, even weights": lambda: dense(high=64, exponent=-1, factor=2),
    "bias from own step 0": lambda: dense(bias_mantissa=90, bias_exponent=3),
    "reset to a value, fires at the threshold": lambda: dense(reset="value", reset_value_64ths=-700, fires="at"),
    "no reset": lambda: dense(reset="none"),
    "lower bound": lambda: dense(lower_bound_64ths=-900, reset="subtract"),
    "clipped at 24 bits": clipped,
    "refractory for 2 steps": lambda: dense(refractory=2),
    "weights beyond 8 bits": lambda: dense(low=-289, high=320),
    "4 and 3 cores": lambda: dense(cores={"hidden": 4, "out": 3}),
    "16 cores": lambda: dense(cores={"in": 5, "hidden": 8, "out": 3}),
    "padded convolution": convolution,
    "readout": lambda: convolution(readout=True),
    "sum pool": lambda: convolution(pool=True),
    "groups, overlapping pool, hi and lo": grouped,
    "recurrent": recurrent,
    "two inputs on one core": inputs,
    "two kinds of synapses": kinds,
}
"""Networks by name."""
