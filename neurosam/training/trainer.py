"""Training by backpropagation through time: the same arguments give the same weights, interrupted or not.

Per batch: encode the images over T steps (coding.py), take the cross-entropy of the readout, step the optimiser. The
learning rate depends on the number k of the batch alone, out of K over all epochs:

    cosine   lr_k = lr * (1 + cos(pi k / K)) / 2
    step     lr_k = lr / 10^n,   n = how many of 50 %, 70 % and 90 % of the K batches are over (the paper's)

Every random number of an epoch (order of samples, input spikes, dropout) depends on the seed and the epoch's number
alone (feeding.py), and the learning rate on k alone. A checkpoint after an epoch (checkpoint.py) therefore needs no
state but the weights and the optimiser's, and a resumed run ends with the same bits as an uninterrupted one.

What a seed guarantees: the same bits on the same machine with the same versions, device and number of threads.

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

import torch
from torch import Tensor, nn

from neurosam.errors import DataError
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
        ``[T, B, C, H, W]`` to ``[B, K]``. Afterwards in evaluation mode, on the device where it was.
    train_set, test_set : LabelledImages
        Images and labels; after each epoch the accuracy on `test_set` is measured.
    steps : int
        T, at least 1.
    coding : {"poisson", "poisson_signed", "latency", "direct"}
        See ``neurosam.training.input_coding``.
    epochs, batch_size : int
        At least 1.
    lr : float
        Learning rate at the start, above 0.
    optimizer : {"adam", "sgd"}
        SGD with momentum 0.9.
    schedule : {"cosine", "step"}
        How the learning rate falls, see above.
    weight_decay : float
        Factor of the L2 penalty on every parameter, at least 0 (the paper's: 5e-4).
    shift : int
        Move each training image by up to so many pixels a direction, at random in each epoch; 0 leaves them in place.
    seed : int
        0 .. 2**63 - 1, of everything random here (the initial weights are the module's own).
    device : str
        "auto" is a GPU if there is one, else the CPU; or a name that torch knows.
    normalisation : Normalisation, optional
        For "poisson_signed"; measured on `train_set` if None.
    checkpoint : path, optional
        File to write after each epoch, atomically. An interrupted run leaves that of the last finished epoch.
    resume : bool
        Go on from `checkpoint` if the file exists; otherwise start anew and overwrite it.
    progress : bool or callable
        A progress bar (on a terminal only), or a function to call with each finished :class:`Epoch`.

    Returns
    -------
    History
        Of all epochs, those before an interruption included.

    Raises
    ------
    DataError
        For an argument or data set that does not fit, a checkpoint of another run, or a loss that is no longer finite.
    """
    _check_sizes(epochs=epochs, batch_size=batch_size)
    check_images("train_set", train_set)
    check_images("test_set", test_set)
    if not (math.isfinite(lr) and lr > 0):
        raise DataError("lr", f"got {lr!r}; a finite number above 0 is required")
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise DataError("weight_decay", f"got {weight_decay!r}; a finite number of at least 0 is required")
    if schedule not in _SCHEDULES:
        raise DataError("schedule", f"got {schedule!r}; allowed is {', '.join(_SCHEDULES)}")
    if not 0 <= shift < min(train_set.images.shape[2:]):
        raise DataError("shift", f"got {shift}; 0 or more, and less than a side of the images, is allowed")
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
                past = [(number + k / batches) / epochs for k in range(batches)]
                rates = [lr * _SCHEDULES[schedule](share) for share in past]
                with feed.torch_random(number, target):
                    module.train()
                    pairs = feed.training(train_set, batch_size, number, target, shift)
                    loss, hits = _one_epoch(module, pairs, stepper, rates, report)
                accuracy = _accuracy(module, feed.evaluation(test_set, _TEST_BATCH, target))
                seconds = time.perf_counter() - started
                count = len(train_set.images)
                done.append(Epoch(number + 1, loss / count, hits / count, accuracy, seconds))
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
    """Accuracy of a network in evaluation mode; the module is left as it was.

    Parameters
    ----------
    module, steps, coding, device
        As for :func:`train`.
    image_set : LabelledImages
        Images and labels.
    seed : int
        Of the input spikes, which depend on `batch_size`, too. With the same seed and the default batch size this
        measures what :func:`train` does.
    batch_size : int
        At least 1.
    normalisation : Normalisation, optional
        Needed by "poisson_signed": that of the training set, ``History.normalisation``.

    Returns
    -------
    float
        Fraction of samples whose largest output is that of their label, 0 .. 1.

    Raises
    ------
    DataError
        For an argument or data set that does not fit.
    """
    _check_sizes(batch_size=batch_size)
    check_images("image_set", image_set)
    feed = Feed(steps, coding, seed, normalisation)
    training = module.training
    with _placed(module, device) as target:
        accuracy = _accuracy(module, feed.evaluation(image_set, batch_size, target))
    module.train(training)
    return accuracy


def _one_epoch(
    module: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    rates: list[float],
    report: Reporter,
) -> tuple[float, int]:
    """Learn from every batch at its rate; return the sum of the samples' losses and the number of hits."""
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
        hits += int((output.detach().argmax(1) == labels).sum())
        report.batch(value)
    return losses, hits


def _accuracy(module: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    module.eval()
    hits, count = 0, 0
    with torch.no_grad():
        for x, labels in batches:
            hits += int((_output(module, x, labels).argmax(1) == labels).sum())
            count += len(labels)
    return hits / count


def _output(module: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    output: Tensor = module(x)
    if output.ndim != 2:
        raise DataError("module", f"gives {tuple(output.shape)}; [B, classes] is needed, so end it with a Readout")
    if int(labels.max()) >= output.shape[1]:
        raise DataError("labels", f"got {int(labels.max())}; the {output.shape[1]} outputs are numbered from 0")
    return output


@contextmanager
def _placed(module: nn.Module, device: str) -> Iterator[torch.device]:
    """Move a module to a device for a while, with convolutions in the layout that is fastest, and back again."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
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
        module.to(home)


def _layout(module: Any, memory_format: torch.memory_format) -> None:
    """Change strides only, never values; about a quarter off the time of an epoch on a CPU."""
    module.to(memory_format=memory_format)  # torch's annotations lack this overload for one argument


def _cosine(past: float) -> float:
    return (1 + math.cos(math.pi * past)) / 2


def _step(past: float) -> float:
    return float(0.1 ** sum(past >= milestone for milestone in (0.5, 0.7, 0.9)))


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
