"""Networks as other frameworks publish them, in plain NumPy loops written here, on every back end: no spike differs.

Xylo (SynSense): currents and membranes that decay in integers, 8-bit weights, recurrent hidden layers, and up to 31
spikes per step, one for each time the threshold can be subtracted. Xylo's decays are shifts, ``x - (x >> d)``; here
they are the 12-bit decay ``4096 >> d`` with 6 more fractional bits, which the loop has too.

Sinabs 3.x (``lif_forward_single``, ``MultiSpike``, ``MembraneSubtract``, ``min_v_mem``): ``v = alpha v + x``,
``s = trunc(v / threshold)`` where ``v > 0``, ``v = v - s threshold``, ``v = max(v, minimum)``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns

Array = npt.NDArray[Any]


def spikes_of(network: ns.Network, x: Array, backend: str) -> dict[str, Array]:
    """What every layer sends, ``[T, B, N]``."""
    recording = ns.run(network, ns.Events.from_dense(x), backend, ns.Record.everything(network), threads=1)
    return {name: spikes.dense() for name, spikes in recording.spikes.items()}


# --- Xylo ---

XYLO_STEPS, XYLO_SAMPLES = 40, 3


def kept(x: Array, shift: int) -> Array:
    """What is left of an integer that loses its 2^shift-th part, toward zero."""
    return np.fix(x * (4096 - (4096 >> shift)) / 4096).astype(np.int64)


def xylo_layer(arriving: Array, recurrent: Array, current: int, membrane: int, bias: Array, threshold: Array) -> Array:
    """Spikes ``[T, B, N]`` of a layer from the weighted input of each step."""
    steps, samples, size = arriving.shape
    i, v = np.zeros((samples, size), np.int64), np.zeros((samples, size), np.int64)
    sent, out = np.zeros((samples, size), np.int64), np.zeros(arriving.shape, np.int64)
    for t in range(steps):
        i = kept(i, current) + 64 * (arriving[t] + sent @ recurrent.T)
        v = kept(v, membrane) + i + 64 * bias
        sent = np.zeros_like(v)
        for _ in range(31):
            fires = v >= 64 * threshold
            v = v - 64 * threshold * fires
            sent = sent + fires
        out[t] = sent
    return out


def test_a_xylo_like_network_equals_its_loop(backend: str) -> None:
    rng = np.random.default_rng(5)
    sizes = [16, 63, 40, 8]
    weights = [rng.integers(-128, 128, (b, a)) // 2 for a, b in pairwise(sizes)]
    recurrent = rng.integers(-20, 12, (63, 63))
    decays = [(2, 4), (3, 5), (1, 6)]
    biases = [rng.integers(-5, 30, size) for size in sizes[1:]]
    thresholds = [rng.integers(60, 200, 63), rng.integers(900, 2000, 40), rng.integers(500, 900, 8)]
    x = rng.integers(0, 16, (XYLO_STEPS, XYLO_SAMPLES, 16)) * (rng.random((XYLO_STEPS, XYLO_SAMPLES, 16)) < 0.3)

    expected, layer = [], x
    for k in range(3):
        own = recurrent if k == 0 else np.zeros((sizes[k + 1], sizes[k + 1]), np.int64)
        layer = xylo_layer(layer @ weights[k].T, own, *decays[k], biases[k], thresholds[k])
        expected.append(layer)
    assert max(layer.max() for layer in expected) >= 18
    assert all(0.02 < (layer > 0).mean() < 0.98 for layer in expected)

    names = ["in", "hidden1", "hidden2", "out"]
    populations = [ns.Population("in", (16,), magnitude=15)]
    projections = []
    for k in range(3):
        current, membrane = (4096 >> shift for shift in decays[k])
        neuron = ns.FixedLIF(
            membrane_decay=membrane, current_decay=current, threshold=thresholds[k], bias_mantissa=biases[k],
            fires="at", max_spikes=31,
        )  # fmt: skip
        populations.append(ns.Population(names[k + 1], (sizes[k + 1],), neuron))
        projections.append(ns.Projection(names[k], names[k + 1], ns.Dense(weights[k])))
    projections.append(ns.Projection("hidden1", "hidden1", ns.Dense(recurrent)))
    network = ns.Network(populations, projections, precision=ns.Precision.nxsdk(), outputs={"out": "count"})
    got = spikes_of(network, x, backend)
    for name, spikes in zip(names[1:], expected, strict=True):
        np.testing.assert_array_equal(got[name], spikes, err_msg=name)


# --- Sinabs ---


def sinabs_layer(arriving: Array, alpha: float, threshold: float, minimum: float) -> Array:
    """Spikes ``[T, B, N]`` of a layer from the weighted input of each step."""
    v, out = np.zeros(arriving.shape[1:]), np.zeros(arriving.shape)
    for t, x in enumerate(arriving):
        v = alpha * v + x
        out[t] = (v > 0) * np.trunc(v / threshold)
        v = v - out[t] * threshold
        v = np.maximum(v, minimum)
    return out


@pytest.mark.parametrize("grid", ["eighths", "reals"])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_a_sinabs_like_network_equals_its_loop(backend: str, alpha: float, grid: str) -> None:
    """Of eighths sums are exact and thresholds are met; of reals the loop adds in another order."""
    rng = np.random.default_rng(7)
    sizes, threshold, minimum = [12, 30, 6], 0.75, -1.0
    weights = [rng.normal(0.1, 0.7, (b, a)) for a, b in pairwise(sizes)]
    if grid == "eighths":
        weights = [np.rint(w * 8) / 8 for w in weights]
    x = (rng.random((60, 2, 12)) < 0.3).astype(np.uint8)
    hidden = sinabs_layer(x @ weights[0].T, alpha, threshold, minimum)
    out = sinabs_layer(hidden @ weights[1].T, alpha, threshold, minimum)
    assert hidden.max() > 3
    assert out.max() > 9

    neuron = ns.LIF(alpha, threshold, fires="at", lower_bound=minimum, max_spikes=100)
    network = ns.Network(
        (ns.Population("in", (12,)), ns.Population("hidden", (30,), neuron), ns.Population("out", (6,), neuron)),
        (ns.Projection("in", "hidden", ns.Dense(weights[0])), ns.Projection("hidden", "out", ns.Dense(weights[1]))),
    )
    got = spikes_of(network, x, backend)
    np.testing.assert_array_equal(got["hidden"], hidden)
    np.testing.assert_array_equal(got["out"], out)
    if grid == "eighths" and alpha == 1.0:  # all of it is whole numbers of a unit
        quantised, _ = ns.quantise(network, ns.Precision.lava())
        np.testing.assert_array_equal(spikes_of(quantised, x, backend)["out"], out)


# --- ties ---


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("max_spikes", [1, 4])
def test_a_network_of_eighths_keeps_its_spikes_when_quantised(backend: str, reset: str, max_spikes: int) -> None:
    """Weights that integers represent exactly: every membrane, and every tie with the threshold, is the same."""
    rng = np.random.default_rng(0)
    x = (rng.random((200, 1, 32)) < 0.2).astype(np.uint8)
    weight = rng.integers(-4, 5, (64, 32)) / 8

    def network(fires: str) -> ns.Network:
        neuron = ns.LIF(1.0, 1.0, reset, fires=fires, max_spikes=max_spikes)
        return ns.Network(
            (ns.Population("in", (32,)), ns.Population("out", (64,), neuron)),
            (ns.Projection("in", "out", ns.Dense(weight)),),
        )

    at = spikes_of(network("at"), x, backend)["out"]
    quantised, _ = ns.quantise(network("at"), ns.Precision.lava())
    np.testing.assert_array_equal(spikes_of(quantised, x, backend)["out"], at)
    above = spikes_of(network("above"), x, backend)["out"]
    assert (above != at).sum() > 100  # so many ties decide
    quantised, _ = ns.quantise(network("above"), ns.Precision.lava())
    np.testing.assert_array_equal(spikes_of(quantised, x, backend)["out"], above)
