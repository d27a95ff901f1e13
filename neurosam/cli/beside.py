"""What ``neurosam explain`` sets beside a network's maps: another network's, and how well maps meet exact masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam.cli.common import network_in
from neurosam.errors import NetworkError
from neurosam.explain.localisation import baselines, localisation
from neurosam.explain.maps import aggregate
from neurosam.network.network import Network
from neurosam.report.model import Table
from neurosam.report.tables import comparison_table, difference_table
from neurosam.signals.recording import Recording

__all__ = ["beside_network", "beside_tables", "localisation_table", "names_of"]


def beside_network(file: Path, network: Network, layers: tuple[str, ...]) -> Network:
    """The network to set beside another.

    Raises
    ------
    NetworkError
        If its input, output, or one of the layers has another name or shape.
    """
    other = network_in(file)
    for population in (*network.inputs, *(network[name] for name in layers), network[network.output]):
        name, shape = population.name, population.shape
        found = next((p.shape for p in other.populations if p.name == name), None)
        if found != shape:
            held = "has none of that name" if found is None else f"has the shape {found} there"
            raise NetworkError(f"--beside {file}: {name!r}", f"{held}; {shape} is required, as in the network")
    return other


def names_of(network: Network, file: Path, other: Network, other_file: Path) -> tuple[str, str]:
    """Both networks in a few words: by precision, or by their files if that is the same."""
    kinds = ["float64" if n.precision is None else f"{n.precision.weight_bits} bits" for n in (network, other)]
    if kinds[0] != kinds[1]:
        return kinds[0], kinds[1]
    return f"{file.name}, {kinds[0]}", f"{other_file.name}, {kinds[1]}"


def beside_tables(
    name: str, recording: Recording, other_name: str, other: Recording, labels: npt.NDArray[np.int64] | None
) -> list[Table]:
    """Accuracy and agreement, and how far the maps are apart."""
    note = f"on the same {recording.samples} samples"
    both = {other_name: other.predictions, name: recording.predictions}
    return [comparison_table(both, labels, note), difference_table(recording, other, other_name)]


def localisation_table(recording: Recording, images: npt.NDArray[np.uint8], masks: npt.NDArray[np.bool_]) -> Table:
    """Where the maps point, against exact masks."""
    maps = {f"SAM {name}": aggregate(x) for name, x in recording.sam.items()} | baselines(images)
    rows = [
        (name, f"{scores['mass_inside']:.1%}", f"{scores['pointing_game']:.1%}")
        for name, scores in localisation(maps, masks).items()
    ]
    note = "share inside the exact mask; the rows below SAM are baselines"
    return Table("localisation", ("map", "mass inside", "pointing game"), rows, note)
