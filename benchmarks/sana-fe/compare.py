"""SANA-FE and neurosam on the same networks, mappings and input: every spike, count, energy and time of every step.

    python benchmarks/sana-fe/compare.py           # writes docs/hardware/sanafe.md; exit status 1 if anything differs
    python benchmarks/sana-fe/compare.py --small   # without the DVS-gesture network, and without the page

SANA-FE gets an environment of its own under --work, as the peers do (benchmarks/peers/environments.py). The small
networks take a minute; the DVS-gesture network, as packaged and exported, two or three, and 6 GB of memory; the demo's
architecture, whose 16 million synapses are mapped as `neurosam map` does, some more, and 14 GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

import dvs
from networks import CASES, placed
from page import Row, page

sys.path.append(os.fspath(Path(__file__).resolve().parents[1] / "peers"))  # for environments

from environments import Skip, command
from neurosam import Events, Network, Record, run
from neurosam._util.atomic_write import write_text
from neurosam.errors import RangeWarning
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam_bench import cases
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping import CoreMapping
from neurosam_hw.sanafe import compare_results, export, read_results
from neurosam_hw.sanafe.comparison import compared
from neurosam_hw.sanafe.plan import Group, Plan

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNNER = ROOT / "hw" / "neurosam_hw" / "sanafe" / "runner.py"
PAGE = ROOT / "docs" / "hardware" / "sanafe.md"
LOIHI = "sanafe-loihi"
STEPS = 1000
DEMO_BYTES = 14e9


def main() -> None:
    """Compare all networks, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="only the small networks, and no page")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder for the environment and runs")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        python = command(HERE / "run_dvs.py", work)[:-1]
    except Skip as reason:
        raise SystemExit(f"SANA-FE: {reason}") from None
    warnings.simplefilter("ignore", RangeWarning)  # what clips, and whether it matters, is part of the comparison
    rows = [small(python, name, work / "sana-fe") for name in CASES]
    rows.append(small(python, "4 and 3 cores", work / "sana-fe", "loihi1"))
    if not options.small:
        rows += gesture(python, work / "sana-fe")
        rows += demo(python, work / "sana-fe")
        write_text(options.out, page(rows, version(python)))
    for row in rows:
        print(row.name, "equal" if row.found.equal else row.found)
    raise SystemExit(not all(row.found.equal for row in rows))


def version(python: list[str]) -> str:
    """Of SANA-FE."""
    ask = "import importlib.metadata as m; print(m.version('sanafe'))"
    return subprocess.run([*python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


def small(python: list[str], name: str, work: Path, chip: str = LOIHI) -> Row:
    """A network of networks.py: exported, run with two models of time, and compared."""
    case = CASES[name]()
    mapping = placed(case, load_chip(chip))
    title = name if chip == LOIHI else f"{name}, with the figures of {chip}"
    folder = work / title.replace(" ", "-")
    plan = export(mapping, case.events, folder)
    return both_models(python, title, folder, mapping, case.events, plan)


def both_models(python: list[str], title: str, folder: Path, mapping: CoreMapping, events: Events, plan: Plan) -> Row:
    """Run an export with two models of time, and compare it."""
    simulate(python, folder, "detailed")
    detailed_s = float(read_results(folder, plan).costs["sim_time"].sum())
    simulate(python, folder, "simple")
    return Row(title, mapping, compare_results(mapping, events, read_results(folder, plan)), detailed_s)


def simulate(python: list[str], folder: Path, timing: str) -> None:
    """Run SANA-FE on a folder."""
    subprocess.run([*python, os.fspath(folder / "run.py"), "--timing", timing], check=True)


def gesture(python: list[str], work: Path) -> list[Row]:
    """The packaged network, as its authors build it, and exported by us."""
    ask = "import sanafe; print(sanafe.__path__[0])"
    installed = subprocess.run([*python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    network = dvs.network(Path(installed) / "examples" / "dvs_challenge.npz")
    folder = work / "dvs"
    folder.mkdir(parents=True, exist_ok=True)
    script = os.fspath(HERE / "run_dvs.py")
    subprocess.run([*python, script, os.fspath(folder), str(STEPS), os.fspath(RUNNER)], check=True)
    chip = load_chip(LOIHI)
    mapping = dvs.placed(network, halved(chip))
    silent = Inputs.of(network, nothing(network, STEPS))
    recording = run(network, silent, record=Record.everything(network))
    results = read_results(folder, as_built(network))
    doubled = {**results.counts, "spikes": 2 * results.counts["spikes"]}  # synaptic operations: hi and lo here
    found = compared(mapping, recording, silent, replace(results, counts=doubled))
    spikes = sum(tally.theirs for tally in found.spikes)
    if spikes != dvs.EXPECTED:
        raise SystemExit(f"SANA-FE's network fires {spikes} times; its tutorial says {dvs.EXPECTED}")
    built = Row("DVS gesture, as packaged", mapping, found)
    return [built, exported(python, work / "dvs-exported", network, chip)]


def demo(python: list[str], work: Path) -> list[Row]:
    """The demo's architecture (neurosam bench), where neurosam maps it; left out where memory is short."""
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < DEMO_BYTES:
        print(f"demo: left out, as less than {DEMO_BYTES / 1e9:.0f} GB of memory are free")
        return []
    case = cases.demo()
    mapping = map_network(case.network, load_chip(LOIHI), inputs_on_chip=True)
    events = case.events.select(0, 1)
    plan = export(mapping, events, work / "demo")
    return [both_models(python, "demo's architecture, mapped by neurosam", work / "demo", mapping, events, plan)]


def nothing(network: Network, steps: int) -> Events:
    """No events."""
    none = np.zeros(0, dtype=np.int64)
    return Events(none, none, none, steps, 1, network.input.shape)


def halved(chip: Chip) -> Chip:
    """SANA-FE's layers take dense synapses for all; each of them is two here, at half the cost."""
    figures = dict(chip.figures)
    for section in ("energy", "time"):
        dense = figures[f"{section}.synapse_dense"]
        if not isinstance(dense.value, float):
            raise TypeError(f"{dense.name} is {dense.value}")
        for kind in ("dense", "sparse", "convolution"):
            figures[f"{section}.synapse_{kind}"] = replace(dense, value=dense.value / 2)
    return replace(chip, figures=figures)


def as_built(network: Network) -> Plan:
    """Names and starts of the groups that the authors' layers make."""
    groups = []
    for i, name in enumerate(dvs.GROUPS):
        population = network[f"layer{i}"]
        groups.append(Group(population.name, name, neurons(population.shape), i, "dense", (), (), ()))
    return Plan(STEPS, STEPS, tuple(groups), (), 0)


def exported(python: list[str], folder: Path, network: Network, chip: Chip) -> Row:
    """Every synapse of ours as one of theirs, over the same steps."""
    mapping = dvs.placed(network, chip, with_input=True)
    events = nothing(network, STEPS - 5)  # the last layer is 5 steps behind
    plan = export(mapping, events, folder)
    return both_models(python, "DVS gesture, exported", folder, mapping, events, plan)


if __name__ == "__main__":
    main()
