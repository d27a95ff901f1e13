"""What this machine can do at most: the rooflines that the cases are held against, and what a new process pays."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam import __version__
from neurosam.backends.event_compile import kernel
from neurosam.backends.event_layer import Conv, added, scatter
from neurosam.backends.event_neuron import Rule, State, fixed_block
from neurosam.backends.event_short import no_shorts_32, paired
from neurosam.backends.event_vector import address, aligned, store

__all__ = ["roofline", "startup"]

STARTUP = """
import time, numpy as np, neurosam as ns
from neurosam.backends import event
start = time.perf_counter()
case = (ns.Population("in", (2, 8, 8)), ns.Population("a", (64, 8, 8), ns.FixedLIF(410, 60)),
        ns.Population("b", (10,), ns.FixedReadout()))
network = ns.Network(case, (ns.Projection("in", "a", ns.Conv2d(np.ones((64, 2, 3, 3), np.int8), padding=1)),
                            ns.Projection("a", "b", ns.Dense(np.ones((10, 4096), np.int8)))))
ns.run(network, ns.Events.from_dense(np.ones((2, 1, 2, 8, 8), np.uint8)))
print(time.perf_counter() - start)
"""


def roofline() -> dict[str, Any]:
    """Rates of one thread, in 10^9 a second: weights gathered and scattered, neurons advanced, bytes copied."""
    rows, channels = _rates()
    copied = np.zeros(2**27, np.uint8)
    target = np.empty_like(copied)
    bandwidth = 2 * copied.nbytes / _best(lambda: np.copyto(target, copied), 5)
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": _processor(),
        "cores": os.cpu_count(),
        "neurosam": __version__,
        "python": platform.python_version(),
        "gather_G_per_s": rows["gather"],
        "scatter_G_per_s": rows["scatter"],
        "neurons_G_per_s": channels,
        "copy_GB_per_s": bandwidth / 1e9,
    }


def startup() -> dict[str, float]:
    """Seconds after the imports until a new process has its first result: kernels compiled, and from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}

        def seconds() -> float:
            done = subprocess.run(
                [sys.executable, "-c", STARTUP], env=environment, capture_output=True, text=True, check=True
            )
            return float(done.stdout)

        return {"compiled_s": seconds(), "cached_s": seconds()}


@kernel
def _gather(pairs: Any, rows: Any, count: int, acc: Any) -> None:
    """Sums of `count` listed weight rows at a time, of 64 channels, as the tiles of a layer make them."""
    weights, listed = address(pairs, 0), address(rows, 0)
    for slot in range(rows.size // count):
        store(added(no_shorts_32(), weights, listed, slot * count, (slot + 1) * count, 6), acc, 0)


def _rates() -> tuple[dict[str, float], float]:
    rng = np.random.default_rng(0)
    rates = {}
    weight = rng.integers(-128, 128, (576, 64)).astype(np.int8)  # 36 KB: the first cache holds them
    rows = rng.integers(0, len(weight), 2**16).astype(np.uint16)
    pairs, total = paired(weight).reshape(-1), aligned((64,), np.int32)
    _gather(pairs, rows, 128, total)
    rates["gather"] = rows.size * 64 / _best(lambda: _gather(pairs, rows, 128, total), 15) / 1e9
    side, inputs, outputs, steps = 8, 16, 256, 4
    weight = rng.integers(-128, 128, (9 * inputs, outputs)).astype(np.int8)
    conv = Conv(
        np.array([inputs, side, side], np.int64), np.array([3, 3, 1, 1, 1, 1, 1, 1, 1, outputs], np.int64),
        np.array([side, side], np.int64), np.concatenate((weight.reshape(-1), np.zeros(15, np.int8))),
        np.zeros(0, np.int8), np.zeros(0, np.int16), 0, False,
    )  # fmt: skip
    # all sources active: long rows of additions, little else
    spikes = np.arange(side * side * inputs, dtype=np.int32)
    index = np.concatenate([spikes] * steps + [np.zeros(16, np.int32)])
    start = (np.arange(steps * side * side + 1) * inputs).astype(np.int32)
    acc = aligned((steps, side, side, outputs), np.int32)
    operations = scatter(start, side * side, index, 0, conv, 0, acc)
    rates["scatter"] = operations / _best(lambda: scatter(start, side * side, index, 0, conv, 0, acc), 15) / 1e9
    channels, pixels = 64, 128

    def each(value: int) -> npt.NDArray[np.int32]:
        out = aligned((channels,), np.int32)
        out[:] = value
        return out

    flags, none = np.array([1, 0, 0, 0, 0, 0, 0, 0], np.int64), np.zeros((0, channels), np.int64)
    rule = Rule(
        flags, each(0), each(3686), each(0), each(64000), each(64000), none, 0, none, np.zeros(1, np.int64), 0, 1
    )
    empty, records = np.zeros((0, 0), np.int32), np.zeros((0, pixels, channels), np.int32)
    state = State(
        empty, aligned((pixels, channels), np.int32), empty, empty, empty, np.zeros((8, pixels, 1), np.uint64),
        np.zeros(8, np.int64), empty, records, records,
    )  # fmt: skip
    sums = aligned((8, pixels, channels), np.int32)
    sums[:] = rng.integers(-100, 300, sums.shape)
    fixed_block(sums, 8, 0, 0, 0, rule, state)
    return rates, sums.size / _best(lambda: fixed_block(sums, 8, 0, 0, 0, rule, state), 15) / 1e9


def _best(function: Callable[[], Any], repeats: int) -> float:
    """Shortest of several times: a limit is what the machine does when left alone."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
