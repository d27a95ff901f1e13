"""Mutants run as whole networks: what mutated channels (neurosam/equivalence/lanes.py) have to agree with.

``python -m support.mutants --networks 60`` compares both, and every proof of equivalence, on random networks.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.equivalence.detection import LEVELS, Original
from neurosam.equivalence.equivalents import proof
from neurosam.equivalence.mutation import Mutant, draw, mutated
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from support.networks import random_case

__all__ = ["brute_force"]


def differing(a: Recording, b: Recording) -> npt.NDArray[np.bool_]:
    """Whether each sample of two runs of whole networks differs, by level."""
    differ = np.zeros((len(LEVELS), a.samples), np.bool_)

    def note(level: int, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic], axis: int) -> None:
        other = tuple(i for i in range(x.ndim) if i != axis)
        differ[level] |= (x != y).any(axis=other)

    note(0, a.output, b.output, 0)
    for name, answer in a.other_outputs.items():
        note(0, answer, b.other_outputs[name], 0)
    for name, spikes in a.spikes.items():
        note(1, spikes.dense(), b.spikes[name].dense(), 1)
    for name, maps in a.sam.items():
        note(2, maps, b.sam[name], 1)
    for variable in ("membrane", "current"):
        for name, values in getattr(a, variable).items():
            note(3, values, getattr(b, variable)[name], 1)
    return np.logical_or.accumulate(differ, axis=0)


def brute_force(network: Network, events: Events | Inputs, mutants: Sequence[Mutant]) -> npt.NDArray[np.bool_]:
    """Every mutant, run as a whole network."""
    record = Record.everything(network)
    original = run(network, events, record=record)
    return np.stack([differing(original, run(mutated(network, m), events, record=record)) for m in mutants], axis=1)


def main(networks: int, mutants: int) -> int:
    """Print how many mutants agree; returns how many do not."""
    wrong, compared, told, proofs = 0, 0, np.zeros(len(LEVELS), int), Counter[str]()
    for seed in range(networks):
        network, events = random_case(np.random.default_rng(seed))
        inputs = Inputs.of(network, events)
        drawn = draw(network, mutants, seed, inputs.steps)
        expected = brute_force(network, events, drawn)
        differ = (Original(network, inputs).told(drawn, every=True) != expected).any(axis=(0, 2))
        for i, mutant in enumerate(drawn):
            why = proof(network, mutant, inputs.steps)
            proofs[why] += 1
            if differ[i] or (why and expected[:, i].any()):
                wrong += 1
                sys.stdout.write(f"seed {seed}: {mutant} {why}\n")
        compared += len(drawn)
        told += expected.any(axis=2).sum(axis=1)
    del proofs[""]
    levels = dict(zip(LEVELS, told.tolist(), strict=True))
    text = f"{compared} mutants of {networks} networks, {wrong} wrong; told apart: {levels}; proofs: {dict(proofs)}"
    sys.stdout.write(f"{text}\n")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--mutants", type=int, default=40, help="of each network")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.exit(main(given.networks, given.mutants) > 0)
