"""The event back end's own promises: compiled once, any number of threads, interrupts, kernels like their Python."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import event
from neurosam.backends.event.kernels import spike_lists
from neurosam.backends.event.runtime.jit import formulas
from neurosam.errors import BackendError
from support.networks import random_case


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_do_not_change_a_bit(threads: int) -> None:
    network, some = random_case(np.random.default_rng(11))
    events = ns.Events.from_dense(np.concatenate([some.dense()] * 5, axis=1))
    everything = ns.Record.everything(network)
    assert ns.run(network, events, record=everything, threads=threads).same_as(
        ns.run(network, events, "reference", everything)
    )


def test_progress_reaches_the_number_of_samples() -> None:
    network, events = random_case(np.random.default_rng(13))
    seen: list[tuple[int, int]] = []
    ns.run(network, events, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, events.samples + 1))
    assert {total for _, total in seen} == {events.samples}


def test_an_interrupt_stops_the_other_threads() -> None:
    network, _ = random_case(np.random.default_rng(14))
    events = ns.Events.from_dense(np.zeros((50, 400, *network.input.shape), np.uint8))
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ns.run(network, events, threads=2, progress=interrupt)
    assert len(calls) <= 2


def test_another_device_is_refused() -> None:
    network = ns.Network(
        [ns.Population("in", (1,)), ns.Population("n", (1,), ns.LIF(leak=0.9, threshold=1.0))],
        [ns.Projection("in", "n", ns.Dense(np.ones((1, 1))))],
    )
    with pytest.raises(BackendError, match="runs on the CPU"):
        ns.run(network, ns.Events.from_dense(np.ones((1, 1, 1))), device="cuda")


def test_the_plan_is_the_only_reader_of_a_network() -> None:
    """Three modules above it hand one on, and read nothing of it; no other mentions it."""
    mentions: set[str] = set()
    reads: set[str] = set()
    root = Path(event.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case (
                    ast.ImportFrom(module="neurosam.network.network") | ast.arg(arg="network") | ast.Name(id="Network")
                ):
                    mentions.add(path.relative_to(root).as_posix())
                case ast.Attribute(value=ast.Name(id="network")):
                    reads.add(path.relative_to(root).as_posix())
    assert mentions == {"backend.py", "session.py", "cache.py", "plan/compiled.py"}
    assert reads == {"plan/compiled.py"}


def test_decode_lists_every_bit() -> None:
    rng = np.random.default_rng(15)
    for channels in (1, 63, 64, 65, 130):
        dense = (rng.random((4, 1, channels, 2, 3)) < 0.3).astype(np.uint8)
        dense[0, 0, -1] = 1
        planes = ns.Spikes.from_dense(dense).planes.reshape(4, 6, -1)
        start, index = np.zeros(25, np.int32), np.zeros(dense.size + 15, np.int32)
        count = spike_lists.decode(planes, 0, 4, 0, 6, channels, start, index)
        expected = [np.flatnonzero(np.moveaxis(step[0], 0, -1)) for step in dense]
        np.testing.assert_array_equal(index[:count], np.concatenate(expected))
        np.testing.assert_array_equal(start[::6], [0, *np.cumsum([e.size for e in expected])])


def test_compiled_formulas_are_arithmetic() -> None:
    from neurosam import arithmetic

    rng = np.random.default_rng(17)
    for x, factor in zip(rng.integers(-(2**31), 2**31, 200), rng.integers(0, 4097, 200), strict=True):
        for name in ("wrap32", "wrap24", "saturate", "arrive"):
            assert getattr(formulas, name)(x) == getattr(arithmetic, name)(int(x))
        assert formulas.decay(x, factor) == arithmetic.decay(int(x), int(factor))
        assert formulas.current(x, 77, factor) == arithmetic.current(int(x), 77, int(factor))


def test_one_projection_object_may_serve_networks_of_other_shapes() -> None:
    projection = ns.Projection("in", "a", ns.Conv2d(np.ones((2, 1, 3, 3), np.int8)), pool=ns.SumPool2d(2))
    for side in (6, 8, 9):
        source = ns.Population("in", (1, side, side))
        size = side // 2 - 2
        network = ns.Network([source, ns.Population("a", (2, size, size), ns.FixedReadout())], [projection])
        events = ns.Events.from_dense(np.ones((2, 1, 1, side, side), np.uint8))
        expected = ns.run(network, events, "reference")
        assert ns.run(network, events).same_as(expected)
        assert expected.output.min() == 2 * 9 * 4 * 64
