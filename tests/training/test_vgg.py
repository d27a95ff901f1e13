"""The paper's networks by name, its schedule, and model files that hold such networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam.deploy.from_torch import to_network
from neurosam.errors import DataError, NetworkError
from neurosam.signals.stimulus import Stimulus
from neurosam.training import BNTT, LIF, build, build_ann, describe, evaluate, train, vgg
from neurosam.training.model_file import Recipe, load_model, save_model
from neurosam.training.trainer import _SCHEDULES


@dataclass(frozen=True)
class Images:
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def halves(count: int, seed: int) -> Images:
    """Noise, brighter in the upper (0) or lower (1) half."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 90, (count, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 130
    return Images(images, labels.astype(np.int64))


TRAIN, TEST = halves(64, 0), halves(40, 1)
PAPER: dict[str, Any] = {"optimizer": "sgd", "schedule": "step", "lr": 0.1, "weight_decay": 5e-4, "device": "cpu"}


pytestmark = pytest.mark.usefixtures("one_thread")


def test_names_are_the_papers_layers() -> None:
    assert describe("vgg9", 10) == "64C3-64C3-P2-128C3-128C3-P2-256C3-256C3-256C3-P2-D1024-D10"
    assert describe("vgg11", 200) == "64C3-P2-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-G-D4096-D200"
    assert describe("vgg5", 3, width=1 / 16) == "4C3-P2-8C3-P2-8C3-P2-D64-D3"
    assert describe("4C3-D2", 7) == "4C3-D2"


def test_eleven_layers_with_weights_and_a_norm_before_each_hidden_one() -> None:
    net = vgg("vgg11", (3, 16, 16), 5, steps=3, width=1 / 32)
    weights = [layer for layer in net if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert (sum(isinstance(w, nn.Conv2d) for w in weights), len(weights)) == (
        8,
        10,
    )  # the third dense layer of VGG11 is a pooling layer
    assert all(w.bias is None for w in weights)
    norms = [layer for layer in net if isinstance(layer, BNTT)]
    assert (len(norms), {n.steps for n in norms}, {n.eps for n in norms}) == (9, {3}, {1e-4})
    assert {layer.leak for layer in net if isinstance(layer, LIF)} == {0.99}
    first = weights[0].weight
    bound = 2 * (6 / (3 * 9 + 2 * 9)) ** 0.5  # Xavier's uniform with gain 2
    assert 0.9 * bound < float(first.detach().abs().max()) <= bound
    assert net.eval()(torch.zeros(3, 2, 3, 16, 16)).shape == (2, 5)
    network = to_network(net, (3, 16, 16))
    assert [p.shape for p in network.populations][-3:] == [(16, 1, 1), (128,), (5,)]


def test_step_schedule_is_a_tenth_at_50_70_and_90_percent() -> None:
    rate = _SCHEDULES["step"]
    found = [rate(k / 10) for k in range(10)]
    np.testing.assert_allclose(found, [1] * 5 + [0.1] * 2 + [0.01] * 2 + [0.001], rtol=1e-12)


def test_the_papers_recipe_learns_and_resumes_with_the_same_bits(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(epoch: Any) -> None:
        if epoch.number == 3:
            raise Stop

    def fresh() -> Any:
        return vgg("vgg5", (1, 8, 8), 2, steps=4, width=1 / 32)

    arguments = {**PAPER, "steps": 4, "epochs": 5, "batch_size": 16, "coding": "poisson_signed"}
    whole, place = fresh(), tmp_path / "run.safetensors"
    history = train(whole, TRAIN, TEST, **arguments)
    assert history.test_accuracy > 0.9
    with pytest.raises(Stop):
        train(fresh(), TRAIN, TEST, **arguments, checkpoint=place, progress=stop)
    with pytest.raises(DataError, match="schedule was step, is now cosine"):
        train(fresh(), TRAIN, TEST, **{**arguments, "schedule": "cosine"}, checkpoint=place)
    with pytest.raises(DataError, match="weight_decay was"):
        train(fresh(), TRAIN, TEST, **{**arguments, "weight_decay": 0.0}, checkpoint=place)
    resumed = fresh()
    again = train(resumed, TRAIN, TEST, **arguments, checkpoint=place)
    assert [replace(e, seconds=0.0) for e in again.epochs] == [replace(e, seconds=0.0) for e in history.epochs]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_papers_recipe_learns_on_a_gpu() -> None:
    net = vgg("vgg5", (1, 8, 8), 2, steps=4, width=1 / 32)
    arguments = {**PAPER, "steps": 4, "epochs": 5, "batch_size": 16, "coding": "poisson_signed", "device": "cuda"}
    assert train(net, TRAIN, TEST, **arguments).test_accuracy > 0.9
    assert all(p.device.type == "cpu" for p in net.parameters())


def test_a_model_file_holds_a_bntt_net(tmp_path: Path) -> None:
    recipe = Recipe(describe("vgg5", 2, 1 / 32), (1, 8, 8), Stimulus(steps=4), leak=0.95, bntt=True)
    module = recipe.build()
    train(module, TRAIN, TEST, steps=4, epochs=2, batch_size=16, device="cpu")
    save_model(tmp_path / "m.safetensors", module, recipe)
    loaded, again = load_model(tmp_path / "m.safetensors")
    assert again == recipe
    assert isinstance(loaded.conv1_bntt, BNTT)
    assert loaded.conv1_bntt.steps == 4
    assert evaluate(loaded, TEST, steps=4, device="cpu") == evaluate(module, TEST, steps=4, device="cpu")
    events = recipe.stimulus.encode(TEST.images)
    before, after = (ns.run(to_network(m, (1, 8, 8)), events, "event").output for m in (module, loaded))
    np.testing.assert_array_equal(before, after)


def test_an_ann_has_the_same_names_and_learns() -> None:
    ann = build_ann("4C3-P2-D6-D2", (1, 8, 8))
    spiking = build("4C3-P2-D6-D2", (1, 8, 8), batch_norm=False)
    assert [name for name, _ in ann.named_children()] == [name for name, _ in spiking.named_children()]
    assert isinstance(ann.conv1, nn.ReLU)
    plain = build_ann("4C3-P2-D6-D2", (1, 8, 8), bias=False)
    assert all(name.endswith("weight") for name, _ in plain.named_parameters())
    history = train(ann, TRAIN, TEST, steps=1, coding="direct", epochs=6, lr=0.02, batch_size=16, device="cpu")
    assert history.test_accuracy > 0.9


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NetworkError, match="networks by name are vgg5"):
        describe("vgg16", 10)
    with pytest.raises(NetworkError, match="got 'resnet'; allowed are"):
        vgg("resnet", (1, 8, 8), 2)
    with pytest.raises(NetworkError, match="width"):
        describe("vgg5", 10, width=0)
    with pytest.raises(NetworkError, match="larger than the remaining side"):
        vgg("vgg11", (1, 8, 8), 2)
    with pytest.raises(NetworkError, match="it is a batch norm"):
        build("4C3-D2", (1, 8, 8), bntt=3, batch_norm=False)
    with pytest.raises(NetworkError, match=r"'G' comes after a dense layer"):
        build("4C3-D4-G-D2", (1, 8, 8))
    with pytest.raises(DataError, match="allowed is cosine, step"):
        train(build("D2", (1, 8, 8)), TRAIN, TEST, steps=1, schedule="linear")
    with pytest.raises(DataError, match="weight_decay"):
        train(build("D2", (1, 8, 8)), TRAIN, TEST, steps=1, weight_decay=-1)
