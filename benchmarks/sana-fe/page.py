"""The page docs/hardware/sanafe.md: what was compared, and how it came out."""

from __future__ import annotations

from typing import NamedTuple

from dvs import EXPECTED
from neurosam_hw.cost.amount import si
from neurosam_hw.mapping import CoreMapping
from neurosam_hw.sanafe.comparison import Comparison

__all__ = ["Row", "page"]


class Row(NamedTuple):
    """A network, where it stands, and how SANA-FE's run compares; `detailed_s` is its time by its detailed model."""

    name: str
    mapping: CoreMapping
    found: Comparison
    detailed_s: float | None = None


HEAD = """\
# SANA-FE

[SANA-FE](https://github.com/SLAM-Lab/SANA-FE) simulates neuromorphic chips event by event, with energy and time. It is
a program of others (GPL-3): neurosam writes its files and reads its results, and never imports it. So it checks
`neurosam cost` from outside: the same network, mapping, input and figures, another program.

    neurosam hw sanafe digits.h5 -o folder     # arch.yaml, snn.yaml, plan.json, run.py
    python folder/run.py                       # in an environment with `pip install sanafe numpy`
    neurosam hw sanafe-compare folder          # every spike, count, energy and time; exit status 1 if one differs

## What was compared

Written by `make sanafe` (benchmarks/sana-fe/compare.py) with SANA-FE {version}, on `sanafe-loihi`, whose figures are
those of its Loihi. *spikes* are those of inputs too; *differ*: neuron-steps in which only one of both fires. The counts
of each step (neurons that fire and are updated, packets, hops, synaptic operations) are equal wherever no row says
otherwise. Energies by cause and the time of its model `simple` are of all steps on the chip; *apart* is the largest
relative difference of any of them in any step. *detailed*: how much longer its detailed model takes, with queues and a
network on chip that can be full: what a model without them leaves out.

| network | cores | steps | spikes | differ | synapses | neurons | packets and hops | time | apart | detailed |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""

TAIL = """\

*DVS gesture* is the network that SANA-FE's package brings along, which ran on Loihi: 32 x 32, five layers behind the
input's, {expected} spikes in 1,000 steps by its tutorial. *As packaged*, its authors' own layers build it and place it;
its weights have more than 8 bits, so each of its synapses is two here, and is charged half. *Exported*, each synapse
here is one there. The demo's architecture (the case of `neurosam bench`) stands where `neurosam map` puts it.

## What it means

- Energies and times are SANA-FE's model, whose authors state an error of 11.7 % of the dynamic energy and 24.3 % of the
  latency against Loihi. Agreement shows that `neurosam cost` computes what it says, not that the chip draws it.
- Steps are hardware steps: populations go on until the last one has made its own, and what they do then costs too.
- The exporter takes the figures that `neurosam cost` takes, so it works for every chip that has them all:
  `sanafe-loihi`, `loihi1`, or a file of your own.

## What is refused

SANA-FE's neuron has no synaptic current that is rounded, no tables and no adaptive threshold; its spikes carry no
values and arrive in the next step; sums are not rounded; membranes have no upper end. So these are refused by name:
currents, gain tables, adaptive and relative thresholds, several spikes a step, resets a step late or by another amount
than the threshold, graded input, delays and shortcuts that need a delay line, exponents that round, mappings on several
chips, and runs in which clipping at 24 bits would make a difference.

Exact are leaks by channel; resets to zero, to a value, by the threshold, and none; refractory periods with a reset to
zero; lower bounds; biases (which `run.py` starts with a population's own step 0); readouts; padding, strides, dilation
and groups; sum pools; recurrence; weights beyond 8 bits.

## Traps of SANA-FE 2.2.9

- Its default dendrite ignores delays; the one with delays loses every spike behind the buffer that its Loihi has.
- An input unit sends one train, whatever is mapped to it: there is one for each input neuron of a core.
- `reset()` does not rewind inputs. Its `spikes` are synaptic operations; inputs count as fired and updated neurons.
- The wheel has no command line. That of the source writes seven digits: compare its files with `--tolerance 1e-6`.
- Edges in its YAML use the synapse unit of their target, and cost 39 bytes and 34 µs each. So networks in which a
  population has synapses of several kinds, or with more than 100,000 synapses, are written as arrays for `run.py`.
- Unknown attributes are ignored without a word.
"""


def page(rows: list[Row], version: str) -> str:
    """Format the page."""
    return HEAD.format(version=version) + "".join(map(_line, rows)) + TAIL.format(expected=f"{EXPECTED:,}")


def _line(row: Row) -> str:
    found = row.found
    costs = {cost.name: cost for cost in found.costs}
    energies = (si(costs[name].theirs, "J") for name in ("synapse_energy", "soma_energy", "network_energy"))
    simple = costs["sim_time"].theirs
    differing = [count.name for count in found.counts if not count.equal]
    cells = (
        row.name + "".join(f"; **{name} differs**" for name in differing),
        str(row.mapping.cores),
        f"{found.steps:,}",
        f"{sum(tally.ours for tally in found.spikes):,}",
        f"{sum(tally.differ for tally in found.spikes):,}",
        *energies,
        si(simple, "s"),
        f"{max(cost.difference for cost in found.costs):.0e}",
        "" if row.detailed_s is None else f"{row.detailed_s / simple - 1:+.1%}",
    )
    return "| " + " | ".join(cells) + " |\n"
