"""``neurosam chips``: the list, one chip, JSON, and exit status 2."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import typer
from typer.testing import CliRunner, Result

from neurosam.cli import app as application
from neurosam_hw import chips as shipped
from neurosam_hw.chips.cli import chips

FOLDER = Path(shipped.__path__[0])
app = typer.Typer()
app.command()(chips)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_list_says_what_each_energy_is_worth(points: list[EntryPoint]) -> None:
    result = invoke()
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: " ".join(line.split()) for line in result.output.splitlines() if line.strip()}
    assert lines["loihi1"].startswith("loihi1 128 1024 1, 2, 3, 4, 5, 6, 8 bit zero at least 23.6 pJ (pre-silicon,")
    assert "26 pJ (measured, all-in)" in lines["truenorth"]
    assert lines["loihi2"].endswith("zero, value, subtract, none unknown -")
    assert "35.5 pJ (fitted, per-term)" in lines["sanafe-loihi"]


def test_a_chip_is_shown_with_conditions_and_sources() -> None:
    result = invoke(str(FOLDER / "loihi1.toml"))
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "at least 23.6 pJ pre-silicon per-term 0.75 V; simulated before silicon" in text
    assert "board blouw2019: Blouw et al.'s board" in text
    assert "[1] M. Davies et al., Loihi: a neuromorphic manycore processor" in text


def test_json_has_every_figure(points: list[EntryPoint]) -> None:
    listed = json.loads(invoke("--json").output)
    assert [chip["name"] for chip in listed] == sorted(path.stem for path in FOLDER.glob("*.toml"))
    one = json.loads(invoke("odin", "--json").output)
    assert one in listed
    assert one["figures"]["energy.synaptic_operation"] == {
        "value": 8.43,
        "unit": "pJ",
        "value_si": 8.43e-12,
        "base_unit": "J",
        "standing": "measured",
        "scope": "per-term",
        "bound": "none",
        "conditions": "0.55 V; incremental: without leakage and idle power",
        "source": one["figures"]["limits.cores"]["source"],
        "locator": "energy by synaptic operation",
    }
    assert one["figures"]["energy.neuron_update_active"]["value"] is None


@pytest.fixture
def command_line() -> typer.Typer:
    """A command line with this command, in the group that reports the errors of all."""
    group = typer.Typer(cls=application.info.cls)
    group.callback()(lambda: None)
    group.command("chips")(chips)
    return group


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('value = 10, unit = "pJ"', "value = 10", "energy.synaptic_operation: unit: is missing; allowed is fJ, pJ, nJ"),
        ("value = 10,", "value = -10,", "energy.synaptic_operation: value: got -10 pJ; at least 0 is required"),
        ("hop =", "hops =", "energy: has the unknown key 'hops'; did you mean 'hop'"),
    ],
)
def test_a_bad_file_is_one_sentence_and_status_2(
    command_line: typer.Typer, tmp_path: Path, old: str, new: str, message: str
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text((FOLDER / "example.toml").read_text().replace(old, new))
    result = CliRunner().invoke(command_line, ["chips", str(bad)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"neurosam: {bad}: {message}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_unknown_chip_is_status_2(command_line: typer.Typer, points: list[EntryPoint]) -> None:
    result = CliRunner().invoke(command_line, ["chips", "loihi9"])
    assert result.exit_code == 2
    assert "chip 'loihi9': is unknown; did you mean 'loihi" in result.stderr
