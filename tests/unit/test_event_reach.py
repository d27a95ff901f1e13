"""The tables that say where a spike goes, against pooling and convolution written out; and one signature a kernel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import event_neuron, event_plan, event_synapse
from neurosam.backends.event_reach import Axis, Window, reach

POOLS = [Window(), Window(2, 2), Window(3, 1, 1), Window(3, 2, 2), Window(2, 3)]
CONVS = [Window(), Window(3, 1, 1), Window(3, 2, 1), Window(2, 1, 0, 2), Window(4, 3, 2, 2), Window(5, 1, 2)]


def pairs_by_definition(x: int, pool: Window, pooled: int, conv: Window, target: int) -> list[tuple[int, int]]:
    """(target, place) of every window that holds x and every tap that looks at the window."""
    return [
        (xo, conv.kernel - 1 - tap)
        for xp, xo, tap in itertools.product(range(pooled), range(target), range(conv.kernel))
        if xp * pool.stride - pool.padding <= x < xp * pool.stride - pool.padding + pool.kernel
        and xo * conv.stride + tap * conv.dilation - conv.padding == xp
    ]


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("pool", POOLS)
def test_reach_is_its_definition(pool: Window, conv: Window, runs: bool) -> None:
    size = 11
    pooled = (size + 2 * pool.padding - pool.kernel) // pool.stride + 1
    target = (pooled + 2 * conv.padding - conv.dilation * (conv.kernel - 1) - 1) // conv.stride + 1
    if target < 1:
        pytest.skip("the convolution does not fit behind this pooling")
    start, entries = reach(Axis(size, pooled, target), pool, conv, runs=runs)
    assert start.shape == (size + 1,)
    assert start[-1] == len(entries)
    for x in range(size):
        found = [
            (to + n, place + n) for to, place, count in entries[start[x] : start[x + 1]].tolist() for n in range(count)
        ]
        assert sorted(found) == sorted(pairs_by_definition(x, pool, pooled, conv, target))


def test_runs_are_joined_only_where_neighbours_meet_neighbours() -> None:
    def counts(conv: Window, target: int) -> list[int]:
        return sorted(set(reach(Axis(8, 8, target), Window(), conv, runs=True).entries[:, 2].tolist()))

    assert counts(Window(3, 1, 1), 8) == [2, 3]
    assert counts(Window(3, 2, 1), 4) == [1]
    assert counts(Window(3, 1, 2, 2), 8) == [1]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("graded", [False, True])
def test_compiled_convolution_equals_its_python(graded: bool, groups: int) -> None:
    rng = np.random.default_rng(21)
    synapse = ns.Conv2d(rng.integers(-128, 128, (4, 4 // groups, 3, 2), np.int8), (2, 1), 1, groups=groups)
    pool = ns.SumPool2d(2, 1)
    source = ns.Population("in", (4, 6, 5), magnitude=9)
    target = ns.Population("out", synapse.output_shape(pool.output_shape(source.shape)), ns.FixedReadout())
    network = ns.Network([source, target], [ns.Projection("in", "out", synapse, pool=pool)])
    prepared = event_plan.link(network, network.projections[0])
    events = np.array([0, 2, 2, 7]), rng.integers(0, 120, 7).astype(np.int32), np.arange(-3, 4, dtype=np.int32), graded
    compiled, plain = (np.zeros((3, int(np.prod(target.shape))), np.int32) for _ in range(2))
    operations = event_synapse.deliver_conv(*events, *prepared.arguments, compiled)
    assert event_synapse.deliver_conv.py_func(*events, *prepared.arguments, plain) == operations > 0
    np.testing.assert_array_equal(compiled, plain)
    assert compiled[0].any()
    assert not compiled[1].any()


def test_one_signature_a_kernel_whatever_the_form_of_parameters() -> None:
    """Scalars, values a channel, and read-only tables all reach the kernels as one type."""
    neurons = [
        ns.FixedLIF(membrane_decay=410, threshold=3),
        ns.FixedLIF(membrane_decay=np.array([410, 0]), threshold=3),
        ns.FixedLIF(membrane_decay=410, threshold=np.array([3, 4]), bias_mantissa=np.array([1, 2])),
        ns.FixedLIF(membrane_decay=0, threshold=3, gain=np.ones((4, 2), np.int64), offset=np.zeros((4, 1), np.int64)),
    ]
    events = ns.Events.from_dense(np.ones((4, 1, 1, 3, 3), np.uint8))

    def run(neuron: ns.FixedLIF) -> None:
        network = ns.Network(
            [ns.Population("in", (1, 3, 3)), ns.Population("a", (2, 3, 3), neuron)],
            [ns.Projection("in", "a", ns.Conv2d(np.ones((2, 1, 3, 3), np.int8), padding=1))],
        ).with_sam()
        ns.run(network, events, record=ns.Record.everything(network))

    run(neurons[0])
    before = len(event_neuron.fixed_block.signatures), len(event_synapse.deliver_conv.signatures)
    for neuron in neurons[1:]:
        run(neuron)
    assert (len(event_neuron.fixed_block.signatures), len(event_synapse.deliver_conv.signatures)) == before
