"""Which plan a data set gets: canvases, recordings, or Tiny-ImageNet and other pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from neurosam.data.event_camera import is_recordings
from neurosam.data.tiny_imagenet import is_tiny_imagenet
from neurosam.errors import DataError
from neurosam_study.plan import FULL, ITEMS, N_MNIST, TINY_IMAGENET, Plan, shortened

__all__ = ["plan_for"]


def plan_for(data: str, *, quick: bool = False, architecture: str | None = None, size: int | None = None) -> Plan:
    """The plan of a data set, with an architecture.

    Raises
    ------
    DataError
        If a folder of pictures other than Tiny-ImageNet comes without an architecture.
    """
    if data in ITEMS:
        plan = FULL
    elif is_recordings(data):
        plan = N_MNIST
    elif architecture is None and Path(data).is_dir() and not is_tiny_imagenet(Path(data)):
        raise DataError(
            "--architecture",
            f"is required for a folder of images ({data}): give vgg11, or layers that end in D<classes>",
        )
    else:
        plan = TINY_IMAGENET
    plan = replace(plan, data=data, size=size)
    plan = plan if architecture is None else plan.of_network(architecture)
    return shortened(plan) if quick else plan
