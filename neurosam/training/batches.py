"""Batches of encoded images, with a separate random stream for every purpose and epoch.

The stream of (seed, purpose, epoch) is ``numpy.random.SeedSequence([seed, purpose, epoch])``, 63 bits of which seed a
torch generator. No stream continues another one, so an epoch can be repeated without those before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurosam.errors import DataError
from neurosam.training.input_coding import Normalisation, check_coding, encode_batch

__all__ = ["Feed", "LabelledImages", "check_images", "fingerprint", "stream_seed"]


class LabelledImages(Protocol):
    """The interface of a data set for training; :class:`neurosam.data.ImageSet` has it."""

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """Intensities 0 .. 255, uint8 ``[N, C, H, W]``."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class numbers from 0, int64 ``[N]``."""


class _Purpose(IntEnum):
    """The purpose of a stream. Never renumber these: results for a seed depend on the numbers."""

    SHUFFLE = 0
    ENCODE = 1
    DROPOUT = 2
    EVALUATE = 3
    SHIFT = 4


@dataclass(frozen=True)
class Feed:
    """Makes batches of encoded input from images.

    Parameters
    ----------
    steps : int
        T, at least 1.
    coding : str
        See :mod:`neurosam.training.input_coding`.
    seed : int
        0 .. 2**63 - 1.
    normalisation : Normalisation or None
        For "poisson_signed".

    Raises
    ------
    DataError
        For a value that is not allowed.
    """

    steps: int
    coding: str
    seed: int
    normalisation: Normalisation | None

    def __post_init__(self) -> None:
        check_coding(self.coding)
        if self.steps < 1:
            raise DataError("steps", f"got {self.steps}; at least 1 is required")
        if not 0 <= self.seed < 2**63:
            raise DataError("seed", f"got {self.seed}; allowed is 0 .. 2**63 - 1")

    def training(
        self, data: LabelledImages, batch_size: int, epoch: int, device: torch.device, shift: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the random order of an epoch, as float32 ``[T, B, C, H, W]`` and int64 ``[B]``.

        Parameters
        ----------
        data : LabelledImages
            A set that passed :func:`check_images`.
        batch_size, epoch : int
            The last batch may be smaller; the first epoch is 0.
        device : torch.device
            The device on which batches are made.
        shift : int
            Largest random displacement in pixels; the uncovered border is black.
        """
        shuffle = torch.Generator().manual_seed(self._stream(_Purpose.SHUFFLE, epoch))
        order = torch.randperm(len(data.images), generator=shuffle).numpy()
        moves = np.random.default_rng(self._stream(_Purpose.SHIFT, epoch)).integers(-shift, shift + 1, (len(order), 2))
        return self._batches(data, order, moves, batch_size, self._stream(_Purpose.ENCODE, epoch), device)

    def evaluation(
        self, data: LabelledImages, batch_size: int, device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the order of the set; every call yields the same ones."""
        order = np.arange(len(data.images))
        no_moves = np.zeros((len(order), 2), dtype=np.int64)
        return self._batches(data, order, no_moves, batch_size, self._stream(_Purpose.EVALUATE, 0), device)

    @contextmanager
    def torch_random(self, epoch: int, device: torch.device) -> Iterator[None]:
        """Seed the global generators of torch, which dropout uses, for an epoch; restore their state afterwards."""
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self._stream(_Purpose.DROPOUT, epoch))
            yield

    def _stream(self, purpose: _Purpose, epoch: int) -> int:
        return stream_seed(self.seed, purpose, epoch)

    def _batches(
        self,
        data: LabelledImages,
        order: npt.NDArray[np.int64],
        moves: npt.NDArray[np.int64],
        batch_size: int,
        stream: int,
        device: torch.device,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator(device).manual_seed(stream)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            images = torch.from_numpy(_moved(data.images[chosen], moves[chosen])).to(device)
            x = encode_batch(images, self.steps, self.coding, generator, self.normalisation)
            yield x, torch.from_numpy(data.labels[chosen]).to(device)


def stream_seed(*key: int) -> int:
    """A 63-bit seed of the random stream that belongs to `key`."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1


def _moved(images: npt.NDArray[np.uint8], moves: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Images ``[B, C, H, W]``, each displaced by its (down, right) pixels, with a black border."""
    reach = int(np.abs(moves).max())
    if not reach:
        return images
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    corners = reach - moves
    return np.ascontiguousarray(windows[np.arange(len(images)), :, corners[:, 0], corners[:, 1]])


def check_images(name: str, data: LabelledImages) -> None:
    """Raise a DataError, which starts with `name`, unless types and shapes are those of :class:`LabelledImages`."""
    images, labels = data.images, data.labels
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError(name, f"images are {images.dtype} {images.shape}; non-empty uint8 (N, C, H, W) is required")
    if labels.dtype != np.int64 or labels.shape != images.shape[:1] or labels.min() < 0:
        raise DataError(
            name, f"labels are {labels.dtype} {labels.shape}; int64 ({len(images)},), all >= 0, is required"
        )


def fingerprint(data: LabelledImages) -> dict[str, object]:
    """Shape and checksum of a data set, to check that a checkpoint belongs to it."""
    checksum = 0
    for array in (data.images, data.labels):
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return {"shape": list(data.images.shape), "crc32": checksum}
