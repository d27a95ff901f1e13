"""What the reference back end alone has: chunks and windows, devices, float32, exactness of its sums."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import BackendError
from support.agreement import assert_agree, assert_identical
from support.networks import KINDS, large_case, random_case
from support.options import large_options_case
from support.oracle import simulate

torch = pytest.importorskip("torch")
TESTS = Path(__file__).parents[1]
synapses = pytest.importorskip("neurosam.backends.reference.synapses")


def execute(network: ns.Network, events: ns.Events, **options: object) -> ns.Recording:
    return ns.run(network, events, "reference", ns.Record.everything(network), threads=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("chunk", "window"), [(1, 1), (1, 2**23), (2**27, 1), (5000, 20000)])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_and_windows_change_nothing(monkeypatch: pytest.MonkeyPatch, kind: str, chunk: int, window: int) -> None:
    network, events = large_case(np.random.default_rng(KINDS.index(kind)), kind)
    whole = execute(network, events)
    monkeypatch.setattr("neurosam.backends.reference.backend.CHUNK", chunk)
    monkeypatch.setattr("neurosam.backends.reference.backend.WINDOW", window)
    seen: list[int] = []
    assert_identical(whole, execute(network, events, progress=lambda done, total: seen.append(done)))
    assert len(seen) == (events.samples if 1 in (chunk, window) else len(seen))


@pytest.mark.parametrize(("chunk", "window"), [(1, 1), (5000, 20000)])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_and_windows_change_nothing_with_options(
    monkeypatch: pytest.MonkeyPatch, kind: str, chunk: int, window: int
) -> None:
    """Nor do they change the state and the counts of saturation and wraps."""
    network, inputs = large_options_case(np.random.default_rng([KINDS.index(kind), 12]), kind)
    record = ns.Record.everything(network)
    whole = ns.run(network, inputs, "reference", record, threads=1, keep_state=True)
    monkeypatch.setattr("neurosam.backends.reference.backend.CHUNK", chunk)
    monkeypatch.setattr("neurosam.backends.reference.backend.WINDOW", window)
    assert_identical(whole, ns.run(network, inputs, "reference", record, threads=1, keep_state=True))


def test_sums_beyond_float32_are_exact() -> None:
    """2^24 + 1 is not a float32: such sums have to go another way."""
    network = ns.Network(
        (ns.Population("in", (3,), magnitude=2**23 - 1), ns.Population("out", (1,), ns.FixedReadout())),
        (ns.Projection("in", "out", ns.Dense(np.array([[2, 2, 1]])), exponent=-8),),
    )
    events = ns.Events.from_dense(np.array([[[2**23 - 1, 128, 1]]]))  # the sum is 2^24 + 255; float32 has 2^24 + 256
    recording = execute(network, events)
    assert_identical(simulate(network, events), recording)
    assert recording.output.tolist() == [[65536 << 6]]


@contextmanager
def products_in(precision: str, place: Any) -> Iterator[None]:
    """Matrix products as the caller's own program may have set them."""
    before, place.fp32_precision = place.fp32_precision, precision
    yield
    place.fp32_precision = before


def test_exact_whatever_the_precision_of_torchs_products() -> None:
    network, events = large_case(np.random.default_rng(3), "pooled")
    exact = execute(network, events)
    with products_in("bf16", torch.backends.mkldnn.matmul):
        assert_identical(exact, execute(network, events))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_sums_go_by_float32_only_where_products_run_in_it(device: str) -> None:
    network, _ = large_case(np.random.default_rng(3), "pooled")

    def fits() -> bool:
        return bool(synapses._fits_float32(network, network.projections[0], torch.device(device)))

    assert fits()
    torch.set_float32_matmul_precision("medium")
    assert not fits()
    torch.set_float32_matmul_precision("highest")
    assert fits()
    products = torch.backends.cuda.matmul if device == "cuda" else torch.backends.mkldnn.matmul
    with products_in("tf32", products):
        assert not fits()


def test_float32_is_close_to_float64() -> None:
    drawn = (random_case(np.random.default_rng(seed), "dense", fixed=False) for seed in range(100))
    network, events = next((network, events) for network, events in drawn if not network.readout.fires)
    wide, narrow = execute(network, events), execute(network, events, dtype="float32")
    assert wide.output.dtype == narrow.output.dtype == np.float64
    assert not np.array_equal(wide.output, narrow.output)
    np.testing.assert_allclose(narrow.output, wide.output, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("device", ["no-such-device", "meta"])
def test_a_device_that_cannot_be_used_is_an_error(device: str) -> None:
    network, events = random_case(np.random.default_rng(1), "dense")
    with pytest.raises(BackendError, match=rf"device: got '{device}'.*'cpu' always works"):
        execute(network, events, device=device)


def test_the_number_of_threads_is_restored() -> None:
    network, events = random_case(np.random.default_rng(1), "dense")
    before = torch.get_num_threads()
    execute(network, events)
    assert torch.get_num_threads() == before


def test_nothing_of_a_run_stays_on_the_cpu() -> None:
    """On a device made of Python, which refuses tensors of the CPU; in a process of its own, as torch then knows it."""
    path = os.pathsep.join(filter(None, (os.fspath(TESTS), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "support.fake_device"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_bits(kind: str) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    network, events = large_case(rng, kind)
    assert_identical(execute(network, events), execute(network, events, device="cuda"))
    network, events = large_case(rng, kind, fixed=False)
    assert_agree(execute(network, events), execute(network, events, device="cuda"))
