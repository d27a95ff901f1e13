"""The grown contract on the command line: options by name, several inputs, answers, states, integers out of range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return " ".join(str(result.output).split())


def dense(*shape: int, seed: int = 0) -> ns.Dense:
    return ns.Dense(np.random.default_rng(seed).integers(-20, 90, shape).astype(np.int8))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.h5 (two inputs, two answers) and events for it: left.h5, right.npy, both.h5."""
    monkeypatch.chdir(tmp_path)
    several = ns.FixedLIF(
        membrane_decay=410, threshold=60, max_spikes=7, fires="at", lower_bound_64ths=np.array([-640, -320, -64]),
        initial_membrane_64ths=5,
    )  # fmt: skip
    adaptive = ns.FixedLIF(
        membrane_decay=0, threshold=90, reset="value", reset_value_64ths=-7, refractory=2, threshold_decay=400,
        threshold_step_64ths=np.arange(12).reshape(3, 2, 2),
    )  # fmt: skip
    net = ns.Network(
        (
            ns.Population("left", (4,)), ns.Population("right", (2,), magnitude=3),
            ns.Population("several", (3,), several), ns.Population("adaptive", (3, 2, 2), adaptive),
            ns.Population("out", (2,), ns.FixedReadout(membrane_decay=100)),
        ),
        (
            ns.Projection("left", "several", dense(3, 4)), ns.Projection("right", "several", dense(3, 2), delay=2),
            ns.Projection("several", "adaptive", ns.Sparse.from_dense(dense(12, 3).weight, (3, 2, 2))),
            ns.Projection("adaptive", "out", dense(2, 12)),
        ),
        outputs={"out": "mean", "several": "count"},
    )  # fmt: skip
    net.save("net.h5")
    events = inputs()
    events["left"].save("left.h5")
    np.save("right.npy", events["right"].dense())
    ns.save(events, "both.h5")
    return tmp_path


def inputs(steps: int = 8, samples: int = 3) -> dict[str, ns.Events]:
    rng = np.random.default_rng(1)
    return {
        "left": ns.Events.from_dense(rng.integers(0, 2, (steps, samples, 4))),
        "right": ns.Events.from_dense(rng.integers(-3, 4, (steps, samples, 2))),
    }


def test_info_shows_options_by_name_units_inputs_and_answers(place: Path) -> None:
    text = run("info", "net.h5")
    for part in (
        "left 4 input", "right 2 input", "left |value| <= 1", "right |value| <= 3",
        "several membrane_decay 410, threshold 60, reset subtract, reset_amount_64ths 3840, fires at, "
        "lower_bound_64ths -640..-64, max_spikes 7, initial_membrane_64ths 5",
        "adaptive membrane_decay 0, threshold 90, reset value, reset_value_64ths -7, refractory 2, "
        "threshold_decay 400, threshold_step_64ths 0..11",
        "out membrane_decay 100",
        "..._64ths: 64ths of that unit",
        "answer: out (mean membrane), several (spike count)",
    ):  # fmt: skip
        assert part in text, f"{part}\n{text}"
    assert "reset_timing" not in text


@pytest.mark.parametrize("files", [("left=left.h5", "right=right.npy"), ("both.h5",)])
def test_several_inputs_from_one_file_or_one_each(place: Path, files: tuple[str, ...]) -> None:
    options = [part for file in files for part in ("--events", file)]
    run("run", "net.h5", *options, "--backend", "reference", "-o", "made.h5", "--record", "all")
    net = ns.load_network("net.h5")
    expected = ns.run(net, inputs(), "reference", ns.Record.everything(net))
    assert ns.load_recording("made.h5").same_as(expected)
    text = run("info", "made.h5")
    assert "output 3x2 float64" in text
    assert "output of several 3x3 int64" in text


def test_verify_takes_several_inputs(place: Path) -> None:
    text = run("verify", "net.h5", "--events", "both.h5", "--json", "result.json")
    assert "3 sample(s), 8 steps" in text
    variables = json.loads((place / "result.json").read_text())["result"]["event"]["variables"]
    assert {(v["population"], v["variable"]) for v in variables} >= {("out", "output"), ("several", "output")}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run net.h5 --events left=left.h5", "left=left.h5: events: lack the input 'right'"),
        ("run net.h5 --events left.h5", "names no input; the network has several: --events left=FILE --events right="),
        ("run net.h5 --events both.h5 --events left=left.h5", "--events left=left.h5: gives the input 'left' again"),
        ("run net.h5 --events left=both.h5", "both.h5: holds events of several inputs (left, right); give it without"),
        ("run net.h5 --events left=right.npy --events right=left.h5", "have shape (2,); the input population 'left'"),
        ("run net.h5 --events middle=left.h5", "middle=left.h5: does not exist"),
        ("run net.h5 --data mnist5k", "gives images for one input; the network has left, right. Give events: "),
        ("explain net.h5 --data mnist5k --layers adaptive", "gives images for one input; the network has left, right"),
        ("run net.h5 --events both.h5 --initial left.h5", "left.h5: holds events; a state is required"),
        ("run net.h5 --events both.h5 --initial none.h5", "none.h5"),
        ("run net.h5 --events both.h5 --keep-state s.npy", "s.npy: has the wrong suffix"),
        ("run net.h5 --events both.h5 --keep-state a.h5 -o a.h5", "name the same file"),
    ],
)  # fmt: skip
def test_mistakes_with_inputs_and_states(place: Path, command: str, says: str) -> None:
    before = {path.name for path in place.iterdir()}
    assert says in run(*command.split(), status=2)
    assert {path.name for path in place.iterdir()} == before


def test_a_run_goes_on_from_the_state_of_another(place: Path) -> None:
    events = inputs()
    parts = {"first": slice(0, 5), "second": slice(5, 8)}
    for name, steps in parts.items():
        ns.save({key: ns.Events.from_dense(e.dense()[steps]) for key, e in events.items()}, f"{name}.h5")
    everything = ("--backend", "reference", "--record", "all")
    text = run("run", "net.h5", "--events", "first.h5", "--keep-state", "state.h5", *everything, "-o", "a.h5")
    assert "wrote state.h5: the state after 5 steps" in text
    assert "state of 3 samples after 5 steps" in run("info", "state.h5")
    assert "several v" in run("info", "state.h5")
    assert "right, 1 steps" in run("info", "state.h5")
    assert "with the state after 5 steps" in run("info", "a.h5")
    for start in ("state.h5", "a.h5"):  # a recording holds its state too
        run("run", "net.h5", "--events", "second.h5", "--initial", start, *everything, "-o", "b.h5", "--force")
        whole = ns.run(ns.load_network("net.h5"), events, "reference", ns.Record(membrane=("out",)))
        made = ns.load_recording("b.h5")
        assert np.array_equal(made.output, whole.output)
        assert np.array_equal(made.membrane["out"], whole.membrane["out"][5:])
    assert "is a recording without a state; run it again with --keep-state" in run(
        "run", "net.h5", "--events", "second.h5", "--initial", "b.h5", status=2
    )
    ns.save({key: e.select(0, 2) for key, e in events.items()}, "fewer.h5")
    assert "state.h5: initial state: has 3 samples; the run has 2" in run(
        "run", "net.h5", "--events", "fewer.h5", "--initial", "state.h5", status=2
    )


def out_of_range(steps: int = 12) -> tuple[ns.Network, ns.Events]:
    """A readout that saturates in the first of two samples, and a current beyond 24 bits in front of it."""
    lif = ns.FixedLIF(membrane_decay=4096, threshold=100, current_decay=0)
    net = ns.Network(
        (ns.Population("in", (1,)), ns.Population("a", (1,), lif), ns.Population("out", (2,), ns.FixedReadout())),
        (
            ns.Projection("in", "a", ns.Dense(np.array([[127]], np.int8)), exponent=7),
            ns.Projection("in", "out", ns.Dense(np.array([[127], [1]], np.int8)), exponent=7),
        ),
        check_alignment=False,  # only sums matter here
    )
    x = np.ones((steps, 2, 1), np.uint8)
    x[3:, 1] = 0
    return net, ns.Events.from_dense(x)


def test_saturation_and_wraps_are_shown_and_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net, events = out_of_range()
    net.save("net.h5")
    events.save("in.h5")
    made = ns.run(net, events, "reference")
    saturated, wrapped = int(made.saturated["out"].sum()), int(made.wrapped["a"].sum())
    assert saturated == 4  # 127 * 2^13 * 9 is beyond 2^23, in the steps 8 to 11
    assert wrapped > 0
    text = run("run", "net.h5", "--events", "in.h5", "--backend", "reference", "-o", "made.h5")
    assert f"out - - - {saturated} 0" in text
    warning = (
        f"sums wrapped around ('a' {wrapped} neuron-steps), in 1 of 2 samples, whose answers may be wrong. Quantise "
        "with a coarser unit (neurosam export --longest-run T gives room for T steps), or run fewer steps"
    )
    assert f"warning: membranes saturated ('out' {saturated} neuron-steps) and {warning}" in text
    assert text.count("saturated (") == 1
    shown = run("info", "made.h5")
    assert f"{saturated} 0" in shown
    assert warning in shown
    ns.Events.from_dense(events.dense()[:4]).save("short.h5")
    assert "warning" not in run("run", "net.h5", "--events", "short.h5", "--backend", "reference")


def test_a_float_network_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = ns.Network(
        (ns.Population("in", (1,)), ns.Population("out", (1,), ns.LIF(0.5, 1.0))),
        (ns.Projection("in", "out", ns.Dense(np.ones((1, 1)))),),
    )
    net.save("net.h5")
    ns.Events.from_dense(np.ones((3, 1, 1))).save("in.h5")
    text = run("run", "net.h5", "--events", "in.h5", "--backend", "reference")
    assert "saturated" not in text
    assert "out (spike count)" in run("info", "net.h5")
    assert "fraction kept per step" in run("info", "net.h5")


def test_the_report_has_a_table_of_integers_out_of_range(tmp_path: Path) -> None:
    from neurosam.report.folder import write_folder
    from neurosam.report.recorded import report_of

    conv = ns.Projection("in", "conv", ns.Conv2d(np.full((1, 1, 1, 1), 127, np.int8)), exponent=7)

    def files(steps: int) -> Any:
        net = ns.Network(
            (
                ns.Population("in", (1, 2, 2)),
                ns.Population("conv", (1, 2, 2), ns.FixedLIF(membrane_decay=0, threshold=2**17 - 1, reset="none")),
            ),
            (conv,),
        ).with_sam()
        events = ns.Events.from_dense(np.ones((steps, 3, 1, 2, 2), np.uint8))
        made = ns.run(net, events, "reference", ns.Record(spikes=("conv",), sam=("conv",)))
        images = np.zeros((3, 1, 2, 2), np.uint8)
        write_folder(tmp_path / str(steps), report_of(net, made, images, title="t"), made)
        return json.loads((tmp_path / str(steps) / "report.json").read_text())["tables"]

    (table,) = files(12)
    assert table["heading"] == "Integers out of range"
    assert table["rows"] == [["conv", 4 * 4 * 3, 0, "3 of 3"]]
    (table,) = files(6)
    assert table["rows"] == [["conv", 0, 0, "0 of 3"]]
    assert "unlimited integers" in table["note"]
