"""What is written for SANA-FE: its text, word by word; its meaning, by a stand-in that reads it; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.sanafe import compare_results, export, read_results
from neurosam_hw.sanafe.architecture import architecture
from neurosam_hw.sanafe.edges import edges
from support.sanafe import chip_of, network_of, simulate

GetCase = Callable[[str], tuple[CoreMapping, Any]]

SNN = """\
network:
  name: neurosam
  groups:
    - name: in
      attributes:
        - log_spikes: true
        - dendrite_hw_name: dendrite
        - synapse_hw_name: dense
      neurons:
        - 0: [soma_hw_name: 'input[0]', spikes: [1, 0, 1]]
        - 1: [soma_hw_name: 'input[0]', spikes: [0, 1, 0]]
    - name: _1_conv_1
      attributes:
        - log_spikes: true
        - dendrite_hw_name: dendrite
        - synapse_hw_name: convolution
      neurons:
        - 0..1: [soma_hw_name: 'lif', leak_decay: 0.75, reset_mode: 'soft', reverse_threshold: -131071.984375, \
reverse_reset_mode: 'saturate', threshold: 3.0]
    - name: out
      attributes:
        - log_spikes: true
        - dendrite_hw_name: dendrite
        - synapse_hw_name: sparse
      neurons:
        - 0: [soma_hw_name: 'lif', leak_decay: 1.0, reset_mode: 'none', reverse_threshold: -131071.984375, \
reverse_reset_mode: 'saturate', threshold: 1099511627776.0]
  edges:
    - in.0 -> _1_conv_1.0: [weight: 8.0]
    - in.0 -> _1_conv_1.1: [weight: 4.0]
    - in.1 -> _1_conv_1.0: [weight: 0.0]
    - in.1 -> _1_conv_1.1: [weight: 8.0]
    - _1_conv_1.1 -> out.0: [weight: -7.0]
mappings:
  - in.0: [core: 0.0]
  - in.1: [core: 0.1]
  - _1_conv_1.0..1: [core: 2.3]
  - out.0: [core: 0.1]
"""


def tiny() -> tuple[ns.Network, ns.Events]:
    """Two inputs, a convolution of two neurons with a late bias, a readout behind a weight that is not 0."""
    lif = ns.FixedLIF(membrane_decay=1024, threshold=3, bias_mantissa=np.array([5]), bias_exponent=4)
    network = ns.Network(
        [
            ns.Population("in", (1, 1, 2)),
            ns.Population("conv.1", (1, 1, 2), lif),
            ns.Population("out", (1,), ns.FixedReadout()),
        ],
        [
            ns.Projection(
                "in", "conv.1", ns.Conv2d(np.array([[[[2, 4, 0]]]], np.int8), padding=(0, 1)), exponent=1, delay=0
            ),
            ns.Projection("conv.1", "out", ns.Sparse.from_dense(np.array([[0, -7]], np.int8))),
        ],
    )
    return network, ns.Events(np.array([0, 1, 2]), np.zeros(3, int), np.array([0, 1, 0]), 3, 1, (1, 1, 2))


def placed(network: ns.Network, chip: Chip) -> CoreMapping:
    pieces = (
        Piece("in", 0, neurons=np.array([0])),
        Piece("in", 1, neurons=np.array([1])),
        Piece("conv.1", 2, ((0, 1), (0, 1), (0, 2))),
        Piece("out", 1, neurons=np.array([0])),
    )
    return CoreMapping(network, chip, pieces, np.array([[0, 0], [0, 1], [0, 11]]))


def on_one_core(network: ns.Network, chip: Chip) -> CoreMapping:
    sizes = {p.name: int(np.prod(p.shape)) for p in network.populations}
    return CoreMapping(network, chip, tuple(Piece(name, 0, neurons=np.arange(n)) for name, n in sizes.items()))


def test_the_text_of_a_small_network(chip: Chip, tmp_path: Path) -> None:
    """A name with a dot, cores in order of their tiles, and a bias that no file can start."""
    network, events = tiny()
    export(placed(network, chip), events, tmp_path)
    assert (tmp_path / "snn.yaml").read_text() == SNN
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (plan["steps"], plan["own_steps"]) == (5, 3)
    assert [(g["name"], g["start"], g["late_bias"]) for g in plan["groups"]] == [
        ("in", 0, []), ("_1_conv_1", 1, [[0, 2, 1.25]]), ("out", 2, []),
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "arch.yaml", "events.h5", "network.h5", "plan.json", "run.py", "snn.yaml",
    ]  # fmt: skip
    assert ns.load(tmp_path / "network.h5") == network
    compile((tmp_path / "run.py").read_text(), "run.py", "exec")


def test_the_chip_is_that_of_its_file(chip: Chip) -> None:
    units = chip_of(architecture(chip, 7))
    assert [units["chip"][side] for side in ("width", "height")] == [8, 4]
    assert units["core"]["max_neurons_supported"] == 1024
    assert units["barrier"] == {"1": 0.6e-6, "2": 1.0e-6, "4": 1.4e-6, "29": 1.8e-6}
    assert units["axon_in"] == {"energy_message_in": 0.0, "latency_message_in": 16e-9}
    assert units["axon_out"] == {"energy_message_out": 111e-12, "latency_message_out": 5.1e-9}
    assert units["dense"] == {"energy_process_spike": 35.5e-12, "latency_process_spike": 3.8e-9}
    assert units["sparse"] == {"energy_process_spike": 33.6e-12, "latency_process_spike": 4.7e-9}
    assert units["convolution"] == {"energy_process_spike": 24e-12, "latency_process_spike": 3.1e-9}
    assert units["lif"] == {
        "energy_access_neuron": 51.2e-12, "latency_access_neuron": 6e-9,
        "energy_update_neuron": 21.6e-12, "latency_update_neuron": 3.7e-9,
        "energy_spike_out": 69.3e-12, "latency_spike_out": 30e-9,
    }  # fmt: skip
    assert not any(units["input"].values())
    hops = units["tile"]
    assert hops["energy_east_hop"] == hops["energy_west_hop"] == 3e-12
    assert hops["energy_north_hop"] == hops["energy_south_hop"] == 4.2e-12


def test_figures_that_a_chip_states_in_another_way() -> None:
    """Loihi 1 has active and inactive neurons, and a spike within a tile."""
    units = chip_of(architecture(load_chip("loihi1"), 1))
    assert units["lif"]["energy_access_neuron"] == pytest.approx(52e-12)
    assert units["lif"]["energy_access_neuron"] + units["lif"]["energy_update_neuron"] == pytest.approx(81e-12)
    assert units["lif"]["energy_spike_out"] == 0
    assert (units["axon_out"]["energy_message_out"], units["axon_in"]["energy_message_in"]) == (1.7e-12, 0)
    assert units["sparse"] == units["dense"] == {"energy_process_spike": 23.6e-12, "latency_process_spike": 3.5e-9}


@pytest.mark.parametrize(
    "name",
    [
        "dense", "soft reset", "exponent 3", "exponent -1, even weights", "bias from own step 0", "no reset",
        "reset to a value, fires at the threshold", "lower bound", "clipped at 24 bits", "refractory for 2 steps",
        "weights beyond 8 bits", "4 and 3 cores", "16 cores", "padded convolution", "readout", "sum pool",
        "groups, overlapping pool, hi and lo", "recurrent", "two inputs on one core",
    ],
)  # fmt: skip
def test_what_the_files_say_is_the_network(name: str, case: GetCase, tmp_path: Path) -> None:
    """Spikes, counts, energies and times of the stand-in, which SANA-FE itself is compared with in the benchmark."""
    mapping, events = case(name)
    plan = export(mapping, events, tmp_path)
    simulate(tmp_path)
    found = compare_results(mapping, events, read_results(tmp_path, plan))
    assert found.equal, found
    assert sum(tally.ours for tally in found.spikes[1:]) > 20
    assert all(count.ours > 0 for count in found.counts if count.name != "hops")
    assert all(cost.ours > 0 for cost in found.costs)


def test_many_or_mixed_synapses_are_arrays(case: GetCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, events = case("two kinds of synapses")
    plan = export(mapping, events, tmp_path)
    assert not (tmp_path / "snn.yaml").exists()
    kinds = [(source, target, synapse) for source, target, synapse in plan.projections]
    assert kinds == [("in", "_1_conv_1", "convolution"), ("in", "_1_conv_1", "sparse"), ("_1_conv_1", "out", "dense")]
    with np.load(tmp_path / "edges.npz") as arrays:
        for i, projection in enumerate(mapping.network.projections):
            for column, expected in edges(mapping.network, projection)._asdict().items():
                assert np.array_equal(arrays[f"{column}_{i}"], expected)
    monkeypatch.setattr("neurosam_hw.sanafe.write.MOST_EDGES", 960)
    mapping, events = case("dense")
    export(mapping, events, tmp_path)
    assert [(tmp_path / name).exists() for name in ("snn.yaml", "edges.npz")] == [True, False]
    monkeypatch.setattr("neurosam_hw.sanafe.write.MOST_EDGES", 959)
    export(mapping, events, tmp_path)
    assert [(tmp_path / name).exists() for name in ("snn.yaml", "edges.npz")] == [False, True]


def test_one_sample_of_several(chip: Chip, tmp_path: Path) -> None:
    network, _ = tiny()
    events = ns.Events.from_dense(np.array([[[[[1, 0]]], [[[0, 1]]]], [[[[1, 1]]], [[[0, 0]]]]]))
    export(placed(network, chip), events, tmp_path, sample=1)
    found = network_of((tmp_path / "snn.yaml").read_text())
    assert [found[f"in.{i}"].attributes["spikes"] for i in (0, 1)] == [[0, 0], [1, 0]]


def lif(**options: Any) -> ns.Network:
    """Two inputs and one neuron."""
    neuron = ns.FixedLIF(**({"membrane_decay": 410, "threshold": 64} | options))
    return ns.Network(
        [ns.Population("in", (2,)), ns.Population("n", (1,), neuron)],
        [ns.Projection("in", "n", ns.Dense(np.array([[70, -3]], np.int8)))],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"current_decay": 100}, r"'n': has a synaptic current.*use neurons without one"),
        ({"reset_amount_64ths": 65}, r"'n': subtracts another amount than its threshold"),
        ({"fires": "at"}, r"'n': subtracts where it fires at the threshold, as .*; use fires='above'"),
        ({"reset": "zero", "reset_timing": "next"}, r"'n': resets a step late, as .*; use reset_timing='now'"),
        ({"reset": "relative", "relative_decay": 9}, r"'n': resets relative to its threshold"),
        ({"threshold_decay": 9, "threshold_step_64ths": 64}, r"'n': has an adaptive threshold, as .*; use a fixed one"),
        ({"max_spikes": 3}, r"'n': fires up to 3 times a step, as .*; use max_spikes=1"),
        ({"refractory": 2}, r"'n': holds its membrane while it is refractory, as .*; use reset zero"),
        ({"initial_membrane_64ths": 1}, r"'n': starts from a membrane that is not 0"),
        ({"gain": np.full((3, 1), 2), "offset_64ths": np.zeros((3, 1), int)}, r"'n': has gain and offset tables"),
    ],
)
def test_neurons_that_are_refused(options: dict[str, Any], message: str, chip: Chip, tmp_path: Path) -> None:
    network = lif(**options)
    with pytest.raises(ExportError, match=message):
        export(on_one_core(network, chip), ns.Events.from_dense(np.ones((3, 1, 2))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_networks_that_are_refused(chip: Chip, tmp_path: Path) -> None:
    events = ns.Events.from_dense(np.ones((3, 1, 2)))

    def refused(network: ns.Network, message: str, given: ns.Events = events) -> None:
        with pytest.raises(ExportError, match=message):
            export(on_one_core(network, chip), given, tmp_path / "out")

    real = ns.Network(
        [ns.Population("in", (2,)), ns.Population("n", (1,), ns.LIF(0.5, 1.0))],
        [ns.Projection("in", "n", ns.Dense(np.array([[1.0, 2.0]])))],
    )
    refused(real, "network: is a float network.*Quantise it first")
    network = lif(reset="zero")
    graded = ns.Events.from_dense(np.full((3, 1, 2), -1))
    refused(network, r"events of 'in': have values, up to 1; SANA-FE's inputs send spikes", graded)
    first = network.projections[0]
    refused(
        replace(network, projections=[first, ns.Projection("n", "n", ns.Dense(np.array([[5]], np.int8)), delay=3)]),
        r"projection n->n: takes 3 steps on a chip.*Pass it on through a population",
    )
    strong = replace(first, synapse=ns.Dense(np.full((1, 2), 127, np.int8)), exponent=7)
    for neuron in (ns.FixedLIF(0, 2**17 - 1), ns.FixedReadout()):
        populations = [network.populations[0], ns.Population("n", (1,), neuron)]
        clipped = replace(network, populations=populations, projections=[strong], outputs=None)
        refused(clipped, r"population 'n': membranes were clipped \d+ times at 24 bits.*a coarser unit",
                ns.Events.from_dense(np.ones((9, 1, 2))))  # fmt: skip


def test_mappings_and_chips_that_are_refused(chip: Chip, tmp_path: Path) -> None:
    network, events = tiny()
    pieces = placed(network, chip).pieces
    outside = CoreMapping(network, chip, tuple(replace(piece, core=piece.core - 1) for piece in pieces[2:]))
    with pytest.raises(ExportError, match=r"mapping of 'in': leaves the input outside; SANA-FE has inputs on cores"):
        export(outside, events, tmp_path)
    with pytest.raises(ExportError, match=r"mapping: uses 2 chips; SANA-FE describes one"):
        export(CoreMapping(network, chip, pieces, np.array([[0, 0], [1, 0], [0, 2]])), events, tmp_path)
    large = ns.Network(
        [ns.Population("in", (1025,)), ns.Population("out", (1,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 1025), np.int8)))],
    )
    silent = ns.Events.from_dense(np.zeros((1, 1, 1025)))
    with pytest.raises(ExportError, match=r"core 0: holds 1026 neurons with the inputs; sanafe-loihi has 1024"):
        export(on_one_core(large, chip), silent, tmp_path)
    with pytest.raises(ExportError, match=r"chip truenorth: has no noc\.mesh_width, .*; take sanafe-loihi"):
        export(replace(placed(network, chip), chip=load_chip("truenorth")), events, tmp_path)
    assert not list(tmp_path.iterdir())
