"""Bits and signs of weights: which mantissas and exponents a network may have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ArgumentError, NetworkError


@pytest.mark.parametrize(
    ("bits", "sign", "low", "high", "exponents"),
    [
        (2, "mixed", -2, 1, (-8, 7)),
        (8, "mixed", -128, 127, (-8, 7)),
        (9, "mixed", -256, 255, (-7, 6)),
        (2, "excitatory", 0, 3, (-8, 7)),
        (7, "excitatory", 0, 127, (-8, 7)),
        (8, "excitatory", 0, 255, (-7, 6)),
        (7, "inhibitory", -127, 0, (-8, 7)),
        (8, "inhibitory", -255, 0, (-7, 6)),
    ],
)
@pytest.mark.parametrize("preset", [ns.Precision.lava, ns.Precision.nxsdk])
def test_ranges_of_weights(preset: Any, bits: int, sign: str, low: int, high: int, exponents: tuple[int, int]) -> None:
    """A network takes the whole range at each end of the exponents, and nothing of another sign or of more bits."""
    precision = preset(bits, sign)
    assert (precision.weight_low, precision.weight_high, precision.exponent_range()) == (low, high, exponents)

    def network(*weights: int, exponent: int = 0) -> ns.Network:
        return ns.Network(
            [ns.Population("in", (len(weights),)), ns.Population("out", (1,), ns.FixedReadout())],
            [ns.Projection("in", "out", ns.Dense(np.array([weights])), exponent=exponent)],
            precision=precision,
        )

    for exponent in exponents:
        whole = network(low, high, exponent=exponent)
        scale = sum(p.synapse.weight.astype(float) * 2.0**p.exponent for p in whole.projections)
        np.testing.assert_array_equal(scale, [[low * 2.0**exponent, high * 2.0**exponent]])
    if sign != "mixed":
        with pytest.raises(NetworkError, match=rf"projection in->out: weight: got .*; allowed is {low}\.\.{high}"):
            network(low, high, 1 if sign == "inhibitory" else -1)
    if bits < 8:
        with pytest.raises(NetworkError, match=rf"allowed is {low}\.\.{high}"):
            network(high + 1, low - 1, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 10}, r"weight_bits: got 10; allowed is 2\.\.9"),
        ({"weight_bits": 1}, r"weight_bits: got 1; allowed is 2\.\.9"),
        ({"weight_bits": 9, "sign": "excitatory"}, r"weight_bits: got 9; allowed is 2\.\.8"),
        ({"sign": "positive"}, "sign: got 'positive'; allowed is 'mixed' or 'excitatory' or 'inhibitory'"),
    ],
)
def test_formats_that_do_not_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ns.Precision(**options)
