"""``neurosam info NETWORK --chip NAME``: what fits a chip, said by a package that knows chips.

This package knows none. An entry point of the group ``neurosam.rules`` is a function

    show(network, name, chip, as_json)

that prints which of the chip's limits the network called `name` breaks. The first in alphabetical order is used.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from neurosam.errors import BackendError
from neurosam.network.network import Network

__all__ = ["GROUP", "show_fit"]

GROUP = "neurosam.rules"


def show_fit(network: Network, name: str, chip: str, as_json: bool) -> None:
    """Print what of the network fits the chip.

    Raises
    ------
    BackendError
        If no installed package knows chips.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    if not points:
        raise BackendError("--chip", f"needs a package that knows chips (entry point {GROUP!r}); none is installed")
    points[0].load()(network, name, chip, as_json)
