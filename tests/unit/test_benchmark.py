"""The benchmark's cases are alive and fixed by their seed; its page says what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neurosam as ns
from neurosam.benchmark.cases import conv32, layer_names, sparse10k
from neurosam.benchmark.page import markdown, plot

RESULTS = {
    "machine": {
        "date": "2000-01-01", "machine": "abacus", "cores": 1, "neurosam": "0", "python": "3", "gather_G_per_s": 2.0,
        "scatter_G_per_s": 1.0, "neurons_G_per_s": 0.5, "copy_GB_per_s": 3.0,
    },
    "startup": {"compiled_s": 5.0, "cached_s": 0.5},
    "cases": [
        {
            "case": "conv32", "activity": 0.05, "synaptic_operations": 4.1e7, "neuron_updates": 5.3e6,
            "operations_per_s": 8e9, "rows": [["event, 2 threads", 0.005, 1.0], ["PyTorch", 0.05, 10.0]],
        }
    ],
    "sweep": [{"density": 0.01, "spikes": 10.0, "operations": 100.0, "seconds": 1.0}],
}  # fmt: skip


def test_conv32_fires_at_its_density_in_every_layer() -> None:
    case = conv32(steps=5)
    again = conv32(steps=5)
    assert case.network == again.network
    recording = ns.run(case.network, case.events, threads=1)
    for name in layer_names(case.network, convolutions=True):
        share = recording.counts[name].sum() / (5 * np.prod(case.network[name].shape))
        assert 0.04 < share < 0.06


def test_sparse10k_is_alive_when_small() -> None:
    case = sparse10k(steps=20, neurons=300, targets=30)
    assert ns.run(case.network, case.events, threads=1).counts["a"].sum() > 0


def test_the_page_holds_what_was_measured(tmp_path: Path) -> None:
    text = markdown(RESULTS)
    assert "abacus" in text
    assert "| PyTorch | 50.00 | 10.00 |" in text
    assert "0.50 s after the imports" in text
    assert plot(RESULTS, tmp_path / "plot.png") == ["plot.png"]
    assert (tmp_path / "plot.png").stat().st_size > 0
