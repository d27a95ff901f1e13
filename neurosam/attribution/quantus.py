"""``explain_func(model, inputs, targets, **kw)``: every method behind the one function signature that Quantus calls.

It takes images and returns one map per image: for a spiking network the images are encoded first, and its maps are
summed over time. Maps are resized to the image. (Quantus itself is not required.)

Source: Hedstrom et al. 2023 (Quantus, JMLR 24), the signature of ``explain_func``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from neurosam.attribution.gradcam import GradCAM, SpikingGradCAM
from neurosam.attribution.gradients import GuidedBackprop, InputXGradient, IntegratedGradients, Saliency
from neurosam.attribution.layer_sam import ModuleSAM
from neurosam.attribution.method import Method
from neurosam.attribution.occlusion import Occlusion
from neurosam.errors import NeurosamError
from neurosam.explain.maps import aggregate, upsample
from neurosam.signals.events import encode

__all__ = ["METHODS", "explain_func"]

METHODS: dict[str, type[Method]] = {
    "sam": ModuleSAM,
    "gradcam": GradCAM,
    "spiking_gradcam": SpikingGradCAM,
    "saliency": Saliency,
    "input_x_gradient": InputXGradient,
    "guided_backprop": GuidedBackprop,
    "integrated_gradients": IntegratedGradients,
    "occlusion": Occlusion,
}
"""Methods by the name that :func:`explain_func` takes."""


def explain_func(
    model: nn.Module,
    inputs: npt.NDArray[Any],
    targets: npt.NDArray[Any] | int | None = None,
    *,
    method: str = "saliency",
    steps: int | None = None,
    coding: str = "poisson",
    seed: int = 0,
    device: Any = None,
    **options: Any,
) -> npt.NDArray[np.float64]:
    """Compute one map per image.

    Parameters
    ----------
    model : nn.Module
    inputs : (B, C, H, W) array
        Images.
    targets : (B,) ints, int, optional
        Classes to explain; the predicted ones if None.
    method : str
        A key of :data:`METHODS`.
    steps : int, optional
        Number of steps for which a spiking network sees the encoded images; None passes the images to an ANN unchanged.
    coding, seed
        See :func:`neurosam.signals.events.encode`.
    device
        Ignored: Quantus passes it, but the model's own device is used.
    **options
        Arguments of the method: ``layer``, ``alpha``, ``points``, ``window``, ...

    Returns
    -------
    (B, 1, H, W) float64 array

    Raises
    ------
    NeurosamError
        For an unknown method or invalid arguments of the method.

    Examples
    --------
    >>> from neurosam.attribution import explain_func
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8))
    >>> images = np.full((3, 1, 8, 8), 0.5)
    >>> explain_func(module, images, [1, 2, 3], method="sam", layer="conv1", steps=6).shape
    (3, 1, 8, 8)
    """
    if method not in METHODS:
        raise NeurosamError("explain_func: method", f"got {method!r}; allowed are {', '.join(METHODS)}")
    images = np.asarray(inputs)
    if images.ndim != 4:
        raise NeurosamError("explain_func: inputs", f"got shape {images.shape}; (B, C, H, W) is required")
    try:
        explainer = METHODS[method](model, **options)
    except TypeError as error:
        raise NeurosamError(f"explain_func: {method}", f"{error}; see the method's own arguments") from None
    x = images if steps is None else encode(images, steps, coding, seed).dense()
    maps = explainer.attribute(x, targets)
    summed = aggregate(maps) if maps.ndim == 4 else maps
    return upsample(summed, (images.shape[2], images.shape[3]))[:, None]
