"""Lava's own LIF process in float, built as the NIR paper's script builds it, on NIR files that are written here.

    .venv-lava/bin/python benchmarks/nir_files/run_lava.py FOLDER

The script (paper/nir_to_lava.py of NIR) puts ``dt / tau`` into the decay and into the weights of a Dense process.
Lava's environment has neither nir nor torch: h5py writes the file. A Dense delivers one step late, which is taken off
here.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF

STEPS, DT = 120, 1e-4


def write(path: Path, nodes: dict[str, dict[str, Any]], edges: list[tuple[str, str]]) -> None:
    """A NIR file."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0"
        group = file.create_group("node")
        group["type"] = "NIRGraph"
        group["edges"] = edges
        for name, fields in nodes.items():
            for key, value in fields.items():
                group[f"nodes/{name}/{key}"] = value


def lava(weight: Any, x: Any, neuron: dict[str, Any]) -> Any:
    """Spikes [T, N] of a Dense and a LIF in front of a sink."""
    source = Source(data=np.vstack([x, np.zeros((2, x.shape[1]))]).T)
    dense, lif, sink = (
        Dense(weights=weight),
        LIF(shape=(weight.shape[0],), **neuron),
        Sink(shape=(weight.shape[0],), buffer=STEPS + 2),
    )
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    lif.run(condition=RunSteps(num_steps=STEPS + 2), run_cfg=Loihi1SimCfg(select_tag="floating_pt"))
    spikes = sink.data.get().T
    lif.stop()
    return spikes


def main(folder: Path) -> None:
    """Write and run a LIF and a CubaLIF."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    weight = np.round(rng.normal(0.1, 0.6, (30, 20)) * 32) / 64
    x = (np.random.default_rng(3).random((STEPS, 20)) < 0.3).astype(np.float64)
    same = {name: np.full(30, value) for name, value in {"v_leak": 0.0, "v_threshold": 0.125}.items()}
    same |= {"r": np.ones(30)}
    slow = {"tau_mem": np.full(30, 8 * DT), "tau_syn": np.full(30, 4 * DT), "w_in": np.ones(30)}
    cases = {
        "lif": ({"type": "LIF", "tau": np.full(30, 8 * DT), **same}, {"du": 1.0}, 1 / 8),
        "cuba": ({"type": "CubaLIF", **slow, **same}, {"du": 1 / 4}, 1 / 32),
    }
    for name, (node, current, gain) in cases.items():
        path = folder / f"lava-{name}.nir"
        nodes = {
            "in": {"type": "Input", "shape": [20]},
            "w": {"type": "Linear", "weight": weight},
            "n": node,
            "out": {"type": "Output", "shape": [30]},
        }
        write(path, nodes, [("in", "w"), ("w", "n"), ("n", "out")])
        spikes = lava(weight * gain, x, {"dv": 1 / 8, "vth": 0.125, **current})
        first = int(np.argmax(spikes.any(axis=1)))
        out = spikes[1 : STEPS + 1][:, None]
        np.savez_compressed(
            path.with_suffix(".npz"), x=x[:, None].astype(np.uint8), out=out, version=version("lava-nc"), told="{}"
        )
        print(f"lava {name}: {float(out.sum()):.0f} spikes, the first in step {first}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
