"""What a file keeps beside its network, as ``neurosam info`` prints it: metadata and the quantisation report."""

from __future__ import annotations

import json
from typing import Any

from neurosam.cli.common import say
from neurosam.cli.quantisation import show_quantisation
from neurosam.deploy.kept_report import KEY, kept_report, summary
from neurosam.errors import FormatError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons

__all__ = ["as_document", "show_metadata"]


def show_metadata(network: Network, full: bool) -> None:
    """Print the metadata, a line each; long ones are cut unless `full`, and the report is a table only then."""
    for key, value in network.metadata.items():
        if key != KEY:
            shown = value if full or len(value) <= 100 else value[:97] + "..."
            say(f"{key}: {shown}".replace("\n", "\\n"))  # a value is no line of its own
    try:
        report = kept_report(network)
    except FormatError as error:
        say(f"warning: {error}")
        return
    if report is not None and full:
        show_quantisation(report)
    elif report is not None:
        say(f"quantisation: {summary(report)} (--full shows layers)")


def as_document(network: Network) -> dict[str, Any]:
    """A network's shape and all that is kept with it, for JSON.

    Raises
    ------
    FormatError
        If its quantisation report is none.
    """
    precision = network.precision
    report = None if kept_report(network) is None else json.loads(network.metadata[KEY])
    return {
        "precision": None if precision is None else {"name": precision.name, "weight_bits": precision.weight_bits},
        "populations": [
            {
                "name": p.name, "shape": list(p.shape), "neurons": neurons(p.shape),
                "neuron": None if p.neuron is None else type(p.neuron).__name__,
            }
            for p in network.populations
        ],
        "projections": [
            {
                "source": p.source, "target": p.target, "synapse": type(p.synapse).__name__,
                "weights": list(p.synapse.weight.shape), "delay": p.delay,
            }
            for p in network.projections
        ],
        "outputs": dict(network.answers),
        "metadata": {key: value for key, value in network.metadata.items() if key != KEY},
        "quantisation": report,
    }  # fmt: skip
