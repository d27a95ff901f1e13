"""Populations that no input reaches and that act by themselves: every back end does with them what the oracle says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.equivalence import report
from neurosam.metrics.layers import layers
from support.backends import lava_python
from support.oracle import simulate

pytestmark = pytest.mark.usefixtures("one_thread")


def tonic(fixed: bool, onset: int | None = None, **drive: Any) -> ns.Network:
    """A population with a bias (or `drive`) beside the input, and one that both reach."""
    rng = np.random.default_rng(0)

    def dense(*shape: int) -> ns.Dense:
        return ns.Dense(rng.integers(-20, 60, shape).astype(np.int8) if fixed else rng.normal(size=shape))

    neuron: Any
    if fixed:
        neuron = ns.FixedLIF(410, 20, **(drive or {"bias_mantissa": np.array([7, 3, -2])}))
        other: Any = ns.FixedLIF(300, 15)
    else:
        neuron, other = ns.LIF(0.9, 1.0, **(drive or {"bias": np.array([0.5, 0.2, -0.1])})), ns.LIF(0.8, 0.5)
    return ns.Network(
        [
            ns.Population("in", (2,)),
            ns.Population("tonic", (3,), neuron, onset=onset),
            ns.Population("mix", (4,), other, onset=onset or 0),
            ns.Population("out", (2,), ns.FixedReadout() if fixed else ns.Readout()),
        ],
        [
            ns.Projection("in", "mix", dense(4, 2), delay=onset or 0),
            ns.Projection("tonic", "mix", dense(4, 3), delay=1),
            ns.Projection("mix", "out", dense(2, 4)),
        ],
    )


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "float"])
@pytest.mark.parametrize("onset", [None, 2])
@pytest.mark.parametrize("backend", ["reference", "event", "lava"])
def test_a_bias_alone_drives_a_population(backend: str, onset: int | None, fixed: bool) -> None:
    if backend == "lava":
        if not fixed or onset is None:
            pytest.skip("one run on Lava is enough")
        lava_python()
    network = tonic(fixed, onset)
    network = network.with_sam() if fixed else network
    assert network.onsets["tonic"] == (onset or 0)
    events = ns.Events.from_dense(np.random.default_rng(1).random((9, 3, 2)) < 0.3)
    expected = simulate(network, events)
    assert expected.spikes["tonic"].count() > 0
    found = report(expected, ns.run(network, events, backend, ns.Record.everything(network)), network)
    assert found.equal, found


def test_the_path_has_no_synapse_and_is_made_once(tmp_path: Path) -> None:
    network = tonic(True, 2)
    path = network.projections[-1]
    assert (path.label, path.delay, path.synapse.synapses((2,))) == ("in->tonic", 2, 0)
    assert [layer.projection.source for layer in layers(network)] == ["in", "tonic", "mix"]
    network.save(tmp_path / "n.h5")
    loaded = ns.load_network(tmp_path / "n.h5")
    assert loaded == network
    assert len(network.with_sam().projections) == len(network.projections) == 4
    assert ns.quantise(tonic(False), ns.Precision.lava())[0].projections[-1].synapse.weight.dtype == np.int8


def test_a_loop_needs_one_that_acts() -> None:
    one = ns.Dense(np.ones((1, 1)))
    ends = [("in", "out"), ("a", "b"), ("b", "a"), ("b", "out")]
    projections = [ns.Projection(*pair, one, delay=1) for pair in ends]

    def loop(neuron: ns.LIF) -> ns.Network:
        names = ("in", None), ("a", ns.LIF(0.9, 1.0)), ("b", neuron), ("out", ns.Readout())
        return ns.Network([ns.Population(n, (1,), x) for n, x in names], projections, check_alignment=False)

    assert loop(ns.LIF(0.9, 1.0, bias=np.array([0.5]))).onsets == {"in": 0, "a": 1, "b": 0, "out": 1}
    assert loop(ns.LIF(0.9, 1.0, initial_membrane=np.array([0.5]))).onsets["b"] == 0
    for neuron in (ns.LIF(0.9, 1.0), ns.LIF(0.9, 1.0, bias=np.array([0.0]))):
        with pytest.raises(ns.NetworkError, match=r"'a': cannot be reached from an input, and no bias drives it"):
            loop(neuron)
