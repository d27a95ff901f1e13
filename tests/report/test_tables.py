"""Tables of a page hold what was counted."""

from __future__ import annotations

import numpy as np

import neurosam as ns
from neurosam.report.tables import comparison_table, difference_table, operations_table, range_table


def test_operations_are_weights_that_events_meet() -> None:
    network = ns.Network(
        [
            ns.Population("in", (3,)),
            ns.Population("hidden", (2,), ns.LIF(leak=0.0, threshold=0.5)),
            ns.Population("out", (2,), ns.Readout()),
        ],
        [
            ns.Projection("in", "hidden", ns.Dense(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])), delay=0),
            ns.Projection("hidden", "out", ns.Dense(np.array([[1.0, 2.0], [0.0, 1.0]])), delay=0),
        ],
    )
    x = np.zeros((4, 1, 3))
    x[0, 0], x[1, 0, 1] = 1, 1  # three events meet one weight, one and none; then one meets one
    events = ns.Events.from_dense(x)
    recording = ns.run(network, events, record=ns.Record(spikes=("hidden",)))
    assert operations_table(network, recording, events).rows == [
        ("in", 3, 4, None, None, None),
        ("hidden", 2, 3, 3, 12.5, 8),  # of 6 weights in 4 steps
        ("out", 2, None, 5, 31.2, 8),  # 1 + 2, then 2, of 4 weights in 4 steps
        ("total", 7, 7, 8, None, 16),
    ]
    assert range_table(recording) is None


def test_agreement_counts_equal_answers_and_no_answer_among_them() -> None:
    table = comparison_table({"a": np.array([0, -1, 1, 2]), "b": np.array([0, -1, 2, 2])}, None)
    assert table.columns == ["network", "agreement with a, %", "no answer"]
    assert table.rows == [("a", None, 1), ("b", 75.0, 1)]


def test_maps_are_compared_in_one_unit() -> None:
    maps = np.array([2.0, 4.0, 0.0, 2.0]).reshape(2, 1, 1, 2)
    exact = ns.Recording("event", 2, 1, np.zeros((1, 2)), sam={"a": maps}, sam_scale={"a": 1.0})
    halved = np.array([20, 40, 10, 10], np.int32).reshape(2, 1, 1, 2)
    fixed = ns.Recording("event", 2, 1, np.zeros((1, 2)), sam={"a": halved}, sam_scale={"a": 10.0})
    assert difference_table(fixed, exact, "float64").rows == [("a", None, None, 25.0)]
