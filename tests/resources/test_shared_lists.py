"""Shared kernels and population axons on Loihi 1, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.mapping.piece import Box
from neurosam_hw.resources import Use, use
from support.toy_chip import toy_chip

LOIHI: dict[str, Any] = {
    "numbers.weight_bits": (1, 2, 3, 4, 5, 6, 8),
    "limits.synapse_word": 64,
    "limits.synapse_row_header": 10,
    "limits.synapses_per_row": 64,
    "limits.synapse_index_bits": (0, 6, 7, 8, 9, 10, 11, 12),
    "limits.shared_base_max": 255,
    "limits.shared_base_step_16": 4,
    "limits.population_axon_slots_32": 2,
    "limits.population_axon_bits_16": 10,
    "limits.population_atom_bits_16": 5,
    "limits.population_atom_bits_max_16": 9,
    "noc.shared_weights": True,
    "noc.population_axons": True,
}
NEURON = ns.FixedLIF(membrane_decay=410, threshold=64)


def one_layer(source: tuple[int, int, int], synapse: ns.Conv2d, boxes: list[Box], **options: Any) -> list[Use]:
    """A convolution in these boxes, each on a core of its own; the source on the core behind them."""
    pool = options.get("pool")
    shape = synapse.output_shape(pool.output_shape(source) if pool else source)
    net = ns.Network(
        [ns.Population("in", source), ns.Population("conv", shape, NEURON)],
        [ns.Projection("in", "conv", synapse, **options)],
    )
    pieces = [Piece("conv", core, box) for core, box in enumerate(boxes)]
    pieces.append(Piece("in", len(boxes), ((0, source[0]), (0, source[1]), (0, source[2]))))
    return use(CoreMapping(net, toy_chip(LOIHI), tuple(pieces)))


def ones(*shape: int) -> Any:
    return np.full(shape, 101, dtype=np.int8)


def test_a_map_of_one_core() -> None:
    """4 x 4, padded: rows reach 2, 3, 3 and 2 of their neighbours, in three patterns, and so do columns."""
    found, source = one_layer((2, 4, 4), ns.Conv2d(ones(3, 2, 3, 3), padding=1), [((0, 3), (0, 4), (0, 4))])
    taps = [2 * 2, 2 * 3, 2 * 2, 3 * 2, 3 * 3, 3 * 2, 2 * 2, 2 * 3, 2 * 2]
    assert found.synapses == 2 * 3 * sum(taps) == 6 * 7 * 7
    words = [-(-(6 * n * (8 + 6) + 10) // 64) for n in taps]  # lists of at most 54 synapses, index of 6 bits
    assert found.synapse_bits == 64 * sum(words)
    assert found.axons_in == 16, "one for a pixel, whatever its channels"
    assert source.axons_out == 2 * 16, "of 32 bits: bases are not multiples of 4"
    assert source.destinations == 1


def test_the_rest_of_a_base_is_in_the_list() -> None:
    """Rows of 32 pixels: those of the ninth begin at neuron 256 or beyond, and need a list of their own."""
    narrow, wide = (
        one_layer((1, rows, 32), ns.Conv2d(ones(1, 1, 1, 1)), [((0, 1), (0, rows), (0, 32))])[0] for rows in (8, 9)
    )
    assert (narrow.synapses, wide.synapses) == (1, 2)


def test_16_bits_are_enough_where_bases_are_multiples_of_4() -> None:
    """As for tiles of one pixel, whose lists all begin at neuron 0."""
    conv = ns.Conv2d(ones(4, 32, 1, 1))
    boxes: list[Box] = [((0, 4), (0, 1), (x, x + 1)) for x in range(3)]
    *cores, source = one_layer((32, 1, 3), conv, boxes)
    assert [core.axons_in for core in cores] == [1, 1, 1]
    assert source.axons_out == 3


@pytest.mark.parametrize(("channels", "pixels", "slots"), [(32, 1024, 1), (33, 1024, 2), (33, 512, 1), (513, 1, 2)])
def test_atoms_take_bits_from_axons(channels: int, pixels: int, slots: int) -> None:
    """10 bits for 32 channels, one less for each bit of theirs more, and at most 9 bits of them."""
    conv = ns.Conv2d(ones(4, channels, 1, pixels))
    *_, source = one_layer((channels, 1, pixels), conv, [((0, 4), (0, 1), (0, 1))])
    assert source.axons_out == slots * pixels


def test_depthwise() -> None:
    """Each channel has its own kernel; an axon serves the channels of the tile, from the first to the last."""
    conv = ns.Conv2d(ones(6, 1, 3, 3), padding=1, groups=6)
    channels = ((1, 4), (0, 1), (4, 6))
    found, *_, source = one_layer((6, 4, 4), conv, [(some, (0, 4), (0, 4)) for some in channels])
    assert found.synapses == 3 * 49
    assert found.fan_in == 9
    assert source.axons_out == 3 * 2 * 16


def test_neurons_of_a_pooling_window_are_one_address() -> None:
    found, source = one_layer((2, 8, 8), ns.Conv2d(ones(1, 2, 1, 1)), [((0, 1), (0, 4), (0, 4))], pool=ns.SumPool2d(2))
    assert (found.axons_in, found.synapses) == (16, 2)
    assert found.fan_in == 8  # each neuron of the window on its own
    assert source.axons_out == 2 * 64, "each sends by itself"


def test_lists_of_neurons_share_nothing() -> None:
    net = ns.Network(
        [ns.Population("in", (2, 4, 4)), ns.Population("conv", (1, 4, 4), NEURON)],
        [ns.Projection("in", "conv", ns.Conv2d(ones(1, 2, 3, 3), padding=1))],
    )
    whole = use(CoreMapping(net, toy_chip(LOIHI), (Piece("conv", 0, neurons=np.arange(16)),)))[0]
    assert (whole.synapses, whole.axons_in) == (2 * 10 * 10, 32)
