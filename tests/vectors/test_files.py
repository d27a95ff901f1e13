"""What neurosam vectors writes: files, widths, layouts and times; and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam._util.atomic_write import write_bytes
from neurosam.errors import ArgumentError, BackendError, ExportError, NetworkError, NeurosamError
from neurosam.network.dynamics import Switches
from neurosam.signals.inputs import Inputs
from neurosam_hw.mapping import HardwareSchedule
from neurosam_hw.vectors import Golden, write_vectors
from neurosam_hw.vectors import golden as golden_module
from neurosam_hw.vectors import write as write_module
from neurosam_hw.vectors.cli import vectors
from neurosam_hw.vectors.manifest import manifest
from neurosam_hw.vectors.write import columns, estimate
from support.all_options import all_options
from support.oracle import simulate
from support.vectors import network

pytestmark = pytest.mark.filterwarnings("ignore::neurosam.errors.RangeWarning")


def words(path: Path, bits: int) -> np.ndarray[Any, Any]:
    """The words of a file as $readmemh takes them, of two's complement where they have a sign."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("//")]
    assert {len(line) for line in lines} == {-(-bits // 4)}
    unsigned = np.array([int(line, 16) for line in lines])
    return unsigned - ((unsigned >> (bits - 1)) << bits if bits > 1 else 0)


def described(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def test_every_file_is_as_the_manifest_says_and_as_the_archive_has_it(made: tuple[Path, Golden]) -> None:
    folder, _ = made
    content = described(folder)
    archive = np.load(folder / "vectors.npz")
    names = set()
    for part in (*content["populations"], *content["projections"]):
        for variable, told in part["files"].items():
            values = archive[told["name"]]
            assert values.shape == tuple(told["shape"])
            assert len(told["axes"]) == values.ndim
            assert [values.min(), values.max()] == [told["least"], told["most"]]
            assert np.array_equal(words(folder / told["file"], told["bits"]), values.reshape(-1))
            assert told["file"] == f"{part['folder']}/{variable}.hex"
            names.add(told["name"])
    assert names == set(archive)
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.hex")}
    assert on_disk == {f"{name.replace('_', '/', 1)}.hex" for name in names}
    header = (folder / "vectors.h").read_text()
    assert all(f" {name}[] = {{" in header for name in names if name.partition("_")[2] in ("a", "s", "v", "weight"))


def test_the_values_are_those_of_the_oracle(made: tuple[Path, Golden]) -> None:
    folder, _ = made
    net, events = network()
    expected = simulate(net, events)
    archive = np.load(folder / "vectors.npz")
    for index, population in enumerate(net.populations):
        if population.neuron is None:
            assert np.array_equal(archive["p0_s"], events.dense().reshape(14, 2, -1))
            continue
        for variable, arrays in (("v", expected.membrane), ("u", expected.current), ("sam", expected.sam)):
            if population.name in arrays:
                values = archive[f"p{index}_{variable}"]
                assert np.array_equal(values, arrays[population.name].reshape(values.shape))
        if population.fires:
            values = archive[f"p{index}_s"]
            assert np.array_equal(values, expected.spikes[population.name].dense().reshape(values.shape))


def test_own_time_global_time_and_the_time_of_a_chip(made: tuple[Path, Golden]) -> None:
    net, _ = network()
    net = replace(net, projections=[replace(p, delay=0 if p.target == "whole" else 1) for p in net.projections])
    schedule = HardwareSchedule.of(net)
    content = golden_manifest(net)
    times = {p["name"]: (p["onset"], p["hardware_depth"]) for p in content["populations"]}
    assert times == {name: (net.onsets[name], schedule.depths[name]) for name in times}
    assert times["whole"] == (1, 2)
    assert [p["hardware_delay"] for p in content["projections"]] == [1] * 5


def golden_manifest(net: ns.Network) -> dict[str, Any]:
    inputs = Inputs.of(net, network()[1])
    names = [p.name for p in net.populations if p.neuron is not None]
    return manifest(golden_module.golden(net, inputs, names, "reference"), dict(enumerate(net.projections)), {})


def test_a_cycle_that_no_chip_has_time_for(tmp_path: Path) -> None:
    neuron = ns.FixedLIF(0, 5)
    one = ns.Dense(np.ones((1, 1), np.int8))
    net = ns.Network(
        [ns.Population("in", (1,)), ns.Population("a", (1,), neuron), ns.Population("b", (1,), neuron)],
        [ns.Projection("in", "a", one), ns.Projection("a", "b", one, delay=0), ns.Projection("b", "a", one, delay=1)],
        check_alignment=False,
    )
    write_vectors(net, ns.Events.from_dense(np.ones((3, 1, 1))), tmp_path, backend="reference")
    assert [p["hardware_depth"] for p in described(tmp_path)["populations"]] == [None] * 3


def test_the_options_are_all_that_a_neuron_has(made: tuple[Path, Golden]) -> None:
    """A new option needs a line in lif.v and lif.c, and then here."""
    content = described(made[0])
    told = {
        "current", "reset", "at", "delayed", "corrected", "adapted", "bounded", "adaptive", "refractory", "max_spikes",
    }  # fmt: skip
    assert told == set(Switches._fields)
    assert told <= set(content["skeletons"]["options"])
    tabled = next(p for p in content["populations"] if p["name"] == "tabled")
    assert tabled["options"]["reset"] == "value"
    assert (tabled["options"]["refractory"], tabled["options"]["gain_shift"]) == (1, 7)


def test_some_populations_with_the_spikes_of_their_sources(tmp_path: Path) -> None:
    net, events = network()
    write_vectors(net, events, tmp_path, populations=["tabled"], backend="reference")
    content = described(tmp_path)
    assert [(p["name"], p["tested"]) for p in content["populations"]] == [("whole", False), ("tabled", True)]
    assert [p["folder"] for p in content["projections"]] == ["j2"]
    assert [path.parent.name for path in tmp_path.glob("*/population.vh")] == ["p3"]
    assert [path.name for path in (tmp_path / "p2").iterdir()] == ["s.hex"]


@pytest.mark.parametrize("case", [network, all_options])
def test_the_estimate_is_exact(case: Any) -> None:
    net, events = case()
    inputs = Inputs.of(net, events)
    names = [p.name for p in net.populations if p.neuron is not None]
    for some in (names, names[1:3]):
        found = golden_module.golden(net, inputs, some, "reference")
        projections = {j: p for j, p in enumerate(net.projections) if p.target in some}
        values = columns(found, projections).values()
        assert estimate(net, some, inputs.steps, inputs.samples) == sum(column.values.size for column in values)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, events = network()
    real = ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 1))))],
    )
    out = tmp_path / "tb"
    with pytest.raises(ExportError, match=r"^network: computes in floats, .*; quantise it first$"):
        write_vectors(real, ns.Events.from_dense(np.ones((1, 1, 1))), out)
    with pytest.raises(ExportError, match=r"population 'in': is an input"):
        write_vectors(net, events, out, populations=["in"])
    with pytest.raises(NetworkError, match=r"population 'nobody': is not in the network"):
        write_vectors(net, events, out, populations=["nobody"])
    with pytest.raises(ArgumentError, match=r"got no populations, or no samples"):
        write_vectors(net, events, out, populations=[])
    monkeypatch.setattr(write_module, "MOST_VALUES", 2000)
    with pytest.raises(ExportError, match=r"would be 6,\d\d\d values, about 0 MB; at most 2,000 .* fewer samples"):
        write_vectors(net, events, out)
    assert not out.exists()


def test_golden_values_that_do_not_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A back end with a defect: one membrane is wrong by one."""
    net, events = network()
    recording = ns.run(net, events, "reference", ns.Record.everything(net))
    wrong = recording.membrane["whole"].copy()
    wrong[3, 1, 2] += 1
    monkeypatch.setattr(
        golden_module, "run", lambda *_: replace(recording, membrane={**recording.membrane, "whole": wrong})
    )
    with pytest.raises(
        BackendError, match=r"population 'whole': has a membrane that does not follow from what arrives"
    ):
        write_vectors(net, events, tmp_path / "tb")
    assert not (tmp_path / "tb").exists()


def test_a_changed_skeleton_and_a_link_are_left_alone(tmp_path: Path) -> None:
    net, events = network()
    write_vectors(net, events, tmp_path, backend="reference", populations=["out"])
    (tmp_path / "lif.v").write_text("my own\n")
    with pytest.raises(ExportError, match=r"lif.v: was changed and would be replaced; give your own design another"):
        write_vectors(net, events, tmp_path, backend="reference", populations=["out"])
    assert (tmp_path / "lif.v").read_text() == "my own\n"
    write_vectors(net, events, tmp_path, backend="reference", populations=["whole"], force=True)
    assert "module lif" in (tmp_path / "lif.v").read_text()
    assert [path.parent.name for path in tmp_path.glob("*/population.vh")] == ["p2"]
    kept = tmp_path / "kept"
    kept.write_text("mine")
    (tmp_path / "p2" / "a.hex").unlink()
    (tmp_path / "p2" / "a.hex").symlink_to(kept)
    with pytest.raises(ExportError, match=r"a\.hex: is a link"):
        write_vectors(net, events, tmp_path, backend="reference", populations=["whole"])
    assert kept.read_text() == "mine"


def test_a_disk_that_fills_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, events = network()
    write_vectors(net, events, tmp_path, backend="reference", populations=["out"])

    def full(path: Path, content: bytes) -> Path:
        if path.name == "vectors.h":
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(write_module, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_vectors(net, events, tmp_path, backend="reference", populations=["out"])
    assert not (tmp_path / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.tmp"))


# --- the command ------------------------------------------------------------------------------------------------------


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(vectors)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, NeurosamError), result.output
    return str(result.exception)


def test_the_command(tmp_path: Path) -> None:
    net, events = network()
    net.save(tmp_path / "net.h5")
    events.save(tmp_path / "in.h5")
    given = (tmp_path / "net.h5", "--events", tmp_path / "in.h5", "-o", tmp_path / "tb", "--backend", "reference")
    result = invoke(*given, "--only", "whole, last.one-4")
    assert result.exit_code == 0, result.output
    assert f"next, with iverilog and a C compiler: make -C {tmp_path / 'tb'}" in result.output
    content = described(tmp_path / "tb")
    assert (content["samples"], [p["name"] for p in content["populations"] if p["tested"]]) == (
        1,
        ["whole", "last.one-4"],
    )
    assert invoke(*given, "--samples", 2).exit_code == 0  # its own folder, again
    assert described(tmp_path / "tb")["samples"] == 2
    assert refused(*given, "--samples", 3) == "--samples: got 3; the input has 2"
    assert "needs no --data" in refused(*given, "--data", "fashion")
    assert "has its own steps" in refused(*given, "--steps", 4)
    assert "population 'nobody': is not in the network" in refused(*given, "--only", "nobody")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert "holds other files" in refused(*given[:3], "-o", tmp_path / "other")
