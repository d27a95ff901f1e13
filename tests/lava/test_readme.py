"""The examples of hw/README.md run as they are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.lava.interpreter import command

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "lava-chain"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "hw" / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    shutil.copy(GOLDEN / "network.h5", tmp_path / "digits.h5")
    shutil.copy(GOLDEN / "events.h5", tmp_path / "events.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_are_two() -> None:
    assert ['backend="lava"' in block for block in BLOCKS] == [True, False]


@pytest.mark.usefixtures("lava", "folder")
def test_lava_runs_as_a_back_end(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "hw/README.md", "exec"), {})
    assert capsys.readouterr().out == "None\n"


def test_a_process_among_others(lava: Path, folder: Path) -> None:
    (folder / "example.py").write_text(BLOCKS[1] + "np.save('output.npy', output)\nimport os\nos._exit(0)\n")
    code = "import runpy; runpy.run_path(sys.argv[2], run_name='__main__')"
    subprocess.run(command(lava, code, str(folder / "example.py")), check=True, timeout=120, cwd=folder)
    network, events = ns.load_network("digits.h5"), ns.load("events.h5")
    assert isinstance(events, ns.Events)
    record = ns.Record(membrane=(network.output,))
    expected = ns.run(network, events.select(0, 1), record=record).membrane[network.output][:, 0]
    assert expected.any()
    np.testing.assert_array_equal(np.load("output.npy").T.reshape(expected.shape), expected)
