"""Which population is evaluated when, whatever its name and wherever it is written down."""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NetworkError
from support.states import global_onsets

Edge = tuple[str, str, int]


def graph(edges: list[Edge], order: tuple[str, ...], onset: dict[str, int] | None = None) -> ns.Network:
    """Single neurons, listed in `order`, and projections (source, target, delay) among them and from the input."""
    lif, one = ns.FixedLIF(membrane_decay=0, threshold=1), ns.Dense(np.ones((1, 1), np.int8))
    populations = [ns.Population("in", (1,))]
    populations += [ns.Population(name, (1,), lif, onset=(onset or {}).get(name)) for name in order]
    projections = [ns.Projection(source, target, one, delay=delay) for source, target, delay in edges]
    return ns.Network(populations, projections, check_alignment=False)  # lags are wanted


def named(edges: list[Edge], names: tuple[str, ...]) -> list[Edge]:
    """The edges with x, y, z renamed."""
    other = dict(zip("xyz", names, strict=True))
    return [(other.get(source, source), other.get(target, target), delay) for source, target, delay in edges]


LOOP: list[Edge] = [("in", "x", 1), ("x", "y", 0), ("y", "z", 0), ("z", "x", 1)]


@pytest.mark.parametrize("listed", [*itertools.permutations(range(3))])
@pytest.mark.parametrize("names", [*itertools.permutations(("a", "b", "c"))])
def test_members_of_a_group_follow_lag_0_whatever_their_names(names: tuple[str, ...], listed: tuple[int, ...]) -> None:
    network = graph(named(LOOP, names), tuple(names[k] for k in listed))
    assert network.groups == (("in",), names)


@pytest.mark.parametrize("listed", [*itertools.permutations(range(3))])
@pytest.mark.parametrize("names", [*itertools.permutations(("a", "b", "c"))])
def test_groups_of_one_follow_their_projections_whatever_their_names(
    names: tuple[str, ...], listed: tuple[int, ...]
) -> None:
    """With lags, too: y waits for x two steps, and comes after it all the same."""
    edges: list[Edge] = [("in", "x", 0), ("in", "y", 1), ("x", "y", 3), ("y", "z", 1), ("y", "y", 1)]
    network = graph(named(edges, names), tuple(names[k] for k in listed))
    assert network.groups == (("in",), *((name,) for name in names))
    assert [network.lag(p) for p in network.projections] == [0, 0, 2, 0, 1]


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_against_the_definition(seed: int) -> None:
    """A group: populations that reach each other. Sources come before what they feed; at lag 0, inside a group too."""
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.permutation(list("abcdefg"))]
    rank = {name: k for k, name in enumerate(names)}
    pairs = [(str(s), str(t)) for s, t in rng.choice(names, (12, 2))]
    edges = [("in", name, int(rng.integers(0, 3))) for name in names[:2]]
    edges += [(names[k - 1], names[k], int(rng.integers(0, 3))) for k in range(2, 7)]
    edges += [(s, t, int(rng.integers(1 if rank[s] >= rank[t] else 0, 4))) for s, t in pairs]
    network = graph(edges, tuple(str(name) for name in rng.permutation(names)))
    assert network.onsets == global_onsets(network)
    reach = {name: {t for s, t, _ in edges if s == name} for name in ["in", *names]}
    for _ in names:
        reach = {name: out | {u for t in out for u in reach[t]} for name, out in reach.items()}
    place = {name: (g, k) for g, group in enumerate(network.groups) for k, name in enumerate(group)}
    assert sorted(place) == sorted(["in", *names])
    for a, b in itertools.permutations(["in", *names], 2):
        assert (place[a][0] == place[b][0]) == (b in reach[a] and a in reach[b])
        if b in reach[a] and a not in reach[b]:
            assert place[a][0] < place[b][0]
    for projection in network.projections:
        if network.lag(projection) == 0:
            assert place[projection.source] < place[projection.target]


@pytest.mark.parametrize("seed", range(60))
def test_onsets_of_ones_own_among_random_delays(seed: int) -> None:
    """As many as keep their place before anything that can arrive; all others follow by the quickest way."""
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.permutation(list("abcdefghij"))]
    edges = [("in", name, int(rng.integers(0, 30))) for name in names]
    edges += [(str(s), str(t), int(rng.integers(1, 30))) for s, t in rng.choice(names, (20, 2))]
    chosen: dict[str, int] = {}
    for name in names[:6]:
        latest = global_onsets(graph(edges, tuple(names), chosen))[name]
        trial = {**chosen, name: int(rng.integers(0, latest + 1))}
        with suppress(NetworkError):  # an earlier choice would come too late now
            graph(edges, tuple(names), trial)
            chosen = trial
    network = graph(edges, tuple(str(name) for name in rng.permutation(names)), chosen)
    assert len(chosen) > 1
    assert network.onsets == global_onsets(network)


def test_an_onset_of_ones_own_is_kept_and_nothing_may_come_before_it() -> None:
    edges: list[Edge] = [("in", "x", 2), ("x", "y", 2), ("y", "z", 1)]
    assert graph(edges, ("x", "y", "z"), {"y": 4}).onsets == {"in": 0, "x": 2, "y": 4, "z": 5}
    assert graph(edges, ("x", "y", "z"), {"y": 0}).onsets == {"in": 0, "x": 2, "y": 0, "z": 1}
    with pytest.raises(NetworkError, match=r"population 'y': starts at step 5, but x->y can deliver at step 4; lower"):
        graph(edges, ("x", "y", "z"), {"y": 5})


def test_populations_that_no_input_reaches_are_named() -> None:
    """A loop of their own does not make them reachable, nor does leading into what is."""
    with pytest.raises(
        NetworkError,
        match=r"population 'y': cannot be reached from an input, and no bias drives it; remove it, or connect",
    ):
        graph([("in", "x", 1), ("y", "z", 1), ("z", "y", 1), ("y", "x", 1)], ("x", "y", "z"))


def test_a_cycle_without_delay_is_told_along_its_projections() -> None:
    with pytest.raises(NetworkError) as caught:
        graph([("in", "x", 1), ("x", "y", 0), ("y", "z", 0), ("z", "x", 0)], ("x", "y", "z"))
    told = caught.value.problem.removeprefix("the cycle ").partition(" has no delay")[0].split(" -> ")
    assert told[0] == told[-1]
    assert sorted(itertools.pairwise(told)) == [("x", "y"), ("y", "z"), ("z", "x")]
