"""Commands whose samples are shared by several processes: what they print and write is what one process does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from support.sweeping import network, pictures


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return " ".join(str(result.output).split())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.h5 and events.h5."""
    monkeypatch.chdir(tmp_path)
    network().save("net.h5")
    pictures(6).inputs(network())["in"].save("events.h5")
    return tmp_path


def test_run_with_jobs_writes_the_same_recording(place: Path) -> None:
    everything = ("run", "net.h5", "--events", "events.h5", "--record", "all")
    one = run(*everything, "-o", "one.h5")
    two = run(*everything, "-o", "two.h5", "--jobs", "2")
    assert ns.load_recording("two.h5").same_as(ns.load_recording("one.h5"))
    assert (
        one.partition(" s: ")[0].rpartition(" ")[0] == two.partition(" s: ")[0].rpartition(" ")[0]
    )  # all but the time
    assert {path.name for path in place.iterdir()} == {"net.h5", "events.h5", "one.h5", "two.h5"}


def test_verify_with_jobs_counts_the_same(place: Path) -> None:
    everything = ("verify", "net.h5", "--events", "events.h5")
    run(*everything, "--json", "one.json")
    run(*everything, "--json", "two.json", "--jobs", "1")
    assert json.loads(Path("one.json").read_text()) == json.loads(Path("two.json").read_text())


def test_sweep_writes_a_row_for_each_setting(place: Path) -> None:
    Path("table.csv").write_text("threshold,gamma\n,\n1.5,\n,2\n")
    np.save("labels.npy", np.arange(6) % 3)
    text = run("sweep", "net.h5", "table.csv", "-o", "out.csv", "--events", "events.h5", "--labels", "labels.npy")
    assert "threshold 1.5" in text
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["threshold"], row["gamma"], row["samples"]) for row in rows] == [
        ("", "", "6"), ("1.5", "", "6"), ("", "2.0", "6")
    ]  # fmt: skip
    assert rows[0]["agreement"] == "1.0"
    assert rows[2]["spikes"] == rows[0]["spikes"]
    assert float(rows[2]["sam_correlation"]) < 1
    assert not Path("out.csv.rows").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run net.h5 --events events.h5 --jobs 2 --dask tcp://a:1", "--jobs: and --dask exclude each other"),
        ("run net.h5 --events events.h5 --jobs 2 --threads 2", "--threads, --initial, --keep-state: go without --jobs"),
        ("run net.h5 --events events.h5 --dask tcp://a:1", "--dask: needs --out, in a folder that all workers see"),
        ("verify net.h5 net.h5 --jobs 2", "--jobs and --dask: are for the back ends on one network"),
        ("sweep net.h5 none.csv -o out.csv --events events.h5", "none.csv: is no table of comma-separated values: No"),
        ("sweep net.h5 net.h5 -o out.csv --events events.h5", "net.h5: is no table of comma-separated values"),
        ("cost net.h5 --chip loihi1 --events events.h5 --jobs 2 --sam", "--jobs and --dask: run the network; they go"),
    ],
)
def test_mistakes(place: Path, command: str, says: str) -> None:
    before = {path.name for path in place.iterdir()}
    assert says in run(*command.split(), status=2)
    assert {path.name for path in place.iterdir()} == before


def test_a_sweep_without_a_finished_row_leaves_nothing(place: Path) -> None:
    Path("table.csv").write_text("backend\nabacus\n")
    before = {path.name for path in place.iterdir()}
    assert "row 1: " in run("sweep", "net.h5", "table.csv", "-o", "out.csv", "--events", "events.h5", status=2)
    assert {path.name for path in place.iterdir()} == before


def test_shards_of_another_network_are_refused(place: Path) -> None:
    (place / "out.h5.shards").mkdir()
    (place / "out.h5.shards" / "manifest.json").write_text(json.dumps({"format": "neurosam-shards", "network": "ab"}))
    text = run("run", "net.h5", "--events", "events.h5", "-o", "out.h5", "--jobs", "1", status=2)
    assert "out.h5.shards: holds shards of another sweep: " in text
    assert "network ab, not " in text
