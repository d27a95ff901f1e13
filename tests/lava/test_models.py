"""Lava's process models give the same bits as event and reference, on hundreds of networks, without the runtime."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.hdf5 import load_recording, save
from neurosam.signals.inputs import Inputs
from neurosam_hw.lava.interpreter import command
from support.agreement import assert_agree, assert_identical
from support.networks import KINDS, edge_case, random_case
from support.options import limits_case, options_case
from support.oracle import simulate

DIRECT = Path(__file__).with_name("direct.py")
NETWORKS_PER_KIND = 30
FLOATS_PER_KIND = 4

OPTIONS_PER_KIND = 12

Case = tuple[ns.Network, Inputs]


def drawn() -> dict[str, Case]:
    """Random networks of every kind, plain and with all options, the limits of the integers, and float networks."""
    plain: dict[str, tuple[ns.Network, ns.Events]] = {}
    cases: dict[str, Case] = {}
    for k, kind in enumerate(KINDS):
        for seed in range(NETWORKS_PER_KIND):
            plain[f"{kind}-{seed}"] = random_case(np.random.default_rng([k, seed]), kind)
        for seed in range(FLOATS_PER_KIND):
            plain[f"float-{kind}-{seed}"] = random_case(np.random.default_rng([k, seed]), kind, fixed=False)
            cases[f"float-options-{kind}-{seed}"] = options_case(
                np.random.default_rng([k, seed]), kind, fixed=False, pools=False
            )
        for seed in range(OPTIONS_PER_KIND):
            cases[f"options-{kind}-{seed}"] = options_case(np.random.default_rng([k, seed]), kind, pools=False)
    for seed in range(2 * NETWORKS_PER_KIND):
        plain[f"edge-{seed}"] = edge_case(np.random.default_rng(seed))
        cases[f"limits-{seed}"] = limits_case(np.random.default_rng(seed), pools=False)
    plain["stock-chain"] = stock(deep=True)
    plain["stock-flat"] = stock(deep=False)
    return cases | {name: (network, Inputs.of(network, events)) for name, (network, events) in plain.items()}


def stock(deep: bool) -> tuple[ns.Network, ns.Events]:
    """Only what lava-nc has: zero resets, biases, pooling, strides, groups, on images that are not square."""
    rng = np.random.default_rng(deep)
    weights = [rng.integers(-90, 120, shape).astype(np.int8) for shape in ((4, 2, 3, 2), (6, 2, 1, 3), (5, 60))]
    first = ns.FixedLIF(membrane_decay=400, threshold=150, reset="zero", bias_mantissa=7)
    second = ns.FixedLIF(membrane_decay=90, current_decay=1500, threshold=300, reset="zero")
    populations = [
        ns.Population("in", (2, 9, 8)),
        ns.Population("conv1", (4, 5, 9), first),
        ns.Population("conv2", (6, 5, 2), second),
        ns.Population("out", (5,), ns.FixedReadout(-3)),
    ]
    projections = [
        ns.Projection("in", "conv1", ns.Conv2d(weights[0], stride=(2, 1), padding=1)),
        ns.Projection("conv1", "conv2", ns.Conv2d(weights[1], groups=2), pool=ns.SumPool2d((1, 2))),
        ns.Projection("conv2", "out", ns.Dense(weights[2])),
    ]
    if not deep:
        weight = rng.integers(-90, 120, (5, 144)).astype(np.int8)
        populations, projections = [populations[0], populations[3]], [ns.Projection("in", "out", ns.Dense(weight))]
    events = ns.Events.from_dense((rng.random((9, 3, 2, 9, 8)) < 0.4).astype(np.uint8))
    return ns.Network(populations, projections), events


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return drawn()


@pytest.fixture(scope="module")
def results(lava: Path, cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one folder per case, which contains the recording of Lava's models."""
    folder = tmp_path_factory.mktemp("models")
    for name, (network, inputs) in cases.items():
        (folder / name).mkdir()
        network.save(folder / name / "network.h5")
        for k, given in enumerate(inputs.values()):
            save(given, folder / name / f"events-{k}.h5")
    code = "import runpy; runpy.run_path(sys.argv[3], run_name='__main__')"
    subprocess.run(command(lava, code, str(folder), str(DIRECT)), check=True, timeout=300)
    return folder


def lavas(results: Path, name: str, other: ns.Recording) -> ns.Recording | None:
    """The recording of a case by Lava's models; None if they refused it."""
    if (results / name / "refused.json").exists():
        return None
    return replace(load_recording(results / name / "recording.h5"), operations=other.operations)


@pytest.mark.parametrize("kind", [*KINDS, "edge", "stock", "options", "limits"])
def test_models_are_bit_exact(kind: str, cases: dict[str, Case], results: Path) -> None:
    seen = 0
    for name, (network, events) in cases.items():
        if name.startswith(f"{kind}-"):
            record = ns.Record.everything(network)
            event = ns.run(network, events, "event", record, threads=1)
            recording = lavas(results, name, event)
            if recording is not None:
                assert_identical(event, recording, name)
                assert_identical(ns.run(network, events, "reference", record), recording, name)
                seen += 1
    assert seen >= (2 if kind == "stock" else NETWORKS_PER_KIND * 2 // 3)


def test_models_agree_with_the_oracle(cases: dict[str, Case], results: Path) -> None:
    """Directly, not through another back end, for a few networks of each kind."""
    for kind in (*[*KINDS, "edge", "limits"], *(f"options-{kind}" for kind in KINDS)):
        for seed in range(5):
            name = f"{kind}-{seed}"
            expected = simulate(*cases[name])
            recording = lavas(results, name, expected)
            if recording is not None:
                assert_identical(expected, recording, name)


def test_float_models_agree(cases: dict[str, Case], results: Path) -> None:
    for name, (network, events) in cases.items():
        if name.startswith("float-"):
            event = ns.run(network, events, "event", ns.Record.everything(network), threads=1)
            recording = lavas(results, name, event)
            if recording is not None:
                assert_agree(event, recording, name)


def test_refusals_are_few_and_name_the_projection(results: Path, cases: dict[str, Case]) -> None:
    refused = {path.parent.name: json.loads(path.read_text()) for path in results.glob("*/refused.json")}
    assert 0 < len(refused) < len(cases) // 10
    for name, refusal in refused.items():
        assert refusal["where"].startswith("projection "), name
        assert "too little delay for Lava" in refusal["problem"] or "odd weights of both signs" in refusal["problem"], (
            name
        )


@pytest.mark.parametrize("name", ["stock-chain", "stock-flat"])
def test_stock_networks_use_only_lavas_processes(results: Path, name: str) -> None:
    used = json.loads((results / name / "processes.json").read_text())
    assert used
    assert all(process.startswith("lava.") for process in used), used


def test_networks_of_every_kind_spike(cases: dict[str, Case], results: Path) -> None:
    """So that the comparison is not between silent networks."""
    for kind in (*KINDS, "edge", "stock", "options", "limits"):
        spikes = 0
        for path in results.glob(f"{kind}-*/recording.h5"):
            spikes += sum(s.count() for s in load_recording(path).spikes.values())
        assert spikes > 100, kind
