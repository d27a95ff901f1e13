"""What objects show in a prompt, in a notebook and as pictures: short, escaped, and right."""

from __future__ import annotations

import html.parser
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.report.notebook import html_of


def network(name: str = "conv1") -> ns.Network:
    weight = np.random.default_rng(0).integers(-20, 60, (4, 1, 3, 3)).astype(np.int8)
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population(name, (4, 4, 4), ns.FixedLIF(membrane_decay=410, threshold=100)),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", name, ns.Conv2d(weight), exponent=1),
            ns.Projection(name, "out", ns.Dense(np.ones((3, 64), np.int8))),
        ],
    ).with_sam()


@pytest.fixture(scope="module")
def recording() -> ns.Recording:
    events = ns.Events.from_dense((np.random.default_rng(1).random((9, 2, 1, 6, 6)) < 0.4).astype(np.uint8))
    return ns.run(network(), events, record=ns.Record.everything(network()), keep_state=True)


def test_a_network_in_a_few_lines() -> None:
    assert repr(network()).splitlines() == [
        "Network: fixed point (lava, 8 bits); 67 neurons, 228 weights; answers out",
        "  Population('in', (1, 6, 6))",
        "  Population('conv1', (4, 4, 4), FixedLIF(membrane_decay=410, threshold=100, reset_amount_64ths=6400))",
        "  Population('out', (3,), FixedReadout())",
        "  in->conv1: Conv2d(weight=4x1x3x3 int8 -20..57), exponent 1",
        "  conv1->out: Dense(weight=3x64 int8 1)",
    ]


def test_a_deep_network_leaves_its_middle_out() -> None:
    one, lif = ns.Dense(np.ones((1, 1), np.int8)), ns.FixedLIF(membrane_decay=0, threshold=1)
    names = ["in", *(f"p{i}" for i in range(99))]
    populations = [ns.Population(name, (1,), lif if i else None) for i, name in enumerate(names)]
    projections = [ns.Projection(p, q, one) for p, q in pairwise(names)]
    lines = repr(ns.Network(populations, projections)).splitlines()
    assert len(lines) == 26
    assert "... 175 more ..." in lines[13]


def test_a_recording_in_a_few_lines(recording: ns.Recording) -> None:
    lines = repr(recording).splitlines()
    assert lines[0].startswith("Recording by event: 9 steps, 2 samples, ")
    spikes = recording.spikes["conv1"].count()
    assert lines[3].startswith(f"  conv1: {spikes} spikes ({spikes / (9 * 2 * 64):.2%}), sam 9x2x4x4 int32 0..")
    assert len(lines) == 6
    assert max(map(len, lines)) < 120
    assert repr(recording.spikes["conv1"]) == (
        f"Spikes: {spikes} spikes ({spikes / (9 * 2 * 64):.2%}), of (4, 4, 4) in 9 steps and 2 samples"
    )
    assert len(repr(recording.state).splitlines()) == 3


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (ns.Events.from_dense(np.eye(3).reshape(3, 1, 3)), "Events: 3 spikes of (3,), 3 steps, 1 samples, 33.33%"),
        (ns.Events.from_dense(np.full((1, 1, 2), 7)), "Events: 2 values int32 7 of (2,), 1 steps, 1 samples, 100.00%"),
        (ns.Events.from_dense(np.zeros((1, 0, 2))), "Events: 0 spikes of (2,), 1 steps, 0 samples, 0.00%"),
    ],
)
def test_events_in_a_line(events: ns.Events, text: str) -> None:
    assert repr(events).startswith(text)
    assert "<svg" in events._repr_html_()


class Tags(html.parser.HTMLParser):
    """Whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("br",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_notebook_shows_tables_curves_and_maps(recording: ns.Recording) -> None:
    for value in (network(), recording):
        tags = Tags()
        tags.feed(html_of(value))
        assert tags.open == []
    text = html_of(recording)
    assert text.count("<polyline") == 2
    assert text.count("<rect") > 10
    assert "script" not in html_of(network())


def test_a_notebook_runs_no_code_of_a_file() -> None:
    """Names of back ends and answers come from files."""
    hostile = ns.Recording("<script>alert(1)</script>", steps=1, samples=1, output=np.zeros((1, 2)))
    assert "<script" not in html_of(hostile)
    assert "&lt;script" in html_of(hostile)


def test_an_empty_recording_shows_itself() -> None:
    empty = ns.Recording("event", steps=1, samples=0, output=np.zeros((0, 2)))
    assert "0 samples" in repr(empty)
    assert html_of(empty)


def test_pictures_of_a_part_of_a_run_count_its_own_steps(recording: ns.Recording) -> None:
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    part = replace(recording, first_step=100)
    try:
        axes = part.plot.membrane("conv1", 0)
        assert axes.lines[0].get_xdata()[0] == 100
        raster = part.plot.raster("conv1")
        assert raster.xaxis.get_major_formatter()(3, None) == "103"
    finally:
        pyplot.close("all")


def test_pictures_are_axes(recording: ns.Recording) -> None:
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot
    from matplotlib.axes import Axes

    plot = recording.plot
    try:
        drawn = [plot.raster("conv1", 1), plot.spikes_per_step(), plot.sam("conv1"), plot.sam("conv1", 1, step=3)]
        assert all(isinstance(axes, Axes) for axes in drawn)
        axes = plot.membrane("conv1", (2, 1, 3), 1, network=network())
        assert np.array_equal(axes.lines[0].get_ydata(), recording.membrane["conv1"][:, 1, 2, 1, 3])
        assert axes.lines[1].get_ydata()[0] == 100 * 64, "the threshold, in the unit of the membrane"
        fired = int(recording.spikes["conv1"].dense()[:, 1, 2, 1, 3].sum())
        assert axes.get_title() == f"conv1, neuron (2, 1, 3), sample 1: {fired} spike{'s' * (fired != 1)}"
        assert plot.membrane("conv1", 2 * 16 + 7, 1, ax=axes) is axes
    finally:
        pyplot.close("all")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.raster("out"), r"spikes of 'out': was not recorded \(recorded: conv1\)"),
        (lambda p: p.raster("conv1", 2), "sample: got 2; allowed is 0..1"),
        (lambda p: p.membrane("conv1", 64), "neuron: got 64; allowed is 0..63"),
        (lambda p: p.membrane("conv1", (0, 4, 0)), r"neuron: got \(0, 4, 0\); 'conv1' has shape \(4, 4, 4\)"),
        (lambda p: p.sam("conv1", step=9), "step: got 9; allowed is 0..8"),
    ],
)
def test_what_cannot_be_drawn_is_said(recording: ns.Recording, call: Any, message: str) -> None:
    pytest.importorskip("matplotlib").use("agg")
    with pytest.raises(ns.ArgumentError, match=message):
        call(recording.plot)
