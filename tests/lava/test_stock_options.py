"""Options that Lava has Processes for: our rule gives the spikes and states of Lava's own LIFRefractory and ATRLIF."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.lava.interpreter import command
from neurosam_hw.lava.rule import Rule

PROGRAM = Path(__file__).with_name("stock_options.py")
STEPS, NEURONS = 300, 40


def cases() -> dict[str, tuple[dict[str, Any], ns.LIF | ns.FixedLIF]]:
    """What Lava's model takes, and our neuron, by case."""
    made: dict[str, tuple[dict[str, Any], ns.LIF | ns.FixedLIF]] = {}
    rest = np.zeros(NEURONS)
    for seed, period in enumerate((1, 2, 7)):
        rng = np.random.default_rng(seed)
        given = {
            "a": rng.integers(-8, 20, (STEPS, NEURONS)) / 8, "u": rest, "v": rest, "du": 0.5, "dv": 0.125, "vth": 4.0,
            "bias_mant": rest, "refractory_period": period, "refractory_period_end": rest.astype(int),
        }  # fmt: skip
        made[f"refractory-{period}"] = given, ns.LIF(0.875, 4.0, "zero", current_leak=0.5, refractory=period)
    for seed, (threshold, relative) in enumerate(((0.25, 0.125), (0.0, 1.0), (1.0, 0.5))):
        rng = np.random.default_rng(10 + seed)
        a = rng.integers(-8, 24, (STEPS, NEURONS)) / 8
        decays = {"delta_i": 0.5, "delta_v": 0.25, "delta_theta": threshold, "delta_r": relative}
        state = {"i": rest, "v": rest, "r": rest, "s": rest.astype(bool), "bias_exp": rest}
        levels = {"theta": rest + 5.0, "theta_0": 5.0, "theta_step": 0.75}
        options: dict[str, Any] = {"reset": "relative", "fires": "at"}
        made[f"atrlif-{seed}"] = (
            {"a": a, **decays, **state, **levels, "bias_mant": rest + 0.25},
            ns.LIF(
                0.75, 5.0, current_leak=0.5, bias=0.25, threshold_leak=1 - threshold, threshold_step=0.75,
                relative_leak=1 - relative, **options,
            ),
        )  # fmt: skip
        whole = {name: value.astype(np.int32) for name, value in state.items() if name not in ("s", "bias_exp")}
        bits = {name: round(value * 4096) for name, value in decays.items()}
        made[f"atrlif_fixed-{seed}"] = (
            {
                "a": rng.integers(-40, 120, (STEPS, NEURONS)), **decays, **whole, "s": state["s"],
                "bias_exp": rest.astype(np.int16) + 6, "bias_mant": rest.astype(np.int16) + 3,
                "theta": (rest + 300).astype(np.int32), "theta_0": 300, "theta_step": 40,
            },
            ns.FixedLIF(
                bits["delta_v"], 300, current_decay=bits["delta_i"], bias_mantissa=3,
                threshold_decay=bits["delta_theta"], threshold_step_64ths=40 << 6, relative_decay=bits["delta_r"],
                **options,
            ),
        )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def lavas(lava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lava's models did."""
    folder = tmp_path_factory.mktemp("stock")
    for name, (given, _) in cases().items():
        np.savez(folder / f"{name}.npz", **given)
    code = "import runpy; runpy.run_path(sys.argv[3], run_name='__main__')"
    subprocess.run(command(lava, code, str(folder), str(PROGRAM)), check=True, timeout=120)
    return folder


@pytest.mark.parametrize("name", cases())
def test_our_rule_equals_lavas_model(name: str, lavas: Path) -> None:
    given, neuron = cases()[name]
    with np.load(lavas / f"{name}-lava.npz") as stored:
        theirs = {key: stored[key] for key in stored.files}
    fixed = isinstance(neuron, ns.FixedLIF)
    rule = Rule(neuron, ns.Precision.lava() if fixed else None)
    rule.restart((NEURONS,))
    threshold = np.asarray(neuron.threshold) << 6 if isinstance(neuron, ns.FixedLIF) else neuron.threshold
    compare: Any = np.testing.assert_array_equal if fixed else np.testing.assert_allclose
    spikes = 0
    for t in range(STEPS):
        fired, _, _ = rule.step(given["a"][t], t)
        np.testing.assert_array_equal(fired, theirs["s"][t], err_msg=f"{name}, step {t}")
        spikes += int(fired.sum())
        state = rule.state
        compare(state.u, theirs["u" if "u" in theirs else "i"][t], err_msg=f"{name}, step {t}")
        compare(state.v, theirs["v"][t], err_msg=f"{name}, step {t}")
        if "theta" in theirs:
            compare(threshold + state.h, theirs["theta"][t], err_msg=f"{name}, step {t}")
            compare(state.r, theirs["r"][t], err_msg=f"{name}, step {t}")
    assert spikes > 100, (name, spikes)
