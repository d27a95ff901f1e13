"""The commands, one after the other on tiny data: what they write, print and return."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from neurosam.cli import app
from neurosam.explain.sam import SAM
from neurosam.hdf5 import load_network, load_recording, save
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, SumPool2d
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.signals.events import Events
from neurosam.signals.stimulus import Stimulus
from neurosam.training.model_file import Recipe, save_model
from support.toy_dataset import ARCHITECTURE, write_bars

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN = ("--arch", ARCHITECTURE, "--steps", "4", "--epochs", "3", "--batch", "8", "--lr", "0.02", "--shift", "0")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars/, digits.safetensors, digits.h5 (8 bits) and float.h5."""
    folder = tmp_path_factory.mktemp("cli")
    bars = write_bars(folder / "bars")
    model = folder / "digits.safetensors"
    trained = neurosam("train", "--data", bars, "-o", model, *TRAIN)
    assert trained.exit_code == 0, trained.output
    assert "64 samples to train, 24 held out" in trained.output
    assert "epoch 3/3" in trained.output
    assert "test accuracy" in trained.output
    exported = neurosam("export", model)
    assert exported.exit_code == 0, exported.output
    assert "float and fixed point agree on" in exported.output
    assert neurosam("export", model, "-o", folder / "float.h5", "--precision", "float").exit_code == 0
    return folder


def neurosam(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def done(*arguments: object, status: int = 0) -> str:
    """The output of a command that must exit with `status`."""
    result = neurosam(*arguments)
    assert result.exit_code == status, result.output
    return str(result.output)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_training_leaves_the_model_and_nothing_else(place: Path) -> None:
    assert names(place) >= {"bars", "digits.safetensors", "digits.h5", "float.h5"}
    assert not [name for name in names(place) if name.endswith((".checkpoint", ".tmp"))]


def test_export_keeps_what_running_needs(place: Path) -> None:
    network = load_network(place / "digits.h5")
    assert network.precision == Precision.lava(8)
    assert network.metadata["architecture"] == ARCHITECTURE
    assert network.metadata["steps"] == "4"
    assert json.loads(network.metadata["classes"]) == ["0", "1"]
    assert load_network(place / "float.h5").precision is None


def test_export_chooses_precision_bits_and_trace(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.h5"
    done("export", place / "digits.safetensors", "-o", out, "--precision", "nxsdk", "--bits", 4, "--gamma", 0.3,
         "--mode", "official", "--calibrate", 0)  # fmt: skip
    network = load_network(out)
    assert network.precision == Precision.nxsdk(4)
    assert network.sam["conv1"].gamma == pytest.approx(0.3, abs=1e-4)  # as far as an integer table can represent it
    assert network.sam["conv1"].mode == "official"


def test_export_plans_for_long_runs_and_warns(place: Path, tmp_path: Path) -> None:
    model, out = place / "digits.safetensors", tmp_path / "long.h5"
    text = done("export", model, "-o", out, "--longest-run", 5000, "--scale", "channel")
    (row,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["out"])
    assert int(row[-1].replace(",", "")) >= 5000  # safe steps
    network = load_network(out)
    assert np.ndim(network["conv1"].neuron.threshold) == 1  # type: ignore[union-attr]  # one per channel
    assert "warning: population 'conv1': the most clipped weight loses" in done(
        "export", model, "-o", tmp_path / "coarse.h5", "--bits", 2, "--rounding", "stochastic"
    )
    assert "steps: needs a calibration" in done(
        "export", model, "-o", tmp_path / "none.h5", "--longest-run", 9, "--calibrate", 0, status=2
    )


def test_direct_coding_becomes_bytes_in_fixed_point(place: Path, tmp_path: Path) -> None:
    """From training to maps without an option."""
    recipe = Recipe("3C3S2-D2", (1, 12, 12), Stimulus(4, "direct", classes=("0", "1"), data=str(place / "bars")))
    model, out = tmp_path / "direct.safetensors", tmp_path / "direct.h5"
    save_model(model, recipe.build(), recipe)
    done("export", model, "-o", out)
    network = load_network(out)
    assert (network.input.magnitude, network.metadata["magnitude"]) == (255, "255")
    assert "8 samples x 4 steps" in done("run", out, "--samples", 8)
    assert "reference and event: equal" in done("verify", out, "--samples", 2)
    assert "takes an intensity of 1 as an event of 255" in done("run", out, "--coding", "poisson", status=2)
    images = np.full((1, 1, 12, 12), 200, dtype=np.uint8)
    np.testing.assert_array_equal(
        SAM(network, "conv1").attribute(images, steps=4, coding="direct"),
        SAM(network, "conv1").attribute(Stimulus.from_metadata(network.metadata).encode(images)),
    )
    other = tmp_path / "other.h5"
    done("export", place / "digits.safetensors", "-o", other, "--coding", "direct", "--steps", 3)
    assert load_network(other).metadata.items() >= {"coding": "direct", "magnitude": "255", "steps": "3"}.items()
    float_ = tmp_path / "float.h5"
    done("export", model, "-o", float_, "--precision", "float")
    assert load_network(float_).input.magnitude == 1


def test_a_module_is_exported_from_the_file_that_builds_it(tmp_path: Path) -> None:
    source = tmp_path / "model.py"
    source.write_text(
        "from torch import nn\nfrom neurosam import training\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(1, 4, 3), training.LIF(), nn.Flatten(), nn.Linear(144, 5))\n"
    )
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8), dtype=np.uint8))
    name, images, out = f"{source}:build", tmp_path / "images.npy", tmp_path / "net.h5"
    done("export", name, "--shape", "1x8x8", "--calibrate", images, "--coding", "direct", "--steps", 3, "-o", out)
    network = load_network(out)
    assert network.precision == Precision.lava(8)
    kept = {key: value for key, value in network.metadata.items() if key != "quantisation"}
    assert kept == {"steps": "3", "coding": "direct", "magnitude": "255", "module": "model.py:build"}
    assert "--shape: is missing" in done("export", name, "-o", tmp_path / "x.h5", status=2)
    assert "--shape: got '8x'" in done("export", name, "--shape", "8x", "-o", tmp_path / "x.h5", status=2)
    other = done("export", name, "--shape", "1x9x9", "--calibrate", images, status=2)
    assert "images [B, 1, 9, 9] are required" in " ".join(other.split())
    assert "--shape, --time: go with file.py:FUNCTION" in done("export", "m.safetensors", "--shape", "1x8x8", status=2)


def test_export_fine_tunes_for_few_bits(place: Path, tmp_path: Path) -> None:
    model, out = place / "digits.safetensors", tmp_path / "tuned.h5"
    text = done("export", model, "-o", out, "--bits", 3, "--fine-tune", 1)
    assert "fine-tuned at 3 bits: test accuracy" in text
    assert load_network(out).precision == Precision.lava(3)
    done("export", model, "-o", tmp_path / "plain.h5", "--bits", 3)
    assert load_network(out) != load_network(tmp_path / "plain.h5")
    assert "float has none" in done(
        "export", model, "-o", tmp_path / "f.h5", "--precision", "float", "--fine-tune", 1, status=2
    )


def test_an_ann_is_trained_converted_exported_and_run(place: Path, tmp_path: Path) -> None:
    model = tmp_path / "ann.safetensors"
    data = ("--data", place / "bars")
    output = done(
        "train",
        *data,
        "-o",
        model,
        "--arch",
        ARCHITECTURE,
        "--epochs",
        "4",
        "--batch",
        "8",
        "--lr",
        "0.02",
        "--shift",
        "0",
        "--ann",
    )
    assert f"next: neurosam convert {model}" in output
    ann_accuracy = float(re.search(r"test accuracy ([0-9.]+)%", output)[1])  # type: ignore[index]
    assert ann_accuracy > 90
    output = done("convert", model, "--steps", "40", "--calibrate", "20", "--samples", "24")
    assert re.search(r"thresholds: conv1 [0-9.]+", output)
    by_step = {int(steps): float(share) for steps, share in re.findall(r"^ *(\d+) +([0-9.]+)%", output, re.MULTILINE)}
    assert list(by_step) == [1, 2, 5, 10, 20, 40]
    assert re.search(rf"the ANN itself +{ann_accuracy:.2f}%", output)
    assert by_step[40] == ann_accuracy
    converted = tmp_path / "ann-converted.safetensors"
    done("export", converted)
    assert done("run", converted.with_suffix(".h5"), "--samples", "24").count("accuracy") == 1
    network = load_network(converted.with_suffix(".h5"))
    assert network.metadata["steps"] == "40"
    again = done("convert", model, "--steps", "40", "--calibrate", "20", "--samples", "24", "--force")
    assert again == output


@pytest.mark.parametrize("option", [("--steps", "4"), ("--bntt",), ("--leak", "0.9"), ("--coding", "poisson")])
def test_training_an_ann_refuses_options_of_spiking_networks(tmp_path: Path, option: tuple[str, ...]) -> None:
    output = done("train", "--data", "mnist5k", "-o", tmp_path / "m.safetensors", "--ann", *option, status=2)
    assert f"{option[0]}: applies to spiking networks only; leave it out with --ann" in output


def test_anns_are_converted_and_spiking_models_exported(place: Path, tmp_path: Path) -> None:
    recipe = Recipe("3C3-D4", (1, 8, 8), Stimulus(1, "direct", data=str(place / "bars")), ann=True)
    ann = tmp_path / "ann.safetensors"
    save_model(ann, recipe.build(), recipe)
    assert "is an ANN; convert it to a spiking network first: neurosam convert" in done("export", ann, status=2)
    output = done("convert", place / "digits.safetensors", "-o", tmp_path / "x.safetensors", status=2)
    assert "is already a spiking network" in output
    assert "which it does not replace" in done("convert", ann, "-o", ann, status=2)
    assert "allowed is above 0, to 100" in done("convert", ann, "--percentile", "101", status=2)
    assert not (tmp_path / "ann-converted.safetensors").exists()


def test_run_reports_accuracy_and_records(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.h5"
    text = done("run", place / "digits.h5", "-o", out, "--record", "spikes, sam", "--samples", 6)
    assert "6 samples x 4 steps on event" in text
    assert "on 6 samples" in text
    recording = load_recording(out)
    assert (recording.samples, recording.steps) == (6, 4)
    assert list(recording.spikes) == list(recording.sam) == ["conv1"]
    assert not recording.membrane
    assert "membrane" not in done("info", out)


def write_tiny_imagenet(folder: Path) -> Path:
    """Write 8 training and 4 held-out images of several sizes, and 1 unlabelled, in the layout of Tiny-ImageNet."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(13):
        wnid = f"n{i % 2}"
        place = f"train/{wnid}/images/{i}.JPEG" if i < 8 else f"val/images/{i}.JPEG" if i < 12 else "test/images/0.JPEG"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6 + i, 9, 3), dtype=np.uint8)).save(folder / place)
        if 8 <= i < 12:
            lines.append(f"{i}.JPEG\t{wnid}\t0\t0\t1\t1\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


def test_images_of_different_sizes_are_resized_to_one(tmp_path: Path) -> None:
    data, model = write_tiny_imagenet(tmp_path / "tiny"), tmp_path / "m.safetensors"
    train = ("train", "--data", data, "-o", model, "--arch", "2C3-D2", "--steps", 2, "--epochs", 1, "--batch", 8)
    assert "give a size to crop and resize all images to (--size" in done(*train, status=2)
    assert "8 samples to train, 4 held out" in done(*train, "--size", 5)
    assert f"--data: is needed: the file says that it was trained on '{data}'" in done("export", model, status=2)
    assert f"next: neurosam run {tmp_path / 'm.h5'} --data {data}" in done("export", model, "--data", data)
    network, given = tmp_path / "m.h5", ("--data", data)
    assert load_network(network).input.shape == (3, 5, 5)
    assert f"only if you name it: --data {data}" in done("run", network, status=2)
    assert "on 4 samples" in done("run", network, *given)
    assert "on 4 samples" in done("run", network, *given, "--size", 5)  # same size, given explicitly
    assert "or the --size of the input" in " ".join(done("run", network, *given, "--size", 6, status=2).split())
    assert "does not apply" in done("run", network, "--data", "mnist5k", "--size", 5, status=2)
    done("verify", network, *given, "--samples", 2)
    done("explain", network, *given, "-o", tmp_path / "maps", "--samples", 1)


def test_run_uses_at_most_the_available_samples(place: Path) -> None:
    assert "on 24 samples" in done("run", place / "digits.h5", "--samples", 1000)


def test_the_seed_determines_the_recording(place: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done("run", place / "digits.h5", "-o", tmp_path / f"{name}.h5", "--record", "all", "--seed", seed)
    assert "equal" in done("verify", tmp_path / "a.h5", tmp_path / "b.h5")
    text = done("verify", tmp_path / "a.h5", tmp_path / "c.h5", "--network", place / "digits.h5", status=1)
    assert "NOT equal" in text
    assert "first divergence" in text


@pytest.mark.parametrize("name", ["digits.h5", "float.h5"])
def test_verify_compares_back_ends(place: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "result.json"
    assert "reference and event: equal" in done("verify", place / name, "--samples", 5, "--json", out)
    result = json.loads(out.read_text())
    assert result["equal"] is True
    assert result["result"]["event"]["samples"] == 5
    assert result["result"]["event"]["total"]["compared"] > 1000


def test_a_float_network_runs_in_the_requested_precision(place: Path, tmp_path: Path) -> None:
    for name, backend, dtype in (("a", "event", "float32"), ("b", "reference", "float32"), ("c", "event", "float64")):
        out = ("-o", tmp_path / f"{name}.h5", "--record", "all", "--samples", 4)
        done("run", place / "float.h5", "--backend", backend, "--dtype", dtype, *out)
    a, b, c = (load_recording(tmp_path / f"{name}.h5") for name in "abc")
    assert (a.membrane["conv1"] == a.membrane["conv1"].astype(np.float32)).all()
    assert (b.membrane["conv1"] == b.membrane["conv1"].astype(np.float32)).all()
    assert (c.membrane["conv1"] != a.membrane["conv1"]).any()
    network = ("--network", place / "float.h5")
    for other in "bc":  # they differ within the rounding of float32, not of float64
        both = ("verify", tmp_path / "a.h5", tmp_path / f"{other}.h5")
        assert "equal" in done(*both, *network, "--dtype", "float32")
        assert "needs the --network" in done(*both, "--dtype", "float32", status=2)
    assert "NOT equal" in done("verify", tmp_path / "a.h5", tmp_path / "c.h5", *network, status=1)


def test_verify_and_explain_take_a_precision(place: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        out = tmp_path / f"{dtype}.json"
        done("verify", place / "float.h5", "--samples", 3, "--dtype", dtype, "--json", out)
        assert json.loads(out.read_text())["result"]["event"]["total"]["compared"] > 1000
        done("explain", place / "float.h5", "-o", tmp_path / dtype, "--samples", 1, "--dtype", dtype)
        # The integers of a fixed-point network do not depend on it.
        done("run", place / "digits.h5", "--dtype", dtype, "-o", tmp_path / f"{dtype}.h5", "--record", "all")
    a, b = (load_recording(tmp_path / f"{dtype}.h5") for dtype in ("float32", "float64"))
    assert a.same_as(b)
    maps = [json.loads((tmp_path / dtype / "report.json").read_text()) for dtype in ("float32", "float64")]
    assert maps[0] != maps[1]


def test_verify_locates_one_changed_weight(place: Path, tmp_path: Path) -> None:
    network = load_network(place / "digits.h5")
    last = network.projections[-1]
    weight = last.synapse.weight.copy()
    weight[1, 2] ^= 1
    other = replace(network, projections=(*network.projections[:-1], replace(last, synapse=Dense(weight))))
    other.save(tmp_path / "other.h5")
    out = tmp_path / "result.json"
    text = done("verify", place / "digits.h5", tmp_path / "other.h5", "--json", out, status=1)
    assert "first difference" in text
    assert "[1, 2]" in text
    assert json.loads(out.read_text())["equal"] is False
    assert "equal bit for bit" in done("verify", place / "digits.h5", place / "digits.h5")


def test_explain_writes_a_page_and_images_and_can_overwrite_its_own(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    text = done("explain", place / "digits.h5", "-o", out, "--samples", 2, "--gamma", 0.25)
    assert f"open {out / 'report.html'}" in text
    for name in ("Footprint (bytes)", "ActivationSparsityByLayer: conv1", "SynapticOperations: Effective_MACs"):
        assert name in text
        assert name in (out / "report.html").read_text()
    assert names(out) >= {"report.html", "report.json", "samples.png", "sheet-0.png", "raster-conv1.png", "spikes.png"}
    done("explain", place / "digits.h5", "-o", out, "--samples", 1)


def test_explain_measures_localisation_on_canvases(place: Path, tmp_path: Path) -> None:
    data = f"cluttered-{place / 'bars'}"
    model = tmp_path / "scenes.safetensors"
    text = done("train", "--data", data, "-o", model, "--arch", "4C5S2-P4-D2", "--steps", 2, "--epochs", 1)
    assert "128 samples to train, 24 held out" in text  # every image on two canvases
    done("export", model)
    text = done("explain", tmp_path / "scenes.h5", "-o", tmp_path / "maps", "--samples", 3)
    assert "SAM conv1" in text
    assert "uniform" in text


def test_events_from_numpy_and_from_hdf5_give_the_same_recording(place: Path, tmp_path: Path) -> None:
    dense = (np.random.default_rng(0).random((5, 2, 1, 12, 12)) < 0.3).astype(np.uint8)
    np.save(tmp_path / "in.npy", dense)
    save(Events.from_dense(dense), tmp_path / "in.h5")
    assert "accuracy" not in done(
        "run", place / "digits.h5", "--events", tmp_path / "in.npy", "-o", tmp_path / "a.h5", "--record", "all"
    )
    done("run", place / "digits.h5", "--events", tmp_path / "in.h5", "-o", tmp_path / "b.h5", "--record", "all")
    assert load_recording(tmp_path / "a.h5").same_as(load_recording(tmp_path / "b.h5"))
    assert "2 sample(s), 5 steps" in done("verify", place / "digits.h5", "--events", tmp_path / "in.npy")
    assert f"{int(dense.sum()):,} events (spikes) in 5 steps of 2 samples, shape 1x12x12" in done(
        "info", tmp_path / "in.h5"
    )


def test_a_network_with_flat_input_accepts_images(place: Path, tmp_path: Path) -> None:
    weight = np.ones((2, 144), dtype=np.int8)
    network = Network(
        (Population("in", (144,)), Population("out", (2,), FixedReadout())),
        (Projection("in", "out", Dense(weight)),),
        precision=Precision.lava(8),
    )
    network.save(tmp_path / "flat.h5")
    text = done("run", tmp_path / "flat.h5", "--data", place / "bars", "--samples", 3)
    assert "3 samples x 16 steps" in text


def test_info_counts_neurons_synapses_and_bytes(tmp_path: Path) -> None:
    """Counted by hand, without weights that fall on the padding.

    A 3x3 kernel on 5x4 pixels with padding 1 covers (2+3+3+3+2) (2+3+3+2) = 130 pixels, for 2 x 3 channels: 780.
    After a sum pool of 2x2, 3x2x2 = 12 addresses reach 4 outputs: 48. Weights take a byte each: 2*3*9 = 54, and 48. The
    same convolution in front of a max pool has as many again.
    """
    conv = np.arange(54, dtype=np.int8).reshape(3, 2, 3, 3)
    dense = np.full((4, 12), -7, dtype=np.int8)
    lif = FixedLIF(membrane_decay=410, threshold=np.array([5, 6, 9]), bias_mantissa=0)
    network = Network(
        (
            Population("in", (2, 5, 4), magnitude=3),
            Population("conv", (3, 5, 4), lif),
            Population("pooled", (3, 2, 2), lif, pool=MaxPool2d((3, 2), stride=2)),
            Population("out", (4,), FixedReadout()),
        ),
        (
            Projection("in", "conv", Conv2d(conv, padding=(1, 1)), delay=2, exponent=-1),
            Projection("in", "pooled", Conv2d(conv, padding=1)),
            Projection("conv", "out", Dense(dense), pool=SumPool2d((2, 2))),
        ),
        precision=Precision.lava(8),
        metadata={"note": "by [hand]"},
    ).with_sam(SamTrace(0.5, "inclusive"))
    network.save(tmp_path / "hand.h5")
    text = done("info", tmp_path / "hand.h5")
    rows = [" ".join(line.split()) for line in text.splitlines()]
    arrays = 2 * (2 + 3 * 4 + 3 * 4 + 2 + 4 + 4) + 2 + 4 + 4  # of two FixedLIF and a FixedReadout
    arrays += sum(4 * trace.table.size for trace in network.sam.values() if isinstance(trace, FixedSamTrace))
    for row in (
        "populations: fixed point (lava, 8-bit weights)",
        "in 2x5x4 input 40 0",
        "conv 3x5x4 FixedLIF inclusive 0.5 60 2",
        "out 4 FixedReadout 4 3",
        "in |value| <= 3",
        "conv membrane_decay 410, threshold 5..9, reset subtract, reset_amount_64ths 320..576",
        "pooled 3x2x2 max pool 3x2 stride 2, FixedLIF inclusive 0.5 12 1",
        "in -> conv Conv2d padding 1 3x2x3x3 0..53 x 2^-1 780 54 2",
        "conv -> out sum pool 2x2, Dense 4x12 -7 48 48 1",
        "76 neurons, 1,608 synapses, 156 bytes of weights",
        f"NeuroBench: Footprint {156 + arrays:,} bytes, ParameterCount 156, ConnectionSparsity {2 / 156:.4f}",
        "note: by [hand]",
    ):
        assert row in rows, f"{row}\n{text}"


def test_info_says_which_delays_would_align_a_shortcut(tmp_path: Path) -> None:
    one = Dense(np.ones((1, 1), np.int8))
    network = Network(
        (Population("in", (1,)), Population("a", (1,), FixedLIF(0, 1)), Population("out", (1,), FixedReadout())),
        (Projection("in", "a", one), Projection("a", "out", one), Projection("in", "out", one)),
        check_alignment=False,
    )
    network.save(tmp_path / "n.h5")
    text = " ".join(done("info", tmp_path / "n.h5").split())
    assert "warning: in->out delivers 1 step(s) earlier than a->out" in text
    assert "Delays that align all paths: in->out 1 -> 2 answer:" in text


def test_help_leads_from_nothing_to_an_explained_network() -> None:
    text = done("--help")
    steps = ("demo", "train", "export", "info", "run", "verify", "explain")
    assert sorted(steps, key=lambda step: text.index(f"neurosam {step}")) == list(steps)
    for step in steps:
        assert "Usage: " in done(step, "--help")


def test_version() -> None:
    from neurosam import __version__

    assert done("--version").strip() == f"neurosam {__version__}"
