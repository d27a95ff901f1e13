# /// script
# requires-python = ">=3.10"
# dependencies = ["sanafe==2.2.9", "numpy"]
# ///
"""Run on SANA-FE what neurosam exported, in an environment that has it (Python 3.10, pip install sanafe numpy).

    python run.py [FOLDER] [--timing simple]

Writes spikes.csv and perf.csv into the folder, in the form of SANA-FE's command line but with all digits of energies
and times. That command line, which its wheel does not have, reads arch.yaml and snn.yaml too, but cannot let a bias
begin in a later step.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENERGIES = ("synapse", "dendrite", "soma", "network", "total")
COLUMNS = ("timestep", "fired", "updated", "packets", "hops", "spikes", "sim_time", *(f"{e}_energy" for e in ENERGIES))


def from_text(sanafe: Any, folder: Path, plan: dict[str, Any], arch: Any) -> Any:
    """The network of snn.yaml."""
    return sanafe.load_net(os.fspath(folder / "snn.yaml"), arch)


def from_arrays(sanafe: Any, folder: Path, plan: dict[str, Any], arch: Any) -> Any:
    """The network of edges.npz, with a unit for the synapses of each projection."""
    import numpy as np

    net = sanafe.Network()
    cores, per_tile = arch.cores(), len(arch.tiles[0].cores)
    groups = {}
    for about in plan["groups"]:
        group = groups[about["name"]] = net.create_neuron_group(about["name"], about["size"], log_spikes=True)
        for first, stop, soma in about["soma"]:
            model = {name: value for name, value in soma.items() if name != "soma_hw_name"}
            for i in range(first, stop):
                group[i].set_attributes(
                    soma_hw_name=soma["soma_hw_name"], dendrite_hw_name="dendrite", log_spikes=True,
                    model_attributes=model,
                )  # fmt: skip
        for first, stop, core in about["cores"]:
            tile, place = map(int, core.split("."))
            for i in range(first, stop):
                group[i].map_to_core(cores[tile * per_tile + place])
    with np.load(folder / "edges.npz") as arrays:
        for n, (source, target, synapse) in enumerate(plan["projections"]):
            for i in range(len(groups[target])):
                groups[target][i].set_attributes(default_synapse_hw_name=synapse)
            pairs = list(zip(arrays[f"source_{n}"].tolist(), arrays[f"target_{n}"].tolist(), strict=True))
            weights = arrays[f"weight_{n}"].astype(float).tolist()
            groups[source].connect_neurons_sparse(groups[target], {"weight": weights}, pairs)
    return net


def main(folder: Path, timing: str) -> None:
    """Load, run step by step, and write both files."""
    import sanafe  # here, so that whoever has no SANA-FE can look at this module

    plan = json.loads((folder / "plan.json").read_text())
    arch = sanafe.load_arch(os.fspath(folder / "arch.yaml"))
    load = from_text if (folder / "snn.yaml").exists() else from_arrays
    chip = sanafe.SpikingChip(arch)
    chip.load(load(sanafe, folder, plan, arch))

    def before(step: int) -> None:
        for group in plan["groups"]:
            if group["start"] == step:
                start_biases(chip.mapped_neuron_groups[group["name"]], group["late_bias"])

    write(chip, plan["steps"], folder, timing, before)


def write(chip: Any, steps: int, folder: Path, timing: str, before: Callable[[int], None] = lambda step: None) -> None:
    """Run a chip step by step, and write spikes.csv and perf.csv; `before` each step, counted from 0."""
    with (folder / "spikes.csv").open("w") as spikes, (folder / "perf.csv").open("w") as perf:
        spike_rows, perf_rows = (csv.writer(file, lineterminator="\n") for file in (spikes, perf))
        spike_rows.writerow(("neuron", "timestep"))
        perf_rows.writerow(COLUMNS)
        for step in range(steps):
            before(step)
            found = chip.sim(1, timing_model=timing, spike_trace=True, perf_trace=True)
            spike_rows.writerows((f"{a.group_name}.{a.neuron_offset}", step + 1) for a in found["spike_trace"][0])
            counts = (found["neurons_fired"], found["neurons_updated"], found["packets_sent"])
            hops, operations = found["perf_trace"]["hops"][0], found["spikes"]
            energies = (repr(found["energy"][name]) for name in ENERGIES)
            perf_rows.writerow((step + 1, *counts, hops, operations, repr(found["sim_time"]), *energies))


def start_biases(neurons: Any, biases: list[Any]) -> None:
    """Let biases act from now on."""
    for first, stop, bias in biases:
        for i in range(first, stop):
            neurons[i].set_attributes(model_attributes={"bias": bias})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run on SANA-FE what neurosam exported.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    parser.add_argument("--timing", choices=("simple", "detailed", "cycle"), default="simple")
    options = parser.parse_args()
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        main(options.folder, options.timing)
