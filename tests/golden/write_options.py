"""Writes golden files of version 2 of the format: networks with the options that are new in it, and a run in two parts.

    PYTHONPATH=tests python tests/golden/write_options.py

Every later version reads them (tests/hdf5/test_version2.py). In options-fixed are network.h5, inputs.h5, recording.h5
of the first steps with the state at their end, state.h5 (that state alone), and resumed.h5 of the last steps; in
options-float network.h5. Rewriting them changes what they hold only if the step of a neuron changes; they would have
the version that is written then.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import neurosam as ns
from support.pieces import part

HERE = Path(__file__).parent
STEPS, CUT = 9, 6


def neurons(fixed: bool) -> dict[str, Any]:
    """Neurons that together use every option."""
    each = np.arange(32).reshape(2, 4, 4)
    if fixed:
        return {
            "graded": ns.FixedLIF(
                410, 40 + each, fires="at", lower_bound_64ths=-2000, max_spikes=5,
                initial_membrane_64ths=each[::-1] * 50,
            ),
            "late": ns.FixedLIF(
                100, 500, "value", reset_value_64ths=np.array([-64, 0, 64, 128]), reset_timing="next",
                current_decay=2000, initial_current_64ths=700,
            ),
            "adaptive": ns.FixedLIF(
                100, 20, "relative", relative_decay=600, threshold_decay=300, threshold_step_64ths=500, fires="at"
            ),
            "both": ns.FixedLIF(0, 150, reset_timing="both", reset_amount_64ths=9000),
            "resting": ns.FixedLIF(200, 25, "zero", refractory=2, bias_mantissa=np.array([9, -9, 0, 30])),
            "out": ns.FixedReadout(
                3, membrane_decay=500, current_decay=np.array([900, 0, 4095]), initial_membrane_64ths=-5,
                initial_current_64ths=99,
            ),
        }  # fmt: skip
    return {
        "graded": ns.LIF(
            0.9, 0.7 + each / 64, fires="at", lower_bound=-0.5, max_spikes=5, initial_membrane=each[::-1] / 80
        ),
        "late": ns.LIF(
            0.97, 0.8, "value", reset_value=np.array([-1.0, 0.0, 0.1, 0.3]), reset_timing="next", current_leak=0.5,
            initial_current=1 / 3,
        ),
        "adaptive": ns.LIF(
            0.97, 0.3, "relative", relative_leak=0.85, threshold_leak=0.9, threshold_step=0.1, fires="at"
        ),
        "both": ns.LIF(1.0, 0.5, reset_timing="both", reset_amount=0.4),
        "resting": ns.LIF(0.95, 0.4, "zero", refractory=2, bias=np.array([0.1, -0.1, 0.0, 0.3])),
        "out": ns.Readout(
            np.array([0.1, 0.2, 0.3]), leak=0.9, current_leak=np.array([0.8, 0.99, 0.0]), initial_membrane=-0.1,
            initial_current=0.7,
        ),
    }  # fmt: skip


def network(fixed: bool) -> ns.Network:
    """Two inputs, five populations that fire, a readout; weights of 9 bits and a delay per synapse."""
    rng = np.random.default_rng([2, fixed])

    def weight(*shape: int, low: int = -256) -> Any:
        drawn = rng.integers(low, 256, shape)
        return drawn if fixed else drawn / 77

    kinds = neurons(fixed)
    shapes = {"graded": (2, 4, 4), "late": (4,), "adaptive": (4,), "both": (4,), "resting": (4,), "out": (3,)}
    populations = [ns.Population("image", (1, 5, 5)), ns.Population("sound", (5,), magnitude=3)]
    populations += [ns.Population(name, shape, kinds[name]) for name, shape in shapes.items()]
    late, out = populations[3], populations[-1]
    return ns.Network(
        populations,
        [
            ns.Projection("image", "graded", ns.Conv2d(weight(2, 1, 2, 2, low=-100))),
            ns.Projection("graded", "late", ns.Dense(weight(4, 32)), delay=rng.integers(1, 4, (4, 32))),
            ns.Projection("sound", "adaptive", ns.Dense(weight(4, 5))),
            *ns.concatenate([late, ns.Population("adaptive", (4,))], "both", ns.Dense(weight(4, 8)), delay=[1, 2]),
            ns.Projection("both", "resting", ns.Dense(weight(4, 4))),
            ns.Projection("resting", out.name, ns.Dense(weight(3, 4))),
        ],
        precision=ns.Precision.lava(9) if fixed else None,
        outputs={"out": "mean", "graded": "count", "both": "max"},
        metadata={"purpose": "golden file of version 2"},
    ).with_sam(ns.SamTrace(0.5, "official"), ["graded", "adaptive"])


def inputs() -> dict[str, ns.Events]:
    """Spikes, and signed numbers of up to 3."""
    rng = np.random.default_rng(3)
    image = rng.random((STEPS, 2, 1, 5, 5)) < 0.4
    sound = rng.integers(-3, 4, (STEPS, 2, 5)) * (rng.random((STEPS, 2, 5)) < 0.5)
    return {"image": ns.Events.from_dense(image.astype(np.uint8)), "sound": ns.Events.from_dense(sound)}


def main() -> None:
    for fixed, name in ((True, "options-fixed"), (False, "options-float")):
        (HERE / name).mkdir(exist_ok=True)
        network(fixed).save(HERE / name / "network.h5")
    folder, net, events = HERE / "options-fixed", network(True), inputs()
    ns.save(events, folder / "inputs.h5")
    everything = ns.Record.everything(net)
    first = ns.run(net, part(events, 0, CUT), "reference", everything, keep_state=True)
    rest = ns.run(net, part(events, CUT, STEPS), "reference", everything, initial=first.state)
    assert first.state is not None
    first.state.save(folder / "state.h5")
    replace(first, time_s=0.0).save(folder / "recording.h5")
    replace(rest, time_s=0.0).save(folder / "resumed.h5")


if __name__ == "__main__":
    main()
