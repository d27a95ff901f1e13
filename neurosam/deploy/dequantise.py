"""A fixed-point network in floats again: the values that its integers stand for, in a network of the float kind.

With the unit ``q`` of a population (quantise.py), the inverse of each formula of quantise.py and fixed_neuron.py:

    weight      m 2^e q                                bias          mantissa 2^exponent q / 2^6
    threshold   theta q                                gain          g / 2^shift
    leak        1 - (decay + offset) / 4096            in 64ths      x q / 2^6      (reset amount, offset)

The result has the rounded parameters but not the integer rule (truncated decays, saturation), so populations of the two
networks can be exchanged: :func:`hybrid` takes some from one and the rest from the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.deploy.units import per_neuron, per_weight
from neurosam.errors import NetworkError
from neurosam.network.elements import Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision

__all__ = ["dequantise", "hybrid"]


def dequantise(network: Network, fixed: Network, units: Mapping[str, Any]) -> Network:
    """The float network whose parameters are exactly those of `fixed`.

    Parameters
    ----------
    network : Network
        The float network that `fixed` was made from; gives what quantisation does not change.
    fixed : Network
        Of the same populations and projections.
    units : mapping of str to float or (C,) array
        Float value of an input of integer 1, by population, or one per channel
        (:attr:`~neurosam.deploy.quantisation_report.PopulationReport.unit_by_channel`).

    Raises
    ------
    NetworkError
        If the networks do not correspond, or a unit is missing.

    Examples
    --------
    >>> from neurosam.deploy.dequantise import dequantise
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.9, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5, -0.37]]))],
    ... )
    >>> fixed, report = ns.quantise(network, ns.Precision.lava(4))
    >>> rounded = dequantise(network, fixed, {row.population: row.unit for row in report.populations})
    >>> rounded.projections[0].synapse.weight.round(3), round(float(rounded["out"].neuron.leak), 4)
    (array([[ 0.5  , -0.357]]), 0.8999)
    """
    names = [p.name for p in network.populations]
    labels = [p.label for p in network.projections]
    if network.fixed or not fixed.fixed or fixed.precision is None:
        raise NetworkError("dequantise", "a float network and its fixed-point form are required, in this order")
    if names != [p.name for p in fixed.populations] or labels != [p.label for p in fixed.projections]:
        raise NetworkError("dequantise", "the networks have different populations or projections")
    if missing := [p.name for p in network.populations if p.neuron is not None and p.name not in units]:
        raise NetworkError("dequantise: units", f"lack {missing[0]!r}; each population with neurons has one")
    populations = [
        p if p.neuron is None else replace(p, neuron=_neuron(p.neuron, f.neuron, units[p.name], fixed.precision))
        for p, f in zip(network.populations, fixed.populations, strict=True)
    ]
    projections = [
        _projection(p, f, units[p.target]) for p, f in zip(network.projections, fixed.projections, strict=True)
    ]
    return replace(network, populations=populations, projections=projections)


def hybrid(network: Network, other: Network, names: Collection[str]) -> Network:
    """`network` with some populations of `other`: their neurons and all projections that lead to them.

    Parameters
    ----------
    network, other : Network
        Two float networks of the same populations and projections.
    names : collection of str
        Populations to take from `other`.

    Examples
    --------
    >>> from neurosam.deploy.dequantise import hybrid
    >>> def network(weight):
    ...     return ns.Network(
    ...         [
    ...             ns.Population("in", (1,)),
    ...             ns.Population("a", (1,), ns.LIF(leak=0.9, threshold=1.0)),
    ...             ns.Population("b", (1,), ns.LIF(leak=0.9, threshold=1.0)),
    ...         ],
    ...         [ns.Projection("in", "a", ns.Dense([[weight]])), ns.Projection("a", "b", ns.Dense([[weight]]))],
    ...     )
    >>> mixed = hybrid(network(1.0), network(2.0), ["b"])
    >>> [float(p.synapse.weight[0, 0]) for p in mixed.projections]
    [1.0, 2.0]
    """
    if unknown := set(names) - {p.name for p in other.populations}:
        raise NetworkError(
            "hybrid", f"got {min(unknown)!r}; populations are {', '.join(p.name for p in other.populations)}"
        )
    return replace(
        network,
        populations=[o if o.name in names else p for p, o in zip(network.populations, other.populations, strict=True)],
        projections=[
            o if o.target in names else p for p, o in zip(network.projections, other.projections, strict=True)
        ],
    )


def _projection(projection: Projection, fixed: Projection, unit: Any) -> Projection:
    weight = fixed.synapse.weight * (per_weight(np.asarray(unit), fixed.synapse) * 2.0**fixed.exponent)
    return replace(projection, synapse=replace(projection.synapse, weight=weight))


def _neuron(neuron: Neuron, fixed: Neuron | None, unit: Any, precision: Precision) -> Neuron:
    """The float neuron with the rounded parameters; settings without a unit stay."""
    values: dict[str, Any] = {}

    def real(whole: Any) -> Any:
        return whole * (per_neuron(unit, np.ndim(whole)) / (1 << FRACTION_BITS))

    if isinstance(fixed, (FixedLIF, FixedReadout)):
        values["bias"] = real(fixed.bias_mantissa * 2.0**fixed.bias_exponent)
        if fixed.membrane_decay is not None:
            values["leak"] = _leak(fixed.membrane_decay, precision.membrane_decay_offset)
        if fixed.current_decay is not None:
            values["current_leak"] = _leak(fixed.current_decay, precision.current_decay_offset)
        values |= {name: real(getattr(fixed, f"{name}_64ths")) for name in ("initial_membrane", "initial_current")}
    if isinstance(fixed, FixedLIF) and isinstance(neuron, LIF):
        values["threshold"] = real(fixed.threshold << FRACTION_BITS)
        for name in ("reset_amount", "reset_value", "lower_bound", "threshold_step", "offset"):
            whole = getattr(fixed, f"{name}_64ths")
            values[name] = None if whole is None else real(whole)
        for name, decay in (("threshold_leak", fixed.threshold_decay), ("relative_leak", fixed.relative_decay)):
            values[name] = None if decay is None else _leak(decay, 0)
        if fixed.gain is not None:
            values["gain"] = fixed.gain / 2.0**fixed.gain_shift
    return replace(neuron, **values)


def _leak(decay: Any, offset: int) -> Any:
    return np.asarray(DECAY_ONE - decay - offset) / DECAY_ONE
