"""How near membranes come to the threshold: the margins of all decisions of a run, from its recording.

In each step of each neuron something is decided: whether it fires, or fires once more. The margin is the distance of
the membrane from the bar that decides (threshold.py), in units of the membrane's last place, of which a threshold's own
unit is 64. A mistake smaller than every margin of a layer changes no spike of it; one unit of a threshold is noticed
where a margin is below 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS
from neurosam.equivalence.divergence import Variable
from neurosam.equivalence.threshold import decided
from neurosam.errors import NeurosamError
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, neurons
from neurosam.signals.recording import Recording

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Margins", "margins"]

BINS = 26
"""A margin m is in bin ``ceil(log2(m + 1))``: 0, 1, 2..3, 4..7, ...; a membrane and a threshold have 24 bits."""
BAR = 8


@dataclass(frozen=True)
class Margins:
    """Histograms of margins, by layer.

    Parameters
    ----------
    silent, fired : mapping of str to (26,) int64 array
        Decisions of neurons that did not fire, and that did: bin 0 counts margins of 0, bin k those of
        ``2^(k-1) .. 2^k - 1`` units of the membrane's last place.
    unknown : mapping of str to int
        Decisions whose membrane is not known from the recording, after a reset to a value or at a lower bound.
    near : mapping of str to int
        Neurons of which some margin is below one unit of the threshold.
    size : mapping of str to int
        Neurons.
    """

    silent: dict[str, npt.NDArray[np.int64]]
    fired: dict[str, npt.NDArray[np.int64]]
    unknown: dict[str, int]
    near: dict[str, int]
    size: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The result as lists, dicts, numbers and strings, for JSON."""
        return {
            "unit": "last place of the membrane; one unit of a threshold is 64",
            "bins": [f"{low}..{high}" for low, high in map(_range, range(BINS))],
            "layers": {
                name: {
                    "silent": self.silent[name].tolist(), "fired": self.fired[name].tolist(),
                    "unknown": self.unknown[name], "near": self.near[name], "neurons": self.size[name],
                }
                for name in self.silent
            },
        }  # fmt: skip

    def table(self) -> Table:
        """A table for the terminal: a row for each range of margins, a column for each layer."""
        from neurosam._util.tables import PlainTable

        title = "margins to the threshold: decisions, silent + fired"
        table = PlainTable(title, self._caption(), caption_justify="left")
        table.add_column("margin", justify="right")
        for name in self.silent:
            table.add_column(name, justify="right")
        total = {name: self.silent[name] + self.fired[name] for name in self.silent}
        used = [i for i in range(BINS) if any(counts[i] for counts in total.values())]
        largest = max((int(counts.max(initial=0)) for counts in total.values()), default=1)
        for i in range(used[-1] + 1) if used else []:
            low, high = _range(i)
            cells = [
                f"{self.silent[name][i]:,} + {self.fired[name][i]:,} {_bar(int(total[name][i]), largest)}"
                for name in total
            ]
            table.add_row(str(low) if low == high else f"{low}..{high}", *cells)
        if any(self.unknown.values()):
            table.add_row("not known", *(f"{self.unknown[name]:,} {' ' * BAR}" for name in total))
        return table

    def _caption(self) -> str:
        unit = 1 << FRACTION_BITS
        near = ", ".join(f"{name} {self.near[name]:,} of {self.size[name]:,}" for name in self.near)
        units = f"in units of the membrane's last place; a threshold's is {unit}"
        return f"{units}\nneurons with a margin below {unit}: {near}"


def _bar(count: int, largest: int) -> str:
    """A bar of up to 8 characters."""
    length = -(-count * BAR // max(largest, 1))
    return "#" * length + " " * (BAR - length)


def _range(i: int) -> tuple[int, int]:
    """Smallest and largest margin of a bin."""
    return (0, 0) if i == 0 else (1 << (i - 1), (1 << i) - 1)


def margins(network: Network, recording: Recording) -> Margins:
    """Histograms of the margins to the threshold in a run that began in the network's initial state.

    Parameters
    ----------
    network : Network
        In fixed point.
    recording : Recording
        With spikes and membranes of the layers that are to be counted.

    Raises
    ------
    NeurosamError
        For a float network, or a recording that has no layer with both.

    Examples
    --------
    >>> from neurosam.equivalence import margins
    >>> network = ns.Network(
    ...     [ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedLIF(membrane_decay=0, threshold=3))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[2]], np.int8)))],
    ... )
    >>> run = ns.run(network, ns.Events.from_dense(np.ones((2, 1, 1), np.uint8)), record=ns.Record.everything(network))
    >>> found = margins(network, run)  # silent at 2 * 64, 64 below 3 * 64; then fires at 4 * 64, 64 above
    >>> found.silent["out"].nonzero()[0], found.fired["out"].nonzero()[0]
    (array([7]), array([7]))
    """
    if not network.fixed:
        raise NeurosamError("margins", "are counted in units of the last place, which a float network does not have")
    names = [
        p.name for p in network.populations
        if isinstance(p.neuron, FixedLIF) and p.name in recording.spikes and p.name in recording.membrane
    ]  # fmt: skip
    if not names:
        raise NeurosamError("margins", "need spikes and membranes of a layer; record both (Record.everything)")
    silent, fired = ({name: np.zeros(BINS, np.int64) for name in names} for _ in range(2))
    unknown, near = dict.fromkeys(names, 0), {}
    for name in names:
        shape = network[name].shape
        close = np.zeros(neurons(shape), bool)
        for sample in range(recording.samples):
            one = recording.select(sample, sample + 1)
            spikes = _variable(name, "spikes", shape, one.spikes[name].dense())
            membrane = _variable(name, "membrane", shape, one.membrane[name])
            margin, spiked, waiting = decided(spikes, membrane, network)
            known = ~np.isnan(margin) & ~waiting
            unknown[name] += int((np.isnan(margin) & ~waiting).sum())
            bins = np.ceil(np.log2(np.where(known, np.abs(margin), 0.0) + 1)).astype(np.int64)
            for counts, chosen in ((silent, known & ~spiked), (fired, known & spiked)):
                counts[name] += np.bincount(bins[chosen], minlength=BINS)[:BINS]
            close |= (known & (np.abs(margin) < 1 << FRACTION_BITS)).any(axis=(0, 1))
        near[name] = int(close.sum())
    return Margins(silent, fired, unknown, near, {name: neurons(network[name].shape) for name in names})


def _variable(name: str, kind: str, shape: Shape, values: npt.NDArray[Any]) -> Variable:
    """One variable of one sample, on both sides."""
    flat = values.reshape(len(values), 1, -1)
    return Variable(name, kind, 0, 0, shape, flat, flat, 1.0)
