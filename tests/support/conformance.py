"""A study, out of the suite: many random networks over all options, each on several back ends and by the oracle.

    python -m support.conformance --networks 1500 --backends reference,event --lava 0 --seed 0

Integers are compared bit for bit: spikes, membranes, currents, maps, counts, operations, answers, saturation and wraps,
and the final state. Each back end also runs every network in pieces, cut at random steps, which has to give the same
again. Prints a table, and fails if anything differs. Float networks, a fifth as many, are compared as
support.agreement says.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes
from neurosam.signals.state import State
from support.agreement import assert_agree, assert_identical
from support.backends import STATELESS
from support.networks import KINDS, edge_case, random_case
from support.options import OptionsCase, limits_case, options_case
from support.oracle import simulate
from support.pieces import cuts, in_pieces

__all__ = ["main"]

SORTS = (*KINDS, "limits of integers", "plain", "plain, limits of integers")


def case(sort: str, seed: int, number: int) -> OptionsCase:
    """The network of a sort with a number."""
    rng = np.random.default_rng([seed, [*SORTS, "float"].index(sort), number])
    if sort == "limits of integers":
        return limits_case(rng)
    if sort.startswith("plain"):
        network, events = random_case(rng) if sort == "plain" else edge_case(rng)
        return network, Inputs({network.input.name: events})
    return options_case(rng, None if sort == "float" else sort, fixed=sort != "float")


def values(recording: Any) -> int:
    """How many numbers a recording holds."""
    if isinstance(recording, np.ndarray):
        return int(recording.size)
    if isinstance(recording, dict):
        return sum(values(value) for value in recording.values())
    if isinstance(recording, Spikes):
        return values(recording.dense())
    if isinstance(recording, (Recording, State)):
        return sum(values(getattr(recording, part.name)) for part in fields(recording))
    return 0


def failure(network: ns.Network, inputs: Inputs, answer: Recording, backend: str, cut: np.random.Generator) -> str:
    """What differs on one back end, or nothing."""
    same = assert_identical if network.fixed else assert_agree
    keep_state = backend not in STATELESS
    record = ns.Record.everything(network)
    try:
        whole = ns.run(network, inputs, backend, record, threads=1, keep_state=keep_state)
        same(answer if keep_state else replace(answer, state=None), whole)
        if keep_state:
            pieces, state = in_pieces(network, inputs, cuts(cut, inputs.steps), backend)
            same(answer, replace(pieces, state=state), "in pieces")
    except AssertionError as error:
        return str(error)
    return ""


@dataclass
class Table:
    """What was compared and what differed, by sort of network."""

    backends: list[str]
    networks: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    differ: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """The table, as text."""
        sorts = [sort for sort in (*SORTS, "float") if self.networks[sort]]
        yield f"{'networks':28}{'number':>10}{'values':>12}" + "".join(f"{'differ: ' + b:>20}" for b in self.backends)
        for sort in sorts:
            differ = "".join(f"{self.differ[sort, backend]:>20}" for backend in self.backends)
            yield f"{sort:28}{self.networks[sort]:>10}{self.values[sort]:>12}{differ}"
        differ = "".join(f"{sum(self.differ[sort, backend] for sort in sorts):>20}" for backend in self.backends)
        yield f"{'all':28}{self.networks.total():>10}{self.values.total():>12}{differ}"


def main(arguments: list[str] | None = None) -> int:
    """Draw, run, compare, print; the exit status is 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m support.conformance")
    parser.add_argument("--networks", type=int, default=1500, help="integer networks (1500)")
    parser.add_argument("--backends", default="reference,event", help="names, with commas (reference,event)")
    parser.add_argument("--lava", type=int, default=0, help="integer networks that Lava runs too, seconds each (0)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ns.RangeWarning)  # how often integers leave their range is compared
    backends, left = chosen.backends.split(","), chosen.lava
    drawn = [(SORTS[k % len(SORTS)], k // len(SORTS)) for k in range(chosen.networks)]
    drawn += [("float", k) for k in range(chosen.networks // 5)]
    table = Table([*backends, *(["lava"] if left else [])])
    start = time.perf_counter()
    for sort, number in drawn:
        network, inputs = case(sort, chosen.seed, number)
        answer = simulate(network, inputs, keep_state=True)
        table.networks[sort] += 1
        table.values[sort] += values(answer)
        on_lava = left > 0
        left -= on_lava
        for backend in [*backends, *(["lava"] if on_lava else [])]:
            wrong = failure(network, inputs, answer, backend, np.random.default_rng([chosen.seed, number]))
            if wrong:
                table.differ[sort, backend] += 1
                sys.stderr.write(f"{sort} {number} on {backend}: {wrong}\n")
    sys.stdout.write("\n".join(table.lines()) + "\n")
    lava = f", Lava the first {chosen.lava - left}" if chosen.lava else ""
    sys.stdout.write(f"seed {chosen.seed}, {time.perf_counter() - start:.0f} s{lava}\n")
    return 1 if table.differ else 0


if __name__ == "__main__":
    sys.exit(main())
