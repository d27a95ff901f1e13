"""Training is reproducible bit for bit, resumes where it stopped, and refuses invalid arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from neurosam.errors import DataError
from neurosam.signals.events import encode
from neurosam.training import Epoch, History, Normalisation, SpikingSequential, build, encode_batch, evaluate, train
from neurosam.training.batches import Feed
from neurosam.training.tensor_file import read_tensors, write_tensors

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Images:
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def bars(count: int, seed: int, channels: int = 1) -> Images:
    """Noisy horizontal (0) and vertical (1) bars on 8 x 8 pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 60, (count, channels, 8, 8), dtype=np.uint8)
    for image, label, place in zip(images, labels, rng.integers(1, 7, count), strict=True):
        image[(slice(None), place) if label == 0 else (slice(None), slice(None), place)] = 230
    return Images(images, labels.astype(np.int64))


TRAIN, TEST = bars(60, 0), bars(40, 1)
ARGUMENTS: dict[str, Any] = {"steps": 4, "epochs": 3, "batch_size": 16, "lr": 0.02, "shift": 1}


def network() -> SpikingSequential:
    return build("4C3-P2-4C3-D2", (1, 8, 8), dropout=0.2, seed=3)


def weights(module: SpikingSequential) -> dict[str, npt.NDArray[Any]]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def same(a: SpikingSequential, b: SpikingSequential) -> bool:
    theirs = weights(b)
    return all(np.array_equal(value, theirs[name]) for name, value in weights(a).items())


def measured(history: History) -> list[Epoch]:
    return [replace(epoch, seconds=0.0) for epoch in history.epochs]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("coding", ["poisson", "poisson_signed", "direct"])
def test_the_same_arguments_give_the_same_bits(optimizer: str, coding: str) -> None:
    modules = [network(), network(), network()]
    torch.manual_seed(1)
    first = train(modules[0], TRAIN, TEST, **ARGUMENTS, optimizer=optimizer, coding=coding, device="cpu")
    torch.manual_seed(2)  # torch's own state must not matter
    second = train(modules[1], TRAIN, TEST, **ARGUMENTS, optimizer=optimizer, coding=coding, device="cpu")
    assert same(modules[0], modules[1])
    assert measured(first) == measured(second)
    train(modules[2], TRAIN, TEST, **ARGUMENTS, optimizer=optimizer, coding=coding, device="cpu", seed=1)
    assert not same(modules[0], modules[2])


def test_it_learns_and_leaves_the_module_in_evaluation_mode() -> None:
    module = network()
    before = torch.get_rng_state()
    history = train(module, TRAIN, TEST, **{**ARGUMENTS, "epochs": 8})
    assert history.test_accuracy > 0.9
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert [epoch.number for epoch in history.epochs] == list(range(1, 9))
    assert not module.training
    assert all(p.is_contiguous() and p.device.type == "cpu" for p in module.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert evaluate(module, TEST, steps=4) == history.test_accuracy
    assert evaluate(module.train(), TEST, steps=4, batch_size=7) > 0.8
    assert module.training


class Stop(Exception):
    pass


def stop_after(number: int) -> Any:
    def stop(epoch: Epoch) -> None:
        if epoch.number == number:
            raise Stop

    return stop


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, optimizer: str) -> None:
    arguments = {**ARGUMENTS, "optimizer": optimizer, "device": "cpu"}
    whole = network()
    wanted = train(whole, TRAIN, TEST, **arguments)
    place = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        train(network(), TRAIN, TEST, **arguments, checkpoint=place, progress=stop_after(2))
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]
    seen: list[int] = []
    resumed = build("4C3-P2-4C3-D2", (1, 8, 8), dropout=0.2, seed=99)  # its own weights are replaced
    found = train(resumed, TRAIN, TEST, **arguments, checkpoint=place, progress=lambda e: seen.append(e.number))
    assert seen == [3]
    assert same(whole, resumed)
    assert measured(found) == measured(wanted)
    finished = network()
    assert train(finished, TRAIN, TEST, **arguments, checkpoint=place) == found
    assert same(whole, finished)


def test_interrupted_within_an_epoch_the_last_finished_one_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "run.safetensors"
    module = network()
    kept: list[dict[str, npt.NDArray[Any]]] = []

    def interrupt(*_: Any) -> None:
        if kept:
            raise KeyboardInterrupt

    module.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(module, TRAIN, TEST, **ARGUMENTS, checkpoint=place, progress=lambda _: kept.append(weights(module)))
    assert all(p.is_contiguous() for p in module.parameters())
    resumed = network()
    with pytest.raises(Stop):
        train(resumed, TRAIN, TEST, **ARGUMENTS, checkpoint=place, progress=stop_after(2))
    whole = network()
    with pytest.raises(Stop):
        train(whole, TRAIN, TEST, **ARGUMENTS, progress=stop_after(2))
    assert same(resumed, whole)


def test_resume_false_starts_anew(tmp_path: Path) -> None:
    place = tmp_path / "run.safetensors"
    seen: list[Epoch] = []
    for resume in (True, False):
        train(network(), TRAIN, TEST, **ARGUMENTS, checkpoint=place, resume=resume, progress=seen.append)
    assert [epoch.number for epoch in seen] == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": 0.01}, "lr was 0.02, is now 0.01; give another path"),
        ({"steps": 5}, "steps was 4, is now 5"),
        ({"seed": 1}, "seed was 0, is now 1"),
        ({"optimizer": "sgd"}, "optimizer was adam, is now sgd"),
        ({"coding": "poisson_signed"}, "coding was poisson, is now poisson_signed"),
    ],
)
def test_checkpoint_of_another_run_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    place = tmp_path / "run.safetensors"
    train(network(), TRAIN, TEST, **{**ARGUMENTS, "epochs": 1}, checkpoint=place)
    module = network()
    before = weights(module)
    with pytest.raises(DataError, match=message):
        train(module, TRAIN, TEST, **{**ARGUMENTS, "epochs": 1, **changed}, checkpoint=place)
    assert all(np.array_equal(value, before[name]) for name, value in weights(module).items())


def test_checkpoint_of_another_architecture_or_data_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "run.safetensors"
    train(network(), TRAIN, TEST, **ARGUMENTS, checkpoint=place)
    with pytest.raises(DataError, match="another run: architecture differs"):
        train(build("4C3-P2-5C3-D2", (1, 8, 8)), TRAIN, TEST, **ARGUMENTS, checkpoint=place)
    with pytest.raises(DataError, match="another run: train_set was"):
        train(network(), bars(60, 2), TEST, **ARGUMENTS, checkpoint=place)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", bytes(100)])
def test_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "run.safetensors"
    place.write_bytes(content)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        train(network(), TRAIN, TEST, **ARGUMENTS, checkpoint=place)
    assert place.read_bytes() == content


@pytest.mark.parametrize(
    "about", [None, "{", "[]", "{}", '{"format": 1, "settings": 3, "epochs": []}', '{"format": 9}']
)
def test_foreign_checkpoint_is_refused(tmp_path: Path, about: str | None) -> None:
    from safetensors.torch import save_file

    place = tmp_path / "run.safetensors"
    save_file({"a": torch.zeros(2)}, place, metadata=None if about is None else {"neurosam": about})
    with pytest.raises(DataError, match=r"not a checkpoint|checkpoint of"):
        train(network(), TRAIN, TEST, **ARGUMENTS, checkpoint=place)


@pytest.mark.parametrize(
    ("optimizer", "old", "new"),
    [("adam", "0/step", "0/stop"), ("adam", "1/exp_avg", "1/mean"), ("sgd", "0/momentum_buffer", "0/speed")],
)
def test_a_checkpoint_with_other_tensors_of_the_optimiser_is_refused(
    tmp_path: Path, optimizer: str, old: str, new: str
) -> None:
    """Before any is loaded: the module is as it was."""
    arguments = {**ARGUMENTS, "epochs": 1, "optimizer": optimizer}
    place = tmp_path / "run.safetensors"
    train(network(), TRAIN, TEST, **arguments, checkpoint=place)
    tensors, about = read_tensors(place)
    tensors[f"optimizer/{new}"] = tensors.pop(f"optimizer/{old}")
    write_tensors(place, tensors, about)
    module = network()
    with pytest.raises(DataError, match="its tensors do not match its optimiser"):
        train(module, TRAIN, TEST, **arguments, checkpoint=place)
    assert same(module, network())


def test_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write the checkpoint"):
        train(network(), TRAIN, TEST, **ARGUMENTS, checkpoint=tmp_path / "missing" / "run.safetensors")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"coding": "rate"}, "coding: got 'rate'; allowed is poisson, poisson_signed, latency, direct"),
        ({"steps": 0}, "steps: got 0"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"lr": 0.0}, "lr: got 0.0"),
        ({"seed": -1}, "seed: got -1"),
        ({"shift": 8}, "shift: got 8"),
        ({"optimizer": "lion"}, "optimizer: got 'lion'; allowed is adam, sgd"),
        ({"device": "abacus"}, "device: cannot use 'abacus'"),
    ],
)
def test_wrong_arguments_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(network(), TRAIN, TEST, **{**ARGUMENTS, **changed})


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    module = network()
    module[-2].register_forward_hook(lambda *arguments: arguments[-1] * float("nan"))
    with pytest.raises(DataError, match="the loss became nan; a smaller lr"):
        train(module, TRAIN, TEST, **ARGUMENTS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Images(TRAIN.images.astype(np.int16).astype(np.uint8)[:, 0], TRAIN.labels), "train_set: images are uint8"),
        (Images(TRAIN.images, TRAIN.labels[:-1]), "train_set: labels are"),
        (Images(TRAIN.images, TRAIN.labels - 1), "all >= 0"),
        (Images(TRAIN.images, TRAIN.labels + 1), "labels: got 2; the 2 outputs are numbered from 0"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: Images, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(network(), data, TEST, **ARGUMENTS)


def test_modules_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="end it with a Readout"):
        train(network()[:-1], TRAIN, TEST, **ARGUMENTS)
    with pytest.raises(DataError, match="no trainable parameters"):
        train(network().requires_grad_(False), TRAIN, TEST, **ARGUMENTS)


def test_codes_have_the_rates_they_promise() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = torch.arange(256).reshape(1, 1, 16, 16) / 255
    generator = torch.Generator().manual_seed(0)
    poisson = encode_batch(images, 4000, "poisson", generator)
    assert set(poisson.unique().tolist()) == {0.0, 1.0}
    assert (poisson.mean(0) - x).abs().max() < 5 * 0.5 / 4000**0.5
    assert not poisson[:, x == 0].any()
    assert poisson[:, x == 1].all()
    normalisation = Normalisation((0.5,), (0.2,))
    signed = encode_batch(images, 4000, "poisson_signed", generator, normalisation)
    assert set(signed.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert (signed.mean(0) - ((x - 0.5) / 0.2 / 2).clamp(-1, 1)).abs().max() < 5 * 0.5 / 4000**0.5
    assert (signed[:, x < 0.5] <= 0).all()


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("coding", ["latency", "direct"])
def test_codes_without_draws_are_those_of_a_run(coding: str, steps: int) -> None:
    images = np.arange(512, dtype=np.uint16).astype(np.uint8).reshape(2, 1, 16, 16)
    found = encode_batch(torch.from_numpy(images), steps, coding, torch.Generator())
    np.testing.assert_array_equal(found.numpy(), encode(images, steps, coding, 0).dense())
    assert found.dtype == torch.float32


def test_normalisation_is_measured_a_channel() -> None:
    images = bars(10, 0, channels=3).images
    found = Normalisation.measure(images)
    np.testing.assert_allclose(found.mean, (images / 255).mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(found.std, (images / 255).std(axis=(0, 2, 3)))
    with pytest.raises(DataError, match="std must be above 0"):
        Normalisation.measure(np.zeros((3, 1, 4, 4), np.uint8))
    with pytest.raises(DataError, match="poisson_signed"):
        evaluate(network(), TEST, steps=2, coding="poisson_signed")
    with pytest.raises(DataError, match="has 3 channels; the images have 1"):
        evaluate(network(), TEST, steps=2, coding="poisson_signed", normalisation=found)


def test_history_carries_the_normalisation() -> None:
    module = network()
    history = train(module, TRAIN, TEST, **ARGUMENTS, coding="poisson_signed")
    assert history.normalisation == Normalisation.measure(TRAIN.images)
    again = evaluate(module, TEST, steps=4, coding="poisson_signed", normalisation=history.normalisation)
    assert again == history.test_accuracy


def test_shifted_images_are_the_images_shifted() -> None:
    images = np.zeros((30, 1, 8, 9), np.uint8)
    images[:, 0, 4, 5] = 255
    data = Images(images, np.arange(30))
    feed = Feed(1, "direct", 0, None)
    places = set()
    for x, labels in feed.training(data, 8, 0, torch.device("cpu"), shift=2):
        assert x.sum() == len(labels)
        places |= {(int(row), int(column)) for _, _, _, row, column in x.nonzero()}
    assert len(places) > 10
    assert {row for row, _ in places} == {2, 3, 4, 5, 6}
    assert {column for _, column in places} == {3, 4, 5, 6, 7}


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    train(network(), TRAIN, TEST, **ARGUMENTS, progress=True)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    train(network(), TRAIN, TEST, **ARGUMENTS, progress=True)
    captured = capfd.readouterr()
    assert "test accuracy" in captured.err
    assert not captured.out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_as_well() -> None:
    module = network()
    assert train(module, TRAIN, TEST, **{**ARGUMENTS, "epochs": 8}, device="cuda").test_accuracy > 0.9
    assert all(p.device.type == "cpu" for p in module.parameters())
