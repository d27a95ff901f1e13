"""The sentences of a page hold the values of the network that it shows."""

from __future__ import annotations

import numpy as np
import pytest

import neurosam as ns
from neurosam.report.explanations import explanations


def network(trace: ns.SamTrace, delay: int = 1, answer: str = "count") -> ns.Network:
    return ns.Network(
        [
            ns.Population("in", (1, 4, 4)),
            ns.Population("a", (2, 4, 4), ns.FixedLIF(membrane_decay=300, threshold=30)),
            ns.Population("b", (2, 4, 4), ns.FixedLIF(membrane_decay=300, threshold=30)),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(np.full((2, 1, 1, 1), 9, np.int8)), delay=delay),
            ns.Projection("a", "b", ns.Conv2d(np.full((2, 2, 1, 1), 9, np.int8)), delay=delay),
        ],
        outputs={"b": answer},
    ).with_sam(trace)


@pytest.mark.parametrize(
    ("gamma", "text"),
    [
        (0.5, "gamma = 0.5 per step: to half in 1.39 steps."),
        (float(np.log(2)), "gamma = 0.693 per step: to half in 1 step."),
        (0.05, "gamma = 0.05 per step: to half in 13.9 steps."),
    ],
)
def test_gamma_comes_with_its_half_life(gamma: float, text: str) -> None:
    assert dict(explanations(network(ns.SamTrace(gamma)), ["a"]))["Gamma"].endswith(text)


def test_only_strict_has_a_black_step_0() -> None:
    for mode in ("strict", "inclusive", "official"):
        found = dict(explanations(network(ns.SamTrace(0.5, mode)), ["a", "b"]))
        assert [term for term in found if term.startswith("Mode")] == [f"Mode {mode}"]
        assert ("Step 0" in found) == (mode == "strict")


def test_layers_that_differ_are_named() -> None:
    mixed = network(ns.SamTrace(0.5)).with_sam(ns.SamTrace(1.0, "inclusive"), ["b"])
    found = dict(explanations(mixed, ["a", "b"]))
    assert "0.5 per step: to half in 1.39 steps (a); fades at the rate gamma = 1 per step" in found["Gamma"]
    assert {"Mode strict (a)", "Mode inclusive (b)"} <= set(found)


def test_own_time_names_the_onsets() -> None:
    assert "(a: 1 step, b: 2 after the input)" in dict(explanations(network(ns.SamTrace()), ["a"]))["Own time"]
    assert "start at the same step" in dict(explanations(network(ns.SamTrace(), delay=0), ["a"]))["Own time"]


def test_the_unit_names_the_impulse_and_the_readout_its_answer() -> None:
    found = dict(explanations(network(ns.SamTrace(), answer="max"), ["a"]))
    assert "divided by what a spike adds to it, 65,536." in found["Unit of the maps"]
    assert found["Readout"].endswith("the largest membrane of each class so far.")
    assert "1/64 of the unit of a weight" in found["Fixed point"]
