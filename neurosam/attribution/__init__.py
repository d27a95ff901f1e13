"""Attribution methods for torch modules: gradients, relevance, class activation, masking, and SAM.

    Method(module, ...).attribute(x, target=None)   ->   raw maps, float64: [T, B, H, W] or [B, H, W]

| method | explains | maps |
|---|---|---|
| ``ModuleSAM(module, layer)`` | spikes of a layer (no target, no gradient) | [T, B, h, w] |
| ``ModuleClassSAM(module, layer)`` | the same for a class: spikes and weights | [T, B, h, w] |
| ``GradCAM(module, layer)`` | a layer of an ANN | [B, h, w] |
| ``SpikingGradCAM(module, layer, alpha=...)`` | a layer of a spiking network, SAM paper Eq. 9-10 | [T, B, h, w] |
| ``ScoreCAM(module, layer)`` | a layer, without gradients | [T, B, h, w] or [B, h, w] |
| ``Saliency``, ``InputXGradient``, ``GuidedBackprop``, ``IntegratedGradients`` of a module | the input | as the input |
| ``SmoothGrad``, ``ExpectedGradients``, ``LRP``, ``TSA`` of a module | the input | as the input |
| ``Occlusion(module, window)``, ``RISE(module, masks)`` | the input, without gradients | [B, H, W] |

A module is any ``nn.Module`` or function that gives logits [B, K] and loops over the steps itself.
`x` is the encoded input ``[T, B, C, H, W]`` of a spiking network (rate, latency or direct coding) or the images
``[B, C, H, W]`` of an ANN. `target` is one class for all samples, one class per sample, or None for the predicted
classes. Functions that aggregate, normalise, upsample and overlay maps are in :mod:`neurosam.explain.maps`.
:func:`over_draws` averages maps over random encodings; :func:`explain_func` has the signature that Quantus expects,
and :class:`BatchFirst` the layout that Captum expects.

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

from neurosam.attribution.adaptors import BatchFirst, OnImages
from neurosam.attribution.class_sam import ModuleClassSAM
from neurosam.attribution.draws import Draws, over_draws
from neurosam.attribution.gradcam import GradCAM, SpikingGradCAM
from neurosam.attribution.gradients import GuidedBackprop, InputXGradient, IntegratedGradients, Saliency
from neurosam.attribution.layer_sam import ModuleSAM
from neurosam.attribution.lrp import LRP
from neurosam.attribution.method import InputMethod, Method
from neurosam.attribution.occlusion import Occlusion
from neurosam.attribution.quantus import METHODS, explain_func
from neurosam.attribution.rise import RISE
from neurosam.attribution.sampling import ExpectedGradients, SmoothGrad
from neurosam.attribution.scorecam import ScoreCAM
from neurosam.attribution.tsa import TSA

__all__ = [
    "LRP",
    "METHODS",
    "RISE",
    "TSA",
    "BatchFirst",
    "Draws",
    "ExpectedGradients",
    "GradCAM",
    "GuidedBackprop",
    "InputMethod",
    "InputXGradient",
    "IntegratedGradients",
    "Method",
    "ModuleClassSAM",
    "ModuleSAM",
    "Occlusion",
    "OnImages",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "SpikingGradCAM",
    "explain_func",
    "over_draws",
]
