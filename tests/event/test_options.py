"""Neurons with options in the event back end: as the reference has them, on every path, in chunks, by any threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.arithmetic import STATE_MAX
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.plan import blocks, compiled
from neurosam.backends.event.plan.compiled import PATHS
from neurosam.backends.registry import unrolled
from neurosam.network.fixed_neuron import THRESHOLD_MAX
from neurosam.network.synapse import as_chw
from neurosam.signals.inputs import Inputs
from support.agreement import assert_agree, assert_identical
from support.networks import edge_case, random_case
from support.pieces import cuts, joined, part, varied

Array = npt.NDArray[Any]
Case = tuple[ns.Network, ns.Events]


def event(case: Case, path: str = "auto", threads: int = 1) -> ns.Recording:
    network, events = case
    record, options = ns.Record.everything(network), Options(threads=threads)
    return EventBackend(path).run(unrolled(network, events.steps), Inputs.of(network, events), record, options)


def reference(case: Case, dtype: str = "float64") -> ns.Recording:
    network, events = case
    return ns.run(network, events, "reference", ns.Record.everything(network), dtype=dtype)


class Drawn:
    """Options of one population, in units of its threshold."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], threshold: Any, fixed: bool) -> None:
        self.rng, self.shape, self.fixed = rng, as_chw(shape), fixed
        self.unit = float(np.mean(threshold)) * (64 if fixed else 1)

    def each(self, low: float, high: float) -> Any:
        """A parameter of the whole population, of its channels or of its neurons."""
        size = (None, self.shape[:1], self.shape)[int(self.rng.integers(3))]
        return self.rng.integers(int(low), int(high) + 1, size) if self.fixed else self.rng.uniform(low, high, size)

    def level(self, low: float, high: float) -> Any:
        """The same, of membranes: in thresholds."""
        value = self.each(low * self.unit, max(high * self.unit, low * self.unit + 1))
        return np.minimum(value, STATE_MAX) if self.fixed else value

    def decay(self) -> Any:
        return self.each(0, 4096) if self.fixed else self.each(0.0, 1.0)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def options(self) -> dict[str, Any]:
        suffix = "_64ths" if self.fixed else ""
        leak = "decay" if self.fixed else "leak"
        reset = str(self.rng.choice(["zero", "subtract", "subtract", "value", "none", "relative"]))
        drawn: dict[str, Any] = {"reset": reset, f"reset_amount{suffix}": None}
        drawn["fires"] = str(self.rng.choice(["above", "at"]))
        if reset == "value":
            drawn[f"reset_value{suffix}"] = self.level(-0.8, 0.3)
        if reset == "relative":
            drawn[f"relative_{leak}"] = self.decay()
        if reset == "subtract" and self.chance(0.5):
            drawn[f"reset_amount{suffix}"] = self.level(0.3, 1.2)
        if self.chance(0.4):
            drawn[f"lower_bound{suffix}"] = -self.level(0.0, 1.0)
        if reset in ("zero", "subtract", "value") and self.chance(0.25):
            drawn["reset_timing"] = "both" if reset == "subtract" and self.chance(0.5) else "next"
        else:
            if reset in ("zero", "subtract") and self.chance(0.4):
                drawn["max_spikes"] = int(self.rng.choice([2, 3, 20]))
            if self.chance(0.3):
                drawn["refractory"] = int(self.rng.integers(1, 4))
            if self.chance(0.3):
                drawn[f"threshold_{leak}"], drawn[f"threshold_step{suffix}"] = self.decay(), self.level(0.0, 1.0)
        return drawn


def with_options(rng: np.random.Generator, network: ns.Network) -> ns.Network:
    """The same network with random options of its neurons, or of some of them."""
    populations = []
    for p in network.populations:
        neuron = p.neuron
        if isinstance(neuron, (ns.LIF, ns.FixedLIF)) and rng.random() < 0.8:
            drawn = Drawn(rng, p.shape, neuron.threshold, network.fixed)
            changed: dict[str, Any] = drawn.options()
            if drawn.chance(0.3):
                value = np.broadcast_to(np.asarray(neuron.threshold).reshape(-1, 1, 1), as_chw(p.shape))
                value = value + drawn.rng.integers(0, 3, value.shape)
                changed["threshold"] = np.minimum(value, THRESHOLD_MAX) if network.fixed else value
            p = replace(p, neuron=replace(neuron, **changed))
        elif isinstance(neuron, ns.Readout):
            leaky: dict[str, Any] = {"leak": rng.uniform(0.0, 1.0, p.shape[0])}
            p = replace(p, neuron=replace(neuron, **leaky, current_leak=0.5 if rng.random() < 0.5 else None))
        elif isinstance(neuron, ns.FixedReadout):
            leaky = {"membrane_decay": rng.integers(0, 4096, p.shape[0])}
            p = replace(p, neuron=replace(neuron, **leaky, current_decay=500 if rng.random() < 0.5 else None))
        populations.append(p)
    traces = {name: ns.SamTrace(0.5, str(rng.choice(["strict", "inclusive", "official"]))) for name in network.sam}
    network = replace(network, populations=tuple(populations), sam={})
    for name, trace in traces.items():
        network = network.with_sam(trace, [name])
    return network


def drawn_case(seed: int, fixed: bool) -> Case:
    rng = np.random.default_rng(seed)
    network, events = random_case(rng, fixed=fixed)
    return with_options(rng, network), events


@pytest.mark.parametrize("seed", range(40))
def test_integers_are_the_references(seed: int) -> None:
    case = drawn_case(seed, fixed=True)
    assert_identical(reference(case), event(case), seed)


@pytest.mark.parametrize("seed", range(30))
def test_floats_are_the_references(seed: int) -> None:
    case = drawn_case(seed, fixed=False)
    assert_agree(reference(case), event(case), seed)


class Dyadic(Drawn):
    """Options that are short binary fractions, so that floats of any width compute what is exact."""

    def each(self, low: float, high: float) -> Any:
        return np.round(super().each(low, high) * 8) / 8

    def decay(self) -> Any:
        return self.rng.choice([0.0, 0.5, 0.75, 1.0], self.shape[:1])


@pytest.mark.parametrize("seed", range(30))
def test_float32_is_the_references_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (20, 2, 3)
    drawn = Dyadic(rng, shape, 4.0, fixed=False)
    neuron = ns.LIF(
        leak=drawn.decay(),
        threshold=rng.integers(1, 9, shape) / 2,
        current_leak=rng.choice([0.5, 0.75]),
        **drawn.options(),
    )
    weight = np.round(rng.normal(1.0, 2.0, (20, 3, 1, 1)) * 4) / 4
    network = ns.Network(
        [ns.Population("in", (3, 2, 3)), ns.Population("a", shape, neuron), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "a", ns.Conv2d(weight)), ns.Projection("a", "out", ns.Dense(np.full((2, 120), 0.25)))],
    )
    events = ns.Events.from_dense((rng.random((6, 2, 3, 2, 3)) < 0.5).astype(np.uint8))
    record = ns.Record(spikes=("a",), membrane=("a", "out"))
    expected = ns.run(network, events, "reference", record, dtype="float32")
    got = ns.run(network, events, record=record, dtype="float32")
    assert expected.counts["a"].sum() > 0
    assert_identical(expected, got, seed)


@pytest.mark.parametrize("seed", range(20))
def test_states_and_cuts_are_those_of_one_run(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, inputs = varied(rng, *drawn_case(seed, fixed=seed % 2 == 0))
    record = ns.Record.everything(network)
    whole = ns.run(network, inputs, record=record, keep_state=True)
    if network.fixed:
        expected = ns.run(network, inputs, "reference", record, keep_state=True)
        assert_identical(expected, whole, seed)
        assert whole.state == expected.state
    pieces = []
    state = None
    for first, end in cuts(rng, whole.steps):
        piece = ns.run(network, part(inputs, first, end), record=record, initial=state, keep_state=True)
        state = piece.state
        pieces.append(piece)
    assert_identical(replace(whole, state=None), joined(pieces), seed)
    assert state == whole.state


@pytest.mark.parametrize("seed", range(40))
def test_saturation_and_wraps_are_the_references_and_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, events = edge_case(rng)
    case = with_options(rng, network), events.select(0, 1)
    assert_identical(reference(case), event(case), seed)


@pytest.mark.parametrize("seed", range(60, 70))
def test_paths_and_chunks_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = drawn_case(seed, fixed=True)
    expected = event(case)
    monkeypatch.setattr(compiled, "CHUNK_STEPS", 2)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2**8)
    for path in PATHS:
        assert_identical(expected, event(case, path, threads=2), path)
