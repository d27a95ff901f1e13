"""neurosam import and export --format: networks of other tools, in and out; others are told what to do instead."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.cli import app
from neurosam.formats import registry
from neurosam.formats.netx.write import save_netx
from support.netx import NEURON, conv, dense, network, weights, write


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with good.net and net.h5."""
    monkeypatch.chdir(tmp_path)
    chain = replace(network(), projections=[replace(p, delay=1) for p in network().projections])
    save_netx(chain, "good.net")
    chain.save("net.h5")
    return tmp_path


def neurosam(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def done(*arguments: object) -> str:
    result = neurosam(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(*arguments: object, lines: int = 1) -> str:
    """The message of a refused command, which writes nothing."""
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    result = neurosam(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before
    assert len(result.stderr.strip().splitlines()) == lines, result.stderr
    return result.stderr


def test_import_tells_what_it_found_and_writes_a_network(work: Path) -> None:
    write(Path("deep.net"), [
        {"type": "input", "shape": np.array([2, 6, 9]), "weight": 40, "bias": 36, "neuron": NEURON},
        conv(weights(3, 2, 2, 3), (3, 5, 7)), {"type": "flatten"}, dense(weights(4, 105), delay=np.arange(4)),
    ], simulation=np.array(0))  # fmt: skip
    with h5py.File("deep.net", "a") as file:
        del file["simulation"]
        file["simulation/tSample"] = 25
    text = done("import", "deep.net")
    for part in (
        "deep.net: lava-dl's netx", "populations: fixed point (lava, 8-bit weights)", "conv1 3x5x7 FixedLIF",
        "conv1 -> dense1 Dense", "netx.layers: 4", "steps: 25",
        "netx.decided: an input x of lava-dl is an event of round(40 x +36) in every step",
        "wrote deep.h5; next: neurosam run deep.h5 --events FILE",
    ):  # fmt: skip
        assert part in text, part
    net = ns.load_network("deep.h5")
    assert [p.name for p in net.populations] == ["in", "input", "conv1", "dense1", "delayed"]
    assert "exists already" in refused("import", "deep.net")
    done("import", "deep.net", "--force", "--magnitude", 9)
    assert ns.load_network("deep.h5").input.magnitude == 9


def test_what_a_file_is_goes_by_its_content(work: Path) -> None:
    Path("good.net").rename("weights.onnx")
    done("import", "weights.onnx", "-o", "again.h5")
    assert replace(ns.load_network("again.h5"), metadata={}) == ns.load_network("net.h5")


def test_there_and_back_by_commands(work: Path) -> None:
    assert "wrote net.net: lava-dl's netx" in done("export", "net.h5", "--format", "netx")
    assert Path("net.net").read_bytes() == Path("good.net").read_bytes()
    done("import", "net.net", "-o", "back.h5")
    back = ns.load_network("back.h5")
    assert replace(back, metadata={}) == ns.load_network("net.h5")


def test_graphs_are_written(work: Path) -> None:
    pytest.importorskip("networkx")
    done("export", "net.h5", "--format", "graphml")
    done("export", "net.h5", "--format", "json", "-o", "drawing.json")
    assert Path("net.graphml").read_text().startswith("<graphml")
    assert '"conv1"' in Path("drawing.json").read_text()


def test_nir_both_ways(work: Path) -> None:
    pytest.importorskip("nir")
    lif = ns.LIF(leak=0.875, threshold=1.0, reset="subtract")
    float_net = ns.Network(
        [ns.Population("in", (6,)), ns.Population("out", (3,), lif)],
        [ns.Projection("in", "out", ns.Dense(np.random.default_rng(0).normal(size=(3, 6))))],
    )
    float_net.save("soft.h5")
    assert "(--reset zero)" in refused("export", "soft.h5", "--format", "nir")
    text = done("export", "soft.h5", "--format", "nir", "--reset", "zero")
    assert re.search(r"wrote soft.nir: NIR .*another network: \d+ spikes differ, of \d+ on 32 steps of random", text)
    done("import", "soft.nir", "-o", "back.h5")
    assert ns.load_network("back.h5")["out"].neuron.reset == "zero"  # type: ignore[union-attr]
    late = ["--source", "snntorch", "--reset", "subtract", "--reset-timing", "now", "--input-unit", "0.5"]
    done("import", "soft.nir", "-o", "now.h5", *late)
    now = ns.load_network("now.h5")
    assert (now["out"].neuron.reset, now["out"].neuron.reset_timing) == ("subtract", "now")  # type: ignore[union-attr]
    done("export", "net.h5", "--format", "netx")
    assert "--reset-timing: is not for lava-dl's netx" in refused("import", "net.net", "--reset-timing", "now")


PLUG_IN = """
from neurosam.formats.registry import Format
from neurosam.hdf5 import load_network

MINE = Format("mine", "my format", ".mine", "plug_in:is_mine", "plug_in:load", "plug_in:save", {"dt": "step_s"})


def is_mine(path):
    return path.read_bytes().startswith(b"\\x89HDF") and path.name.startswith("mine")


def load(path, step_s):
    return load_network("net.h5")


def save(network, path):
    path.write_text("mine")
"""


def test_another_package_adds_a_format_by_an_entry_point(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plug_in.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(work)
    points = [EntryPoint("mine", "plug_in:MINE", registry.GROUP), EntryPoint("broken", "plug_in:NONE", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry.formats.cache_clear()
    with pytest.warns(UserWarning, match="cannot load the format 'broken': AttributeError"):
        registry.formats()
    try:
        with h5py.File("mine.x", "w") as file:
            file["nothing"] = 0
        assert "mine.x: my format" in done("import", "mine.x", "--dt", 1, "-o", "out.h5")
        assert "wrote net.mine: my format" in done("export", "net.h5", "--format", "mine")
        assert "graphml, json, mine are written" in refused("export", "net.h5", "--format", "x")
    finally:
        registry.formats.cache_clear()


def test_a_shape_where_no_layer_says_it(work: Path) -> None:
    write(Path("conv.net"), [conv(weights(3, 2, 2, 3), (3, 5, 7))])
    assert "--shape CxHxW" in refused("import", "conv.net")
    done("import", "conv.net", "--shape", "2x6x9")
    assert ns.load_network("conv.h5").input.shape == (2, 6, 9)
    assert "got '2xx9'; sides with x between" in refused("import", "conv.net", "--shape", "2xx9")
    assert "its synapses give" in refused("import", "conv.net", "--shape", "2x7x9", "-o", "new.h5")


@pytest.mark.parametrize("name", ["weights.pth", "model.pt", "last.ckpt", "renamed.h5"])
def test_weights_of_torch_are_answered_without_unpickling(work: Path, name: str) -> None:
    torch.save({"weight": torch.zeros(2), "trap": Trap()}, name)
    for command in (("import",), ("export",), ("run",), ("info",)):
        answer = refused(*command, name, lines=4)
        assert f"{name}: holds PyTorch weights, which have no architecture" in answer
        assert f"module.load_state_dict(torch.load({name!r}, weights_only=True))" in answer
        assert "ns.export(module, input_shape=(C, H, W)" in answer
    assert not Path("sprung").exists()


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_other_files_are_answered(work: Path) -> None:
    Path("old.pkl").write_bytes(pickle.dumps(Trap()))
    assert "is a pickle, which runs whatever code it names" in refused("import", "old.pkl", lines=4)
    assert not Path("sprung").exists()
    Path("net.onnx").write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(20))
    assert "is ONNX, which has operators for layers but none for a neuron" in refused("import", "net.onnx")
    with h5py.File("keras.h5", "w") as file:
        file.attrs["keras_version"] = "2.15.0"
    assert "is of Keras, whose layers have no spiking neurons" in refused("import", "keras.h5")
    np.save("image.npy", np.zeros((2, 2)))
    assert "neurosam run NETWORK.h5 image.npy" in refused("import", "image.npy")
    ns.Events.from_dense(np.ones((2, 1, 3))).save("events.h5")
    assert "neurosam run NETWORK.h5 --events events.h5" in refused("import", "events.h5")
    assert "is a network of neurosam's already; next: neurosam info net.h5" in refused("import", "net.h5")
    Path("letter").write_text("hello")
    assert "none of the files that are known: lava-dl's netx (.net), NIR (.nir)" in refused("import", "letter")
    assert "does not exist" in refused("import", "none.net")
    Path("build.py").write_text("import torch")
    assert "neurosam export build.py:FUNCTION --shape" in refused("import", "build.py")


def test_commands_that_take_networks_say_import(work: Path) -> None:
    for command in ("run", "info", "verify", "export"):
        assert "good.net: is lava-dl's netx; import it first: neurosam import good.net" in refused(command, "good.net")


def test_bad_files_end_with_one_line_and_a_remedy(work: Path) -> None:
    whole = Path("good.net").read_bytes()
    Path("cut.net").write_bytes(whole[: len(whole) // 2])
    assert "cut.net: is truncated; copy or make it again" in refused("import", "cut.net")
    write(Path("sdnn.net"), [dense(weights(2, 3), neuron={**NEURON, "type": "SDNN"})])
    assert "CUBA is read (slayer.block.cuba)" in refused("import", "sdnn.net")
    write(Path("float.net"), [dense(np.full((2, 3), 0.37))])
    assert "layer/0/weight holds fractions" in refused("import", "float.net")
    write(Path("wide.net"), [{"type": "input", "shape": np.array([10**9])}, dense(weights(2, 3))])
    assert "(1000000000,); 16777216 neurons at most" in refused("import", "wide.net")


def test_options_of_another_format_are_refused(work: Path) -> None:
    assert "--dt: is not for lava-dl's netx (good.net); its options are --shape" in refused(
        "import", "good.net", "--dt", 1
    )
    assert "--restarts: is not for" in refused("export", "net.h5", "--format", "graphml", "--restarts")
    assert "go with --format" in refused("export", "net.h5", "--restarts")
    assert "got 'onnx'; netx, nir, graphml, json are written; ONNX has" in refused(
        "export", "net.h5", "--format", "onnx"
    )
    assert "or --format netx, nir or graphml" in refused("export", "net.h5")
    assert "give a name that ends in .net" in refused("export", "net.h5", "--format", "netx", "-o", "a.h5")
    float_net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.array([[1.0, 2.0]])))],
    )
    float_net.save("float.h5")
    assert "is a float network; netx needs integers" in refused("export", "float.h5", "--format", "netx")
