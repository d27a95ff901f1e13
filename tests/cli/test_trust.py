"""What others wrote decides nothing: no path in a file is opened unasked, and no command replaces what it reads."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam._util.ownership import is_only_ours
from neurosam.cli import app, inputs
from neurosam.cli.common import new_file, new_folder
from neurosam.cli.inputs import data_of, data_option
from neurosam.data.sources import has_name
from neurosam.errors import BackendError, DataError, NeurosamError
from neurosam.signals.stimulus import Stimulus
from neurosam_hw.lava import interpreter
from support.toy_dataset import ARCHITECTURE, write_bars


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with net.h5, whose metadata name a folder, and in.h5."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "has_name", has_name)
    neuron = ns.FixedLIF(membrane_decay=100, threshold=60)
    net = ns.Network(
        (ns.Population("in", (1, 2, 2)), ns.Population("out", (2,), neuron)),
        (ns.Projection("in", "out", ns.Dense(np.array([[40, -30, 9, 9], [70, 5, 9, 9]]))),),
        metadata={"data": "/proc", "steps": "3"},
    )
    net.save("net.h5")
    replace(net, metadata={}).save("plain.h5")
    ns.save(ns.Events.from_dense(np.ones((3, 2, 1, 2, 2), dtype=np.uint8)), "in.h5")
    return tmp_path


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2, result.output
    return " ".join(str(result.output).split())


@pytest.mark.parametrize(
    "command",
    [
        "run net.h5", "explain net.h5 --layers in", "verify net.h5", "cost net.h5 --chip loihi1 --what-if",
        "vectors net.h5 -o tb", "quantise float.h5",
    ],
)  # fmt: skip
def test_a_path_in_a_file_is_not_opened(folder: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(inputs, "held_out", lambda name, *_: opened.append(name))
    monkeypatch.setattr(inputs, "training_set", lambda name, *_: opened.append(name))
    net = ns.load_network("net.h5")
    float_net = ns.Network(
        (net.populations[0], ns.Population("out", (2,), ns.LIF(leak=0.9, threshold=1.0))),
        (ns.Projection("in", "out", ns.Dense(np.ones((2, 4)))),), metadata=net.metadata,
    )  # fmt: skip
    float_net.save("float.h5")
    said = refused(*command.split())
    assert (
        "--data: is needed: the file says that it was trained on '/proc', and a path in a file is opened only" in said
    )
    assert "if you name it: --data /proc" in said
    assert not opened


def test_names_of_data_sets_are_no_paths() -> None:
    for name in ("mnist5k", "fashion", "cluttered-mnist5k"):
        assert data_of(Stimulus(data=name), None) == name
        assert not data_option(name)
    for name in ("./mnist5k", "cluttered-/proc", "photos", "/proc/1", "mnist5k/.."):
        with pytest.raises(DataError, match="opened only if you name it"):
            data_of(Stimulus(data=name), None)
        assert data_of(Stimulus(data=name), name) == name
    assert data_option("my photos") == " --data 'my photos'"


def test_a_folder_with_the_name_of_a_data_set_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluttered-mnist5k").mkdir()
    assert inputs._is_cluttered("cluttered-mnist5k")


@pytest.mark.parametrize(
    "command",
    [
        "run net.h5 --events in.h5 -o net.h5", "run net.h5 --events in.h5 -o in.h5", "run net.h5 in.h5 -o ./in.h5",
        "run net.h5 --events in=in.h5 -o link.h5", "run net.h5 --events in.h5 --keep-state hard.h5",
        "run net.h5 --events in.h5 --initial state.h5 --keep-state state.h5",
        "quantise net.h5 -o net.h5", "quantise plain.h5 --calibration in.h5 -o in.h5",
        "verify plain.h5 --events in.h5 --mutants 1 --search 1 -o in.h5", "import dut.npz --network net.h5 -o net.h5",
        "export model.safetensors -o net.h5 --data net.h5", "map net.h5 --chip loihi1 --map map.json -o map.json",
        "convert model.safetensors -o model.safetensors", "verify v.json net.h5 --json v.json",
        "check v.json net.h5 --json v.json", "cost net.h5 --chip loihi1 --map map.json -o map.html",
    ],
)  # fmt: skip
def test_no_command_replaces_its_input(folder: Path, command: str) -> None:
    os.symlink("in.h5", "link.h5")
    os.link("net.h5", "hard.h5")
    for name in ("state.h5", "map.json", "v.json", "dut.npz", "model.safetensors"):
        Path(name).touch()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = refused(*command.split(), "--force")
    assert "is an input of this command, which it does not replace" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nothing_is_written_through_a_link_that_was_not_named(folder: Path) -> None:
    os.symlink("elsewhere.h5", "r.h5")
    assert "is a link to elsewhere.h5, which does not exist" in refused(
        "run", "net.h5", "--events", "in.h5", "-o", "r.h5"
    )
    bars = write_bars(folder / "bars")
    os.symlink("in.h5", "m.checkpoint")
    said = refused("train", "--data", bars, "--arch", ARCHITECTURE, "-o", "m.safetensors", "--force")
    assert "m.checkpoint: is a link, by which a file elsewhere could be replaced" in said
    assert not (folder / "elsewhere.h5").exists()
    assert ns.load_events("in.h5").samples == 2


def test_no_folder_of_an_input_is_written_to(folder: Path) -> None:
    for command in ("explain net.h5 -o .", "vectors net.h5 -o .", "hw sanafe net.h5 -o ."):
        assert "'net.h5', an input of this command, which could be replaced" in refused(*command.split(), "--force")
    (folder / "elsewhere").mkdir()
    os.symlink("../net.h5", "elsewhere/net.h5")
    with pytest.raises(NeurosamError, match="could be replaced"):
        new_folder(folder, True, "x", (Path("elsewhere/net.h5"),))
    new_folder(folder, True, "x", (Path("none.h5"), "fashion", None, ["a=b"], ""))
    assert new_file(Path("new.h5"), False, (".h5",), ("", None, "net.h5", ["in=in.h5"])) == Path("new.h5")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners here")
def test_an_interpreter_that_others_could_have_planted_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEUROSAM_LAVA_PYTHON", raising=False)
    monkeypatch.setattr(interpreter, "ROOT", tmp_path / "none")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "env"))
    python = tmp_path / ".venv-lava" / "bin" / "python"
    python.parent.mkdir(parents=True, mode=0o755)
    python.parent.parent.chmod(0o755)
    python.symlink_to(sys.executable)
    assert interpreter.find() == python
    for path in (python.parent, python.parent.parent):
        path.chmod(0o777)
        with pytest.raises(BackendError, match=f"is not run, since other users can change {path}: chmod -R go-w"):
            interpreter.find()
        path.chmod(0o755)
    python.unlink()
    python.write_text("#!/bin/sh")
    python.chmod(0o757)
    with pytest.raises(BackendError, match=f"other users can change {python}:"):
        interpreter.find()
    python.chmod(0o755)
    monkeypatch.setattr(os, "getuid", lambda: python.stat().st_uid + 1)
    assert is_only_ours(python) is (python.stat().st_uid == 0)
