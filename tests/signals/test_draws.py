"""Coupled draws: an equal pixel spikes alike in two pictures of one size, whatever is beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import neurosam as ns
from neurosam.data.draws import Purpose, words
from neurosam.signals.draws import spikes_of
from neurosam.signals.stimulus import Stimulus
from neurosam.training import Normalisation, encode_batch

Dense = Callable[[npt.NDArray[np.uint8], str], npt.NDArray[np.float64]]
STEPS = 40
RNG = np.random.default_rng(2)
CLEAN = np.where(RNG.random((2, 3, 8, 8)) < 0.5, 0, RNG.integers(0, 256, (2, 3, 8, 8))).astype(np.uint8)  # half black
CHANGED = RNG.random(CLEAN.shape) < 0.3
OTHER = np.where(CHANGED, RNG.integers(0, 256, CLEAN.shape), CLEAN).astype(np.uint8)  # black pixels light up, and back
NORMALISATION = Normalisation((0.25, 0.5, 0.1), (0.5, 0.25, 0.3))


def numpy_dense(images: npt.NDArray[np.uint8], coding: str) -> npt.NDArray[np.float64]:
    signed: dict[str, Any] = (
        {"mean": NORMALISATION.mean, "std": NORMALISATION.std} if coding == "poisson_signed" else {}
    )
    return Stimulus(STEPS, coding, **signed).encode(images, seed=5).dense().astype(np.float64)


def torch_dense(images: npt.NDArray[np.uint8], coding: str) -> npt.NDArray[np.float64]:
    draws = torch.Generator().manual_seed(5)
    return encode_batch(torch.from_numpy(images), STEPS, coding, draws, NORMALISATION).double().numpy()


@pytest.mark.parametrize("dense", [numpy_dense, torch_dense])
@pytest.mark.parametrize("coding", ["poisson", "poisson_signed", "latency", "direct"])
def test_equal_pixels_have_equal_events_whatever_their_neighbours(dense: Dense, coding: str) -> None:
    clean, other = dense(CLEAN, coding), dense(OTHER, coding)
    np.testing.assert_array_equal(clean[:, ~CHANGED], other[:, ~CHANGED])
    assert (clean[:, CHANGED] != other[:, CHANGED]).any()


@pytest.mark.parametrize("dense", [numpy_dense, torch_dense])
def test_a_brighter_pixel_keeps_its_spikes_and_a_small_change_moves_few(dense: Dense) -> None:
    brighter = np.minimum(CLEAN.astype(int) + 4, 255).astype(np.uint8)
    before, after = dense(CLEAN, "poisson"), dense(brighter, "poisson")
    assert (after >= before).all()
    assert 0 < (after != before).mean() < 2 * 4 / 255


def test_fewer_steps_are_the_first_steps_of_more() -> None:
    long, short = ns.encode(CLEAN, STEPS, seed=1), ns.encode(CLEAN, 7, seed=1)
    np.testing.assert_array_equal(long.dense()[:7], short.dense())


def test_spikes_are_those_of_the_stated_words() -> None:
    key, counter = np.array([9, 4], np.uint64), np.array([0, 0, 0, 1], np.uint64)
    word = np.random.Philox(key=key, counter=counter).random_raw(15)  # 2 words of 32 bits in each: 6 steps, 5 pixels
    uniform = np.stack([word & 0xFFFFFFFF, word >> 32], axis=1).ravel().reshape(6, 5) // 256 / 2**24
    probability = np.array([0, 0.2, 0.5, 0.9, 1], dtype=np.float32)
    step, pixel = spikes_of(probability, 6, seed=9, sample=4)
    np.testing.assert_array_equal(np.stack([step, pixel]), np.nonzero(uniform < probability))


def test_draws_of_the_first_version_stay() -> None:
    """A seed promises the same spikes with every version of NumPy, on every machine."""
    assert [a.tolist() for a in spikes_of(np.full(4, 0.5, np.float32), 3, 0, 0)] == [
        [0, 0, 1, 2, 2, 2],
        [1, 2, 1, 1, 2, 3],
    ]


def test_no_stream_of_a_sample_is_one_of_a_data_set() -> None:
    for purpose in Purpose:
        data = words(0, purpose, [0], 512)[0] >> 8
        step, _ = spikes_of(np.array([0.5], np.float32), 512, 0, int(purpose))
        fired = np.isin(np.arange(512), step)
        assert 0.3 < (fired == (data < 2**23)).mean() < 0.7  # equal streams would agree in all


def test_neighbouring_seeds_samples_and_steps_are_independent() -> None:
    fired = np.zeros((3, 3, 100, 100))
    for seed in range(3):
        for sample in range(3):
            fired[seed, sample][spikes_of(np.full(100, 0.5, np.float32), 100, seed, sample)] = 1
    flat = fired.reshape(9, -1)
    correlation = np.corrcoef(np.concatenate([flat, np.roll(fired, 1, axis=2).reshape(9, -1)]))
    assert np.abs(correlation - np.eye(18)).max() < 5 / np.sqrt(10_000)  # five standard deviations
