"""How still images are presented to a network: steps, coding and normalisation, stored with the network.

The settings are text in ``Network.metadata``: ``steps``, ``coding``, ``mean`` and ``std`` (one value per channel),
``classes`` (JSON list of names), ``data`` (the data set's name), ``size`` (of its images, if they were resized) and
``magnitude`` (of the events of a bright pixel, if not 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam._util.untrusted import MALFORMED
from neurosam.errors import EventError
from neurosam.signals.events import CODINGS, Events, encode

__all__ = ["Stimulus"]


@dataclass(frozen=True)
class Stimulus:
    """How images become events.

    Parameters
    ----------
    steps : int
        Length of a presentation, >= 1.
    coding : str
        See :func:`neurosam.signals.events.encode`.
    mean, std : tuple of float
        Of the intensities (0..1) of each channel, for "poisson_signed"; empty for other codings.
    classes : tuple of str
        Names of the outputs; empty if unknown.
    data : str
        Name of the data set; empty if unknown.
    size : int, optional
        Side in pixels of the square to which the images of a folder were cropped and resized; None if they were not.
    magnitude : int
        Event of an intensity of 1 with coding "direct": 1 for currents, 255 for the integers that a fixed-point network
        takes.

    Examples
    --------
    >>> from neurosam.signals import Stimulus
    >>> stimulus = Stimulus(steps=8, coding="latency")
    >>> stimulus.to_metadata()
    {'steps': '8', 'coding': 'latency'}
    >>> stimulus.encode(np.full((1, 1, 2, 2), 255, dtype=np.uint8)).counts()[:2]
    array([[4],
           [0]])
    >>> Stimulus(coding="direct").in_integers().magnitude
    255
    """

    steps: int = 16
    coding: str = "poisson"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    data: str = ""
    size: int | None = None
    magnitude: int = 1

    def __post_init__(self) -> None:
        if self.coding not in CODINGS:
            raise EventError("coding", f"got {self.coding!r}; allowed are {', '.join(CODINGS)}")
        if self.steps < 1:
            raise EventError("steps", f"got {self.steps}; at least 1 is required")
        if self.magnitude < 1 or (self.magnitude > 1 and self.coding != "direct"):
            raise EventError("magnitude", f"got {self.magnitude} with {self.coding!r}; more than 1 belongs to 'direct'")
        if len(self.mean) != len(self.std) or (self.coding == "poisson_signed") != bool(self.mean):
            raise EventError(
                "stimulus", "mean and std, one of each per channel, belong to 'poisson_signed' and only to it"
            )

    def in_integers(self) -> Stimulus:
        """The same for a fixed-point network: with coding "direct", bytes as graded events in place of currents."""
        return replace(self, magnitude=255) if self.coding == "direct" else self

    def encode(self, images: npt.NDArray[np.uint8], seed: int = 0, first: int = 0) -> Events:
        """Events of uint8 images ``[B, C, H, W]``; arguments as in :func:`neurosam.signals.events.encode`."""
        if not self.mean:
            return encode(images, self.steps, self.coding, seed, first, self.magnitude)
        if len(self.mean) != images.shape[1]:
            raise EventError(
                "stimulus", f"has mean and std of {len(self.mean)} channels; images have {images.shape[1]}"
            )
        mean, std = (np.asarray(v, dtype=np.float32).reshape(-1, 1, 1) for v in (self.mean, self.std))
        return encode((images / np.float32(255) - mean) / std, self.steps, self.coding, seed, first)

    def to_metadata(self) -> dict[str, str]:
        """As text, for ``Network.metadata``."""
        out = {"steps": str(self.steps), "coding": self.coding}
        if self.mean:
            out |= {"mean": json.dumps(self.mean), "std": json.dumps(self.std)}
        if self.classes:
            out["classes"] = json.dumps(self.classes)
        if self.size is not None:
            out["size"] = str(self.size)
        if self.magnitude != 1:
            out["magnitude"] = str(self.magnitude)
        return out | ({"data": self.data} if self.data else {})

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Stimulus:
        """From ``Network.metadata``; what is missing keeps its default.

        Raises
        ------
        EventError
            If a setting does not parse.
        """
        try:
            return cls(
                steps=int(metadata.get("steps", "16")),
                coding=metadata.get("coding", "poisson"),
                mean=tuple(float(v) for v in json.loads(metadata.get("mean", "[]"))),
                std=tuple(float(v) for v in json.loads(metadata.get("std", "[]"))),
                classes=tuple(str(v) for v in json.loads(metadata.get("classes", "[]"))),
                data=metadata.get("data", ""),
                size=int(metadata["size"]) if "size" in metadata else None,
                magnitude=int(metadata.get("magnitude", "1")),
            )
        except MALFORMED as error:
            raise EventError(
                "metadata", f"describes no stimulus ({str(error)[:200]}); set steps and coding by hand"
            ) from None
