"""``neurosam hw sanafe`` and ``sanafe-compare``: from files to files, and exit statuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.errors import EventError, ExportError, FormatError, NeurosamError
from neurosam.hdf5.files import load_network
from neurosam_hw.chips import load_chip
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.mapping.file import save_mapping
from neurosam_hw.sanafe import place_inputs
from neurosam_hw.sanafe.cli import app
from support.sanafe import network_of, simulate

Files = tuple[Path, Path]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """What a command prints that succeeds."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(*arguments: object) -> NeurosamError:
    """The error of a command, which the command line prints in one line, with exit status 2."""
    result = invoke(*arguments)
    assert isinstance(result.exception, NeurosamError), result.output
    return result.exception


@pytest.fixture
def files(case: Callable[[str], tuple[CoreMapping, Any]], tmp_path: Path) -> Files:
    """A network with traces, and two samples of events."""
    mapping, events = case("4 and 3 cores")
    mapping.network.with_sam().save(tmp_path / "net.h5")
    twice = np.concatenate([events.dense(), 1 - events.dense()], axis=1)
    ns.Events.from_dense(twice).save(tmp_path / "in.h5")
    return tmp_path / "net.h5", tmp_path / "in.h5"


def test_there_and_back(files: Files, tmp_path: Path) -> None:
    network, events = files
    folder = tmp_path / "out"
    said = done("sanafe", network, "-o", folder, "--events", events, "--sample", 1)
    assert f"next, in an environment with SANA-FE: python {folder / 'run.py'}" in said
    assert "left out, since SANA-FE has none: the SAM traces of hidden, out" in said
    first = network_of((folder / "snn.yaml").read_text())["in.0"].attributes["spikes"]
    assert first == ns.load_events(events).dense()[:, 1, 0].tolist()
    simulate(folder)
    assert "equal in every one of 42 steps" in done("sanafe-compare", folder)
    lines = (folder / "spikes.csv").read_text().splitlines()
    (folder / "spikes.csv").write_text("\n".join(lines[:-1]) + "\n")
    result = invoke("sanafe-compare", folder)
    assert result.exit_code == 1
    assert "SANA-FE and neurosam differ" in result.output
    moved = tmp_path / "results"
    moved.mkdir()
    for name in ("spikes.csv", "perf.csv"):
        (folder / name).rename(moved / name)
    assert invoke("sanafe-compare", folder, moved).exit_code == 1
    assert "perf.csv: cannot be read" in str(refused("sanafe-compare", folder))


def test_a_mapping_by_hand_gets_its_inputs_placed(files: Files, tmp_path: Path) -> None:
    """Inputs behind the network's own cores, on the first that are free."""
    network, events = load_network(files[0]), files[1]
    pieces = (Piece("hidden", 0, neurons=np.arange(24)), Piece("out", 1, neurons=np.arange(10)))
    mapping = CoreMapping(network, load_chip("sanafe-loihi"), pieces, np.array([[0, 1], [0, 5]]))
    save_mapping(mapping, tmp_path / "map.json")
    folder = tmp_path / "out"
    done("sanafe", files[0], "-o", folder, "--events", events, "--map", tmp_path / "map.json")
    found = network_of((folder / "snn.yaml").read_text())
    assert {neuron.core for address, neuron in found.items() if address.startswith("in.")} == {(0, 0)}
    assert [found[address].core for address in ("hidden.3", "out.3")] == [(0, 1), (1, 1)]
    simulate(folder)
    assert "equal in every one of 42 steps" in done("sanafe-compare", folder)


def test_inputs_that_find_no_core(files: Files) -> None:
    network = load_network(files[0])
    chip = load_chip("sanafe-loihi")
    cores = replace(chip.figure("limits.cores"), value=2)
    small = replace(chip, figures={**chip.figures, "limits.cores": cores})
    pieces = (Piece("hidden", 0, neurons=np.arange(24)), Piece("out", 1, neurons=np.arange(10)))
    with pytest.raises(ExportError, match=r"need 1 cores of their own on the first chip, which has 0 left"):
        place_inputs(CoreMapping(network, small, pieces))


def test_mistakes(files: Files, tmp_path: Path) -> None:
    network, events = files
    out = tmp_path / "out"
    error = refused("sanafe", network, "-o", out, "--events", events, "--sample", 2)
    assert isinstance(error, EventError)
    assert str(error) == "--sample: got 2; the input has 2 samples, counted from 0"
    error = refused("sanafe", network, "-o", out, "--events", events, "--chip", "truenorth")
    assert isinstance(error, ExportError)
    assert "chip truenorth: has no noc.mesh_width" in str(error)
    assert "exclude each other" in str(refused("sanafe", network, "-o", out, "--events", events, "--data", "fashion"))
    assert not out.exists()
    error = refused("sanafe-compare", tmp_path)
    assert isinstance(error, FormatError)
    done("sanafe", network, "-o", out, "--events", events, "--chip", "loihi1")
    done("sanafe", network, "-o", out, "--events", events)  # its own folder, again
    assert [path.name for path in (out / "chip").iterdir()] == ["sanafe-loihi.toml"]
    (out / "chip" / "sanafe-loihi.toml").unlink()
    assert "holds 0 chip files; one is required" in str(refused("sanafe-compare", out))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert "holds other files" in str(refused("sanafe", network, "-o", tmp_path / "other", "--events", events))
