"""The back end `lava` on Lava's runtime: its recordings have the same bits as those of event and reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.errors import BackendError
from neurosam_hw.lava.timing import timing
from support.agreement import assert_agree, assert_identical
from support.all_options import all_options
from support.networks import KINDS, edge_case, large_case, random_case

pytestmark = pytest.mark.usefixtures("lava")

NETWORKS_PER_KIND = 3


def run_on_all(network: ns.Network, events: ns.Events, case: object) -> ns.Recording:
    """Run on all three back ends and compare them; return Lava's recording."""
    record = ns.Record.everything(network)
    event = ns.run(network, events, "event", record, threads=1)
    lava = ns.run(network, events, "lava", record, time_limit_s=120)
    assert_identical(event, lava, case)
    assert_identical(ns.run(network, events, "reference", record), lava, case)
    return lava


@pytest.mark.parametrize("kind", KINDS)
def test_random_graphs_are_bit_exact(kind: str) -> None:
    done = 0
    for seed in range(2 * NETWORKS_PER_KIND):
        network, events = random_case(np.random.default_rng([90, seed]), kind)
        try:
            timing(network)
        except BackendError:
            continue  # a cycle with too little delay for Lava
        run_on_all(network, events, (kind, seed))
        done += 1
        if done == NETWORKS_PER_KIND:
            break
    assert done == NETWORKS_PER_KIND


def test_integer_limits_are_bit_exact() -> None:
    for seed in range(2):
        run_on_all(*edge_case(np.random.default_rng(seed)), seed)


@pytest.mark.parametrize("kind", ["chain", "residual"])
def test_float_graphs_agree(kind: str) -> None:
    network, events = random_case(np.random.default_rng(91), kind, fixed=False)
    record = ns.Record.everything(network)
    assert_agree(ns.run(network, events, "event", record, threads=1), ns.run(network, events, "lava", record), kind)


def trained_like() -> ns.Network:
    """Structure and neurons of the demo with random weights: two convolutions, a pool, soft resets, maps, a readout."""
    rng = np.random.default_rng(5)

    def weight(*shape: int) -> npt.NDArray[np.int8]:
        return np.clip(np.rint(rng.normal(4.0, 40.0, shape)), -128, 127).astype(np.int8)

    soft = ns.FixedLIF(membrane_decay=410, threshold=220, reset="subtract", reset_amount_64ths=220 * 71)
    deep = ns.FixedLIF(membrane_decay=410, threshold=300, reset="subtract", bias_mantissa=20)
    network = ns.Network(
        [
            ns.Population("in", (1, 14, 14)),
            ns.Population("conv1", (6, 7, 7), soft),
            ns.Population("conv2", (8, 7, 7), deep),
            ns.Population("out", (10,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv1", ns.Conv2d(weight(6, 1, 3, 3), stride=2, padding=1)),
            ns.Projection("conv1", "conv2", ns.Conv2d(weight(8, 6, 3, 3), padding=1)),
            ns.Projection("conv2", "out", ns.Dense(weight(10, 72)), pool=ns.SumPool2d(2)),
        ],
    )
    return network.with_sam()


def test_twenty_presentations_through_one_graph() -> None:
    images = np.random.default_rng(6).integers(0, 256, (20, 1, 14, 14), dtype=np.uint8)
    seen: list[tuple[int, int]] = []
    network, events = trained_like(), ns.encode(images, steps=12, seed=3)
    record = ns.Record.everything(network)
    lava = ns.run(network, events, "lava", record, progress=lambda done, total: seen.append((done, total)))
    event = ns.run(network, events, "event", record)
    assert_identical(event, lava, "twenty")
    assert ns.compare(event, lava) is None
    assert min(spikes.count() for spikes in lava.spikes.values()) > 300
    assert lava.time_s > 0
    assert seen == sorted(seen)
    assert seen[0] == (1, 20)
    assert seen[-1] == (20, 20)


def test_all_options_on_the_runtime() -> None:
    network, inputs = all_options()
    record = ns.Record.everything(network)
    event = ns.run(network, inputs, "event", record)
    assert_identical(event, ns.run(network, inputs, "lava", record), "options")
    assert event.spikes["many"].dense().max() > 1
    assert event.saturated["sum"].sum() > 0
    assert all(spikes.count() > 20 for spikes in event.spikes.values())


def test_a_state_is_refused_by_name() -> None:
    network, events = random_case(np.random.default_rng(97), "chain")
    with pytest.raises(BackendError, match="starts every run from the beginning and does not hand over a state"):
        ns.run(network, events, "lava", keep_state=True)


def test_a_presentation_does_not_depend_on_the_one_before() -> None:
    network, events = large_case(np.random.default_rng(7), "residual")
    whole = run_on_all(network, events.select(0, 2), "whole")
    one = run_on_all(network, events.select(1, 2), "one")
    for name in one.membrane:
        np.testing.assert_array_equal(one.membrane[name][:, 0], whole.membrane[name][:, 1])


def test_only_requested_variables_are_recorded() -> None:
    network, events = random_case(np.random.default_rng(92), "chain")
    bare = ns.run(network, events, "lava")
    assert not any((bare.spikes, bare.sam, bare.sam_scale, bare.membrane, bare.current))
    assert bare.same_as(ns.run(network, events, "event", threads=1))


def test_a_run_without_samples() -> None:
    network, events = random_case(np.random.default_rng(93), "chain")
    nothing = events.select(0, 0)
    record = ns.Record.everything(network)
    assert_identical(ns.run(network, nothing, "event", record), ns.run(network, nothing, "lava", record), "none")


def test_unsupported_runs_are_refused_with_the_reason() -> None:
    network, events = random_case(np.random.default_rng(94), "chain", fixed=False)
    with pytest.raises(BackendError, match=r"CPU, not 'cuda'"):
        ns.run(network, events, "lava", device="cuda")
    with pytest.raises(BackendError, match="float64"):
        ns.run(network, events, "lava", dtype="float32")
    odd = ns.Dense(np.array([[127, -128]]))
    fast = ns.Network(
        (ns.Population("in", (2,), magnitude=2**23 - 1), ns.Population("out", (1,), ns.FixedReadout())),
        (ns.Projection("in", "out", odd),),
    )
    with pytest.raises(BackendError, match=r"projection in->out: can add up to .* odd weights of both signs"):
        ns.run(fast, ns.Events.from_dense(np.ones((2, 1, 2), dtype=np.uint8)), "lava")


def test_without_an_interpreter_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network, events = random_case(np.random.default_rng(95), "chain")
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", str(tmp_path / "none"))
    with pytest.raises(BackendError, match="is not an executable file"):
        ns.run(network, events, "lava")


def test_a_file_gives_the_same_as_the_network_in_memory(tmp_path: Path) -> None:
    network, events = random_case(np.random.default_rng(96), "dense")
    network = replace(network, metadata={"from": "memory"})
    network.save(tmp_path / "n.h5")
    assert ns.run(ns.load_network(tmp_path / "n.h5"), events, "lava").same_as(ns.run(network, events, "event"))
