"""How images are presented: the settings, their round trip through metadata, and the events that they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosam.errors import EventError
from neurosam.signals.events import encode
from neurosam.signals.stimulus import Stimulus

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5), dtype=np.uint8)
SIGNED = Stimulus(6, "poisson_signed", mean=(0.25, 0.5), std=(0.5, 0.25), classes=("a", "b [c]"), data="set")


@pytest.mark.parametrize("stimulus", [Stimulus(), Stimulus(3, "latency", classes=("x",), size=64), SIGNED,
                                      Stimulus(2, "direct", magnitude=255)])  # fmt: skip
def test_metadata_brings_back_the_same_stimulus(stimulus: Stimulus) -> None:
    metadata = stimulus.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert Stimulus.from_metadata(metadata) == stimulus


def test_missing_metadata_means_the_defaults() -> None:
    assert Stimulus.from_metadata({}) == Stimulus(16, "poisson")
    assert Stimulus.from_metadata({"architecture": "8C3-D2", "seed": "1"}) == Stimulus()


@pytest.mark.parametrize("coding", ["poisson", "latency", "direct"])
def test_events_are_those_of_encode(coding: str) -> None:
    got = Stimulus(6, coding).encode(IMAGES, seed=4, first=2)
    want = encode(IMAGES, 6, coding, 4, 2)
    assert np.array_equal(got.dense(), want.dense())


def test_signed_events_are_those_of_normalised_images() -> None:
    mean, std = (np.array(v, dtype=np.float32)[:, None, None] for v in ((0.25, 0.5), (0.5, 0.25)))
    want = encode((IMAGES / np.float32(255) - mean) / std, 6, "poisson_signed", 4)
    got = SIGNED.encode(IMAGES, seed=4)
    assert np.array_equal(got.dense(), want.dense())
    assert set(np.unique(got.dense())) == {-1, 0, 1}


def test_samples_one_by_one_give_the_events_of_the_batch() -> None:
    whole = SIGNED.encode(IMAGES, seed=1).dense()
    single = [SIGNED.encode(IMAGES[i : i + 1], seed=1, first=i).dense() for i in range(3)]
    assert np.array_equal(whole, np.concatenate(single, axis=1))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"coding": "rate"}, "coding: got 'rate'; allowed are poisson"),
        ({"coding": "poisson_signed"}, "mean and std"),
        ({"magnitude": 255}, "magnitude: got 255 with 'poisson'"),
        ({"mean": (0.5,), "std": (0.5,)}, "mean and std"),
        ({"coding": "poisson_signed", "mean": (0.5, 0.5), "std": (0.5,)}, "mean and std"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(EventError, match=says):
        Stimulus(**arguments)


@pytest.mark.parametrize("metadata", [{"steps": "x"}, {"mean": "[1"}, {"std": '["a"]'}, {"classes": "5"}])
def test_metadata_that_does_not_parse_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(EventError, match="describes no stimulus"):
        Stimulus.from_metadata(metadata)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(EventError, match="2 channels; images have 1"):
        SIGNED.encode(IMAGES[:, :1])
