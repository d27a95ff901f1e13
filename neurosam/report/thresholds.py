"""The threshold of an adaptive neuron at each step, which follows from its spikes alone.

What a membrane is compared with is ``threshold + h + r`` (network/dynamics.py), where the rise ``h`` and the relative
reset ``r`` grow with spikes and decay. So the step of a neuron is computed again with the recorded spikes in place of
the comparison, and a membrane of 0; what it would have compared is the answer.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.dynamics import RELATIVE, NeuronState, Parameters, bind_reals, resolve, step
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision

__all__ = ["moves", "thresholds"]


def moves(neuron: LIF | FixedLIF) -> bool:
    """Whether spikes raise the threshold."""
    switches = resolve(neuron, None)[1]
    return switches.adaptive or switches.reset == RELATIVE


def thresholds(neuron: LIF | FixedLIF, precision: Precision | None, spikes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What the membrane was compared with at each step.

    Parameters
    ----------
    neuron : LIF or FixedLIF
    precision : Precision, optional
        Of an integer neuron.
    spikes : (T, C, H, W) or (T, N) int array
        How often each neuron fired.

    Returns
    -------
    (T, C, H, W) or (T, N) array
        In the unit of the membranes: int64, or float64.

    Examples
    --------
    A threshold that a spike raises by 1, of which half is left after a step:

    >>> from neurosam.report.thresholds import thresholds
    >>> neuron = ns.LIF(leak=0.9, threshold=1.0, threshold_leak=0.5, threshold_step=1.0)
    >>> thresholds(neuron, None, np.array([[0], [1], [0], [0]])).ravel()
    array([1.  , 1.  , 1.5 , 1.25])
    """
    p, switches = resolve(neuron, precision)
    shape = spikes.shape[1:]
    p = Parameters(*(_spread(value, shape) for value in p))._replace(bias=0)
    zero = np.zeros(shape, dtype=np.int64 if isinstance(neuron, FixedLIF) else np.float64)
    state = NeuronState(zero, zero, np.zeros(shape, dtype=np.int64), zero, zero)
    out: list[npt.NDArray[Any]] = []
    compared: list[npt.NDArray[Any]] = []
    fired = np.asarray(spikes, dtype=np.int64)

    def fire(level: Any, theta: Any, *_: Any) -> Any:
        compared.append(theta - level)
        return fired[len(out)]

    names = dict.fromkeys(("fire", "fire_at", "spikes_above", "spikes_at"), fire)
    base: Any = step
    if isinstance(neuron, LIF):
        base = bind_reals(np.where, np.maximum, np.ceil, np.floor, np.clip)
    replay = FunctionType(base.__code__, {**base.__globals__, **names}, "step", base.__defaults__)
    for _ in fired:
        state = replay(zero, state, p, switches)[0]._replace(u=zero, v=zero)
        out.append(np.broadcast_to(compared.pop(), shape))
    return np.stack(out)


def _spread(value: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A parameter for each neuron, or one for all; values of channels reach all neurons of theirs."""
    array = np.asarray(value)
    return array.reshape(-1, *[1] * (len(shape) - 1)) if array.ndim == 1 else array
