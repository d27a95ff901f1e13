"""Recordings from arrays: what fits returns bit for bit; what does not is refused, with the likely mistake."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ArgumentError
from neurosam.hdf5 import load_recording
from support.oracle import simulate

STEPS, SAMPLES = 7, 3


def network(fixed: bool = True, max_spikes: int = 1) -> ns.Network:
    rng = np.random.default_rng(0)
    number = np.int8 if fixed else np.float64
    weights = [rng.integers(-30, 60, shape).astype(number) for shape in ((4, 1, 2, 3), (2, 80))]
    neuron = (
        ns.FixedLIF(membrane_decay=300, current_decay=2000, threshold=80, reset="subtract", max_spikes=max_spikes)
        if fixed
        else ns.LIF(0.9, 80.0, "subtract", current_leak=0.5, max_spikes=max_spikes)
    )
    made = ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv1", (4, 5, 4), neuron),
            ns.Population("out", (2,), ns.FixedReadout() if fixed else ns.Readout()),
        ],
        [
            ns.Projection("in", "conv1", ns.Conv2d(weights[0])),
            ns.Projection("conv1", "out", ns.Dense(weights[1])),
        ],
    )
    return made.with_sam(ns.SamTrace(0.5))


def golden(net: ns.Network) -> ns.Recording:
    return simulate(net, ns.encode(np.random.default_rng(1).random((SAMPLES, 1, 6, 6)), STEPS, seed=5))


def columns(dense: Any, first: int = 0) -> Any:
    step, sample, neuron = np.nonzero(dense.reshape(*dense.shape[:2], -1))
    again = dense.reshape(*dense.shape[:2], -1)[step, sample, neuron]
    order = np.random.default_rng(0).permutation(int(again.sum()))
    return tuple(np.repeat(x, again)[order] for x in (step + first, sample, neuron))


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("several", [1, 3])
@pytest.mark.parametrize("form", ["dense", "flat", "spikes", "events", "columns"])
def test_every_form_returns_bit_for_bit(form: str, several: int, fixed: bool) -> None:
    net = network(fixed, several)
    made = golden(net)
    dense = made.spikes["conv1"].dense()
    assert dense.max() == several
    forms = {
        "dense": dense, "flat": dense.reshape(STEPS, SAMPLES, -1), "spikes": made.spikes["conv1"],
        "events": made.spikes["conv1"].events(), "columns": columns(dense),
    }  # fmt: skip
    flat = form != "dense"
    arrays = {
        variable: {name: x.reshape(*x.shape[:2], -1) if flat else x for name, x in getattr(made, variable).items()}
        for variable in ("membrane", "current", "sam")
    }
    again = ns.recording_from(
        net,
        spikes={"conv1": forms[form]},
        output=made.output,
        steps=STEPS,
        samples=SAMPLES,
        name=made.backend,
        **arrays,  # type: ignore[arg-type]  # variables by name
    )
    expected = ns.Recording(
        made.backend, STEPS, SAMPLES, made.output, made.spikes, made.sam, made.sam_scale, made.membrane, made.current
    )
    assert again.same_as(expected)


def test_a_part_of_a_run_is_saved_shown_and_converted(tmp_path: Any) -> None:
    net = network()
    made = golden(net)
    part = ns.recording_from(net, membrane={"conv1": made.membrane["conv1"][2:5]}, first_step=2)
    assert (part.steps, part.samples, part.first_step, part.output.shape) == (3, SAMPLES, 2, (SAMPLES, 0))
    assert part.output.dtype == np.int32
    assert not part.has_output
    assert "from own step 2 on\n  no output" in repr(part)
    with pytest.raises(ns.NeurosamError, match="has no output"):
        _ = part.predictions
    part.save(tmp_path / "part.h5")
    assert load_recording(tmp_path / "part.h5").same_as(part)
    assert part.select(1, 3).first_step == 2


def test_columns_end_with_what_occurs_unless_they_are_told() -> None:
    net = network()
    spikes = {"conv1": ([2, 4], [0, 1], [79, 3])}
    short = ns.recording_from(net, spikes=spikes)
    assert (short.steps, short.samples) == (5, 2)
    assert np.argwhere(short.spikes["conv1"].dense()).tolist() == [[2, 0, 3, 4, 3], [4, 1, 0, 0, 3]]
    long = ns.recording_from(net, spikes=spikes, steps=9, samples=4)
    assert long.spikes["conv1"].planes.shape[:2] == (9, 4)
    beside = ns.recording_from(net, spikes=spikes, membrane={"out": np.zeros((6, 3, 2), np.int32)})
    assert beside.spikes["conv1"].planes.shape[:2] == (6, 3)
    silent = ns.recording_from(net, spikes={"conv1": ([], [], [])}, steps=2, samples=1)
    assert silent.spikes["conv1"].count() == 0


LAYOUTS = [
    ((1, 0, 2, 3, 4), "The samples come first, by its shape: x.transpose(1, 0, 2, 3, 4)"),
    ((0, 1, 3, 4, 2), "The channels come last, by its shape: x.transpose(0, 1, 4, 2, 3)"),
    ((1, 0, 3, 4, 2), "Its axes are (sample, step, y, x, channel), by its shape: x.transpose(1, 0, 4, 2, 3)"),
    ((1, 2, 3, 4, 0), "Its axes are (sample, channel, y, x, step), by its shape: x.transpose(4, 0, 1, 2, 3)"),
]


@pytest.mark.parametrize(("order", "hint"), LAYOUTS)
@pytest.mark.parametrize("variable", ["spikes", "membrane"])
def test_a_wrong_layout_is_named_with_what_mends_it(order: tuple[int, ...], hint: str, variable: str) -> None:
    net = network()
    made = golden(net)
    right = made.spikes["conv1"].dense() if variable == "spikes" else made.membrane["conv1"]
    wrong = right.transpose(order)
    with pytest.raises(ArgumentError, match=re.escape(hint)) as told:
        ns.recording_from(net, **{variable: {"conv1": wrong}}, steps=STEPS, samples=SAMPLES)  # type: ignore[arg-type]
    assert f"{variable} of 'conv1': has shape {wrong.shape}; (7, 3, 4, 5, 4) or (7, 3, 80)" in str(told.value)
    mend = eval(str(told.value).rpartition("x.transpose")[2])
    assert np.array_equal(wrong.transpose(mend), right)


def test_what_a_shape_does_not_tell_is_not_guessed() -> None:
    net = network()
    x = np.zeros((STEPS, SAMPLES, 4, 5, 3), np.uint8)
    for wrong in (x, x[..., 0], x.reshape(-1), np.zeros(()), np.zeros((SAMPLES, STEPS, 7, 7, 4)), x[None]):
        with pytest.raises(ArgumentError, match=r"\(step, sample, neuron\) is required$"):
            ns.recording_from(net, spikes={"conv1": wrong}, steps=STEPS, samples=SAMPLES)
    # as many steps as samples: both orders fit, and the documented one is taken
    assert ns.recording_from(net, spikes={"conv1": np.zeros((3, 3, 80))}).steps == 3


def test_no_samples_and_global_steps_are_told_from_the_shape() -> None:
    net = network()
    with pytest.raises(ArgumentError, match=r"The axis of samples is missing: x\[:, None\]"):
        ns.recording_from(net, spikes={"conv1": np.zeros((7, 4, 5, 4))})
    with pytest.raises(ArgumentError, match=r"in global steps, not in its own. Leave the first 1 out: x\[1:\]"):
        ns.recording_from(net, spikes={"conv1": np.zeros((8, 3, 80))}, steps=7)
    with pytest.raises(ArgumentError, match=r"has step 7; 0 to 6 is allowed.*look like global steps; subtract 1"):
        ns.recording_from(net, spikes={"conv1": ([1, 7], [0, 0], [0, 0])}, steps=7)
    with pytest.raises(ArgumentError, match=r"has step 7; 0 to 6 is allowed$"):  # step 0 is no global step of conv1
        ns.recording_from(net, spikes={"conv1": ([0, 7], [0, 0], [0, 0])}, steps=7)
    with pytest.raises(ArgumentError, match=r"output: has shape \(2, 3\).*x\.T"):
        ns.recording_from(net, output=np.zeros((2, 3)), samples=3)


ONE = ([0], [0], [0])
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "got no array"),
    ({"spikes": {"conv2": ONE}}, "spikes: 'conv2': is not in the network; those with spikes are conv1"),
    ({"spikes": {"in": ONE}}, "is an input"),
    ({"spikes": {"out": ONE}}, "never fires"),
    ({"current": {"out": np.zeros((1, 1, 2))}}, "has no current; those with current are conv1"),
    ({"sam": {"out": np.zeros((1, 1, 1, 1))}}, "has no trace"),
    ({"spikes": {"conv1": np.full((1, 1, 80), 2)}}, r"has 2 at step 0, sample 0, neuron \(0, 0, 0\); 0 to 1 is"),
    ({"spikes": {"conv1": np.full((1, 1, 80), -1)}}, "has -1 at step 0"),
    ({"spikes": {"conv1": np.full((1, 1, 80), 0.5)}}, "with fractions or NaN; integers are required"),
    ({"spikes": {"conv1": np.full((1, 1, 80), "1")}}, "numbers are required"),
    ({"spikes": {"conv1": np.full((1, 1, 80), None)}}, "is of object; numbers are required"),
    ({"spikes": {"conv1": [[1], [1, 2]]}}, "ragged"),
    ({"spikes": {"conv1": ([0], [0])}}, "a tuple of 2"),
    ({"spikes": {"conv1": ([0], [0], [0, 1])}}, "columns of 1, 1 and 2 entries"),
    ({"spikes": {"conv1": ([0], [0], [80])}}, "entry 0 has neuron 80; 0 to 79 is allowed"),
    ({"spikes": {"conv1": ([0, 0], [0, -1], [1, 1])}}, "entry 1 has sample -1"),
    ({"spikes": {"conv1": ([0, 0], [0, 0], [7, 7])}}, "have neuron 7 2 times at step 0, sample 0; it fires at most 1"),
    ({"spikes": {"conv1": ([0.5], [0], [0])}}, "step: is float64 with fractions"),
    ({"spikes": {"conv1": ([[0]], [[0]], [[0]])}}, "a column has one dimension"),
    ({"spikes": {"conv1": ([], [], [])}}, "steps: are needed"),
    ({"spikes": {"conv1": ([2**31 - 2], [10**6], [0])}}, "GiB for 2147483647 steps of 1000001 samples; at most 1 GiB"),
    ({"spikes": {"conv1": ns.Spikes.from_dense(np.zeros((1, 1, 3)))}}, r"are of shape \(3,\)"),
    ({"membrane": {"conv1": np.full((1, 1, 80), 0.25)}}, "integers are required, in 64ths of a weight"),
    ({"membrane": {"conv1": np.full((1, 1, 80), np.nan)}}, "fractions or NaN"),
    ({"membrane": {"conv1": np.full((1, 1, 80), 2**31)}}, "int32 is required"),
    ({"membrane": {"conv1": np.zeros((2, 1, 80)), "out": np.zeros((3, 1, 2))}}, r"membrane of 'out': has shape \(3"),
    ({"spikes": {"conv1": ONE}, "steps": 2.0}, "steps: got 2.0"),
    ({"spikes": {"conv1": ONE}, "first_step": -1}, "first_step: got -1"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_does_not_fit_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ns.recording_from(network(), **arguments)
