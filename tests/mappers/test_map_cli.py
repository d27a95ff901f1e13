"""``neurosam map``: tables, JSON, the file, the picture, and exit status 1 and 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import typer
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.cli import app as application
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.mappers import ways
from neurosam_hw.mappers.cli import map_
from neurosam_hw.mapping import load_mapping

LOIHI = str(Path(shipped.__path__[0]) / "loihi1.toml")


def network() -> ns.Network:
    rng = np.random.default_rng(0)
    neuron = ns.FixedLIF(410, 60, reset="zero")
    ring = np.roll(np.eye(12, dtype=np.int8), 3, axis=0) + np.eye(12, dtype=np.int8)
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv", (2, 4, 4), neuron),
            ns.Population("ring", (12,), neuron),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.integers(-20, 60, (2, 1, 3, 3)).astype(np.int8))),
            ns.Projection("conv", "ring", ns.Sparse.from_dense((rng.random((12, 32)) < 0.2).astype(np.int8) * 99)),
            ns.Projection("ring", "ring", ns.Sparse.from_dense(ring)),
        ],
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, a chip with small cores, and a recording."""
    network().save(tmp_path / "net.h5")
    small = Path(LOIHI).read_text().replace("neurons_per_core = { value = 1024", "neurons_per_core = { value = 8")
    (tmp_path / "small.toml").write_text(small)
    events = ns.Events.from_dense(np.random.default_rng(1).random((8, 3, 1, 6, 6)) < 0.3)
    ns.run(network(), events, "reference", ns.Record(spikes=("conv", "ring"))).save(tmp_path / "run.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(map_)
    return CliRunner().invoke(app, ["net.h5", *arguments], env={"COLUMNS": "200"})


def refused(*arguments: str) -> str:
    """The message with which the application refuses; exit status 2."""
    if "map" not in {command.name for command in application.registered_commands}:
        application.command("map")(map_)
    result = CliRunner().invoke(application, ["map", "net.h5", *arguments])
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


def test_tables_and_the_file(folder: Path) -> None:
    result = invoke("--chip", "small.toml", "-o", "map.json", "--picture", "chip.png")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "net.h5 on small: 6 of the 128 cores of 1 chip; mapped in" in text
    assert "ring lists 2 6 " in text or "ring lists 2 4..8 " in text
    assert "100% of neurons" in text
    assert "wrote map.json, chip.png" in text
    assert (folder / "chip.png").read_bytes().startswith(b"\x89PNG")
    made = load_mapping("map.json", network(), load_chip("small.toml"))
    assert made.cores == 6
    assert f"{ways(made).packets:,} packets if every neuron fires once" in text
    again = invoke("--chip", "small.toml", "--map", "map.json")
    assert again.exit_code == 0, again.output
    assert "mapped in" not in again.output


def test_json(folder: Path) -> None:
    found = json.loads(invoke("--chip", LOIHI, "--json").output)
    assert (found["chip"], found["cores"], found["chips"], found["violations"]) == ("loihi1", 1, 1, [])
    assert found["by_core"][0]["neurons"] == {"conv": 32, "ring": 12}
    assert found["by_core"][0]["used"]["neurons"] == 44
    assert found["allowed"]["neurons"] == [1024]


def test_activity_counts_recorded_spikes(folder: Path) -> None:
    found = json.loads(invoke("--chip", "small.toml", "--json", "--activity", "run.h5", "-o", "map.json").output)
    run = ns.load_recording("run.h5")
    rates = {name: run.spikes[name].dense().sum(axis=(0, 1)) for name in ("conv", "ring")}
    rates["in"] = np.diff(np.arange(37) * run.counts["in"].sum() // 36)
    made = load_mapping("map.json", network(), load_chip("small.toml"))
    assert abs(found["packets"] - ways(made, rates).packets) < 100  # the inputs' spikes are shared out in whole numbers
    assert found["packets"] >= sum(counts.sum() for counts in run.counts.values())


def test_in_order_and_with_inputs(folder: Path) -> None:
    plain = json.loads(invoke("--chip", "small.toml", "--json", "--in-order").output)
    made = json.loads(invoke("--chip", "small.toml", "--json").output)
    assert made["packets"] <= plain["packets"]
    both = json.loads(invoke("--chip", "small.toml", "--json", "--inputs").output)
    assert sum(core["neurons"].get("in", 0) for core in both["by_core"]) == 36


def test_too_much_on_a_core_is_exit_status_1(folder: Path) -> None:
    content = {
        "format": "neurosam mapping 1",
        "chip": "small",
        "cores": [{"pieces": [{"population": "conv"}, {"population": "ring"}]}],
    }
    (folder / "hand.json").write_text(json.dumps(content))
    result = invoke("--chip", "small.toml", "--map", "hand.json")
    assert result.exit_code == 1, result.output
    assert "core_neurons" in result.output
    assert "550%" in result.output


def test_what_is_refused(folder: Path) -> None:
    assert "is unknown" in refused("--chip", "loihi9")
    (folder / "map.json").write_text("{}")
    assert "map.json: exists already" in refused("--chip", LOIHI, "-o", "map.json")
    assert "map.json: format: got None" in refused("--chip", LOIHI, "--map", "map.json")
    assert "leave out --in-order" in refused("--chip", LOIHI, "--map", "map.json", "--in-order")
    assert "holds a network" in refused("--chip", LOIHI, "--activity", "net.h5").replace(
        "holds network", "holds a network"
    )
    assert "ends in .png" in refused("--chip", LOIHI, "--picture", "chip.gif")
    other = ns.Network(
        [ns.Population("in", (1,)), ns.Population("conv", (1,), ns.FixedLIF(410, 60))],
        [ns.Projection("in", "conv", ns.Dense(np.ones((1, 1), np.int8)))],
    )
    events = ns.Events.from_dense(np.ones((2, 1, 1)))
    ns.run(other, events, "reference", ns.Record(spikes=("conv",))).save(folder / "other.h5")
    assert "recording: is of another network: 'conv' has the shape (1,)" in refused(
        "--chip", LOIHI, "--activity", "other.h5"
    )


def test_what_is_assumed_and_not_checked_is_said(folder: Path) -> None:
    """Loihi 2's file does not say whether kernels are stored once."""
    other = LOIHI.replace("loihi1", "loihi2")
    told = json.loads(invoke("--chip", other, "--json").stdout)
    (said,) = told["assumptions"]
    assert said.startswith("noc.shared_weights is unknown: ")
    assert told["unchecked_rules"] == ["core_axons_in", "core_axons_out"]
    assert f"assumed: {said}" in invoke("--chip", other).output.replace("\n", " ").replace("  ", " ")
    assert json.loads(invoke("--chip", LOIHI, "--json").stdout)["assumptions"] == []
