"""``neurosam verify``: compare two files, or the back ends on one network; exit status 1 if anything differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosam._util.atomic_write import write_text
from neurosam.cli.common import console, network_in, new_file, progress, say
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Data, Dtype, Seed, Size, Steps, presented
from neurosam.cli.recording_files import is_foreign, read_like
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.cli.worth import By, Isolate, Mutants, Search, SearchOut, isolated, worth
from neurosam.errors import FormatError, NeurosamError
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.equivalence.result import Equivalence
    from neurosam.network.network import Network
    from neurosam.signals.recording import Recording

__all__ = ["verify"]

JSON = (".json",)
FOREIGN = "recording of other software"
OF_RUNS = ("backends", "data", "size", "events", "samples", "steps", "seed")
"""Options that say what to run."""


def verify(
    context: typer.Context,
    a: Annotated[
        Path, typer.Argument(help="A network file, or the first of two networks or recordings (.h5, .npz, .csv).")
    ],
    b: Annotated[Path | None, typer.Argument(help="The second file, to compare two.", show_default=False)] = None,
    backends: Annotated[
        str,
        typer.Option(
            help="For one network: back ends to run; the others are compared with the first. For two networks: back "
            "ends that run both."
        ),
    ] = "reference,event",
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.", callback=mark_requested)] = 50,
    steps: Steps = None,
    seed: Seed = 0,
    dtype: Dtype = "float64",
    network: Annotated[
        Path | None,
        typer.Option(
            help="For two recordings: their network, which gives the order of layers and the distances to threshold. "
            "Recordings in .npz and .csv need it.",
            show_default=False,
        ),
    ] = None,
    require: Annotated[
        str | None,
        typer.Option(
            help="What has to have been compared, as in spikes,membrane.conv1,steps; exit status 1 if it was not.",
            show_default=False,
        ),
    ] = None,
    mutants: Mutants = None,
    by: By = "spikes",
    search: Search = None,
    out: SearchOut = None,
    isolate: Isolate = False,
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> None:
    """Compare all that one network gives on several back ends (spikes, membranes, maps, answers, ...), or two files.

    Exit status 0 if all are equal, 1 if anything differs or a requirement was
    not compared; the first difference is located. Floats are compared up to
    the rounding of --dtype; for two recordings made in float32, give their
    --network as well. Two networks are compared field by field, and with
    --events, --data or --samples also by what they do.
    """
    if report is not None:
        new_file(report, force, JSON, (a, b, network, data, events))
    given = [name for name in OF_RUNS if (s := context.get_parameter_source(name)) and s.name != "DEFAULT"]
    required = _words(require)
    runs = _Runs(backends, data, size, events, samples, steps, seed, dtype)
    kinds = [_kind(path) for path in (a, b) if path is not None and (b is not None)]
    if mutants is None and (search is not None or out is not None):
        raise NeurosamError("--search and --out", "look for what tells mutants apart; give --mutants too")
    if required and (isolate or mutants is not None):
        raise NeurosamError("--require", "is about a comparison; leave it out with --mutants and --isolate")
    if mutants is not None:
        if b is not None or isolate or network is not None:
            raise NeurosamError("--mutants", "is for one network; leave out the second file, --network and --isolate")
        backend = runs.names()[0] if "backends" in given else "event"
        net = network_in(a)
        result = worth(
            net,
            runs.inputs(net),
            mutants,
            by,
            search,
            out,
            seed,
            None if events else runs.more(net),
            force,
            backend,
            (a, data, events),
        )
        found = _Found(True, (), result)
    elif isolate:
        found = _isolated(a, b, runs, network)
    elif b is None:
        found = _backends(a, runs, network, required)
    elif kinds == ["network", "network"]:
        found = _networks(a, b, runs if given else None, network, required)
    elif set(kinds) <= {"recording", FOREIGN}:
        found = _recordings(a, b, network, runs, [name for name in given if name != "events"], required)
    else:
        raise FormatError(f"{a} and {b}", f"hold a {kinds[0]} and a {kinds[1]}; give two networks or two recordings")
    if found.lacking:
        say(f"not a pass: required, but not compared: {'; '.join(found.lacking)}")
    if report is not None:
        result = {"equal": found.equal, "lacking": list(found.lacking), "result": found.result}
        write_text(report, json.dumps(result, indent=2, allow_nan=False) + "\n")
        say(f"wrote {report}")
    if not found.equal or found.lacking:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Runs:
    """What to run, as the options say."""

    backends: str
    data: str | None
    size: int | None
    events: list[str] | None
    samples: int
    steps: int | None
    seed: int
    dtype: str

    def inputs(self, network: Network) -> Inputs:
        if self.events and (self.data is not None or self.size is not None):
            raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
        if self.events:
            return first_samples(read_inputs(self.events, network), self.samples)
        images = presented(network, self.data, self.samples, self.seed, self.steps, size=self.size)
        return Inputs.of(network, images[0])

    def more(self, network: Network) -> Callable[[int], Inputs]:
        """A function that gives the first samples of the data, as many as there are up to a number."""
        return lambda count: replace(self, samples=count).inputs(network)

    def names(self) -> tuple[str, ...]:
        """The back ends; a missing one is reported before the others run."""
        from neurosam.backends.registry import load_backend

        requested = tuple(name.strip() for name in self.backends.split(",") if name.strip())
        if not requested:
            raise NeurosamError("--backends", "names none; give at least one")
        for name in requested:
            load_backend(name)
        return requested


@dataclass(frozen=True)
class _Found:
    """Whether all is equal, what was required but not compared, and the result for JSON."""

    equal: bool
    lacking: tuple[str, ...]
    result: dict[str, Any]


def _words(require: str | None) -> tuple[str, ...]:
    """What is required, checked before anything runs."""
    from neurosam.equivalence.required import check_word

    words = tuple(word.strip() for word in (require or "").split(",") if word.strip())
    for word in words:
        check_word(word)
    return words


def _kind(path: Path) -> str:
    from neurosam.hdf5.files import file_kind

    return FOREIGN if is_foreign(path) else file_kind(path)


def _backends(path: Path, runs: _Runs, network: Path | None, required: Sequence[str]) -> _Found:
    """The back ends on one network."""
    from neurosam.equivalence.comparison import verify as verify_network

    if network is not None:
        raise NeurosamError("--network", f"is for two recordings; {path} is the network that is run")
    requested = runs.names()
    net = network_in(path)
    inputs = runs.inputs(net)
    with progress("verifying") as tick:
        results = verify_network(net, inputs, requested, progress=tick, dtype=runs.dtype)
    return _shown(results, required, net)


def _networks(
    a: Path, b: Path, runs: _Runs | None, network: Path | None, required: Sequence[str]
) -> _Found:  # fmt: skip
    """Two descriptions, and what they do if that was asked for."""
    from neurosam.equivalence.behaviour import compare_behaviour
    from neurosam.equivalence.comparison import compare_networks

    if network is not None:
        raise NeurosamError("--network", "is for two recordings; these are networks")
    if required and runs is None:
        raise NeurosamError("--require", "is about what two networks do; give --events, --data or --samples as well")
    first, second = (network_in(path) for path in (a, b))
    difference = compare_networks(first, second)
    say("equal bit for bit" if difference is None else f"first difference: {difference}")
    described = None if difference is None else str(difference)
    if runs is None:
        say("what they do was not compared; give --events, --data or --samples to run both")
        return _Found(difference is None, (), {"difference": described, "behaviour": None})
    names, inputs = runs.names(), runs.inputs(first)
    try:
        with progress("verifying") as tick:
            results = compare_behaviour(
                first, second, inputs, names, (str(a), str(b)), progress=tick, dtype=runs.dtype
            )  # fmt: skip
    except NeurosamError as error:
        if difference is None:
            raise
        say(f"what they do cannot be compared: {error}")
        return _Found(False, tuple(required), {"difference": described, "behaviour": None})
    found = _shown(results, required, first, lambda backend: f"on {backend}: ")
    return _Found(
        found.equal and difference is None, found.lacking, {"difference": described, "behaviour": found.result}
    )


def _recordings(
    a: Path, b: Path, network: Path | None, runs: _Runs, given: Sequence[str], required: Sequence[str]
) -> _Found:
    """Two recordings, of which some may have been made by other software."""
    from neurosam.equivalence.comparison import largest_events
    from neurosam.equivalence.comparison import report as compare_recordings
    from neurosam.equivalence.tolerance import rounding_of

    if given:
        raise NeurosamError(f"--{given[0]}", "is for networks, which are run; two recordings are compared as they are")
    if network is None and (runs.dtype != "float64" or runs.events):
        option = f"--dtype {runs.dtype}" if runs.dtype != "float64" else "--events"
        raise NeurosamError(option, "needs the --network of the recordings: its rounding depends on it")
    net = None if network is None else network_in(network)
    first, second = _loaded((a, b), net)
    tolerance = None if net is None or net.fixed else rounding_of(net, first.steps, runs.dtype)
    largest = largest_events(read_inputs(runs.events, net)) if runs.events and net is not None else None
    equivalence = compare_recordings(first, second, net, tolerance, largest=largest)
    found = _shown({"": equivalence}, required, net)
    return _Found(found.equal, found.lacking, equivalence.to_dict())


def _isolated(a: Path, b: Path | None, runs: _Runs, network: Path | None) -> _Found:
    """The layers of a recording, or of a back end, against those of the golden one, which comes first."""
    if b is None:
        golden, *others = runs.names()
        if len(others) != 1 or network is not None:
            raise NeurosamError("--isolate", "takes one network and two --backends, or two recordings and a --network")
        net = network_in(a)
        equal, result = isolated(net, runs.inputs(net), others[0], golden, runs.dtype)
    else:
        if network is None or {_kind(a), _kind(b)} & {"network"}:
            raise NeurosamError(
                "--isolate", "of two recordings needs their --network and the --events that both ran on"
            )
        net = network_in(network)
        ours, theirs = _loaded((a, b), net)
        equal, result = isolated(net, runs.inputs(net), theirs, ours, runs.dtype)
    return _Found(equal, (), result)


def _loaded(paths: tuple[Path, Path], network: Network | None) -> tuple[Recording, Recording]:
    """Both recordings; one of ours tells how long one of other software is."""
    from neurosam.hdf5.files import load_recording

    ours = {path: load_recording(path, mapped=True) for path in paths if not is_foreign(path)}
    golden = next(iter(ours.values()), None)
    for path in paths:
        if path not in ours:
            if network is None:
                raise NeurosamError(str(path), "holds no shapes of its own; give the --network that was run")
            ours[path] = golden_or_not = read_like(path, network, golden)
            golden = golden or golden_or_not
    return ours[paths[0]], ours[paths[1]]


def _shown(
    results: Mapping[str, Equivalence],
    required: Sequence[str],
    network: Network | None,
    title: Callable[[str], str] = lambda _: "",
) -> _Found:
    """Print the results, and see what they lack."""
    from neurosam.equivalence.required import lacking

    missing: list[str] = []
    for name, equivalence in results.items():
        if title(name):
            say(title(name))
        console.print(equivalence.table())
        missing += lacking(equivalence, required, network)
    return _Found(
        all(e.equal for e in results.values()), tuple(dict.fromkeys(missing)),
        {name: e.to_dict() for name, e in results.items()},
    )  # fmt: skip
