"""SANA-FE's description of the chip, from the figures of a chip file.

Every core has an axon in and out, a synapse unit for each kind of synapse, an accumulating dendrite without a cost, the
LIF, and inputs. An input unit of SANA-FE sends one train of spikes, whatever it is mapped to, so there is one for each
input neuron of a core; inputs have no soma to pay for, their packets cost what others' do.
"""

from __future__ import annotations

from neurosam.errors import ExportError
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.reach import KINDS

__all__ = ["architecture", "check_chip", "number"]

SOMA = {"access_neuron": "neuron_access", "update_neuron": "neuron_update", "spike_out": "spike"}
HOPS = {"north": "hop_north_south", "east": "hop_east_west", "south": "hop_north_south", "west": "hop_east_west"}
COSTS = (*SOMA.values(), "axon_in", "axon_out", *HOPS.values(), *(f"synapse_{kind}" for kind in KINDS))
LIMITS = ("limits.neurons_per_core", "noc.mesh_width", "noc.mesh_height", "noc.cores_per_tile")
BARRIER = ("sync.barrier", "sync.barrier_tiles")
NEEDED = (*LIMITS, *BARRIER, *(f"{section}.{cost}" for section in ("energy", "time") for cost in dict.fromkeys(COSTS)))
LINK_BUFFER = 16
"""Messages that a link holds in SANA-FE's detailed timing; its own file of Loihi says 16."""


def number(chip: Chip, name: str) -> float:
    """A figure that has one value, in its base unit."""
    value = chip.figure(name).value_si
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExportError(f"chip {chip.name}: {name}", "must be one number; SANA-FE has no other")
    return value


def check_chip(chip: Chip) -> None:
    """Refuse a chip without the figures that SANA-FE needs.

    Raises
    ------
    ExportError
        With the names of all that are missing.
    """
    if missing := [name for name in NEEDED if not chip.figure(name).known]:
        raise ExportError(
            f"chip {chip.name}",
            f"has no {', '.join(missing)}, which SANA-FE needs; take sanafe-loihi, or a chip file that has them",
        )


def architecture(chip: Chip, inputs: int) -> str:
    """The text of ``arch.yaml``.

    Parameters
    ----------
    chip : Chip
    inputs : int
        Most input neurons on a core.
    """
    width, height = (int(number(chip, f"noc.mesh_{side}")) for side in ("width", "height"))
    lines = [
        "architecture:",
        f"  name: {chip.name}",
        "  attributes:",
        "    topology: mesh",
        f"    width: {width}",
        f"    height: {height}",
        f"    link_buffer_size: {LINK_BUFFER}",
        "    sync_model: table",
        f"    latency_sync: {{ {_barrier(chip)} }}",
        "  tile:",
        f"    - name: tile[0..{width * height - 1}]",
        "      attributes:",
        *(f"        {cost}" for side, hop in HOPS.items() for cost in _costs(chip, {f"{side}_hop": hop})),
        "      core:",
        f"        - name: core[0..{int(number(chip, 'noc.cores_per_tile')) - 1}]",
        "          attributes:",
        "            buffer_position: soma",
        "            buffer_inside_unit: false",
        f"            max_neurons_supported: {int(number(chip, 'limits.neurons_per_core'))}",
        "          axon_in:",
        *_unit("axon_in", "", _costs(chip, {"message_in": "axon_in"})),
        "          synapse:",
        *(
            line
            for kind in KINDS
            for line in _unit(kind, "current_based", _costs(chip, {"process_spike": f"synapse_{kind}"}))
        ),
        "          dendrite:",
        *_unit("dendrite", "accumulator", ["energy_update: 0.0", "latency_update: 0.0"]),
        "          soma:",
        *_unit("lif", "leaky_integrate_fire", _costs(chip, SOMA)),
        *_inputs(inputs),
        "          axon_out:",
        *_unit("axon_out", "", _costs(chip, {"message_out": "axon_out"})),
    ]
    return "\n".join(lines) + "\n"


def _barrier(chip: Chip) -> str:
    """Seconds by number of tiles in use: a step function there too."""
    times, tiles = (chip.figure(name).value_si for name in BARRIER)
    if not isinstance(times, tuple) or not isinstance(tiles, tuple) or len(times) != len(tiles):
        raise ExportError(f"chip {chip.name}: sync.barrier", "must be a list, with as many numbers in barrier_tiles")
    return ", ".join(f"{int(number_of_tiles)}: {time!r}" for number_of_tiles, time in zip(tiles, times, strict=True))


def _costs(chip: Chip, names: dict[str, str]) -> list[str]:
    """Energy in joules and latency in seconds, by SANA-FE's names and ours."""
    sections = (("energy", "energy"), ("latency", "time"))
    return [
        f"{theirs}_{name}: {number(chip, f'{ours}.{key}')!r}"
        for name, key in names.items()
        for theirs, ours in sections
    ]


def _unit(name: str, model: str, costs: list[str]) -> list[str]:
    """A unit of a core."""
    content = [f"model: {model}"] * bool(model) + costs
    return [
        f"            - name: {name}",
        "              attributes:",
        *(f"                {line}" for line in content),
    ]


def _inputs(count: int) -> list[str]:
    """Units that send the input."""
    free = [f"{cost}_{name}: 0.0" for name in SOMA for cost in ("energy", "latency")]
    return _unit(f"input[0..{count - 1}]", "input", free) if count else []
