"""What an inference costs, as tables of the page that ``neurosam explain --chip`` writes (entry point neurosam.tables).

A network that breaks a rule of the chip is costed all the same, and every heading says "what if".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neurosam.network.network import Network
from neurosam.report.model import Cell, Table
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam_hw.chips.load import load_chip
from neurosam_hw.cost.batches import batches
from neurosam_hw.cost.inference import Cost, Meter
from neurosam_hw.cost.tables import cores_text, energy_table, layer_table, summary
from neurosam_hw.cost.verdict import verdict
from neurosam_hw.mappers.build import map_network

__all__ = ["tables"]


def tables(network: Network, chip: str, inputs: Mapping[str, Events]) -> list[Table]:
    """Run a network on some inputs, and tell what one of them costs.

    Parameters
    ----------
    network : Network
    chip : str
        Name of a chip, or the path of a chip file.
    inputs : mapping of str to Events

    Returns
    -------
    list of Table
        The result, energy by cause, figures with their sources, and layers.
    """
    mapping = map_network(network, load_chip(chip))
    meter = Meter(mapping)
    for recording, part in batches(mapping, Inputs.of(network, inputs)):
        meter.add(recording, part)
    cost = meter.cost(verdict(mapping, what_if=True))
    return [_result(cost), energy_table(cost), _figures(cost), layer_table(cost)]


def _result(cost: Cost) -> Table:
    rows: list[Sequence[Cell]] = [(item.what, item.value, item.remark) for item in summary(cost)]
    note = f"{cores_text(cost.mapping)}, {cost.samples} samples x {cost.steps} steps"
    heading = f"An inference on {cost.mapping.chip.title}" + (f" ({cost.verdict.mark})" if cost.label else "")
    return Table(heading, ("what", "value", "standing"), rows, note)


def _figures(cost: Cost) -> Table:
    """Every figure that the energy is made of, by where it comes from."""
    by_source: dict[tuple[str, str, str], list[str]] = {}
    for figure in {line.figure.name: line.figure for line in cost.energy.lines}.values():
        source = ", ".join(filter(None, (figure.source, figure.locator)))
        name = figure.name.rpartition(".")[2].replace("_", " ")
        by_source.setdefault((figure.standing, source, figure.conditions), []).append(f"{name} {figure.value_text}")
    rows: list[Sequence[Cell]] = [
        ("; ".join(names), standing, source or None, conditions or None)
        for (standing, source, conditions), names in by_source.items()
    ]
    columns = ("energy of each", "standing", "source", "conditions")
    return Table("Figures of the chip", columns, rows, "what each thing draws, and where that is said")
