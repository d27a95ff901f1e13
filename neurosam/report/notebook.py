"""What a notebook shows of a network, events or a recording: a table, and small pictures that need no package.

Everything is plain HTML and SVG, and every name is escaped. Curves are the spikes per step; maps are the sum of a spike
activation map over steps and samples, drawn as rectangles. Lines and frames have the colour of the text, so that they
are seen on a light and on a dark ground.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.describing import LOOKED_THROUGH, array_text, field_texts
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.diagram import diagram, diagram_text
from neurosam.signals.answer import answer_name
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording

__all__ = ["html_of"]

MOST_ROWS = 40
BLUE = "43,140,190"
"""Red, green and blue of curves and maps; at least 3.5 to 1 on white and on black."""

MAP_SIDE = 40
"""Most rectangles of a map's side; neighbours of a larger one are added up."""


def html_of(value: Network | Recording | Events) -> str:
    """The HTML of a value, for ``_repr_html_``."""
    if isinstance(value, Network):
        return _network(value)
    if isinstance(value, Recording):
        return _recording(value)
    counts = value.counts().mean(axis=1) if value.samples else np.zeros(value.steps)
    return _page(repr(value), f"<div>spikes per step {_curve(counts)}</div>")


def _network(network: Network) -> str:
    rows = [_population(population) for population in network.populations]
    arrows = [(html.escape(p.label), html.escape(p.text.partition(": ")[2])) for p in network.projections]
    return _page(
        repr(network).partition("\n")[0],
        _table(("population", "shape", "neurons", "kind", "parameters"), rows, numbers=(2,)),
        _table(("projection", "synapses"), arrows),
        _picture(network),
    )


def _picture(network: Network) -> str:
    """The network as a diagram, as an image, so that nothing in it meets the notebook's own page."""
    image = base64.b64encode(diagram(network)).decode("ascii")
    text = html.escape(diagram_text(network), quote=True)
    return f"<div><img src='data:image/svg+xml;base64,{image}' alt='{text}' style='max-width:100%'/></div>"


def _population(population: Population) -> tuple[str, ...]:
    neuron: Any = population.neuron
    kind = "input" if neuron is None else type(neuron).__name__
    parameters = {} if neuron is None else field_texts(neuron)
    shape = "\u00a0x\u00a0".join(map(str, population.shape))  # never broken over lines
    listed = ", ".join(f"{name} {text}" for name, text in parameters.items())
    return html.escape(population.name), shape, f"{neurons(population.shape):,}", kind, html.escape(listed)


def _recording(recording: Recording) -> str:
    rows = []
    for name in dict.fromkeys([*recording.counts, *recording.spikes, *recording.sam, *recording.membrane]):
        counts = recording.counts.get(name)
        several = [v for v in ("membrane", "current") if name in getattr(recording, v)]
        rows.append((
            html.escape(name),
            "" if counts is None else f"{int(counts.sum()):,}",
            "" if counts is None or not counts.size else _curve(counts.mean(axis=1)),
            _map(recording.sam[name]) if name in recording.sam else "",
            "<br>".join(html.escape(f"{v} {array_text(getattr(recording, v)[name])}") for v in several),
        ))  # fmt: skip
    answers = [answer_name(i) for i in recording.predictions[:20].tolist()] if recording.output.size else []
    more = " ..." if recording.samples > len(answers) else ""
    return _page(
        repr(recording).partition("\n")[0],
        _table(("population", "spikes", "spikes per step", "map (all steps)", "recorded"), rows, numbers=(1,)),
        f"<div>answers {html.escape(', '.join(answers))}{more}</div>" if answers else "",
    )


def _page(heading: str, *parts: str) -> str:
    return f"<div><b>{html.escape(heading)}</b>{''.join(parts)}</div>"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table; cells are HTML already, and those of columns of `numbers` are aligned to the right."""
    listed = list(rows)
    more = f"<tr><td colspan='{len(titles)}'>... {len(listed) - MOST_ROWS} more</td></tr>"
    styles = [f"text-align:{'right' if i in numbers else 'left'};padding:2px 8px" for i in range(len(titles))]
    styles[0] += ";white-space:nowrap"
    head = _row("th", map(html.escape, titles), styles)
    body = "".join(_row("td", row, styles) for row in listed[:MOST_ROWS])
    return f"<table>{head}{body}{more if len(listed) > MOST_ROWS else ''}</table>"


def _row(tag: str, cells: Iterable[str], styles: Sequence[str]) -> str:
    made = (f"<{tag} style='{style}'>{cell}</{tag}>" for cell, style in zip(cells, styles, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _curve(values: npt.NDArray[np.float64], width: int = 160, height: int = 28) -> str:
    """A line over the steps, from 0 to the largest value, which stands beside it."""
    points = np.asarray(values, dtype=np.float64)
    if points.size > 2 * width:  # the mean of each pixel's steps
        edges = np.linspace(0, points.size, width + 1).astype(np.int64)[:-1]
        points = np.add.reduceat(points, edges) / np.diff([*edges, points.size])
    peak = float(points.max(initial=0.0)) or 1.0
    x = np.linspace(1, width - 1, max(points.size, 2))[: points.size]
    y = height - 2 - (height - 4) * points / peak
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    floor = height - 1.5
    area = f"{x[0]:.1f},{floor} {line} {x[-1]:.1f},{floor}" if points.size else ""
    largest = f"up to {points.max(initial=0.0):,.4g}"
    return (
        f"<span style='white-space:nowrap'>"
        f"<svg width='{width}' height='{height}' style='vertical-align:middle' role='img' "
        f"aria-label='{largest} per step'>"
        f"<polygon points='{area}' fill='rgba({BLUE},0.25)'/>"
        f"<polyline points='{line}' fill='none' stroke='rgb({BLUE})' stroke-width='1.5'/>"
        f"<path d='M0 {floor}H{width}' stroke='currentColor' stroke-opacity='0.4'/></svg> {largest}</span>"
    )


def _map(maps: npt.NDArray[Any], side: int = 64) -> str:
    """The sum of a map over steps and samples, as rectangles from the ground's colour to blue."""
    if not 0 < maps.size <= LOOKED_THROUGH:
        return ""
    total = np.asarray(maps, dtype=np.float64).sum(axis=(0, 1))
    bundle = [-(-length // MAP_SIDE) for length in total.shape]
    total = np.add.reduceat(total, np.arange(0, total.shape[0], bundle[0]), axis=0)
    total = np.add.reduceat(total, np.arange(0, total.shape[1], bundle[1]), axis=1)
    rows, columns = total.shape
    share = total / (total.max() or 1.0)
    cells = "".join(
        f"<rect x='{x}' y='{y}' width='1.02' height='1.02' fill='rgba({BLUE},{share[y, x]:.2f})'/>"
        for y in range(rows)
        for x in range(columns)
        if share[y, x] >= 0.005
    )
    width = max(8, round(side * columns / max(rows, columns)))
    height = max(8, round(side * rows / max(rows, columns)))
    return (
        f"<svg width='{width}' height='{height}' viewBox='0 0 {columns} {rows}' preserveAspectRatio='none' role='img' "
        f"shape-rendering='crispEdges' "
        f"aria-label='where the scores are' style='outline:1px solid rgba(128,128,128,0.6)'>{cells}</svg>"
    )
