"""``neurosam lava``: found through its entry point, useful without Lava."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam_hw.lava.cli import app

runner = CliRunner()


@pytest.mark.usefixtures("lava")
def test_the_doctor_finds_lava_and_runs_it() -> None:
    said = runner.invoke(app, ["doctor"])
    assert said.exit_code == 0, said.output
    assert "lava-nc 0.10.0" in said.output
    assert "works" in said.output


def test_the_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", sys.executable)
    said = runner.invoke(app, ["doctor"])
    assert said.exit_code == 1
    assert "missing  lava-nc" in said.output
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", str(tmp_path / "none"))
    said = runner.invoke(app, ["doctor"])
    assert said.exit_code == 1
    assert "is not an executable file" in said.output


def test_the_command_line_has_the_group() -> None:
    from neurosam.cli import app as whole

    said = runner.invoke(whole, ["lava", "--help"])
    assert said.exit_code == 0
    assert "doctor" in said.output


def test_netx_writes_once(tmp_path: Path) -> None:
    hard = ns.FixedLIF(membrane_decay=100, threshold=60, reset="zero")
    network = ns.Network(
        (ns.Population("in", (2,)), ns.Population("out", (2,), hard)),
        (ns.Projection("in", "out", ns.Dense(np.array([[40, -30], [70, 5]]))),),
    )
    network.save(tmp_path / "n.h5")
    order = ["netx", str(tmp_path / "n.h5"), "-o", str(tmp_path / "n.net")]
    assert runner.invoke(app, order).exit_code == 0
    again = runner.invoke(app, order)
    assert isinstance(again.exception, NeurosamError)
    assert "exists already" in str(again.exception)
