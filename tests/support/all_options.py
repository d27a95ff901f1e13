"""One small network with nearly every option at once, for back ends of which a run takes seconds."""

from __future__ import annotations

import numpy as np

import neurosam as ns
from neurosam.signals.inputs import Inputs

__all__ = ["all_options"]


def all_options() -> tuple[ns.Network, Inputs]:
    """Two inputs, two outputs, graded spikes between layers, maps, a membrane that saturates, and rare options."""
    rng = np.random.default_rng(8)
    many = ns.FixedLIF(300, 60, fires="at", max_spikes=5, lower_bound_64ths=-2000, current_decay=2000)
    rare = ns.FixedLIF(
        200, rng.integers(40, 90, (6, 3, 4)), reset="value", reset_value_64ths=-100, refractory=2, threshold_decay=400,
        threshold_step_64ths=900, initial_membrane_64ths=500,
    )  # fmt: skip
    wide = ns.Dense(rng.integers(-300, 300, (2, 60)))
    network = ns.Network(
        [
            ns.Population("picture", (2, 5, 6)),
            ns.Population("touch", (4,), magnitude=9),
            ns.Population("many", (3, 4, 5), many),
            ns.Population("rare", (6, 3, 4), rare),
            ns.Population("sum", (5,), ns.FixedReadout()),
            ns.Population("leaky", (2,), ns.FixedReadout(membrane_decay=500, current_decay=1000)),
        ],
        [
            ns.Projection("picture", "many", ns.Conv2d(rng.integers(-60, 90, (3, 2, 2, 2)))),
            ns.Projection("touch", "many", ns.Dense(rng.integers(-20, 30, (60, 4)))),
            ns.Projection("many", "rare", ns.Conv2d(rng.integers(-30, 40, (6, 3, 2, 2)))),
            ns.Projection("rare", "rare", ns.Sparse.one_to_one((6, 3, 4), -5)),
            ns.Projection("rare", "sum", ns.Dense(rng.integers(-120, 127, (5, 72))), exponent=7),
            ns.Projection("many", "leaky", wide, delay=rng.integers(1, 3, (2, 60))),
        ],
        outputs={"sum": "mean", "leaky": "max", "many": "count"},
    ).with_sam()
    picture = ns.Events.from_dense((rng.random((9, 3, 2, 5, 6)) < 0.4).astype(np.uint8))
    touch = ns.Events.from_dense(rng.integers(-9, 10, (9, 3, 4)) * (rng.random((9, 3, 4)) < 0.5))
    return network, Inputs({"picture": picture, "touch": touch})
