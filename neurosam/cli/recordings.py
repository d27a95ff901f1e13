"""``neurosam run NET RECORDING...``: run recordings of event cameras, piece by piece, and draw a film of the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from neurosam._util.packages import require_package
from neurosam.cli.common import progress, say
from neurosam.cli.errors import report_warning
from neurosam.cli.given import Given
from neurosam.cli.summary import Totals, show_answers, show_totals
from neurosam.errors import EventError, NetworkError
from neurosam.formats.events.binning import Tally, joined
from neurosam.formats.events.read import chunks, read_events_file
from neurosam.formats.events.rules import EventRules
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.answer import accuracy_text, predicted
from neurosam.signals.events import Events
from neurosam.signals.overflow import REMEDY
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.backends.session import Session
    from neurosam.report.film import Film
    from neurosam.sweep.workers import Workers

__all__ = ["FilmRequest", "read_all", "run_recordings", "run_recordings_by"]

INPUT = "orange: on, blue: off; white: one channel"
FRAME_US = 5000
"""Time in a frame of a film, unless --window says otherwise; one step, if that is longer."""
CHUNK_STEPS, CHUNK_CELLS = 256, 1 << 25
"""Most steps in a piece, and most numbers of neuron and step of its input."""


@dataclass
class Streamed:
    """What running recordings gave."""

    answers: npt.NDArray[Any]
    steps: list[int]
    events: int
    tally: Tally
    totals: Totals
    wall_s: float


class FilmRequest(NamedTuple):
    """A film to draw: its file, or None for no film; its layers, comma-separated; and the steps in a frame."""

    file: Path | None
    layers: str
    window: int | None


def run_recordings(
    net: Network, found: Given, rules: EventRules, picture: FilmRequest, backend: str, **options: Any
) -> None:
    """Run recordings piece by piece, report, and write the film."""
    film = None
    if picture.file is not None:
        if picture.file.suffix.lower() == ".gif":
            require_package("--film", "PIL", "matplotlib")
        net, film = _film(net, picture, rules)
    result = _stream(net, found.recordings, rules, backend, film, **options)
    _show(net, found, rules, backend, result)
    if film is not None and picture.file is not None:
        _save(net, film, picture.file, found, rules, backend, result)


def run_recordings_by(
    workers: Workers, net: Network, file: Path, found: Given, rules: EventRules, picture: FilmRequest, backend: str,
    **options: Any,
) -> None:  # fmt: skip
    """Run recordings by several workers, some files each, and report."""
    from neurosam.hdf5.files import digest
    from neurosam.sweep.chunks import Chunks
    from neurosam.sweep.execution import gather

    if picture.file is not None:
        raise EventError("--film", "is drawn while a recording streams; leave out --jobs and --dask")
    files = [path.resolve() for path in found.recordings]
    name, begin = digest(net), time.perf_counter()

    def work(chunk: range) -> Callable[[], Streamed]:
        some = files[chunk.start : chunk.stop]
        return partial(_stream_files, str(file.resolve()), name, some, rules, backend, options)

    with progress(f"running on {backend}") as tick:
        chunks = Chunks([range(len(files))])
        parts = [part for _, part in gather(workers, chunks, work, len(files), tick)]
    _show(net, found, rules, backend, _together(parts, time.perf_counter() - begin))


def _stream_files(
    file: str, name: str, files: Sequence[Path], rules: EventRules, backend: str, options: dict[str, Any]
) -> Streamed:
    """Run some recordings, in a worker."""
    from neurosam.sweep.worker import loaded, one_thread

    network = loaded(file, name)
    one_thread()
    return _stream(network, files, rules, backend, shown=False, threads=1, **options)


def _together(parts: Sequence[Streamed], wall_s: float) -> Streamed:
    """What running all recordings gave, from what some of them each gave, in order."""
    tally, totals = Tally(), Totals()
    for part in parts:
        tally.add(part.tally)
        totals.join(part.totals)
    return Streamed(
        np.concatenate([part.answers for part in parts]), [n for part in parts for n in part.steps],
        sum(part.events for part in parts), tally, totals, wall_s,
    )  # fmt: skip


def _show(net: Network, found: Given, rules: EventRules, backend: str, result: Streamed) -> None:
    """Print what running recordings gave."""
    totals, count = result.totals, len(found.recordings)
    lengths = f"{min(result.steps)}" + (f" to {max(result.steps)}" if min(result.steps) != max(result.steps) else "")
    show_totals(net, totals, f"{count} recording{'s' * (count > 1)} x {lengths} steps on {backend}", "recording")
    say(f"rules: {rules}")
    say(str(result.tally))
    rate = f"{totals.steps / result.wall_s:,.0f} steps/s, {result.tally.read / result.wall_s:,.0f} events/s"
    operations = f", {totals.operations / totals.time_s / 1e9:.2f} G synaptic operations/s" if totals.time_s else ""
    say(f"{result.wall_s:.3f} s with reading: {rate}{operations if totals.operations else ''}")
    predictions = predicted(result.answers.reshape(count, -1))
    if max(result.steps) == 1 and result.tally.read > 1 and rules.steps is None:
        report_warning(
            f"everything lies within one step of {rules.dt_us} us; is the unit another one (--rule unit=ms)?"
        )
    if found.labels is not None:
        say(f"accuracy {accuracy_text(predictions, found.labels)} on {count} recordings")
    show_answers(net, predictions.tolist(), [path.name for path in found.recordings])
    if any(totals.saturated.values()) or any(totals.wrapped.values()):
        report_warning(f"integers left their range (table above), so answers may be wrong. {REMEDY}")


def _save(
    net: Network, film: Film, file: Path, found: Given, rules: EventRules, backend: str, result: Streamed
) -> None:  # fmt: skip
    """Write the film of the first recording."""
    first = found.recordings[0]
    page: dict[str, Any] = {} if file.suffix.lower() == ".gif" else {
        "name": first.name,
        "label": None if found.labels is None else found.labels[0],
        "provenance": {"recording": first.name, "back end": backend, "steps": result.steps[0], "rules": str(rules),
                       "input": INPUT},
    }  # fmt: skip
    film.save(file, f"What the network saw in {first.name}", Stimulus.from_metadata(net.metadata).classes, **page)
    say(f"wrote {file}: {film.length} frames")


def read_all(files: Sequence[Path], network: Network, rules: EventRules) -> tuple[Events, Tally]:
    """Read whole recordings as the samples of one run."""
    tally = Tally()
    return joined([read_events_file(path, network.input.shape, rules, tally=tally) for path in files]), tally


def _film(network: Network, picture: FilmRequest, rules: EventRules) -> tuple[Network, Film]:
    """A film to be filled, and the network with the traces that it needs."""
    from neurosam.explain.sam import SAM
    from neurosam.report.film import Film

    names = [name.strip() for name in picture.layers.split(",") if name.strip()]
    if not names:
        names = [name for name in network.sam if len(network[name].shape) == 3] or [
            p.name for p in network.populations if p.neuron is not None and p.fires and len(p.shape) == 3
        ]
    if not names:
        raise NetworkError("--film", "needs a spiking layer of shape (C, H, W), and the network has none")
    traced = SAM(network, names).traced(None)
    return traced, Film(traced, names, picture.window or -(-FRAME_US // (rules.dt_us or FRAME_US)), rules.dt_us)


def _stream(
    network: Network, files: Sequence[Path], rules: EventRules, backend: str, film: Film | None = None,
    shown: bool = True, **options: Any,
) -> Streamed:  # fmt: skip
    """Run recordings one after the other, each from the initial state and in pieces.

    `options` are those of :class:`neurosam.Session`. The film is of the first recording. Progress may be `shown`.
    """
    from neurosam.backends.session import Session

    shape = network.input.shape
    length = max(1, min(CHUNK_STEPS, CHUNK_CELLS // neurons(shape)))
    tally, totals = Tally(), Totals()
    answers, steps, events = [], [], 0
    if film is None:  # maps are for a film alone
        network = replace(network, sam={})
    session = Session(network, backend, record=None if film is None else film.record, **options)
    begin = time.perf_counter()
    with _speed(f"running on {backend}", len(files), shown) as tick:
        for number, path in enumerate(files):
            reel = film if number == 0 else None
            if number:
                session.reset()
            if number == 1 and film is not None:
                session = Session(replace(network, sam={}), backend, **options)
            for piece in _pieces(chunks(path, shape, rules, length, tally=tally), reel):
                _advance(session, piece, totals, reel, path)
                events += len(piece)
                tick(number, totals.steps, tally.read)
            totals.samples += 1
            steps.append(session.step_count)
            answers.append(session.outputs[network.output][0])
    return Streamed(np.stack(answers), steps, events, tally, totals, time.perf_counter() - begin)


def _advance(session: Session, piece: Events, totals: Totals, film: Film | None, path: Path) -> None:
    """Run one piece, and count what it did."""
    try:
        recording = session.advance(piece)
    except EventError as error:
        raise EventError(f"{path}: {error.where}", error.problem) from None
    totals.add(recording)
    if film is not None:
        film.add(piece, recording, session.outputs[session.network.output])


def _pieces(parts: Iterator[Events], film: Film | None) -> Iterator[Events]:
    """The chunks, cut where a frame of the film ends."""
    for chunk in parts:
        start = 0
        while start < chunk.steps:
            stop = chunk.steps if film is None else min(chunk.steps, start + film.room)
            yield chunk if stop - start == chunk.steps else _steps(chunk, start, stop)
            start = stop


def _steps(events: Events, start: int, stop: int) -> Events:
    """The steps ``start:stop``, numbered from 0."""
    first, last = np.searchsorted(events.time, (start, stop))
    value = None if events.value is None else events.value[first:last]
    return Events(
        events.time[first:last] - start, events.sample[first:last], events.neuron[first:last], stop - start,
        events.samples, events.shape, value,
    )  # fmt: skip


@contextmanager
def _speed(title: str, recordings: int, shown: bool) -> Iterator[Any]:
    """A line of progress on standard error, with steps and events a second; nothing where it is no terminal."""
    stderr = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=stderr, transient=True, disable=not (shown and stderr.is_terminal)) as bar:
        task, begin = bar.add_task(title, total=None), time.perf_counter()

        def tick(done: int, steps: int, events: int) -> None:
            passed = max(time.perf_counter() - begin, 1e-9)
            which = f"recording {done + 1} of {recordings}, " if recordings > 1 else ""
            speed = f"{steps:,} steps ({steps / passed:,.0f}/s), {events:,} events ({events / passed:,.0f}/s)"
            bar.update(task, description=f"{title}: {which}{speed}")

        yield tick
