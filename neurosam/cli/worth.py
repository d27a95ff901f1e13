"""``verify --mutants N``: what a pass on a stimulus is worth; ``--isolate``: in which layer a difference begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurosam.cli.common import Named, console, new_file, progress, say
from neurosam.errors import ArgumentError
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.network.network import Network
    from neurosam.signals.recording import Recording

__all__ = ["By", "Isolate", "Mutants", "Search", "SearchOut", "isolated", "worth"]

SHOWN = 12
"""Samples that are named; a JSON file names all."""

Mutants = Annotated[
    int | None,
    typer.Option(
        min=1, show_default=False,
        help="What a pass is worth: change N numbers of the network (weights, thresholds, decays, ...) by one, one at "
        "a time, and count how many changes this stimulus tells apart.",
    ),
]  # fmt: skip
By = Annotated[
    Literal["answers", "spikes", "maps", "membranes"],
    typer.Option(help="For --mutants: what is compared where survivors are listed and searched for."),
]
Search = Annotated[
    str | None,
    typer.Option(
        metavar="COUNT|SECONDSs", show_default=False,
        help="For --mutants: look for samples that tell the survivors apart, in the data and in random spikes: 500 "
        "candidates, or 30s.",
    ),
]  # fmt: skip
SearchOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", show_default=False, help="For --search: write the samples that were found (.h5)."),
]
Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate",
        help="Feed each layer with the other side's spikes, so that a fault is told from its consequences; for two "
        "recordings with --network and their --events.",
    ),
]


def worth(
    network: Network,
    inputs: Inputs,
    count: int,
    level: str,
    search: str | None,
    out: Path | None,
    seed: int,
    more: Callable[[int], Inputs] | None = None,
    force: bool = False,
    backend: str = "event",
    files: Iterable[Named] = (),
) -> dict[str, Any]:
    """Print how many mutants a stimulus tells apart and the margins to the threshold; look for what tells more apart.

    Parameters
    ----------
    network, inputs
    count : int
        Mutants.
    level : str
        What is compared where survivors are counted.
    search : str, optional
        Candidates to try, ``500``, or time to take, ``30s``.
    out : Path, optional
        File for the samples that are found.
    seed : int
    more : callable, optional
        Gives the first samples of the data, as many as are asked for if there are so many; those of the stimulus first.
    force : bool
        Whether `out` may be replaced.
    backend : str
    files : iterable
        What the command reads, which `out` does not replace.

    Returns
    -------
    dict
        For JSON.
    """
    from neurosam.backends.registry import run
    from neurosam.equivalence.detection import samples_at_once
    from neurosam.equivalence.margins import margins
    from neurosam.equivalence.mutants import score
    from neurosam.equivalence.mutation import TRACE
    from neurosam.signals.recording import Record

    limits = {} if search is None else _limits(search)
    if out is not None:
        if search is None:
            raise ArgumentError("--out", "is for what --search finds; give --search too")
        new_file(out, force, (".h5", ".hdf5"), files)
    with progress("mutants") as tick:
        found = score(network, inputs, count, seed=seed, backend=backend, progress=tick)
    if level not in found.levels:
        raise ArgumentError(f"--by {level}", f"is not there to compare; this network has {', '.join(found.levels)}")
    console.print(found.table(level))
    result: dict[str, Any] = {"score": found.to_dict()}
    if any(p.fires and p.neuron is not None for p in network.populations):
        first = inputs.select(0, min(inputs.samples, samples_at_once(network, inputs.steps)))
        histogram = margins(network, run(network, first, backend, Record.everything(network)))
        console.print(histogram.table())
        if first.samples < inputs.samples:
            say(f"margins of the first {first.samples} of {inputs.samples} samples")
        result["margins"] = {"samples": first.samples, **histogram.to_dict()}
    if search is not None:
        seen = found.survivors(level)
        if level in ("answers", "spikes"):  # a trace shows in maps alone
            seen = tuple(o for o in seen if o.mutant.site.kind not in TRACE)
        mutants = [o.mutant for o in seen]
        result["search"] = _search(network, inputs, mutants, level, limits, out, seed, more, backend)
    return result


def _limits(search: str) -> dict[str, Any]:
    """What ``--search`` says, as arguments."""
    text = search.removesuffix("s")
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ArgumentError(
            "--search", f"got {search!r}; a number of candidates is required (500), or of seconds (30s)"
        )
    return {"seconds": float(text)} if search.endswith("s") else {"candidates": int(text)}


def _search(
    network: Network,
    inputs: Inputs,
    mutants: list[Any],
    level: str,
    limits: dict[str, Any],
    out: Path | None,
    seed: int,
    more: Callable[[int], Inputs] | None,
    backend: str,
) -> dict[str, Any]:
    """Look for samples that tell the survivors apart, say what was found, and write it."""
    from neurosam.equivalence.search import search

    with progress("searching") as tick:
        found = search(
            network, mutants, inputs.steps, **limits, level=level, seed=seed, backend=backend, progress=tick,
            data=None if more is None else _Behind(more, inputs.samples).select,
        )  # fmt: skip
    kept = 0 if found.inputs is None else found.inputs.samples
    say(f"search: {found.candidates} candidates in {found.time_s:.1f} s; {kept} samples tell {len(found.told)} of "
        f"{len(mutants)} survivors apart")  # fmt: skip
    if found.origins:
        more_of = f", and {kept - SHOWN} more" if kept > SHOWN else ""
        say(f"kept: {'; '.join(found.origins[:SHOWN])}{more_of}")
    if out is not None and found.inputs is not None:
        held = found.inputs
        (held if len(held) > 1 else next(iter(held.values()))).save(out)
        say(f"wrote {out}")
    elif out is not None:
        say(f"did not write {out}: nothing was found")
    return {
        "candidates": found.candidates, "time_s": found.time_s, "kept": list(found.origins),
        "told": [str(m) for m in found.told], "survivors": [str(m) for m in found.survivors],
    }  # fmt: skip


class _Behind:
    """The samples of the data behind those of the stimulus, loaded in ever larger pieces."""

    def __init__(self, load: Callable[[int], Inputs], first: int) -> None:
        self._load, self._first, self._known = load, first, load(2 * first)

    def select(self, start: int, count: int) -> Inputs:
        """Samples ``start .. start + count``, or as many of them as there are."""
        begin = self._first + start
        if begin + count > self._known.samples:
            self._known = self._load(2 * (begin + count))
        last = self._known.samples
        return self._known.select(min(begin, last), min(begin + count, last))


def isolated(
    network: Network,
    inputs: Inputs,
    other: Recording | str,
    golden: Recording | str,
    dtype: str = "float64",
) -> tuple[bool, dict[str, Any]]:
    """Print which layers of the other side differ by themselves.

    Parameters
    ----------
    network, inputs
    other, golden : Recording, or str
        Recordings, or the back ends that make them.
    dtype : str

    Returns
    -------
    equal : bool
    result : dict
        For JSON.
    """
    from neurosam.backends.registry import run
    from neurosam.equivalence.isolation import isolate
    from neurosam.signals.recording import Record

    start = time.perf_counter()
    everything = Record.everything(network)
    theirs = run(network, inputs, other, everything, dtype=dtype) if isinstance(other, str) else other
    backend = golden if isinstance(golden, str) else "event"
    ours = None if isinstance(golden, str) else golden
    with progress("isolating") as tick:
        result = isolate(network, inputs, theirs, ours, backend=backend, dtype=dtype, progress=tick)
    console.print(result.table())
    return result.equal, {**result.to_dict(), "time_s": time.perf_counter() - start}
