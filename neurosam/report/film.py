"""A film of a run: what came in, and what layers looked at, window by window; as a page with a slider, or as a GIF.

A :class:`Film` is filled while a network runs and keeps a bounded number of frames: when there are too many, each two
become one, and windows are twice as long from then on. Squares of pixels of a large sensor are joined. So a recording
of any length gives a film, in bounded memory.

Input events are drawn on black: on is orange, off is blue, one channel is white. Brightness is the number of events of
a pixel and window, up to the count that 1 % of the active pixels exceed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_bytes
from neurosam.errors import NeurosamError
from neurosam.explain.maps import upsample
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.colours import OFF, ON
from neurosam.report.explanations import explanations
from neurosam.report.model import Cell, Report, Sample
from neurosam.report.page import write_page
from neurosam.signals.answer import answer_name, predicted
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = ["Film"]

MOST_FRAMES = 240
SHORTEST_S, LONGEST_S = 0.04, 0.2
"""Limits of a frame's time in a GIF, which shows windows in their own time between them."""
PANEL = 224
"""Least side of a picture in a GIF, in pixels."""
LONGEST_SIDE = 256
"""Most pixels in a row or column of a frame; those of larger sensors and maps are added up."""


@dataclass
class _Frame:
    """What happened in one window."""

    steps: int
    input: npt.NDArray[np.float32]
    maps: dict[str, npt.NDArray[np.float32]]
    counts: dict[str, int]
    answer: npt.NDArray[Any]

    def followed_by(self, other: _Frame) -> _Frame:
        """Join it with the next one."""
        return _Frame(
            self.steps + other.steps,
            self.input + other.input,
            {name: x + other.maps[name] for name, x in self.maps.items()},
            {name: count + other.counts[name] for name, count in self.counts.items()},
            other.answer,
        )


class Film:
    """Frames of a run of one sample.

    Parameters
    ----------
    network : Network
    layers : sequence of str
        Layers of shape (C, H, W) with a SAM trace.
    window : int
        Steps in a frame, at first.
    step_us : int, optional
        Microseconds in a step, for the captions.
    frames : int
        Most frames to keep, >= 2.

    Raises
    ------
    NeurosamError
        If the input is no image, or a layer has no maps.

    Examples
    --------
    >>> from neurosam.report import Film
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 4, 4)), ns.Population("conv", (1, 2, 2), ns.LIF(leak=0.9, threshold=1.5))],
    ...     [ns.Projection("in", "conv", ns.Conv2d(np.ones((1, 1, 3, 3))))],
    ... ).with_sam()
    >>> events = ns.Events.from_dense(np.ones((6, 1, 1, 4, 4)))
    >>> film = Film(net, ["conv"], window=2)
    >>> session = ns.Session(net, record=film.record)
    >>> film.add(events, session.advance(events))
    >>> film.length, film.labels[1]
    (3, 'steps 2-3')
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[str],
        window: int,
        step_us: int | None = None,
        frames: int = MOST_FRAMES,
    ) -> None:
        if len(network.inputs) != 1 or len(network.input.shape) != 3:
            raise NeurosamError("film", "shows an input of shape (C, H, W); this network has none, or several inputs")
        for name in layers:
            if name not in network.sam or len(network[name].shape) != 3:
                raise NeurosamError(
                    f"film: layer {name!r}", "has no SAM trace or no shape (C, H, W); name another layer"
                )
        if window < 1 or frames < 2:
            raise NeurosamError(
                "film", f"got windows of {window} steps, {frames} frames; at least 1 and 2 are required"
            )
        self.network, self.layers, self.window, self.step_us = network, tuple(layers), window, step_us
        self._most = frames
        self._frames: list[_Frame] = []
        self._open: _Frame | None = None

    @property
    def record(self) -> Record:
        """What runs have to record."""
        output = self.network.output
        spikes = self.network[output].fires and self.network.answers[output] == "count"
        return Record(sam=self.layers, membrane=() if spikes else (output,), spikes=(output,) if spikes else ())

    @property
    def length(self) -> int:
        """Frames so far."""
        return len(self._shown())

    @property
    def room(self) -> int:
        """Steps until the current window ends."""
        return self.window - (self._open.steps if self._open else 0)

    def add(self, events: Events, recording: Recording, answer: npt.NDArray[Any] | None = None) -> None:
        """Add further steps: their events, and what was recorded in them.

        `answer` is that of the whole run so far; the recording's output if None. It is shown for each window that ends
        here, so give no more than `room` steps at once where it has to be exact.
        """
        given = np.asarray(recording.output if answer is None else answer).reshape(-1)
        start = 0
        while start < recording.steps:
            stop = min(start + self.room, recording.steps)
            frame = _Frame(
                stop - start,
                self._input(events, start, stop),
                {
                    name: shrunk((x[start:stop, 0].sum(axis=0) / recording.sam_scale.get(name, 1.0)).astype(np.float32))
                    for name, x in recording.sam.items()
                },
                {name: int(x[start:stop, 0].sum()) for name, x in recording.counts.items()},
                given,
            )
            self._open = frame if self._open is None else self._open.followed_by(frame)
            if self._open.steps >= self.window:
                self._frames.append(self._open)
                self._open = None
                self._thin()
            start = stop

    def _input(self, events: Events, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Sum of the events of some steps, ``[C, H, W]`` or smaller."""
        first, last = np.searchsorted(events.time, (start, stop))
        weights = None if events.value is None else events.value[first:last]
        size = neurons(events.shape)
        return shrunk(np.bincount(events.neuron[first:last], weights, size).astype(np.float32).reshape(events.shape))

    def _thin(self) -> None:
        """Join frames in pairs where there are too many."""
        if len(self._frames) < self._most or len(self._frames) % 2:
            return
        pairs = zip(self._frames[::2], self._frames[1::2], strict=True)
        self._frames = [first.followed_by(second) for first, second in pairs]
        self.window *= 2

    def _shown(self) -> list[_Frame]:
        return [*self._frames, *([self._open] if self._open else [])]

    @property
    def labels(self) -> list[str]:
        """Which steps each frame is of, and when it begins."""
        out, first = [], 0
        for frame in self._shown():
            last = first + frame.steps - 1
            text = f"step {first}" if frame.steps == 1 else f"steps {first}-{last}"
            if self.step_us is not None:
                text += f", {first * self.step_us / 1000:g} to {(last + 1) * self.step_us / 1000:g} ms"
            out.append(text)
            first += frame.steps
        return out

    def report(
        self,
        title: str,
        *,
        classes: Sequence[str] = (),
        name: str = "",
        label: int | None = None,
        provenance: Mapping[str, Cell] | None = None,
        highlights: Mapping[str, Cell] | None = None,
    ) -> Report:
        """The film as a report of one sample, whose steps are the frames.

        Raises
        ------
        NeurosamError
            If there is no frame yet.
        """
        frames = self._filled()
        pictures = coloured(np.stack([frame.input for frame in frames]))
        readout = np.stack([frame.answer for frame in frames])
        sample = Sample(
            image=coloured(sum_of([frame.input for frame in frames])[None])[0],
            maps={name: np.stack([frame.maps[name] for frame in frames]) for name in self.layers},
            name=name,
            label=label,
            prediction=int(predicted(readout[-1])),
            readout=readout,
            counts={name: np.array([frame.counts[name] for frame in frames]) for name in frames[0].counts},
            frames=pictures,
        )
        sizes = {name: neurons(self.network[name].shape) for name in sample.counts}
        return Report(
            title, (sample,), classes, provenance=provenance or {}, highlights=highlights or {}, neurons=sizes,
            unit="summed contribution score", labels=self.labels,
            explanations=explanations(self.network, self.layers),
        )  # fmt: skip

    def save(self, path: str | Path, title: str, classes: Sequence[str] = (), **report: Any) -> list[Path]:
        """Write the film: ``.gif``, or ``.html`` (with the numbers in a ``.json`` beside it).

        `report` has the further arguments of :meth:`report`, for the page alone.
        """
        target = Path(path)
        if target.suffix.lower() == ".gif":
            return [write_bytes(target, self._gif(classes))]
        return [*write_page(target, self.report(title, classes=classes, **report))]

    def _filled(self) -> list[_Frame]:
        frames = self._shown()
        if not frames:
            raise NeurosamError("film", "has no frames; add steps first")
        return frames

    def _gif(self, classes: Sequence[str]) -> bytes:
        """Panels side by side, input first, captions above and the time below."""
        from PIL import Image, ImageDraw, ImageFont

        frames, labels = self._filled(), self.labels
        font: Any = ImageFont.load_default(13)
        pictures = coloured(np.stack([frame.input for frame in frames]))
        high, wide = pictures.shape[2:]
        times = -(-PANEL // max(high, wide))
        size = wide * times, high * times
        peaks = {name: max(float(frame.maps[name].max()) for frame in frames) or 1.0 for name in self.layers}
        gap, top, bottom = 8, 22, 26
        canvas = gap + (1 + len(self.layers)) * (size[0] + gap), top + size[1] + bottom
        palette = Image.new("P", (1, 1))
        palette.putpalette(gif_colours())
        images = []
        for i, frame in enumerate(frames):
            image = Image.new("RGB", canvas, (18, 20, 25))
            draw = ImageDraw.Draw(image)
            input_image = Image.fromarray(np.moveaxis(np.broadcast_to(pictures[i], (3, high, wide)), 0, -1).copy())
            panels = [("input", input_image.resize(size, Image.Resampling.NEAREST))]
            for name in self.layers:
                heat = heated(upsample(frame.maps[name] / peaks[name], (size[1], size[0])))
                panels.append((f"SAM {name}", Image.fromarray(heat)))
            for at, (caption, panel) in enumerate(panels):
                left = gap + at * (size[0] + gap)
                draw.text((left, 3), fitting(draw, caption, font, size[0]), font=font, fill=(232, 234, 238))
                image.paste(panel, (left, top))
            name = answer_name(int(predicted(frame.answer)), classes)
            line = fitting(draw, f"{labels[i]}   answer so far: {name}", font, canvas[0] - 2 * gap)
            draw.text((gap, top + size[1] + 5), line, font=font, fill=(163, 170, 182))
            images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
        seconds = [frame.steps * self.step_us * 1e-6 if self.step_us else SHORTEST_S for frame in frames]
        durations = [round(1000 * min(max(s, SHORTEST_S), LONGEST_S)) for s in seconds]
        durations[-1] = max(durations[-1], 1000)  # rest on the last frame before the film starts again
        buffer = io.BytesIO()
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
        return buffer.getvalue()


def shrunk(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Pixels ``[..., H, W]`` joined by adding up squares, so that no side is longer than ``LONGEST_SIDE``."""
    factor = -(-max(array.shape[-2:]) // LONGEST_SIDE)
    if factor == 1:
        return array
    rows = np.add.reduceat(array, np.arange(0, array.shape[-2], factor), axis=-2)
    return np.asarray(np.add.reduceat(rows, np.arange(0, array.shape[-1], factor), axis=-1))


def sum_of(arrays: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """The sum of equal arrays, without a copy of all of them."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def coloured(inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Pictures ``[T, 3 or 1, H, W]`` of summed input events ``[T, C, H, W]``, all in one scale."""
    channels = inputs.shape[1]
    signed = channels == 1 and inputs.min() < 0
    active = np.abs(inputs[inputs != 0])
    top = float(np.percentile(active, 99)) if active.size else 1.0
    share = np.clip(np.abs(inputs) / top, 0, 1) ** np.float32(0.6)  # single events stay visible beside bursts
    if channels == 3 or (channels == 1 and not signed):
        return np.asarray(np.rint(share * 255), dtype=np.uint8)
    if signed:
        on, off = share[:, 0] * (inputs[:, 0] > 0), share[:, 0] * (inputs[:, 0] < 0)
    elif channels == 2:
        off, on = share[:, 0], share[:, 1]
    else:
        return np.asarray(np.rint(share.max(axis=1, keepdims=True) * 255), dtype=np.uint8)
    rgb = [np.minimum(on * a + off * b, 255) for a, b in zip(ON, OFF, strict=True)]
    return np.asarray(np.rint(np.stack(rgb, axis=1)), dtype=np.uint8)


def heated(share: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A map in [0, 1] in the colours of inferno, ``uint8 [H, W, 3]``."""
    from matplotlib import colormaps

    return np.asarray(np.rint(np.asarray(colormaps["inferno"](share))[..., :3] * 255), dtype=np.uint8)


def gif_colours() -> list[int]:
    """256 colours, as red, green, blue: those of maps, of events, and greys."""
    ramp = np.linspace(0, 1, 32)[:, None]
    maps = heated(np.linspace(0, 1, 160, dtype=np.float32)[None])[0]
    parts = (maps, ramp * np.array(ON), ramp * np.array(OFF), 18 + ramp * np.array((237, 235, 230)))
    return [int(value) for value in np.rint(np.concatenate(parts)).ravel()]


def fitting(draw: Any, text: str, font: Any, width: int) -> str:
    """The text, cut where it is too wide."""
    while draw.textlength(text, font=font) > width and len(text) > 2:
        text = text[:-2] + "…"
    return text
