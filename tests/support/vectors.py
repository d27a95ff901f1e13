"""A network whose units need every parameter file, and the tools that run the benches of neurosam vectors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns

__all__ = ["PASSED", "Result", "needs_c", "needs_iverilog", "network", "run"]

Result = tuple[int, str]

needs_iverilog = pytest.mark.skipif(
    not (shutil.which("iverilog") and shutil.which("vvp")), reason="iverilog is not installed: apt-get install iverilog"
)
needs_c = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: apt-get install gcc")

PASSED = "population {}: 0 mismatches in {} values\n"


def network() -> tuple[ns.Network, ns.Events]:
    """Five units in a chain: convolution, pools, dense, sparse; every reset, tables, a rising threshold, maps."""
    rng = np.random.default_rng(3)
    conv = ns.FixedLIF(
        410, threshold=150, reset="zero", bias_mantissa=[3, -900, 60], bias_exponent=3, current_decay=900,
        lower_bound_64ths=-4000, initial_membrane_64ths=500, initial_current_64ths=[100, -700, 0],
    )  # fmt: skip
    tabled = ns.FixedLIF(
        rng.integers(0, 900, 8), threshold=8, reset="value", reset_value_64ths=-70, refractory=1, threshold_decay=700,
        threshold_step_64ths=130, gain=rng.integers(60, 200, (14, 8)), gain_shift=7,
        offset_64ths=rng.integers(-40, 90, (14, 8)), fires="at",
    )  # fmt: skip
    net = ns.Network(
        [
            ns.Population("in", (2, 5, 6)),
            ns.Population("conv", (3, 2, 2), conv, pool=ns.MaxPool2d(2)),
            ns.Population("whole", (6,), ns.FixedLIF(0, threshold=6)),
            ns.Population("tabled", (8,), tabled),
            ns.Population("last.one-4", (4,), ns.FixedLIF(300, 20, reset="relative", relative_decay=1500)),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.integers(-44, 34, (3, 2, 2, 3)))),
            ns.Projection("conv", "whole", ns.Dense(rng.integers(-3, 5, (6, 3))), pool=ns.SumPool2d(2)),
            ns.Projection("whole", "tabled", ns.Dense(rng.integers(-5, 9, (8, 6)))),
            ns.Projection("tabled", "last.one-4", ns.Dense(rng.integers(-12, 30, (4, 8))), delay=2),
            ns.Projection(
                "last.one-4", "out", ns.Sparse.from_dense([[9, 0, -5, 0], [0, 3, 0, 1], [0, 0, 7, 7]]), exponent=-1
            ),
        ],
    ).with_sam()  # fmt: skip
    return net, ns.Events.from_dense((rng.random((14, 2, 2, 5, 6)) < 0.3).astype(np.uint8))


def run(folder: Path, *command: str) -> Result:
    """Exit status of a command in a folder, and what it prints."""
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout
