"""``neurosam verify`` with --mutants, --search and --isolate: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from neurosam.backends.registry import run
from neurosam.cli import app
from neurosam.hdf5.files import load_events, save
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Dense
from neurosam.signals.events import Events
from neurosam.signals.recording import Record

pytestmark = pytest.mark.usefixtures("one_thread")


def network(weight: int = 30) -> Network:
    rng = np.random.default_rng(0)
    first = rng.integers(-60, 100, (6, 12))
    first[0, 0] = weight
    return Network(
        [
            Population("in", (12,)),
            Population("first", (6,), FixedLIF(410, 100)),
            Population("second", (5,), FixedLIF(410, 90, reset="zero")),
            Population("out", (3,), FixedReadout()),
        ],
        [
            Projection("in", "first", Dense(first)),
            Projection("first", "second", Dense(rng.integers(-60, 100, (5, 6)))),
            Projection("second", "out", Dense(rng.integers(-60, 100, (3, 5)))),
        ],
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with net.h5, events.h5, golden.h5, and dut.h5 from a network with one wrong weight."""
    events = Events.from_dense((np.random.default_rng(1).random((12, 3, 12)) < 0.2).astype(np.uint8))
    save(network(), tmp_path / "net.h5")
    save(events, tmp_path / "events.h5")
    for name, weight in (("golden", 30), ("dut", 90)):
        save(run(network(weight), events, record=Record.everything(network())), tmp_path / f"{name}.h5")
    return tmp_path


def verify(place: Path, *arguments: str | int | Path, status: int = 0) -> str:
    result = CliRunner().invoke(
        app, ["verify", *(str(place / str(a) if str(a).endswith(".h5") else a) for a in arguments)]
    )
    assert result.exit_code == status, result.output
    return str(result.output)


def test_mutants_are_counted_and_a_search_adds_samples_that_raise_the_count(place: Path) -> None:
    stimulus = ("net.h5", "--events", "events.h5", "--mutants", 60, "--json", place / "worth.json", "--force")
    text = verify(place, *stimulus, "--search", 32, "-o", "found.h5")
    assert "60 mutants" in text
    assert "margins to the threshold" in text
    result = json.loads((place / "worth.json").read_text())["result"]
    score, searched = result["score"], result["search"]
    assert score["mutants"] == 60
    assert score["told"]["answers"] <= score["told"]["spikes"] < score["told"]["membranes"]
    assert searched["told"]
    assert len(searched["told"]) + len(searched["survivors"]) == 60 - score["told"]["spikes"] - score["equivalent"]
    assert sum(sum(layer["silent"]) + sum(layer["fired"]) + layer["unknown"]
               for layer in result["margins"]["layers"].values()) == 12 * 3 * (6 + 5)  # fmt: skip
    found, given = (load_events(place / name) for name in ("found.h5", "events.h5"))
    assert found.samples == len(searched["kept"])
    both = Events.from_dense(np.concatenate([given.dense(), found.dense()], axis=1))
    save(both, place / "both.h5")
    verify(place, "net.h5", "--events", "both.h5", *stimulus[3:])
    raised = json.loads((place / "worth.json").read_text())["result"]["score"]
    assert raised["told"]["spikes"] == score["told"]["spikes"] + len(searched["told"])


def test_isolation_names_the_faulty_layer_and_fails(place: Path) -> None:
    pair = ("--network", "net.h5", "--events", "events.h5", "--isolate")
    text = verify(place, "golden.h5", "dut.h5", *pair, status=1)
    assert "faults in first" in text
    assert text.count("differs by itself") == 1
    assert text.count("differs only in what it received") == 2
    assert "no layer differs by itself" in verify(place, "golden.h5", "golden.h5", *pair)
    assert "no layer differs" in verify(
        place, "net.h5", "--isolate", "--events", "events.h5", "--backends", "event,reference"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net.h5", "--events", "events.h5", "--search", "5"), "give --mutants too"),
        (("net.h5", "--events", "events.h5", "--mutants", "5", "--search", "soon"), "got 'soon'"),
        (("net.h5", "--events", "events.h5", "--mutants", "5", "-o", "x.h5"), "give --search too"),
        (("net.h5", "--events", "events.h5", "--mutants", "5", "--by", "maps"), "has answers, spikes, membranes"),
        (("net.h5", "net.h5", "--mutants", "5"), "leave out the second file"),
        (("net.h5", "--events", "events.h5", "--mutants", "5", "--require", "spikes"), "leave it out"),
        (("golden.h5", "dut.h5", "--isolate"), "needs their --network"),
        (("net.h5", "--isolate", "--events", "events.h5", "--backends", "event"), "two --backends"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(place: Path, arguments: tuple[str, ...], message: str) -> None:
    text = verify(place, *arguments, status=2)
    assert message in " ".join(text.split())
