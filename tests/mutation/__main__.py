"""``make mutants``: change the code a little, many times over, and count how often its tests notice.

The working tree is never touched. This process loads the libraries once; for each mutant it forks a child, which gets
the mutated source of one module from a temporary file (an import hook; all else comes from the tree) and runs the
module's nearest tests, the first failure ending it. Kernels of unchanged modules come from a cache of this run's own;
those of a mutated module have another path, and are compiled again.

A mutant is *killed* if a test fails, or if its time is up (*timeout*: four times the time of the unchanged code, and
ten seconds); else it *survived*. The sample is drawn by area with a seed, so that two runs judge the same mutants.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings
from rich.console import Console
from rich.table import Table

from mutation.areas import AREAS, ROOT, Area, source_of
from mutation.operators import Mutant, describe, mutants

RESULTS = ROOT / "build" / "mutants" / "results.jsonl"
MEMORY_BYTES = 2**34
PRELOADED = ("h5py", "numba", "numpy", "torch")


@dataclass(frozen=True)
class Trial:
    """One mutant of one module, or (without one) the code as it is."""

    area: str
    module: str = ""
    mutant: Mutant | None = None
    verdict: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What it is, whatever came of it."""
        return self.area, self.module, self.mutant


class _Hook:
    """Finds one module in another file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The mutated module; nothing for others."""
        return importlib.util.spec_from_file_location(name, self.path) if name == self.name else None


def _child(area: Area, trial: Trial, folder: Path) -> None:
    """Run an area's tests in a process of its own, which never returns."""
    status = 3
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.chdir(ROOT)
        if trial.mutant is not None:
            path = folder / f"{trial.module.rpartition('.')[2]}.py"
            path.write_bytes(trial.mutant.apply(source_of(trial.module).read_bytes()))
            sys.meta_path.insert(0, _Hook(trial.module, path))
        preloaded = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis came before its hook
        options = ["-x", "-q", "-W", preloaded, "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
        status = pytest.main([*options, *(["-k", area.only] if area.only else []), *area.tests])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(int(status))


def run(trials: Iterable[Trial], jobs: int, limits: dict[str, float], verbose: Any) -> Iterator[tuple[Trial, float]]:
    """Each trial with its verdict and its seconds, `jobs` at a time, as they end."""
    waiting = list(trials)[::-1]
    running: dict[int, tuple[Trial, float, tempfile.TemporaryDirectory[str]]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            trial = waiting.pop()
            folder = tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True)
            sys.stdout.flush()
            if not (pid := os.fork()):
                _child(AREAS[trial.area], trial, Path(folder.name))
            running[pid] = trial, time.monotonic(), folder
        time.sleep(0.02)
        for pid, (trial, begun, folder) in list(running.items()):
            seconds = time.monotonic() - begun
            ended, status = os.waitpid(pid, os.WNOHANG)
            late = not ended and seconds > limits.get(trial.area, 600.0)
            if late:
                os.waitpid(pid, 0) if _kill(pid) else None
            if ended or late:
                verdict = "timeout" if late else "survived" if status == 0 else "killed"
                verbose(trial, verdict, Path(folder.name) / "log.txt")
                _kill(pid)  # what the tests may have left
                del running[pid]
                folder.cleanup()
                yield Trial(trial.area, trial.module, trial.mutant, verdict), seconds


def _kill(pid: int) -> bool:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def sample(names: Sequence[str], size: int, seed: int) -> list[Trial]:
    """Up to `size` mutants of each area."""
    chosen = []
    for name in names:
        every = [Trial(name, m, mutant) for m in AREAS[name].modules for mutant in mutants(source_of(m).read_bytes())]
        picked = random.Random(f"{seed} {name}").sample(
            range(len(every)), min(size, len(every)) if size else len(every)
        )
        chosen += [every[i] for i in sorted(picked)]
    return chosen


def stored() -> list[Trial]:
    """The results of earlier calls, in their order."""
    lines = (json.loads(line) for line in RESULTS.read_text().splitlines()) if RESULTS.exists() else ()
    return [Trial(**{**line, "mutant": Mutant(**line["mutant"])}) for line in lines]


def tabulate(results: Sequence[Trial]) -> Table:
    """Mutants by area."""
    table = Table("area", "mutants", "killed", "timeouts", "survived", "%")
    for area in dict.fromkeys(trial.area for trial in results):
        own = [trial.verdict for trial in results if trial.area == area]
        count = {verdict: own.count(verdict) for verdict in ("killed", "timeout", "survived")}
        table.add_row(area, str(len(own)), *map(str, count.values()), f"{100 * count['survived'] / len(own):.1f}")
    return table


def survivors(results: Iterable[Trial]) -> Iterator[str]:
    """Place and change of each mutant that survived."""
    for trial in results:
        if trial.verdict == "survived" and trial.mutant is not None:
            path = source_of(trial.module)
            yield f"{path.relative_to(ROOT)}:{trial.mutant.line} {trial.mutant.operator}"
            yield from (f"    {line}" for line in describe(path.read_bytes(), trial.mutant))


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"some of: {', '.join(AREAS)} (default: all)")
    parser.add_argument("--sample", type=int, default=60, metavar="N", help="mutants of each area; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--resume", action="store_true", help="leave out what has been judged already")
    parser.add_argument("--again", action="store_true", help="only what survived or ran out of time before")
    parser.add_argument("--log", action="store_true", help="show the end of each mutant's test output")
    arguments = parser.parse_args()
    names = arguments.areas or list(AREAS)
    if unknown := set(names) - set(AREAS):
        parser.error(f"unknown areas {sorted(unknown)}; there are {', '.join(AREAS)}")
    console = Console(highlight=False, soft_wrap=True)

    def verbose(trial: Trial, verdict: str, log: Path) -> None:
        if arguments.log or (trial.mutant is None and verdict != "survived"):
            console.print(*log.read_text(errors="replace").splitlines()[-8:], sep="\n", markup=False)

    for module in PRELOADED:
        importlib.import_module(module)
    assert "neurosam" not in sys.modules, "a child has to import it itself, with its mutant"
    settings.register_profile(  # a failing example is not made smaller: that takes longer than finding it
        "mutants", derandomize=True, deadline=None, max_examples=50, phases=(Phase.explicit, Phase.generate)
    )
    os.environ |= {"NEUROSAM_HYPOTHESIS": "mutants", "NUMBA_CACHE_DIR": str(RESULTS.parent / "kernels")}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    old = {trial.key: trial for trial in (stored() if arguments.again or arguments.resume else ())}
    trials = sample(names, arguments.sample, arguments.seed)
    if arguments.again:
        trials = [trial for trial in old.values() if trial.area in names and trial.verdict != "killed"]
    elif arguments.resume:
        trials = [trial for trial in trials if trial.key not in old]
    limits = {}
    for name in dict.fromkeys(trial.area for trial in trials):  # the first run of an area compiles, the second is timed
        for _ in range(2):
            ((unchanged, seconds),) = run([Trial(name)], 1, {}, verbose)
        if unchanged.verdict != "survived":
            console.print(f"{name}: the tests fail without any change")
            return 1
        limits[name] = 10 + 4 * seconds
        console.print(f"{name}: {sum(t.area == name for t in trials)} mutants, {seconds:.1f} s of tests each at most")
    for trial, seconds in run(trials, arguments.jobs, limits, verbose):
        old[trial.key] = trial
        RESULTS.write_text("".join(json.dumps(asdict(trial)) + "\n" for trial in old.values()))
        if trial.verdict != "killed" or arguments.log:
            console.print(
                f"{trial.verdict} after {seconds:.1f} s: {trial.module} line {getattr(trial.mutant, 'line', 0)}"
            )
    results = sorted((t for t in old.values() if t.area in names), key=lambda t: list(AREAS).index(t.area))
    console.print(*survivors(results), sep="\n", markup=False)
    console.print(tabulate(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
