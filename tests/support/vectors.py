"""A network whose units need every parameter file, and the tools that run the benches of neurosam vectors.

    python -m support.vectors --networks 200 --seed 0

writes vectors of random networks with all options, and of neurons at the edges of their integers, and runs every bench
on them, the C ones with checks for undefined behaviour.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import RangeWarning
from neurosam_hw.vectors import write_vectors
from support.networks import edge_case, random_case
from support.options import limits_case, options_case

__all__ = ["PASSED", "STRICT", "Result", "needs_c", "needs_iverilog", "network", "run"]

Result = tuple[int, str]

needs_iverilog = pytest.mark.skipif(
    not (shutil.which("iverilog") and shutil.which("vvp")), reason="iverilog is not installed: apt-get install iverilog"
)
needs_c = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: apt-get install gcc")

STRICT = "CFLAGS=-std=c99 -O0 -fsanitize=undefined -fno-sanitize-recover"
PASSED = "population {}: 0 mismatches in {} values\n"


def network() -> tuple[ns.Network, ns.Events]:
    """Five units in a chain: convolution, pools, dense, sparse; every reset, tables, a rising threshold, maps."""
    rng = np.random.default_rng(3)
    conv = ns.FixedLIF(
        410, threshold=150, reset="zero", bias_mantissa=np.array([3, -900, 60]), bias_exponent=3, current_decay=900,
        lower_bound_64ths=-4000, initial_membrane_64ths=500,
        initial_current_64ths=np.array([100, -700, 0]),
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


def main(arguments: list[str]) -> int:
    """Run all benches on random networks; the exit status."""
    parser = argparse.ArgumentParser(description="Random networks through the benches of neurosam vectors.")
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RangeWarning)
    passed = 0
    for seed in range(given.seed, given.seed + given.networks):
        case = (options_case, limits_case, edge_case, random_case)[seed % 4]
        with tempfile.TemporaryDirectory() as folder:
            drawn: tuple[ns.Network, Any] = case(np.random.default_rng(seed))
            found = write_vectors(*drawn, folder, backend="reference")
            status, output = run(Path(folder), "make", "-s", STRICT)
            if status or output.count(": 0 mismatches in ") != 2 * len(found.units):
                sys.stdout.write(f"{case.__name__}, seed {seed}: exit status {status}\n{output}")
                return 1
            passed += len(found.units)
    sys.stdout.write(f"{given.networks} networks, {passed} populations: 0 mismatches in Verilog and in C\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
