"""Torch modules that process all time steps: leaky integrate-and-fire layers and the readout.

Tensors are ``[T, B, C, ...]``: step, sample, channel (or unit), then space. The state is zero at the start of every
call, so samples and calls are independent. With ``order="integrate_first"`` (the default), a step is

    v_t = lambda v_(t-1) + x_t;    s_t = [v_t > theta];    v_t <- v_t - R s_t  ("subtract")  or  0 where s_t  ("zero")

and with ``order="fire_first"`` it is the paper's Eq. 2-3, which compare the previous membrane and so add a delay of one
step:

    s_t = [v_(t-1) > theta];    v_t = lambda v_(t-1) + x_t - R s_t          or  lambda v_(t-1) (1 - s_t) + x_t

bptt.py has the equations with a synaptic current, and the gradients. Membrane, threshold, reset amount and input have
the same unit.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 2-3; readout: same, section "Overall optimization".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam._util.arguments import choice, reals
from neurosam.errors import NetworkError
from neurosam.training.bptt import Dynamics, run_chain, run_chain_with_membrane
from neurosam.training.surrogate import PiecewiseLinear, Surrogate

__all__ = ["LIF", "Readout", "Temporal"]

_Constant = float | npt.NDArray[np.float64]


class Temporal(nn.Module, ABC):
    """A layer that processes all steps at once, ``[T, B, C, ...]``; other layers act on each step separately."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map ``[T, B, C, ...]`` to the output of the layer."""


class LIF(Temporal):
    """A layer of leaky integrate-and-fire neurons.

    Parameters
    ----------
    leak : float or (C,) array
        Retained fraction of the membrane from step to step, in [0, 1] (the paper's lambda).
    threshold : float or (C,) array
        Above 0; a neuron fires if its membrane is strictly above it.
    reset : {"subtract", "zero"}
        Effect of a spike on the membrane.
    reset_amount : float or (C,) array, optional
        Subtracted after a spike, above 0; `threshold` if None. Only with ``reset="subtract"``.
    order : {"integrate_first", "fire_first"}
        Whether the membrane of this step or that of the previous step is compared with the threshold.
    current_leak : float or (C,) array, optional
        Retained fraction of the synaptic current, in [0, 1]; None for neurons without a current.
    detach_reset : bool
        Whether to exclude the reset from the gradient, as in the paper.
    surrogate : Surrogate
        Derivative of a spike in the backward pass.

    Raises
    ------
    NetworkError
        For a value outside its range.

    Notes
    -----
    The constants are not trained and not part of the state dict. They are float64 whatever the dtype of the module, so
    ``module.double()`` computes with 0.9 and not with the nearest float32.

    Examples
    --------
    >>> layer = LIF(leak=0.5, threshold=1.0)
    >>> layer(torch.full((4, 1, 1), 0.75)).flatten().tolist()  # membranes 0.75, 1.125, 0.8125, 1.15625
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(
        self,
        leak: float | npt.ArrayLike = 0.9,
        threshold: float | npt.ArrayLike = 1.0,
        *,
        reset: str = "subtract",
        reset_amount: float | npt.ArrayLike | None = None,
        order: str = "integrate_first",
        current_leak: float | npt.ArrayLike | None = None,
        detach_reset: bool = True,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__()
        self.reset = choice("LIF: reset", reset, ("subtract", "zero"))
        self.order = choice("LIF: order", order, ("integrate_first", "fire_first"))
        if self.reset == "zero" and reset_amount is not None:
            raise NetworkError("LIF: reset_amount", 'given with reset="zero"; it belongs to reset="subtract"')
        self.leak = _constant("LIF: leak", leak, low=0.0, high=1.0)
        self.threshold = _constant("LIF: threshold", threshold, above=0.0)
        amount = self.threshold if reset_amount is None else _constant("LIF: reset_amount", reset_amount, above=0.0)
        self.reset_amount = amount if self.reset == "subtract" else None
        self.current_leak = _optional("LIF: current_leak", current_leak, low=0.0, high=1.0)
        self.detach_reset = detach_reset
        self.surrogate = PiecewiseLinear() if surrogate is None else surrogate

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of all steps.

        Parameters
        ----------
        x : Tensor
            Weighted input, ``[T, B, C, ...]``, floating point, T >= 1.

        Returns
        -------
        Tensor
            0 or 1, shape and dtype of `x`.

        Raises
        ------
        NetworkError
            If `x` has too few axes, or its number of channels differs from that of a constant given per channel.
        """
        return run_chain(x, self._dynamics(x))

    def with_membrane(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes as from ``forward``, and the membrane at the end of each step (after the reset), in the same shape."""
        return run_chain_with_membrane(x, self._dynamics(x))

    def extra_repr(self) -> str:
        """Return the constructor parameters."""
        return (
            f"leak={_show(self.leak)}, threshold={_show(self.threshold)}, reset={self.reset!r}, "
            f"reset_amount={_show(self.reset_amount)}, order={self.order!r}, current_leak={_show(self.current_leak)}, "
            f"detach_reset={self.detach_reset}, surrogate={self.surrogate!r}"
        )

    def _dynamics(self, x: Tensor) -> Dynamics:
        if x.ndim < 3 or x.shape[0] == 0 or not x.is_floating_point():
            got = f"{x.dtype} {tuple(x.shape)}"
            raise NetworkError("LIF", f"got {got}; floating point [T, B, C, ...] with T >= 1 is required")
        return Dynamics(
            leak=_broadcast("LIF: leak", self.leak, x),
            current_leak=None if self.current_leak is None else _broadcast("LIF: current_leak", self.current_leak, x),
            threshold=_broadcast("LIF: threshold", self.threshold, x),
            reset_amount=None if self.reset_amount is None else _broadcast("LIF: reset_amount", self.reset_amount, x),
            fire_first=self.order == "fire_first",
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
        )


class Readout(Temporal):
    """Neurons that integrate without leak and never fire; their last membrane is the output.

    Parameters
    ----------
    scale : {"mean", "sum"}
        Whether to divide the sum over steps by their number, as in the paper. The predicted class is the same; the
        readout of a back end is the sum.

    Examples
    --------
    >>> Readout()(torch.tensor([[[1.0, 0.0]], [[3.0, 1.0]]])).tolist()
    [[2.0, 0.5]]
    """

    def __init__(self, scale: str = "mean") -> None:
        super().__init__()
        self.scale = choice("Readout: scale", scale, ("mean", "sum"))

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, K]`` to ``[B, K]``; steps are added one after the other.

        Raises
        ------
        NetworkError
            If `x` does not have three axes.
        """
        if x.ndim != 3 or x.shape[0] == 0:
            raise NetworkError("Readout", f"got {tuple(x.shape)}; [T, B, K] with T >= 1 is required")
        total = x[0]
        for step in x[1:]:  # not x.sum(0), whose order of additions is not specified: float64 back ends must agree
            total = total + step
        return total / x.shape[0] if self.scale == "mean" else total

    def extra_repr(self) -> str:
        """Return the scale."""
        return f"scale={self.scale!r}"


def _constant(where: str, value: npt.ArrayLike, **limits: Any) -> _Constant:
    array = reals(where, value, ndim=(0, 1), **limits)
    return array if array.ndim else float(array)


def _optional(where: str, value: npt.ArrayLike | None, **limits: Any) -> _Constant | None:
    return None if value is None else _constant(where, value, **limits)


def _broadcast(where: str, value: _Constant, x: Tensor) -> float | Tensor:
    """The constant in a shape that broadcasts against one step ``[B, C, ...]``."""
    if isinstance(value, float):
        return value
    if len(value) != x.shape[2]:
        raise NetworkError(where, f"got {len(value)} values for {x.shape[2]} channels; one per channel is required")
    return torch.tensor(value, dtype=x.dtype, device=x.device).reshape(-1, *(1,) * (x.ndim - 3))


def _show(value: _Constant | None) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)
