"""Loihi's row formula and the widths in it, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.resources.rows import Lists, RowFormula
from support.toy_chip import toy_chip

LOIHI = RowFormula(64, 10, 64, (0, 6, 7, 8, 9, 10, 11, 12), (1, 2, 3, 4, 5, 6, 8), -8, 255, 2)


def lists(weights: list[int], exponent: int = 0, delay: int = 1, formula: RowFormula = LOIHI) -> Lists:
    synapse = ns.Sparse.from_dense(np.array([weights], dtype=np.int8))
    return Lists.of(ns.Projection("in", "out", synapse, exponent=exponent), delay, formula)


@pytest.mark.parametrize(
    ("synapses", "each", "words"),
    [
        (0, 8, 0),
        (1, 8, 1),  # 18 bits
        (6, 9, 1),  # 64 bits
        (7, 9, 2),  # 73
        (64, 8, 9),  # 522
        (64, 18, 19),  # 1162
        (65, 8, 9 + 1),  # a full row, and one of 18 bits
        (200, 8, 3 * 9 + 2),  # three full rows, and one of 8 synapses: 74 bits
    ],
)
def test_rows(synapses: int, each: int, words: int) -> None:
    assert LOIHI.bits(np.array(synapses), each) == 64 * words


def test_a_chip_without_a_formula_stores_the_bits_alone() -> None:
    plain = RowFormula.of(toy_chip({}))
    assert plain.bits(np.array([0, 3, 1000]), 8).tolist() == [0, 24, 8000]
    assert plain.index_bits(1000) == 0


@pytest.mark.parametrize(("last", "bits"), [(0, 0), (1, 6), (63, 6), (64, 7), (1023, 10), (4095, 12), (9999, 12)])
def test_an_index_reaches_the_last_neuron(last: int, bits: int) -> None:
    assert LOIHI.index_bits(last) == bits


@pytest.mark.parametrize(
    ("weights", "exponent", "bits", "signs"),
    [
        ([1, 1], 0, 1, "positive"),
        ([2, 4], 0, 2, "positive"),  # 1 and 2, with an exponent one higher
        ([127, 1], 0, 8, "positive"),  # 7 bits, a width that there is not
        ([-1, -128], 0, 8, "negative"),
        ([-128, 64], 0, 2, "both"),  # -2 and 1
        ([-3, 2], 0, 3, "both"),
        ([-127, 126], 0, 8, "both"),
        ([1, 1], -1, 1, "positive"),  # 128 * 2^-8 at the full width
        ([1, 1], -2, 2, "positive"),  # with one bit it would need the exponent -9
        ([-1, 1], -1, 2, "both"),  # 128 * 2^-8: both signs cost a bit
        ([-1, 1], -2, 3, "both"),  # with two bits it would need the exponent -9
        ([0, 0], 0, 1, "positive"),
    ],
)
def test_weights_have_the_smallest_width_that_holds_them(
    weights: list[int], exponent: int, bits: int, signs: str
) -> None:
    synapse = ns.Dense(np.array([weights], dtype=np.int8))
    found = Lists.of(ns.Projection("in", "out", synapse, exponent=exponent), 1, LOIHI)
    assert (found.weight_bits, found.signs) == (bits, signs)


def test_weights_before_integers_have_the_full_width() -> None:
    synapse = ns.Dense(np.array([[0.5, 0.25]]))
    assert Lists.of(ns.Projection("in", "out", synapse), 1, LOIHI).weight_bits == 8


@pytest.mark.parametrize(("delay", "bits"), [(1, 0), (2, 1), (3, 2), (5, 3), (63, 6)])
def test_a_delay_is_counted_from_the_first_step(delay: int, bits: int) -> None:
    assert lists([5], delay=delay).format(0, 64).delay_bits == bits


def test_dense_lists_need_an_index_where_no_base_reaches() -> None:
    dense = Lists.of(ns.Projection("in", "out", ns.Dense(np.array([[-90, 71]], np.int8))), 1, LOIHI)
    assert [dense.format(offset, 2).index_bits for offset in (0, 255, 256)] == [0, 0, 9]
    assert [lists([-90, 71]).format(offset, 2).index_bits for offset in (0, 255, 256)] == [6, 9, 9]
