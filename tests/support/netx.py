"""A network that netx runs exactly, and files as slayer writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

import neurosam as ns

__all__ = [
    "CONV1",
    "CONV2",
    "DENSE",
    "HARD",
    "NEURON",
    "Layer",
    "Values",
    "conv",
    "dense",
    "network",
    "weights",
    "write",
]

Values = npt.NDArray[Any]
Layer = dict[str, Any]

RNG = np.random.default_rng(3)
CONV1 = RNG.integers(-60, 80, (4, 2, 3, 2)).astype(np.int8)
CONV2 = RNG.integers(-60, 80, (6, 2, 1, 3)).astype(np.int8)
DENSE = (RNG.integers(-60, 60, (5, 210)) * 2).astype(np.int8)
HARD = ns.FixedLIF(membrane_decay=400, threshold=150, reset="zero")


def network() -> ns.Network:
    """Convolutions with all their geometry, a matrix, a current, a readout."""
    return ns.Network(
        [
            ns.Population("in", (2, 9, 8)),
            ns.Population("conv1", (4, 5, 9), HARD),
            ns.Population("conv2", (6, 5, 7), replace(HARD, current_decay=1500)),
            ns.Population("out", (5,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv1", ns.Conv2d(CONV1, stride=(2, 1), padding=1)),
            ns.Projection("conv1", "conv2", ns.Conv2d(CONV2, groups=2), delay=0, exponent=1),
            ns.Projection("conv2", "out", ns.Dense(DENSE), delay=2),
        ],
    )


NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "gradedSpike": False}


def weights(*shape: int, low: int = -30, high: int = 60) -> Values:
    return np.random.default_rng(shape).integers(low, high, shape) * 2


def write(path: Path, layers: list[Layer], **others: Any) -> Path:
    """A file as slayer's export_hdf5 writes it; a Callable among the values makes its own dataset."""
    with h5py.File(path, "w") as file:
        for name, value in others.items():
            file[name] = value
        for number, layer in enumerate(layers):
            fill(file.create_group(f"layer/{number}"), layer)
    return path


def fill(group: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            fill(group.create_group(name), value)
        elif callable(value):
            value(group, name)
        elif name == "type" and "vThMant" not in content:
            group.create_dataset(name, (1,), "S10", [str(value).encode()])
        elif isinstance(value, np.ndarray):
            group.create_dataset(name, data=value.astype(np.float32) if name in ("weight", "bias", "delay") else value)
        else:
            group.create_dataset(name, data=value)  # a str is of variable length


def conv(weight: Values, shape: tuple[int, ...], **more: Any) -> Layer:
    return {
        "type": "conv", "shape": np.array(shape), "weight": weight, "stride": np.array([1, 1]),
        "padding": np.array([0, 0]), "dilation": np.array([1, 1]), "groups": 1, "neuron": NEURON, **more,
    }  # fmt: skip


def dense(weight: Values, **more: Any) -> Layer:
    return {"type": "dense", "shape": np.array([len(weight), 1, 1]), "weight": weight, "neuron": NEURON, **more}
