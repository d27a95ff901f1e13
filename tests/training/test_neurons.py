"""LIF layers against a slow and obvious simulation, and their gradients against the chain rule by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from neurosam.errors import NetworkError
from neurosam.training import LIF, FastSigmoid, PiecewiseLinear, Readout, Surrogate, fire

Array = npt.NDArray[np.float64]
ORDERS = ("integrate_first", "fire_first")
RESETS = ("subtract", "zero")


def drive(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.8 + 0.3


def simulate(x: Array, lif: dict[str, Any]) -> tuple[Array, Array]:
    """One neuron at a time, one Python float at a time. Not intended to be performant."""
    spikes, membrane = np.zeros_like(x), np.zeros_like(x)
    for index in np.ndindex(x.shape[1:]):

        def of(name: str, channel: int = index[1]) -> float:
            value = lif[name]
            return float(value if np.ndim(value) == 0 else value[channel])

        v = u = 0.0
        for t in range(len(x)):
            i = float(x[(t, *index)])
            if lif.get("current_leak") is not None:
                u = of("current_leak") * u + i
                i = u
            amount = of("reset_amount") if lif.get("reset_amount") is not None else of("threshold")
            if lif["order"] == "fire_first":
                s = v > of("threshold")
                if lif["reset"] == "zero":
                    v = (0.0 if s else of("leak") * v) + i
                else:
                    v = of("leak") * v + i
                    v = v - amount if s else v
            else:
                v = of("leak") * v + i
                s = v > of("threshold")
                if s:
                    v = 0.0 if lif["reset"] == "zero" else v - amount
            spikes[(t, *index)], membrane[(t, *index)] = s, v
    return spikes, membrane


@pytest.mark.parametrize(("order", "reset"), list(itertools.product(ORDERS, RESETS)))
@pytest.mark.parametrize(
    "constants",
    [
        {"leak": 0.9, "threshold": 1.0},
        {"leak": 0.7, "threshold": 0.6, "current_leak": 0.35},
        {
            "leak": np.array([0.0, 0.5, 1.0]),
            "threshold": np.array([0.3, 1.0, 2.1]),
            "current_leak": np.array([0.9, 0.0, 1.0]),
        },
    ],
    ids=["scalar", "current", "per-channel"],
)
@pytest.mark.parametrize("shape", [(12, 2, 3, 4, 3), (1, 1, 3), (7, 1, 3, 2)], ids=str)
def test_every_bit_is_that_of_the_simulation(
    order: str, reset: str, constants: dict[str, Any], shape: tuple[int, ...]
) -> None:
    x = drive(*shape)
    spikes, membrane = LIF(**constants, order=order, reset=reset).with_membrane(x)
    wanted_spikes, wanted_membrane = simulate(x.numpy(), {**constants, "order": order, "reset": reset})
    np.testing.assert_array_equal(spikes.numpy(), wanted_spikes)
    np.testing.assert_array_equal(membrane.numpy(), wanted_membrane)
    assert shape[0] == 1 or 0 < spikes.mean() < 1
    with_gradient = LIF(**constants, order=order, reset=reset)(x.requires_grad_())  # allocates different buffers
    assert torch.equal(with_gradient, spikes)


@pytest.mark.parametrize("order", ORDERS)
def test_reset_amount_is_what_a_spike_subtracts(order: str) -> None:
    x = drive(9, 2, 3)
    constants: dict[str, Any] = {
        "leak": 0.9,
        "threshold": 1.0,
        "reset_amount": np.array([0.4, 1.0, 1.0 / 0.9]),
        "order": order,
    }
    spikes, membrane = LIF(**constants).with_membrane(x)
    wanted_spikes, wanted_membrane = simulate(x.numpy(), {**constants, "reset": "subtract"})
    np.testing.assert_array_equal(spikes.numpy(), wanted_spikes)
    np.testing.assert_array_equal(membrane.numpy(), wanted_membrane)


def test_fire_first_is_one_step_late_with_the_reset_after_the_leak() -> None:
    x = drive(20, 4, 3)
    late = LIF(leak=0.8, order="fire_first")(x)
    early = LIF(leak=0.8, reset_amount=1.0 / 0.8)(x)
    assert torch.equal(late[1:], early[:-1])
    assert not late[0].any()


def test_a_membrane_at_the_threshold_is_silent() -> None:
    x = torch.tensor([1.0, math.nextafter(1.0, 2.0)], dtype=torch.float64).reshape(1, 1, 2)
    assert LIF(threshold=1.0)(x).tolist() == [[[0.0, 1.0]]]


def test_constants_stay_in_float64_when_the_module_is_cast() -> None:
    x = drive(10, 1, 2)
    once = LIF(leak=np.array([0.9, 0.3])).with_membrane(x)[1]
    assert torch.equal(LIF(leak=np.array([0.9, 0.3])).float().double().with_membrane(x)[1], once)
    assert not LIF(leak=np.array([0.9])).state_dict()


def test_channels_last_input_changes_nothing() -> None:
    x = drive(6, 4, 3, 5, 5)
    last = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (6, 4))
    assert torch.equal(LIF(leak=np.array([0.9, 0.5, 0.1]))(last), LIF(leak=np.array([0.9, 0.5, 0.1]))(x))


@pytest.mark.parametrize("threshold", [0.5, 1.0, 3.0])
def test_surrogates_are_their_formulas(threshold: float) -> None:
    v = torch.linspace(-2 * threshold, 4 * threshold, 301, dtype=torch.float64)
    triangle = [0.3 * max(0.0, 1 - abs(u - threshold) / threshold) for u in v.tolist()]
    sigmoid = [1 / (1 + 25 * abs(u - threshold)) ** 2 for u in v.tolist()]
    for surrogate, wanted in ((PiecewiseLinear(), triangle), (FastSigmoid(), sigmoid)):
        leaf = v.clone().requires_grad_()
        spikes = fire(leaf, threshold, surrogate)
        assert torch.equal(spikes, (v > threshold).double())
        spikes.backward(torch.full_like(v, 2.0))
        assert leaf.grad is not None
        np.testing.assert_allclose(leaf.grad.numpy(), 2 * np.array(wanted), rtol=1e-12, atol=1e-15)


def naive(x: Tensor, c: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The same neuron with one autograd node per operation."""
    v = torch.zeros_like(x[0])
    u = torch.zeros_like(x[0])
    spikes, membrane = [], []
    for x_t in x:
        i = x_t
        if c["current_leak"] is not None:
            u = c["current_leak"] * u + x_t
            i = u
        v = v if c["order"] == "fire_first" else c["leak"] * v + i
        s = fire(v, c["threshold"], c["surrogate"])
        hold = s.detach() if c["detach_reset"] else s
        if c["order"] == "fire_first":
            v = c["leak"] * v * (1 - hold) + i if c["reset"] == "zero" else c["leak"] * v + i - c["threshold"] * hold
        else:
            v = v * (1 - hold) if c["reset"] == "zero" else v - c["threshold"] * hold
        spikes.append(s)
        membrane.append(v)
    return torch.stack(spikes), torch.stack(membrane)


@pytest.mark.parametrize(("order", "reset"), list(itertools.product(ORDERS, RESETS)))
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("current_leak", [None, 0.6])
@pytest.mark.parametrize("surrogate", [PiecewiseLinear(0.8), FastSigmoid(2.0)], ids=["linear", "sigmoid"])
def test_gradient_is_that_of_autograd(
    order: str, reset: str, detach_reset: bool, current_leak: float | None, surrogate: Surrogate
) -> None:
    constants: dict[str, Any] = {
        "leak": 0.85,
        "threshold": 0.9,
        "order": order,
        "reset": reset,
        "detach_reset": detach_reset,
        "current_leak": current_leak,
        "surrogate": surrogate,
    }
    grads = []
    weight = drive(2, 9, 3, 4, seed=1)
    for run in (LIF(**constants).with_membrane, lambda x: naive(x, constants)):
        x = drive(9, 3, 4).requires_grad_()
        spikes, membrane = run(x)
        ((weight[0] * spikes).sum() + (weight[1] * membrane).sum()).backward()
        only_spikes = drive(9, 3, 4).requires_grad_()
        (weight[0] * run(only_spikes)[0]).sum().backward()
        assert x.grad is not None
        assert only_spikes.grad is not None
        grads.append(torch.stack([x.grad, only_spikes.grad]))
    assert grads[0].abs().min(dim=0).values.max() > 0
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-12, atol=1e-14)


def test_gradient_through_time_by_hand() -> None:
    """L = sum_t g_t s_t, reset detached: dL/dx_t = sum over t' >= t of leak^(t' - t) sigma'(p_t') g_t'."""
    x = drive(8, 1, 1).requires_grad_()
    g = drive(8, 1, 1, seed=3)
    spikes, after = LIF(leak=0.75, surrogate=PiecewiseLinear(0.3)).with_membrane(x)
    (g * spikes).sum().backward()
    p = (after + spikes).detach().flatten().tolist()  # the membranes before the reset by 1
    slope = [0.3 * max(0.0, 1 - abs(v - 1)) for v in p]
    wanted = [sum(0.75 ** (k - t) * slope[k] * float(g[k]) for k in range(t, 8)) for t in range(8)]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.flatten().numpy(), wanted, rtol=1e-12)


def test_readout_adds_in_the_order_of_the_steps() -> None:
    x = drive(13, 2, 5)
    total = np.zeros((2, 5))
    for step in x.numpy():
        total = total + step
    np.testing.assert_array_equal(Readout("sum")(x).numpy(), total)
    np.testing.assert_array_equal(Readout()(x).numpy(), total / 13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"leak": 1.1}, r"LIF: leak: got .*; allowed is in \[0, 1\]"),
        ({"leak": [0.5, math.nan]}, "LIF: leak: got 1 value"),
        ({"threshold": 0.0}, "LIF: threshold: .* above 0"),
        ({"reset": "none"}, "LIF: reset: got 'none'; allowed is 'subtract' or 'zero'"),
        ({"order": "late"}, "LIF: order: got 'late'"),
        ({"reset": "zero", "reset_amount": 1.0}, "LIF: reset_amount: given with reset"),
        ({"current_leak": -0.1}, "LIF: current_leak"),
    ],
)
def test_constants_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        LIF(**arguments)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 2), r"\(3, 2\); floating point \[T, B, C"),
        (torch.zeros(0, 2, 3), "T >= 1"),
        (torch.zeros(3, 2, 3, dtype=torch.int64), "int64"),
        (torch.zeros(3, 2, 4), "LIF: leak: got 3 values for 4 channels"),
    ],
)
def test_input_that_does_not_fit_is_refused(x: Tensor, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        LIF(leak=[0.1, 0.2, 0.3])(x)


@pytest.mark.parametrize("make", [lambda: PiecewiseLinear(0.0), lambda: FastSigmoid(math.inf), lambda: Readout("max")])
def test_other_values_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(NetworkError):
        make()


def test_readout_wants_three_axes() -> None:
    with pytest.raises(NetworkError, match=r"Readout: got \(3, 2, 4, 1\)"):
        Readout()(torch.zeros(3, 2, 4, 1))
