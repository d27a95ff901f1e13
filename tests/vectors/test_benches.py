"""The benches agree on every bit, and find what is wrong: a bit in any file, and a LIF that is nearly right."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.vectors import write_vectors
from neurosam_hw.vectors.golden import Golden
from support.all_options import all_options
from support.networks import edge_case
from support.options import limits_case, options_case
from support.vectors import PASSED, STRICT, Result, needs_c, needs_iverilog, run

pytestmark = pytest.mark.filterwarnings("ignore::neurosam.errors.RangeWarning")

UNITS = {"conv": "p1", "whole": "p2", "tabled": "p3", "last.one-4": "p4", "out": "p5"}


@pytest.fixture(scope="module")
def simulate(made: tuple[Path, Golden]) -> Callable[..., Result]:
    """Run the testbench of a unit, compiled once, on its files or others."""
    folder, _ = made

    def simulated(name: str, files: Path | None = None) -> Result:
        unit = UNITS[name]
        if not (folder / unit / "tb.vvp").exists():
            verilog(folder, unit, folder / "lif.v")
        return run(folder, "vvp", "-n", f"{unit}/tb.vvp", f"+dir={files or unit}")

    return simulated


def verilog(folder: Path, unit: str, lif: Path, out: str = "tb.vvp") -> None:
    sources = ("tb.v", str(lif), "sam_trace.v")
    assert run(folder, "iverilog", "-g2012", "-Wall", "-I", unit, "-o", f"{unit}/{out}", *sources)[0] == 0


def bench(folder: Path, lif: str = "lif.c", *options: str) -> Result:
    """Compile the C bench, without a warning, and run it."""
    strict = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", ".")
    assert run(folder, "cc", "-O0", *strict, *options, "-o", "bench", "bench.c", lif) == (0, "")
    return run(folder, "./bench")


def values(unit: Any, *extra: str) -> int:
    """Values that a bench compares."""
    return sum(unit.columns[name].values.size for name in ("s", "u", "v", "sam", *extra) if name in unit.columns)


@needs_c
@needs_iverilog
def test_make_runs_everything(made: tuple[Path, Golden], tmp_path: Path) -> None:
    folder = tmp_path / "tb"
    shutil.copytree(made[0], folder, ignore=shutil.ignore_patterns("*.vvp", "bench"))
    status, output = run(folder, "make", "-s")
    units = made[1].units
    expected = [PASSED.format(name, values(unit, "a")) for name, unit in units.items()]
    assert (status, output) == (0, "".join([*expected, *(PASSED.format(n, values(u)) for n, u in units.items())]))
    assert {name for name, unit in units.items() if unit.columns["s"].values.any()} == UNITS.keys() - {"out"}


CASES: dict[str, Callable[[], tuple[ns.Network, Any]]] = {
    "all options": all_options,
    "edge": lambda: edge_case(np.random.default_rng(2)),
    "limits": lambda: limits_case(np.random.default_rng(1)),
    "pooled": lambda: options_case(np.random.default_rng(4), "pooled"),
    "recurrent": lambda: options_case(np.random.default_rng(8), "recurrent"),
}


@needs_c
@needs_iverilog
@pytest.mark.parametrize("case", CASES)
def test_networks_with_options_and_at_the_edges(case: str, tmp_path: Path) -> None:
    found = write_vectors(*CASES[case](), tmp_path, backend="reference")
    if case in ("edge", "limits"):
        assert sum(int(n.sum()) for n in found.recording.wrapped.values()) > 0
        assert sum(int(n.sum()) for n in found.recording.saturated.values()) > 0
    status, output = run(tmp_path, "make", "-s", STRICT)
    assert status == 0, output
    assert output.count(": 0 mismatches in ") == 2 * len(found.units)


# --- a bit in a file --------------------------------------------------------------------------------------------------


def flip(path: Path, word: int, bit: int) -> None:
    """Flip a bit of a word."""
    lines = path.read_text().split("\n")
    at = [i for i, line in enumerate(lines) if line and not line.startswith("//")][word]
    lines[at] = f"{int(lines[at], 16) ^ 1 << bit:0{len(lines[at])}x}"
    path.write_text("\n".join(lines))


@needs_iverilog
@pytest.mark.parametrize("variable", ["u", "s", "v", "sam"])
@pytest.mark.parametrize("name", ["conv", "tabled"])
def test_a_bit_of_a_golden_value(
    variable: str, name: str, made: tuple[Path, Golden], simulate: Callable[..., Result], tmp_path: Path
) -> None:
    folder, found = made
    shutil.copytree(folder / UNITS[name], tmp_path / "p")
    golden = found.units[name].columns[variable].values
    step, sample, neuron = 5, 1, golden.shape[2] - 1
    flip(tmp_path / "p" / f"{variable}.hex", int(np.ravel_multi_index((step, sample, neuron), golden.shape)), 0)
    value = int(golden[step, sample, neuron])
    status, output = simulate(name, tmp_path / "p")
    assert status == 1
    assert output.splitlines()[0] == (
        f"mismatch: step {step}, sample {sample}, population {name}, neuron {neuron}, variable {variable}: "
        f"got {value}, expected {value ^ 1}"
    )


PARAMETERS = [
    ("conv", "a", 0, 0), ("conv", "factor_u", 0, 0), ("conv", "factor_v", 0, 0), ("conv", "bias", 0, 0),
    ("conv", "threshold", 0, 9), ("conv", "lower_bound", 4, 0), ("conv", "initial_u", 4, 0),
    ("conv", "initial_v", 0, 0), ("conv", "kernel", 1, 0), ("whole", "amount", 0, 0), ("tabled", "amount", 0, 0),
    ("tabled", "gain", 16, 0), ("tabled", "offset", 0, 0), ("tabled", "factor_h", 0, 6),
    ("tabled", "threshold_step", 0, 6), ("last.one-4", "factor_r", 2, 2), ("out", "bias", 0, 0),
]  # fmt: skip


@needs_iverilog
@pytest.mark.parametrize(("name", "file", "word", "bit"), PARAMETERS, ids=str)
def test_a_bit_of_an_input_or_a_parameter(
    name: str,
    file: str,
    word: int,
    bit: int,
    made: tuple[Path, Golden],
    simulate: Callable[..., Result],
    tmp_path: Path,
) -> None:
    shutil.copytree(made[0] / UNITS[name], tmp_path / "p")
    flip(tmp_path / "p" / f"{file}.hex", word, bit)
    status, output = simulate(name, tmp_path / "p")
    assert status == 1, output
    assert output.startswith("mismatch: step ")
    assert f"population {name}, neuron " in output


@needs_iverilog
@pytest.mark.parametrize("file", ["a", "v", "s", "threshold", "sam"])
@pytest.mark.parametrize("left", [0, 3])
def test_a_file_that_is_missing_or_short(
    file: str, left: int, made: tuple[Path, Golden], simulate: Callable[..., Result], tmp_path: Path
) -> None:
    shutil.copytree(made[0] / UNITS["conv"], tmp_path / "p")
    path = tmp_path / "p" / f"{file}.hex"
    path.write_text("\n".join(path.read_text().split("\n")[: left + 2]) + "\n")
    if not left:
        path.unlink()
    status, output = simulate("conv", tmp_path / "p")
    assert status == 1
    assert re.search(r"mismatch: .*(got|expected) [xX]", output)


@needs_c
@pytest.mark.parametrize(
    ("array", "word", "told"),
    [
        ("p0_s", 1, r"population conv, neuron \d+, variable a"),
        ("j0_weight", 0, r"population conv, neuron \d+, variable a"),
        ("j1_weight", 0, r"population whole, neuron \d+, variable a"),
        ("j4_indices", 0, r"population out, neuron \d+, variable a"),
        ("p3_a", 0, r"population tabled, neuron 0, variable a: got -?\d+, expected -?\d+"),
        ("p3_v", 0, r"population tabled, neuron 0, variable v: got -?\d+, expected -?\d+"),
        ("p1_parameters", 0, r"population conv, neuron 0, variable u"),
    ],
)
def test_a_number_in_the_header(array: str, word: int, told: str, made: tuple[Path, Golden], tmp_path: Path) -> None:
    folder = tmp_path / "tb"
    shutil.copytree(made[0], folder)
    header = folder / "vectors.h"
    before = header.read_text()
    after = re.sub(rf"( {array}\[\] = {{\n{{?(?:-?\d+, ){{{word}}})(-?\d+)", lambda m: f"{m[1]}{int(m[2]) ^ 1}", before)
    assert after != before
    header.write_text(after)
    status, output = bench(folder)
    assert status == 1
    assert re.match(rf"(population .*\n)*mismatch: step \d+, sample \d, {told}", output), output


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
@pytest.mark.parametrize("name", ["vectors.npz", "vectors.h", "j4/weight.hex", "p3/population.vh", "manifest.json"])
def test_a_bit_of_any_file_is_seen_by_its_sum(name: str, made: tuple[Path, Golden], tmp_path: Path) -> None:
    folder = tmp_path / "tb"
    shutil.copytree(made[0], folder)
    assert run(folder, "make", "-s", "whole") == (0, "")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    status, output = run(folder, "make", "-s", "whole")
    assert status == 2
    assert f"{name}: FAILED" in output
    (folder / "manifest.json").unlink()
    assert run(folder, "make", "-s", "whole")[0] == 2


# --- a wrong LIF ------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, tuple[str, str], tuple[str, str]]] = {
    "fires at the threshold": (
        "whole", ("(`AT ? x >= theta : x > theta)", "x >= theta"), ("v - r > theta", "v - r >= theta")
    ),
    "rounds down": (
        "conv",
        ("x * factor / 64'sd4096", "(x * factor) >>> 12"),
        ("x * factor / 4096;", "floor_shift(x * factor, 12);"),
    ),
    "has no refractory period": (
        "tabled", ("`REFRACTORY > 0 && wait_ > 0", "0"), ("o->refractory > 0 && z->wait > 0", "0")
    ),
}  # fmt: skip


@needs_iverilog
@needs_c
@pytest.mark.parametrize("mistake", WRONG)
def test_a_lif_that_is_nearly_right(mistake: str, made: tuple[Path, Golden], tmp_path: Path) -> None:
    folder = tmp_path / "tb"
    shutil.copytree(made[0], folder)
    name, in_verilog, in_c = WRONG[mistake]
    for file, (old, new) in (("lif.v", in_verilog), ("lif.c", in_c)):
        source = (folder / file).read_text()
        assert source.count(old) == 1
        (folder / f"mine.{file[-1]}").write_text(source.replace(old, new))
    verilog(folder, UNITS[name], folder / "mine.v")
    status, output = run(folder, "vvp", "-n", f"{UNITS[name]}/tb.vvp", f"+dir={UNITS[name]}")
    assert status == 1
    first = output.splitlines()[0]
    assert re.match(rf"mismatch: step \d+, sample \d, population {name}, neuron \d+, variable [usv]: ", first)
    status, output = bench(folder, "mine.c")
    assert (status, output.splitlines()[-1]) == (1, first)


@needs_iverilog
def test_rounding_down_differs_where_a_value_is_negative(made: tuple[Path, Golden]) -> None:
    """So that the test above cannot pass by accident: conv has negative currents and membranes."""
    columns = made[1].units["conv"].columns
    assert (columns["u"].values < 0).any()
    assert (columns["v"].values < 0).any()
    assert (made[1].units["whole"].columns["v"].values % 64 == 0).all()  # and whole meets its threshold
