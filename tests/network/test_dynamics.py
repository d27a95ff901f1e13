"""One step with any options, against support.scalar: on Python ints, NumPy arrays, torch tensors and compiled."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosam import arithmetic
from neurosam.arithmetic import STATE_MAX
from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState, Parameters, Switches
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from support.options import limits_case, options_case
from support.scalar import Life, cells, float_neuron, integer_neuron

Columns = dict[str, npt.NDArray[np.int64]]

INPUTS = np.array([*(s * (2**k + d) for k in (0, 6, 16, 17, 18, 24) for d in (-1, 0, 1) for s in (-1, 1)), 2**31 - 1])


def drawn(seed: int) -> tuple[FixedLIF, Precision, npt.NDArray[np.int64], Columns]:
    """A neuron with options at the limits of the integers, an input for each of its channels, and a state."""
    rng = np.random.default_rng(seed)
    network, _ = limits_case(rng)
    neuron, size = network["edge"].neuron, network["edge"].shape[0]
    assert isinstance(neuron, FixedLIF)
    assert network.precision is not None
    near = np.asarray(neuron.threshold) * 64 + rng.integers(-1, 2, size)
    anywhere = rng.integers(-STATE_MAX, STATE_MAX + 1, size)
    state = {
        "u": rng.choice([0, 0, 2**23, -(2**23) + 1, 2**23 + 64, 1, -1], size)
        if neuron.current_decay is not None
        else 0,
        "v": np.where(rng.random(size) < 0.5, near, anywhere),
        "wait": rng.integers(0, 3, size) * (neuron.refractory > 0),
        "h": rng.choice([0, 1, 64, STATE_MAX], size) * (neuron.threshold_decay is not None),
        "r": rng.choice([0, 1, 64, STATE_MAX], size) * (neuron.reset == "relative"),
    }
    a = rng.choice(INPUTS, size) * (rng.random(size) < 0.7)
    return neuron, network.precision, a, {name: np.broadcast_to(x, size) for name, x in state.items()}


def listing(neuron: FixedLIF, precision: Precision, a: npt.NDArray[np.int64], state: Columns) -> list[list[int]]:
    """u, v, wait, h, r, spikes, saturated and wrapped of each neuron, by the scalar rule."""
    rows = []
    for k, cell in enumerate(cells(neuron, precision, a.shape)):
        cell.gain = []
        life = Life(*(int(state[name][k]) for name in NeuronState._fields))
        spikes, saturated, wrapped = integer_neuron(cell, life, 0, int(a[k]))
        rows.append([life.u, life.v, life.wait, life.h, life.r, spikes, int(saturated), int(wrapped)])
    return rows


def as_row(a: Any, result: tuple[NeuronState, Any, Any, Any]) -> list[int]:
    """The same of one neuron, from what a step returns."""
    state, spikes, saturated, wrapped = result
    return [*(int(x) for x in state), int(spikes), int(saturated), int(wrapped | arithmetic.wraps_arriving(a))]


def one_by_one(step: Any, a: npt.NDArray[np.int64], state: Columns, p: Parameters, o: Switches) -> list[list[int]]:
    """A step of each neuron on Python integers."""
    rows = []
    for k, arriving in enumerate(a.tolist()):
        own = Parameters(*(np.broadcast_to(x, a.shape)[k].item() for x in p))
        before = NeuronState(*(int(state[name][k]) for name in NeuronState._fields))
        i = arithmetic.arrive(arriving)
        rows.append(as_row(arriving, step(i, before, own, o)))
    return rows


def on_ints(a: npt.NDArray[np.int64], state: Columns, p: Parameters, o: Switches) -> list[list[int]]:
    return one_by_one(dynamics.step, a, state, p, o)


def on_arrays(a: npt.NDArray[np.int64], state: Columns, p: Parameters, o: Switches) -> list[list[int]]:
    before = NeuronState(*(state[name] for name in NeuronState._fields))
    after, spikes, saturated, wrapped = dynamics.step(arithmetic.arrive(a), before, p, o)
    columns = [*after, spikes, saturated, wrapped | arithmetic.wraps_arriving(a)]
    rows: list[list[int]] = np.stack([np.broadcast_to(x, a.shape) for x in columns], axis=1).astype(np.int64).tolist()
    return rows


def on_tensors(a: npt.NDArray[np.int64], state: Columns, p: Parameters, o: Switches) -> list[list[int]]:
    torch = pytest.importorskip("torch")
    before = NeuronState(*(torch.tensor(state[name]) for name in NeuronState._fields))
    own = Parameters(*(torch.tensor(np.asarray(x)) for x in p))
    arriving = torch.tensor(a)
    after, spikes, saturated, wrapped = dynamics.step(arithmetic.arrive(arriving), before, own, o)
    columns = [*after, spikes, saturated, wrapped | arithmetic.wraps_arriving(arriving)]
    rows: list[list[int]] = torch.stack([x.expand(a.shape).to(torch.int64) for x in columns], dim=1).tolist()
    return rows


@cache
def compiled_step() -> Any:
    """The step as kernels have it, for single numbers."""
    numba = pytest.importorskip("numba")
    from neurosam.backends.event.runtime.jit import formulas

    above, at = (numba.njit(rule) for rule in (lambda v, bar: (v > bar) * 1, lambda v, bar: (v >= bar) * 1))
    return numba.njit(dynamics.bind(**{**vars(formulas), "fire": above, "fire_at": at}))


def on_compiled(a: npt.NDArray[np.int64], state: Columns, p: Parameters, o: Switches) -> list[list[int]]:
    return one_by_one(compiled_step(), a, state, p, o)


@pytest.mark.parametrize("carrier", [on_ints, on_arrays, on_tensors, on_compiled])
@given(seed=st.integers(0, 2**32 - 1))
def test_any_step_is_the_listing(carrier: Any, seed: int) -> None:
    neuron, precision, a, state = drawn(seed)
    parameters, switches = dynamics.resolve(neuron, precision)
    assert carrier(a, state, parameters, switches) == listing(neuron, precision, a, state)


def test_the_drawn_steps_reach_every_option() -> None:
    """A neuron of each reset, timing and comparison fires; membranes are clipped, sums wrap, periods are waited for."""
    reached = set[str]()
    for seed in range(200):
        neuron, precision, a, state = drawn(seed)
        rows = np.array(listing(neuron, precision, a, state))
        if (rows[:, 5] > 0).sum() > 3:
            reached |= {neuron.reset, neuron.reset_timing, neuron.fires, "many" if rows[:, 5].max() > 9 else "few"}
            reached |= {"bound"} if neuron.lower_bound_64ths is not None else set()
            reached |= {"adapted"} if neuron.reset == "subtract" and neuron.reset_amount_64ths is None else set()
        counts = {"saturated": rows[:, 6], "wrapped": rows[:, 7], "waiting": state["wait"] > 0}
        counts["risen"] = rows[:, 3] == STATE_MAX
        reached |= {name for name, count in counts.items() if count.sum() > 3}
    assert reached >= {"zero", "subtract", "value", "none", "relative", "now", "next", "both", "above", "at", "many"}
    assert reached >= {"few", "bound", "adapted", "saturated", "wrapped", "waiting", "risen"}


@given(seed=st.integers(0, 2**32 - 1))
def test_any_step_of_floats_is_the_listing(seed: int) -> None:
    """Bit for bit, since a step has an order of operations; that of the reference back end."""
    torch = pytest.importorskip("torch")
    from neurosam.backends.reference.neurons import Neurons

    rng = np.random.default_rng(seed)
    network, _ = options_case(rng, fixed=False)
    population = next(p for p in network.populations if isinstance(p.neuron, LIF))
    neuron, size = population.neuron, (1, *as_sizes(population.shape))
    assert isinstance(neuron, LIF)
    count = size[1] * size[2]
    scale = float(np.max(neuron.threshold))
    state = {
        "u": rng.normal(0.0, scale, count) * (neuron.current_leak is not None),
        "v": rng.normal(0.0, scale, count),
        "wait": rng.integers(0, 3, count) * (neuron.refractory > 0),
        "h": rng.uniform(0.0, scale, count) * (neuron.threshold_leak is not None),
        "r": rng.uniform(0.0, scale, count) * (neuron.reset == "relative"),
    }
    lives = [Life(*values) for values in zip(*(state[name].tolist() for name in NeuronState._fields), strict=True)]
    held = {name: values.reshape(1, *population.shape) for name, values in state.items()}
    arriving = rng.normal(0.2 * scale, scale, count)
    own = Neurons(neuron, None, held, size, torch.device("cpu"), torch.float64)
    got = own.step(torch.tensor(arriving).reshape(size), 0).to(torch.float64).flatten().tolist()
    for k, cell in enumerate(cells(neuron, None, population.shape)):
        cell.gain, cell.offset = cell.gain[:1], cell.offset[:1]
        assert float_neuron(cell, lives[k], 0, float(arriving[k])) == got[k]
    for name in NeuronState._fields:
        after = getattr(own.state, name).flatten().tolist()
        assert after == [getattr(life, name) for life in lives], name


def as_sizes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels and pixels."""
    return shape[0], int(np.prod(shape[1:]))
