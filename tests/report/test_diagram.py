"""The picture of a network: every population and projection, once, at a place of its own."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.report.diagram import MOST_BOXES, diagram

SVG = "{http://www.w3.org/2000/svg}"
CHAIN = ns.Network(
    [
        ns.Population("camera", (1, 8, 8)),
        ns.Population("conv1", (4, 6, 6), ns.FixedLIF(membrane_decay=300, threshold=np.array([30, 40, 50, 60]))),
        ns.Population("out", (3,), ns.FixedReadout()),
    ],
    [
        ns.Projection("camera", "conv1", ns.Conv2d(np.full((4, 1, 3, 3), 5, np.int8))),
        ns.Projection("conv1", "out", ns.Dense(np.full((3, 36), 5, np.int8)), delay=2, pool=ns.SumPool2d(2)),
    ],
).with_sam()


def recurrent() -> ns.Network:
    """Two inputs, a loop of one and of two populations, a shortcut, and two outputs."""
    neuron = ns.FixedLIF(membrane_decay=410, threshold=60)
    sizes = {"a": 3, "b": 2, "x": 4, "y": 5, "out": 2}
    edges = [("a", "x"), ("b", "x"), ("x", "x"), ("x", "y"), ("y", "x"), ("x", "out"), ("a", "out")]
    return ns.Network(
        [
            ns.Population(name, (size,), None if name in "ab" else ns.FixedReadout() if name == "out" else neuron)
            for name, size in sizes.items()
        ],
        [
            ns.Projection(a, b, ns.Dense(np.ones((sizes[b], sizes[a]), np.int8)), delay=1 + (a + b == "aout"))
            for a, b in edges
        ],
        outputs={"out": "max", "y": "count"},
    )


def parts(network: ns.Network) -> tuple[list[str], list[tuple[float, float, float, float]], int]:
    """All texts, the rectangles of boxes, and the number of arrows."""
    root = ElementTree.fromstring(diagram(network))
    boxes = [
        (float(r.get("x", 0)), float(r.get("y", 0)), float(r.get("width", 0)), float(r.get("height", 0)))
        for r in root.findall(f"{SVG}rect")[1:]
    ]
    return [t.text or "" for t in root.findall(f"{SVG}text")], boxes, len(root.findall(f"{SVG}path"))


def test_a_chain_says_what_each_part_is() -> None:
    texts, boxes, arrows = parts(CHAIN)
    assert arrows == 2
    assert [x for x in texts if x in ("camera", "conv1", "out")] == ["camera", "conv1", "out"]
    assert "conv 3×3, 36 weights, 8 bits, delay 1" in texts
    assert "sum pool 2×2, dense, 108 weights, 8 bits, delay 2" in texts
    assert "threshold 30 to 60, SAM strict, gamma 0.5, starts at step 1" in texts
    assert "answer: last membrane, starts at step 3" in texts
    assert [y for _, y, _, _ in boxes] == sorted({y for _, y, _, _ in boxes})


def test_boxes_of_loops_branches_and_several_inputs_do_not_overlap_and_are_inside() -> None:
    network = recurrent()
    texts, boxes, arrows = parts(network)
    assert len(boxes) == len(network.populations)
    assert arrows == len(network.projections)
    for i, (x, y, w, h) in enumerate(boxes):
        for a, b, c, d in boxes[:i]:
            assert x >= a + c or a >= x + w or y >= b + d or b >= y + h
    root = ElementTree.fromstring(diagram(network))
    left, top, width, height = map(float, (root.get("viewBox") or "").split())
    for x, y, w, h in boxes:
        assert left <= x <= x + w <= left + width
        assert top <= y <= y + h <= top + height
    for path in root.findall(f"{SVG}path"):
        for x in re.findall(r"[MHC ]?(-?[\d.]+)(?= |$)", (path.get("d") or "").replace("H", " ").split("V")[0]):
            assert left <= float(x) <= left + width
    assert texts.count("8 bits, delay 1") == 2  # the two arrows that lead back
    assert "8 bits, delay 2" in texts


def test_projections_of_wide_weights_are_one_arrow() -> None:
    weight = np.full((2, 3), 301)
    wide = ns.Network(
        [ns.Population("in", (3,)), ns.Population("out", (2,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(weight))],
    )
    texts, _, arrows = parts(wide)
    assert arrows == 1
    assert any(f"in {len(wide.projections)} parts" in text for text in texts)


def test_a_very_large_network_is_cut() -> None:
    count = MOST_BOXES + 7
    names = [f"p{i}" for i in range(count)]
    many = ns.Network(
        [ns.Population(n, (1,), None if i == 0 else ns.LIF(leak=0.5, threshold=1.0)) for i, n in enumerate(names)],
        [ns.Projection(a, b, ns.Dense(np.ones((1, 1)))) for a, b in itertools.pairwise(names)],
    )
    texts, boxes, _ = parts(many)
    assert len(boxes) == MOST_BOXES
    assert "7 more populations are not shown" in texts


def test_info_draws_and_notebooks_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CHAIN.save("net.h5")
    out = CliRunner().invoke(app, ["info", "net.h5", "--diagram", "net.svg"])
    assert (out.exit_code, out.output.strip()) == (0, "wrote net.svg")
    assert Path("net.svg").read_bytes() == diagram(CHAIN)
    again = CliRunner().invoke(app, ["info", "net.h5", "--diagram", "net.svg"])
    assert again.exit_code == 2
    assert "--force" in again.output
    assert "alt='Network from camera through 2 populations to out'" in CHAIN._repr_html_()
