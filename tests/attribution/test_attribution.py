"""Attribution: each method against its formula (and Captum, if installed), and what it refuses."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neurosam as ns
from neurosam.attribution import (
    METHODS,
    GradCAM,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    Method,
    ModuleSAM,
    Occlusion,
    Saliency,
    SpikingGradCAM,
    explain_func,
)
from neurosam.deploy.from_torch import to_network
from neurosam.errors import NeurosamError
from neurosam.training import BNTT, LIF, Readout, SpikingSequential, build_ann, fire

T, B = 5, 3
TARGET = [2, 0, 1]


def ann() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(2, 4, 3, padding=1),
            relu1=nn.ReLU(),
            pool=nn.AvgPool2d(2),
            conv2=nn.Conv2d(4, 6, 3, padding=1),
            relu2=nn.ReLU(),
            drop=nn.Dropout(0.5),
            flatten=nn.Flatten(),
            out=nn.Linear(6 * 4 * 3, 3),
        )
    ).double()


def snn(order: str = "integrate_first") -> SpikingSequential:
    torch.manual_seed(1)
    net = SpikingSequential(
        OrderedDict(
            conv1_conv=nn.Conv2d(2, 4, 3, padding=1, bias=False),
            conv1_bntt=BNTT(4, T),
            conv1=LIF(0.9, 0.6, order=order),
            pool=nn.AvgPool2d(2),
            conv2_conv=nn.Conv2d(4, 6, 3, padding=1),
            conv2=LIF(0.9, 0.15, order=order),
            flatten=nn.Flatten(),
            out_linear=nn.Linear(6 * 4 * 3, 3),
            out=Readout("sum"),
        )
    ).double()
    with torch.no_grad():
        net(coded("poisson"))
    return net


def images() -> Tensor:
    return torch.rand(B, 2, 8, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def coded(coding: str) -> Tensor:
    pictures = (images().numpy() * 255).astype(np.uint8)
    return torch.from_numpy(ns.encode(pictures, T, coding, seed=3).dense()).double()


def captum() -> Any:
    return pytest.importorskip("captum.attr", reason="captum is not installed; `make env` does it")


# --- an ANN against Captum ---


@pytest.mark.filterwarnings("ignore")  # Captum's own
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (Saliency, "Saliency", {}),
        (InputXGradient, "InputXGradient", {}),
        (GuidedBackprop, "GuidedBackprop", {}),
        (IntegratedGradients, "IntegratedGradients", {"n_steps": 32, "method": "riemann_middle"}),
    ],
)
def test_input_methods_are_captums(ours: Any, theirs: str, options: dict[str, Any]) -> None:
    net = ann().eval()
    wanted = getattr(captum(), theirs)(net).attribute(images().requires_grad_(), target=TARGET, **options)
    np.testing.assert_allclose(ours(net).scores(images(), TARGET), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        ours(net).attribute(images(), TARGET), wanted.detach().sum(1).numpy(), rtol=1e-10, atol=1e-12
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layer", ["conv1", "relu1", "relu2", "conv2"])
def test_gradcam_is_captums(layer: str) -> None:
    net = ann().eval()
    found = captum().LayerGradCam(net, net.get_submodule(layer))
    wanted = found.attribute(images(), target=TARGET, relu_attributions=True)[:, 0].detach().numpy()
    assert wanted.any()
    np.testing.assert_allclose(GradCAM(net, layer).attribute(images(), TARGET), wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("window", "stride"), [((2, 3), (2, 3)), ((3, 3), (1, 2)), ((5, 4), (2, 4)), ((9, 9), (9, 9))])
def test_occlusion_is_captums(window: tuple[int, int], stride: tuple[int, int]) -> None:
    net = ann().eval()
    found = captum().Occlusion(net)
    wanted = found.attribute(
        images(), (2, *map(min, window, (8, 6))), strides=(2, *map(min, stride, (8, 6))), target=TARGET
    )
    ours = Occlusion(net, window, stride).attribute(images(), TARGET)
    np.testing.assert_allclose(ours, wanted[:, 0].detach().numpy(), rtol=1e-5, atol=1e-7)  # Captum adds in float32


# --- formulas ---


def test_gradcam_is_its_formula_on_a_linear_head() -> None:
    """Under a linear head, dy/dA is the head's weights: Grad-CAM in closed form."""
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 48, 3)).double()
    activation = net[1](net[0](images()))
    head = net[3].weight.reshape(3, 4, 8, 6)  # type: ignore[operator]
    alpha = head[TARGET].mean(dim=(2, 3), keepdim=True)
    wanted = torch.relu((alpha * activation).sum(1)).detach().numpy()
    np.testing.assert_allclose(GradCAM(net, "1").attribute(images(), TARGET), wanted, rtol=1e-12)


@pytest.mark.parametrize("alpha", ["time_sum", "per_step"])
@pytest.mark.parametrize("order", ["integrate_first", "fire_first"])
@pytest.mark.parametrize("coding", ["poisson", "latency"])
def test_spiking_gradcam_is_equations_9_and_10(alpha: str, order: str, coding: str) -> None:
    """The layers above that of the map are run here step by step, with one autograd node per operation."""
    net = snn(order).eval()
    x = coded(coding)
    with torch.no_grad():
        spikes = net.activations(x, ("conv1",))[1]["conv1"]
    spikes.requires_grad_()
    conv, lif, head = net.conv2_conv, net.conv2, net.out_linear
    assert isinstance(lif, LIF)
    v, score = torch.zeros(B, 6, 4, 3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for a in spikes:
        y = conv(nn.functional.avg_pool2d(a, 2))  # type: ignore[operator]
        v = 0.9 * v + y if order == "integrate_first" else v
        s = fire(v, 0.15, lif.surrogate)
        v = v - 0.15 * s.detach() if order == "integrate_first" else 0.9 * v + y - 0.15 * s.detach()
        score = score + head(s.flatten(1))[range(B), TARGET].sum()  # type: ignore[operator]
    (grad,) = torch.autograd.grad(score, spikes)
    weights = grad.mean(dim=(3, 4), keepdim=True)
    weights = weights.sum(dim=0, keepdim=True) if alpha == "time_sum" else weights
    wanted = torch.relu((weights * spikes).sum(dim=2)).detach().numpy()
    found = SpikingGradCAM(net, "conv1", alpha).attribute(x, TARGET)
    assert found.shape == (T, B, 8, 6)
    assert wanted.any()
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_gradients_of_a_spiking_net_are_autograds() -> None:
    net = snn().eval()
    x = coded("poisson").requires_grad_()
    (grad,) = torch.autograd.grad(net(x)[range(B), TARGET].sum(), x)
    assert grad.any()
    np.testing.assert_array_equal(Saliency(net).scores(x, TARGET), grad.abs().numpy())
    np.testing.assert_array_equal(InputXGradient(net).scores(x, TARGET), (x * grad).detach().numpy())
    found = InputXGradient(net).attribute(x, TARGET)
    assert found.shape == (T, B, 8, 6)
    np.testing.assert_allclose(found, (x * grad).sum(2).detach().numpy())


def test_guided_backprop_of_a_spiking_net_clamps_what_enters_each_spike() -> None:
    net = snn().eval()
    x = coded("poisson").requires_grad_()
    y = x
    for layer in net:
        y = layer(y) if isinstance(layer, (LIF, BNTT, Readout)) else torch.stack([layer(step) for step in y])
        if isinstance(layer, LIF):
            y.register_hook(lambda g: g.clamp_min(0))
    (grad,) = torch.autograd.grad(y[range(B), TARGET].sum(), x)
    found = GuidedBackprop(net).scores(x, TARGET)
    np.testing.assert_allclose(found, grad.numpy(), rtol=1e-12, atol=1e-15)
    assert not np.allclose(found, np.abs(Saliency(net).scores(x, TARGET)))


def test_integrated_gradients_are_the_midpoint_rule_and_complete_for_an_ann_only() -> None:
    net, x = snn().eval(), coded("poisson")
    total = sum(torch.from_numpy(Saliency(net).scores(x, TARGET)) * 0 + _grad(net, x * (k + 0.5) / 4) for k in range(4))
    found = IntegratedGradients(net, points=4).scores(x, TARGET)
    np.testing.assert_allclose(found, (x * total / 4).numpy(), rtol=1e-12, atol=1e-15)
    assert np.abs(IntegratedGradients(ann(), points=300).gap(images(), TARGET)).max() < 1e-3
    ig = IntegratedGradients(net, points=4)
    with torch.no_grad():
        change = (net(x) - net(torch.zeros_like(x)))[range(B), TARGET].numpy()
    np.testing.assert_allclose(ig.gap(x, TARGET), ig.scores(x, TARGET).sum((0, 2, 3, 4)) - change, atol=1e-12)


def _grad(net: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(net(leaf)[range(B), TARGET].sum(), leaf)[0]


def test_occlusion_of_a_linear_net_is_the_windows_sum() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 3)).double()
    weight = net[1].weight.detach().reshape(3, 2, 8, 6)[TARGET]  # type: ignore[operator]
    part = (weight * images()).sum(1).reshape(B, 4, 2, 2, 3).sum(dim=(2, 4))
    wanted = part.repeat_interleave(2, 1).repeat_interleave(3, 2).numpy()
    np.testing.assert_allclose(Occlusion(net, (2, 3)).attribute(images(), TARGET), wanted, rtol=1e-10)
    covered = Occlusion(snn(), 4).attribute(coded("poisson"), TARGET)
    assert covered.shape == (B, 8, 6)
    assert len(np.unique(covered[0, :4, :4])) == 1


def test_module_sam_is_the_back_ends_sam() -> None:
    net, x = snn().eval(), coded("poisson")
    for layer in ("conv1", "conv2"):
        sam = ns.SAM(to_network(net, (2, 8, 6)), layer, gamma=0.3, mode="inclusive")
        wanted = sam.attribute(ns.Events.from_dense(x.numpy().astype(np.uint8)))
        np.testing.assert_allclose(ModuleSAM(net, layer, 0.3, "inclusive").attribute(x), np.asarray(wanted), rtol=1e-12)


def test_maps_of_a_layer_that_is_used_twice() -> None:
    """Its second use has a name of its own; a hook cannot tell the uses of a layer of an ANN apart, and says so."""
    conv, lif = nn.Conv2d(2, 2, 3, padding=1), LIF(0.9, 0.3)
    rest = nn.Flatten(), nn.Linear(96, 3), Readout()
    shared = SpikingSequential(conv, lif, conv, lif, *rest)
    apart = SpikingSequential(conv, lif, copy.deepcopy(conv), copy.deepcopy(lif), *rest)
    x = coded("poisson").float()
    for layer in ("1", "3"):
        for method in (ModuleSAM, SpikingGradCAM):
            first, other = (method(net, layer).attribute(x, TARGET) for net in (shared, apart))
            np.testing.assert_array_equal(first, other)
    plain = nn.Sequential(conv, nn.ReLU(), conv, nn.Flatten(), nn.Linear(96, 3))
    with pytest.raises(NeurosamError, match="layer '2': ran 2 times; once is required"):
        GradCAM(plain, "2").attribute(images().float())


# --- the call ---


def every_method(spiking: bool) -> list[Method]:
    net = snn() if spiking else ann()
    common: list[Method] = [
        Saliency(net), InputXGradient(net), GuidedBackprop(net), IntegratedGradients(net, 3), Occlusion(net, 3),
    ]  # fmt: skip
    if isinstance(net, SpikingSequential):
        return [*common, ModuleSAM(net, "conv1"), SpikingGradCAM(net, "conv1")]
    return [*common, GradCAM(net, "conv1")]


@pytest.mark.parametrize("spiking", [True, False])
def test_one_call_for_all_and_nothing_left_in_the_module(spiking: bool) -> None:
    x = coded("latency") if spiking else images()
    for method in every_method(spiking):
        net = method.module.train()
        net.get_submodule("flatten").eval()  # one submodule in another mode
        before = {name: value.clone() for name, value in net.state_dict().items()}
        maps = method.attribute(x)
        assert maps.dtype == np.float64
        assert maps.shape[-3:] == (B, 8, 6)
        assert maps.ndim == (3 if isinstance(method, Occlusion) or not spiking else 4)
        with torch.no_grad():
            predicted = net.eval()(x).argmax(1)
        net.train()
        np.testing.assert_array_equal(method.attribute(x.numpy(), predicted.numpy()), maps)
        assert net.training
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in net.parameters())
        assert not any(part._forward_hooks for part in net.modules())


def test_one_target_for_all_and_frozen_parameters() -> None:
    net = snn()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = coded("poisson")
    for method in (Saliency(net), SpikingGradCAM(net, "conv1")):
        np.testing.assert_array_equal(method.attribute(x, 1), method.attribute(x, torch.tensor([1, 1, 1])))


def test_images_of_an_ann_in_a_spiking_sequence() -> None:
    net = build_ann("4C3-P2-D3", (2, 8, 6))
    plain = nn.Sequential(OrderedDict(list(net.named_children())[:-1]))
    for make in (Saliency, lambda m: GradCAM(m, "conv1"), lambda m: Occlusion(m, 2)):
        np.testing.assert_allclose(make(net).attribute(images(), TARGET), make(plain).attribute(images(), TARGET))


def test_explain_func_has_quantus_shape() -> None:
    pictures = images().numpy()
    net, plain = snn(), ann()
    options: dict[str, Any] = {"steps": T, "coding": "poisson", "seed": 3}
    for name in METHODS:
        spiking = name != "gradcam"
        more: dict[str, Any] = {"layer": "conv2"} if "cam" in name or name.endswith("sam") else {}
        if name == "expected_gradients":
            more = {"baselines": np.zeros((T, 2, *pictures.shape[1:])), "samples": 2}
        elif name in ("rise", "smoothgrad"):
            more = {"masks": 4} if name == "rise" else {"samples": 2}
        found = explain_func(
            net if spiking else plain, pictures, np.array(TARGET), method=name, device="cpu",
            **more, **(options if spiking else {}),
        )  # fmt: skip
        assert found.shape == (B, 1, 8, 6)
        assert np.isfinite(found).all()
    x = ns.encode(pictures, T, "poisson", 3).dense()
    wanted = InputXGradient(net).attribute(x, TARGET).sum(0)[:, None]
    found = explain_func(model=net, inputs=pictures, targets=TARGET, method="input_x_gradient", **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("spiking", [True, False])
def test_on_a_gpu_maps_are_those_of_the_cpu(spiking: bool) -> None:
    x = coded("poisson") if spiking else images()
    for method in every_method(spiking):
        wanted = method.attribute(x, TARGET)
        method.module.cuda()
        np.testing.assert_allclose(method.attribute(x, TARGET), wanted, rtol=1e-6, atol=1e-9)
        method.module.cpu()


# --- refusals ---


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (3, r"target: got class 3; the 3 outputs are numbered 0\.\.2"),
        (-1, "got class -1"),
        ([0, 1, 7], "got class 7"),
        ([0, 1], r"got shape \(2,\); one class, or one each of 3 samples"),
        (np.array([0.0, 1.0, 2.0]), "class numbers are integers"),
    ],
)
def test_targets_out_of_range(target: Any, problem: str) -> None:
    for method in every_method(True):
        with pytest.raises(NeurosamError, match=problem):
            method.attribute(coded("poisson"), target)


def test_layers_and_modules_that_a_method_cannot_handle() -> None:
    net, plain = snn(), ann()
    with pytest.raises(NeurosamError, match=r"layer 'conv9': is not in the module; it has conv1_conv"):
        SpikingGradCAM(net, "conv9")
    with pytest.raises(NeurosamError, match=r"layer 'flatten': gives \(5, 3, 72\)"):
        SpikingGradCAM(net, "flatten").attribute(coded("poisson"))
    with pytest.raises(NeurosamError, match=r"layer 'out': gives \(3, 3\)"):
        GradCAM(plain, "out").attribute(images())
    with pytest.raises(NeurosamError, match=r"layer 'conv1': spikes; use SpikingGradCAM"):
        GradCAM(net, "conv1")
    with pytest.raises(NeurosamError, match="got Sequential, which has no time; use GradCAM"):
        SpikingGradCAM(plain, "conv1")
    with pytest.raises(NeurosamError, match=r"not a LIF layer of a SpikingSequential; it has \['conv1', 'conv2'\]"):
        ModuleSAM(net, "pool")
    with pytest.raises(NeurosamError, match="no ReLU or LIF layer to guide"):
        GuidedBackprop(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with pytest.raises(NeurosamError, match=r"layer '1': is Tanh; only ReLU and LIF"):
        GuidedBackprop(nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.ReLU()))
    with pytest.raises(NeurosamError, match="a torch module is required"):
        Saliency(to_network(net, (2, 8, 6)))  # type: ignore[arg-type]
    with pytest.raises(NeurosamError, match="stride 5 of window 4"):
        Occlusion(net, 4, 5)
    with pytest.raises(NeurosamError, match=r"alpha: got 'mean'; allowed is 'time_sum' or 'per_step'"):
        SpikingGradCAM(net, "conv1", "mean")


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(NeurosamError, match=r"Sequential, which has no time"):
        Saliency(ann()).attribute(coded("poisson"))
    with pytest.raises(NeurosamError, match=r"got shape \(3, 4\)"):
        Saliency(ann()).attribute(np.zeros((3, 4)))
    with pytest.raises(NeurosamError, match=r"\[T, B, C, H, W\] is required"):
        SpikingGradCAM(snn(), "conv1").attribute(images())
    with pytest.raises(NeurosamError, match=r"gives \(5, 3, 3\) for 3 samples"):
        Saliency(SpikingSequential(*list(snn())[:-1])).attribute(coded("poisson"))
    with pytest.raises(NeurosamError, match="method: got 'lime'; allowed are sam"):
        explain_func(ann(), images().numpy(), method="lime")
    with pytest.raises(NeurosamError, match=r"gradcam: .*layer"):
        explain_func(ann(), images().numpy(), method="gradcam")
    detached = nn.Sequential(nn.Flatten(), _Round(), nn.Linear(96, 2)).double()
    with pytest.raises(NeurosamError, match="without a gradient"):
        Saliency(detached).attribute(images())


class _Round(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().round()
