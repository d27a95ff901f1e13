"""What the event back end makes of a network before it runs: each choice is exact, and changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.backends import Options, unrolled
from neurosam.backends.event import EventBackend
from neurosam.backends.event_plan import link
from support.agreement import assert_identical
from support.oracle import simulate

Array = npt.NDArray[Any]
PATHS = ("auto", "general", "scatter", "gather", "table")


def execute(
    network: ns.Network, events: ns.Events, path: str = "auto", record: ns.Record | None = None
) -> ns.Recording:
    keep = ns.Record.everything(network) if record is None else record
    return EventBackend(path).run(unrolled(network, events.steps), events, keep, Options(threads=1))


def as_the_oracle(network: ns.Network, events: ns.Events) -> ns.Recording:
    """Every path gives what the oracle does; returns it."""
    expected = simulate(network, events)
    for path in PATHS:
        assert_identical(expected, execute(network, events, path), path)
    return expected


def layer(weight: Array, neuron: Any, shape: tuple[int, ...] = (), exponent: int = 0) -> ns.Network:
    """The input, through a convolution with kernels of one pixel, into one population."""
    source = ns.Population("in", shape or (weight.shape[1], 1, 2))
    synapse = ns.Conv2d(weight.astype(np.int8)[:, :, None, None])
    target = ns.Population("a", synapse.output_shape(source.shape), neuron)
    return ns.Network([source, target], [ns.Projection("in", "a", synapse, exponent=exponent)])


def busy(network: ns.Network, steps: int = 3, share: float = 1.0) -> ns.Events:
    rng = np.random.default_rng(0)
    return ns.Events.from_dense((rng.random((steps, 2, *network.input.shape)) < share).astype(np.uint8))


@pytest.mark.parametrize("channels", [3, 40])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_can_lift_a_small_sum_over_the_wrap(sign: int, channels: int) -> None:
    """100 << 6 times 1563 is between 2^23 and 2^24: the current wraps to the other sign, though no sum is large."""
    tables: dict[str, Any] = {"gain": np.array([[sign * 1563], [1]]), "offset": np.array([[5], [0]])}
    network = layer(np.full((channels, 2), 50), ns.FixedLIF(membrane_decay=0, threshold=131071, **tables))
    expected = as_the_oracle(network, busy(network, 2))
    first = 100 * 64 * 1563 * sign + 5
    assert expected.membrane["a"][0, 0, 0, 0, 0] == first - sign * 2**24


@pytest.mark.parametrize(("inputs", "exponent", "narrow"), [
    (1023, 0, True), (1024, 0, False), (128, 3, False), (127, 3, True), (1024, -1, False), (511, 1, True),
    (512, 1, False),
])  # fmt: skip
def test_currents_that_cannot_wrap_are_known_exactly(inputs: int, exponent: int, narrow: bool) -> None:
    """1024 weights of -128 are -2^17, in membrane units -2^23: the first sum that wraps. A floor is not counted on."""
    network = layer(np.full((33, inputs), -128), ns.FixedLIF(membrane_decay=0, threshold=131071), exponent=exponent)
    conv = link(network, network.projections[0]).conv
    assert conv is not None
    assert conv.narrow is narrow
    events = busy(network, 1)
    expected = ns.run(network, events, "reference", ns.Record.everything(network))
    for path in PATHS:
        assert_identical(expected, execute(network, events, path), path)
    assert (expected.membrane["a"] > 0).all() == (inputs * 128 * 2.0**exponent == 2**17)
