"""``explain_func(model, inputs, targets, **kw)``: every method under the one call that Quantus makes.

Images go in, and one map an image comes out: a spiking net's input is encoded first, its maps are added up over time
and brought to the size of the image. (Quantus itself is not needed.)

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
"""By the name that `explain_func` takes."""


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
    """One map an image.

    Parameters
    ----------
    model : nn.Module
    inputs : (B, C, H, W) array
        Images.
    targets : (B,) ints, int, optional
        Classes to explain; the predicted ones if None.
    method : str
        Of :data:`METHODS`.
    steps : int, optional
        T of a spiking net's presentation; None gives the images as they are, to an ANN.
    coding, seed
        See :func:`neurosam.signals.events.encode`.
    device
        Accepted since Quantus passes it; the model's own is used.
    **options
        Of the method: ``layer``, ``alpha``, ``points``, ``window``, ...

    Returns
    -------
    (B, 1, H, W) float64 array

    Raises
    ------
    NeurosamError
        For an unknown method, or what the method refuses.
    """
    if method not in METHODS:
        raise NeurosamError("explain_func: method", f"got {method!r}; known are {', '.join(METHODS)}")
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
