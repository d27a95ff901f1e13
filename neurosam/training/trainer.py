"""Training by backpropagation through time; the same arguments give the same weights, interrupted or not.

For each batch: encode the images over T steps (input_coding.py), compute the cross-entropy of the readout, and update
the weights. The learning rate depends only on the number k of the batch, out of K over all epochs:

    cosine   lr_k = lr * (1 + cos(pi k / K)) / 2
    step     lr_k = lr / 10^n,   n = how many of the milestones 50 %, 70 % and 90 % have passed (as in the paper)

All random numbers of an epoch (order of samples, input spikes, dropout) depend only on the seed and the number of the
epoch (batches.py). A checkpoint after an epoch (checkpoint.py) therefore consists of the weights and the state of the
optimiser, and a resumed run ends with the same bits as an uninterrupted one.

A seed guarantees the same bits on the same machine with the same versions, device and number of threads.

Source: Kim & Panda 2021 (arXiv 2103.14441), Eq. 5-8; Loshchilov & Hutter 2017 (arXiv 1608.03983), without restarts.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.errors import DataError
from neurosam.signals.answer import NO_ANSWER, predicted
from neurosam.training.batches import Feed, LabelledImages, check_images, fingerprint
from neurosam.training.checkpoint import load_checkpoint, save_checkpoint
from neurosam.training.history import Epoch, History
from neurosam.training.input_coding import Normalisation
from neurosam.training.progress import Reporter, reporter

__all__ = ["evaluate", "train"]

_TEST_BATCH = 128


def train(
    module: nn.Module,
    train_set: LabelledImages,
    test_set: LabelledImages,
    *,
    steps: int,
    coding: str = "poisson",
    epochs: int = 10,
    batch_size: int = 32,
    lr: float = 2e-3,
    optimizer: str = "adam",
    schedule: str = "cosine",
    weight_decay: float = 0.0,
    shift: int = 0,
    seed: int = 0,
    device: str = "auto",
    normalisation: Normalisation | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: bool | Callable[[Epoch], object] = False,
) -> History:
    """Train a network in place.

    Parameters
    ----------
    module : nn.Module
        ``[T, B, C, H, W]`` to ``[B, K]``. Afterwards it is in evaluation mode, on its original device.
    train_set, test_set : LabelledImages
        Images and labels; the accuracy on `test_set` is measured after each epoch.
    steps : int
        T, at least 1.
    coding : {"poisson", "poisson_signed", "latency", "direct", "frames"}
        See ``neurosam.training.input_coding``; "frames" for recordings of an event camera.
    epochs, batch_size : int
        At least 1.
    lr : float
        Initial learning rate, above 0.
    optimizer : {"adam", "sgd"}
        SGD has momentum 0.9.
    schedule : {"cosine", "step"}
        Decay of the learning rate, see above.
    weight_decay : float
        Factor of the L2 penalty on every parameter, at least 0 (5e-4 in the paper).
    shift : int
        Shift each training image by up to this many pixels in each direction, at random in each epoch; 0 for no shift.
    seed : int
        0 .. 2**63 - 1; seed of all random numbers except the initial weights, which are those of the module.
    device : str
        "auto" for a GPU if there is one, otherwise the CPU; or a device name of torch.
    normalisation : Normalisation, optional
        For "poisson_signed"; measured on `train_set` if None.
    checkpoint : path, optional
        File to write after each epoch, atomically. After an interruption it is that of the last finished epoch.
    resume : bool
        Resume from `checkpoint` if the file exists; if False, restart and overwrite it.
    progress : bool or callable
        True for a bar, as within :func:`neurosam.progress`; or a function to call with each finished :class:`Epoch`.

    Returns
    -------
    History
        Of all epochs, including those before an interruption.

    Raises
    ------
    DataError
        For an argument or data set that is not valid, a checkpoint of another run, or a loss that is not finite.

    Examples
    --------
    >>> from neurosam.training import train
    >>> from neurosam import data, training
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    >>> items = data.ImageSet(images, np.arange(8) % 2, None, ("even", "odd"), "noise")
    >>> module = training.build("4C3-P2-D2", (1, 8, 8))
    >>> history = train(module, items, items, steps=4, epochs=1, batch_size=4)
    >>> len(history.epochs), 0 <= history.test_accuracy <= 1
    (1, True)
    """
    _check_sizes(epochs=epochs, batch_size=batch_size)
    check_images("train_set", train_set)
    check_images("test_set", test_set)
    if not (math.isfinite(lr) and lr > 0):
        raise DataError("lr", f"got {lr!r}; a finite number above 0 is required")
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise DataError("weight_decay", f"got {weight_decay!r}; a finite number >= 0 is required")
    if schedule not in _SCHEDULES:
        raise DataError("schedule", f"got {schedule!r}; allowed is {', '.join(_SCHEDULES)}")
    if not 0 <= shift < min(train_set.images.shape[2:]):
        raise DataError("shift", f"got {shift}; allowed is 0 or more, and less than the shorter side of the images")
    if coding == "poisson_signed" and normalisation is None:
        normalisation = Normalisation.measure(train_set.images)
    feed = Feed(steps, coding, seed, normalisation)
    batches = math.ceil(len(train_set.images) / batch_size)
    with _placed(module, device) as target:
        stepper = _optimizer(optimizer, module, lr, weight_decay)
        settings = {
            "architecture": repr(module),
            "optimizer": optimizer,
            **asdict(feed),
            "epochs": epochs,
            "batch_size": batch_size,
            "lr": lr,
            "schedule": schedule,
            "weight_decay": weight_decay,
            "shift": shift,
            "train_set": fingerprint(train_set),
            "test_set": fingerprint(test_set),
        }
        done: list[Epoch] = []
        if checkpoint is not None and resume:
            done = load_checkpoint(checkpoint, settings, module, stepper)
        with reporter(progress, epochs * batches, len(done) * batches) as report:
            for number in range(len(done), epochs):
                started = time.perf_counter()
                fractions = [(number + k / batches) / epochs for k in range(batches)]
                rates = [lr * _SCHEDULES[schedule](fraction) for fraction in fractions]
                with feed.torch_random(number, target):
                    module.train()
                    pairs = feed.training(train_set, batch_size, number, target, shift)
                    loss, hits = _one_epoch(module, pairs, stepper, rates, report)
                accuracy, silent = _accuracy(module, feed.evaluation(test_set, _TEST_BATCH, target))
                seconds = time.perf_counter() - started
                count = len(train_set.images)
                done.append(Epoch(number + 1, loss / count, hits / count, accuracy, seconds, silent))
                if checkpoint is not None:
                    save_checkpoint(checkpoint, settings, module, stepper, done)
                report.epoch(done[-1])
    module.eval()
    return History(tuple(done), normalisation)


def evaluate(
    module: nn.Module,
    image_set: LabelledImages,
    *,
    steps: int,
    coding: str = "poisson",
    seed: int = 0,
    batch_size: int = _TEST_BATCH,
    device: str = "auto",
    normalisation: Normalisation | None = None,
) -> float:
    """Accuracy of a network in evaluation mode; the module is not changed.

    Parameters
    ----------
    module, steps, coding, device
        As for :func:`train`.
    image_set : LabelledImages
        Images and labels.
    seed : int
        Seed of the input spikes, which also depend on `batch_size`. With the same seed and the default batch size, the
        result equals the test accuracy of :func:`train`.
    batch_size : int
        At least 1.
    normalisation : Normalisation, optional
        Required for "poisson_signed": that of the training set, ``History.normalisation``.

    Returns
    -------
    float
        Fraction of samples whose largest output is that of their label, 0 .. 1; outputs that are all equal are no
        answer, which is wrong.

    Raises
    ------
    DataError
        For an argument or data set that is not valid.
    """
    _check_sizes(batch_size=batch_size)
    check_images("image_set", image_set)
    feed = Feed(steps, coding, seed, normalisation)
    training = module.training
    with _placed(module, device) as target:
        accuracy, _ = _accuracy(module, feed.evaluation(image_set, batch_size, target))
    module.train(training)
    return accuracy


def _one_epoch(
    module: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    rates: list[float],
    report: Reporter,
) -> tuple[float, int]:
    """Train on each batch at its learning rate; return the sum of the losses and the number of correct predictions."""
    losses, hits = 0.0, 0
    for (x, labels), rate in zip(batches, rates, strict=True):
        output = _output(module, x, labels)
        loss = nn.functional.cross_entropy(output, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise DataError("training", f"the loss became {value}; a smaller lr or larger batches may help")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        losses += value * len(labels)
        hits += _hits(_answers(output.detach()), labels)
        report.batch(value)
    return losses, hits


def _accuracy(module: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[float, int]:
    """Share of right predictions, and the number of samples without an answer."""
    module.eval()
    hits, silent, count = 0, 0, 0
    with torch.no_grad():
        for x, labels in batches:
            answers = _answers(_output(module, x, labels))
            hits += _hits(answers, labels)
            silent += int(np.count_nonzero(answers == NO_ANSWER))
            count += len(labels)
    return hits / count, silent


def _answers(output: Tensor) -> npt.NDArray[np.int64]:
    return predicted(output.cpu().numpy())


def _hits(answers: npt.NDArray[np.int64], labels: Tensor) -> int:
    """Number of right predictions; no answer is wrong."""
    return int(np.count_nonzero(answers == labels.cpu().numpy()))


def _output(module: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    output: Tensor = module(x)
    if output.ndim != 2:
        raise DataError("module", f"gives {tuple(output.shape)}; [B, classes] is required, so end it with a Readout")
    if int(labels.max()) >= output.shape[1]:
        raise DataError("labels", f"got {int(labels.max())}; the {output.shape[1]} outputs are numbered from 0")
    return output


@contextmanager
def _placed(module: nn.Module, device: str) -> Iterator[torch.device]:
    """Move a module to a device, with convolutions in their fastest memory layout, and back afterwards."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    original = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        target = torch.device(device)
        module.to(target)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        raise DataError("device", f"cannot use {device!r}: {str(error).splitlines()[0]}") from error
    _layout(module, torch.channels_last)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield target
    finally:
        _layout(module, torch.contiguous_format)
        module.to(original)


def _layout(module: Any, memory_format: torch.memory_format) -> None:
    """Change the strides of the weights, not their values; on a CPU this saves about a quarter of an epoch's time."""
    module.to(memory_format=memory_format)  # torch's annotations lack this overload for one argument


def _cosine(fraction: float) -> float:
    return (1 + math.cos(math.pi * fraction)) / 2


def _step(fraction: float) -> float:
    return float(0.1 ** sum(fraction >= milestone for milestone in (0.5, 0.7, 0.9)))


_SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": _cosine, "step": _step}


def _optimizer(name: str, module: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise DataError("module", "has no trainable parameters")
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=weight_decay)
    raise DataError("optimizer", f"got {name!r}; allowed is adam, sgd")


def _check_sizes(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise DataError(name, f"got {value}; at least 1 is required")
