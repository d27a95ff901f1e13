"""The report as one HTML file that works offline, and the same numbers as a JSON file next to it.

The page is page.html with page.css and page.js inlined. Title, provenance and tables are plain HTML, readable without
scripts, and pictures are images inside the file. The samples, if there are any, follow as data that the script draws:

- ``<script type="application/json">``: names, counts, readouts, and the offset and shape of each array in the buffer;
- ``<script type="application/octet-stream">``: the buffer, zlib-compressed, in base64. Images are bytes ``[C, H, W]``,
  masks are bytes 0 or 1, and the map of a step is ``round(255 * map / peak)`` with that step's peak, so that the error
  is at most 0.2 % of the peak at every step.

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
import zlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_text
from neurosam._version import __version__
from neurosam.errors import NeurosamError
from neurosam.report.figures import visible
from neurosam.report.model import Cell, Picture, Report, Sample, Table

__all__ = ["FORMAT", "FORMAT_VERSION", "write_page"]

FORMAT, FORMAT_VERSION = "neurosam-report", 1
VIEWER = re.compile(r"<!-- viewer -->\n(.*?)<!-- /viewer -->\n", re.DOTALL)
"""Parts of page.html that show samples; a page without any has none of them."""
WIDE = 6
"""Columns of a table, above which it has no other beside it."""


def write_page(path: str | Path, report: Report) -> tuple[Path, Path]:
    """Write ``path`` (HTML) and the same numbers next to it (``.json``), each atomically.

    Parameters
    ----------
    path : str or Path
        Name of the page, not ending in ".json"; its folder is created if missing.
    report : Report

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
    page = write_text(target, _page(report))
    return page, write_text(target.with_suffix(".json"), numbers + "\n")


def _page(report: Report) -> str:
    style, script = _part("page.css"), _part("page.js")
    data, buffer = _data(report)
    parts = {
        "style": style,
        "script": script,
        "style_hash": _sha256(style),
        "script_source": f"'sha256-{_sha256(script)}'" if report.samples else "'none'",
        "title": html.escape(report.title),
        "provenance": "".join(_pair(name, cell) for name, cell in _provenance(report).items()),
        "highlights": "".join(_pair(name, cell) for name, cell in report.highlights.items()),
        "pictures": "".join(map(_picture, report.pictures)),
        "tables": "".join(_table(Table(*table)) for table in report.tables),
        "data": _script_text(data),
        "buffer": buffer,
        "version": html.escape(__version__),
    }
    page = VIEWER.sub(r"\1" if report.samples else "", _part("page.html"))
    return re.sub(r"\{\{(\w+)\}\}", lambda placeholder: parts[placeholder[1]], page)


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


def _data(report: Report) -> tuple[dict[str, Any], str]:
    """Data for the script: the index, and the buffer that it points into."""
    buffer = bytearray()

    def store(array: npt.NDArray[np.uint8]) -> dict[str, Any]:
        at = len(buffer)
        buffer.extend(array.tobytes())
        return {"at": at, "shape": array.shape}

    def packed(sample: Sample) -> dict[str, Any]:
        maps = {}
        for layer, x in sample.maps.items():
            peaks = x.max(axis=(1, 2)).astype(np.float64)
            divisor = np.where(peaks > 0, peaks, 1.0)[:, None, None]
            maps[layer] = {**store(np.rint(x / divisor * 255).astype(np.uint8)), "peaks": _short(peaks)}
        return {
            "name": sample.name,
            "label": sample.label,
            "prediction": sample.prediction,
            "image": store(visible(sample.image)),
            "frames": None if sample.frames is None else store(sample.frames),
            "mask": None if sample.mask is None else store(sample.mask.astype(np.uint8)),
            "maps": maps,
            "counts": {name: x.tolist() for name, x in sample.counts.items()},
            "readout": None if sample.readout is None else [_short(row) for row in sample.readout],
        }

    samples = [packed(sample) for sample in report.samples]
    readout_classes = max((0 if s.readout is None else s.readout.shape[1] for s in report.samples), default=0)
    class_count = max([len(report.classes), readout_classes, *(i + 1 for s in report.samples for i in _indices(s))])
    index = {
        "steps": report.steps,
        "layers": report.layers,
        "classes": [report.class_name(i) for i in range(class_count)],
        "neurons": {name: int(count) for name, count in report.neurons.items()},
        "populations": list(samples[0]["counts"]) if samples else [],
        "unit": report.unit,
        "labels": list(report.labels),
        "samples": samples,
    }
    return index, base64.b64encode(zlib.compress(bytes(buffer), 9)).decode("ascii")


def _indices(sample: Sample) -> list[int]:
    return [index for index in (sample.label, sample.prediction) if index is not None]


def _short(values: Iterable[Any]) -> list[float]:
    """Round numbers to six digits, which is enough to draw them."""
    return [int(number) if number == int(number) else float(f"{number:.6g}") for number in values]


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
        text = f"{value:.4g}" if decimals is None else f"{value:,.{decimals}f}".replace(",", "\u202f")
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
