"""What this machine can do at most: the rooflines that the cases are held against, and what a new process pays."""

from __future__ import annotations

import json
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

__all__ = ["machine", "roofline", "startup"]

STARTUP = """
import json, sys, time, numpy as np, neurosam as ns
from neurosam.backends import event
start = time.perf_counter()
case = (ns.Population("in", (2, 8, 8)), ns.Population("a", (64, 8, 8), ns.FixedLIF(410, 60)),
        ns.Population("b", (10,), ns.FixedReadout()))
network = ns.Network(case, (ns.Projection("in", "a", ns.Conv2d(np.ones((64, 2, 3, 3), np.int8), padding=1)),
                            ns.Projection("a", "b", ns.Dense(np.ones((10, 4096), np.int8)))))
ns.run(network, ns.Events.from_dense(np.ones((2, 1, 2, 8, 8), np.uint8)))
seconds = time.perf_counter() - start
parts = [v for n, m in sys.modules.items() if n.startswith("neurosam.") for v in vars(m).values()]
kernels = {id(v): v.stats for v in parts if hasattr(v, "stats") and hasattr(v, "py_func")}.values()
count = {kind: sum(sum(getattr(s, "cache_" + kind).values()) for s in kernels) for kind in ("hits", "misses")}
print(json.dumps({"seconds": seconds, **count}))
"""


def machine() -> dict[str, Any]:
    """What the figures belong to: processor, cores, versions, date."""
    import numba

    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": _processor(),
        "cores": os.cpu_count(),
        "neurosam": __version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def roofline(copied_bytes: int = 2**27) -> dict[str, float]:
    """Rates of one thread, in 10^9 a second: weights gathered and scattered, neurons advanced, bytes copied.

    `gather_far` reads its rows from 1.2 MB of weights, 5 % of the sources being active; `gather` reads 36 KB in order.
    """
    source = np.zeros(copied_bytes, np.uint8)
    target = np.empty_like(source)
    bandwidth = 2 * source.nbytes / _best(lambda: np.copyto(target, source), 5)
    near, far = _synapses(16, 1.0), _synapses(512, 0.05)
    return {
        "gather_G_per_s": near["gather"],
        "gather_far_G_per_s": far["gather"],
        "scatter_G_per_s": near["scatter"],
        "neurons_G_per_s": _neurons(),
        "copy_GB_per_s": bandwidth / 1e9,
    }


def startup() -> dict[str, dict[str, float]]:
    """Seconds after the imports until a new process has its first result, kernels compiled, and from the cache.

    Returns
    -------
    dict
        ``compiled`` and ``cached``, each with ``seconds``, and ``hits`` and ``misses`` of the kernel cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}

        def first_result() -> dict[str, float]:
            done = subprocess.run(
                [sys.executable, "-c", STARTUP], env=environment, capture_output=True, text=True, check=True
            )
            found: dict[str, float] = json.loads(done.stdout)
            return found

        return {"compiled": first_result(), "cached": first_result()}


def _synapses(inputs: int, active: float) -> dict[str, float]:
    """Gather and scatter of a 3x3 convolution to 256 channels on 8x8 pixels, 4 steps."""
    from neurosam.backends.event_layer import Conv, gather, scatter
    from neurosam.backends.event_vector import LANES, aligned, paired

    side, outputs, steps = 8, 256, 4
    rng = np.random.default_rng(0)
    weight = rng.integers(-128, 128, (9 * inputs, outputs)).astype(np.int8)
    whole = np.array([inputs, side, side], np.int64)
    conv = Conv(
        whole, np.array([3, 3, 1, 1, 1, 1, 1, 1, 1, outputs], np.int64), np.array([side, side], np.int64),
        np.concatenate((weight.reshape(-1), np.zeros(LANES - 1, np.int8))), paired(weight).reshape(-1), 0,
    )  # fmt: skip
    fired = rng.random((steps, side * side * inputs)) < active
    index = np.concatenate((np.nonzero(fired)[1], np.zeros(LANES, np.int64))).astype(np.int32)
    start = np.concatenate(([0], np.cumsum(fired.reshape(-1, inputs).sum(axis=1)))).astype(np.int32)
    acc = aligned((steps, side, side, outputs), np.int32)
    kernels: dict[str, Any] = {"gather": gather, "scatter": scatter}
    rates = {}
    for name, kernel in kernels.items():
        operations = kernel(start, side * side, index, 0, conv, 0, acc)
        seconds = _best(lambda kernel=kernel: kernel(start, side * side, index, 0, conv, 0, acc), 15)  # type: ignore[misc]
        rates[name] = operations / seconds / 1e9
    return rates


def _neurons() -> float:
    """Plain LIF with reset by subtraction, 64 channels."""
    from neurosam.backends.event_neuron import Rule, State, fixed_block
    from neurosam.backends.event_vector import aligned

    rng = np.random.default_rng(0)
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
    return sums.size / _best(lambda: fixed_block(sums, 8, 0, 0, 0, rule, state), 15) / 1e9


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
