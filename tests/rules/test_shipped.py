"""What the shipped chips say to the network of the demo, before and after it is trained for them."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from typer.testing import CliRunner

from neurosam.cli import app
from neurosam.cli import chips as neighbours
from neurosam.signals.stimulus import Stimulus
from neurosam.training.model_file import Recipe, save_model
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.rules import RULES, check, check_traces, joined
from support.all_options import all_options
from support.chips import demo_network
from support.networks import KINDS, random_case

LAYERS = "conv1, conv2, conv3, conv4"
FILES = sorted(Path(shipped.__path__[0]).glob("*.toml"))

Points = dict[str, list[EntryPoint]]

DEMO = {
    "darwin3": ("", "weight_bits weight_sign", ""),
    "example": ("", "fires decay decay_bits threshold bias", ""),
    "loihi1": (f"reset ({LAYERS})", "", "trace_bits"),
    "loihi2": ("", "", ""),
    "odin": (
        f"single_core (network), single_core_synapses (network), reset ({LAYERS}), fires ({LAYERS}), decay ({LAYERS}), "
        f"threshold ({LAYERS}), membrane_bits ({LAYERS}), membrane_sign ({LAYERS}, out), weight_bits (input->conv1, "
        "conv1->conv2, conv2->conv3, conv3->conv4, conv4->out)",
        "bias weight_sign",
        "",
    ),
    "sanafe-loihi": ("", "", ""),
    "speck": (f"decay ({LAYERS})", "fires threshold bias", ""),
    "spinnaker2": ("", "weight_bits weight_sign", ""),
    "truenorth": (
        "fan_in (conv3, conv4, out)",
        "reset fires decay decay_bits threshold membrane_bits bias weight_bits weight_sign weight_types",
        "",
    ),
    "xylo-a2": (
        "input_channels (network), hidden_neurons (network), output_neurons (network), output_channels (network), "
        "single_core (network)",
        "fires decay_bits membrane_bits bias",
        "",
    ),
    "xylo-a3": (
        "hidden_neurons (network), single_core (network)",
        "input_channels fires decay_bits membrane_bits bias",
        "",
    ),
    "xylo-imu": (
        "hidden_neurons (network), single_core (network)",
        "input_channels fires decay_bits membrane_bits bias",
        "",
    ),
}
"""Broken rules with their places, rules not checked, and broken rules about traces, by chip."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_the_demo_network_on_every_chip(file: Path) -> None:
    network, chip = demo_network(), load_chip(file)
    findings, traces = check(network, chip), check_traces(network, chip)
    unchecked = " ".join(dict.fromkeys(item.rule for item in findings.unchecked))
    assert (str(findings), unchecked, " ".join(traces.broken)) == DEMO[chip.name]


def test_loihi_has_no_reset_by_subtraction_and_says_how_to_train_another() -> None:
    chip = load_chip(FILES[0].parent / "loihi1.toml")
    [violation] = {v.remedy: v for v in check(demo_network(), chip).violations}.values()
    assert str(violation) == "reset (conv4): got subtract; allowed is zero; train with --reset zero"
    for fixed in (True, False):
        assert check(demo_network("zero", fixed), chip).fits


def test_findings_are_joined_without_repeats() -> None:
    chip = load_chip(FILES[0].parent / "loihi1.toml")
    own, traces = check(demo_network(), chip), check_traces(demo_network(), chip)
    both = joined(own, traces, own)
    assert both.violations == (*own.violations, *traces.violations)
    assert both.checked == (*own.checked, *traces.checked)


def shown(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["info", *(str(argument) for argument in arguments)])
    assert result.exit_code == status, result.output
    return " ".join((result.stdout if status == 0 else result.stderr).split())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    demo_network().save(tmp_path / "demo.h5")
    return tmp_path / "demo.h5"


def test_info_shows_what_breaks_and_what_to_do(file: Path, points: Points) -> None:
    text = shown(file, "--chip", "loihi1")
    assert f"reset {LAYERS} subtract zero train with --reset zero" in text
    assert text.endswith(f"demo.h5: does not fit loihi1: reset ({LAYERS})")
    assert f"SAM traces of {LAYERS}: do not fit loihi1: trace_bits ({LAYERS}) demo.h5" in text


def test_info_says_what_fits_and_what_was_not_checked(file: Path, points: Points) -> None:
    demo_network("zero", fixed=False).save(file.with_name("float.h5"))
    text = shown(file.with_name("float.h5"), "--chip", "loihi1")
    assert text.startswith("a float network: rules about integers are checked once it is quantised")
    assert text.endswith("float.h5: fits loihi1; cores and memory: neurosam map")
    text = shown(file, "--chip", "spinnaker2")
    assert "weight_bits numbers.weight_bits software" in text
    assert "demo.h5: fits spinnaker2 as far as its figures say (not checked: weight_bits, weight_sign)" in text


def test_traces_of_which_no_source_tells_are_not_said_to_fit(file: Path, points: Points) -> None:
    assert f"SAM traces of {LAYERS}: unknown whether odin can hold them" in shown(file, "--chip", "odin")
    assert f"SAM traces of {LAYERS}: fit loihi2" in shown(file, "--chip", "loihi2")


def test_json_has_every_finding(file: Path, points: Points) -> None:
    result = json.loads(shown(file, "--chip", "loihi1", "--json"))
    assert (result["network"], result["chip"], result["fixed"], result["fits"]) == ("demo.h5", "loihi1", True, False)
    assert result["violations"][0] == {
        "rule": "reset", "where": "conv1", "core": None, "used": "subtract", "allowed": "zero",
        "remedy": "train with --reset zero",
    }  # fmt: skip
    assert result["unchecked"] == []
    assert {"weight_bits", "reset", "delay"} <= set(result["checked"])
    assert {v["rule"] for v in result["traces"]["violations"]} == {"trace_bits"}


def test_a_trained_model_and_a_module_are_held_against_a_chip(tmp_path: Path, points: Points) -> None:
    recipe = Recipe("4C3-P2-D3", (1, 8, 8), Stimulus(steps=4), reset="zero")
    save_model(tmp_path / "m.safetensors", recipe.build(), recipe)
    assert shown(tmp_path / "m.safetensors", "--chip", "loihi1").endswith(
        "m.safetensors: fits loihi1; cores and memory: neurosam map"
    )
    (tmp_path / "own.py").write_text(
        "from neurosam import training\ndef build():\n    return training.build('4C3-P2-D3', (1, 8, 8))\n"
    )
    module = f"{tmp_path / 'own.py'}:build"
    assert shown(module, "--shape", "1x8x8", "--chip", "loihi1").endswith("does not fit loihi1: reset (conv1)")
    assert "--shape: is missing; a module needs" in shown(module, "--chip", "loihi1", status=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chip", "loihi9"), "chip 'loihi9': is unknown; did you mean 'loihi"),
        (("--shape", "1x8x8"), "--shape: goes with --chip"),
        (("--shape", "1x8x8", "--chip", "loihi1"), "--shape: goes with file.py:FUNCTION"),
    ],
)
def test_mistakes_are_one_sentence(file: Path, points: Points, arguments: tuple[str, ...], message: str) -> None:
    assert message in shown(file, *arguments, status=2)


def test_without_a_package_that_knows_chips(file: Path, points: Points) -> None:
    del points[neighbours.GROUP]
    assert "--chip: needs a package that knows chips" in shown(file, "--chip", "loihi1", status=2)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_any_network_is_held_against_any_chip(kind: str, fixed: bool) -> None:
    for seed in range(3):
        network, _ = random_case(np.random.default_rng(seed), kind, fixed=fixed)
        places = {"network", *(p.name for p in network.populations), *(p.label for p in network.projections)}
        for chip in map(load_chip, FILES):
            findings = joined(check(network, chip), check_traces(network, chip))
            assert {violation.where for violation in findings.violations} <= places
            assert {item.figure for item in findings.unchecked} <= {f for r in RULES.values() for f in r.figures}
            assert not {f for f in findings.unchecked if chip.figure(f.figure).known}


def test_a_network_with_every_option_breaks_what_loihi_does_not_have() -> None:
    network, chip = all_options()[0], load_chip(FILES[0].parent / "loihi1.toml")
    findings = check(network, chip)
    assert findings.broken == {
        "graded_spikes": ("touch", "many"), "reset": ("many",), "fires": ("many",), "adaptive_threshold": ("rare",),
        "lower_bound": ("many",), "several_spikes": ("many",),
    }  # fmt: skip
    assert [(item.rule, item.figure) for item in findings.unchecked] == [("reset", "resets.value")]
    assert list(check(network, load_chip(FILES[0].parent / "loihi2.toml")).broken) == []
