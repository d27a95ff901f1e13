"""The shipped chip files: all load, and hold the figures of their sources."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam.errors import ArgumentError, BackendError, FormatError
from neurosam_hw import chips as shipped
from neurosam_hw.chips import available_chips, load, load_chip, total
from neurosam_hw.chips.chip import Chip

FOLDER = Path(shipped.__path__[0])
FILES = sorted(FOLDER.glob("*.toml"))
NAMES = [file.stem for file in FILES]


def chip_of(name: str) -> Chip:
    return load_chip(FOLDER / f"{name}.toml")


def test_the_chips_that_were_promised_are_there() -> None:
    assert NAMES == [
        "darwin3", "example", "loihi1", "loihi2", "odin", "sanafe-loihi", "speck", "spinnaker2", "truenorth",
        "xylo-a2", "xylo-a3", "xylo-imu",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source_or_says_why_it_is_unknown(name: str) -> None:
    chip = chip_of(name)
    assert chip.name == name
    assert chip.title
    figures = [*chip.figures.values(), *(f for board in chip.boards.values() for f in board.figures.values())]
    assert len(figures) > 5
    for figure in figures:
        assert figure.known != (figure.standing == "unknown")
        assert (figure.source and figure.locator) if figure.known else figure.conditions, figure.name


@pytest.mark.parametrize(
    ("name", "value", "unit", "bound"),
    [
        ("energy.synaptic_operation", 23.6, "pJ", "minimum"),
        ("energy.neuron_update_active", 81, "pJ", "none"),
        ("energy.neuron_update_inactive", 52, "pJ", "none"),
        ("energy.spike_in_tile", 1.7, "pJ", "none"),
        ("energy.hop_east_west", 3.0, "pJ", "none"),
        ("energy.hop_north_south", 4.0, "pJ", "none"),
        ("time.synaptic_operation", 3.5, "ns", "maximum"),
        ("time.neuron_update_active", 8.4, "ns", "none"),
        ("time.neuron_update_inactive", 5.3, "ns", "none"),
        ("time.spike_in_tile", 2.1, "ns", "none"),
        ("time.hop_east_west", 4.1, "ns", "none"),
        ("time.hop_north_south", 6.5, "ns", "none"),
        ("sync.barrier", (113, 465), "ns", "none"),
    ],
)
def test_energies_and_times_of_loihi_are_those_of_davies_table_2(
    name: str, value: float, unit: str, bound: str
) -> None:
    figure = chip_of("loihi1").figure(name)
    assert (figure.value, figure.unit, figure.bound) == (value, unit, bound)
    assert (figure.standing, figure.scope, figure.locator) == ("pre-silicon", "per-term", "Table 2")
    assert "Davies" in figure.source


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limits.cores", 128),
        ("limits.neurons_per_core", 1024),
        ("limits.axons_in_per_core", 4096),
        ("limits.axons_out_per_core", 4096),
        ("limits.synapse_memory_per_core", 16384 * 64),
        ("limits.synapse_word", 64),
        ("limits.synapse_row_header", 10),
        ("limits.synapses_per_row", 64),
        ("limits.synapse_index_bits", (0, 6, 7, 8, 9, 10, 11, 12)),
        ("limits.population_axon_slots_32", 2),
        ("limits.shared_base_step_16", 4),
        ("limits.decay_profiles_per_core", 32),
        ("limits.threshold_profiles_per_core", 8),
        ("limits.synapse_formats_per_core", 8),
        ("limits.shared_base_max", 255),
        ("numbers.weight_bits", (1, 2, 3, 4, 5, 6, 8)),
        ("numbers.weight_min", -256),
        ("numbers.weight_max", 254),
        ("numbers.decay_bits", 12),
        ("numbers.threshold_bits", 17),
        ("numbers.delay_max", 62),
        ("numbers.trace_bits", 7),
        ("resets.zero", True),
        ("resets.subtract", False),
    ],
)
def test_limits_of_loihi(name: str, value: object) -> None:
    assert chip_of("loihi1").figure(name).value_si == value


def test_bits_of_population_packets() -> None:
    free, atoms, most = (
        chip_of("loihi1").figure(f"limits.population_{key}").value
        for key in ("axon_bits_16", "atom_bits_16", "atom_bits_max_16")
    )
    assert (free, atoms, most) == (10, 5, 9)


def test_sanafes_loihi_is_a_chip_of_its_own() -> None:
    chip = chip_of("sanafe-loihi")
    energies = {
        "synapse_dense": 35.5, "synapse_sparse": 33.6, "synapse_convolution": 24.0, "neuron_access": 51.2,
        "neuron_update": 21.6, "spike": 69.3, "axon_in": 0.0, "axon_out": 111.0, "hop_east_west": 3.0,
        "hop_north_south": 4.2,
    }  # fmt: skip
    times = {
        "synapse_dense": 3.8, "synapse_sparse": 4.7, "synapse_convolution": 3.1, "neuron_access": 6.0,
        "neuron_update": 3.7, "spike": 30.0, "axon_in": 16.0, "axon_out": 5.1, "hop_east_west": 4.1,
        "hop_north_south": 6.5,
    }  # fmt: skip
    for section, expected in (("energy", energies), ("time", times)):
        figures = {n.partition(".")[2]: f for n, f in chip.figures.items() if n.startswith(f"{section}.")}
        assumed = figures.pop("trace_update")
        assert (assumed.value, assumed.standing) == (expected["neuron_update"], "derived")
        assert {key: figure.value for key, figure in figures.items()} == expected
        assert {figure.standing for figure in figures.values()} == {"fitted"}
    assert chip.figure("sync.barrier").value == (600, 1000, 1400, 1800)
    assert chip.figure("sync.barrier_tiles").value == (1, 2, 4, 29)


@pytest.mark.parametrize(
    ("chip", "name", "value", "unit", "standing", "scope"),
    [
        ("truenorth", "energy.synaptic_operation_all_in", 26, "pJ", "measured", "all-in"),
        ("truenorth", "energy.hop", 2.3, "pJ", "measured", "per-term"),
        ("odin", "energy.synaptic_operation_all_in", 12.7, "pJ", "measured", "all-in"),
        ("odin", "energy.synaptic_operation", 8.43, "pJ", "measured", "per-term"),
        ("darwin3", "energy.synaptic_operation", 5.47, "pJ", "measured", "per-term"),
        ("spinnaker2", "energy.synaptic_operation", 450, "pJ", "derived", "per-term"),
        ("spinnaker2", "energy.neuron_update_active", 2.19, "nJ", "derived", "per-term"),
        ("speck", "time.event", 3.36, "us", "measured", "all-in"),
        ("loihi2", "time.step_min", 200, "ns", "vendor", "all-in"),
    ],
)
def test_figures_of_other_chips(chip: str, name: str, value: float, unit: str, standing: str, scope: str) -> None:
    figure = chip_of(chip).figure(name)
    assert (figure.value, figure.unit, figure.standing, figure.scope) == (value, unit, standing, scope)


def test_loihi_2_has_no_energy_and_no_total() -> None:
    energies = [figure for name, figure in chip_of("loihi2").figures.items() if name.startswith("energy.")]
    assert energies
    assert not any(figure.known for figure in energies)
    with pytest.raises(ArgumentError, match=r"needs energy\.synaptic_operation, which no source gives"):
        total([(1, chip_of("loihi2").figure("energy.synaptic_operation"))])


def test_rails_of_a_board_add_up_to_its_idle_power() -> None:
    board = chip_of("loihi1").boards["blouw2019"].figures
    rails = total([(1, board["idle_core_rail"]), (1, board["idle_memory_rail"])])
    assert rails.value == pytest.approx(board["idle"].value_si, abs=0.02e-3)
    dynamic = (board["running"].value_si - board["idle"].value_si) / board["inferences"].value_si  # type: ignore[operator]
    assert dynamic == pytest.approx(board["inference"].value_si, rel=1e-3)
    frady = chip_of("loihi1").boards["frady2020"].figures
    assert frady["idle"].value_si / 32 == pytest.approx(frady["idle_per_chip"].value_si, rel=0.01)  # type: ignore[operator]


def test_the_constant_of_a_board_is_the_fit_of_its_scaling_runs() -> None:
    board = chip_of("loihi1").boards["blouw2019"].figures
    neurons = 2560 * np.array([0, 1, 2, 4, 6, 8, 10]) + 512
    power_mw = np.array([107.50, 107.94, 109.98, 113.50, 117.31, 120.89, 124.82]) - 29.55
    slope, constant = np.polyfit(neurons, power_mw, 1)
    assert board["slope_per_neuron"].value == round(1000 * slope, 3)
    assert board["constant"].value == round(constant, 1)


def test_a_figure_that_a_file_lacks_is_unknown() -> None:
    figure = chip_of("darwin3").figure("energy.hop")
    assert (figure.known, figure.base_unit, figure.conditions) == (False, "J", "not in the file")
    with pytest.raises(ArgumentError, match=r"did you mean 'energy\.hop'"):
        chip_of("darwin3").figure("energy.hopp")


def test_chips_are_found_by_name(points: list[EntryPoint]) -> None:
    assert available_chips() == tuple(NAMES)
    assert load_chip("odin") == chip_of("odin")
    with pytest.raises(ArgumentError, match=r"chip 'loihi': is unknown; did you mean 'loihi[12]'; installed are darw"):
        load_chip("loihi")


def test_other_packages_offer_chips(points: list[EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(FILES[0].read_text())
    module = ModuleType("my_chips")
    monkeypatch.setitem(__import__("sys").modules, "my_chips", module)
    module.files = lambda: [tmp_path / "mine.toml"]  # type: ignore[attr-defined]
    points.append(EntryPoint("mine", "my_chips:files", load.GROUP))
    assert "mine" in available_chips()
    assert load_chip("mine").figure("energy.synaptic_operation").value == 5.47
    module.files = lambda: [tmp_path / "odin.toml"]  # type: ignore[attr-defined]
    with pytest.raises(FormatError, match="chip 'odin': is in two files"):
        available_chips()


def test_a_package_that_cannot_be_loaded_is_named(points: list[EntryPoint]) -> None:
    points.append(EntryPoint("broken", "no_such_package_here", load.GROUP))
    with pytest.raises(BackendError, match=r"^entry point 'broken' of 'neurosam.chips': cannot be loaded"):
        available_chips()
