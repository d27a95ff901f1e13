"""``neurosam lava``: it is found through its entry point, and works without Lava."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam_hw.lava import interpreter
from neurosam_hw.lava.cli import app

runner = CliRunner()


@pytest.mark.usefixtures("lava")
def test_the_doctor_finds_lava_and_runs_it() -> None:
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "lava-nc 0.10.0" in result.output
    assert "works" in result.output


def test_the_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", sys.executable)
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "missing  lava-nc" in result.output
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", str(tmp_path / "none"))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "is not an executable file" in result.output


def test_the_running_interpreter_is_taken_if_it_has_lava(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a variable and a .venv-lava; that NumPy 2 does not go with it, the doctor says of this interpreter."""
    monkeypatch.delenv("NEUROSAM_LAVA_PYTHON", raising=False)
    monkeypatch.setattr(interpreter, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    without = runner.invoke(app, ["doctor"])
    assert without.exit_code == 1
    text = " ".join(without.output.split())
    assert "~/lava/bin/pip install lava-nc==0.10.0 'numpy<2' h5py && export NEUROSAM_LAVA_PYTHON=" in text
    assert "make" not in text
    monkeypatch.setattr(interpreter, "version", lambda name: {"lava-nc": "0.10.0"}[name])
    assert interpreter.find() == Path(sys.executable)
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert f"found    {sys.executable} (the running one)" in result.output
    assert "to get one that works: python3.10 -m venv" in result.output
    (tmp_path / "Makefile").touch()
    (tmp_path / "constraints-lava.txt").touch()
    assert "`make lava` builds .venv-lava" in runner.invoke(app, ["doctor"]).output


def test_the_command_line_has_the_group() -> None:
    from neurosam.cli import app as neurosam_app

    result = runner.invoke(neurosam_app, ["lava", "--help"])
    assert result.exit_code == 0
    assert "doctor" in result.output


def test_netx_writes_once(tmp_path: Path) -> None:
    hard = ns.FixedLIF(membrane_decay=100, threshold=60, reset="zero")
    network = ns.Network(
        (ns.Population("in", (2,)), ns.Population("out", (2,), hard)),
        (ns.Projection("in", "out", ns.Dense(np.array([[40, -30], [70, 5]]))),),
    )
    network.save(tmp_path / "n.h5")
    arguments = ["netx", str(tmp_path / "n.h5"), "-o", str(tmp_path / "n.net")]
    assert runner.invoke(app, arguments).exit_code == 0
    again = runner.invoke(app, arguments)
    assert isinstance(again.exception, NeurosamError)
    assert "exists already" in str(again.exception)
