# /// script
# requires-python = "==3.11.*"
# dependencies = ["sanafe==2.2.9", "numpy==2.4.6"]
# ///
"""Run SANA-FE's packaged DVS-gesture network as its authors build and place it (sanafe/tutorial.py); by compare.py.

python run_dvs.py FOLDER STEPS RUN.py

RUN.py is the runner that neurosam ships; its form of spikes.csv and perf.csv is used here. Takes about 7 GB of memory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import sanafe
from sanafe import layers

CORES = (1, 4, 16, 16, 4, 1)
"""Cores of each layer, as their authors place them."""


def build(arch: Any) -> Any:
    """The network, mapped."""
    net = sanafe.Network()
    with np.load(files("sanafe.examples") / "dvs_challenge.npz") as given:
        thresholds = given["thresholds"]
        made = [layers.Input2D(net, 32, 32, threshold=thresholds[0])]
        for k, stride in ((1, 2), (2, 1), (3, 1), (4, 1)):
            sides = {"stride_width": stride, "stride_height": stride}
            made.append(layers.Conv2D(net, made[-1], given[f"conv{k}"], **sides, threshold=thresholds[k]))
        made.append(layers.Dense(net, made[-1], 11, given["dense1"], threshold=thresholds[5]))
        for neuron, bias in zip(made[0], given["inputs"], strict=True):
            neuron.set_attributes(model_attributes={"bias": bias})
    first, cores = 0, arch.cores()
    for layer, count in zip(made, CORES, strict=True):
        part = len(layer) // count
        for i in range(len(layer)):
            layer[i].set_attributes(log_spikes=True)
            layer[i].map_to_core(cores[first + min(i // part, count - 1)])
        first += count
    return net


def main() -> None:
    """Build, run, write."""
    folder, steps, runner = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    spec = importlib.util.spec_from_file_location("runner", runner)
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    arch = sanafe.load_loihi()
    chip = sanafe.SpikingChip(arch)
    chip.load(build(arch))
    run.write(chip, steps, folder, "simple")


if __name__ == "__main__":
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        main()
