"""What the tests of sweeps share: a small network and its input, and work that ends its worker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

import neurosam as ns
from neurosam.signals import Stimulus
from neurosam.sweep import Pictures

__all__ = ["double", "ended_once", "network", "pictures", "pid_after", "stimulus"]


def network(threshold: int = 90) -> ns.Network:
    """A convolution and a readout in fixed point, with a trace."""
    rng = np.random.default_rng(0)
    return ns.Network(
        [
            ns.Population("in", (1, 8, 8)),
            ns.Population("conv", (4, 6, 6), ns.FixedLIF(membrane_decay=410, threshold=threshold)),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.integers(-40, 80, (4, 1, 3, 3)))),
            ns.Projection("conv", "out", ns.Dense(rng.integers(-50, 50, (3, 144)))),
        ],
    ).with_sam()


def stimulus() -> Stimulus:
    """Of :func:`pictures`."""
    return Stimulus(steps=6)


def pictures(samples: int) -> Pictures:
    """Random images for the network."""
    images = np.random.default_rng(1).integers(0, 256, (samples, 1, 8, 8), dtype=np.uint8)
    return Pictures(images, stimulus(), seed=3)


def double(samples: range) -> list[int]:
    """Some work."""
    return [2 * sample for sample in samples]


def ended_once(marker: str, samples: range) -> list[int]:
    """Work whose first worker is killed in the middle of it."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return double(samples)
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def pid_after(seconds: float, folder: str) -> int:
    """Work that takes a while, and says first who does it."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return os.getpid()
