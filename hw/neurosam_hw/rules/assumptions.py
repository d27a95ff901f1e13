"""What is assumed of a network and a chip, since neither says: to be told with every mapping and every cost."""

from __future__ import annotations

from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d
from neurosam_hw.chips.chip import Chip

__all__ = ["assumptions"]

SHARING = ("noc.shared_weights", "noc.population_axons")
"""A kernel is stored once only if the chip has both."""


def assumptions(network: Network, chip: Chip) -> tuple[str, ...]:
    """What is assumed, a sentence each.

    Parameters
    ----------
    network : Network
    chip : Chip

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.rules import assumptions
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 4, 4)), ns.Population("out", (1, 2, 2), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Conv2d(np.ones((1, 1, 3, 3), np.int8)))],
    ... )
    >>> assumptions(net, load_chip("loihi1"))
    ()
    >>> assumptions(net, load_chip("loihi2"))[0].partition(":")[0]
    'noc.shared_weights is unknown'
    """
    return (*_float(network), *_unshared(network, chip))


def _float(network: Network) -> tuple[str, ...]:
    if network.fixed:
        return ()
    return ("a float network: its weights and states are assumed to be quantised (neurosam export)",)


def _unshared(network: Network, chip: Chip) -> tuple[str, ...]:
    """Kernels are stored once only where the chip is known to; where that is unknown, and not ruled out, it is told."""
    if not any(isinstance(projection.synapse, Conv2d) for projection in network.projections):
        return ()
    figures = [chip.figure(name) for name in SHARING]
    unknown = [figure.name for figure in figures if figure.name in chip.figures and not figure.known]
    if not unknown or any(figure.value is False for figure in figures):
        return ()
    be = "is" if len(unknown) == 1 else "are"
    return (
        f"{' and '.join(unknown)} {be} unknown: every synapse of a convolution is taken to be stored on its own, which "
        "can take more cores than shared kernels do",
    )
