"""``neurosam verify`` of recordings: two of them, or one and what its network does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurosam.cli.common import network_in, progress
from neurosam.cli.event_files import read_inputs
from neurosam.cli.recording_files import Extent, is_foreign, read_like
from neurosam.cli.verify_runs import Found, Runs, shown
from neurosam.errors import NeurosamError
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.network.network import Network
    from neurosam.signals.recording import Recording

__all__ = ["loaded", "recordings", "run_of", "with_run"]


def recordings(
    a: Path,
    b: Path,
    network: Path | None,
    runs: Runs,
    given: Sequence[str],
    required: Sequence[str],
    silent: Sequence[str],
) -> Found:
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
    first, second = loaded((a, b), net, silent)
    tolerance = None if net is None or net.fixed else rounding_of(net, first.steps, runs.dtype)
    largest = largest_events(read_inputs(runs.events, net)) if runs.events and net is not None else None
    equivalence = compare_recordings(first, second, net, tolerance, largest=largest)
    found = shown({"": equivalence}, required, net)
    return Found(found.equal, found.lacking, equivalence.to_dict())


def with_run(
    a: Path, b: Path, runs: Runs, given: Sequence[str], required: Sequence[str], silent: Sequence[str]
) -> Found:
    """What a network does, and a recording of the same input."""
    from neurosam.equivalence.against import verify_recording

    names = runs.names() if "backends" in given else ("event",)
    net, inputs, made = run_of(a, b, runs, silent)
    with progress("verifying") as tick:
        results = verify_recording(net, inputs, made, names, progress=tick, dtype=runs.dtype)
    return shown(results, required, net)


def run_of(a: Path, b: Path, runs: Runs, silent: Sequence[str]) -> tuple[Network, Inputs, Recording]:
    """A network, what it is to be run on, and a recording of that."""
    if not runs.events and runs.data is None:
        raise NeurosamError(f"{a} and {b}", "are a network and a recording; give the --events that were recorded")
    net = network_in(a)
    inputs = runs.inputs(net)
    return net, inputs, _read(b, net, Extent(0, inputs.steps, inputs.samples), silent)


def loaded(
    paths: tuple[Path, Path], network: Network | None, silent: Sequence[str] = ()
) -> tuple[Recording, Recording]:
    """Both recordings; one of ours tells how long one of other software is."""
    held: dict[Path, Recording] = {}
    like: Extent | None = None
    for path in sorted(paths, key=is_foreign):
        held[path] = made = _read(path, network, like, silent)
        like = like or Extent(made.first_step, made.steps, made.samples)
    return held[paths[0]], held[paths[1]]


def _read(path: Path, network: Network | None, like: Extent | None, silent: Sequence[str]) -> Recording:
    from neurosam.hdf5.files import load_recording

    if not is_foreign(path):
        return load_recording(path, mapped=True)
    if network is None:
        raise NeurosamError(str(path), "holds no shapes of its own; give the --network that was run")
    return read_like(path, network, like, silent)
