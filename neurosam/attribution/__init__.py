"""What of the input or of a layer a torch module's decision rests on: gradients, Grad-CAM, occlusion, SAM.

    Method(module, ...).attribute(x, target=None)   ->   raw maps, float64: [T, B, H, W] or [B, H, W]

| method | explains | maps |
|---|---|---|
| ``ModuleSAM(module, layer)`` | spikes of a layer (no target, no gradient) | [T, B, h, w] |
| ``GradCAM(module, layer)`` | a layer of an ANN | [B, h, w] |
| ``SpikingGradCAM(module, layer, alpha=...)`` | a layer of a spiking net, Eq. 9-10 of the SAM paper | [T, B, h, w] |
| ``Saliency``, ``InputXGradient``, ``GuidedBackprop``, ``IntegratedGradients`` of a module | its input | as the input |
| ``Occlusion(module, window)`` | the input, from the outside | [B, H, W] |

`x` is the encoded input ``[T, B, C, H, W]`` of a spiking net (any code: rate, latency, direct) or the images
``[B, C, H, W]`` of an ANN; `target` one class for all, one a sample, or None for the predicted ones. Functions to
aggregate, normalise, upsample and overlay maps are in :mod:`neurosam.explain.maps`. :func:`explain_func` is the call
that Quantus expects.

Needs the extra ``neurosam[torch]``. To explain a network as it runs on a back end, fixed point included, see
:class:`neurosam.SAM`.
"""

from neurosam.attribution.gradcam import GradCAM, SpikingGradCAM
from neurosam.attribution.gradients import GuidedBackprop, InputXGradient, IntegratedGradients, Saliency
from neurosam.attribution.layer_sam import ModuleSAM
from neurosam.attribution.method import InputMethod, Method
from neurosam.attribution.occlusion import Occlusion
from neurosam.attribution.quantus import METHODS, explain_func

__all__ = [
    "METHODS",
    "GradCAM",
    "GuidedBackprop",
    "InputMethod",
    "InputXGradient",
    "IntegratedGradients",
    "Method",
    "ModuleSAM",
    "Occlusion",
    "Saliency",
    "SpikingGradCAM",
    "explain_func",
]
