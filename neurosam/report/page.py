"""The report as one HTML file that works offline, and the same numbers as a JSON file next to it.

The page is page.html with page.css and the scripts of viewer/ inlined. Title, provenance, explanations and tables are
plain HTML, readable without scripts, and pictures are images inside the file. The samples, if there are any, follow as
data that the script draws (packing.py): an index in ``<script type="application/json">``, and the arrays, compressed,
in ``<script type="application/octet-stream">``.

A content security policy in the page forbids all requests, and all scripts and styles but its own (by their SHA-256).
All text is escaped, since class names and file names may contain anything. The full maps are in the recording
(Recording.save).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from neurosam._util.atomic_write import write_text
from neurosam._version import __version__
from neurosam.errors import NeurosamError
from neurosam.report.colours import DARK_LINES, DASH_ARRAYS, LINES, OFF, ON
from neurosam.report.model import Cell, Picture, Report, Sample, Table
from neurosam.report.packing import MEMBRANE_MB, packed

__all__ = ["FORMAT", "FORMAT_VERSION", "write_page"]

FORMAT, FORMAT_VERSION = "neurosam-report", 1
VIEWER = re.compile(r"<!-- viewer -->\n(.*?)<!-- /viewer -->\n", re.DOTALL)
"""Parts of page.html that show samples; a page without any has none of them."""
SCRIPTS = ("data", "paint", "maps", "input", "charts", "neurons", "raster", "trace", "pick", "controls")
"""Files of viewer/, in the order in which the page has them; all share one scope."""
FAILED = """})().catch((error) => {
  console.error(error);
  const message = document.getElementById("message");
  message.hidden = false;
  message.textContent = `The samples cannot be shown: ${error.message}`;
});
"""
"""End of the script: a person is told if it fails."""
WIDE = 6
"""Columns of a table, above which it has no other beside it."""


def write_page(path: str | Path, report: Report, *, membrane_mb: float = MEMBRANE_MB) -> tuple[Path, Path]:
    """Write ``path`` (HTML) and the same numbers next to it (``.json``), each atomically.

    Parameters
    ----------
    path : str or Path
        Name of the page, not ending in ".json"; its folder is created if missing.
    report : Report
    membrane_mb : float
        Most membranes that the page holds, in 10^6 bytes before compression. Those of the first samples are kept, and
        the page says what was left out.

    Returns
    -------
    tuple of Path
        The page and the JSON file.

    Raises
    ------
    NeurosamError
        If `path` is not a valid name for the page.

    Notes
    -----
    The URL can select a state: ``report.html#sample=1&step=5&layer=conv2``; `show` is "step", "so-far" or "all".
    """
    target = Path(path)
    if not target.name or target.suffix.lower() == ".json":
        raise NeurosamError(f"report {str(path)!r}", "is not a name for a page; use one like 'report.html'")
    numbers = json.dumps(_numbers(report), indent=1, ensure_ascii=False, allow_nan=False)
    page = write_text(target, _page(report, membrane_mb))
    return page, write_text(target.with_suffix(".json"), numbers + "\n")


def _page(report: Report, membrane_mb: float) -> str:
    style, script = _filled(_part("page.css"), _palette()), _script()
    data, buffer = packed(report, membrane_mb)
    parts = {
        "style": style,
        "script": script,
        "style_hash": _sha256(style),
        "script_source": f"'sha256-{_sha256(script)}'" if report.samples else "'none'",
        "title": html.escape(report.title),
        "provenance": "".join(_pair(name, cell) for name, cell in _provenance(report).items()),
        "highlights": "".join(_pair(name, cell) for name, cell in report.highlights.items()),
        "explanations": _explanations(report),
        "pictures": "".join(map(_picture, report.pictures)),
        "tables": "".join(_table(Table(*table)) for table in report.tables),
        "data": _script_text(data),
        "buffer": buffer,
        "version": html.escape(__version__),
    }
    page = VIEWER.sub(r"\1" if report.samples else "", _part("page.html"))
    return _filled(page, parts)


def _filled(text: str, parts: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda placeholder: parts[placeholder[1]], text)


def _palette() -> dict[str, str]:
    """The colours and dashes of lines, as CSS."""
    dashes = [f".d{i} {{ stroke-dasharray: {dash}; }}" for i, dash in enumerate(DASH_ARRAYS) if dash]
    return {
        "lines": " ".join(f"--c{i}: {colour};" for i, colour in enumerate(LINES)),
        "on_black": " ".join(f"--on-black-{i}: {colour};" for i, colour in enumerate(DARK_LINES)),
        "events": " ".join(f"--{name}: #{bytes(c).hex()};" for name, c in (("on", ON), ("off", OFF))),
        "dark_lines": " ".join(f"--c{i}: {colour};" for i, colour in enumerate(DARK_LINES)),
        "strokes": " ".join([*(f".s{i} {{ stroke: var(--c{i}); }}" for i in range(len(LINES))), *dashes]),
    }


def _script() -> str:
    """All scripts as one function, so that none of their names is global."""
    return "".join(['"use strict";\n(async () => {\n', *(_part(f"viewer/{name}.js") for name in SCRIPTS), FAILED])


def _part(name: str) -> str:
    return resources.files("neurosam.report").joinpath(name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _provenance(report: Report) -> dict[str, Cell]:
    return {**report.provenance, "neurosam": report.provenance.get("neurosam", __version__)}


def _script_text(data: Any) -> str:
    """JSON in which no text can close the <script> element: only "<" could do that."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so there is no U+2028 either
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _numbers(report: Report) -> dict[str, Any]:
    """Content of the JSON file: all numbers of the page except the pixels, unrounded."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "title": report.title,
        "provenance": {name: _cell(cell) for name, cell in _provenance(report).items()},
        "highlights": {name: _cell(cell) for name, cell in report.highlights.items()},
        "tables": [
            {
                "heading": table[0],
                "note": Table(*table).note,
                "columns": list(table[1]),
                "rows": [[_cell(cell) for cell in row] for row in table[2]],
            }
            for table in report.tables
        ],
        "steps": report.steps,
        "classes": list(report.classes),
        "neurons": {name: int(count) for name, count in report.neurons.items()},
        "map_unit": report.unit,
        "step_names": list(report.labels),
        "explanations": dict(report.explanations),
        "samples": [_sample_numbers(sample) for sample in report.samples],
    }


def _sample_numbers(sample: Sample) -> dict[str, Any]:
    predictions = sample.predictions
    return {
        "name": sample.name,
        "label": sample.label,
        "prediction": sample.prediction,
        "image_shape_chw": list(sample.image.shape),
        "mask_share_of_pixels": None if sample.mask is None else float(sample.mask.mean()),
        "spikes_per_step": {name: x.tolist() for name, x in sample.counts.items()},
        "readout_per_step": None if sample.readout is None else sample.readout.tolist(),
        "prediction_per_step": None if predictions is None else predictions.tolist(),
        "maps": {
            layer: {
                "shape_thw": list(x.shape),
                "sum_per_step": x.sum(axis=(1, 2)).tolist(),
                "peak_per_step": x.max(axis=(1, 2)).tolist(),
            }
            for layer, x in sample.maps.items()
        },
    }


def _cell(cell: Cell) -> Cell:
    """Convert a cell for JSON: NumPy scalars to Python's, NaN and infinities to null."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(cell: Cell, decimals: int | None = None) -> str:
    """Format a cell for reading: thousands separated, fractions to four digits, a dash for unknown values."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f").replace("-", "−")
    if isinstance(value, float):
        places = 0 if decimals is not None and abs(value) >= 1e5 else decimals  # counts among shares
        text = f"{value:.4g}" if places is None else f"{value:,.{places}f}".replace(",", "\u202f")
        return text.replace("-", "−")
    return html.escape(str(value))


def _decimals(cells: Sequence[Cell]) -> int | None:
    """Decimals that show every fraction of a column to four digits with points aligned; None if 4 are not enough."""
    fractions = [abs(float(cell)) for cell in cells if isinstance(cell, (float, np.floating))]
    if any(not math.isfinite(x) or x >= 1e12 or 0 < x < 1e-3 for x in fractions):
        return None
    shown = [f"{x:.4g}".partition(".")[2] if x < 1e4 else "" for x in fractions]
    return min(4, max(map(len, shown), default=0))


def _pair(name: str, cell: Cell) -> str:
    # Integers here are seeds, versions and the like: no thousands separators.
    is_integer = isinstance(cell, (int, np.integer)) and not isinstance(cell, bool)
    text = str(cell) if is_integer else _text(cell)
    return f"<div><dt>{html.escape(name)}</dt><dd>{text}</dd></div>"


def _explanations(report: Report) -> str:
    if not report.explanations:
        return ""
    rows = "".join(
        f"<div><dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd></div>" for term, text in report.explanations
    )
    return f"<details id='explanations'><summary>How to read this</summary><dl>{rows}</dl></details>"


def _picture(picture: Picture) -> str:
    heading, text = html.escape(picture.heading), html.escape(picture.text, quote=True)
    note = f"<figcaption>{html.escape(picture.note)}</figcaption>" if picture.note else ""
    image = base64.b64encode(picture.svg).decode("ascii")
    return (
        f"<figure class='picture'><h3>{heading}</h3>"
        f"<img src='data:image/svg+xml;base64,{image}' alt='{text}'>{note}</figure>"
    )


def _table(table: Table) -> str:
    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    kinds = [" class='number'" if _is_numeric(cells) else "" for cells in columns]
    decimals = [_decimals(cells) for cells in columns]
    head = "".join(f"<th scope='col'{k}>{html.escape(name)}</th>" for name, k in zip(table.columns, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{_text(cell, d)}</td>" for cell, k, d in zip(row, kinds, decimals, strict=True))
        + "</tr>"
        for row in table.rows
    )
    note = f"<p>{html.escape(table.note)}</p>" if table.note else ""
    heading = html.escape(table.heading)
    wide = " wide" * (len(table.columns) > WIDE)
    return (
        f"<section class='table{wide}'><h3>{heading}</h3>{note}<div class='scroll' tabindex='0' role='region' "
        f"aria-label='{heading}'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _is_numeric(cells: Sequence[Cell]) -> bool:
    values = [cell for cell in cells if cell is not None]
    return bool(values) and all(isinstance(cell, (int, float, np.generic)) for cell in values)
