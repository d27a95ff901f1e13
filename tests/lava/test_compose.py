"""build(network): a hierarchical Process among Lava's own, which gives on every port what the event back end gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.hdf5 import load_events, save
from neurosam_hw.lava.interpreter import command
from support.all_options import all_options
from support.networks import random_case

PROGRAM = Path(__file__).with_name("compose.py")
GOLDEN = Path(__file__).parents[1] / "golden"
CASES = ("chain", "pooled", "residual", "tables")


@pytest.fixture(scope="module")
def composed(lava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose")
    for case in CASES:
        (folder / case).mkdir()
        shutil.copy(GOLDEN / f"lava-{case}" / "network.h5", folder / case / "network.h5")
        shutil.copy(GOLDEN / f"lava-{case}" / "events.h5", folder / case / "events-0.h5")
    network, events = random_case(np.random.default_rng(4), "chain", fixed=False)
    (folder / "float").mkdir()
    network.save(folder / "float" / "network.h5")
    save(events, folder / "float" / "events-0.h5")
    network, inputs = all_options()
    (folder / "options").mkdir()
    network.save(folder / "options" / "network.h5")
    for k, given in enumerate(inputs.values()):
        save(given, folder / "options" / f"events-{k}.h5")
    code = "import runpy; runpy.run_path(sys.argv[3], run_name='__main__')"
    subprocess.run(command(lava, code, str(folder), str(PROGRAM)), check=True, timeout=120, cwd=folder)
    return folder


def from_lava(path: Path) -> npt.NDArray[Any]:
    """Load ``(steps, W, H, C)`` as ``(steps, C, H, W)``."""
    values: npt.NDArray[Any] = np.load(path)
    return values.transpose(0, *reversed(range(1, values.ndim)))


def test_several_inputs_and_outputs_have_ports_by_name(composed: Path) -> None:
    network, inputs = all_options()
    recording = ns.run(network, inputs.select(0, 1), "event", ns.Record.everything(network))
    for name in ("sum", "leaky"):
        got = from_lava(composed / "options" / f"output_{name}.npy")
        np.testing.assert_array_equal(got, recording.membrane[name][:, 0])
    for name, spikes in recording.spikes.items():
        np.testing.assert_array_equal(from_lava(composed / "options" / f"spikes_{name}.npy"), spikes.dense()[:, 0])


@pytest.mark.parametrize("case", [*CASES, "float"])
def test_ports_give_what_the_event_back_end_gives(composed: Path, case: str) -> None:
    folder = composed / case
    network = ns.load_network(folder / "network.h5")
    events = load_events(folder / "events-0.h5").select(0, 1)
    recording = ns.run(network, events, "event", ns.Record.everything(network))
    tolerance = 0.0 if network.fixed else 1e-9
    readout = network.readout
    expected = recording.spikes[readout.name].dense() if readout.fires else recording.membrane[readout.name]
    np.testing.assert_allclose(from_lava(folder / "output.npy"), expected[:, 0], rtol=0.0, atol=tolerance)
    for name, spikes in recording.spikes.items():
        np.testing.assert_array_equal(from_lava(folder / f"spikes_{name}.npy"), spikes.dense()[:, 0])
    for name, values in recording.sam.items():
        np.testing.assert_allclose(from_lava(folder / f"sam_{name}.npy")[:, 0], values[:, 0], rtol=0.0, atol=tolerance)
    ports = {path.stem for path in folder.glob("*.npy")}
    assert ports == {"output", *(f"spikes_{n}" for n in recording.spikes), *(f"sam_{n}" for n in recording.sam)}
