"""Samples first for Captum, pictures for Quantus."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neurosam as ns
from neurosam.attribution import METHODS, BatchFirst, InputXGradient, ModuleSAM, OnImages, SpikingGradCAM, explain_func
from neurosam.errors import NeurosamError
from neurosam.training import LIF, Readout, SpikingSequential, build_ann

T, B = 5, 3
TARGET = [2, 0, 1]


def net() -> SpikingSequential:
    torch.manual_seed(0)
    return SpikingSequential(
        nn.Conv2d(2, 4, 3, padding=1), LIF(0.9, 0.3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 3), Readout("sum")
    ).double()


def spikes() -> Tensor:
    return (torch.rand(T, B, 2, 8, 6, generator=torch.Generator().manual_seed(1)) < 0.4).double()


def captum() -> Any:
    return pytest.importorskip("captum.attr", reason="captum is not installed; `make env` does it")


@pytest.mark.filterwarnings("ignore")  # Captum's own
def test_captums_layer_gradcam_is_ours() -> None:
    """It averages over time as well as space, hence T; on the module itself, it averages over channels."""
    module, x = net(), spikes()
    wanted = SpikingGradCAM(module, "1", "time_sum").attribute(x, TARGET)
    assert wanted.any()
    first = BatchFirst(module)
    layer = first.layer("1")
    found = captum().LayerGradCam(first, layer).attribute(x.transpose(0, 1), target=TARGET, relu_attributions=True)
    np.testing.assert_allclose(found.squeeze(1).transpose(0, 1).detach().numpy() * T, wanted, rtol=1e-10, atol=1e-14)
    assert first.layer(module[1]) is layer
    assert not any(part._forward_hooks for part in module.modules())
    conv = first.layer("0")
    with pytest.raises(NeurosamError, match=r"layer '0': gives \(15, 4, 8, 6\); \[T, B, C, ...\] is required"):
        captum().LayerGradCam(first, conv).attribute(x.transpose(0, 1), target=TARGET)


@pytest.mark.filterwarnings("ignore")
def test_captums_input_methods_take_samples_first() -> None:
    module, x = net(), spikes()
    theirs = captum().InputXGradient(BatchFirst(module)).attribute(x.transpose(0, 1).requires_grad_(), target=TARGET)
    wanted = InputXGradient(module).scores(x, TARGET)
    np.testing.assert_allclose(theirs.transpose(0, 1).detach().numpy(), wanted, rtol=1e-12)


def test_batch_first_refuses_what_it_cannot_turn() -> None:
    first = BatchFirst(net())
    with pytest.raises(NeurosamError, match=r"got \(3, 2, 8, 6\); \[B, T, C, H, W\] is required"):
        first(torch.ones(3, 2, 8, 6))
    with pytest.raises(NeurosamError, match=r"gives \(3, 2\) for 2 samples|gives .* for 2 samples"):
        BatchFirst(lambda x: x.sum((1, 2, 3)))(torch.ones(2, 3, 2, 8, 6))
    with pytest.raises(NeurosamError, match="layer 'conv9': is not in the module"):
        first.layer("conv9")


def test_a_model_on_images_and_its_maps() -> None:
    module = net()
    pictures = np.random.default_rng(0).random((B, 2, 8, 6))
    encoded = torch.from_numpy(ns.encode(pictures, T, "poisson", 3).dense()).double()
    on_images = OnImages(module, T, seed=3)
    torch.testing.assert_close(on_images(torch.from_numpy(pictures)), module(encoded))
    wanted = ModuleSAM(module, "1").attribute(encoded).sum(0)
    for given in (pictures, torch.from_numpy(pictures).requires_grad_()):
        found = explain_func(on_images, given, np.array(TARGET), method="sam", layer="1", device="cpu")
        np.testing.assert_array_equal(found[:, 0], wanted)
    noisy = pictures + np.random.default_rng(1).normal(0, 0.5, pictures.shape)  # as Quantus' robustness measures give
    np.testing.assert_array_equal(
        explain_func(on_images, noisy, method="sam", layer="1"),
        explain_func(module, noisy.clip(0, 1), method="sam", layer="1", steps=T, seed=3),
    )
    by_float = explain_func(on_images, pictures, np.array([2.0, 0.0, 1.0]), method="saliency")
    np.testing.assert_array_equal(by_float, explain_func(on_images, pictures, torch.tensor(TARGET), method="saliency"))


def test_maps_of_a_batch_first_model_have_its_axes() -> None:
    module, x = net(), spikes()
    inputs = x.transpose(0, 1).numpy()
    found = explain_func(BatchFirst(module), inputs, TARGET, method="input_x_gradient")  # type: ignore[arg-type]
    assert found.shape == (B, 1, 1, 8, 6)
    wanted = InputXGradient(module).attribute(x, TARGET).sum(axis=0)
    np.testing.assert_allclose(found[:, 0, 0], wanted, rtol=1e-12)
    assert explain_func(BatchFirst(module), inputs, method="occlusion", window=4).shape == (B, 1, 1, 8, 6)
    with pytest.raises(NeurosamError, match=r"got shape .* for SpikingSequential; \(B, C, H, W\) is required, or"):
        explain_func(module, inputs)
    raw = (np.random.default_rng(0).random((B, 2, 8, 6)) * 255).astype(np.uint8)
    with pytest.raises(NeurosamError, match="a raw picture; divide it by 255"):
        explain_func(build_ann("4C3-P2-D3", (2, 8, 6)), raw)


def test_an_ann_on_images_is_explained_on_them() -> None:
    ann = build_ann("4C3-P2-D3", (2, 8, 6)).double()
    pictures = np.random.default_rng(0).random((B, 2, 8, 6))
    on_images = OnImages(ann, steps=1, coding="direct")
    torch.testing.assert_close(on_images(torch.from_numpy(pictures)), ann(torch.from_numpy(pictures)[None]))
    for method, options in (("gradcam", {"layer": "conv1"}), ("lrp", {})):
        wanted = explain_func(ann, pictures, TARGET, method=method, **options)  # type: ignore[arg-type]
        found = explain_func(on_images, pictures, TARGET, method=method, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)  # "direct" is in float32


def test_every_method_has_a_name() -> None:
    """A new class of the package is offered to Quantus too."""
    from neurosam import attribution
    from neurosam.attribution import InputMethod, Method

    classes = {c for c in vars(attribution).values() if inspect.isclass(c) and issubclass(c, Method)}
    assert classes - {Method, InputMethod} == set(METHODS.values())
