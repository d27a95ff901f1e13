"""``explain_func(model, inputs, targets, **kw)``: every method behind the one function signature that Quantus calls.

Quantus passes arrays with samples first, a model that takes them, and one target per sample; it wants one map per
sample, of the same number of axes. (Quantus itself is not required.)

| model | inputs | maps |
|---|---|---|
| an ANN | images [B, C, H, W] | [B, 1, H, W] |
| ``OnImages``, or a spiking net with `steps` | images, which are encoded | [B, 1, H, W], summed over time |
| ``BatchFirst`` | encoded input [B, T, C, H, W] | [B, 1, 1, H, W], summed over time |

Maps are resized to the image. Those over time are summed, because Quantus wants the axes of a map to be neighbours in
the input, and channels are between steps and rows. Quantus also calls the model itself: an ANN of
:func:`~neurosam.training.build_ann` takes images there as ``OnImages(ann, steps=1, coding="direct")``.

Source: Hedstrom et al. 2023 (Quantus, JMLR 24), the signature of ``explain_func``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam.attribution.adaptors import BatchFirst, OnImages
from neurosam.attribution.class_sam import ModuleClassSAM
from neurosam.attribution.gradcam import GradCAM, SpikingGradCAM
from neurosam.attribution.gradients import GuidedBackprop, InputXGradient, IntegratedGradients, Saliency
from neurosam.attribution.layer_sam import ModuleSAM
from neurosam.attribution.lrp import LRP
from neurosam.attribution.method import Method
from neurosam.attribution.occlusion import Occlusion
from neurosam.attribution.rise import RISE
from neurosam.attribution.sampling import ExpectedGradients, SmoothGrad
from neurosam.attribution.scorecam import ScoreCAM
from neurosam.attribution.tsa import TSA
from neurosam.errors import NeurosamError
from neurosam.explain.maps import aggregate, upsample

__all__ = ["METHODS", "explain_func"]

METHODS: dict[str, type[Method]] = {
    "sam": ModuleSAM,
    "class_sam": ModuleClassSAM,
    "gradcam": GradCAM,
    "spiking_gradcam": SpikingGradCAM,
    "scorecam": ScoreCAM,
    "saliency": Saliency,
    "input_x_gradient": InputXGradient,
    "guided_backprop": GuidedBackprop,
    "integrated_gradients": IntegratedGradients,
    "smoothgrad": SmoothGrad,
    "expected_gradients": ExpectedGradients,
    "lrp": LRP,
    "tsa": TSA,
    "occlusion": Occlusion,
    "rise": RISE,
}
"""Methods by the name that :func:`explain_func` takes."""


def explain_func(
    model: nn.Module,
    inputs: npt.NDArray[Any] | Tensor,
    targets: npt.NDArray[Any] | Tensor | int | None = None,
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
        :class:`OnImages`, :class:`BatchFirst`, an ANN, or a spiking net with `steps`.
    inputs : (B, C, H, W) or (B, T, C, H, W) array or tensor
        Images, or encoded input for a :class:`BatchFirst`.
    targets : (B,) ints, int, optional
        Classes to explain; the predicted ones if None. Whole numbers may be floats.
    method : str
        A key of :data:`METHODS`.
    steps : int, optional
        Number of steps for which a spiking network sees the encoded images; None passes the images to an ANN unchanged.
    coding, seed
        See :func:`neurosam.encode`; with `steps` only.
    device
        Ignored: Quantus passes it, but the model's own device is used.
    **options
        Arguments of the method: ``layer``, ``alpha``, ``points``, ``window``, ...

    Returns
    -------
    (B, 1, H, W) or (B, 1, 1, H, W) float64 array

    Raises
    ------
    NeurosamError
        For an unknown method, invalid arguments of the method, or inputs that do not fit the model.

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
    array = inputs.detach().cpu().numpy() if isinstance(inputs, Tensor) else np.asarray(inputs)
    if array.ndim != (5 if isinstance(model, BatchFirst) else 4):
        raise NeurosamError(
            "explain_func: inputs",
            f"got shape {array.shape} for {type(model).__name__}; (B, C, H, W) is required, or (B, T, C, H, W) for a "
            "BatchFirst",
        )
    net = model if steps is None or isinstance(model, (OnImages, BatchFirst)) else OnImages(model, steps, coding, seed)
    x: Any = array
    if isinstance(net, OnImages):
        x = net.encoded(array)
        x = x[0] if net.steps == 1 and net.coding == "direct" else x  # an ANN's images
    elif isinstance(net, BatchFirst):
        x = np.ascontiguousarray(array.swapaxes(0, 1))
    try:
        explainer = METHODS[method](net.module if isinstance(net, (OnImages, BatchFirst)) else net, **options)
    except TypeError as error:
        raise NeurosamError(f"explain_func: {method}", f"{error}; see the method's own arguments") from None
    maps = explainer.attribute(x, _whole(targets))
    summed = upsample(aggregate(maps) if maps.ndim == 4 else maps, (array.shape[-2], array.shape[-1]))
    return summed.reshape(len(summed), *(1,) * (array.ndim - 3), *summed.shape[1:])


def _whole(targets: Any) -> Any:
    """Targets as integers, where floats are whole."""
    if targets is None:
        return None
    array = np.asarray(torch.as_tensor(targets).cpu())
    whole = array.dtype.kind == "f" and bool((array == np.rint(array)).all())
    return array.astype(np.int64) if whole else array
