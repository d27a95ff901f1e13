"""Metrics against hand-made cases, brute force over every connection, and the oracle's runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam.explain.localisation import (
    area_share,
    baselines,
    centre_prior,
    intensity,
    localisation,
    mass_inside,
    pointing_game,
    spike_count,
    uniform,
)
from neurosam.metrics.connections import connections, deliveries, fan_out
from neurosam.metrics.measures import (
    accuracy,
    activation_sparsity,
    activation_sparsity_by_layer,
    membrane_updates,
    neurobench,
    neuron_operations,
    spikes_per_step,
)
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.metrics.static import connection_sparsity, footprint_bytes, parameter_count, state_bytes
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, SumPool2d, Synapse, neurons
from neurosam.signals.recording import Recording, Spikes
from support.networks import KINDS, random_case
from support.oracle import simulate

Array = npt.NDArray[Any]


def links(projection: ns.Projection, shape: Shape) -> list[tuple[int, float]]:
    """Every (source neuron, weight) pair of a projection, one for each target reached: loops over all of them."""
    pool, synapse = projection.pool, projection.synapse
    addresses: list[tuple[int, int]] = []  # (source neuron, address behind the pool)
    if pool is None:
        addresses = [(n, n) for n in range(neurons(shape))]
        inner = shape
    else:
        inner = pool.output_shape(shape)
        (kh, kw), (sh, sw), (ph, pw) = pool.geometry
        for c, yo, xo in np.ndindex(*inner):
            for ky, kx in np.ndindex(kh, kw):
                y, x = yo * sh + ky - ph, xo * sw + kx - pw
                if 0 <= y < shape[1] and 0 <= x < shape[2]:
                    source = np.ravel_multi_index((c, y, x), shape)
                    addresses.append((int(source), int(np.ravel_multi_index((c, yo, xo), inner))))
    fan: dict[int, list[float]] = {n: [] for n in range(neurons(inner))}
    if isinstance(synapse, Dense):
        for source in fan:
            fan[source] = synapse.weight[:, source].tolist()
    elif isinstance(synapse, Sparse):
        for source, weight in zip(synapse.indices.tolist(), synapse.weight.tolist(), strict=True):
            fan[source].append(weight)
    else:
        (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
        out, per_group, kh, kw = synapse.weight.shape
        target = synapse.output_shape(inner)
        for o, yo, xo in np.ndindex(*target):
            group = o // (out // synapse.groups)
            for i, ky, kx in np.ndindex(per_group, kh, kw):
                y, x = yo * sh + ky * dh - ph, xo * sw + kx * dw - pw
                if 0 <= y < inner[1] and 0 <= x < inner[2]:
                    source = int(np.ravel_multi_index((group * per_group + i, y, x), inner))
                    fan[source].append(synapse.weight[o, i, ky, kx].item())
    return [(source, weight) for source, address in addresses for weight in fan[address]]


def weight(*shape: int, seed: int = 0) -> Array:
    """Weights of which a third are zero."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.int8)


PROJECTIONS: list[tuple[Synapse, SumPool2d | None, Shape]] = [
    (Conv2d(weight(4, 2, 3, 3)), None, (2, 6, 5)),
    (Conv2d(weight(3, 2, 3, 2), stride=(2, 3), padding=(1, 0)), None, (2, 7, 8)),
    (Conv2d(weight(3, 1, 3, 3), padding=2), None, (1, 4, 5)),
    (Conv2d(weight(2, 1, 2, 3), dilation=(3, 2), padding=(2, 1)), None, (1, 7, 6)),
    (Conv2d(weight(6, 2, 3, 3), groups=3, padding=1), None, (6, 4, 4)),
    (Conv2d(weight(4, 1, 2, 2), groups=4, stride=2), None, (4, 5, 5)),
    (Conv2d(weight(2, 3, 1, 1), stride=3), None, (3, 5, 4)),
    (Conv2d(weight(3, 2, 2, 2)), SumPool2d(2), (2, 7, 6)),
    (Conv2d(weight(3, 2, 2, 2)), SumPool2d((3, 2), stride=(2, 1), padding=(1, 0)), (2, 6, 5)),
    (Dense(weight(5, 12)), SumPool2d((2, 3), stride=(3, 3)), (2, 8, 6)),
    (Dense(weight(5, 12)), None, (3, 2, 2)),
    (Dense(weight(5, 7)), None, (7,)),
    (Sparse.from_dense(weight(5, 12)), None, (3, 2, 2)),
    (Sparse.one_to_one((2, 3, 3), 2), None, (2, 3, 3)),
]


@pytest.mark.parametrize(("synapse", "pool", "shape"), PROJECTIONS)
def test_fan_out_is_the_number_of_connections(synapse: Synapse, pool: SumPool2d | None, shape: Shape) -> None:
    projection = ns.Projection("a", "b", synapse, pool=pool)
    found = links(projection, shape)
    for nonzero in (False, True):
        sources = [source for source, w in found if w or not nonzero]
        expected = np.bincount(np.array(sources, dtype=np.int64), minlength=neurons(shape)).reshape(shape)
        fan = fan_out(projection, shape, nonzero)
        assert fan.dtype == np.int64
        assert np.array_equal(fan, expected)
    if pool is None and not isinstance(synapse, Sparse):
        assert fan_out(projection, shape).sum() == connections(synapse, shape) == synapse.synapses(shape)


def test_a_pixel_that_no_window_covers_reaches_nothing() -> None:
    projection = ns.Projection("a", "b", Dense(weight(3, 4) | 1), pool=SumPool2d(2, stride=3))
    fan = fan_out(projection, (1, 5, 5))
    assert fan[0, 2].tolist() == [0, 0, 0, 0, 0]
    assert fan[0, 0].tolist() == [3, 3, 0, 3, 3]


# --- a network small enough to count by hand --------------------------------------------------------------------------


def by_hand() -> tuple[ns.Network, Recording, ns.Events]:
    """In (3) -> a (2) -> out (2), and in -> out two steps late; T = 3, B = 2."""
    net = ns.Network(
        (
            ns.Population("in", (3,), magnitude=2),
            ns.Population("a", (2,), ns.FixedLIF(membrane_decay=0, threshold=10)),
            ns.Population("out", (2,), ns.FixedReadout()),
        ),
        (
            ns.Projection("in", "a", Dense(np.array([[1, 0, 2], [0, 0, 3]], dtype=np.int8))),
            ns.Projection("a", "out", Dense(np.array([[1, 1], [0, 5]], dtype=np.int8))),
            ns.Projection("in", "out", Dense(np.array([[1, 1, 0], [0, 0, 0]], dtype=np.int8)), delay=4),
        ),
        check_alignment=False,  # lags are wanted
    )
    assert net.lag(net.projections[2]) == 2
    x = np.zeros((3, 2, 3), dtype=np.uint8)
    x[0, 0, 2] = x[2, 0, 0] = x[0, 1, 1] = 1
    spikes = np.zeros((3, 2, 2), dtype=np.uint8)
    spikes[1, 0, 1] = spikes[2, 1, 0] = spikes[2, 1, 1] = 1
    membrane = np.zeros((3, 2, 2), dtype=np.int32)
    membrane[1, 0, 0] = 5
    still = np.full((3, 2, 2), 7, dtype=np.int32)
    made = Recording(
        "hand", 3, 2, np.array([[1, 4], [3, 3]], dtype=np.int32), {"a": Spikes.from_dense(spikes)},
        membrane={"a": membrane, "out": still}, counts={"a": spikes.sum(axis=2, dtype=np.int64)},
    )  # fmt: skip
    return net, made, ns.Events.from_dense(x)


def test_accuracy() -> None:
    _, made, _ = by_hand()
    assert made.predictions.tolist() == [1, -1]  # the second sample's output prefers no class
    assert accuracy(made, [1, 0]) == accuracy(made, [1, 1]) == 0.5
    assert accuracy(made, [0, 0]) == 0
    with pytest.raises(NeurosamError, match="labels"):
        accuracy(made, [1])


def test_activation_sparsity_and_rates() -> None:
    net, made, _ = by_hand()
    assert activation_sparsity(net, made) == 1 - 3 / 12
    assert {name: rate.tolist() for name, rate in spikes_per_step(net, made).items()} == {"a": [0.0, 0.5, 1.0]}
    assert activation_sparsity(net, replace(made, counts={})) == 1 - 3 / 12
    assert activation_sparsity_by_layer(net, made) == {"a": 1 - 3 / 12}
    with pytest.raises(NeurosamError, match="'a'"):
        activation_sparsity(net, replace(made, counts={}, spikes={}))


def test_connection_sparsity() -> None:
    net, _, _ = by_hand()
    assert connection_sparsity(net) == (3 + 1 + 4) / (6 + 4 + 6)


def test_synaptic_operations_by_hand() -> None:
    net, made, events = by_hand()
    assert synaptic_operations(net, made, events) == {
        "in->a": Operations(effective_acs=1 + 2 + 0, dense=6 * 3 * 2),
        "a->out": Operations(effective_acs=1 + 2 + 2, dense=4 * 3 * 2),
        "in->out": Operations(effective_acs=0 + 1, dense=6 * 3 * 2),  # the event of step 2 arrives too late
    }
    assert deliveries(net, made, events) == {"in->a": 6, "a->out": 6, "in->out": 4}


def test_graded_input_multiplies_and_signed_input_adds() -> None:
    net, made, events = by_hand()
    signed = replace(events, value=np.array([1, -1, 1]))
    assert synaptic_operations(net, made, signed) == synaptic_operations(net, made, events)
    assert deliveries(net, made, signed) == deliveries(net, made, events)
    assert (events.time.tolist(), events.sample.tolist()) == ([0, 0, 2], [0, 1, 0])
    graded = replace(events, value=np.array([1, 2, 1]))  # sample 1 in step 0
    found = synaptic_operations(net, made, graded)
    assert found["in->a"] == Operations(1, 2 + 0, 36)  # step 0 multiplies, in both samples; step 2 adds
    assert found["a->out"].effective_macs == 0
    assert synaptic_operations(net, made, graded, batch_size=1)["in->a"] == Operations(1 + 2, 0, 36)
    with pytest.raises(NeurosamError, match="batch_size: got 0"):
        synaptic_operations(net, made, graded, batch_size=0)


def test_operations_need_the_spikes_and_the_events_of_the_run() -> None:
    net, made, events = by_hand()
    with pytest.raises(NeurosamError, match="requires the spikes of 'a'"):
        synaptic_operations(net, replace(made, spikes={}), events)
    with pytest.raises(NeurosamError, match="deliveries: requires the spikes of 'a'"):
        deliveries(net, replace(made, spikes={}), events)
    for count in (synaptic_operations, deliveries):
        with pytest.raises(NeurosamError, match="3 steps and 1 samples"):
            count(net, made, events.select(0, 1))


def test_membrane_updates() -> None:
    net, made, _ = by_hand()
    assert membrane_updates(net, made) == (4 + 2) + 4  # all of step 0, then up to 5 and back
    with pytest.raises(NeurosamError, match="requires the membrane of 'out'"):
        membrane_updates(net, replace(made, membrane={"a": made.membrane["a"]}))


def test_neuron_operations() -> None:
    """Of population a alone: a readout has no reset. A LIF costs 4 an update, with a current 6 or 8."""
    net, made, _ = by_hand()
    assert neuron_operations(net, made) == {"Effective Neuron Ops": 4 * 6, "Neuron Dense Ops": 4 * 2 * 3 * 2}
    for reset, current, cost in (("zero", None, 4), ("subtract", 5, 6), ("zero", 5, 8)):
        neuron = ns.FixedLIF(membrane_decay=0, threshold=10, current_decay=current, reset=reset)
        other = replace(net, populations=(net["in"], replace(net["a"], neuron=neuron), net["out"]))
        assert neuron_operations(other, made)["Effective Neuron Ops"] == cost * 6
    with pytest.raises(NeurosamError, match="requires the membrane of 'a'"):
        neuron_operations(net, replace(made, membrane={}))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"reset": "none"}, "reset 'none'"),
        ({"refractory": 2}, "refractory"),
        ({"max_spikes": 2}, "max_spikes"),
        ({"lower_bound_64ths": -5}, "lower_bound_64ths"),
        ({"threshold_decay": 5, "threshold_step_64ths": 6}, "threshold_decay"),
    ],
)
def test_no_figure_for_neurons_that_neurobench_does_not_know(options: dict[str, Any], named: str) -> None:
    net, made, events = by_hand()
    neuron = ns.FixedLIF(membrane_decay=0, threshold=10, **options)
    other = replace(net, populations=(net["in"], replace(net["a"], neuron=neuron), net["out"]))
    with pytest.raises(NeurosamError, match=f"no figure for 'a', which has {named}"):
        neuron_operations(other, made)
    found = neurobench(other, made, events)
    assert "MembraneUpdates" in found
    assert "NeuronOperations" not in found


def test_neurobench_names_and_averages() -> None:
    net, made, events = by_hand()
    found = neurobench(net, made, events)
    assert found == {
        "Footprint": footprint_bytes(net),
        "ParameterCount": 6 + 4 + 6,
        "ConnectionSparsity": 0.5,
        "ActivationSparsity": 0.75,
        "ActivationSparsityByLayer": {"a": 0.75},
        "SynapticOperations": {"Effective_MACs": 0.0, "Effective_ACs": 9 / 2, "Dense": 96 / 2},
        "MembraneUpdates": 10 / 2,
        "NeuronOperations": {"Effective Neuron Ops": 24 / 2, "Neuron Dense Ops": 48 / 2},
    }
    for held in ({}, {"a": made.membrane["a"]}):
        assert not {"MembraneUpdates", "NeuronOperations"} & set(neurobench(net, replace(made, membrane=held), events))


def test_footprint_and_state_by_hand() -> None:
    net, _, _ = by_hand()
    lif = 2 + 4 + 4 + 2 + 4 + 4  # decay, threshold, reset amount, bias mantissa, initial membrane and current
    readout = 2 + 4 + 4
    plain = (6 + 4 + 6) + lif + readout
    assert footprint_bytes(net) == plain
    assert state_bytes(net) == 2 * 4 + 2 * 4
    traced = net.with_sam(ns.SamTrace(0.5))
    trace = traced.sam["a"]
    assert isinstance(trace, ns.FixedSamTrace)
    assert footprint_bytes(traced) == plain + 4 * trace.table.size
    assert state_bytes(traced) == state_bytes(net) + 2 * (4 + 4)


def test_float_and_current_and_sparse_footprint() -> None:
    net = ns.Network(
        (ns.Population("in", (3,)), ns.Population("a", (2,), ns.LIF(0.9, 1.0, "zero", current_leak=0.5))),
        (ns.Projection("in", "a", Sparse.from_dense(np.array([[1.0, 0, 0], [0, 2.0, 3.0]]))),),
    )
    lif = 6 * 8  # leak, threshold, bias, leak of the current, initial membrane and current
    assert footprint_bytes(net) == (3 * 8 + 8 * 3 + 4 * 3) + lif
    assert state_bytes(net) == 2 * 2 * 8
    assert parameter_count(net) == 3


def test_footprint_is_what_a_file_holds(tmp_path: Path) -> None:
    """Every dataset of a file of random networks but the metadata; single settings are attributes."""
    for seed, kind in enumerate(KINDS):
        for fixed in (False, True):
            net, _ = random_case(np.random.default_rng(seed), kind, fixed=fixed)
            net.save(tmp_path / "n.h5")
            sizes: list[int] = []
            with h5py.File(tmp_path / "n.h5") as file:
                file.visititems(
                    lambda name, item: sizes.append(item.nbytes)  # noqa: B023
                    if isinstance(item, h5py.Dataset) and name != "metadata" else None
                )  # fmt: skip
            assert footprint_bytes(net) == sum(sizes)


def optional(**options: Any) -> ns.Network:
    """In (3) -> a (2 x 1 x 2), whose neurons have these options."""
    lif = ns.FixedLIF(membrane_decay=0, threshold=10, **options)
    return ns.Network(
        (ns.Population("in", (3,)), ns.Population("a", (2, 1, 2), lif)),
        (ns.Projection("in", "a", Sparse.from_dense(weight(4, 3), (2, 1, 2))),),
    )


@pytest.mark.parametrize(
    ("options", "parameters", "state"),
    [
        ({"refractory": 3}, 0, 4),
        ({"threshold_decay": 5, "threshold_step_64ths": 6}, 2 + 4 - 4, 4),  # and no fixed amount to subtract
        ({"reset": "relative", "relative_decay": 7}, 2 - 4, 4),
        ({"reset": "value", "reset_value_64ths": [1, 2]}, 2 * 4 - 4, 0),
        ({"max_spikes": 18}, 0, 0),
        ({"lower_bound_64ths": np.arange(4).reshape(2, 1, 2) - 9}, 4 * 4, 0),
        ({"initial_membrane_64ths": [5, 6]}, 4, 0),
        ({"reset_timing": "next"}, 0, 0),
        ({"fires": "at"}, 0, 0),
    ],
)
def test_options_take_bytes_where_they_are_used(options: dict[str, Any], parameters: int, state: int) -> None:
    assert footprint_bytes(optional(**options)) - footprint_bytes(optional()) == parameters
    assert state_bytes(optional(**options)) - state_bytes(optional()) == 4 * state


def test_state_of_traces_and_of_leaky_readouts() -> None:
    net = optional()
    official = net.with_sam(ns.SamTrace(0.5, "official"))
    strict = net.with_sam(ns.SamTrace(0.5))
    assert state_bytes(official) - state_bytes(strict) == 4 * 4  # in how many steps a neuron has fired
    plain, leaky = (
        ns.Network((ns.Population("in", (2,)), ns.Population("out", (3,), readout)),
                   (ns.Projection("in", "out", Dense(np.ones((3, 2)))),))
        for readout in (ns.Readout(), ns.Readout(leak=0.5, current_leak=np.array([0.5, 0.25, 0.5])))
    )  # fmt: skip
    assert state_bytes(leaky) - state_bytes(plain) == 3 * 8
    assert footprint_bytes(leaky) - footprint_bytes(plain) == 3 * 8


def test_biases_and_batch_norms_are_parameters() -> None:
    """A bias for each channel, however it is stored; of each neuron where they differ; none where it is 0."""
    stored = int(np.count_nonzero(weight(4, 3)))
    for bias, count in ((0, 0), (3, 2), ([3, 0], 2), (np.arange(4).reshape(2, 1, 2), 4)):
        assert parameter_count(optional(bias_mantissa=bias)) == stored + count
    one, two = np.ones((5, 1), int), np.full((5, 2), 2)
    for gain, offset, count in ((two, two, 10 + 10), (2 * one, one, 10 + 10), (one, two, 10), (two, 0 * one, 10)):
        assert parameter_count(optional(gain=gain, offset_64ths=offset)) == stored + count
    assert parameter_count(optional(gain=two, offset_64ths=two, gain_shift=1)) == stored + 10


def several_spikes() -> tuple[ns.Network, dict[str, ns.Events], Recording]:
    """Two inputs -> a (2), up to 3 spikes per step -> out (1)."""
    net = ns.Network(
        (
            ns.Population("left", (2,)), ns.Population("right", (1,), magnitude=9),
            ns.Population("a", (2,), ns.FixedLIF(membrane_decay=0, threshold=2, max_spikes=3)),
            ns.Population("out", (1,), ns.FixedReadout()),
        ),
        (
            ns.Projection("left", "a", Dense(np.array([[3, 0], [0, 1]], np.int8))),
            ns.Projection("right", "a", Dense(np.array([[1], [0]], np.int8))),
            ns.Projection("a", "out", Dense(np.array([[1, 0]], np.int8))),
        ),
    )  # fmt: skip
    events = {
        "left": ns.Events.from_dense(np.array([[[1, 0]], [[0, 0]], [[1, 1]]])),
        "right": ns.Events.from_dense(np.array([[[7]], [[0]], [[0]]])),
    }
    return net, events, ns.run(net, events, "reference", ns.Record.everything(net))


def test_several_spikes_per_step_are_one_operation_and_one_active_step() -> None:
    """a[0] gets 10, 0 and 3: it fires 3 times, once and twice."""
    net, events, made = several_spikes()
    assert made.spikes["a"].dense()[:, 0].tolist() == [[3, 0], [1, 0], [2, 0]]
    found = synaptic_operations(net, made, events)
    assert found["left->a"] == Operations(effective_acs=3, dense=4 * 3)
    assert found["right->a"] == Operations(effective_macs=1, dense=2 * 3)
    assert found["a->out"] == Operations(effective_acs=1, effective_macs=2, dense=2 * 3)  # one spike in step 1
    assert deliveries(net, made, events) == {"left->a": 6, "right->a": 2, "a->out": 3} == dict(made.operations)
    assert activation_sparsity(net, made) == 1 - 3 / 6
    assert spikes_per_step(net, made)["a"].tolist() == spikes_per_step(net, replace(made, counts={}))["a"].tolist()
    assert spikes_per_step(net, made)["a"].tolist() == [3.0, 1.0, 2.0]
    assert neurobench(net, made, events)["SynapticOperations"]["Effective_MACs"] == 3.0
    with pytest.raises(NeurosamError, match="requires the spikes of 'a', whose neurons fire several times"):
        activation_sparsity(net, replace(made, spikes={}))


def test_twice_per_step_is_several_times() -> None:
    net, made, _ = by_hand()
    twice = ns.FixedLIF(membrane_decay=0, threshold=10, max_spikes=2)
    net = replace(net, populations=(net["in"], replace(net["a"], neuron=twice), net["out"]))
    with pytest.raises(NeurosamError, match="requires the spikes of 'a', whose neurons fire several times"):
        activation_sparsity(net, replace(made, spikes={}))


def test_single_spikes_of_such_neurons_are_accumulates() -> None:
    net, events, _ = several_spikes()
    events["right"] = ns.Events.from_dense(np.zeros((3, 1, 1)))
    made = ns.run(net, events, "reference", ns.Record.everything(net))
    assert made.spikes["a"].dense()[:, 0].tolist() == [[1, 0], [0, 0], [1, 0]]
    assert synaptic_operations(net, made, events)["a->out"] == Operations(effective_acs=2, dense=6)


def test_all_inputs_of_a_run_are_needed() -> None:
    net, events, made = several_spikes()
    with pytest.raises(NeurosamError, match="lack the input 'right'"):
        synaptic_operations(net, made, {"left": events["left"]})


def test_no_number_depends_on_how_a_matrix_is_stored() -> None:
    net, made, events = by_hand()
    sparse = replace(
        net, projections=tuple(replace(p, synapse=Sparse.from_dense(p.synapse.weight)) for p in net.projections)
    )
    assert connection_sparsity(sparse) == connection_sparsity(net)
    assert synaptic_operations(sparse, made, events) == synaptic_operations(net, made, events)
    assert parameter_count(sparse) == 8  # but for what is stored
    assert deliveries(sparse, made, events) == {"in->a": 3, "a->out": 5, "in->out": 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_deliveries_of_random_runs_are_those_of_a_loop_over_events(seed: int, kind: str) -> None:
    net, events = random_case(np.random.default_rng(seed), kind)
    made = simulate(net, events)
    expected: dict[str, int] = {}
    dense_input = events.dense().reshape(events.steps, events.samples, -1)
    for projection in net.projections:
        source = net[projection.source]
        fired = dense_input != 0 if source.neuron is None else made.spikes[source.name].dense() != 0
        fired = fired.reshape(events.steps, events.samples, -1)
        total = expected.setdefault(projection.label, 0)
        found = links(projection, source.shape)
        for t in range(events.steps):
            if t + net.lag(projection) < events.steps:
                times = fired[t].sum(axis=0)
                total += sum(int(times[n]) for n, _ in found)
        expected[projection.label] = total
    assert deliveries(net, made, events) == expected


def test_the_event_back_end_counts_the_same_deliveries() -> None:
    for seed in range(3):
        net, events = random_case(np.random.default_rng(seed), "chain")
        record = ns.Record(spikes=tuple(p.name for p in net.populations if p.neuron is not None and p.fires))
        made = ns.run(net, events, "event", record)
        assert dict(made.operations) == deliveries(net, made, events)


# --- localisation -----------------------------------------------------------------------------------------------------


def mask(size: int = 4) -> Array:
    """The upper left quarter of one picture."""
    out = np.zeros((1, size, size), dtype=bool)
    out[0, : size // 2, : size // 2] = True
    return out


def test_mass_inside() -> None:
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3], maps[0, 2, 2] = 3, 1, -5
    assert mass_inside(maps, mask()).tolist() == [0.75]
    assert mass_inside(maps[None], mask()).shape == (1, 1)
    assert np.isnan(mass_inside(np.zeros((1, 4, 4)), mask())).all()


def test_pointing_game() -> None:
    maps = np.zeros((1, 4, 4))
    maps[0, 1, 1], maps[0, 3, 3] = 2, 1
    assert pointing_game(maps, mask()).tolist() == [1.0]
    assert pointing_game(maps, ~mask()).tolist() == [0.0]
    maps[0, 3, 3] = 2
    assert pointing_game(maps, mask()).tolist() == [0.5]
    assert np.isnan(pointing_game(np.zeros((1, 4, 4)), mask())).all()


def test_small_maps_are_brought_to_the_mask() -> None:
    maps = np.zeros((2, 1, 2, 2))
    maps[:, 0, 0, 0] = 1
    inside = mass_inside(maps, mask(8))
    assert inside.shape == (2, 1)
    profile = np.array([1, 1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0, 0])[1:9]  # bilinear, by hand
    assert inside[0, 0] == pytest.approx((profile[:4].sum() / profile.sum()) ** 2)
    assert pointing_game(maps, mask(8)).tolist() == [[1.0], [1.0]]


def test_a_uniform_map_scores_the_share_of_the_area() -> None:
    masks = np.concatenate([mask(8), ~mask(8)])
    assert area_share(masks).tolist() == [0.25, 0.75]
    for measure in (mass_inside, pointing_game):
        assert measure(uniform(2, (8, 8)), masks).tolist() == [0.25, 0.75]
        np.testing.assert_allclose(measure(uniform(2, (3, 5)) / 3, masks), [0.25, 0.75], rtol=1e-12)


def test_baselines() -> None:
    images = np.zeros((2, 2, 4, 4))
    images[0, 0, 0, 0], images[0, 1, 0, 0], images[1, :, 3, 3] = -3, 1, 1
    spikes = np.zeros((3, 2, 70, 2, 2), dtype=np.uint8)
    spikes[:, 1, ::10, 1, 1] = 1
    spikes[0, 0, 65, 0, 0] = 1
    found = baselines(images, Spikes.from_dense(spikes))
    assert list(found) == ["uniform", "centre", "input", "spikes"]
    assert list(baselines(images)) == ["uniform", "centre", "input"]
    assert intensity(images)[:, 0, 0].tolist() == [2.0, 0.0]
    assert np.array_equal(spike_count(Spikes.from_dense(spikes)), spikes.sum(axis=(0, 2)))
    several = spikes * np.arange(1, 4).reshape(3, 1, 1, 1, 1)
    assert np.array_equal(spike_count(Spikes.from_dense(several, graded=True)), several.sum(axis=(0, 2)))
    centre = centre_prior(1, (5, 5))[0]
    assert centre.argmax() == 2 * 5 + 2
    assert np.array_equal(centre, centre[::-1, ::-1])
    masks = np.concatenate([mask(), mask()])
    table = localisation({**found, "nothing": np.zeros((2, 4, 4))}, masks)
    assert table["uniform"] == {"mass_inside": 0.25, "pointing_game": 0.25, "silent": 0.0}
    assert table["input"] == {"mass_inside": 0.5, "pointing_game": 0.5, "silent": 0.0}
    assert table["nothing"]["silent"] == 1.0
    assert np.isnan(table["nothing"]["mass_inside"])


def test_localisation_refuses() -> None:
    with pytest.raises(NeurosamError, match="mask 0 is empty"):
        mass_inside(np.ones((1, 2, 2)), np.zeros((1, 2, 2)))
    with pytest.raises(NeurosamError, match="for 1 masks"):
        pointing_game(np.ones((2, 4, 4)), mask())
    with pytest.raises(NeurosamError, match=r"\(B, H, W\)"):
        area_share(np.ones((4, 4)))
    with pytest.raises(NeurosamError, match="images"):
        intensity(np.ones((4, 4)))
    with pytest.raises(NeurosamError, match="are 7 x 8, and maps 8 x 8"):
        mass_inside(np.ones((1, 8, 8)), np.ones((1, 7, 8), bool))
