"""How often neurons fire, as the mappers count it: in whole numbers, so that sums do not depend on their order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.recording import Recording
from neurosam_hw.errors import MappingError

__all__ = ["recorded_rates", "whole_rates"]

LARGEST = 2**20
"""The highest rate, where rates are no whole numbers: a rate is then exact to a millionth of it."""


def whole_rates(network: Network, rates: Mapping[str, npt.ArrayLike] | None) -> dict[str, npt.NDArray[np.int64]]:
    """Rates by population as whole numbers, flat; those of populations that are not given are left out.

    Parameters
    ----------
    network : Network
    rates : mapping of str to array
        Spikes of each neuron, by population, of the population's shape or flat, >= 0, in any unit that all share:
        spikes of a run, or averages.

    Raises
    ------
    MappingError
        If a population is not the network's, or its rates are of another shape, negative or not finite.

    Examples
    --------
    >>> from neurosam_hw.mappers.rates import whole_rates
    >>> net = ns.Network(
    ...     [ns.Population("in", (3,)), ns.Population("out", (1,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense([[1.0, 1.0, 1.0]]))],
    ... )
    >>> whole_rates(net, {"in": [0, 7, 1]}), whole_rates(net, {"in": [0.0, 0.5, 0.125]})
    ({'in': array([0, 7, 1])}, {'in': array([      0, 1048576,  262144])})
    """
    found: dict[str, npt.NDArray[np.float64]] = {}
    for name, given in (rates or {}).items():
        values = np.asarray(given)
        size, where = neurons(network[name].shape), f"rates of {name!r}"
        if values.dtype.kind not in "fiub" or values.size != size:
            raise MappingError(where, f"got {values.size} of dtype {values.dtype}; {size} numbers are required")
        found[name] = values.astype(np.float64).reshape(size)
        if not np.isfinite(found[name]).all() or (found[name] < 0).any():
            raise MappingError(where, "all must be finite and at least 0")
    highest = max((float(values.max(initial=0)) for values in found.values()), default=0.0)
    whole = highest < 2**31 and all((values == np.rint(values)).all() for values in found.values())
    scale = 1.0 if whole else LARGEST / highest
    return {name: np.rint(values * scale).astype(np.int64) for name, values in found.items()}


def recorded_rates(network: Network, recording: Recording) -> dict[str, npt.NDArray[np.float64]]:
    """Spikes of each neuron in a run, flat, by population: all that fire.

    Where spikes were counted but not recorded, as those of inputs, the neurons of a population share them as evenly as
    whole numbers can.

    Raises
    ------
    MappingError
        If the recording is of another network, or a population that fires was not counted in it.

    Examples
    --------
    >>> from neurosam_hw.mappers.rates import recorded_rates
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (2,), ns.LIF(leak=0.5, threshold=0.9))],
    ...     [ns.Projection("in", "out", ns.Dense([[1.0, 0.0], [0.0, 1.0]]))],
    ... )
    >>> events = ns.Events.from_dense(np.array([[[1, 0]], [[1, 0]], [[1, 1]]]))
    >>> recorded_rates(net, ns.run(net, events, record=ns.Record(spikes=("out",))))
    {'in': array([2., 2.]), 'out': array([3., 1.])}
    """
    found = {}
    for population in network.populations:
        name, size = population.name, neurons(population.shape)
        if not population.fires:
            continue
        if name in recording.spikes:
            spikes = recording.spikes[name]
            if spikes.shape != population.shape:
                raise MappingError(
                    "recording",
                    f"is of another network: {name!r} has the shape {spikes.shape} there, {population.shape} here",
                )
            total = np.zeros(population.shape, dtype=np.float64)
            for sample in range(recording.samples):
                total += spikes.select(sample, sample + 1).dense().sum(axis=(0, 1))
            found[name] = total.reshape(size)
        elif name in recording.counts:
            each, rest = divmod(int(recording.counts[name].sum()), size)
            found[name] = np.where(np.arange(size) < rest, each + 1.0, each)
        else:
            raise MappingError("recording", f"is of another network: it has no spikes of {name!r}, which fires here")
    return found
