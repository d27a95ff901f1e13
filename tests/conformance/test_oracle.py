"""The oracle itself: worked examples by hand, Lava's measured edges, and networks alive enough to show a fault."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from support.agreement import assert_agree, assert_identical
from support.networks import KINDS, edge_case, random_case
from support.options import options_case
from support.oracle import simulate
from support.pieces import cuts, joined, part
from support.scalar import Cell, Life, fixed_step, float_neuron, integer_neuron, wrap24
from support.scores import Past, contribution, held
from support.states import global_onsets

EVERYTHING = {"factor_u": 4095, "factor_v": 4096, "bias": 0, "reset_amount": None}


@pytest.mark.parametrize(
    ("a", "u", "v", "spike"),
    [  # measured with lava-nc 0.10.0: du=0, dv=0, from rest, at the largest threshold
        (2**17, 8388608, 0, True),
        (2**17 + 1, -8388544, -8388544, False),
        (-(2**17), 8388608, 0, True),
        (3 * 2**17 + 1, 8388672, 0, True),
    ],
)
def test_fixed_step_has_the_edges_of_lava(a: int, u: int, v: int, spike: bool) -> None:
    assert fixed_step(0, 0, a, threshold=131071 << 6, **EVERYTHING) == (u, v, spike)  # type: ignore[arg-type]
    unfired = fixed_step(0, 0, a, threshold=None, **EVERYTHING)  # type: ignore[arg-type]
    assert unfired == (u, 2**23 - 1 if spike else v, False)


def test_fixed_step_is_lavas_with_resets_of_our_own() -> None:
    kept = fixed_step(-5, -7, 1, factor_u=2048, factor_v=1365, bias=3, threshold=200, reset_amount=None)
    assert kept == (62, 63, False)  # -5/2 -> -2, -7/3 -> -2, both toward zero; 62 - 2 + 3
    assert fixed_step(0, 0, 4, threshold=200, **{**EVERYTHING, "reset_amount": 150}) == (256, 106, True)  # type: ignore[arg-type]
    assert fixed_step(0, 0, 4, threshold=256, **EVERYTHING) == (256, 256, False)  # type: ignore[arg-type]  # strict
    halved = fixed_step(0, 0, -1, threshold=999, norm=(3, 1, 7), **EVERYTHING)  # type: ignore[arg-type]
    assert halved == (-89, -89, False)  # floor(-64 * 3 / 2) + 7


def story(inputs: list[float], start: float = 0.0, **options: Any) -> list[tuple[int, float]]:
    """Spikes and membrane of each step; of a threshold of 1, which is 20 in integers, and of floats the same."""
    named = ("threshold", "amount", "value", "floor", "rise")
    scaled = {name: round(x * 1280) if name in named else x for name, x in {"threshold": 1.0, **options}.items()}
    whole, life = Cell(**{"keep_v": 4096, **scaled}), Life(0, round(start * 1280))
    keep = {name: options[name] / 4096 for name in options if name.startswith("keep")}
    real, other = Cell(**{"keep_v": 1.0, "threshold": 1.0, **options, **keep}), Life(0.0, start)
    out = []
    for t, i in enumerate(inputs):
        spikes, _, _ = integer_neuron(whole, life, t, round(i * 20))
        assert float_neuron(real, other, t, i) == spikes
        assert other.v == pytest.approx(life.v / 1280)
        out.append((spikes, life.v / 1280))
    return out


def test_options_by_hand() -> None:
    zero: dict[str, Any] = {"reset": "zero"}
    subtract: dict[str, Any] = {"reset": "subtract", "amount": 1.0}
    assert story([1.0, 0.0], **zero) == [(0, 1.0), (0, 1.0)]
    assert story([1.0, 0.0], at=True, **zero) == [(1, 0.0), (0, 0.0)]
    assert story([1.5, 0.0], reset="value", value=-0.5) == [(1, -0.5), (0, -0.5)]
    assert story([1.5, 1.0], reset="none") == [(1, 1.5), (1, 2.5)]
    assert story([-2.0, 1.5, 0.5], floor=-0.5, **subtract) == [(0, -0.5), (0, 1.0), (1, 0.5)]
    assert story([1.5], floor=-0.0, reset="value", value=-1.0) == [(1, 0.0)]  # the bound acts after the reset
    assert story([0.0], start=1.5, **zero) == [(1, 0.0)]


def test_late_resets_by_hand() -> None:
    subtract: dict[str, Any] = {"reset": "subtract", "amount": 1.0}
    assert story([1.5, 0.0, 0.0], reset="zero", timing="next") == [(1, 1.5), (0, 0.0), (0, 0.0)]
    assert story([1.5, 0.25], reset="value", value=-0.5, timing="next") == [(1, 1.5), (0, -0.25)]
    assert story([2.5, 0.0, 0.0], timing="next", **subtract) == [(1, 2.5), (1, 1.5), (0, 0.5)]
    # both: 2.5 fires and is reset to 1.5, which is above: 1.5 - 1 does not fire, and gets the amount back
    assert story([2.5, 0.0, 0.0], timing="both", **subtract) == [(1, 1.5), (0, 1.5), (0, 1.5)]
    assert story([2.5, 1.0], timing="both", **subtract) == [(1, 1.5), (1, 1.5)]


def test_refractory_and_adaptive_neurons_by_hand() -> None:
    held = story([1.5, 5.0, 5.0, 0.5], refractory=2, reset="zero")
    assert held == [(1, 0.0), (0, 0.0), (0, 0.0), (0, 0.5)]
    assert story([1.5, 1.5, 1.5], keep_h=2048, rise=2.0, reset="zero") == [(1, 0.0), (0, 1.5), (1, 0.0)]  # 1, 2, 1.5
    risen: dict[str, Any] = {"keep_h": 4096, "rise": 1.0, "reset": "subtract"}
    assert story([1.5, 3.0], **risen) == [(1, 0.5), (1, 1.5)]  # 1 is subtracted, then 2
    # r is 2 after the first spike, then 1: 1.75 - 1 is not above; then 0.5: 1.75 - 0.5 is
    assert story([1.5, 0.25, 0.0], keep_r=2048, reset="relative") == [(1, 1.5), (0, 1.75), (1, 1.75)]


def test_several_spikes_by_hand() -> None:
    some: dict[str, Any] = {"reset": "subtract", "amount": 1.0, "most": 3}
    assert story([2.0], **some) == [(1, 1.0)]
    assert story([2.0], at=True, **some) == [(2, 0.0)]
    assert story([7.5, 0.0], **some) == [(3, 4.5), (3, 1.5)]
    assert story([1.5], reset="subtract", amount=0.25, most=9) == [(2, 1.0)]  # 1.5, 1.25 are above 1, and 1 is not
    assert story([3.5], reset="zero", most=9) == [(3, 0.0)]
    assert story([4.5, 3.5], keep_h=4096, rise=0.5, reset="zero", most=9) == [(4, 0.0), (1, 0.0)]  # of 1, of 3


def test_saturation_and_wraps_by_hand() -> None:
    cell = Cell(threshold=2**23 - 1, reset="none", bias=1)
    assert integer_neuron(cell, Life(0, 2**23 - 3), 0, 0) == (0, False, False)
    assert integer_neuron(cell, Life(0, 2**23 - 1), 0, 0) == (0, True, False)
    assert integer_neuron(cell, Life(0, -(2**23)), 0, 0) == (0, False, False)  # 1 above the lowest
    assert integer_neuron(cell, Life(0, 0), 0, 2**17) == (0, True, False)  # +2^23 does not wrap
    assert integer_neuron(cell, Life(0, 0), 0, -(2**17)) == (0, True, True)  # -2^23 does
    assert integer_neuron(cell, Life(0, 0, wait=1), 0, 2**26) == (0, False, True)  # waiting, what arrives wraps


def test_scores_of_several_spikes_by_hand() -> None:
    e = math.exp
    assert contribution(ns.SamTrace(0.5, "strict"), [0, 2], [3, 2]) == pytest.approx(2 * 3 * e(-1))
    assert contribution(ns.SamTrace(0.5, "inclusive"), [0, 2], [3, 2]) == pytest.approx(2 * (3 * e(-1) + 2))
    assert contribution(ns.SamTrace(0.5, "official"), [0, 2], [3, 2]) == pytest.approx(2 * (3 * e(-1) + 2 + e(-1)))
    fixed = ns.FixedSamTrace(np.array([16, 10, 5, 0]), shift=4, impulse=16)
    assert contribution(fixed, [0, 2], [3, 2]) == 2 * ((48 * 5) >> 4)
    assert contribution(replace(fixed, mode="official"), [1, 2], [3, 2]) == 2 * (30 + 32 + ((1 * 16 * 5) >> 4))
    past = Past(trace=48, last=0, fired=1)  # the same spikes, of which the run saw only the second
    assert contribution(fixed, [2], [2], past) == contribution(fixed, [0, 2], [3, 2])
    assert held(fixed, [2], [2], past) == held(fixed, [0, 2], [3, 2], Past()) == Past(15 + 32, 2, 2)


def test_the_oracle_in_pieces_is_the_oracle() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network, inputs = options_case(rng, fixed=seed % 4 > 0)
        state, pieces = None, []
        for first, end in cuts(rng, inputs.steps):
            pieces.append(simulate(network, part(inputs, first, end), state, keep_state=True))
            state = pieces[-1].state
        same = assert_identical if network.fixed else assert_agree
        same(simulate(network, inputs, keep_state=True), replace(joined(pieces), state=state), seed)


def test_the_wrap_of_the_current_is_not_symmetric() -> None:
    assert [wrap24(x) for x in (2**23, 2**23 + 1, -(2**23), -(2**23) + 1)] == [2**23, -(2**23) + 1, 2**23, -(2**23) + 1]


def test_scores_by_hand() -> None:
    e = math.exp
    assert contribution(ns.SamTrace(0.5, "strict"), [3]) == 0
    assert contribution(ns.SamTrace(0.5, "strict"), [0, 1, 3]) == pytest.approx(e(-1.5) + e(-1), rel=1e-15)
    assert contribution(ns.SamTrace(0.5, "inclusive"), [0, 1, 3]) == pytest.approx(1 + e(-1.5) + e(-1), rel=1e-15)
    official = e(-1.5) + e(-1) + e(-1.5) + 1  # steps 0, 1, the silent 2, and 3
    assert contribution(ns.SamTrace(0.5, "official"), [0, 1, 3]) == pytest.approx(official, rel=1e-15)
    fixed = ns.FixedSamTrace(np.array([16, 10, 5, 0]), shift=4, impulse=16)
    assert contribution(fixed, [0, 1]) == 10
    assert contribution(fixed, [0, 1, 2]) == (26 * 10) >> 4
    assert contribution(fixed, [0, 7]) == 0
    assert contribution(replace(fixed, mode="inclusive"), [0, 2]) == 5 + 16
    assert contribution(replace(fixed, mode="official"), [2]) == 16 + ((2 * 16 * 5) >> 4)


def test_a_network_by_hand() -> None:
    """Two delayed layers; the second also receives the input directly, without waiting."""
    network = ns.Network(
        (ns.Population("in", (1,)), ns.Population("a", (1,), ns.FixedLIF(membrane_decay=2048, threshold=5)),
         ns.Population("b", (1,), ns.FixedReadout())),
        (ns.Projection("in", "a", ns.Dense(np.array([[4]])), delay=1),
         ns.Projection("a", "b", ns.Dense(np.array([[10]])), delay=2),
         ns.Projection("in", "b", ns.Dense(np.array([[1]])), delay=2)),
        check_alignment=False,  # a lag is wanted
    )  # fmt: skip
    assert global_onsets(network) == {"in": 0, "a": 1, "b": 2}
    events = ns.Events.from_dense(np.array([1, 1, 1, 1, 0]).reshape(5, 1, 1))
    recording = simulate(network, events)
    # a: 4; 6 fires, 1 left; 4.5; 6.25 fires, 1.25 left; 0.625. Sixty-fourths, truncated.
    assert recording.membrane["a"].ravel().tolist() == [256, 64, 288, 80, 40]
    assert recording.spikes["a"].dense().ravel().tolist() == [0, 1, 0, 1, 0]
    # b starts at 2, receives the input of 0 then, and a's own step 1 (global 2) two steps later, at its own step 2
    assert (recording.membrane["b"].ravel() // 64).tolist() == [1, 2, 13, 14, 24]
    assert recording.output.tolist() == [[24 * 64]]


def test_random_networks_are_alive() -> None:
    activity, silent, waiting = [], 0, 0
    for kind in KINDS:
        for seed in range(20):
            network, events = random_case(np.random.default_rng([KINDS.index(kind), seed, True]), kind)
            recording = simulate(network, events)
            rates = [spikes.dense().mean() for spikes in recording.spikes.values()]
            activity += rates
            silent += not any(rates)
            waiting += any(network.lag(p) > 0 for p in network.projections)
    assert np.mean(activity) > 0.05
    assert silent < 25  # of 100
    assert waiting > 25  # lags are exercised


def test_edge_cases_reach_the_edges() -> None:
    saturated = on_threshold = wrapped = outside = 0
    for seed in range(60):
        network, events = edge_case(np.random.default_rng(seed))
        recording = simulate(network, events)
        neuron = network["edge"].neuron
        assert isinstance(neuron, ns.FixedLIF)
        v = recording.membrane["edge"]
        saturated += int((np.abs(v) == 2**23 - 1).sum())
        on_threshold += int((v == np.asarray(neuron.threshold) * 64).sum())
        for u in recording.current.values():
            wrapped += int((u == 2**23).sum())
            outside += int((u > 2**23).sum())
    assert min(saturated, on_threshold, wrapped, outside) > 20, (saturated, on_threshold, wrapped, outside)


@pytest.mark.parametrize("variable", ["spikes", "membrane", "current", "sam", "counts", "output"])
def test_the_comparison_sees_one_changed_number(variable: str) -> None:
    runs = (simulate(*random_case(np.random.default_rng(seed), "dense")) for seed in range(100))
    recording = next(recording for recording in runs if recording.current)
    assert_identical(recording, recording)
    if variable == "output":
        changed = recording.output.copy()
        other = replace(recording, output=changed)
    elif variable == "spikes":
        name, spikes = next(iter(recording.spikes.items()))
        changed = spikes.planes.copy()
        other = replace(recording, spikes={**recording.spikes, name: replace(spikes, planes=changed)})
    else:
        values = getattr(recording, variable)
        name = next(iter(values))
        changed = values[name].copy()
        other = replace(recording, **{variable: {**values, name: changed}})  # type: ignore[arg-type]
    changed.flat[-1] ^= 1
    with pytest.raises(AssertionError):
        assert_identical(recording, other)
    with pytest.raises(AssertionError):
        assert_agree(recording, other)
