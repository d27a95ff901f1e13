"""A small stand-in for SANA-FE: reads arch.yaml, snn.yaml and plan.json as text, and simulates in floats.

What it does was read in SANA-FE's source (2.2.9, src/models.cpp and chip.cpp) and is held to SANA-FE itself by
benchmarks/sana-fe/compare.py; so the suite needs neither SANA-FE nor a YAML reader. Neurons one by one, no arrays.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Neuron", "chip_of", "network_of", "simulate"]

ATTRIBUTE = re.compile(r"(\w+): ('[^']*'|\[[^\]]*\]|[^,\]]+)")
EDGE = re.compile(r"    - (\S+) -> (\S+): \[weight: (\S+)\]")

Row = dict[str, float]


@dataclass
class Neuron:
    """A neuron of snn.yaml, its place, and its state."""

    attributes: dict[str, Any]
    synapse: str
    core: tuple[int, int] = (0, 0)
    edges: list[tuple[str, float]] = field(default_factory=list)
    v: float = 0.0
    arrived: float | None = None
    wait: int = 0


def network_of(text: str) -> dict[str, Neuron]:
    """Neurons by address, ``group.number``."""
    found: dict[str, Neuron] = {}
    group, part = "", ""
    common: dict[str, Any] = {}
    for line in text.splitlines():
        if re.fullmatch(r" {0,2}\w+:", line):
            part = line.strip(" :")
        elif part == "groups" and line.startswith("    - name: "):
            group, common = line.removeprefix("    - name: "), {}
        elif part == "groups" and re.match(r"        - \w+: \S+$", line):
            common |= _attributes(line)
        elif part == "groups" and (match := re.match(r"        - ([\d.]+): \[(.*)\]$", line)):
            attributes = common | _attributes(match[2])
            found |= {f"{group}.{i}": Neuron(attributes, attributes["synapse_hw_name"]) for i in _range(match[1])}
        elif part == "edges" and (match := EDGE.fullmatch(line)):
            found[match[1]].edges.append((match[2], float(match[3])))
        elif part == "mappings" and (match := re.fullmatch(r"  - ([\w-]+)\.([\d.]+): \[core: (\d+)\.(\d+)\]", line)):
            for i in _range(match[2]):
                found[f"{match[1]}.{i}"].core = int(match[3]), int(match[4])
        elif not re.fullmatch(r" {6}\w+:|  name: \w+", line):
            raise ValueError(f"not understood in {part}: {line}")
    return found


def _attributes(text: str) -> dict[str, Any]:
    values = {}
    for name, value in ATTRIBUTE.findall(text):
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def _range(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def chip_of(text: str) -> dict[str, Row]:
    """Numbers of each unit of arch.yaml by its name; the mesh's are those of ``chip``, the barrier of ``barrier``."""
    units: dict[str, Row] = {"chip": {}}
    unit = "chip"
    for line in text.splitlines():
        if match := re.match(r" +- name: (\S+)", line):
            unit = match[1].split("[")[0]
            units[unit] = {}
        elif match := re.match(r" +latency_sync: \{ (.*) \}", line):
            pairs = (item.split(": ") for item in match[1].split(", "))
            units["barrier"] = {tiles: float(time) for tiles, time in pairs}
        elif match := re.fullmatch(r" +(\w+): ([\d.e+-]+)", line):
            units[unit][match[1]] = float(match[2])
    return units


def simulate(folder: Path) -> None:
    """Run what was exported, and write spikes.csv and perf.csv."""
    plan = json.loads((folder / "plan.json").read_text())
    chip = chip_of((folder / "arch.yaml").read_text())
    neurons = network_of((folder / "snn.yaml").read_text())
    _check_inputs(neurons, (folder / "arch.yaml").read_text())
    spikes, perf = ["neuron,timestep"], []
    for step in range(plan["steps"]):
        for group in plan["groups"]:
            if group["start"] == step:
                for first, stop, bias in group["late_bias"]:
                    for i in range(first, stop):
                        neurons[f"{group['name']}.{i}"].attributes["bias"] = bias
        states = {address: _update(neuron, step) for address, neuron in neurons.items()}
        fired = [address for address, state in states.items() if state == "fired"]
        spikes += [f"{address},{step + 1}" for address in fired]
        for address in fired:
            for target, weight in neurons[address].edges:
                neurons[target].arrived = (neurons[target].arrived or 0.0) + weight
        perf.append({"timestep": step + 1, **_costs(chip, neurons, states)})
    (folder / "spikes.csv").write_text("\n".join(spikes) + "\n")
    rows = [",".join(perf[0]), *(",".join(repr(value) for value in row.values()) for row in perf)]
    (folder / "perf.csv").write_text("\n".join(rows) + "\n")


def _check_inputs(neurons: dict[str, Neuron], arch: str) -> None:
    """An input unit plays one train for all that is mapped to it, so each neuron of a core needs one of its own."""
    units = int(next(iter(re.findall(r"name: input\[0\.\.(\d+)\]", arch)), -1)) + 1
    taken = [(n.core, n.attributes["soma_hw_name"]) for n in neurons.values() if "spikes" in n.attributes]
    if len(set(taken)) != len(taken) or not {unit for _, unit in taken} <= {f"input[{i}]" for i in range(units)}:
        raise ValueError(f"{len(taken)} inputs on {len(set(taken))} of {units} units a core")


def _update(neuron: Neuron, step: int) -> str:
    """LoihiLifModel::update and InputModel::update."""
    a = neuron.attributes
    if a["soma_hw_name"].startswith("input"):
        return "fired" if step < len(a["spikes"]) and a["spikes"][step] else "idle"
    bias, current = a.get("bias", 0.0), neuron.arrived
    updated = neuron.v != 0 or current is not None or bias != 0
    neuron.arrived = None
    if step > 0:
        neuron.v *= a["leak_decay"]
    neuron.v = int(neuron.v * 64) / 64
    state = "updated" if updated else "idle"
    if neuron.wait == 0:
        neuron.v += bias + (current or 0.0)
        if neuron.v > a["threshold"]:
            resets = {"hard": a.get("reset", 0.0), "soft": neuron.v - a["threshold"], "none": neuron.v}
            neuron.v, state, neuron.wait = resets[a["reset_mode"]], "fired", a.get("refractory_delay", 0)
        if neuron.v < a["reverse_threshold"]:
            neuron.v = a["reverse_threshold"]
    neuron.wait = max(0, neuron.wait - 1)
    return state


def _costs(chip: dict[str, Row], neurons: dict[str, Neuron], states: dict[str, str]) -> Row:
    """Counts, energies and the simple time of one step: chip.cpp, pipeline.cpp, schedule.cpp."""
    lif, height = chip["lif"], int(chip["chip"]["height"])
    send, receive = {n.core: 0.0 for n in neurons.values()}, {n.core: 0.0 for n in neurons.values()}
    soma = synapse = network = 0.0
    hops = packets = operations = 0
    for address, neuron in neurons.items():
        state = states[address]
        if neuron.attributes["soma_hw_name"] == "lif":
            does = ["access_neuron", "update_neuron", "spike_out"][: ["idle", "updated", "fired"].index(state) + 1]
            soma += sum(lif[f"energy_{what}"] for what in does)
            send[neuron.core] += sum(lif[f"latency_{what}"] for what in does)
        if state != "fired":
            continue
        for core in {neurons[target].core for target, _ in neuron.edges}:
            packets += 1
            send[neuron.core] += chip["axon_out"]["latency_message_out"]
            receive[core] += chip["axon_in"]["latency_message_in"]
            network += chip["axon_out"]["energy_message_out"] + chip["axon_in"]["energy_message_in"]
            (x, y), (to_x, to_y) = (divmod(tile, height) for tile in (neuron.core[0], core[0]))
            hops += abs(x - to_x) + abs(y - to_y)
            network += abs(x - to_x) * chip["tile"]["energy_east_hop"]
            network += abs(y - to_y) * chip["tile"]["energy_north_hop"]
        for target, _ in neuron.edges:
            unit = chip[neurons[target].synapse]
            operations += 1
            synapse += unit["energy_process_spike"]
            receive[neurons[target].core] += unit["latency_process_spike"]
    tiles = len({neuron.core[0] for neuron in neurons.values()})
    barrier = [
        time for number, time in sorted(chip["barrier"].items(), key=lambda x: int(x[0])) if int(number) <= tiles
    ]
    return {
        "fired": sum(state == "fired" for state in states.values()),
        "updated": sum(state != "idle" for state in states.values()),
        "packets": packets,
        "hops": hops,
        "spikes": operations,
        "sim_time": max(max(send[core], receive[core]) for core in send) + barrier[-1],
        "synapse_energy": synapse,
        "soma_energy": soma,
        "network_energy": network,
    }
