"""Attribution methods for torch modules: gradients, Grad-CAM, occlusion, and SAM.

    Method(module, ...).attribute(x, target=None)   ->   raw maps, float64: [T, B, H, W] or [B, H, W]

| method | explains | maps |
|---|---|---|
| ``ModuleSAM(module, layer)`` | spikes of a layer (no target, no gradient) | [T, B, h, w] |
| ``GradCAM(module, layer)`` | a layer of an ANN | [B, h, w] |
| ``SpikingGradCAM(module, layer, alpha=...)`` | a layer of a spiking network, SAM paper Eq. 9-10 | [T, B, h, w] |
| ``Saliency``, ``InputXGradient``, ``GuidedBackprop``, ``IntegratedGradients`` of a module | the input | as the input |
| ``Occlusion(module, window)`` | the input, without gradients | [B, H, W] |

`x` is the encoded input ``[T, B, C, H, W]`` of a spiking network (rate, latency or direct coding) or the images
``[B, C, H, W]`` of an ANN. `target` is one class for all samples, one class per sample, or None for the predicted
classes. Functions that aggregate, normalise, upsample and overlay maps are in :mod:`neurosam.explain.maps`.
:func:`explain_func` has the signature that Quantus expects.

Requires the extra ``neurosam[torch]``. To explain a network as it runs on a back end, fixed point included, see
:class:`neurosam.SAM`.

Examples
--------
>>> from neurosam.attribution import GradCAM, ModuleSAM, Occlusion, Saliency, SpikingGradCAM
>>> import torch
>>> from neurosam import training
>>> module = training.build("4C3-P2-D10", (1, 8, 8), seed=0)
>>> x = torch.ones(5, 3, 1, 8, 8)  # steps, samples, channels, height, width
>>> SpikingGradCAM(module, "conv1").attribute(x).shape
(5, 3, 8, 8)
>>> ModuleSAM(module, "conv1", gamma=0.5).attribute(x).shape
(5, 3, 8, 8)
>>> Saliency(module).attribute(x, target=7).shape
(5, 3, 8, 8)
>>> Occlusion(module, window=4).attribute(x, target=[1, 2, 3]).shape
(3, 8, 8)
>>> ann = training.build_ann("4C3-P2-D10", (1, 8, 8), seed=0)
>>> GradCAM(ann, "conv1").attribute(x[0]).shape
(3, 8, 8)
"""

from neurosam._util.packages import require_package

require_package("neurosam.attribution", "torch")

from neurosam.attribution.class_sam import ModuleClassSAM
from neurosam.attribution.draws import Draws, over_draws
from neurosam.attribution.gradcam import GradCAM, SpikingGradCAM
from neurosam.attribution.gradients import GuidedBackprop, InputXGradient, IntegratedGradients, Saliency
from neurosam.attribution.layer_sam import ModuleSAM
from neurosam.attribution.lrp import LRP
from neurosam.attribution.method import InputMethod, Method
from neurosam.attribution.occlusion import Occlusion
from neurosam.attribution.quantus import METHODS, explain_func
from neurosam.attribution.tsa import TSA

__all__ = [
    "LRP",
    "METHODS",
    "TSA",
    "Draws",
    "GradCAM",
    "GuidedBackprop",
    "InputMethod",
    "InputXGradient",
    "IntegratedGradients",
    "Method",
    "ModuleClassSAM",
    "ModuleSAM",
    "Occlusion",
    "Saliency",
    "SpikingGradCAM",
    "explain_func",
    "over_draws",
]
