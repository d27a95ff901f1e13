"""The 7-bit trace of the first Loihi: event spikes and Lava's learning engine give the same bits for the same seed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam.hdf5 import load_events
from neurosam_hw.lava.interpreter import command
from neurosam_hw.lava.loihi1 import Loihi1Trace

GOLDEN = Path(__file__).parents[1] / "golden"
TRACES = (Loihi1Trace(), Loihi1Trace(0.5, 40, seed=7), Loihi1Trace(0.2, 15, seed=1), Loihi1Trace(3.0, 100, seed=2))


def from_event() -> npt.NDArray[np.uint8]:
    """Spikes of the first layer of a golden network, with its samples concatenated, ``(T, N)``."""
    network = ns.load_network(GOLDEN / "lava-pooled" / "network.h5")
    name = network.populations[1].name
    events = load_events(GOLDEN / "lava-pooled" / "events.h5")
    spikes = ns.run(network, events, "event", ns.Record(spikes=(name,))).spikes[name].dense()
    return np.swapaxes(spikes, 0, 1).reshape(spikes.shape[0] * spikes.shape[1], -1)


def test_event_spikes_give_lavas_y1(lava: Path, tmp_path: Path) -> None:
    random_spikes = (np.random.default_rng(0).random((80, 30)) < np.linspace(0, 1, 30)).astype(np.uint8)
    cases = {
        f"{source}-{k}": (spikes, trace)
        for source, spikes in (("event", from_event()), ("random", random_spikes))
        for k, trace in enumerate(TRACES)
    }
    for name, (spikes, trace) in cases.items():
        np.savez(tmp_path / f"{name}.npz", spikes=spikes, gamma=trace.gamma, impulse=trace.impulse, seed=trace.seed)
    program = Path(__file__).with_name("y1.py")
    code = "import runpy; runpy.run_path(sys.argv[3], run_name='__main__')"
    subprocess.run(command(lava, code, str(tmp_path), str(program)), check=True, timeout=120, cwd=tmp_path)
    for name, (spikes, trace) in cases.items():
        y1 = np.load(tmp_path / f"{name}.npy")
        assert y1.max() > trace.impulse
        np.testing.assert_array_equal(trace.after_each_step(spikes), y1, err_msg=name)


def test_the_map_is_close_to_that_of_the_float_trace() -> None:
    """The error of 7 bits and stochastic rounding is at most a few counts, and less than half a count on average."""
    rng = np.random.default_rng(1)
    dense = (rng.random((60, 2, 6, 5, 4)) < 0.4).astype(np.uint8)
    spikes = ns.Spikes.from_dense(dense)
    trace = Loihi1Trace(gamma=0.5, impulse=40)
    t = np.arange(60)
    kernel = np.tril(np.exp(-0.5 * (t[:, None] - t[None, :])), -1)
    exact = np.einsum("ts,sbchw,tbchw->tbhw", kernel, dense.astype(float), dense.astype(float))
    error = np.abs(trace.sam(spikes) / trace.impulse - exact)
    assert 0 < error.mean() < 0.3
    assert error.max() < 2.0
    assert np.corrcoef((trace.sam(spikes) / trace.impulse).ravel(), exact.ravel())[0, 1] > 0.98


def test_the_seed_determines_the_trace() -> None:
    spikes = (np.random.default_rng(2).random((40, 9)) < 0.3).astype(np.uint8)
    a, b, c = (Loihi1Trace(seed=seed).after_each_step(spikes) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_what_does_not_fit_seven_bits_is_refused() -> None:
    Loihi1Trace(0.5, 49)
    with pytest.raises(NetworkError, match=r"got 50; with gamma 0\.5 the 7 bits hold at most 49"):
        Loihi1Trace(0.5, 50)
    with pytest.raises(NetworkError, match="with which no impulse fits 7 bits"):
        Loihi1Trace(0.001, 5)
