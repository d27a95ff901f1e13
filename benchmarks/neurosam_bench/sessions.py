"""Time of one step of a small network, as a control loop sees it: a session, and a run of one step with its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.backends.session import Session
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense
from neurosam.signals.events import Events
from neurosam_bench.timing import Tick

__all__ = ["NETWORKS", "latency"]

WARM_UP = 50
INPUTS = 64
"""Different inputs, used in turn."""


def convolutional() -> Network:
    """2x10x10; conv 8, dense 10."""
    rng = np.random.default_rng(0)
    return Network(
        [
            Population("in", (2, 10, 10)), Population("conv", (8, 8, 8), FixedLIF(membrane_decay=400, threshold=60)),
            Population("out", (10,), FixedReadout()),
        ],
        [
            Projection("in", "conv", Conv2d(rng.integers(-40, 60, (8, 2, 3, 3)))),
            Projection("conv", "out", Dense(rng.integers(-40, 60, (10, 512)))),
        ],
    )  # fmt: skip


def recurrent() -> Network:
    """64; dense 64 that projects to itself, dense 8."""
    rng = np.random.default_rng(0)
    return Network(
        [
            Population("in", (64,)), Population("hidden", (64,), FixedLIF(membrane_decay=400, threshold=60)),
            Population("out", (8,), FixedReadout()),
        ],
        [
            Projection("in", "hidden", Dense(rng.integers(-40, 60, (64, 64)))),
            Projection("hidden", "hidden", Dense(rng.integers(-40, 40, (64, 64))), delay=1),
            Projection("hidden", "out", Dense(rng.integers(-40, 60, (8, 64)))),
        ],
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], Network]] = {
    "2x10x10, conv 8, dense 10": convolutional,
    "64, recurrent 64, dense 8": recurrent,
}


def latency(density: float, steps: int, tick: Tick | None = None) -> list[dict[str, Any]]:
    """Time single steps, one thread.

    Parameters
    ----------
    density : float
        Fraction of inputs that spike in a step.
    steps : int
        Steps timed of each variant, after WARM_UP.
    tick : callable, optional
        Called with (variants done, all variants).

    Returns
    -------
    list of dict
        ``case``, ``what``, ``median_s``, ``p99_s``: median and 99th percentile of the time of a step.
    """
    rows: list[dict[str, Any]] = []
    for name, build in NETWORKS.items():
        network = build()
        rng = np.random.default_rng(1)
        inputs = (rng.random((INPUTS, 1, *network.input.shape)) < density).astype(np.uint8)
        traced = network.with_sam()
        variants: dict[str, Callable[[npt.NDArray[Any]], object]] = {
            "session": Session(network).step,
            "session with SAM": Session(traced).step,
            "a run of one step, with its state": _runs(network),
        }
        for what, step in variants.items():
            seconds = _times(step, inputs, steps)
            median_s, p99_s = float(np.median(seconds)), float(np.quantile(seconds, 0.99))
            rows.append({"case": name, "what": what, "median_s": median_s, "p99_s": p99_s})
            if tick is not None:
                tick(len(rows), len(NETWORKS) * len(variants))
    return rows


def _runs(network: Network) -> Callable[[npt.NDArray[Any]], object]:
    """One step after the other, each a run that starts where the last one ended."""
    state = None

    def step(values: npt.NDArray[Any]) -> object:
        nonlocal state
        recording = run(network, Events.from_dense(values[None]), threads=1, initial=state, keep_state=True)
        state = recording.state
        return recording.output

    return step


def _times(step: Callable[[npt.NDArray[Any]], object], inputs: npt.NDArray[Any], steps: int) -> npt.NDArray[np.float64]:
    """Seconds of each step after the warm-up."""
    seconds = np.zeros(steps + WARM_UP)
    for t in range(len(seconds)):
        values = inputs[t % INPUTS]
        start = time.perf_counter()
        step(values)
        seconds[t] = time.perf_counter() - start
    return seconds[WARM_UP:]
