"""The networks of the paper by name: VGG blocks of 3 x 3 convolutions, batch norm through time, average pooling.

    vgg5    64 P  128 P  128 P                                          D1024  D<classes>
    vgg7    64 64 P  128 128 P                                          D1024 D1024  D<classes>
    vgg9    64 64 P  128 128 P  256 256 256 P                           D1024  D<classes>
    vgg11   64 P  128 P  256 256 P  512 512 P  512 512 G                D4096  D<classes>

A number stands for a convolution with that many output channels, P for average pooling 2 x 2, G for global average
pooling, and D for a dense layer. VGG9 and VGG11 are those of the paper and its code (leak 0.95 over 25 steps, and 0.99
over 30); VGG5 and VGG7 are ours, for small images. `width` scales the number of hidden channels, for example to train
on images of 28 x 28 on a CPU.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.1, and the authors' released BNTT networks.
"""

from __future__ import annotations

from typing import Any

from neurosam._util.arguments import integer
from neurosam.errors import NetworkError
from neurosam.training.architectures import build
from neurosam.training.sequential import SpikingSequential

__all__ = ["LEAKS", "NETWORKS", "STEPS", "describe", "vgg"]

NETWORKS = {
    "vgg5": "64 P 128 P 128 P D1024",
    "vgg7": "64 64 P 128 128 P D1024 D1024",
    "vgg9": "64 64 P 128 128 P 256 256 256 P D1024",
    "vgg11": "64 P 128 P 256 256 P 512 512 P 512 512 G D4096",
}
LEAKS = {"vgg5": 0.95, "vgg7": 0.95, "vgg9": 0.95, "vgg11": 0.99}
"""Default leak (retained fraction of the membrane) of each network."""
STEPS = {"vgg5": 25, "vgg7": 25, "vgg9": 25, "vgg11": 30}
"""Default number of steps of each network."""


def describe(name: str, classes: int, width: float = 1.0) -> str:
    """The description of a network for :func:`~neurosam.training.architectures.build`.

    Parameters
    ----------
    name : str
        A key of ``NETWORKS``; any other text is returned unchanged as a description.
    classes : int
        Number of outputs, at least 1.
    width : float
        Factor for the number of hidden channels and units, in (0, 64]; at least one of each remains.

    Examples
    --------
    >>> from neurosam.training import describe
    >>> describe("vgg5", classes=10, width=0.25)
    '16C3-P2-32C3-P2-32C3-P2-D256-D10'
    """
    if name not in NETWORKS:
        if name.startswith("vgg"):
            raise NetworkError("architecture", f"got {name!r}; networks by name are {', '.join(NETWORKS)}")
        return name
    if not 0 < width <= 64:
        raise NetworkError("width", f"got {width!r}; allowed is above 0, to 64")

    def token(text: str) -> str:
        if text == "P":
            return "P2"
        if text == "G":
            return "G"
        hidden = max(1, round(width * int(text.removeprefix("D"))))
        return f"D{hidden}" if text.startswith("D") else f"{hidden}C3"

    layers = [token(text) for text in NETWORKS[name].split()]
    return "-".join([*layers, f"D{integer('classes', classes, 1, 65536)}"])


def vgg(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    steps: int | None = None,
    leak: float | None = None,
    width: float = 1.0,
    **options: Any,
) -> SpikingSequential:
    """Build a network of the paper with initial weights and batch norm through time.

    Parameters
    ----------
    name : {"vgg5", "vgg7", "vgg9", "vgg11"}
    input_shape : (C, H, W)
        Sides of at least 8 (vgg5, vgg9), 4 (vgg7) or 16 (vgg11).
    classes : int
    steps : int, optional
        T of the batch norm; that of ``STEPS`` if None.
    leak : float, optional
        That of ``LEAKS`` if None.
    width : float
        See :func:`describe`.
    **options
        Further arguments of :func:`~neurosam.training.architectures.build`: order (the equations of the paper are
        "fire_first", its code is "integrate_first"), reset, threshold, dropout, seed.

    Returns
    -------
    SpikingSequential

    Raises
    ------
    NetworkError
        For an unknown name, or images that are too small.

    Examples
    --------
    >>> from neurosam.training import vgg
    >>> import torch
    >>> module = vgg("vgg5", (1, 8, 8), classes=10, width=0.0625, steps=5)
    >>> module(torch.ones(5, 2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    if name not in NETWORKS:
        raise NetworkError("vgg", f"got {name!r}; allowed are {', '.join(NETWORKS)}")
    return build(
        describe(name, classes, width),
        input_shape,
        leak=LEAKS[name] if leak is None else leak,
        bntt=STEPS[name] if steps is None else steps,
        **options,
    )
