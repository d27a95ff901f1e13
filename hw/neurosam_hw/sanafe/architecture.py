"""SANA-FE's description of the chip, from the figures of a chip file.

Every core has an axon in and out, a synapse unit for each kind of synapse, an accumulating dendrite without a cost, the
LIF, and inputs. An input unit of SANA-FE sends one train of spikes, whatever it is mapped to, so there is one for each
input neuron of a core; inputs have no soma to pay for, their packets cost what others' do.

Figures that a chip states in another way (cost/terms.py) mean here

    synaptic_operation    each kind of synapse
    neuron_update_inactive, _active    an access, and an update for what the active one takes more; a spike adds nothing
    spike_in_tile    an axon out; an axon in adds nothing
    hop    in every direction
"""

from __future__ import annotations

from neurosam.errors import ExportError
from neurosam_hw.chips.chip import Chip
from neurosam_hw.cost.terms import terms
from neurosam_hw.mapping.reach import KINDS

__all__ = ["architecture", "check_chip", "number"]

SECTIONS = (("energy", "energy"), ("latency", "time"))
"""SANA-FE's word and ours."""
CAUSES = ("synapses", "neurons", "packets", "hops")
NEEDED = (
    "limits.neurons_per_core", "noc.mesh_width", "noc.mesh_height", "noc.cores_per_tile", "sync.barrier",
    "sync.barrier_tiles",
)  # fmt: skip
SOMA = ("access_neuron", "update_neuron", "spike_out")
HOPS = {"north": "north_south", "east": "east_west", "south": "north_south", "west": "east_west"}
LINK_BUFFER = 16
"""Messages that a link holds in SANA-FE's detailed timing; its own file of Loihi says 16."""

Prices = dict[str, float]


def number(chip: Chip, name: str) -> float:
    """A figure that has one value, in its base unit."""
    figure = chip.figure(name)
    value = figure.value_si
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExportError(f"chip {chip.name}: {name}", f"got {figure.value_text}; SANA-FE needs one number")
    return value


def check_chip(chip: Chip) -> None:
    """Refuse a chip without the figures that SANA-FE needs.

    Raises
    ------
    ExportError
        With the names of all that are missing.
    """
    priced = [term.figure for _, section in SECTIONS for term in terms(chip, section, CAUSES)]
    needed = dict.fromkeys([*map(chip.figure, NEEDED), *priced])
    if missing := [figure.name for figure in needed if not figure.known]:
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
    prices = [_prices(chip, section) for _, section in SECTIONS]
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
        *(f"        {cost}" for side in HOPS for cost in _costs(prices, f"{side}_hop")),
        "      core:",
        f"        - name: core[0..{int(number(chip, 'noc.cores_per_tile')) - 1}]",
        "          attributes:",
        "            buffer_position: soma",
        "            buffer_inside_unit: false",
        f"            max_neurons_supported: {int(number(chip, 'limits.neurons_per_core'))}",
        "          axon_in:",
        *_unit("axon_in", "", _costs(prices, "message_in")),
        "          synapse:",
        *(line for kind in KINDS for line in _unit(kind, "current_based", _process(prices, kind))),
        "          dendrite:",
        *_unit("dendrite", "accumulator", ["energy_update: 0.0", "latency_update: 0.0"]),
        "          soma:",
        *_unit("lif", "leaky_integrate_fire", _costs(prices, *SOMA)),
        *_inputs(inputs),
        "          axon_out:",
        *_unit("axon_out", "", _costs(prices, "message_out")),
    ]
    return "\n".join(lines) + "\n"


def _barrier(chip: Chip) -> str:
    """Seconds by number of tiles in use: a step function there too."""
    times, tiles = (chip.figure(f"sync.{name}").value_si for name in ("barrier", "barrier_tiles"))
    if not isinstance(times, tuple) or not isinstance(tiles, tuple) or len(times) != len(tiles):
        raise ExportError(f"chip {chip.name}: sync.barrier", "must be a list, with as many numbers in barrier_tiles")
    return ", ".join(f"{int(number_of_tiles)}: {time!r}" for number_of_tiles, time in zip(tiles, times, strict=True))


def _prices(chip: Chip, section: str) -> Prices:
    """Energies or times by SANA-FE's names; of synapses by their kind."""
    of = {term.count: number(chip, term.figure.name) for term in terms(chip, section, CAUSES)}
    idle = of.get("idle", 0.0)
    found = {
        "access_neuron": of.get("neuron_steps", idle),
        "update_neuron": of["active"] - idle,
        "spike_out": of.get("spikes", 0.0),
        "message_out": of["packets"] if "packets" in of else of["in_tile"],
        "message_in": of.get("messages", 0.0),
    }
    found |= {f"{side}_hop": of[f"hops_{axis}"] if "hops" not in of else of["hops"] for side, axis in HOPS.items()}
    return found | {kind: of[f"deliveries_{kind}"] if "deliveries" not in of else of["deliveries"] for kind in KINDS}


def _costs(prices: list[Prices], *names: str) -> list[str]:
    """Energy in joules and latency in seconds."""
    words = [theirs for theirs, _ in SECTIONS]
    return [f"{word}_{name}: {of[name]!r}" for name in names for word, of in zip(words, prices, strict=True)]


def _process(prices: list[Prices], kind: str) -> list[str]:
    """Costs of a synapse."""
    return [line.replace(kind, "process_spike") for line in _costs(prices, kind)]


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
    free = [f"{cost}_{name}: 0.0" for name in SOMA for cost, _ in SECTIONS]
    return _unit(f"input[0..{count - 1}]", "input", free) if count else []
