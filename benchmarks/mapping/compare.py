"""Mappings held against the base lines: packets of partitions, and cores, chips and seconds of whole networks.

    python benchmarks/mapping/compare.py [network.h5 ...] > benchmarks/mapping/results.md

Partitions: 4,096 shuffled neurons that send to 60 neighbours each, on 16 full cores, if every neuron fires once.
Networks: those of `neurosam bench`, and the files that are given, on Loihi 1. Seconds are of the processor, without the
compilation of kernels, which is done once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurosam.hdf5.files import load_network
from neurosam.network.network import Network
from neurosam_bench.cases import conv32, sparse10k, vgg11_64
from neurosam_hw.chips import load_chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers import Nets, Room, map_in_order, map_network, partition, ways
from neurosam_hw.mappers.metis import has_metis, metis
from neurosam_hw.mappers.utilisation import utilisation

NEURONS, CORES, FAN_OUT = 4096, 16, 60


def ring(reach: float, rng: np.random.Generator) -> Nets:
    """Targets at normally distributed distances along a ring, whose neurons are shuffled."""
    place = rng.permutation(NEURONS)
    away = np.rint(rng.normal(0, reach, (NEURONS, FAN_OUT))).astype(int)
    return shuffled(place, place[(np.arange(NEURONS)[:, None] + away) % NEURONS])


def grid(reach: float, rng: np.random.Generator) -> Nets:
    """The same on a square without borders."""
    place, side = rng.permutation(NEURONS), int(NEURONS**0.5)
    row, column = np.divmod(np.arange(NEURONS), side)
    down, right = (np.rint(rng.normal(0, reach, (NEURONS, FAN_OUT))).astype(int) for _ in range(2))
    return shuffled(place, place[(row[:, None] + down) % side * side + (column[:, None] + right) % side])


def shuffled(place: Any, targets: Any) -> Nets:
    """Nets of neurons ``place[i]`` that send to ``targets[i]``."""
    rows = [np.unique(row) for row in targets[np.argsort(place)]]
    starts = np.concatenate([[0], np.cumsum([row.size for row in rows])])
    return Nets(NEURONS, starts, np.concatenate(rows), source=np.arange(NEURONS))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds of the processor."""
    begin = time.process_time()
    found = call()
    return found, time.process_time() - begin


def partitions() -> None:
    """The table of partitions."""
    room = Room(NEURONS // CORES)
    print("| net | in order | METIS alone, its fullest core | without METIS | with METIS | seconds |")
    print("|---|---|---|---|---|---|")
    partition(ring(200, np.random.default_rng(1)), room, use_metis=False)  # compiles
    for name, make, reach in (("ring", ring, 200), ("ring", ring, 250), ("grid", grid, 5), ("grid", grid, 6)):
        nets = make(reach, np.random.default_rng(0))
        alone = metis(nets, CORES)
        without, _ = timed(lambda nets=nets: partition(nets, room, use_metis=False))
        found, seconds = timed(lambda nets=nets: partition(nets, room, use_metis=True))
        print(
            f"| {name}, {reach} | {found.packets_in_order:,} | {nets.packets(alone):,}, {np.bincount(alone).max()} of "
            f"{room.neurons} | {without.packets:,} | {found.packets:,} | {seconds:.1f} |"
        )


def networks(given: list[tuple[str, Network]]) -> None:
    """The table of networks."""
    chip = load_chip("loihi1")
    print("| network | cores | chips | mean utilisation | packets | hops | crossings | packets in order | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, network in given:
        made, seconds = timed(lambda network=network: map_network(network, chip))
        sent = ways(made)
        try:
            plain = map_in_order(network, chip)
            base = f"{ways(plain).packets:,} on {plain.cores} cores"
        except MappingError:
            base = "does not fit"
        print(
            f"| {name} | {made.cores} | {made.chips} | {utilisation(made).share.mean():.0%} | {sent.packets:,} | "
            f"{sent.hops:,} | {sent.crossings:,} | {base} | {seconds:.1f} |"
        )


def main() -> None:
    """Print both tables."""
    print("# Mappings\n\nMade by `benchmarks/mapping/compare.py`; what each column is, is said there.\n")
    if has_metis():
        partitions()
        print()
    files = [(Path(file).stem, load_network(file)) for file in sys.argv[1:]]
    cases = [(make.__name__, make().network) for make in (conv32, sparse10k, vgg11_64)]
    networks([*files, *cases])


if __name__ == "__main__":
    main()
