"""run.py, on a stand-in for SANA-FE's Python interface: what it builds, starts and writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neurosam_hw.mapping import CoreMapping
from neurosam_hw.sanafe import export, read_results, runner
from support.sanafe import network_of

GetCase = Callable[[str], tuple[CoreMapping, Any]]


class Cell:
    """A neuron of SANA-FE's, of the network or of the chip."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.unit, self.core = "", (0, 0)

    def set_attributes(self, model_attributes: dict[str, Any] | None = None, **others: Any) -> None:
        self.attributes |= model_attributes or {}
        self.unit = others.pop("default_synapse_hw_name", self.unit)
        self.attributes |= others

    def map_to_core(self, core: tuple[int, int]) -> None:
        self.core = core


class Group(list[Cell]):
    """A group, and the edges from it with the synapse unit that their target had at that time."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(Cell() for _ in range(size))
        self.name, self.edges = name, list[tuple[int, str, float, str]]()

    def connect_neurons_sparse(self, target: Group, given: dict[str, list[float]], pairs: Iterable[Any]) -> None:
        for (s, t), weight in zip(pairs, given["weight"], strict=True):
            self.edges.append((s, f"{target.name}.{t}", weight, target[t].unit))


class Network:
    """A network: its groups."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def create_neuron_group(self, name: str, size: int, log_spikes: bool) -> Group:
        assert log_spikes
        self.groups[name] = Group(name, size)
        return self.groups[name]


class Chip:
    """A chip of 32 tiles with 4 cores; in each step, the neuron of that number fires in each group that has one."""

    def __init__(self, arch: Any) -> None:
        self.steps: list[tuple[float, str]] = []

    def load(self, network: Network) -> None:
        self.mapped_neuron_groups = network.groups
        CHIPS.append(self)

    def sim(self, timesteps: int, timing_model: str, spike_trace: bool, perf_trace: bool) -> dict[str, Any]:
        assert (timesteps, spike_trace, perf_trace) == (1, True, True)
        step = len(self.steps)
        self.steps.append((self.mapped_neuron_groups["hidden"][0].attributes.get("bias", 0.0), timing_model))
        names = [name for name, group in self.mapped_neuron_groups.items() if step < len(group)]
        return {
            "spike_trace": [[SimpleNamespace(group_name=name, neuron_offset=step) for name in names]],
            "perf_trace": {"hops": [step + 3]}, "neurons_fired": step, "neurons_updated": step + 1,
            "packets_sent": step + 2, "spikes": step + 4, "sim_time": (step + 1) / 3, "energy":
            {name: (step + k) / 7 for k, name in enumerate(("synapse", "dendrite", "soma", "network", "total"))},
        }  # fmt: skip


CHIPS: list[Chip] = []


@pytest.fixture
def sanafe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in in place of SANA-FE."""
    tiles = [SimpleNamespace(cores=[(tile, core) for core in range(4)]) for tile in range(32)]
    arch = SimpleNamespace(tiles=tiles, cores=lambda: [core for tile in tiles for core in tile.cores])
    module = SimpleNamespace(Network=Network, SpikingChip=Chip, load_arch=lambda path: arch)
    monkeypatch.setitem(sys.modules, "sanafe", module)
    CHIPS.clear()


def built(folder: Path) -> Network:
    """The network that run.py makes of arrays."""
    sanafe: Any = sys.modules["sanafe"]
    plan = json.loads((folder / "plan.json").read_text())
    network: Network = runner.from_arrays(sanafe, folder, plan, sanafe.load_arch(""))
    return network


@pytest.mark.parametrize("name", ["16 cores", "readout", "recurrent", "sum pool"])
@pytest.mark.usefixtures("sanafe")
def test_arrays_give_the_same_network_as_text(
    name: str, case: GetCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping, events = case(name)
    export(mapping, events, tmp_path)
    expected = network_of((tmp_path / "snn.yaml").read_text())
    monkeypatch.setattr("neurosam_hw.sanafe.write.MOST_EDGES", 0)
    plan = export(mapping, events, tmp_path)
    network = built(tmp_path)
    assert list(network.groups) == [group.name for group in plan.groups]
    assert sum(map(len, network.groups.values())) == len(expected)
    for group_name, group in network.groups.items():
        for i, cell in enumerate(group):
            neuron = expected[f"{group_name}.{i}"]
            ignored = {"synapse_hw_name", "log_spikes"}
            assert {k: v for k, v in cell.attributes.items() if k not in ignored} == {
                k: v for k, v in neuron.attributes.items() if k not in ignored
            }
            assert cell.core == neuron.core
            edges = [(target, weight) for s, target, weight, _ in group.edges if s == i]
            assert sorted(edges) == sorted(neuron.edges)
        assert all(unit == expected[target].synapse for _, target, _, unit in group.edges)


@pytest.mark.usefixtures("sanafe")
def test_synapses_of_several_kinds(case: GetCase, tmp_path: Path) -> None:
    """Each projection's edges have its unit, though their targets are the same neurons."""
    mapping, events = case("two kinds of synapses")
    export(mapping, events, tmp_path)
    network = built(tmp_path)
    units = [unit for *_, unit in network.groups["in"].edges]
    changes = np.flatnonzero(np.array(units[1:]) != np.array(units[:-1]))
    assert (units[0], units[-1], len(changes)) == ("convolution", "sparse", 1)
    assert units.count("sparse") == 108


@pytest.mark.usefixtures("sanafe")
def test_a_run_step_by_step(case: GetCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bias begins with the population's own step 0, and what is written is what is read."""
    monkeypatch.setattr("neurosam_hw.sanafe.write.MOST_EDGES", 0)
    mapping, events = case("bias from own step 0")
    plan = export(mapping, events, tmp_path)
    runner.main(tmp_path, "detailed")
    (chip,) = CHIPS
    assert [bias for bias, _ in chip.steps] == [0.0] + [90 * 8 / 64] * 41
    assert {timing for _, timing in chip.steps} == {"detailed"}
    found = read_results(tmp_path, plan)
    for name, fired in found.fired.items():
        assert np.array_equal(fired, np.eye(42, fired.shape[1], dtype=bool)), name
    steps = np.arange(42)
    first = {"fired": 0, "updated": 1, "packets": 2, "hops": 3, "spikes": 4}
    assert {name: count.tolist() for name, count in found.counts.items()} == {
        name: (steps + k).tolist() for name, k in first.items()
    }
    assert np.array_equal(found.costs["sim_time"], (steps + 1) / 3)
    for k, name in ((0, "synapse_energy"), (2, "soma_energy"), (3, "network_energy")):
        assert np.array_equal(found.costs[name], (steps + k) / 7)
