"""Encode batches of images as the input of a spiking network, in torch.

With b a byte of the image, x = b / 255, and U uniform in [0, 1), redrawn for each step, sample and pixel:

    poisson          s = 1 where U < x, else 0
    poisson_signed   z = (x - mean_c) / std_c in channel c;   s = sign(z) where U < min(1, |z| / 2), else 0
    latency          s = 1 in the single step round((1 - x) (T - 1)), ties to even; no spike where x = 0
    direct           s = x in every step
    frames           s = b of channel t C + c, at step t and in channel c: an image [T C, H, W] of counted events

The first four codes are those of :func:`neurosam.encode`, which encodes the events of a run. Codes without random
numbers give equal results. Random numbers come from a generator that the caller seeds. They differ from those of a run,
and between CPU and GPU, since training requires the same distribution but not the same spikes. One is drawn for every
pixel, so two batches of one shape and seed have equal spikes wherever their pixels are equal, as those of a run have.

Source: Kim & Panda 2021 (arXiv 2103.14441), released code (`poisson_signed`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurosam.errors import DataError
from neurosam.signals.events import CODINGS

__all__ = ["FRAMES", "Normalisation", "check_coding", "encode_batch"]

FRAMES = "frames"
"""The code of images that hold the events of a camera, step after step."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the intensities (0 .. 1) in each channel, for the signed code.

    Parameters
    ----------
    mean, std : tuple of float
        One per channel; ``std`` above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise DataError(
                "normalisation", f"got {len(self.mean)} mean(s), {len(self.std)} std; one of each per channel"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and min(self.std) > 0):
            raise DataError("normalisation", f"got mean {self.mean}, std {self.std}; std must be above 0, all finite")

    @classmethod
    def measure(cls, images: npt.NDArray[np.uint8]) -> Normalisation:
        """Mean and standard deviation over all pixels of uint8 ``[N, C, H, W]`` images.

        Raises
        ------
        DataError
            If a channel is constant.

        Examples
        --------
        >>> from neurosam.training import Normalisation
        >>> Normalisation.measure(np.array([[[[0, 255]]]], np.uint8))
        Normalisation(mean=(0.5,), std=(0.5,))
        """
        means, deviations = [], []
        for channel in range(images.shape[1]):
            counts = np.bincount(images[:, channel].ravel(), minlength=256)  # exact, and no float copy of the images
            levels = np.arange(256) / 255
            mean = float(counts @ levels / counts.sum())
            means.append(mean)
            deviations.append(float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum())))
        return cls(tuple(means), tuple(deviations))


def encode_batch(
    images: Tensor, steps: int, coding: str, generator: torch.Generator, normalisation: Normalisation | None = None
) -> Tensor:
    """Encode one batch of images.

    Parameters
    ----------
    images : Tensor
        uint8 ``[B, C, H, W]``, on the device of `generator`; ``[B, T C, H, W]`` for "frames".
    steps : int
        T, at least 1.
    coding : {"poisson", "poisson_signed", "latency", "direct", "frames"}
    generator : torch.Generator
        Source of random numbers, if the code uses any.
    normalisation : Normalisation, optional
        Required for "poisson_signed".

    Returns
    -------
    Tensor
        float32 ``[T, B, C, H, W]``; the images of each step have the memory layout of `images`.

    Raises
    ------
    DataError
        For an unknown code, or if the normalisation is missing or has another number of channels, or frames are not as
        many as steps.

    Examples
    --------
    >>> import torch
    >>> from neurosam.training import encode_batch
    >>> image = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    >>> encode_batch(image, steps=3, coding="latency", generator=torch.Generator()).flatten(1).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    check_coding(coding)
    if coding == FRAMES:
        if images.shape[1] % steps:
            raise DataError("images", f"have {images.shape[1]} channels, which are not frames of {steps} steps each")
        count, _, height, width = images.shape
        return images.reshape(count, steps, -1, height, width).transpose(0, 1).to(torch.float32)
    intensity = images.to(torch.float32) / 255
    if coding == "direct":
        return _over_steps(intensity, steps)
    if coding == "latency":
        step = torch.arange(steps, device=images.device).reshape(-1, *(1,) * images.ndim)
        at = torch.where(intensity > 0, torch.round((1 - intensity) * (steps - 1)), -1.0)
        return (step == at).to(torch.float32)
    if coding == "poisson":
        return _draws(intensity, steps, generator).lt_(_over_steps(intensity, steps))
    if normalisation is None:
        raise DataError("coding", "'poisson_signed' requires a normalisation: History.normalisation of the training")
    if len(normalisation.mean) != images.shape[1]:
        raise DataError("normalisation", f"has {len(normalisation.mean)} channels; the images have {images.shape[1]}")
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=images.device).reshape(-1, 1, 1)
        for values in (normalisation.mean, normalisation.std)
    )
    z = (intensity - mean) / std
    return _draws(z, steps, generator).lt_(_over_steps(z.abs() / 2, steps)).mul_(_over_steps(z.sign(), steps))


def check_coding(coding: str) -> None:
    """Raise a DataError unless `coding` is in :data:`neurosam.signals.events.CODINGS`, or "frames"."""
    if coding not in (*CODINGS, FRAMES):
        raise DataError("coding", f"got {coding!r}; allowed is {', '.join((*CODINGS, FRAMES))}")


def _over_steps(x: Tensor, steps: int) -> Tensor:
    return x.unsqueeze(0).expand(steps, *x.shape)


def _draws(like: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    uniform = torch.empty_like(_over_steps(like, steps), memory_format=torch.contiguous_format)
    return uniform.uniform_(0.0, 1.0, generator=generator)
