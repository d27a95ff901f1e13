"""Runs Lava's own LIFRefractory and ATRLIF models on the inputs in a folder; a program for Lava's Python.

For every ``<case>.npz`` with the input ``a`` (steps, neurons) and parameters it writes ``<case>-lava.npz`` with the
spikes and states of every step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from lava.proc.atrlif.models import PyATRLIFModelFixed, PyATRLIFModelFloat
from lava.proc.lif.models import PyLifRefractoryModelFloat

MODELS = {"refractory": PyLifRefractoryModelFloat, "atrlif": PyATRLIFModelFloat, "atrlif_fixed": PyATRLIFModelFixed}
STATES = {"refractory": ("u", "v"), "atrlif": ("i", "v", "theta", "r"), "atrlif_fixed": ("i", "v", "theta", "r")}


class Port:
    """Stands for both ports of a model."""

    def __init__(self) -> None:
        self.message: Any = None

    def recv(self) -> Any:
        return self.message

    def send(self, message: Any) -> None:
        self.message = np.array(message)


def run(kind: str, case: dict[str, Any]) -> dict[str, Any]:
    """Spikes and states of every step."""
    a = case.pop("a")
    model: Any = MODELS[kind]({name: int(value) for name, value in case.items() if name == "refractory_period"})
    for name, value in case.items():
        setattr(model, name, value if value.ndim else value.item())
    model.a_in, model.s_out = Port(), Port()
    rows: dict[str, list[Any]] = {name: [] for name in ("s", *STATES[kind])}
    for t, row in enumerate(a):
        model.time_step = t + 1
        model.a_in.message = row
        model.run_spk()
        rows["s"].append(model.s_out.message.copy())
        for name in STATES[kind]:
            rows[name].append(np.array(getattr(model, name)))
    return {name: np.stack(values) for name, values in rows.items()}


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            case = {name: stored[name] for name in stored.files}
        np.savez(path.with_name(path.stem + "-lava.npz"), **run(path.stem.partition("-")[0], case))


if __name__ == "__main__":
    main(Path(sys.argv[2]))
