"""What a population's integers can reach, proven from weights and parameters: where nothing has to be counted.

With ``A`` the largest sum of one step (:func:`~neurosam.network.validation.accumulator_bound`), all in membrane units:

    input      I = 2^6 A, then max|gain| I / 2^shift + max|offset| + 1         (with tables)
    current    U = max(I, |u0|) / (1 - factor_u / 4096)                        (U = I without a current)
    membrane   V = max(U + |bias|, |v0|, what a reset can leave) / (1 - factor_v / 4096)

since a decay never lengthens. If ``I < 2^31`` and ``U < 2^23``, no sum wraps; if ``V < 2^23`` too, no membrane
saturates. Neurons that keep all of their membrane have no bound here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.network.dynamics import SUBTRACT, VALUE, resolve
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network

__all__ = ["Proven", "largest_input", "proven"]


class Proven(NamedTuple):
    """What can be proven of a population: that no sum wraps around, and that no membrane saturates."""

    no_wrap: bool
    no_saturation: bool


def proven(network: Network, name: str) -> Proven:
    """What can be proven of a population of a fixed-point network, for any input and any length of run.

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedLIF(410, 64))],
    ...     projections=[ns.Projection("in", "out", ns.Dense(np.array([[100, -27]])))],
    ... )
    >>> from neurosam.network.bounds import proven
    >>> proven(net, "out")
    Proven(no_wrap=True, no_saturation=True)
    """
    neuron = network[name].neuron
    if neuron is None or network.precision is None:
        return Proven(True, True)
    p, o = resolve(neuron, network.precision)
    before, after = _inputs(network, name)
    current = _accumulated(max(after, _initial(neuron, "current")), p.factor_u) if o.current else after
    no_wrap = max(before, after) < 2**31 and current < STATE_MAX + 1
    left = max(_most(p.bias) + current, _initial(neuron, "membrane"))
    if o.reset == VALUE:
        left = max(left, _most(p.amount))
    if o.reset == SUBTRACT and not o.adapted:
        if o.delayed:
            return Proven(no_wrap, False)
        left = max(left, _most(_by_neuron(p.amount) - _by_neuron(p.threshold)))
    return Proven(no_wrap, no_wrap and _accumulated(left, p.factor_v) < STATE_MAX + 1)


def largest_input(network: Network, name: str) -> float:
    """Largest magnitude of a population's input before and after its tables, in membrane units; 0 for floats."""
    return max(_inputs(network, name)) if network.fixed else 0.0


def _inputs(network: Network, name: str) -> tuple[float, float]:
    """The same, before and after tables."""
    neuron = network[name].neuron
    before = float(network.accumulator_bound(name) << FRACTION_BITS)
    if not isinstance(neuron, FixedLIF) or neuron.gain is None:
        return before, before
    return before, before * _most(neuron.gain) / 2**neuron.gain_shift + _most(neuron.offset_64ths) + 1


def _by_neuron(parameter: Any) -> npt.NDArray[Any]:
    """A parameter as an array that broadcasts to ``(C, H, W)``."""
    values = np.asarray(parameter)
    return values.reshape(-1, 1, 1) if values.ndim == 1 else values


def _most(value: Any) -> float:
    return float(np.abs(np.asarray(value, dtype=np.float64)).max(initial=0.0))


def _initial(neuron: Any, state: str) -> float:
    return _most(getattr(neuron, f"initial_{state}_64ths"))


def _accumulated(added: float, factor: Any) -> float:
    """What a state can reach to which at most `added` is added in each step."""
    kept = float(np.max(np.asarray(factor))) / DECAY_ONE
    return added / (1.0 - kept) if kept < 1.0 else float("inf")
