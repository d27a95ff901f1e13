"""Neurons of a network as fields of a NIR node: the inverse of Euler's rule (equations.py), with the step dt.

    leak l < 1            LIF or LI     tau = dt / (1 - l),  r = gain / (1 - l)
    with a current a      CubaLIF, CubaLI   tau_mem, r of the same form without the gain; tau_syn = dt / (1 - a),
                                            w_in = gain / (1 - a)
    leak 1                IF or I       r = gain / dt
    fires="at"            the threshold is the next float below, above which lies exactly what is at least the threshold

A constant is the bias of the first affine node in front (the drive of a current: of ``offset`` alone), divided by the
gain; where that is not by channel, or belongs to the membrane behind a current, it is ``v_leak = bias / (1 - l)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import ExportError
from neurosam.network.elements import Population
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Shape

__all__ = ["Written", "written"]

Values = npt.NDArray[np.float64]

REFUSED = {
    "lower_bound": (None, "a lower bound of the membrane"),
    "refractory": (0, "a refractory period"),
    "threshold_leak": (None, "an adaptive threshold"),
    "max_spikes": (1, "several spikes per step"),
}
"""Options of a LIF that no NIR node has."""


@dataclass(frozen=True)
class Written:
    """A node of neurons.

    Parameters
    ----------
    kind : str
        Type of the node.
    fields : dict of str to array
        Each of the population's shape.
    drive : (C,) array or None
        Constant for the affine node in front.
    """

    kind: str
    fields: dict[str, Values]
    drive: Values | None


def written(population: Population, dt: float) -> Written:
    """The node of a population's neurons.

    Raises
    ------
    ExportError
        For what NIR cannot hold, with the population and the option.
    """
    neuron, shape = population.neuron, population.shape
    where = f"population {population.name!r}"
    if not isinstance(neuron, (LIF, Readout)):
        raise ExportError(where, "has integer neurons; NIR holds floats. Save the network it was quantised from")
    if getattr(population, "pool", None) is not None:
        raise ExportError(where, "takes the maximum of sums; NIR has no max pooling. Use average pooling")
    if np.any(neuron.initial_membrane) or np.any(neuron.initial_current):
        raise ExportError(where, "starts with a membrane or current other than 0; in NIR all start at 0")
    gain, offset, fields = np.ones(1), np.zeros(1), {}
    if isinstance(neuron, LIF):
        fields = _firing(neuron, where)
        if neuron.gain is not None and neuron.offset is not None:
            if neuron.gain.shape[0] > 1:
                raise ExportError(
                    where, "has tables of gain and offset by step (BNTT); NIR has constant neurons. Fold them"
                )
            gain, offset = neuron.gain[0], neuron.offset[0]
            if not gain.all():
                raise ExportError(where, "has a gain of 0, by which no bias can be divided; leave the channel out")
    leak, current = np.asarray(neuron.leak), neuron.current_leak
    whole = leak == 1.0
    if (current is not None and (np.any(current == 1.0) or whole.any())) or (whole.any() and not whole.all()):
        raise ExportError(where, "has a leak of 1 in some neurons or beside a current; NIR has no time constant for it")
    bias = np.asarray(neuron.bias)
    drive, rest = (offset, bias) if current is not None else _sum(offset, bias)
    if rest.any() and whole.all():
        raise ExportError(where, "has a bias per neuron and a leak of 1; NIR's IF has none. Use a bias by channel")
    kept = 1 - leak
    spread = _Spread(shape)
    fires = isinstance(neuron, LIF)
    if current is not None:
        lost = 1 - np.asarray(current)
        fields |= {"tau_syn": dt / lost, "tau_mem": dt / kept, "r": 1 / kept, "w_in": spread.row(gain) / spread(lost)}
        fields["v_leak"] = rest / kept
        kind = "CubaLIF" if fires else "CubaLI"
    elif whole.all():
        fields |= {"r": gain / dt}
        kind = "IF" if fires else "I"
    else:
        fields |= {"tau": dt / kept, "r": spread.row(gain) / spread(kept), "v_leak": rest / kept}
        kind = "LIF" if fires else "LI"
    given = np.broadcast_to(drive / gain, (shape[0],)) if drive.any() else None
    return Written(kind, {name: spread(value) for name, value in fields.items()}, given)


def _firing(neuron: LIF, where: str) -> dict[str, Any]:
    """Threshold and reset."""
    for option, (absent, phrase) in REFUSED.items():
        if getattr(neuron, option) != absent:
            raise ExportError(where, f"has {phrase}, which NIR cannot hold")
    if neuron.reset not in ("zero", "value") or neuron.reset_timing != "now":
        raise ExportError(
            where,
            f"has reset {neuron.reset!r} ({neuron.reset_timing!r}); NIR resets to a value in the same step. Give "
            "reset='zero' (--reset zero) to write it so, and compare both networks: spikes change",
        )
    threshold = np.asarray(neuron.threshold)
    below = np.nextafter(threshold, -np.inf) if neuron.fires == "at" else threshold
    reset = np.zeros(1) if neuron.reset_value is None else neuron.reset_value
    return {"v_threshold": below, "v_reset": reset}


def _sum(offset: Values, bias: Values) -> tuple[Values, Values]:
    """Constants without a current: for the drive where they are by channel, else for the membrane."""
    return (offset + bias, np.zeros(1)) if bias.ndim < 2 else (offset, bias)


class _Spread:
    """Values of any form, for each neuron of a shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __call__(self, value: Any) -> Values:
        array = np.asarray(value, dtype=np.float64)
        return np.array(np.broadcast_to(self.row(array) if array.ndim == 1 else array, self.shape))

    def row(self, value: Values) -> Values:
        """One value per channel, so that it broadcasts."""
        return value[:, None, None] if len(self.shape) == 3 else value
