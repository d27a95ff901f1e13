"""Results of SANA-FE are read as they are, and held against ours: what is planted in them is found."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosam.errors import FormatError
from neurosam_hw.mapping import CoreMapping
from neurosam_hw.sanafe import Comparison, compare_results, export, read_results
from neurosam_hw.sanafe.plan import Plan
from support.sanafe import simulate

GetCase = Callable[[str], tuple[CoreMapping, Any]]


@pytest.fixture
def run(case: GetCase, tmp_path: Path) -> tuple[CoreMapping, Any, Plan]:
    """A run of the network with 4 and 3 cores in `tmp_path`."""
    mapping, events = case("4 and 3 cores")
    plan = export(mapping, events, tmp_path)
    simulate(tmp_path)
    return mapping, events, plan


def edit(path: Path, change: Callable[[list[list[str]]], Any]) -> None:
    """Change the rows of a CSV file, of which the first is the header."""
    rows = list(csv.reader(path.read_text().splitlines()))
    change(rows)
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def test_what_is_read(run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    """Line by line: group h, neuron 3, step 17 from 1 is step 16 from 0."""
    _, events, plan = run
    found = read_results(tmp_path, plan)
    assert np.array_equal(found.fired["in"][: events.steps], events.dense()[:, 0])
    assert not found.fired["in"][events.steps :].any()
    lines = (tmp_path / "spikes.csv").read_text().splitlines()[1:]
    assert sum(int(fired.sum()) for fired in found.fired.values()) == len(lines)
    for line in lines[:: len(lines) // 50]:
        address, step = line.split(",")
        group, neuron = address.split(".")
        assert found.fired[group][int(step) - 1, int(neuron)]
    last = (tmp_path / "perf.csv").read_text().splitlines()[-1].split(",")
    names = ("fired", "updated", "packets", "hops", "spikes")
    assert [int(found.counts[name][-1]) for name in names] == [int(x) for x in last[1:6]]
    costs = ("sim_time", "synapse_energy", "soma_energy", "network_energy")
    assert [float(found.costs[name][-1]) for name in costs] == [float(x) for x in last[6:]]


def test_files_of_the_command_line_are_read(run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    """Fewer digits, more columns, no packets: equal within what the digits allow, and no closer."""

    def shortened(rows: list[list[str]]) -> None:
        for row in rows[1:]:
            row[6:] = [f"{float(x):.3e}" for x in row[6:]]
        for row in rows:
            row[3:4] = []
            row.append("total_energy" if row is rows[0] else "1.0e-09")

    edit(tmp_path / "perf.csv", shortened)
    mapping, events, plan = run
    results = read_results(tmp_path, plan)
    assert "packets" not in results.counts
    assert compare_results(mapping, events, results, tolerance=5e-4).equal
    assert not compare_results(mapping, events, results).equal


def planted(run: tuple[CoreMapping, Any, Plan], folder: Path) -> Comparison:
    mapping, events, plan = run
    found = compare_results(mapping, events, read_results(folder, plan))
    assert not found.equal
    return found


def test_a_missing_and_an_added_spike(run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    """The first difference is named in the population's own time."""
    removed: list[str] = []

    def change(rows: list[list[str]]) -> None:
        at = next(i for i, row in enumerate(rows) if row[0].startswith("out.") and int(row[1]) > 20)
        removed.extend(rows.pop(at))
        rows.append(["out.0", "1"])  # before own step 0

    edit(tmp_path / "spikes.csv", change)
    tallies = {tally.population: tally for tally in planted(run, tmp_path).spikes}
    assert [tally.differ for tally in tallies.values()] == [0, 0, 2]
    out = tallies["out"]
    assert out.ours == out.theirs
    assert out.first == (-2, 0)
    edit(tmp_path / "spikes.csv", lambda rows: rows.pop())
    out = planted(run, tmp_path).spikes[2]
    assert (out.ours - out.theirs, out.differ) == (1, 1)
    assert out.first == (int(removed[1]) - 1 - 2, int(removed[0].split(".")[1]))


@pytest.mark.parametrize("name", ["fired", "updated", "packets", "hops", "spikes"])
def test_a_count_of_one_step(name: str, run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    """Two steps that make up for each other are found: steps are compared, not sums."""

    def change(rows: list[list[str]]) -> None:
        column = rows[0].index(name)
        rows[8][column], rows[9][column] = str(int(rows[8][column]) + 1), str(int(rows[9][column]) - 1)

    edit(tmp_path / "perf.csv", change)
    found = planted(run, tmp_path)
    assert [(count.name, count.first) for count in found.counts if not count.equal] == [(name, 7)]
    assert all(cost.equal for cost in found.costs)


@pytest.mark.parametrize("name", ["sim_time", "synapse_energy", "soma_energy", "network_energy"])
def test_a_cost_of_one_step(name: str, run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    def change(rows: list[list[str]]) -> None:
        column = rows[0].index(name)
        rows[8][column] = repr(float(rows[8][column]) * (1 + 1e-8))

    edit(tmp_path / "perf.csv", change)
    found = planted(run, tmp_path)
    assert [cost.name for cost in found.costs if not cost.equal] == [name]
    assert next(cost.difference for cost in found.costs if not cost.equal) == pytest.approx(1e-8, rel=1e-4)
    assert all(count.equal for count in found.counts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"spikes\.csv: has no column neuron, timestep"),
        ("neuron,step\nin.0,1\n", r"spikes\.csv: has no column timestep"),
        ("neuron,timestep\nhidden.0\n", r"spikes\.csv, line 2: has another number of columns than line 1"),
        ("neuron,timestep\nin.0,1,2\n", r"spikes\.csv, line 2: has another number of columns"),
        ("neuron,timestep\nin.0,1\nother.0,1\n", r"line 3: names the group 'other'; the plan has in, hidden, out"),
        ("neuron,timestep\nin.30,1\n", r"line 2: got neuron '30'; a whole number from 0 to 29 is required"),
        ("neuron,timestep\nin.x,1\n", r"line 2: got neuron 'x'"),
        ("neuron,timestep\nin,1\n", r"line 2: names the group ''"),
        ("neuron,timestep\nin.0,43\n", r"line 2: got timestep '43'; a whole number from 0 to 42 is required"),
        ("neuron,timestep\nin.0,-1\n", r"line 2: got timestep '-1'"),
        ("neuron,timestep\nin.0,0\n", r"line 2: got step 0; they start at 1"),
        ("neuron,timestep\nin.0,1\nin.0,1\n", r"line 3: repeats a spike of in\.0"),
        ("neuron,timestep\nin.0,\u0661\n", r"line 2: got timestep"),
        ("neuron,timestep\n" + "in.0,1" + "1" * 2**18, r"spikes\.csv: cannot be read: field larger than"),
    ],
)
def test_files_of_spikes_that_are_refused(
    text: str, message: str, run: tuple[CoreMapping, Any, Plan], tmp_path: Path
) -> None:
    (tmp_path / "spikes.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_results(tmp_path, run[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop(), r"perf\.csv: holds 41 steps; the plan has 42"),
        (lambda rows: rows.append(rows[1]), r"perf\.csv: holds 43 steps; the plan has 42"),
        (lambda rows: rows.insert(3, rows.pop(5)), r"perf\.csv, line 4: is of step 5; 3 is required"),
        (lambda rows: rows[4].__setitem__(6, "nan"), r"line 5: got sim_time 'nan'; a number from 0 is required"),
        (lambda rows: rows[4].__setitem__(7, "-1e-9"), r"line 5: got synapse_energy '-1e-9'"),
        (lambda rows: rows[4].__setitem__(1, "1.5"), r"line 5: got fired '1\.5'; a whole number"),
        (lambda rows: rows[0].__setitem__(2, "other"), r"perf\.csv: has no column updated"),
    ],
)
def test_files_of_costs_that_are_refused(
    change: Callable[[list[list[str]]], Any], message: str, run: tuple[CoreMapping, Any, Plan], tmp_path: Path
) -> None:
    edit(tmp_path / "perf.csv", change)
    with pytest.raises(FormatError, match=message):
        read_results(tmp_path, run[2])


def test_files_that_are_missing(run: tuple[CoreMapping, Any, Plan], tmp_path: Path) -> None:
    (tmp_path / "perf.csv").unlink()
    with pytest.raises(FormatError, match=r"perf\.csv: cannot be read: No such file"):
        read_results(tmp_path, run[2])
