"""``neurosam import --network`` and ``neurosam verify`` on files of other implementations, and on two networks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.formats.frames import to_numpy
from support.oracle import simulate

pytestmark = pytest.mark.usefixtures("one_thread")

HEADER = "step,sample,population,neuron\n"


def network(threshold: int = 40) -> ns.Network:
    weights = np.random.default_rng(0).integers(-30, 60, (12, 6)).astype(np.int8)
    return ns.Network(
        [
            ns.Population("in", (6,)),
            ns.Population("a", (3, 2, 2), ns.FixedLIF(membrane_decay=300, threshold=threshold)),
            ns.Population("out", (2,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Dense(weights)),
            ns.Projection("a", "out", ns.Dense(weights.T[:2].copy())),
        ],
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with net.h5, other.h5, events.h5, golden.h5, dut.npz and dut.csv."""
    folder = tmp_path_factory.mktemp("verify")
    net = network()
    events = ns.Events.from_dense(np.random.default_rng(1).random((8, 3, 6)) < 0.4)
    golden = replace(simulate(net, events), backend="golden")
    net.save(folder / "net.h5")
    network(41).save(folder / "other.h5")
    events.save(folder / "events.h5")
    golden.save(folder / "golden.h5")
    np.savez(folder / "dut.npz", **to_numpy(golden))  # type: ignore[arg-type]  # allow_pickle is no array
    write_csv(folder / "dut.csv", golden.spikes["a"].dense())
    return folder


def write_csv(path: Path, dense: Any, late: int = 0) -> None:
    spikes = np.argwhere(dense.reshape(*dense.shape[:2], -1))
    path.write_text(HEADER + "".join(f"{t + late},{b},a,{n}\n" for t, b, n in spikes))


def done(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return str(result.output)


def test_a_recording_of_other_software_is_verified_at_once(place: Path, tmp_path: Path) -> None:
    on = ("--network", place / "net.h5")
    for dut in ("dut.npz", "dut.csv"):
        assert "golden and dut: equal" in done("verify", place / "golden.h5", place / dut, *on)
        assert "dut and golden: equal" in done("verify", place / dut, place / "golden.h5", *on)
    text = done("verify", place / "golden.h5", place / "dut.csv", *on)
    assert "3 sample(s), 8 steps" in text
    assert "a: membrane (only in golden)" in " ".join(text.split())
    wrong = simulate(network(), ns.load_events(place / "events.h5")).spikes["a"].dense()
    wrong[3, 1, 2, 0, 1] ^= 1
    write_csv(tmp_path / "wrong.csv", wrong)
    text = done("verify", place / "golden.h5", tmp_path / "wrong.csv", *on, status=1)
    assert "first divergence: a: spikes at step 3, sample 1, neuron (2, 0, 1)" in text
    assert "give the --network" in done("verify", place / "golden.h5", place / "dut.csv", status=2)


def test_layouts_of_other_software_are_refused_or_named(place: Path, tmp_path: Path) -> None:
    dense = ns.load_recording(place / "golden.h5").spikes["a"].dense()
    on = ("--network", place / "net.h5")
    cases = [
        (dense.swapaxes(0, 1), 2, "The samples come first, by its shape: x.transpose(1, 0, 2, 3, 4)"),
        (np.moveaxis(dense, 2, -1), 2, "The channels come last, by its shape: x.transpose(0, 1, 4, 2, 3)"),
        (np.concatenate([dense[:1] * 0, dense]), 2, "in global steps, not in its own. Leave the first 1 out: x[1:]"),
        (np.concatenate([dense[:1] * 0, dense[:-1]]), 1, "spikes of a: dut is golden, 1 step(s) later: it looks like"),
    ]
    for wrong, status, message in cases:
        np.savez(tmp_path / "dut.npz", **{"spikes.a": wrong})  # type: ignore[arg-type]  # likewise
        text = done("verify", place / "golden.h5", tmp_path / "dut.npz", *on, status=status)
        assert message in " ".join(text.split())
    write_csv(tmp_path / "dut.csv", dense, late=1)
    text = done("verify", place / "golden.h5", tmp_path / "dut.csv", *on, status=2)
    assert "these look like global steps; subtract 1" in text


def test_import_writes_a_recording_that_can_be_verified(place: Path, tmp_path: Path) -> None:
    out, on = tmp_path / "dut.h5", ("--network", place / "net.h5")
    text = done("import", place / "dut.csv", *on, "-o", out, "--steps", 8, "--samples", 3)
    assert "recording by dut: 3 samples x 8 steps" in text
    assert "warning" not in text
    assert "golden and dut: equal" in done("verify", place / "golden.h5", out)
    assert "no output" in done("info", out)
    part = tmp_path / "part.csv"
    part.write_text(HEADER)
    assert "has no row" in done("import", part, *on, status=2)
    text = done("import", part, *on, "--silent", "a", "--first-step", 2, "--steps", 2, "--samples", 3)
    assert "from own step 2 on" in text
    assert "from own step 2 on" in done("info", tmp_path / "part.h5")
    text = done("verify", place / "golden.h5", tmp_path / "part.h5", status=1)
    assert "3 sample(s), 2 steps, from own step 2 on" in text
    assert "up to the last that occur" in done("import", place / "dut.csv", *on, "-o", out, "--force")
    done("import", place / "dut.npz", *on, "-o", out, "--force")
    assert ns.load_recording(out).output.shape == (3, 2)


@pytest.mark.parametrize(("arguments", "message"), [
    (("dut.csv", "--network", "net.h5", "--dt", "0.1"), "--dt: is for networks"),
    (("dut.csv", "--steps", "3"), "--steps: is for recordings, with their --network"),
    (("events.h5", "--network", "net.h5"), "recordings are read from .csv and .npz"),
    (("dut.csv", "--network", "golden.h5"), "holds a recording; a network is required"),
    (("dut.csv", "--network", "net.h5", "--silent", "b"), "'b': is not in the network"),
    (("dut.csv", "--network", "net.h5", "--steps", "2"), "has step"),
    (("dut.npz",), "neurosam import dut.npz --network NETWORK.h5"),
])  # fmt: skip
def test_an_import_that_cannot_be_is_refused(arguments: tuple[str, ...], message: str, place: Path) -> None:
    before = Path.cwd()
    os.chdir(place)
    try:
        assert message in done("import", *arguments, "-o", "never.h5", status=2)
        assert not Path("never.h5").exists()
    finally:
        os.chdir(before)


def test_a_pass_that_compared_less_than_required_fails(place: Path, tmp_path: Path) -> None:
    golden, net = ns.load_recording(place / "golden.h5"), network()
    for name, given in (("spikes", {"spikes": golden.spikes}), ("membrane", {"membrane": golden.membrane})):
        made = ns.recording_from(net, output=golden.output, name=name, **given)
        made.save(tmp_path / f"{name}.h5")
    both = ("verify", tmp_path / "spikes.h5", tmp_path / "membrane.h5", "--json", tmp_path / "r.json", "--force")
    assert "equal" in done(*both)
    text = done(*both, "--require", "spikes,membrane", status=1)
    assert "not a pass: required, but not compared: spikes of a; membrane of a; membrane of out" in text
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["equal"], result["lacking"]) == (True, ["spikes of a", "membrane of a", "membrane of out"])
    done(*both, "--require", "output, steps")
    assert "is not known" in done(*both, "--require", "voltages", status=2)
    assert "neither recording has it" in done(*both, "--require", "sam", status=2)
    done("verify", place / "net.h5", "--events", place / "events.h5", "--require", "spikes,membrane,operations,steps")


def test_two_networks_are_compared_by_description_and_by_what_they_do(place: Path, tmp_path: Path) -> None:
    a, b, events = place / "net.h5", place / "other.h5", ("--events", place / "events.h5")
    assert "what they do was not compared" in done("verify", a, a)
    text = done("verify", a, b, *events, "--json", tmp_path / "r.json", status=1)
    assert "first difference: population a: neuron.threshold: 40 != 41" in text
    assert text.index("on reference:") < text.index("on event:")
    assert "first divergence: " in text
    assert "network's threshold" not in text
    result = json.loads((tmp_path / "r.json").read_text())["result"]
    assert result["behaviour"]["event"]["samples"] == 3
    assert result["behaviour"]["event"]["total"]["mismatches"] > 0
    text = done("verify", a, a, *events, "--backends", "event")
    assert "equal bit for bit" in text
    assert "on reference:" not in text
    assert "back end 'nowhere': is unknown" in done("verify", a, b, *events, "--backends", "nowhere", status=2)
    assert "does not name its training data" in done("verify", a, b, "--samples", 3, status=2)
    floating = ns.Network(
        [ns.Population("in", (6,)), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((2, 6))))],
    )
    floating.save(tmp_path / "float.h5")
    assert "what they do cannot be compared: " in done("verify", a, tmp_path / "float.h5", *events, status=1)


def test_options_that_have_no_effect_are_refused(place: Path) -> None:
    a, golden = place / "net.h5", place / "golden.h5"
    for option in (("--samples", 3), ("--seed", 1), ("--backends", "event"), ("--steps", 4), ("--data", "mnist5k")):
        assert f"{option[0]}: is for networks" in done("verify", golden, golden, *option, status=2)
    assert "is the network that is run" in done("verify", a, "--network", a, status=2)
    assert "these are networks" in done("verify", a, a, "--network", a, status=2)
    assert "give --events, --data or --samples" in done("verify", a, a, "--require", "spikes", status=2)
    assert "needs the --network" in done("verify", golden, golden, "--events", place / "events.h5", status=2)
    done("verify", golden, golden, "--network", a, "--events", place / "events.h5")
    assert "hold a recording of other software and a network" in done("verify", place / "dut.csv", a, status=2)


def test_a_network_is_run_and_compared_with_a_recording(place: Path, tmp_path: Path) -> None:
    on = ("--events", place / "events.h5")
    for dut in ("dut.csv", "dut.npz", "golden.h5"):
        text = done("verify", place / "net.h5", place / dut, *on)
        assert f"event and {dut.partition('.')[0]}: equal" in text
        assert "3 sample(s), 8 steps" in text
    text = done("verify", place / "net.h5", place / "dut.csv", *on, "--backends", "reference,event")
    assert "reference and dut: equal" in text
    assert "event and dut: equal" in text
    report = tmp_path / "r.json"
    done("verify", place / "other.h5", place / "dut.csv", *on, "--json", report, status=1)
    assert json.loads(report.read_text())["result"]["event"]["equal"] is False
    assert "not a pass" in done("verify", place / "net.h5", place / "dut.csv", *on, "--require", "membrane", status=1)
    assert "no layer differs by itself" in done("verify", place / "net.h5", place / "dut.npz", *on, "--isolate")
    assert "not known" in done("verify", place / "net.h5", place / "dut.csv", *on, "--isolate", status=1)
    for arguments, message in (
        (("net.h5", "dut.csv"), "give the --events that were recorded"),
        (("dut.csv", "net.h5", *on), "two recordings, or a network and a recording"),
        (("net.h5", "dut.csv", *on, "--network", place / "net.h5"), "--network: is for two recordings"),
        (("net.h5", "golden.h5", *on, "--samples", 2), "have 2 sample(s); the recording has 3"),
        (("net.h5", "golden.h5", *on, "--silent", "a"), "--silent: is for recordings in .csv"),
    ):
        paths = [place / str(name) for name in arguments[:2]]
        assert message in " ".join(done("verify", *paths, *arguments[2:], status=2).split())


def test_populations_without_a_row_were_silent_if_that_is_said(place: Path, tmp_path: Path) -> None:
    """Silence is compared then; without it, what has no row is not in the recording."""
    (tmp_path / "dut.csv").write_text(HEADER)
    on, of = ("--network", place / "net.h5"), (place / "golden.h5", tmp_path / "dut.csv")
    assert "has no row" in done("verify", *of, *on, status=2)
    assert "first divergence: a: spikes" in done("verify", *of, *on, "--silent", "a", status=1)
    assert "is not in the network" in done("verify", *of, *on, "--silent", "b", status=2)
    quiet = ns.Events.from_dense(np.zeros((8, 3, 6)))
    quiet.save(tmp_path / "quiet.h5")
    run = ("verify", place / "net.h5", tmp_path / "dut.csv", "--events", tmp_path / "quiet.h5")
    assert "event and dut: equal" in done(*run, "--silent", "a", "--require", "spikes,steps")


def test_samples_in_pieces_against_a_recording(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurosam.equivalence import against

    net, events = network(), ns.load_events(place / "events.h5")
    golden = ns.load_recording(place / "golden.h5")
    whole = against.verify_recording(net, events, golden)["event"]
    monkeypatch.setattr(against, "chunk_size", lambda network, steps: 2)
    pieces = against.verify_recording(net, events, golden)["event"]
    assert pieces == whole
    assert whole.equal
    wrong = against.verify_recording(network(41), events, golden)["event"]
    assert {d.sample for d in wrong.first} >= {2}
