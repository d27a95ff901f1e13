"""A network as a picture: populations are boxes, projections are arrows. Plain SVG, which needs no package.

Input is at the top. A population stands below all that lead to it; those of a loop stand in the order in which they are
evaluated (Network.groups). An arrow to the next row is straight, one that passes a row by runs in a lane at the right,
and one that leads back runs in a lane at the left. Several projections between the same two populations (wide weights,
delays by synapse; network/expand.py) are one arrow.

The picture has its own light background, so that it looks the same on light and dark pages, and every name is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, SumPool2d

__all__ = ["diagram", "diagram_text"]

MOST_BOXES = 150
"""Populations that are drawn; of a larger network the first ones, in the order of evaluation."""
LONGEST = 34
"""Letters of a name that are shown."""
SMALL, LARGE = 12, 14
LETTER = 0.56
"""Mean width of a letter, in sizes of the font; generous for digits and lower case."""
LINE, PAD, GAP, ROW_GAP, LANE, MARGIN = 16, 10, 28, 50, 30, 16
INK, QUIET, PAPER = "#1c2430", "#566070", "#f7f8fa"
FILLS = {"input": ("#dcecf7", "#0072b2"), "neurons": ("#ffffff", "#566070"), "output": ("#d9f0e6", "#00785a")}
ANSWERS = {
    "last": "answer: last membrane", "mean": "answer: mean membrane", "max": "answer: largest membrane",
    "count": "answer: spike count",
}  # fmt: skip
LOOP = "#a8480a"
"""Colour of what leads back."""


@dataclass(eq=False)
class _Box:
    """A population: its lines of text, and its place."""

    name: str
    kind: str
    lines: list[str]
    row: int
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + LARGE + 2 * PAD


@dataclass(eq=False)
class _Arrow:
    """What leads from one population to another; its label is in two parts."""

    source: _Box
    target: _Box
    label: tuple[str, str]
    lane: int = 0
    x: float = 0.0
    """Of its lane, if it needs one; lanes are counted from the boxes."""

    @property
    def back(self) -> bool:
        return self.target.row <= self.source.row

    @property
    def straight(self) -> bool:
        return self.target.row == self.source.row + 1

    @property
    def width(self) -> float:
        """Of the label: in one line, or in a lane in two."""
        lengths = [len(part) for part in self.label]
        return (sum(lengths) + 2 if self.straight else max(lengths)) * SMALL * LETTER


def diagram(network: Network) -> bytes:
    """Draw a network.

    Parameters
    ----------
    network : Network

    Returns
    -------
    bytes
        An SVG file, UTF-8.

    Examples
    --------
    >>> from neurosam.report import diagram
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (3,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.zeros((3, 2))))],
    ... )
    >>> b"dense, 6 weights, float64, delay 1" in diagram(net)
    True
    """
    rows = _rows(network)
    shown = [name for names in rows for name in names][:MOST_BOXES]
    boxes = {
        name: _Box(name, *_described(network, network[name]), row)
        for row, names in enumerate(rows)
        for name in names
        if name in shown
    }
    arrows = [
        _Arrow(boxes[source], boxes[target], _label(network, parts))
        for (source, target), parts in _bundles(network.projections).items()
        if source in boxes and target in boxes
    ]
    low, high, height = _place(boxes, arrows)
    low, high = _lanes(arrows, low, high)
    edge, width = low - MARGIN, high - low + 2 * MARGIN
    hidden = len(network.populations) - len(boxes)
    parts = [*_arrows_drawn(arrows), *map(_box_drawn, boxes.values())]
    if hidden:
        parts.append(_text(edge + width / 2, height + SMALL, f"{hidden:,} more populations are not shown", QUIET))
        height += 2 * SMALL
    size = f"{width:.0f} {height + MARGIN:.0f}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{edge:.0f} 0 {size}" width="{width:.0f}" '
        f'height="{height + MARGIN:.0f}" font-family="system-ui, sans-serif" font-size="{SMALL}" role="img">'
        f"<title>{html.escape(diagram_text(network))}</title>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{QUIET}"/></marker><marker id="tip-back" viewBox="0 0 8 8" refX="7" refY="4" '
        f'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{LOOP}"/></marker></defs>'
        f'<rect x="{edge:.0f}" width="{width:.0f}" height="{height + MARGIN:.0f}" rx="8" fill="{PAPER}"/>'
    )
    return (head + "".join(parts) + "</svg>\n").encode()


def diagram_text(network: Network) -> str:
    """What a diagram shows, in a sentence."""
    count = len(network.populations) - len(network.inputs)
    inputs = ", ".join(p.name for p in network.inputs)
    return f"Network from {inputs} through {count} population{'s' * (count != 1)} to {', '.join(network.answers)}"


def _rows(network: Network) -> list[list[str]]:
    """Populations by row: below everything that leads to them, but for what leads back."""
    row: dict[str, int] = {}
    for group in network.groups:
        before = [row[p.source] for name in group for p in network.incoming(name) if p.source in row]
        first = max(before, default=-1) + 1
        row |= {name: first + i for i, name in enumerate(group)}
    rows: list[list[str]] = [[] for _ in range(max(row.values()) + 1)]
    for name, at in row.items():
        rows[at].append(name)
    return rows


def _bundles(projections: Iterable[Projection]) -> dict[tuple[str, str], list[Projection]]:
    bundles: dict[tuple[str, str], list[Projection]] = {}
    for projection in projections:
        bundles.setdefault((projection.source, projection.target), []).append(projection)
    return bundles


def _described(network: Network, population: Population) -> tuple[str, list[str]]:
    """The kind of a box, and the lines below its name."""
    neuron: Any = population.neuron
    shape = _shape(population.shape)
    if neuron is None:
        largest = f", values up to {population.magnitude:,}" if population.magnitude > 1 else ""
        return "input", [f"{shape}, input{largest}"]
    pool = "" if population.pool is None else f"max pool {_kernel(population.pool.geometry)}, "
    lines = [f"{shape}, {pool}{type(neuron).__name__}"]
    facts = [ANSWERS[network.answers[population.name]]] if population.name in network.answers else []
    facts += [f"threshold {_span(neuron.threshold)}"] if hasattr(neuron, "threshold") else []
    if population.name in network.sam:
        trace = network.sam[population.name]
        facts.append(f"SAM {trace.mode}, gamma {trace.gamma:.3g}")
    if onset := network.onsets[population.name]:
        facts.append(f"starts at step {onset}")
    lines += [", ".join(facts)] if facts else []
    return ("output" if population.name in network.answers else "neurons"), lines


def _label(network: Network, parts: Sequence[Projection]) -> tuple[str, str]:
    """Kind of the synapses and number of weights; their bits and delay."""
    kinds = list(dict.fromkeys(_kind(p) for p in parts))
    count = sum(p.synapse.weight.size for p in parts)
    bits = "float64" if network.precision is None else f"{network.precision.weight_bits} bits"
    delays = sorted({int(p.delay) for p in parts})
    delay = str(delays[0]) if len(delays) == 1 else f"{delays[0]} to {delays[-1]}"
    several = f" in {len(parts)} parts" if len(parts) > 1 else ""
    return (
        f"{' + '.join(kinds[:2])}{' + ...' if len(kinds) > 2 else ''}, {count:,} weight{'s' * (count != 1)}",
        f"{bits}{several}, delay {delay}",
    )


def _kind(projection: Projection) -> str:
    synapse, pool = projection.synapse, projection.pool
    text = type(synapse).__name__.lower()
    if isinstance(synapse, Conv2d):
        stride, _, _ = synapse.geometry
        text = f"conv {synapse.weight.shape[2]}×{synapse.weight.shape[3]}"
        text += f" stride {'×'.join(map(str, dict.fromkeys(stride)))}" if stride != (1, 1) else ""
        text += f" in {synapse.groups} groups" if synapse.groups > 1 else ""
    elif isinstance(synapse, Dense):
        text = "dense"
    return text if pool is None else f"sum pool {_pooling(pool)}, {text}"


def _pooling(pool: SumPool2d) -> str:
    return _kernel(pool.geometry)


def _kernel(geometry: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]) -> str:
    return f"{geometry[0][0]}×{geometry[0][1]}"


def _shape(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def _span(value: Any) -> str:
    array = np.asarray(value)
    low, high = array.min(), array.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _place(boxes: dict[str, _Box], arrows: Sequence[_Arrow]) -> tuple[float, float, float]:
    """Give each box its place; return where all of them begin and end, and their height."""
    for box in boxes.values():
        widest = max([len(_cut(box.name)) * LARGE * 1.05, *(len(line) * SMALL for line in box.lines)])
        box.width = widest * LETTER + 2 * PAD
    rows: dict[int, list[_Box]] = {}
    for box in boxes.values():
        rows.setdefault(box.row, []).append(box)
    y, low, high = float(MARGIN), 0.0, 0.0
    for _, row in sorted(rows.items()):
        sources = {box.name: [a.source for a in arrows if a.target is box and not a.back] for box in row}
        middle = {
            name: float(np.mean([s.x + s.width / 2 for s in found])) if found else 0.0
            for name, found in sources.items()
        }
        row.sort(key=lambda box: middle[box.name])  # below what leads to it; equals keep their order
        pitches = [_pitch(box, arrows) for box in row]
        x = -sum(pitches) / 2
        low, high = min(low, x + GAP / 2), max(high, -x - GAP / 2)
        for box, pitch in zip(row, pitches, strict=True):
            box.x, box.y = x + (pitch - box.width) / 2, y
            x += pitch
        y += max(box.height for box in row) + ROW_GAP
    return low, high, y - ROW_GAP


def _pitch(box: _Box, arrows: Sequence[_Arrow]) -> float:
    """Width of a box and of the labels of the arrows that leave it or lead to it."""
    near = [arrow.width for arrow in arrows if arrow.straight and box in (arrow.source, arrow.target)]
    return max([box.width, *near]) + GAP


def _lanes(arrows: Sequence[_Arrow], low: float, high: float) -> tuple[float, float]:
    """Give each arrow that needs one a lane with room for its label; return where all lanes begin and end."""
    ends = []
    for sign, start in ((-1, low), (1, high)):
        lanes: list[list[_Arrow]] = []
        chosen = [arrow for arrow in arrows if not arrow.straight and arrow.back == (sign < 0)]
        for arrow in sorted(chosen, key=lambda a: abs(a.source.row - a.target.row)):
            lane = next((lane for lane in lanes if not any(_meet(arrow, other) for other in lane)), None)
            if lane is None:
                lanes.append(lane := [])
            lane.append(arrow)
        for number, lane in enumerate(lanes):
            start += sign * LANE
            for arrow in lane:
                arrow.lane, arrow.x = number, start
            start += sign * (max(arrow.width for arrow in lane) + 4)
        ends.append(start)
    return ends[0], ends[1]


def _meet(one: _Arrow, other: _Arrow) -> bool:
    """Whether they pass the same row."""
    first, second = sorted((one.source.row, one.target.row)), sorted((other.source.row, other.target.row))
    return first[0] <= second[1] and second[0] <= first[1]


def _arrows_drawn(arrows: Sequence[_Arrow]) -> Iterable[str]:
    """Lines first, so that labels lie above all of them."""
    lines: list[str] = []
    labels: list[str] = []
    used: list[tuple[float, float]] = []
    for arrow in arrows:
        source, target = arrow.source, arrow.target
        colour, tip = (LOOP, "tip-back") if arrow.back else (QUIET, "tip")
        if arrow.straight:
            x1, y1 = source.x + source.width / 2, source.y + source.height
            x2, y2 = target.x + target.width / 2, target.y
            bend = (y1 + y2) / 2
            path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {bend:.1f} {x2:.1f} {bend:.1f} {x2:.1f} {y2 - 1:.1f}"
            merges = sum(a.target is target and a.straight for a in arrows) > 1
            x, y = (x1, y1 + ROW_GAP * 0.4) if merges else (x2, y2 - ROW_GAP * 0.42)
            while any(abs(x - a) < arrow.width and abs(y - b) < SMALL for a, b in used):
                y += SMALL
            used.append((x, y))
            labels.append(_text(x, y, ", ".join(arrow.label), colour, halo=True))
        else:
            side = arrow.back
            begin, end = (source.x, target.x) if side else (source.x + source.width, target.x + target.width)
            outer = 0.12 * min(arrow.lane, 2)  # ends of outer lanes pass the labels of inner ones
            y1, y2 = source.y + source.height * (0.72 + outer), target.y + target.height * (0.28 - outer)
            path = f"M{begin:.1f} {y1:.1f}H{arrow.x:.1f}V{y2:.1f}H{end + (-1 if side else 1):.1f}"
            x, y = arrow.x + (-6 if side else 6), (y1 + y2) / 2
            anchor = "end" if side else "start"
            labels += [_text(x, y + i * LINE - 3, part, colour, anchor, True) for i, part in enumerate(arrow.label)]
        lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" marker-end="url(#{tip})"/>')
    return [*lines, *labels]


def _box_drawn(box: _Box) -> str:
    fill, stroke = FILLS[box.kind]
    middle = box.x + box.width / 2
    lines = "".join(
        _text(middle, box.y + PAD + LARGE + LINE * (i + 1) - 3, line, QUIET) for i, line in enumerate(box.lines)
    )
    name = html.escape(_cut(box.name))
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="1.5"/><text x="{middle:.1f}" y="{box.y + PAD + LARGE - 3:.1f}" fill="{INK}" '
        f'text-anchor="middle" font-size="{LARGE}" font-weight="600">{name}</text>{lines}'
    )


def _text(x: float, y: float, text: str, colour: str, anchor: str = "middle", halo: bool = False) -> str:
    around = f' stroke="{PAPER}" stroke-width="8" paint-order="stroke" stroke-linejoin="round"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"{around}>{html.escape(text)}</text>'


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
