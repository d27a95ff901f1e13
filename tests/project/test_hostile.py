"""What strangers put into files: damaged JSON, enormous sizes, control characters, links. Each ends in one sentence."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from h5py import h5d, h5p, h5s, h5t
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import neurosam as ns
from neurosam._util import memory
from neurosam._util.memory import available_bytes, size_text
from neurosam._util.tables import PlainTable
from neurosam._util.untrusted import printable
from neurosam.cli.commands import app
from neurosam.cli.common import new_folder
from neurosam.data import folder, idx
from neurosam.data.folder import load_image_folder, load_images
from neurosam.errors import ArgumentError, DataError, EventError, FormatError, NeurosamError
from neurosam.formats.events.numpy_files import load_array
from neurosam.formats.events.rules import EventRules
from neurosam.hdf5.reader import EXPANDED, EXPANSION, opened
from neurosam.network.synapse import _taps_inside
from neurosam.signals import events as events_module
from neurosam.signals import need
from neurosam.signals.stimulus import Stimulus
from neurosam.training import build
from neurosam.training.checkpoint import load_checkpoint, save_checkpoint
from neurosam.training.model_file import Recipe, load_model, save_model
from neurosam.training.tensor_file import read_tensors
from neurosam_hw.lava.backend import failure
from neurosam_study.results import load_result

LARGEST = 2**31 - 1
HOSTILE_JSON = ("[" * 100_000, "1" + "0" * 400, "9" * 5000, "{}", "null", '"a"', "[[1]]", "[" + "9" * 400 + "]", "{")


def small(**changes: Any) -> ns.Network:
    return ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(0.9, 1.0))],
        [ns.Projection("in", "out", ns.Dense(np.array([[1.0, 2.0]])))],
        **changes,
    )


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_the_taps_of_a_convolution_are_counted_without_listing_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        size, kernel, stride, dilation = (int(rng.integers(1, high)) for high in (30, 6, 5, 4))
        padding = int(rng.integers(0, 8))
        out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if out < 1:
            continue
        source = np.arange(out)[:, None] * stride + np.arange(kernel)[None] * dilation - padding
        assert _taps_inside(size, out, kernel, stride, padding, dilation) == ((source >= 0) & (source < size)).sum()


@pytest.mark.parametrize("synapse", ["conv", "sparse"])
@pytest.mark.parametrize("backend", ["event", "reference"])
def test_enormous_populations_cost_nothing_until_they_are_run(
    synapse: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (1, LARGEST, 1) if synapse == "conv" else (LARGEST,)
    weights: Any = (
        ns.Conv2d(np.ones((1, 1, 1, 1)))
        if synapse == "conv"
        else ns.Sparse(np.array([0, 1]), np.array([5]), np.array([1.0]), LARGEST, (1,))
    )
    target = ns.Population("out", shape if synapse == "conv" else (1,), ns.LIF(0.9, 1.0))
    network = ns.Network([ns.Population("in", shape), target], [ns.Projection("in", "out", weights)])
    network.save(tmp_path / "n.h5")
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "n.h5")])
    assert shown.exit_code == 0
    assert "2,147,483,647" in shown.output
    monkeypatch.setattr(need, "available_bytes", lambda: 8 * 10**9)
    events = ns.Events.from_unsorted([0], [0], [0], steps=2, samples=1, shape=shape)
    with pytest.raises(
        ArgumentError, match=r"run: [\d,]+ neurons x 2 steps x 1 samples take at least \d+\.\d GB .* 8\.0 GB are"
    ):
        ns.run(network, events, backend)


def test_few_events_in_many_steps_are_refused_before_their_counts_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need, "available_bytes", lambda: 10**10)
    events = ns.Events.from_unsorted([0, 5, 9], [0] * 3, [0] * 3, steps=10**9, samples=1, shape=(2,))
    with pytest.raises(ArgumentError, match=r"1,000,000,000 steps .* 16\.0 GB of memory \(16\.0 GB for counts\)"):
        ns.run(small(), events)


def test_what_is_recorded_counts_unless_it_goes_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    record = ns.Record(membrane=("out",))
    assert need.run_bytes(small(), record, 10, 100) == {
        "counts": 16_000, "what is recorded": 8000, "the state of neurons": 16
    }  # fmt: skip
    assert need.run_bytes(small(), record, 10, 100, to_file=True)["what is recorded"] == 80
    monkeypatch.setattr(need, "available_bytes", lambda: 24_015)
    with pytest.raises(ArgumentError, match=r"24\.0 kB are free"):
        need.check_memory(small(), record, 10, 100)
    need.check_memory(small(), record, 10, 100, to_file=True)
    monkeypatch.setattr(need, "available_bytes", lambda: None)
    need.check_memory(small(), record, 10**9, 10**9)


def test_images_in_millions_of_steps_are_refused_before_numbers_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "available_bytes", lambda: 2 * 10**9)
    images = np.full((4, 1, 28, 28), 128, np.uint8)
    for coding in ("poisson", "direct"):
        with pytest.raises(EventError, match="encode: steps: got 4000000; the events of 4 images would take about"):
            ns.encode(images, 4_000_000, coding)
    assert len(ns.encode(images, 4_000_000, "latency")) == images.size


def test_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (available_bytes() or 0) > 2**20
    assert (size_text(999), size_text(1000), size_text(8_100_000_000)) == ("999 bytes", "1.0 kB", "8.1 GB")
    (tmp_path / "memory.max").write_text("2000000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert available_bytes() == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (available_bytes() or 0) > 2**20


def test_sets_of_images_are_held_against_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").write_bytes(b"\0\0\x08\3" + np.array([2, 30, 40], ">u4").tobytes() + bytes(2400))
    assert idx.read_idx(tmp_path / "images").shape == (2, 30, 40)
    monkeypatch.setattr(idx, "available_bytes", lambda: 2399)
    with pytest.raises(DataError, match=r"takes 2\.4 kB of memory, and 2\.4 kB are free"):
        idx.read_idx(tmp_path / "images")


def test_a_hole_is_not_taken_for_values(tmp_path: Path) -> None:
    """A file of some kilobytes can have a size of gigabytes; mapped values take no memory."""
    path = tmp_path / "hole.h5"
    with h5py.File(path, "w") as file:
        plan = h5p.create(h5p.DATASET_CREATE)
        plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5d.FILL_TIME_NEVER)
        h5d.create(file.id, b"x", h5t.IEEE_F64LE, h5s.create_simple((EXPANDED // 8 + 1,)), plan)
    status = path.stat()
    assert status.st_size > EXPANDED
    if status.st_blocks * 512 * EXPANSION > status.st_size:
        pytest.skip("this file system has no holes")
    with opened(path) as root, pytest.raises(FormatError, match="or has holes where its values should be"):
        root.array("x", ("<f8",), (1,))
    with opened(path, mapped=True) as root:
        assert root.array("x", ("<f8",), (1,))[-1] == 0


def test_a_gzip_file_that_expands_too_far_or_ends_in_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"\0\0\x08\3" + np.array([2, 300, 400], ">u4").tobytes()
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(head + bytes(240_000)))
    assert idx.read_idx(path).shape == (2, 300, 400)
    with open(path, "r+b") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="has 1073741824 bytes for a shape of"):
        idx.read_idx(path)
    path.write_bytes(gzip.compress(head + bytes(240_000)))
    monkeypatch.setattr(idx, "_EXPANDED", 2**16)
    with pytest.raises(DataError, match=r"declares 240000 bytes .* are unpacked, gunzip it"):
        idx.read_idx(path)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.idx", idx.read_idx),
        ("a.idx.gz", idx.read_idx),
        ("a.safetensors", read_tensors),
        ("study.json", lambda path: load_result(path.parent, path.stem, 1)),
    ],
)
def test_a_pipe_is_not_waited_for(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is not a regular file"):
        read(tmp_path / name)


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE_JSON, ids=range(len(HOSTILE_JSON)))
def test_hostile_json_in_metadata(text: str) -> None:
    for key in ("mean", "classes", "steps", "size", "magnitude"):
        with suppress(EventError):
            Stimulus.from_metadata({key: text})
    with pytest.raises(EventError, match=r"describes no rules|got neither dt_us nor steps"):
        EventRules.from_metadata({"rules": text, **dict.fromkeys(EventRules(dt_us=5).to_metadata(), text)})


def test_a_result_of_the_bench_that_is_cut(tmp_path: Path) -> None:
    for text in ("[]", "[" * 100_000):
        (tmp_path / "results.json").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "neurosam_bench", str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "is not what `neurosam bench` wrote" in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"refused": true}', "3", "[" * 100_000, "\udcff"])
def test_an_answer_of_lavas_worker_that_is_cut(text: str, tmp_path: Path) -> None:
    (tmp_path / "error.json").write_bytes(text.encode(errors="surrogateescape"))
    worker: Any = SimpleNamespace(last_output=lambda: "said nothing")
    assert "the worker ended with status 1. said nothing" in str(failure(tmp_path, 1, worker))


def test_control_characters_reach_no_terminal(tmp_path: Path) -> None:
    escape = "\x1b]52;c;aGk=\x07\x9b31m\u202e"
    assert not set(printable(escape)) & set("\x1b\x07\x9b\u202e")
    assert printable("Grüße\n\tα, 中") == "Grüße\n\tα, 中"
    network = small(metadata={f"key{escape}": f"value{escape}\nsteps: 5"})
    network.save(tmp_path / "n.h5")
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "n.h5")])
    assert "key\\x1b]52" in shown.output
    assert not set(shown.output) & set("\x1b\x07\x9b\u202e")
    assert "\nsteps: 5" not in shown.output
    done = subprocess.run(
        [sys.executable, "-m", "neurosam", "info", str(tmp_path / f"none{escape}.h5")], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"\\x1b]52" in done.stderr
    assert b"\x1b" not in done.stderr


def test_tables_show_names_as_they_are() -> None:
    escape = "[red]a\x1b]52;c;aGk=\x07\x9b[/red]"
    to = io.StringIO()
    console = Console(file=to, width=200, force_terminal=False)
    table = PlainTable(escape, escape)
    table.add_column(escape)
    table.add_row(escape)
    console.print(table)
    shown = to.getvalue()
    assert shown.count(r"[red]a\x1b]52;c;aGk=\x07\x9b[/red]") == 4
    assert not set(shown) & set("\x1b\x07\x9b")


def test_every_table_for_a_terminal_is_a_plain_one() -> None:
    """So that no name from a file can be forgotten."""
    root = Path(ns.__file__).parents[1]
    for path in (p for part in ("neurosam", "hw", "benchmarks") for p in (root / part).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "rich.table" in text and path.name != "tables.py":
            calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            assert not [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "Table"], path


def test_messages_have_bounded_length() -> None:
    error = NeurosamError("w" * 300_000, "p" * 300_000)
    assert len(str(error)) < 4200
    assert re.search(r"w ... \(298000 characters\) ... w", str(error))
    assert str(NeurosamError("where", "p" * 2000)) == "where: " + "p" * 2000


def test_a_folder_that_holds_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("")
    new_folder(tmp_path / "report", False, "report.html", ())
    (tmp_path / "report" / "samples.png").symlink_to(tmp_path / "precious.png")
    for force in (False, True):
        with pytest.raises(NeurosamError, match=r"holds the link 'samples\.png', by which a file elsewhere"):
            new_folder(tmp_path / "report", force, "report.html", ())


# --- models and data sets ---------------------------------------------------------------------------------------------


def saved(path: Path) -> Recipe:
    recipe = Recipe("3C3-P2-D2", (1, 6, 6), Stimulus(5), seed=7)
    save_model(path, recipe.build(), recipe)
    return recipe


def rewritten(path: Path, tensors: dict[str, torch.Tensor] | None = None, **changes: Any) -> None:
    """The same model with another recipe or other tensors, and without a digest."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    recipe = json.loads(metadata["neurosam-model"]) | changes
    save_file(load_file(path) if tensors is None else tensors, path, {"neurosam-model": json.dumps(recipe)})


@pytest.mark.parametrize("architecture", ["D65536-D65536-D2", "3C3-P2-D3", "-".join(["D1"] * 5000)])
def test_a_recipe_is_compared_with_the_tensors_before_it_is_built(architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    saved(path)
    rewritten(path, architecture=architecture, input_shape=[1, 256, 256])
    with pytest.raises(DataError, match=r"its tensors are not those of its recipe|has 5000 layers; at most 1024"):
        load_model(path)


def test_a_file_of_too_many_tensors_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m.safetensors")
    rewritten(tmp_path / "m.safetensors", {f"t{i}": torch.zeros(0) for i in range(2**14 + 1)})
    with pytest.raises(DataError, match="has 16385 tensors; at most 16384 are read"):
        load_model(tmp_path / "m.safetensors")


def test_a_flipped_bit_of_a_model_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    recipe = saved(path)
    octets = path.read_bytes()
    assert load_model(path)[1] == recipe
    for at in range(len(octets) - 1, len(octets) - 200, -17):
        path.write_bytes(octets[:at] + bytes([octets[at] ^ 4]) + octets[at + 1 :])
        with pytest.raises(DataError, match="is not what was saved: its digest differs"):
            load_model(path)
    path.write_bytes(octets)
    rewritten(path)  # as a file of an earlier version, without one
    assert load_model(path)[1] == recipe


def test_the_same_model_is_the_same_bytes(tmp_path: Path) -> None:
    """Whatever order safetensors gives two texts in."""
    for i in range(8):
        saved(tmp_path / f"{i}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_checkpoint_that_fails_late_changes_nothing(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "c.safetensors"
    module = build("D2", (1, 3, 3))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2, 2, 1, 3, 3)).sum().backward()
    optimizer.step()
    save_checkpoint(path, {}, module, optimizer, [])
    with safe_open(path, framework="pt") as file:
        metadata = {"neurosam": file.metadata()["neurosam"]}
    tensors = {name.replace("/0/step", "/0/stop"): value for name, value in load_file(path).items()}
    save_file(tensors, path, metadata)
    other = build("D2", (1, 3, 3), seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    fresh = torch.optim.Adam(other.parameters())
    with pytest.raises(DataError, match=r"is not a checkpoint of neurosam|damaged checkpoint"):
        load_checkpoint(path, {}, other, fresh)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())
    assert not fresh.state_dict()["state"]


def test_a_jpeg_of_many_scans_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "JPEG", progressive=True)
    octets = buffer.getvalue()
    start = octets.rindex(b"\xff\xda")
    scan = octets[start:-2]
    (tmp_path / "a.png").write_bytes(octets[:start] + scan * 2000 + octets[-2:])  # whatever it is called
    with pytest.raises(DataError, match=r"is a JPEG of 20\d\d scans of the whole picture; at most 100"):
        load_images([tmp_path / "a.png"])
    (tmp_path / "a.png").write_bytes(octets)
    assert load_images([tmp_path / "a.png"]).shape == (1, 3, 8, 8)


def test_folders_with_odd_names_and_links(tmp_path: Path) -> None:
    os.makedirs(os.fsencode(tmp_path) + b"/set/\xff\xfe")
    with pytest.raises(DataError, match=r"has a folder '\\udcff\\udcfe', whose name is not UTF-8"):
        load_image_folder(tmp_path / "set")
    (tmp_path / "other" / "cat").mkdir(parents=True)
    (tmp_path / "other" / "cat" / "a.png").symlink_to("a.png")
    with pytest.raises(DataError, match=r"a\.png"):
        load_image_folder(tmp_path / "other")
    assert folder.is_image("a.png")


def test_a_pipe_is_no_array(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(FormatError, match="is not a regular file"):
        load_array(tmp_path / "a.npy")
