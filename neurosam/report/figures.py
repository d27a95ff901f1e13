"""Heat-map sheets: what each layer looked at, step by step (one sample) or summed over steps (several samples).

Figures use matplotlib's object-oriented interface: no window, no global state. Maps are drawn without smoothing in a
perceptually uniform colour map; ``colormap="jet"`` in :func:`sample_sheet` imitates the overlay of the SAM paper. Maps
with a sign, as those of attribution methods, are blue for what speaks against, white for 0 and red for what speaks for
(:func:`signed_overlay`, :func:`show`).
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_bytes
from neurosam.errors import NeurosamError
from neurosam.explain.maps import aggregate, normalise, overlay
from neurosam.report.model import Sample
from neurosam.signals.answer import answer_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_sheet", "sample_sheet", "save", "show", "signed_overlay", "visible"]

SMALL, TINY = 8.0, 7.0  # points
CELL = 0.95  # side of one image, inches
CONTOUR = "#00e5ff"  # occurs neither in inferno nor in a grey image
SIGNED = "bwr"  # blue, white, red


def heat_sheet(
    image: npt.NDArray[np.uint8],
    maps: Mapping[str, npt.ArrayLike],
    steps: Sequence[int] | None = None,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    title: str = "",
    unit: str = "",
    scale: str = "layer",
    colormap: str = "inferno",
) -> Figure:
    """Draw one sample, one row per layer: the input, maps of single steps, and the sum over all steps on the input.

    Parameters
    ----------
    image : (C, H, W) uint8 array
    maps : mapping of str to (T, h, w) array
        Finite, >= 0.
    steps : sequence of int, optional
        Steps to show, 0 .. T - 1; six evenly spaced ones if None.
    mask : (H, W) bool array, optional
        Outlined on the input and on the overlays.
    title, unit : str
        Title of the figure, and unit of the maps for the colour bars.
    scale : {"layer", "step"}
        ``layer``: one colour scale per row, so that steps can be compared. ``step``: each map spans the whole scale.
    colormap : str
        Name of a matplotlib colour map.

    Raises
    ------
    NeurosamError
        If there are no maps, or a step, shape or scale does not fit.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not maps:
        raise NeurosamError("heat_sheet: maps", "got none; at least one layer is required")
    if scale not in ("layer", "step"):
        raise NeurosamError("heat_sheet: scale", f"got {scale!r}; allowed is 'layer' or 'step'")
    sample = Sample(image, {name: np.asarray(x) for name, x in maps.items()}, mask)
    selected_steps = _steps(sample.steps, steps)
    rows, columns = len(sample.maps), len(selected_steps)
    size = CELL * (columns + 3) + 1.0, CELL * rows * 1.1 + (0.7 if title else 0.4)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.02))
    grid = figure.add_gridspec(rows, columns + 2, width_ratios=[1.25, *[1.0] * columns, 1.1])
    if title:
        figure.suptitle(title, fontsize=SMALL + 2)
    first = _draw_image(figure.add_subplot(grid[:, 0]), visible(sample.image), mask)
    first.set_title("input", fontsize=SMALL)
    for row, (name, x) in enumerate(sample.maps.items()):
        peak = float(x.max()) or 1.0
        for column, step in enumerate(selected_steps):
            axes = _without_ticks(figure.add_subplot(grid[row, column + 1]))
            limit = peak if scale == "layer" else float(x[step].max()) or 1.0
            axes.imshow(x[step], cmap=colormap, vmin=0, vmax=limit, interpolation="nearest")
            if row == 0:
                axes.set_title(f"step {step}", fontsize=SMALL)
            if column == 0:
                axes.set_ylabel(f"{name}\n{x.shape[1]} × {x.shape[2]}", fontsize=SMALL)
        shades = ScalarMappable(Normalize(0, peak if scale == "layer" else 1), colormap)
        bar = figure.colorbar(shades, cax=axes.inset_axes((1.05, 0, 0.07, 1)))
        bar.ax.tick_params(labelsize=TINY, length=2, pad=1)
        bar.locator = _few_ticks()
        bar.set_label(
            textwrap.fill(unit or "map", 16) if scale == "layer" else "share of peak", fontsize=TINY, labelpad=2
        )
        overview = figure.add_subplot(grid[row, columns + 1])
        _draw_image(overview, blend(sample, name, colormap), mask)
        if row == 0:
            overview.set_title("sum on input", fontsize=SMALL)
    return figure


def sample_sheet(
    samples: Sequence[Sample],
    classes: Sequence[str] = (),
    *,
    layers: Sequence[str] | None = None,
    title: str = "",
    colormap: str = "inferno",
    how: str = "sum",
) -> Figure:
    """Draw several samples side by side: input, mask, and each layer's map over all steps on the input.

    Parameters
    ----------
    samples : sequence of Sample
    classes : sequence of str
        Class names in label order; without them, indices are shown.
    layers : sequence of str, optional
        Layers to show, which every sample must have; those of the first sample if None.
    title : str
    colormap : str
        Name of a matplotlib colour map; the paper uses "jet".
    how : {"sum", "mean", "max", "last"}
        How to combine the steps into one map (:func:`neurosam.explain.maps.aggregate`).

    Raises
    ------
    NeurosamError
        If there are no samples, or one of them has no map of a layer.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not samples:
        raise NeurosamError("sample_sheet: samples", "got none; at least one is required")
    shown = tuple(samples[0].maps) if layers is None else tuple(layers)
    masked = any(s.mask is not None for s in samples)
    names = ["input", *(["mask"] if masked else []), *shown]
    figure = Figure(
        figsize=(CELL * 1.05 * len(samples) + 0.7, CELL * 1.05 * len(names) + (0.9 if title else 0.6)),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0),
    )
    grid = figure.add_gridspec(len(names), len(samples))
    if title:
        figure.suptitle(title, fontsize=SMALL + 2)
    for column, sample in enumerate(samples):
        images = [visible(sample.image)]
        if masked:
            blank = np.full(sample.image.shape[1:], 128, dtype=np.uint8)  # grey: the mask is unknown
            images.append(blank if sample.mask is None else sample.mask.astype(np.uint8) * 255)
        for name in shown:
            if name not in sample.maps:
                raise NeurosamError(f"sample_sheet: sample {column}", f"has no map of {name!r}, only {[*sample.maps]}")
            images.append(blend(sample, name, colormap, how))
        for row, image in enumerate(images):
            axes = _draw_image(
                figure.add_subplot(grid[row, column]), image, sample.mask if names[row] in shown else None
            )
            if column == 0:
                axes.set_ylabel(names[row], fontsize=SMALL)
            if row == 0:
                axes.set_title(caption(sample, classes), fontsize=TINY, color=_caption_colour(sample))
    return figure


def signed_overlay(image: npt.ArrayLike, heat: npt.ArrayLike, alpha: float = 0.6) -> npt.NDArray[np.uint8]:
    """Draw a map with a sign over an image: blue below 0, white at 0, red above, symmetric around 0.

    Parameters
    ----------
    image : (H, W), (1, H, W) or (3, H, W) array
        uint8, or floats in [0, 1].
    heat : (h, w) array
        Finite, of any range and size; its largest magnitude gets the full colour.
    alpha : float
        Opacity of the map, 0..1.

    Returns
    -------
    (H, W, 3) uint8 array

    Examples
    --------
    >>> from neurosam.report import signed_overlay
    >>> signed_overlay(np.zeros((1, 3)), [[-2.0, 0.0, 2.0]], alpha=1.0).tolist()
    [[[0, 0, 255], [255, 254, 254], [255, 0, 0]]]
    """
    values = np.asarray(heat, dtype=np.float64)
    limit = float(np.abs(values).max(initial=0.0)) or 1.0
    return overlay(image, 0.5 + values / (2 * limit), SIGNED, alpha)


def show(
    maps: npt.ArrayLike | Mapping[str, npt.ArrayLike], images: npt.ArrayLike | None = None, *, title: str = ""
) -> Figure:
    """Draw maps of any method beside each other: one row per method, one column per sample.

    Parameters
    ----------
    maps : (B, h, w) or (T, B, h, w) array, or mapping of str to arrays
        Finite; maps over time are summed. A row with a negative value is blue-white-red, symmetric around 0; one scale
        per row.
    images : (B, H, W) or (B, C, H, W) array, optional
        uint8, or floats in [0, 1]; drawn in the first row.
    title : str

    Returns
    -------
    Figure
        Shown by a notebook; see :func:`save`.

    Raises
    ------
    NeurosamError
        If there are no maps, or shapes do not fit.

    Examples
    --------
    >>> from neurosam.report import show
    >>> figure = show({"saliency": np.ones((2, 8, 8)), "lrp": np.full((5, 2, 8, 8), -1.0)}, np.zeros((2, 1, 8, 8)))
    >>> [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    ['input', 'saliency', 'lrp']
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = {name: _over_time(name, x) for name, x in (maps if isinstance(maps, Mapping) else {"map": maps}).items()}
    if not rows:
        raise NeurosamError("show: maps", "got none; at least one is required")
    samples = len(next(iter(rows.values())))
    pictures = [] if images is None else list(np.asarray(images))
    counts = {name: len(x) for name, x in rows.items()} | ({"images": len(pictures)} if pictures else {})
    if set(counts.values()) != {samples}:
        raise NeurosamError("show", f"got numbers of samples {counts}; all must be equal")
    height = len(rows) + bool(pictures)
    figure = Figure(
        figsize=(CELL * 1.1 * samples + 1.2, CELL * 1.1 * height + (0.5 if title else 0.2)),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01),
    )
    grid = figure.add_gridspec(height, samples)
    if title:
        figure.suptitle(title, fontsize=SMALL + 2)
    for column, picture in enumerate(pictures):
        grey = overlay(picture, np.zeros((1, 1)), alpha=0.0)
        axes = _draw_image(figure.add_subplot(grid[0, column]), grey, None)
        axes.set_ylabel("" if column else "input", fontsize=SMALL)
    for row, (name, x) in enumerate(rows.items(), start=bool(pictures)):
        limit = float(np.abs(x).max()) or 1.0
        signed = bool((x < 0).any())
        places = [_without_ticks(figure.add_subplot(grid[row, column])) for column in range(samples)]
        for axes, one in zip(places, x, strict=True):
            drawn = axes.imshow(
                one, SIGNED if signed else "inferno", vmin=-limit if signed else 0, vmax=limit, interpolation="nearest"
            )
        places[0].set_ylabel(name, fontsize=SMALL)
        bar = figure.colorbar(drawn, cax=places[-1].inset_axes((1.05, 0, 0.07, 1)))
        bar.ax.tick_params(labelsize=TINY, length=2, pad=1)
        bar.locator = _few_ticks()
    return figure


def _over_time(name: str, maps: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Maps of a row, ``[B, h, w]``."""
    x = np.asarray(maps, dtype=np.float64)
    if x.ndim not in (3, 4) or not x.size or not np.isfinite(x).all():
        raise NeurosamError(f"show: {name}", f"got shape {x.shape}; finite maps [B, h, w] or [T, B, h, w] are required")
    return np.asarray(aggregate(x) if x.ndim == 4 else x)


def save(figure: Figure, path: str | Path, *, dpi: int = 200) -> Path:
    """Write a figure as PNG, atomically, without date and version, so that equal figures give equal files."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return write_bytes(path, buffer.getvalue())


def visible(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Reduce an image to (1, H, W) by the maximum over its channels, unless it has 1 or 3 channels already."""
    return image if image.shape[0] in (1, 3) else image.max(axis=0, keepdims=True)


def blend(sample: Sample, layer: str, colormap: str, how: str = "sum") -> npt.NDArray[np.uint8]:
    """Overlay the map of a layer over all steps on the input, ``uint8 [H, W, 3]``."""
    total = aggregate(sample.maps[layer][:, None], how)[0]
    return overlay(visible(sample.image), normalise(total, "max"), colormap, 0.6)


def caption(sample: Sample, classes: Sequence[str]) -> str:
    """Format label, prediction and whether they agree, in words, so that it does not depend on colour alone."""

    def name(index: int) -> str:
        text = answer_name(index, classes)
        return (text if len(text) <= 14 else text[:13] + "…").replace("$", r"\$")

    lines = [] if sample.label is None else [f"label {name(sample.label)}"]
    if sample.prediction is not None:
        sign = "" if sample.label is None else " (right)" if sample.prediction == sample.label else " (wrong)"
        lines.append(f"→ {name(sample.prediction)}{sign}")
    return "\n".join(lines)


def _caption_colour(sample: Sample) -> str:
    wrong = None not in (sample.label, sample.prediction) and sample.label != sample.prediction
    return "#b3400f" if wrong else "black"


def _steps(total: int, steps: Sequence[int] | None) -> list[int]:
    if steps is None:
        return sorted({int(step) for step in np.linspace(0, total - 1, 6).round()})
    if not len(steps) or min(steps) < 0 or max(steps) >= total:
        raise NeurosamError("heat_sheet: steps", f"got {[*steps]}; at least one in 0..{total - 1} is required")
    return [int(step) for step in steps]


def _draw_image(axes: Axes, image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None) -> Axes:
    """Draw an image ([C, H, W] or [H, W, 3]) in grey or colour, with the outline of the mask."""
    pixels: Any = image
    if image.ndim == 3 and image.shape[-1] != 3:
        pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
    _without_ticks(axes).imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if mask is not None and mask.any() and not mask.all():
        axes.contour(mask.astype(float), levels=[0.5], colors=CONTOUR, linewidths=0.9)
    return axes


def _without_ticks(axes: Axes) -> Axes:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(linewidth=0.4, color="0.5")
    return axes


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)
