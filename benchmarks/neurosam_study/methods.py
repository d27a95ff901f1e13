"""The explanations that are judged: each as a map of a net and its input, and where it has one, a score of every spike.

| method | map | scores of input spikes |
|---|---|---|
| SAM, class SAM * | of a layer, strict, gamma 0.5; class SAM against the mean of all classes | map of each step |
| spike count * | of the same layer | - |
| SNN-Grad-CAM, Score-CAM | of the same layer | map of each step |
| saliency, input x gradient, guided backpropagation, integrated gradients, SmoothGrad, LRP, TSA | of the input | yes |
| occlusion, RISE | of the input, by masks | - |
| ..., mean of draws | the same, averaged over draws of the input's spikes | - |
| random, input | noise; brightness | noise; - |

All maps are summed over the steps. A map of each step gives its value at a pixel to the input spikes that reach the
layer in that step: those of as many steps before as there are layers that fire before they integrate. Of the methods
marked *, the network at 8 bits has a map of its own; gradients and masked runs exist in torch only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.attribution import (
    LRP,
    RISE,
    TSA,
    GuidedBackprop,
    InputMethod,
    InputXGradient,
    IntegratedGradients,
    Method,
    ModuleClassSAM,
    Occlusion,
    Saliency,
    ScoreCAM,
    SmoothGrad,
    SpikingGradCAM,
)
from neurosam.explain.class_sam import ClassSAM
from neurosam.explain.localisation import intensity, spike_count
from neurosam.explain.maps import aggregate, upsample
from neurosam.signals.events import Events
from neurosam.training import LIF
from neurosam.training.input_coding import FRAMES
from neurosam.training.sequential import named_layers
from neurosam_study.maps import GAMMA, MODE, Array, activity_of, explained_by, sam_of, scored_by
from neurosam_study.models import FORMS, Spiking
from neurosam_study.plan import DRAWS, Plan

__all__ = ["BOTH_FORMS", "Case", "map_of", "scores_of"]

BOTH_FORMS = frozenset({"SAM", "class SAM", "spike count"})
"""Methods that the network on a back end has too."""
POINTS, SAMPLES = 16, 16
"""Points of integrated gradients, noisy copies of SmoothGrad."""
CELLS = 8
"""Rows and columns of RISE's grid, and windows of occlusion along a side."""


@dataclass(frozen=True, eq=False)
class Case:
    """A net, and the input that its explanations are judged on.

    Attributes
    ----------
    net : Spiking
    plan : Plan
        Has the number of masks and of draws.
    layer : str
        Of the maps of a layer.
    x : (T, B, C, H, W) array
        Input of the module.
    labels : (B,) int64 array
        Classes that are explained: the true ones.
    seed : int
        Of the draw of `x`, and of methods that draw.
    images : (B, C, H, W) array, optional
        What `x` encodes; None for recordings.
    """

    net: Spiking
    plan: Plan
    layer: str
    x: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    seed: int
    images: npt.NDArray[Any] | None = None

    @classmethod
    def of_images(
        cls, net: Spiking, plan: Plan, layer: str, images: npt.NDArray[Any], labels: npt.NDArray[np.int64], seed: int
    ) -> Case:
        """Encode images as the net takes them."""
        x = net.encode(images, seed).dense()
        return cls(net, plan, layer, x, labels, seed, None if net.coding == FRAMES else images)

    def shown(self, images: npt.NDArray[Any], seed: int | None = None) -> Case:
        """The case with other images of the same classes, or another draw of them."""
        return self.of_images(
            self.net, self.plan, self.layer, images, self.labels[: len(images)], self.seed if seed is None else seed
        )

    @property
    def events(self) -> Events:
        """The input as the networks take it."""
        return Events.from_dense(self.net.on_chip(self.x))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.x.shape[-2], self.x.shape[-1]


def map_of(case: Case, name: str, form: str) -> Array:
    """The map of a method, summed over steps and enlarged to the input, ``[B, H, W]``."""
    if name.endswith(DRAWS):
        if case.images is None:
            raise ValueError(f"{name}: recordings have no draws")
        seeds = range(case.seed, case.seed + case.plan.draws)
        maps = [map_of(case.shown(case.images, seed), name.removesuffix(DRAWS), form) for seed in seeds]
        return np.asarray(np.mean(maps, axis=0))
    if name == "input":
        array = np.abs(case.x).sum(axis=(0, 2), dtype=np.float64) if case.images is None else intensity(case.images)
    elif name == "random":
        array = np.random.default_rng(case.seed).random((len(case.labels), *case.size))
    elif name == "spike count":
        array = spike_count(activity_of(case.net, form, case.events, (case.layer,), case.x).spikes[case.layer])
    else:
        array = _raw(case, name, form)
    summed = aggregate(array) if array.ndim == 4 else array
    return summed if summed.shape[1:] == case.size else upsample(summed, case.size)


def scores_of(case: Case, name: str, form: str) -> Array | None:
    """A score of every input value, in the shape of the input; None if the method has none."""
    if name == "random":
        return np.random.default_rng(case.seed).random(case.x.shape)
    if name in _OF_THE_INPUT:
        return scored_by(_OF_THE_INPUT[name](case), case.x, case.labels)
    if name not in _OF_EACH_STEP:
        return None
    raw = _raw(case, name, form)
    delay = min(_delay(case), len(raw))
    at_input = np.concatenate([raw[delay:], np.zeros_like(raw[:delay])])
    return np.asarray(np.broadcast_to(upsample(at_input, case.size)[:, :, None], case.x.shape))


def _delay(case: Case) -> int:
    """Steps by which the layer lags behind the input: one for each layer that fires before it integrates."""
    layers = named_layers(case.net.module)
    upto = [name for name, _ in layers].index(case.layer) + 1
    return sum(isinstance(part, LIF) and part.order == "fire_first" for _, part in layers[:upto])


def _raw(case: Case, name: str, form: str) -> Array:
    """The map as the method gives it, ``[T, B, h, w]`` or ``[B, h, w]``."""
    if name == "SAM":
        return sam_of(case.net, form, case.events, (case.layer,), x=case.x)[case.layer]
    if name == "class SAM" and form == FORMS[1]:
        sam = ClassSAM(case.net.fixed, case.layer, gamma=GAMMA, mode=MODE, contrast=True)
        return np.asarray(sam.attribute(case.events, case.labels) / sam.scale(case.net.steps))
    return explained_by(_METHODS[name](case), case.x, case.labels)


def _window(case: Case) -> tuple[int, int]:
    return max(1, -(-case.size[0] // CELLS)), max(1, -(-case.size[1] // CELLS))


_OF_THE_INPUT: dict[str, Callable[[Case], InputMethod]] = {
    "saliency": lambda case: Saliency(case.net.module),
    "input x gradient": lambda case: InputXGradient(case.net.module),
    "guided backpropagation": lambda case: GuidedBackprop(case.net.module),
    "integrated gradients": lambda case: IntegratedGradients(case.net.module, POINTS),
    "SmoothGrad": lambda case: SmoothGrad(case.net.module, SAMPLES, seed=case.seed),
    "LRP": lambda case: LRP(case.net.module),
    "TSA": lambda case: TSA(case.net.module),
}
_METHODS: dict[str, Callable[[Case], Method]] = {
    **_OF_THE_INPUT,
    "class SAM": lambda case: ModuleClassSAM(case.net.module, case.layer, GAMMA, MODE, contrast=True),
    "SNN-Grad-CAM": lambda case: SpikingGradCAM(case.net.module, case.layer),
    "Score-CAM": lambda case: ScoreCAM(case.net.module, case.layer),
    "RISE": lambda case: RISE(case.net.module, case.plan.masks, CELLS, smooth=False, seed=case.seed),
    "occlusion": lambda case: Occlusion(case.net.module, _window(case)),
}
_OF_EACH_STEP = ("SAM", "class SAM", "SNN-Grad-CAM", "Score-CAM")
