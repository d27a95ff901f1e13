"""Paths of different length that meet: warned about where a network is made, with the delays that align them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.network.alignment import alignment_warning, early_projections

NEURON = ns.LIF(leak=0.5, threshold=0.8)

Edge = tuple[str, str, int]


def network(*edges: Edge, onsets: dict[str, int] | None = None, **options: Any) -> ns.Network:
    """Populations of two neurons in order of appearance, "in..." without neurons; source, target and delay by edge."""
    names = dict.fromkeys(name for source, target, _ in edges for name in (source, target))
    given = onsets or {}
    return ns.Network(
        [ns.Population(n, (2,), None if n.startswith("in") else NEURON, onset=given.get(n)) for n in names],
        [ns.Projection(source, target, ns.Dense(np.eye(2)), delay=delay) for source, target, delay in edges],
        **options,
    )


def aligned_by_the_warning(*edges: Edge, **options: Any) -> ns.Network:
    """The same network with the delays that its warning gives, which must not warn."""
    with pytest.warns(ns.AlignmentWarning) as caught:
        network(*edges, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    text = str(caught[0].message).partition("align all paths: ")[2].partition(". If")[0]
    changed = {}
    for change in text.split(", "):
        label, before, _, after = change.split()
        changed[(*label.split("->"), int(before))] = int(after)
    assert changed.keys() <= set(edges)
    return network(*((source, target, changed.get((source, target, d), d)) for source, target, d in edges), **options)


RESIDUAL = (("in", "a", 1), ("a", "b", 1), ("b", "sum", 1), ("in", "sum", 1), ("sum", "out", 1))


def test_a_residual_network_by_hand() -> None:
    """The shortcut alone starts the sum; with the delay that the warning names, own steps are those of the input."""
    message = (
        r"^in->sum delivers 2 step\(s\) earlier than b->sum, so 'sum' adds up different steps of the input. Delays "
        r"that align all paths: in->sum 1 -> 3. If the difference is meant, give the target an onset, or the network"
    )
    with pytest.warns(ns.AlignmentWarning, match=message):
        wrong = network(*RESIDUAL)
    right = aligned_by_the_warning(*RESIDUAL)
    assert wrong.onsets["sum"] == 1
    assert right.onsets["sum"] == 3
    plain = replace(right, projections=[replace(p, delay=0) for p in right.projections])
    events = ns.Events.from_dense((np.random.default_rng(0).random((40, 3, 2)) < 0.5).astype(np.uint8))
    record = ns.Record(spikes=("sum",))
    spikes = [ns.run(n, events, "reference", record).spikes["sum"].dense() for n in (plain, right, wrong)]
    np.testing.assert_array_equal(spikes[0], spikes[1])
    assert (spikes[0] != spikes[2]).any()


@pytest.mark.parametrize(
    "edges",
    [
        (("in", "a", 1), ("a", "b", 1), ("in", "b", 1)),
        (("in", "a", 1), ("a", "b", 1), ("in", "b", 1), ("b", "c", 1), ("a", "c", 1), ("in", "c", 0)),  # each in turn
        (("in", "a", 3), ("in", "b", 1), ("a", "c", 1), ("b", "c", 1)),
        (("in1", "a", 1), ("in2", "b", 1), ("b", "a", 1), ("a", "out", 2)),  # two streams, of which one is deeper
        (("in", "a", 1), ("a", "b", 1), ("in", "b", 3)),  # a shortcut with too long a delay
        (("in", "a", 1), ("a", "a", 2), ("a", "b", 1), ("in", "b", 1)),  # behind neurons that drive themselves
        (("in", "a", 1), ("a", "b", 1), ("b", "a", 1), ("in", "c", 1), ("b", "c", 1)),  # and behind a cycle
        (("in", "a", 1), ("a", "c", 1), ("a", "c", 4), ("in", "c", 1), ("in", "c", 2)),  # several delays of each source
    ],
)  # fmt: skip
def test_the_delays_that_are_named_align_all_paths(edges: Sequence[Edge]) -> None:
    fixed = aligned_by_the_warning(*edges)
    for target in fixed.populations:
        inside = next(group for group in fixed.groups if target.name in group)
        entering = [p for p in fixed.incoming(target.name) if p.source not in inside]
        shortest = [min(fixed.lag(p) for p in entering if p.source == q) for q in {p.source for p in entering}]
        assert len(set(shortest)) <= 1


@pytest.mark.parametrize(
    ("edges", "options"),
    [
        ((("in", "a", 1), ("a", "b", 1), ("in", "b", 2)), {}),
        ((("in", "a", 0), ("a", "b", 0), ("in", "b", 0)), {}),  # without delays there is nothing to align
        ((("in", "a", 1), ("in", "a", 4)), {}),  # delays of one source are meant
        ((("in", "a", 1), ("a", "a", 3)), {}),
        ((("in", "a", 1), ("a", "b", 1), ("b", "a", 1)), {}),
        ((("in", "a", 1), ("a", "b", 1), ("b", "a", 1), ("in", "b", 1)), {}),  # within a recurrent group
        ((("in", "a", 1), ("a", "b", 1), ("in", "b", 1)), {"onsets": {"b": 0}}),
        ((("in", "a", 1), ("a", "b", 1), ("in", "b", 1)), {"check_alignment": False}),
        ((("in1", "a", 1), ("in2", "a", 1), ("a", "b", 1)), {}),
        ((("in1", "a", 1), ("in2", "a", 3), ("in3", "a", 9), ("a", "b", 1)), {}),  # inputs that are delayed
        ((("in1", "a", 1), ("in2", "b", 3), ("a", "b", 1)), {}),
    ],
)
def test_nothing_to_warn_about(edges: Sequence[Edge], options: dict[str, Any]) -> None:
    network(*edges, **options)  # warnings are errors here


def test_add_and_concatenate_with_right_delays_are_silent() -> None:
    layers = [ns.Population("in", (2,)), ns.Population("a", (2,), NEURON), ns.Population("b", (2,), NEURON)]
    first = ns.Projection("in", "a", ns.Dense(np.eye(2)))
    for made in (ns.add, ns.concatenate):
        synapse = ns.Dense(np.ones((2, 2 if made is ns.add else 4)))
        ns.Network(layers, [first, *made(layers[:2], "b", synapse, delay=[2, 1])])
        with pytest.warns(ns.AlignmentWarning, match=r"paths: in->b 1 -> 2\. If"):
            ns.Network(layers, [first, *made(layers[:2], "b", synapse)])


def test_only_whoever_makes_a_network_is_warned(tmp_path: Path) -> None:
    with pytest.warns(ns.AlignmentWarning):
        made = network(*RESIDUAL)
    silent = [replace(made, metadata={"a": "b"}), made.with_sam(), copy.copy(made), pickle.loads(pickle.dumps(made))]
    made.save(tmp_path / "n.h5")
    silent.append(ns.load_network(tmp_path / "n.h5"))
    silent.append(ns.quantise(made, ns.Precision.lava())[0])
    for other in silent:
        assert alignment_warning(other.populations, other.projections, other.groups)
    assert silent[-2] == made


def test_a_delayed_input_is_no_measure_for_others() -> None:
    with pytest.warns(
        ns.AlignmentWarning, match=r"^in2->b delivers 1 step\(s\) earlier than a->b.*: in2->b 1 -> 2\. If"
    ):
        network(("in1", "a", 1), ("in2", "a", 3), ("a", "b", 1), ("in2", "b", 1))


def test_many_projections_are_counted() -> None:
    edges = [("in", "a0", 1), *((f"a{k}", f"a{k + 1}", 1) for k in range(12))]
    edges += [("in", f"a{k + 1}", 1) for k in range(12)]
    with pytest.warns(ns.AlignmentWarning, match=r"in->a8 1 -> 9 and 4 more\. If"):
        network(*edges)


def test_steps_are_those_of_the_longest_path() -> None:
    """Against longest paths, worked out by recursion, of random layers."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        names = ["in", *(f"n{k}" for k in range(int(rng.integers(2, 7))))]
        edges: list[Edge] = [
            (names[i], names[j], int(rng.integers(0, 4)))
            for j in range(1, len(names))
            for i in range(j)
            if i == j - 1 or rng.random() < 0.4
        ]

        def longest(name: str, edges: list[Edge] = edges) -> int:
            return max((longest(s, edges) + d for s, t, d in edges if t == name), default=0)

        late = {(s, t): longest(t) - longest(s) - d for s, t, d in edges}
        made = network(*edges, check_alignment=False)
        found = early_projections(made.populations, made.projections, made.groups)
        assert {(e.projection.source, e.projection.target): e.steps for e in found} == {
            edge: steps for edge, steps in late.items() if steps
        }
        aligned = network(*((s, t, d + late[s, t]) for s, t, d in edges))
        assert aligned.onsets == {name: longest(name) for name in names}
