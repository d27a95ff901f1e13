"""A sweep whose samples take a while, as a program of its own: ``python -m sweeps.slow OUT JOBS SAMPLES``."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import neurosam as ns
from neurosam.cli import interrupt
from neurosam.cli.workers import sweep
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.sweep import Pictures, ProcessPool
from support.sweeping import network, pictures

__all__ = ["PAUSE_S", "SlowPictures", "slow_pictures"]

PAUSE_S = 0.03
"""What a sample takes besides its run."""


@dataclass(frozen=True, eq=False)
class SlowPictures(Pictures):
    """Pictures that a worker encodes slowly."""

    def inputs(self, network: Network) -> Inputs:
        """The events of the images, after a while."""
        time.sleep(PAUSE_S * self.samples)
        return super().inputs(network)

    def all(self, network: Network) -> Inputs:
        """The events of all images, at once."""
        return Pictures.inputs(self, network)


def slow_pictures(samples: int) -> SlowPictures:
    """Random images for the network."""
    plain = pictures(samples)
    return SlowPictures(plain.images, plain.stimulus, plain.seed)


def main() -> int:
    out, jobs, samples = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    interrupt.watch()
    net = network()
    try:
        sweep(net, slow_pictures(samples), out, ProcessPool(jobs), ns.Record.everything(net), "event")
    except KeyboardInterrupt as interruption:
        sys.stderr.write(f"{type(interruption).__name__}: {interruption}\n")
        return 143 if isinstance(interruption, interrupt.Terminated) else 130
    finally:
        interrupt.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
