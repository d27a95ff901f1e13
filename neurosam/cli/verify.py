"""``neurosam verify``: compare two files, or the back ends on one network; exit status 1 if anything differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam._util.atomic_write import write_text
from neurosam.cli.common import network_in, new_file, progress, say
from neurosam.cli.event_files import EventsFiles
from neurosam.cli.inputs import Data, Dtype, Seed, Size, Steps
from neurosam.cli.recording_files import Silent, is_foreign, names_in
from neurosam.cli.sample_count import mark_requested
from neurosam.cli.verify_recordings import loaded, recordings, run_of, with_run
from neurosam.cli.verify_runs import Found, Runs, shown
from neurosam.cli.workers import Dask, Jobs, workers_of
from neurosam.cli.worth import By, Isolate, Mutants, Search, SearchOut, isolated, worth
from neurosam.errors import FormatError, NeurosamError

if TYPE_CHECKING:
    from neurosam.sweep.workers import Workers

__all__ = ["verify"]

JSON = (".json",)
FOREIGN = "recording of other software"
RECORDINGS = {"recording", FOREIGN}
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
            "ends that run both. For a network and a recording: those compared with it (default: event)."
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
    silent: Silent = None,
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
    jobs: Jobs = None,
    dask: Dask = None,
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> None:
    """Compare all that one network gives on several back ends (spikes, membranes, maps, answers, ...), or two files.

    With a network and a recording of other software, the network is run on the
    --events that were recorded. Exit status 0 if all are equal, 1 if anything differs or a requirement was
    not compared; the first difference is located. Floats are compared up to
    the rounding of --dtype; for two recordings made in float32, give their
    --network as well. Two networks are compared field by field, and with
    --events, --data or --samples also by what they do.
    """
    if report is not None:
        new_file(report, force, JSON, (a, b, network, data, events))
    if (jobs is not None or dask is not None) and (b is not None or isolate or mutants is not None):
        raise NeurosamError("--jobs and --dask", "are for the back ends on one network; leave them out here")
    given = [name for name in OF_RUNS if (s := context.get_parameter_source(name)) and s.name != "DEFAULT"]
    required = _words(require)
    runs = Runs(backends, data, size, events, samples, steps, seed, dtype)
    kinds = [_kind(path) for path in (a, b) if path is not None and (b is not None)]
    if silent is not None and not any(path is not None and path.suffix.lower() == ".csv" for path in (a, b)):
        raise NeurosamError("--silent", "is for recordings in .csv; other files hold what was recorded")
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
        found = Found(True, (), result)
    elif isolate:
        found = _isolated(a, b, runs, network, kinds, names_in(silent))
    elif b is None:
        found = _backends(a, runs, network, required, workers_of(jobs, dask))
    elif kinds == ["network", "network"]:
        found = _networks(a, b, runs if given else None, network, required)
    elif set(kinds) <= RECORDINGS:
        others = [name for name in given if name != "events"]
        found = recordings(a, b, network, runs, others, required, names_in(silent))
    elif kinds[0] == "network" and kinds[1] in RECORDINGS:
        if network is not None:
            raise NeurosamError("--network", f"is for two recordings; {a} is the network that is run")
        found = with_run(a, b, runs, given, required, names_in(silent))
    else:
        raise FormatError(
            f"{a} and {b}",
            f"hold a {kinds[0]} and a {kinds[1]}; give two networks, two recordings, or a network and a recording",
        )
    if found.lacking:
        say(f"not a pass: required, but not compared: {'; '.join(found.lacking)}")
    if report is not None:
        result = {"equal": found.equal, "lacking": list(found.lacking), "result": found.result}
        write_text(report, json.dumps(result, indent=2, allow_nan=False) + "\n")
        say(f"wrote {report}")
    if not found.equal or found.lacking:
        raise typer.Exit(1)


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


def _backends(
    path: Path, runs: Runs, network: Path | None, required: Sequence[str], workers: Workers | None
) -> Found:  # fmt: skip
    """The back ends on one network."""
    from neurosam.equivalence.comparison import verify as verify_network
    from neurosam.sweep.source import Spikes
    from neurosam.sweep.tally import verify_sweep

    if network is not None:
        raise NeurosamError("--network", f"is for two recordings; {path} is the network that is run")
    requested = runs.names()
    net = network_in(path)
    inputs = runs.inputs(net)
    with progress("verifying") as tick:
        if workers is None:
            results = verify_network(net, inputs, requested, progress=tick, dtype=runs.dtype)
        else:
            source = Spikes(net, inputs)
            results = verify_sweep(net, path, source, workers, requested, dtype=runs.dtype, progress=tick)
    return shown(results, required, net)


def _networks(
    a: Path, b: Path, runs: Runs | None, network: Path | None, required: Sequence[str]
) -> Found:  # fmt: skip
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
        return Found(difference is None, (), {"difference": described, "behaviour": None})
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
        return Found(False, tuple(required), {"difference": described, "behaviour": None})
    found = shown(results, required, first, lambda backend: f"on {backend}: ")
    return Found(
        found.equal and difference is None, found.lacking, {"difference": described, "behaviour": found.result}
    )


def _isolated(
    a: Path, b: Path | None, runs: Runs, network: Path | None, kinds: Sequence[str], silent: Sequence[str]
) -> Found:
    """The layers of a recording, or of a back end, against those of the golden one, which comes first."""
    if b is None:
        golden, *others = runs.names()
        if len(others) != 1 or network is not None:
            raise NeurosamError("--isolate", "takes one network and two --backends, or two recordings and a --network")
        net = network_in(a)
        equal, result = isolated(net, runs.inputs(net), others[0], golden, runs.dtype)
    elif kinds[0] == "network" and kinds[1] in RECORDINGS and network is None:
        net, inputs, theirs = run_of(a, b, runs, silent)
        equal, result = isolated(net, inputs, theirs, "event", runs.dtype)
    else:
        if network is None or "network" in kinds:
            raise NeurosamError(
                "--isolate", "of two recordings needs their --network and the --events that both ran on"
            )
        net = network_in(network)
        ours, theirs = loaded((a, b), net, silent)
        equal, result = isolated(net, runs.inputs(net), theirs, ours, runs.dtype)
    return Found(equal, (), result)
