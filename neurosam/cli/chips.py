"""``--chip NAME``: what a network is on a chip, said by a package that knows chips. This package knows none.

    neurosam info NETWORK --chip      group neurosam.rules     show(network, name, chip, as_json)
    neurosam explain ... --chip       group neurosam.tables    tables(network, chip, inputs) -> list of Table
    neurosam sweep, column chip       group neurosam.energies  energy(network, chip, inputs) -> mapping

An entry point of these groups is such a function. The first prints which of the chip's limits the network called `name`
breaks; the second returns tables for a page, with the source and standing of every figure; the third the energy and
latency of an inference (energy_j, latency_s, None where the figures do not say), and both in words (cost). Of several,
the first in alphabetical order is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from neurosam.errors import BackendError
from neurosam.network.network import Network
from neurosam.report.model import Table
from neurosam.signals.events import Events

__all__ = ["ENERGIES", "GROUP", "TABLES", "chip_tables", "energy", "show_fit"]

GROUP, TABLES, ENERGIES = "neurosam.rules", "neurosam.tables", "neurosam.energies"


def show_fit(network: Network, name: str, chip: str, as_json: bool) -> None:
    """Print what of the network fits the chip.

    Raises
    ------
    BackendError
        If no installed package knows chips.
    """
    _first(GROUP)(network, name, chip, as_json)


def chip_tables(network: Network, chip: str, inputs: Mapping[str, Events]) -> list[Table]:
    """What an inference on these inputs costs on the chip.

    Raises
    ------
    BackendError
        If no installed package knows chips.
    """
    return list(_first(TABLES)(network, chip, inputs))


def energy() -> Any:
    """The function that says what an inference costs on a chip (:data:`neurosam.sweep.measures.Energy`).

    Raises
    ------
    BackendError
        If no installed package knows chips.
    """
    return _first(ENERGIES)


def _first(group: str) -> Any:
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    if not points:
        raise BackendError("--chip", f"needs a package that knows chips (entry point {group!r}); none is installed")
    return points[0].load()
