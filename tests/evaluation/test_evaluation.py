"""Evaluation: every measure against a case with a known answer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import neurosam as ns
from neurosam.attribution import InputXGradient, ModuleSAM, Saliency, SpikingGradCAM
from neurosam.data import Clutter, ImageSet, two_items
from neurosam.deploy.from_torch import export, to_network
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.evaluation import (
    agreement,
    best_constant_error,
    deletion,
    fgsm,
    insertion,
    layer_activity,
    localisation_error,
    map_distance,
    of_module,
    of_network,
    pearson,
    pixel_variance,
    randomised,
    spearman,
    spiking_fgsm,
    suppression,
    weight_randomisation,
)
from neurosam.explain.maps import aggregate, upsample
from neurosam.training import LIF, Normalisation, Readout, SpikingSequential, build

Array = npt.NDArray[Any]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- agreement ---


def test_localisation_error_is_the_stated_formula() -> None:
    reference = np.array([[[0.0, 2.0], [1.0, 0.0]]])  # scaled: 0, 1, 1/2, 0
    maps = np.array([[[[5.0, 5.0], [5.0, 5.0]]], [[[0.0, 8.0], [2.0, 4.0]]]])  # a constant, and 0, 1, 1/4, 1/2
    second = -(np.log(0.99) + np.log(0.99) + 0.5 * np.log(0.25) + 0.5 * np.log(0.75) + np.log(0.5)) / 4
    first = -(2 * np.log(0.99) + np.log(0.01) + 0.5 * (np.log(0.01) + np.log(0.99))) / 4
    assert second < first
    np.testing.assert_allclose(localisation_error(maps, reference, epsilon=0.01), [second], rtol=1e-12)
    np.testing.assert_allclose(localisation_error(maps[:1], reference, epsilon=0.01), [first], rtol=1e-12)
    np.testing.assert_allclose(localisation_error(maps[1], reference, epsilon=0.01), [second], rtol=1e-12)


def test_localisation_error_is_least_for_the_reference_and_a_constant_is_hard_to_beat() -> None:
    reference = rng().random((4, 8, 8))
    own = localisation_error(reference, reference)
    assert (own < best_constant_error(reference)).all()
    assert (best_constant_error(reference) < localisation_error(rng(1).random((4, 8, 8)), reference)).all()
    scaled = (reference - reference.min((1, 2), keepdims=True)) / np.ptp(reference, axis=(1, 2), keepdims=True)
    p = np.linspace(0.01, 0.99, 99)[:, None, None, None]
    constants = -(scaled * np.log(p) + (1 - scaled) * np.log(1 - p)).mean(axis=(2, 3))
    np.testing.assert_allclose(best_constant_error(reference), constants.min(axis=0), atol=1e-4)
    np.testing.assert_array_equal(best_constant_error(np.zeros((1, 2, 2))), [0])


def test_maps_are_brought_to_the_references_size() -> None:
    maps, reference = rng().random((3, 2, 4, 4)), rng(1).random((2, 8, 8))
    np.testing.assert_array_equal(
        localisation_error(maps, reference), localisation_error(upsample(maps, (8, 8)), reference)
    )


def test_pixel_variance_is_the_largest_over_steps_of_normalised_maps() -> None:
    maps = np.zeros((3, 2, 1, 4))
    maps[1, 0, 0] = [0, 0, 0, 7]
    maps[2, 0, 0] = [0, 0, 9, 9]
    maps[0, 1, 0] = [0, 0, 0, 1]
    np.testing.assert_allclose(pixel_variance(maps, "max"), [0.25, 3 / 16], rtol=1e-12)
    np.testing.assert_allclose(pixel_variance(maps), [0.25 * (9 / 9.001) ** 2, 3 / 16 / 1.001**2], rtol=1e-12)


def test_correlations() -> None:
    a, b = rng().random((3, 5, 6)), rng(1).random((3, 5, 6))
    wanted = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(pearson(a, b), wanted, rtol=1e-10)
    np.testing.assert_allclose(spearman(a, np.exp(3 * a)), [1, 1, 1], rtol=1e-12)
    np.testing.assert_allclose(spearman(a, -(a**3)), [-1, -1, -1], rtol=1e-12)
    tied = np.array([[[1.0, 2.0, 2.0, 3.0]]])
    wanted_tied = np.corrcoef([1, 2.5, 2.5, 4], [1, 2, 3, 4])[0, 1]
    np.testing.assert_allclose(spearman(tied, np.arange(4.0).reshape(1, 1, 4)), [wanted_tied], rtol=1e-12)
    assert np.isnan(pearson(a, np.ones_like(a))).all()
    three = [a, b, rng(2).random((3, 5, 6))]
    mean = (pearson(a, b) + pearson(a, three[2]) + pearson(b, three[2])) / 3
    np.testing.assert_allclose(agreement(three), mean, rtol=1e-12)
    np.testing.assert_allclose(agreement([a, b, np.ones_like(a)]), pearson(a, b), rtol=1e-12)


def test_map_distance_is_scaled_l1() -> None:
    a = np.array([[[[0.0, 4.0]]], [[[1.0, 1.0]]]])
    b = np.array([[[[10.0, 30.0]]], [[[0.0, 1.0]]]])
    np.testing.assert_allclose(map_distance(a[0], b[0]), [0])
    np.testing.assert_allclose(map_distance(a, b), [0.5])
    np.testing.assert_allclose(map_distance(a[0], a[0][..., ::-1]), [1])


# --- perturbation: a linear model, whose curves are sums ---


def linear() -> tuple[nn.Sequential, Array, Array]:
    """Two classes, the second a constant 0; images, and the contribution of each pixel to class 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 5, 2, bias=False)).double()
    weight = torch.from_numpy(rng().normal(size=40))
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([weight, torch.zeros(40)]))  # type: ignore[operator]
    x = rng(1).random((3, 2, 4, 5))
    return net, x, (x * weight.numpy().reshape(2, 4, 5)).sum(axis=1)


def test_deletion_and_insertion_of_a_linear_model_are_cumulative_sums() -> None:
    net, x, part = linear()
    ordered = -np.sort(-part.reshape(3, 20), axis=1)
    removed = deletion(of_module(net), x, part, 0, points=20, measure="logit")
    sums = np.concatenate([np.zeros((3, 1)), ordered.cumsum(axis=1)], axis=1).T
    np.testing.assert_allclose(removed.values, sums[-1] - sums, atol=1e-12)
    np.testing.assert_array_equal(removed.shares, np.linspace(0, 1, 21))
    added = insertion(of_module(net), x, part, 0, points=20, measure="logit")
    np.testing.assert_allclose(added.values, sums, atol=1e-12)
    np.testing.assert_allclose(added.area, ((sums[1:] + sums[:-1]) / 2).mean(axis=0), rtol=1e-12)
    for wrong in (-part, np.zeros_like(part), rng(4).random(part.shape)):  # no ranking beats the exact one
        assert (deletion(of_module(net), x, wrong, 0, points=20, measure="logit").area >= removed.area).all()
        assert (insertion(of_module(net), x, wrong, 0, points=20, measure="logit").area <= added.area).all()


def test_the_measures_of_a_curve() -> None:
    net, x, part = linear()
    logit = deletion(of_module(net), x, part, 0, points=4, measure="logit").values
    probability = deletion(of_module(net), x, part, 0, points=4).values
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit)), rtol=1e-12)
    correct = deletion(of_module(net), x, part, 0, points=4, measure="correct").values
    np.testing.assert_array_equal(correct, logit > 0)  # 0 for both classes is no answer
    predicted = deletion(of_module(net), x, part, points=4, measure="correct")
    assert predicted.values[0].all()


def test_deletion_at_spike_level_of_a_linear_spiking_model() -> None:
    """A readout alone adds up its events: input x gradient ranks them exactly."""
    net = SpikingSequential(nn.Flatten(), nn.Linear(12, 2, bias=False), Readout("sum")).double()
    x = (rng().random((5, 3, 1, 3, 4)) < 0.4).astype(np.uint8)
    scores = InputXGradient(net).scores(x, 1)
    curve = deletion(of_module(net), x, scores, 1, level="spike", points=6, measure="logit")
    for b in range(3):
        parts = -np.sort(-scores[:, b][x[:, b] != 0])
        wanted = [parts[int(np.rint(share * len(parts))) :].sum() for share in curve.shares]
        np.testing.assert_allclose(curve.values[:, b], wanted, atol=1e-12)
    np.testing.assert_allclose(curve.values[-1], 0, atol=1e-12)
    back = insertion(of_module(net), x, -scores, 1, level="spike", points=6, measure="logit")
    np.testing.assert_allclose(back.values[-1], curve.values[0], atol=1e-12)


def test_ties_are_random_and_seeded_and_blank_values_count() -> None:
    net, x, part = linear()
    flat = np.zeros_like(part)
    a, b, c = (deletion(of_module(net), x, flat, 0, points=5, measure="logit", seed=s).values for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    grey = deletion(of_module(net), x, part, 0, points=1, measure="logit", baseline=0.5).values[-1]
    np.testing.assert_allclose(grey, of_module(net)(np.full_like(x, 0.5))[:, 0], rtol=1e-12)


def net_and_input() -> tuple[SpikingSequential, Array]:
    net = build("4C3-P2-6C3-D3", (1, 8, 8), threshold=0.3, seed=2).double().eval()
    x = ns.encode(rng().integers(0, 256, (4, 1, 8, 8)).astype(np.uint8), 6, seed=1).dense()
    return net, x


def test_the_same_curve_on_a_module_and_on_back_ends() -> None:
    net, x = net_and_input()
    maps = ModuleSAM(net, "conv1").attribute(x)
    network = to_network(net, (1, 8, 8))
    wanted = deletion(of_module(net), x, maps, points=5).values
    for backend in ("reference", "event"):
        found = deletion(of_network(network, backend), x, maps, points=5).values
        np.testing.assert_allclose(found, wanted, atol=1e-10)
    fixed = export(net, (1, 8, 8), ns.Precision.lava(), ns.Events.from_dense(x))
    first, second = (
        insertion(of_network(fixed, b), x, maps, points=5, measure="logit") for b in ("reference", "event")
    )
    np.testing.assert_array_equal(first.values, second.values)


# --- sanity, attacks, activity ---


def test_randomising_shuffles_named_weights_of_a_copy() -> None:
    net, _ = net_and_input()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    twin = randomised(net, ["out_linear"], seed=3)
    for name, value in twin.state_dict().items():
        assert torch.equal(value, before[name]) == (name != "out_linear.weight"), name
    changed = twin.state_dict()["out_linear.weight"]
    assert torch.equal(changed.flatten().sort()[0], before["out_linear.weight"].flatten().sort()[0])
    assert torch.equal(changed, randomised(net, ["conv1_conv", "out_linear"], 3).state_dict()["out_linear.weight"])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_cascading_randomisation_notices_gradients_and_sam_what_it_can_see() -> None:
    net, x = net_and_input()
    target = [0, 1, 2, 0]
    grad = weight_randomisation(net, lambda m: aggregate(Saliency(m).attribute(x, target)))
    assert list(grad) == ["out_linear", "conv2_conv", "conv1_conv"]
    assert all((values < 0.99).all() for values in grad.values())
    sam = weight_randomisation(net, lambda m: aggregate(ModuleSAM(m, "conv1").attribute(x)))
    np.testing.assert_allclose(sam["out_linear"], 1, rtol=1e-12)
    np.testing.assert_allclose(sam["conv2_conv"], 1, rtol=1e-12)
    assert (sam["conv1_conv"] < 0.99).all()
    constant = weight_randomisation(net, lambda m: x.sum(axis=(0, 2)))  # the input does not depend on the weights
    np.testing.assert_allclose(np.stack(list(constant.values())), 1, rtol=1e-12)


def test_fgsm_of_a_linear_model() -> None:
    net, x, _ = linear()
    weight = net[1].weight.detach().numpy()[0].reshape(2, 4, 5)  # type: ignore[operator]
    found = fgsm(net, x, [0, 1, 0], 0.1)
    way = np.array([-1, 1, -1])[:, None, None, None] * np.sign(weight)  # away from the label
    np.testing.assert_allclose(found, np.clip(x + 0.1 * way, 0, 1), atol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(fgsm(net, x, [0, 1, 0], 0.0), x, atol=1e-7)


@pytest.mark.parametrize("coding", ["poisson", "poisson_signed", "direct"])
def test_spiking_fgsm_adds_up_the_gradients_of_all_steps(coding: str) -> None:
    net, _ = net_and_input()
    images = rng(5).integers(0, 256, (4, 1, 8, 8)).astype(np.uint8)
    labels = np.array([0, 1, 2, 0])
    norm = Normalisation((0.4,), (0.3,))
    shown = (images / np.float32(255) - np.float32(0.4)) / np.float32(0.3) if coding == "poisson_signed" else images
    s = torch.from_numpy(ns.encode(shown, 6, coding, 7).dense()).double().requires_grad_()
    (grad,) = torch.autograd.grad(nn.functional.cross_entropy(net(s), torch.from_numpy(labels)), s)
    wanted = np.clip(images / 255 + 0.05 * np.sign(grad.sum(0).numpy()), 0, 1)
    found = spiking_fgsm(net, images, labels, 0.05, steps=6, coding=coding, seed=7, normalisation=norm)
    assert np.abs(found - images / 255).max() > 0.04
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_suppression_is_the_share_in_the_predicted_half() -> None:
    maps = np.zeros((2, 3, 2, 5))
    maps[0, :, 0, 0], maps[0, :, 1, 4] = 1, 3  # left 1, right 3
    maps[1, :, 0, 1], maps[1, :, 0, 2] = 4, 4  # left 4, and 4 in the middle, which belongs to neither
    labels, said = np.array([[7, 2], [7, 2], [7, 2]]), np.array([7, 2, 5])
    np.testing.assert_array_equal(suppression(maps, labels, said), [[0.25, 0.75, np.nan], [0.5, 0.0, np.nan]])
    masks = np.zeros((3, 2, 2, 5), dtype=bool)
    masks[:, 0, 0, :2], masks[:, 1, 1, 4] = True, True
    np.testing.assert_array_equal(suppression(maps, labels, said, masks), [[0.25, 0.75, np.nan], [1.0, 0.0, np.nan]])
    assert np.isnan(suppression(np.zeros((1, 3, 2, 5)), labels, said)).all()


def test_suppression_takes_pairs_of_the_data_package() -> None:
    glyphs = np.zeros((6, 1, 12, 12), dtype=np.uint8)
    glyphs[:3, 0, 2:10, 5:7], glyphs[3:, 0, 5:7, 2:10] = 200, 200
    items = ImageSet(glyphs, np.array([0, 0, 0, 1, 1, 1]), None, ("bar", "dash"), "glyphs")
    pairs = two_items(items, Clutter(canvas=32, distractors=0))
    exact = pairs.images[:, 0] * pairs.masks[:, 0]  # a map on the left item alone
    found = suppression(exact[None], pairs.labels, pairs.labels[:, 0])
    np.testing.assert_array_equal(found, np.ones((1, 6)))
    np.testing.assert_array_equal(suppression(exact[None], pairs.labels, pairs.labels[:, 1], pairs.masks), 0)


def test_activity_is_the_back_ends_spike_count() -> None:
    net, x = net_and_input()
    network = to_network(net, (1, 8, 8))
    recording = ns.run(network, ns.Events.from_dense(x), "event")
    found = layer_activity(net, x)
    assert list(found) == ["conv1", "conv2"]
    for name, values in found.items():
        assert values.any()
        np.testing.assert_allclose(values, recording.counts[name].mean(axis=1), rtol=1e-12)
    assert list(layer_activity(net, x, ["conv2"])) == ["conv2"]


def test_activity_of_neurons_that_are_used_twice() -> None:
    conv, lif = nn.Conv2d(1, 1, 3, padding=1), LIF(0.9, 0.3)
    torch.manual_seed(0)
    x = (torch.rand(6, 3, 1, 8, 8) < 0.4).float()
    shared = SpikingSequential(conv, lif, conv, lif)
    apart = SpikingSequential(conv, lif, copy.deepcopy(conv), copy.deepcopy(lif))
    found, expected = layer_activity(shared, x), layer_activity(apart, x)
    assert list(found) == ["1", "3"]
    assert not np.array_equal(found["1"], found["3"])
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


# --- refusals ---


def test_what_does_not_fit_is_refused() -> None:
    net, x, part = linear()
    predict = of_module(net)
    with pytest.raises(NeurosamError, match=r"got maps \(1, 2, 4, 4\) and reference \(3, 4, 4\)"):
        localisation_error(np.ones((2, 4, 4)), np.ones((3, 4, 4)))
    with pytest.raises(NeurosamError, match="epsilon"):
        localisation_error(part, part, epsilon=0.5)
    with pytest.raises(NeurosamError, match="they must be equal"):
        pearson(part, part[:2])
    with pytest.raises(NeurosamError, match=r"got 1 map\(s\)"):
        agreement([part])
    with pytest.raises(NeurosamError, match=r"maps \(\[T,\] 3, h, w\)"):
        deletion(predict, x, part[:2])
    with pytest.raises(NeurosamError, match="one for each value of x"):
        deletion(predict, x, part, level="spike")
    with pytest.raises(ArgumentError, match="level: got 'patch'"):
        insertion(predict, x, part, level="patch")
    with pytest.raises(NeurosamError, match=r"insertion: target: got 2\.\.2; the 2 outputs"):
        insertion(predict, x, part, 2)
    with pytest.raises(NeurosamError, match="contain NaN"):
        deletion(predict, x, np.full_like(part, np.nan))
    with pytest.raises(NeurosamError, match="in intensity"):
        fgsm(net, x, [0, 0, 0], 4)
    with pytest.raises(NeurosamError, match=r"floats in \[0, 1\]"):
        fgsm(net, 2 * x + 1, [0, 0, 0], 0.1)
    with pytest.raises(NeurosamError, match="target: got class 9"):
        fgsm(net, x, [9, 0, 0], 0.1)
    with pytest.raises(ArgumentError, match="coding: got 'latency'"):
        spiking_fgsm(net_and_input()[0], x, [0, 0, 0], 0.1, steps=2, coding="latency")
    with pytest.raises(NeurosamError, match="normalisation"):
        spiking_fgsm(net_and_input()[0], x, [0, 0, 0], 0.1, steps=2, coding="poisson_signed")
    with pytest.raises(NeurosamError, match="a pair of one class"):
        suppression(np.ones((1, 1, 2, 2)), [[3, 3]], [3])
    with pytest.raises(NeurosamError, match=r"masks: got shape \(1, 2, 2\)"):
        suppression(np.ones((1, 1, 2, 2)), [[3, 4]], [3], np.ones((1, 2, 2)))
    with pytest.raises(NeurosamError, match=r"layer 'pool1': is not a LIF layer; the LIF layers are conv1, conv2"):
        layer_activity(net_and_input()[0], net_and_input()[1], ["pool1"])
    with pytest.raises(NeurosamError, match=r"layer 'conv1': has no weights; layers with weights are conv1_conv"):
        randomised(net_and_input()[0], ["conv1"])
    with pytest.raises(NeurosamError, match="finds no convolution"):
        weight_randomisation(SpikingSequential(LIF()), lambda m: part)


def test_spiking_gradcam_variance_is_measurable() -> None:
    net, x = net_and_input()
    both = [ModuleSAM(net, "conv1").attribute(x), SpikingGradCAM(net, "conv1").attribute(x)]
    assert all((pixel_variance(maps) > 0).all() for maps in both)


def test_predictors_of_networks_with_several_inputs_and_other_answers() -> None:
    def network(inputs: tuple[str, ...], answer: str) -> ns.Network:
        return ns.Network(
            (*(ns.Population(name, (1, 2, 2)) for name in inputs), ns.Population("out", (2,), ns.Readout())),
            [ns.Projection(name, "out", ns.Dense(np.arange(8.0).reshape(2, 4))) for name in inputs],
            outputs={"out": answer},
        )

    x = np.ones((5, 1, 1, 2, 2))
    for answer, expected in (("last", 1.0), ("max", 5.0), ("mean", 3.0)):  # of 1 to 5 times the sum of one step
        found = of_network(network(("in",), answer), backend="reference")(x)
        np.testing.assert_allclose(found, [[6 * expected, 22 * expected]])
    with pytest.raises(NeurosamError, match=r"has the inputs 'a', 'b'; write a function that calls neurosam\.run"):
        of_network(network(("a", "b"), "last"))
