"""All steps of a layer of LIF neurons as one differentiable operation (backpropagation through time).

For each neuron: input x_t, current u_t, drive i_t, membrane v_t at the end of step t, spike s_t; retained fractions
lambda (of the membrane) and mu (of the current), threshold theta, reset amount R. The state before the first step is 0.

    drive             i_t = x_t            or, with a current,  u_t = mu u_(t-1) + x_t,  i_t = u_t

    integrate_first   p_t = lambda v_(t-1) + i_t
                      s_t = [p_t > theta]
                      v_t = p_t - R s_t                    (reset "subtract")
                      v_t = p_t (1 - s_t)                  (reset "zero")

    fire_first        s_t = [v_(t-1) > theta]
                      v_t = lambda v_(t-1) + i_t - R s_t          (reset "subtract")
                      v_t = lambda v_(t-1) (1 - s_t) + i_t        (reset "zero")

Every product and every sum is rounded separately, from left to right as written, without fused multiply-add and without
reordering. Any other program that does the same obtains the same float64 bits.

The backward pass is the chain rule through these equations, with ds/dp from the surrogate. It stores spikes and
membranes once; one autograd node per operation would store much more.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 2-3 (`fire_first`) and Eq. 5-8 (backpropagation through time).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurosam.training.surrogate import Surrogate

__all__ = ["Dynamics", "run_chain", "run_chain_with_membrane"]


@dataclass(frozen=True)
class Dynamics:
    """The constants of a layer: floats, or tensors ``[C, 1, ...]`` that broadcast against a step ``[B, C, ...]``."""

    leak: float | Tensor
    current_leak: float | Tensor | None
    threshold: float | Tensor
    reset_amount: float | Tensor | None
    """None for a reset to zero."""
    fire_first: bool
    detach_reset: bool
    surrogate: Surrogate


def run_chain(x: Tensor, dynamics: Dynamics) -> Tensor:
    """Spikes of a layer over all steps.

    Parameters
    ----------
    x : Tensor
        Weighted input, ``[T, B, C, ...]``, floating point.
    dynamics : Dynamics
        Constants of the layer; they receive no gradient.

    Returns
    -------
    Tensor
        0 or 1, shape and dtype of `x`.
    """
    spikes: Tensor = _Chain.apply(x, dynamics, False)[0]  # type: ignore[no-untyped-call]
    return spikes


def run_chain_with_membrane(x: Tensor, dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Spikes as from :func:`run_chain`, and v_t at the end of each step (after the reset), both in the shape of `x`."""
    spikes, membrane = _Chain.apply(x, dynamics, True)  # type: ignore[no-untyped-call]
    return spikes, membrane


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, d: Dynamics, membrane: bool) -> tuple[Tensor, Tensor | None]:
        spikes = torch.empty_like(x)
        compared = torch.empty_like(x) if ctx.needs_input_grad[0] else None  # membranes compared with the threshold
        states = torch.empty_like(x) if membrane else None
        state = torch.zeros_like(x[0])
        current = torch.zeros_like(x[0]) if d.current_leak is not None else None
        for t, drive in enumerate(x):
            spike = spikes[t]
            if current is not None and d.current_leak is not None:
                drive = current.mul_(d.current_leak).add_(drive)
            candidate = state if compared is None else compared[t]
            if d.fire_first:
                candidate.copy_(state)
                torch.gt(candidate, d.threshold, out=spike)
                state.mul_(d.leak)
                if d.reset_amount is None:
                    state.sub_(state * spike).add_(drive)  # v - v * 1 is 0 and v - v * 0 is v, exactly
                else:
                    state.add_(drive).sub_(spike * d.reset_amount)
            else:
                torch.mul(state, d.leak, out=candidate).add_(drive)
                torch.gt(candidate, d.threshold, out=spike)
                torch.sub(candidate, spike * (candidate if d.reset_amount is None else d.reset_amount), out=state)
            if states is not None:
                states[t].copy_(state)
        ctx.dynamics = d
        ctx.save_for_backward(compared, spikes)
        ctx.set_materialize_grads(False)
        return spikes, states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor | None, grad_states: Tensor | None) -> tuple[Tensor | None, None, None]:
        compared, spikes = ctx.saved_tensors
        d: Dynamics = ctx.dynamics
        if grad_spikes is None and grad_states is None:
            return None, None, None
        grad_x = torch.empty_like(spikes)
        carry = torch.zeros_like(spikes[0])  # dL/dv_t, from the steps after t
        grad_current = torch.zeros_like(carry) if d.current_leak is not None else None
        for t in reversed(range(len(spikes))):
            if grad_states is not None:
                carry.add_(grad_states[t])
            if d.fire_first:
                _into_input(carry, grad_x[t], grad_current, d)
            grad_spike = _into_spike(carry, compared[t], None if grad_spikes is None else grad_spikes[t], d)
            _past_reset(carry, spikes[t], d)
            if d.fire_first:
                carry.mul_(d.leak)
            if grad_spike is not None:
                carry.addcmul_(grad_spike, d.surrogate.derivative(compared[t], d.threshold))
            if not d.fire_first:
                _into_input(carry, grad_x[t], grad_current, d)
                carry.mul_(d.leak)
        return grad_x, None, None


def _into_spike(grad_state: Tensor, compared: Tensor, grad_spike: Tensor | None, d: Dynamics) -> Tensor | None:
    """dL/ds_t: from the layers above and, unless detached, through the reset. None stands for zero."""
    if d.detach_reset:
        return grad_spike
    if d.reset_amount is not None:
        subtracted = d.reset_amount
    else:
        subtracted = compared * d.leak if d.fire_first else compared
    through_reset = -grad_state * subtracted
    return through_reset if grad_spike is None else through_reset + grad_spike


def _past_reset(grad_state: Tensor, spike: Tensor, d: Dynamics) -> None:
    """Carry dL/dv back through the reset, in place; no gradient passes a reset to zero."""
    if d.reset_amount is None:
        grad_state.sub_(grad_state * spike)


def _into_input(grad_drive: Tensor, grad_x: Tensor, grad_current: Tensor | None, d: Dynamics) -> None:
    """Write dL/dx_t and, for neurons with a current, carry dL/du_t back to the previous step."""
    if grad_current is None or d.current_leak is None:
        grad_x.copy_(grad_drive)
    else:
        grad_x.copy_(grad_current.add_(grad_drive))
        grad_current.mul_(d.current_leak)
