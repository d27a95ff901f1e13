"""Which layers of an implementation are wrong, and which ones only pass on what they received.

Each layer of the golden network is fed with the spikes that the *other* side sent to it, and then compared with what
the other side made of them. A layer that differs from that differs by itself; one that only differs from the golden run
does what it should with input that was wrong already. A population that receives from itself is fed with the other
side's spikes too. In fixed point the comparison is exact.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import reported
from neurosam.backends.registry import run
from neurosam.equivalence.comparison import report
from neurosam.equivalence.detection import samples_at_once
from neurosam.equivalence.replay import Tape, forced
from neurosam.equivalence.result import Equivalence, merged, shifted
from neurosam.equivalence.tolerance import rounding_of
from neurosam.errors import RangeWarning
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["EQUAL", "FAULTY", "PASSED_ON", "UNKNOWN", "Isolation", "Layer", "isolate"]

FAULTY, PASSED_ON, EQUAL, UNKNOWN = "differs by itself", "differs only in what it received", "equal", "not known"

SPECIFIC = ("spikes", "sam", "sam_scale", "membrane", "current", "counts", "saturated", "wrapped")


@dataclass(frozen=True)
class Layer:
    """One layer of the other side.

    Parameters
    ----------
    name : str
    verdict : str
        "differs by itself", "differs only in what it received", "equal", or "not known".
    by_itself : Equivalence, optional
        The golden layer, fed with the other side's spikes, and the other side.
    whole : Equivalence, optional
        The golden run and the other side.
    missing : str
        Why the verdict is not known.
    """

    name: str
    verdict: str
    by_itself: Equivalence | None = None
    whole: Equivalence | None = None
    missing: str = ""


@dataclass(frozen=True)
class Isolation:
    """The verdict on each layer, in order of evaluation."""

    layers: tuple[Layer, ...]

    @property
    def faulty(self) -> tuple[str, ...]:
        """The layers that differ by themselves."""
        return tuple(layer.name for layer in self.layers if layer.verdict == FAULTY)

    @property
    def equal(self) -> bool:
        """Whether every layer was compared and none differs."""
        return all(layer.verdict == EQUAL for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The result as lists, dicts, numbers and strings, for JSON."""

        def plain(equivalence: Equivalence | None) -> dict[str, Any] | None:
            return None if equivalence is None else equivalence.to_dict()

        return {
            "faulty": list(self.faulty),
            "layers": [
                {"name": x.name, "verdict": x.verdict, "missing": x.missing,
                 "by_itself": plain(x.by_itself), "whole": plain(x.whole)}
                for x in self.layers
            ],
        }  # fmt: skip

    def table(self) -> Table:
        """A table for the terminal, one row per layer."""
        from neurosam._util.tables import PlainTable

        title = f"faults in {', '.join(self.faulty)}" if self.faulty else "no layer differs by itself"
        table = PlainTable(title, self._caption(), caption_justify="left")
        for name in ("layer", "verdict"):
            table.add_column(name)
        for name in ("compared", "differ", "by itself"):
            table.add_column(name, justify="right")
        for layer in self.layers:
            counts = [
                "" if found is None else f"{count:,}"
                for found, count in (
                    (layer.by_itself, layer.by_itself.total.compared if layer.by_itself else 0),
                    (layer.whole, layer.whole.total.mismatches if layer.whole else 0),
                    (layer.by_itself, layer.by_itself.total.mismatches if layer.by_itself else 0),
                )
            ]
            verdict = f"{layer.verdict}: {layer.missing}" if layer.missing else layer.verdict
            table.add_row(layer.name, verdict, *counts, style="bold red" if layer.verdict == FAULTY else None)
        return table

    def _caption(self) -> str:
        firsts = [x.by_itself.divergence for x in self.layers if x.by_itself is not None and x.verdict == FAULTY]
        return "\n".join(f"first by itself: {first}" for first in firsts)


@reported("isolating")
def isolate(
    network: Network,
    events: Events | Mapping[str, Events],
    other: Recording,
    golden: Recording | None = None,
    *,
    backend: str = "event",
    dtype: str = "float64",
    progress: Callable[[int, int], None] | None = None,
) -> Isolation:
    """Separate the faults of an implementation from their consequences.

    Parameters
    ----------
    network : Network
        The golden one.
    events : Events or mapping of str to Events
        Input of both runs.
    other : Recording
        What the other side did: spikes of each layer that sends to another one, and anything else to be compared.
    golden : Recording, optional
        What the network does; run here if None, or if it holds less than `other`.
    backend, dtype : str
        Run the golden network and its layers.
    progress : callable, optional
        Called with samples done and all samples.

    Returns
    -------
    Isolation

    Raises
    ------
    NeurosamError
        If a recording does not fit the input or the network.

    Examples
    --------
    Of a chain of three layers, the other side has one weight of the second wrong:

    >>> from neurosam.equivalence import isolate
    >>> def chain(weight):
    ...     neuron = ns.FixedLIF(membrane_decay=0, threshold=3)
    ...     names = ["in", "first", "second", "third"]
    ...     return ns.Network(
    ...         [ns.Population("in", (1,)), *(ns.Population(name, (1,), neuron) for name in names[1:])],
    ...         [
    ...             ns.Projection(a, b, ns.Dense(np.array([[weight if b == "second" else 2]], np.int8)))
    ...             for a, b in zip(names, names[1:])
    ...         ],
    ...     )
    >>> events = ns.Events.from_dense(np.ones((8, 1, 1), np.uint8))
    >>> other = ns.run(chain(3), events, record=ns.Record.everything(chain(3)))
    >>> result = isolate(chain(2), events, other)
    >>> [layer.verdict for layer in result.layers]
    ['equal', 'differs by itself', 'differs only in what it received']
    """
    inputs = Inputs.of(network, events)
    for name in (*other.spikes, *other.membrane):
        _ = network[name]  # refuses a recording of another network
    Tape(inputs, other)  # refuses one of another length
    tolerance = None if network.fixed else rounding_of(network, inputs.steps, dtype)
    parts: dict[str, list[Layer]] = {
        name: [] for group in network.groups for name in group if network[name].neuron is not None
    }
    if golden is not None and not all(getattr(other, x).keys() <= getattr(golden, x).keys() for x in SPECIFIC):
        golden = None
    size = samples_at_once(network, inputs.steps)
    for start in range(0, inputs.samples, size):
        stop = min(start + size, inputs.samples)
        chunk, theirs = inputs.select(start, stop), other.select(start, stop)
        ours = _run(network, chunk, backend, dtype) if golden is None else golden.select(start, stop)
        tape = Tape(chunk, theirs)
        for name, found in parts.items():
            layer = _layer(network, name, tape, theirs, ours, backend, dtype, tolerance)
            found.append(replace(layer, by_itself=_moved(layer.by_itself, start), whole=_moved(layer.whole, start)))
        if progress is not None:
            progress(stop, inputs.samples)
    return Isolation(tuple(_joined(found) for found in parts.values()))


def _run(network: Network, inputs: Inputs, backend: str, dtype: str) -> Recording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RangeWarning)
        return run(network, inputs, backend, Record.everything(network), dtype=dtype)


def _layer(
    network: Network,
    name: str,
    tape: Tape,
    other: Recording,
    golden: Recording,
    backend: str,
    dtype: str,
    tolerance: float | None,
) -> Layer:
    """The verdict on one layer in some samples."""
    alone = forced(network, name)
    theirs = _only(other, name, network)
    whole = _compared(_only(golden, name, network), theirs, alone, tolerance)
    missing = [p.source for p in network.incoming(name) if p.source not in tape]
    if missing:
        return Layer(name, UNKNOWN, whole=whole, missing=f"the spikes of {missing[0]!r} are not recorded")
    fed = _run(alone, tape.into(alone, name), backend, dtype)
    by_itself = _compared(_only(fed, name, alone), theirs, alone, tolerance)
    if by_itself is None:
        return Layer(name, UNKNOWN, missing="nothing of it is recorded")
    return Layer(name, "", by_itself, whole)


def _only(recording: Recording, name: str, network: Network) -> Recording:
    """What a recording of a network holds of one population, which becomes the output."""
    answers = {network.output: recording.output, **recording.other_outputs}
    answer = answers.get(name) if name in network.answers else None
    kept: dict[str, Any] = {
        field: {n: x for n, x in getattr(recording, field).items() if n == name} for field in SPECIFIC
    }
    return replace(
        recording, output=_none(recording.samples) if answer is None else answer, other_outputs={}, operations={},
        state=None, **kept,
    )  # fmt: skip


def _compared(a: Recording, b: Recording, alone: Network, tolerance: float | None) -> Equivalence | None:
    """Two recordings of one layer, or None if they have nothing in common."""
    if 0 in (a.output.size, b.output.size):
        a, b = (replace(r, output=_none(r.samples)) for r in (a, b))
    shared = [field for field in SPECIFIC if field != "sam_scale" and getattr(a, field) and getattr(b, field)]
    return report(a, b, alone, tolerance) if shared or a.output.size else None


def _none(samples: int) -> npt.NDArray[Any]:
    return np.zeros((samples, 0), np.int64)


def _moved(equivalence: Equivalence | None, start: int) -> Equivalence | None:
    return None if equivalence is None else shifted(equivalence, start)


def _joined(parts: list[Layer]) -> Layer:
    """The verdict on one layer in all samples."""
    first = parts[0]
    own = [part.by_itself for part in parts if part.by_itself is not None]
    whole = [part.whole for part in parts if part.whole is not None]
    by_itself, total = merged(own) if own else None, merged(whole) if whole else None
    if by_itself is None or total is None:
        return replace(first, whole=total)
    verdict = FAULTY if not by_itself.equal else EQUAL if total.equal else PASSED_ON
    return Layer(first.name, verdict, by_itself, total)
