"""Weights for Lava's synapses: the same sums after Lava's clipping, truncation and shifts, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.arithmetic import shift_by
from neurosam.errors import BackendError
from neurosam_hw.lava.neurons import lif_arguments
from neurosam_hw.lava.weights import as_matrix, conv_fits, signed
from support.networks import random_case


def lava_keeps(weight: Any, mode: str) -> Any:
    """The effect of lava-nc's clip_weights and truncate_weights at 8 bits (lava/utils/weightutils.py), restated."""
    if mode == "MIXED":
        return np.clip(weight, -256, 255) // 2 * 2
    return np.clip(weight, 0, 255) if mode == "EXCITATORY" else np.clip(weight, -255, 0)


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_sums_survive_lava(exponent: int) -> None:
    rng = np.random.default_rng(exponent + 8)
    ranges = ((-128, 128), (0, 128), (-128, 1), (-128, 0), (0, 1), (-64, 64))
    for low, high in ranges:
        for step in (1, 2):
            weight = rng.integers(low, high, (6, 9)).astype(np.int8) // step * step
            value = rng.integers(-20, 21, 9)
            mantissas = signed("w", weight, exponent, 128 * 9 * 20)
            total = lava_keeps(mantissas.weight, mantissas.mode) @ value
            expected = shift_by(weight.astype(np.int64) @ value, exponent)
            np.testing.assert_array_equal(shift_by(total, mantissas.exponent), expected)


def test_sums_that_would_overflow_when_doubled_are_refused() -> None:
    odd = np.array([[3, -1]], dtype=np.int8)
    signed("projection a->b", odd, 0, 2**30 - 1)
    with pytest.raises(BackendError, match=r"projection a->b: can add up to 1073741824 .* odd weights of both signs"):
        signed("projection a->b", odd, 0, 2**30)
    signed("projection a->b", 2 * odd, 0, 2**31 - 1)
    signed("projection a->b", np.abs(odd), 0, 2**31 - 1)


def test_a_convolution_as_a_matrix_is_the_same_convolution() -> None:
    seen = 0
    for seed in range(40):
        network, events = random_case(np.random.default_rng(seed), "chain")
        first = network.projections[0]
        if not isinstance(first.synapse, ns.Conv2d):
            continue
        matrix = as_matrix(first.synapse, network.input.shape)
        target = network[first.target]
        pair = (network.input, target)
        conv = ns.Network(pair, (first,), precision=network.precision)
        sparse = ns.Network(
            pair, (ns.Projection(first.source, first.target, matrix, first.delay, exponent=first.exponent),),
            precision=network.precision,
        )  # fmt: skip
        record = ns.Record(membrane=(target.name,))
        a, b = ns.run(conv, events, record=record), ns.run(sparse, events, record=record)
        np.testing.assert_array_equal(a.membrane[target.name], b.membrane[target.name])
        seen += 1
    assert seen > 10


def test_convolutions_that_lavas_conv_would_compute_wrongly_are_not_given_to_it() -> None:
    conv = ns.Conv2d(np.ones((2, 1, 3, 3), dtype=np.int8))
    assert conv_fits(conv, 0, 2**23 - 1, fixed=True)
    assert not conv_fits(conv, 1, 100, fixed=True)  # Lava ignores the exponent
    assert not conv_fits(conv, 0, 2**23, fixed=True)  # and wraps at 24 bits
    wide = ns.Conv2d(np.ones((2, 1, 3, 3), dtype=np.int8), dilation=128)
    assert not conv_fits(wide, 0, 9, fixed=True)  # and holds geometry in int8


@pytest.mark.parametrize("precision", [ns.Precision.lava(), ns.Precision.nxsdk(), ns.Precision("third", 8, 1, 1)])
def test_decay_offsets_of_every_precision_are_absorbed(precision: ns.Precision) -> None:
    low, high = precision.current_decay_range()
    for current in (low, 0, 17, high):
        for membrane in (precision.membrane_decay_range()[0], 5, precision.membrane_decay_range()[1]):
            neuron = ns.FixedLIF(membrane_decay=membrane, current_decay=current, threshold=9)
            arguments = lif_arguments(neuron, precision)
            assert 4096 - arguments["du"] - 1 == 4096 - current - precision.current_decay_offset
            assert 4096 - arguments["dv"] == 4096 - membrane - precision.membrane_decay_offset
