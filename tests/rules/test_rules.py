"""Every rule, broken by one network and kept by another, on chips with the figures that it reads and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam.network.elements import Population, Projection, max_pool
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Sparse, SumPool2d
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam_hw.chips.figure import Value
from neurosam_hw.rules import RULES, Findings, check, check_traces
from support.chips import make_chip

ONES = Dense(np.ones((2, 3), dtype=np.int8))
PLAIN = FixedLIF(410, 64, "zero")
FIXED_NEURONS: dict[str, Value] = {"numbers.programmable_neurons": False}
MEMORY: dict[str, Value] = {
    "limits.kernel_memory": (16, 64),
    "limits.neuron_memory": (128, 64),
    "limits.bias_memory": (8, 0),
}
LAYERED: dict[str, Value] = {"limits.kernel_memory": (10, 10)}


def fixed(synapse: Any = ONES, neuron: Any = PLAIN, sources: Any = None, **options: Any) -> Network:
    """An input and a layer `a`, in integers."""
    sources = sources or ((synapse.weight.shape[1],) if isinstance(synapse, Dense) else (3,))
    source = Population("in", sources, magnitude=options.pop("magnitude", 1))
    pool = options.get("pool")
    target = Population("a", synapse.output_shape(pool.output_shape(sources) if pool else sources), neuron)
    sam = options.pop("sam", {})
    metadata = options.pop("metadata", {})
    precision = options.pop("precision", None)
    projection = Projection("in", "a", synapse, **options)
    return Network([source, target], [projection], sam=sam, metadata=metadata, precision=precision)


def floats(neuron: Any = None, **options: Any) -> Network:
    """The same in floats."""
    return fixed(Dense(np.ones((2, 3))), LIF(0.9, 1.0, "zero") if neuron is None else neuron, **options)


def dense(*rows: list[int]) -> Dense:
    return Dense(np.array(rows))


def conv(kernel: tuple[int, int], **options: Any) -> Network:
    return fixed(Conv2d(np.ones((2, 1, *kernel), dtype=np.int8), **options), sources=(1, 8, 8))


def chain(neurons: int, outputs: int = 1, targets: int = 1, delay: int = 1) -> Network:
    """An input, a layer, and readouts that it sends to: once, and again `delay` steps after the spike."""
    names = [f"out{i}" for i in range(targets)]
    ones = Dense(np.ones((neurons, 3), dtype=np.int8))
    read = Dense(np.ones((outputs, neurons), dtype=np.int8))
    return Network(
        [Population("in", (3,)), Population("a", (neurons,), PLAIN)]
        + [Population(name, (outputs,), FixedReadout()) for name in names],
        [Projection("in", "a", ones), *(Projection("a", n, read, delay=d) for n in names for d in {1, delay})],
        outputs=names,
    )


def sides(targets: int) -> Network:
    """An input that sends to several readouts."""
    names = [f"out{i}" for i in range(targets)]
    return Network(
        [Population("in", (3,)), *(Population(name, (2,), FixedReadout()) for name in names)],
        [Projection("in", name, ONES) for name in names],
        outputs=names,
    )


def loop(delay: int) -> Network:
    """Two layers that send to each other: two hops in 1 + delay steps."""
    one = Dense(np.ones((1, 1), dtype=np.int8))
    return Network(
        [Population("in", (1,)), Population("a", (1,), PLAIN), Population("b", (1,), PLAIN)],
        [Projection("in", "a", one), Projection("a", "b", one, delay=0), Projection("b", "a", one, delay=delay)],
    )


def traced(trace: SamTrace | FixedSamTrace) -> Network:
    return fixed(sam={"a": trace}) if isinstance(trace, FixedSamTrace) else floats(sam={"a": trace})


def integers(impulse: int) -> FixedSamTrace:
    """A trace that halves in a step, and is at most twice the impulse."""
    return FixedSamTrace(np.array([8, 4, 2, 1, 0]), shift=3, impulse=impulse)


def pooled(pool: bool) -> Network:
    synapse = Conv2d(np.ones((1, 1, 3, 3), dtype=np.int8), padding=1)
    shape = (1, 2, 2) if pool else (1, 4, 4)
    target = Population("a", shape, PLAIN, pool=MaxPool2d(2) if pool else None)
    return Network([Population("in", (1, 4, 4)), target], [Projection("in", "a", synapse)])


class Case(NamedTuple):
    """A chip's figures, a network that breaks the rule on it, what is then said, and a network that keeps it."""

    figures: dict[str, Value]
    broken: Network
    used: int | str
    allowed: int | str
    kept: Network


SIGNED: dict[str, Value] = {"numbers.weight_signed": True, "numbers.weight_bits": (1, 4)}
STEPS: dict[str, Value] = {
    "numbers.weight_min": -256,
    "numbers.weight_max": 254,
    "numbers.weight_step": 2,
    "numbers.weight_exponent_min": -8,
    "numbers.weight_exponent_max": 7,
}
MIXED = dense([1, -3, 2])
READ = FixedReadout(bias_mantissa=np.array([4, -9]), bias_exponent=3)
BIAS: dict[str, Value] = {"numbers.bias_bits": 4, "numbers.bias_exponent_bits": 3}

CASES: dict[str, list[Case]] = {
    "weight_bits": [
        Case(SIGNED, fixed(dense([8, -8, 0])), "5 bit", "4 bit", fixed(dense([7, -8, 0]))),
        Case(SIGNED, fixed(dense([8])), "5 bit", "4 bit", fixed(dense([7]))),
        Case({"numbers.weight_bits": 3}, fixed(dense([0, -8])), "4 bit", "3 bit", fixed(dense([7, -7]))),
    ],
    "weight_sign": [
        Case({"numbers.weight_signed": False}, fixed(MIXED), "both signs", "one sign", fixed(dense([-1, -2, 0]))),
        Case({"numbers.weight_signed": False}, fixed(MIXED), "both signs", "one sign", fixed(dense([0, 3]))),
    ],
    "weight_range": [
        Case({**STEPS, "numbers.weight_max": 252}, fixed(dense([127, -1])), "-2..254", "-256..252", fixed(MIXED)),
        Case({**STEPS, "numbers.weight_min": -8}, fixed(dense([1, -5])), "-10..2", "-8..254", fixed(dense([2, -8]))),
    ],
    "weight_exponent": [
        Case(STEPS, fixed(MIXED, exponent=-8), -9, "-8..7", fixed(dense([2, -6, 4]), exponent=-8)),
        Case(STEPS, fixed(MIXED, exponent=-8), -9, "-8..7", fixed(dense([1, 3]), exponent=-8)),
        Case({**STEPS, "numbers.weight_exponent_max": 5}, fixed(MIXED, exponent=7), 6, "-8..5", fixed(exponent=5)),
    ],
    "weight_types": [
        Case(
            {"numbers.weight_types": 2},
            fixed(Conv2d(np.arange(8, dtype=np.int8).reshape(2, 1, 2, 2)), sources=(1, 3, 3)), 4, 2,
            fixed(Conv2d(np.ones((2, 1, 2, 2), dtype=np.int8)), sources=(1, 3, 3)),
        ),
        Case({"numbers.weight_types": 2}, fixed(dense([1, 2, 3], [1, 1, 1])), 3, 2, fixed(dense([1, 2, 0], [3, 3, 3]))),
        Case(
            {"numbers.weight_types": 1}, fixed(Sparse.from_dense(np.array([[1, 2, 0], [0, 0, 0]]))), 2, 1,
            fixed(Sparse.from_dense(np.array([[0, 0, 0], [5, 0, 5]]))),
        ),
    ],
    "reset": [
        Case(
            {"resets.zero": True, "resets.subtract": False}, fixed(neuron=FixedLIF(410, 64)), "subtract", "zero",
            fixed(),
        ),
        Case({"resets.zero": False}, floats(), "zero", "not there", floats(Readout())),
        Case(
            {**FIXED_NEURONS, "resets.value": True}, floats(LIF(0.9, 1.0, "relative", relative_leak=0.5)), "relative",
            "value", floats(LIF(0.9, 1.0, "value", reset_value=0.1)),
        ),
    ],
    "reset_amount": [
        Case(
            FIXED_NEURONS, floats(LIF(0.5, 1.0, reset_amount=2.0)), "another amount", "the threshold",
            floats(LIF(0.5, 1.0, reset_amount=1.0)),
        ),
        Case(
            FIXED_NEURONS, fixed(neuron=FixedLIF(410, 64, reset_amount_64ths=64)), "another amount", "the threshold",
            fixed(neuron=FixedLIF(410, 64, reset_amount_64ths=64 * 64)),
        ),
    ],
    "reset_timing": [
        Case(FIXED_NEURONS, floats(LIF(0.5, 1.0, reset_timing="next")), "next", "now", floats(LIF(0.5, 1.0))),
    ],
    "fires": [
        Case({**FIXED_NEURONS, "numbers.fires_at": False}, floats(LIF(0.5, 1.0, fires="at")), "at the threshold",
             "above it", floats()),
        Case({**FIXED_NEURONS, "numbers.fires_at": True}, fixed(), "above the threshold", "at it",
             fixed(neuron=FixedLIF(0, 1, fires="at"))),
    ],
    "current": [
        Case({"numbers.current": False}, floats(LIF(0.9, 1.0, current_leak=0.5)), "a current", "not there", floats()),
    ],
    "decay": [
        Case({"numbers.decay": False}, floats(), "a leak", "not there", floats(LIF(1.0, 1.0))),
        Case({"numbers.decay": False}, fixed(neuron=FixedLIF(np.array([0, 9]), 64)), "a leak", "not there",
             fixed(neuron=FixedLIF(0, 64, "zero"))),
        Case(
            {"numbers.decay": False}, fixed(neuron=FixedLIF(0, 64), precision=Precision("own", 8, 0, 1)), "a leak",
            "not there", fixed(neuron=FixedReadout(membrane_decay=-1), precision=Precision("own", 8, 0, 1)),
        ),
    ],
    "decay_bits": [
        Case({"numbers.decay_bits": 12}, fixed(neuron=FixedLIF(4096, 64)), 4096, "0..4095",
             fixed(neuron=FixedLIF(4095, 64))),
        Case({"numbers.decay_bits": 12}, fixed(neuron=FixedLIF(np.array([3, 4096]), 64, current_decay=2)), 4096,
             "0..4095", fixed(neuron=FixedLIF(np.array([0, 4095]), 64, current_decay=0))),
        Case({"numbers.decay_bits": 12}, fixed(neuron=FixedLIF(1, 64, current_decay=np.array([-1, 5]))), -1, "0..4095",
             fixed(neuron=FixedLIF(1, 64, current_decay=np.array([0, 5])))),
        Case({"numbers.decay_bits": 12}, fixed(neuron=FixedLIF(1, 64, current_decay=-1)), -1, "0..4095",
             fixed(neuron=FixedLIF(1, 64, current_decay=0))),
    ],
    "threshold": [
        Case({"numbers.threshold_bits": 8}, fixed(neuron=FixedLIF(0, np.array([1, 256]))), 256, 255,
             fixed(neuron=FixedLIF(0, 255))),
        Case({"numbers.threshold_bits": 8, "numbers.threshold_signed": True}, fixed(neuron=FixedLIF(0, 128)), 128, 127,
             fixed(neuron=FixedLIF(0, 127))),
    ],
    "membrane_bits": [
        Case({"numbers.membrane_bits": 8}, fixed(neuron=FixedLIF(0, np.array([1, 128]))), 128, 127,
             fixed(neuron=FixedLIF(0, 127))),
        Case({"numbers.membrane_bits": 8, "numbers.membrane_signed": False}, fixed(neuron=FixedLIF(0, 256)), 256, 255,
             fixed(neuron=FixedLIF(0, 255))),
        Case({"numbers.membrane_bits": 14, "numbers.threshold_shift": 6}, fixed(neuron=FixedLIF(0, 128)), 8192, 8191,
             fixed(neuron=FixedLIF(0, 127))),
    ],
    "membrane_sign": [
        Case({"numbers.membrane_signed": False}, fixed(MIXED), "below 0", "from 0", fixed(dense([0, 1]))),
        Case({"numbers.membrane_signed": False}, fixed(MIXED), "below 0", "from 0",
             fixed(MIXED, FixedLIF(0, 64, lower_bound_64ths=0))),
    ],
    "bias": [
        Case(BIAS, fixed(neuron=READ), "-9..4 x 2^3", "-8..7 x 2^(0..7)",
             fixed(neuron=FixedReadout(bias_mantissa=np.array([7, -8]), bias_exponent=7))),
        Case({**BIAS, "numbers.bias_exponent_bits": 2}, fixed(neuron=replace(READ, bias_mantissa=1, bias_exponent=4)),
             "1..1 x 2^4", "-8..7 x 2^(0..3)", fixed(neuron=replace(READ, bias_mantissa=1))),
        Case({"numbers.bias_bits": 4}, fixed(neuron=replace(READ, bias_mantissa=np.array([0, 8]), bias_exponent=0)),
             "0..8 x 2^0", "-8..7 x 2^(0..0)", fixed(neuron=replace(READ, bias_mantissa=0))),
    ],
    "refractory": [
        Case({"numbers.refractory_max": 3}, fixed(neuron=replace(PLAIN, refractory=4)), 4, 3,
             fixed(neuron=replace(PLAIN, refractory=3))),
    ],
    "gain_tables": [
        Case({"numbers.tables": False}, floats(LIF(0.9, 1.0, gain=np.ones((4, 1)), offset=np.zeros((4, 1)))),
             "gains by step", "not there", floats()),
    ],
    "adaptive_threshold": [
        Case(FIXED_NEURONS, floats(LIF(0.9, 1.0, threshold_leak=0.5, threshold_step=0.1)), "adaptive", "constant",
             floats()),
        Case(FIXED_NEURONS,
             fixed(neuron=FixedLIF(0, 1, threshold_decay=np.array([1, 2]), threshold_step_64ths=1)),
             "adaptive", "constant", fixed()),
    ],
    "lower_bound": [
        Case(FIXED_NEURONS, floats(LIF(0.9, 1.0, lower_bound=-1.0)), "a lower bound", "not there", floats()),
    ],
    "several_spikes": [
        Case(FIXED_NEURONS, floats(LIF(0.9, 1.0, max_spikes=3)), 3, 1, floats()),
    ],
    "pool": [Case({}, pooled(True), "the largest of several sums", "one sum", pooled(False))],
    "fan_in": [
        Case({"limits.fan_in": 8}, conv((3, 3)), 9, 8, conv((4, 2))),
        Case({"limits.fan_in": 2}, fixed(Sparse.from_dense(np.array([[1, 0, 0], [1, 2, 3]]))), 3, 2,
             fixed(Sparse.from_dense(np.array([[1, 2, 0], [0, 0, 3]])))),
    ],
    "cycle": [Case({}, loop(1), "fewer steps at population 'b'", "a step for each projection", loop(2))],
    "delay": [
        Case({"numbers.delay_max": 3}, chain(2, delay=4), 4, 3, chain(2, delay=3)),
    ],
    "graded_spikes": [
        Case({"numbers.graded_spikes": False}, fixed(magnitude=255), "values to 255", "no value", fixed()),
        Case({"numbers.graded_spikes": True, "numbers.payload_bits": 8}, fixed(magnitude=128), "9 bit", "8 bit",
             fixed(magnitude=127)),
    ],
    "signed_events": [
        Case({"numbers.graded_spikes": False}, fixed(metadata={"coding": "poisson_signed"}), "events of both signs",
             "spikes", fixed(metadata={"coding": "poisson"})),
    ],
    "destinations": [
        Case({**LAYERED, "limits.destinations_per_core": 2}, chain(2, targets=3), 3, 2, chain(2, targets=2)),
        Case({**LAYERED, "limits.destinations_per_core": 2}, chain(2, targets=3), 3, 2, sides(3)),
    ],
    "layers": [
        Case({**LAYERED, "limits.cores": 2}, chain(2, targets=2), 3, 2, chain(2)),
    ],
    "layer_size": [
        Case(MEMORY, conv((3, 3)), "32, 128, 0", "16, 128, 8; 64, 64, 0", conv((2, 2))),
        Case(MEMORY, fixed(dense([1] * 65)), "65, 1, 0", "16, 128, 8; 64, 64, 0", fixed(dense([1]))),
    ],
    "kernels": [
        Case(LAYERED, fixed(Sparse.one_to_one((3,), 1)), "sparse", "kernels", fixed()),
    ],
    "kernel_size": [
        Case({"limits.kernel_size_max": 4}, conv((5, 1)), 5, 4, conv((4, 4))),
        Case({"limits.kernel_size_max": 4}, fixed(Dense(np.ones((2, 16), dtype=np.int8)), sources=(1, 8, 2)), 8, 4,
             fixed(Dense(np.ones((2, 16), dtype=np.int8)), sources=(1, 8, 8), pool=SumPool2d(2))),
    ],
    "strides": [Case({"limits.strides": (1, 2, 4)}, conv((2, 2), stride=(1, 3)), 3, "1, 2, 4", conv((2, 2), stride=4))],
    "map_size": [
        Case({"limits.map_size_max": 7}, fixed(Dense(np.ones((2, 16), dtype=np.int8)), sources=(1, 8, 2)), 8, 7,
             fixed()),
        Case({"limits.map_size_max": 7}, conv((3, 3)), 8, 7, fixed()),
    ],
    "input_channels": [Case({"limits.input_channels": 2}, fixed(), 3, 2, fixed(dense([1, 1]), sources=(2,)))],
    "hidden_neurons": [Case({"limits.hidden_neurons": 4}, chain(5), 5, 4, chain(4))],
    "output_neurons": [Case({"limits.output_neurons": 2}, chain(1, outputs=3), 3, 2, chain(9, outputs=2))],
    "output_channels": [Case({"limits.output_channels": 2}, chain(1, outputs=3), 3, 2, chain(9, outputs=2))],
    "chip_neurons": [Case({"limits.neurons": 5}, chain(5), 6, 5, chain(4))],
    "single_core": [
        Case({"limits.cores": 1, "limits.neurons_per_core": 5}, chain(5), 6, 5, chain(4)),
    ],
    "single_core_synapses": [
        Case({"limits.cores": 1, "limits.synapses_per_core": 16}, chain(5), 20, 16, chain(4)),
    ],
    "trace": [
        Case({"numbers.traces": False}, traced(SamTrace()), "a trace", "not there", fixed()),
    ],
    "trace_mode": [
        Case(FIXED_NEURONS, traced(SamTrace(mode="official")), "official", "strict, inclusive",
             traced(SamTrace(mode="inclusive"))),
    ],
    "trace_bits": [
        Case({"numbers.traces": True, "numbers.trace_bits": 7}, traced(integers(65)), "8 bit", "7 bit",
             traced(integers(63))),
    ],
    "trace_impulse": [
        Case({"numbers.traces": True, "numbers.trace_impulse_max": 127}, traced(integers(128)), 128, 127,
             traced(integers(127))),
    ],
}  # fmt: skip

ELSEWHERE: dict[str, dict[str, Value]] = {
    "weight_range": {},
    "weight_types": {},
    "fan_in": {},
    "kernels": {},
    "kernel_size": {},
    "strides": {},
    "layer_size": {},
    "map_size": {},
    "layers": {"limits.cores": 1},
    "destinations": {"limits.destinations_per_core": 1},
    "input_channels": {},
    "hidden_neurons": {},
    "output_neurons": {},
    "output_channels": {},
    "chip_neurons": {},
    "single_core": {"limits.cores": 2, "limits.neurons_per_core": 1},
    "single_core_synapses": {"limits.cores": 2, "limits.synapses_per_core": 1},
}
"""Rules about what only some chips have, with a chip to which they do not apply."""
ALWAYS = {"pool", "cycle", "kernels"}
"""Rules without a limit that could be unknown."""
TOLERANT = {"membrane_sign", "decay_bits", "trace_bits", "trace_impulse"}
"""Rules that apply only if another figure is known."""


def found(name: str, network: Network, figures: dict[str, Value]) -> Findings:
    """What one rule finds."""
    apply = check_traces if RULES[name].scope == "trace" else check
    every = apply(network, make_chip(figures))
    assert name in every.checked
    own = [tuple(item for item in part if item.rule == name) for part in (every.violations, every.unchecked)]
    return Findings(own[0], own[1], (name,))  # type: ignore[arg-type]


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == {name for name, rule in RULES.items() if rule.scope != "core"}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_a_rule_is_broken_and_kept(name: str, case: Case) -> None:
    [violation] = found(name, case.broken, case.figures).violations
    assert (violation.used, violation.allowed, violation.core) == (case.used, case.allowed, None)
    assert violation.where in ("network", "in", "a", "in->a", "a->out0", "b")
    assert len(violation.remedy) > 10
    assert found(name, case.kept, case.figures) == Findings((), (), (name,))


@pytest.mark.parametrize("name", sorted(set(CASES) - ALWAYS - TOLERANT))
def test_a_rule_whose_limit_is_unknown_is_not_checked(name: str) -> None:
    case = CASES[name][0]
    one_core: dict[str, Value] = {"limits.cores": 1} if name.startswith("single_core") else {}
    findings = found(name, case.broken, {**dict.fromkeys(RULES[name].figures), **one_core})
    assert findings.violations == ()
    assert [item.rule for item in findings.unchecked] == [name]
    assert findings.unchecked[0].figure in RULES[name].figures


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_limit_that_a_chip_does_not_have_is_no_limit(name: str) -> None:
    assert found(name, CASES[name][0].broken, ELSEWHERE[name]) == Findings((), (), (name,))


PROGRAMS = {
    "reset", "reset_amount", "reset_timing", "fires", "current", "decay", "decay_bits", "threshold", "membrane_bits",
    "bias", "refractory", "gain_tables", "adaptive_threshold", "lower_bound", "several_spikes", "trace", "trace_mode",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_neurons_that_run_a_program_have_what_the_file_does_not_deny(name: str) -> None:
    for case in CASES[name]:
        assert found(name, case.broken, {"numbers.programmable_neurons": True}) == Findings((), (), (name,))


def test_a_program_does_not_have_what_the_file_denies() -> None:
    figures: dict[str, Value] = {"numbers.programmable_neurons": True, "numbers.current": False}
    assert found("current", CASES["current"][0].broken, figures).broken == {"current": ("a",)}


def test_a_float_network_is_not_held_to_integers() -> None:
    narrow: dict[str, Value] = {
        "numbers.weight_bits": 1, "numbers.threshold_bits": 1, "numbers.membrane_bits": 1, "numbers.bias_bits": 1,
        "numbers.decay_bits": 1, "numbers.weight_exponent_min": 5, "numbers.weight_exponent_max": 5,
        "numbers.weight_step": 2, "numbers.weight_min": 0, "numbers.weight_max": 0, "numbers.weight_types": 1,
    }  # fmt: skip
    network = floats(LIF(0.9, 1.0, "zero", bias=0.3))
    integral = {"weight_bits", "weight_range", "weight_exponent", "weight_types", "threshold", "membrane_bits", "bias"}
    findings = check(network, make_chip(narrow))
    assert not integral & set(findings.broken)


def test_weights_beyond_8_bits_are_two_sets_of_synapses_of_8_bits() -> None:
    wide = fixed(dense([255, -3]))
    assert len(wide.projections) == 2
    assert found("weight_bits", wide, {"numbers.weight_bits": 8, "numbers.weight_signed": True}).fits
    [violation] = found("weight_bits", wide, {"numbers.weight_bits": 7, "numbers.weight_signed": True}).violations
    assert violation.where == "in->a"


@pytest.mark.parametrize(("gamma", "impulse"), [(0.5, 50), (2.0, 110)])
def test_the_impulse_that_is_offered_fits(gamma: float, impulse: int) -> None:
    network = fixed().with_sam(SamTrace(gamma), ["a"])
    figures: dict[str, Value] = {"numbers.traces": True, "numbers.trace_bits": 7}
    [violation] = found("trace_bits", network, figures).violations
    assert violation.remedy == f"use ns.FixedSamTrace with impulse={impulse} or less"
    for offered, fits in ((impulse, True), (impulse + 1, False)):
        trace = network.sam["a"]
        assert isinstance(trace, FixedSamTrace)
        assert found("trace_bits", replace(network, sam={"a": replace(trace, impulse=offered)}), figures).fits is fits


def test_a_trace_unit_takes_traces_as_the_network_has_them() -> None:
    figures: dict[str, Value] = {**FIXED_NEURONS, "numbers.traces": False, "numbers.trace_bits": 7}
    network = traced(SamTrace(mode="official"))
    assert found("trace_mode", network, figures).broken
    assert found("trace", network, figures).broken
    figures["numbers.trace_unit"] = True
    assert check_traces(network, make_chip(figures)).fits
    assert check_traces(traced(integers(1000)), make_chip(figures)).fits


def test_an_impulse_that_the_width_rules_out_is_said_once() -> None:
    network = fixed(sam={"a": integers(128)})
    figures: dict[str, Value] = {"numbers.traces": True, "numbers.trace_impulse_max": 127}
    assert not found("trace_impulse", network, {**figures, "numbers.trace_bits": 8}).fits
    assert found("trace_impulse", network, {**figures, "numbers.trace_bits": 7}).fits
    assert not found("trace_bits", network, {**figures, "numbers.trace_bits": 7}).fits


def test_no_impulse_is_offered_for_a_trace_that_never_fades() -> None:
    network = fixed(sam={"a": FixedSamTrace(np.array([8, 8, 0]), shift=3, impulse=1)})
    figures: dict[str, Value] = {"numbers.traces": True, "numbers.trace_bits": 7}
    [violation] = found("trace_bits", network, figures).violations
    assert violation.remedy == "use a larger gamma"


def test_a_finding_names_its_place_and_what_to_do_there() -> None:
    figures: dict[str, Value] = {"numbers.graded_spikes": False}
    several = Network(
        [
            Population("in", (3,), magnitude=9),
            Population("a", (2,), replace(PLAIN, max_spikes=2)),
            Population("out", (1,), FixedReadout()),
        ],
        [Projection("in", "a", ONES), Projection("a", "out", dense([1, 1]))],
    )
    violations = found("graded_spikes", several, figures).violations
    assert [(v.where, v.used, v.remedy) for v in violations] == [
        ("in", "values to 9", "encode the input as spikes before it reaches the chip"),
        ("a", "values to 2", "use max_spikes=1"),
    ]
    [trained, _] = found("graded_spikes", replace(several, metadata={"coding": "direct"}), figures).violations
    assert trained.remedy == "use a coding by spikes (--coding poisson)"
    [violation] = found("signed_events", CASES["signed_events"][0].broken, figures).violations
    assert violation.where == "in"
    [violation] = found("graded_spikes", fixed(neuron=replace(PLAIN, max_spikes=2), magnitude=2), figures).violations
    assert violation.where == "in"


def test_a_shortcut_is_kept_back_by_a_delay_on_the_chip() -> None:
    readout = Population("out", (2,), FixedReadout())
    network = Network(
        [Population("in", (3,)), Population("a", (2,), PLAIN), readout],
        [
            Projection("in", "a", ONES, delay=0),
            Projection("a", "out", dense([1, 1], [1, 1]), delay=0),
            Projection("in", "out", ONES, delay=0),
        ],
    )
    [violation] = found("delay", network, {"numbers.delay_max": 1}).violations
    assert (violation.where, violation.used) == ("in->out", 2)


@pytest.mark.parametrize(("network", "scale"), [(fixed(MIXED, exponent=-8), "larger"), (fixed(exponent=7), "smaller")])
def test_an_exponent_out_of_range_says_in_which_direction_to_go(network: Network, scale: str) -> None:
    [violation] = found("weight_exponent", network, {**STEPS, "numbers.weight_exponent_max": 6}).violations
    assert violation.remedy == f"quantise to {scale} weights and thresholds"


def test_a_decay_of_0_and_a_bias_of_0_need_no_width() -> None:
    assert found("decay_bits", fixed(neuron=FixedLIF(0, 64)), {}) == Findings((), (), ("decay_bits",))
    assert found("bias", fixed(neuron=FixedLIF(0, 64)), {}) == Findings((), (), ("bias",))
    assert found("decay_bits", fixed(neuron=FixedLIF(np.array([0, 1]), 64)), {}).unchecked


def test_an_or_of_spikes_forgets_with_the_largest_decay_of_12_bits_too() -> None:
    """`max_pool` gives its neurons a decay of 4096; what they reach is far below 4096 64ths."""
    source = Population("in", (2, 8, 8))
    figures: dict[str, Value] = {"numbers.decay_bits": 12}
    for window, fits in ((2, True), (5, True), (6, False)):  # 2 x 64 x 25 = 3200 64ths, 2 x 64 x 36 = 4608
        pool = max_pool(source, "pool", window, fixed=True)
        network = Network([source, pool.population], [pool.projection])
        assert found("decay_bits", network, figures).fits is fits
    reached: dict[str, Any] = {"bias_mantissa": 4000 - 192, "bias_exponent": 0}  # 3 synapses of weight 1 add 192 to it
    neuron = FixedLIF(4096, 64, "zero", **reached)
    assert found("decay_bits", fixed(neuron=neuron), figures).fits
    others: list[dict[str, Any]] = [
        {"bias_mantissa": 4000}, {"bias_exponent": 1}, {"reset": "subtract"}, {"initial_membrane_64ths": -4096},
        {"current_decay": 5},
    ]  # fmt: skip
    for other in others:
        assert not found("decay_bits", fixed(neuron=replace(neuron, **other)), figures).fits, other
    assert not found("decay_bits", fixed(neuron=neuron), {"numbers.decay_bits": 11}).fits
