"""``make fuzz``: give damaged and hostile files to every reader, and report what is not an error in words.

    PYTHONPATH=.:hw:benchmarks:tests python -m fuzz --files 100000 --seed 0 [--kinds network,npz] [--keep FOLDER]

Each file is a seed that the code makes, changed a little (mutate.py). It is read in a forked child, which may take a
GiB more than it has, and ten seconds (a minute where a process is started). A fault is

    crash       the child is ended by a signal
    hang        the time is up
    memory      the reader raises MemoryError instead of refusing
    traceback   anything but a NeurosamError is raised
    silent      a file that states a digest is read as something else than its seed

and is named with what repeats it: ``--only KIND:NUMBER``.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.mutate import mutated
from fuzz.readers import KINDS, write_seeds
from neurosam.errors import NeurosamError

__all__ = ["Fault", "fuzz", "made"]

BATCH = 200
SECONDS = 10
MEMORY_BYTES = 2**30
OUTCOMES = ("refused", "read", "crash", "hang", "memory", "traceback", "silent")
RECORD = struct.Struct("<IB")


@dataclass(frozen=True)
class Fault:
    """What went wrong with which file."""

    kind: str
    number: int
    outcome: str
    detail: str


def made(kind: str, number: int, seed: int, seeds: dict[str, list[Path]]) -> bytes:
    """The file of this number; always the same."""
    rng = random.Random(f"{seed} {kind} {number}")
    return mutated(rng.choice(seeds[kind]).read_bytes(), KINDS[kind].layout, rng)


def _known(kind: str, seeds: dict[str, list[Path]]) -> set[object]:
    """The digests of a kind's seeds."""
    found = set()
    for path in seeds[kind]:
        try:
            found.add(KINDS[kind].read(path))
        except NeurosamError:
            found.add(None)
    return found


def _child(kind: str, numbers: range, seed: int, seeds: dict[str, list[Path]], known: set[object], to: int) -> None:
    """Read the files of a batch in a process of its own, which never returns; a record before and after each."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"fuzzed{KINDS[kind].suffix}"
        for extra in seeds[kind][0].parent.glob(f"{seeds[kind][0].stem}.npz"):
            (Path(name) / "fuzzed.npz").write_bytes(extra.read_bytes())
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in numbers:
            path.write_bytes(made(kind, number, seed, seeds))
            os.write(to, RECORD.pack(number, 255))
            signal.alarm(SECONDS if KINDS[kind].share == 1 else 6 * SECONDS)  # those start a process
            try:
                found = KINDS[kind].read(path)
                outcome = "read" if found is None or found in known else "silent"
            except NeurosamError as error:
                outcome = "refused" if len(str(error)) < 5000 else "traceback"
            except MemoryError:
                outcome = "memory"
                traceback.print_exc(limit=-6)
            except BaseException:
                outcome = "traceback"
                traceback.print_exc(limit=-6)
            signal.alarm(0)
            os.write(to, RECORD.pack(number, OUTCOMES.index(outcome)))
            if outcome not in ("refused", "read"):
                os._exit(1)  # its traceback is the last that was printed
    os._exit(0)


def _batch(
    kind: str, numbers: range, seed: int, seeds: dict[str, list[Path]], known: set[object]
) -> tuple[Counter[str], Fault | None]:
    """Outcomes of the files up to the first fault, and that fault."""
    sys.stdout.flush()
    sys.stderr.flush()
    back, to = os.pipe()
    with tempfile.TemporaryFile() as log:
        if not (pid := os.fork()):
            os.close(back)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                _child(kind, numbers, seed, seeds, known, to)
            finally:
                os._exit(70)
        os.close(to)
        records = b""
        while block := os.read(back, 65536):
            records += block
        os.close(back)
        status = os.waitpid(pid, 0)[1]
        log.seek(0)
        detail = log.read().decode("utf-8", "replace").strip()[-1500:]
    counts: Counter[str] = Counter()
    begun = numbers.start
    for number, code in RECORD.iter_unpack(records):
        if code == 255:
            begun = number
            continue
        outcome = OUTCOMES[code]
        counts[outcome] += 1
        if outcome not in ("refused", "read"):
            return counts, Fault(kind, number, outcome, detail)
    if status:
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        outcome = "hang" if ended == signal.SIGALRM else "crash"
        counts[outcome] += 1
        return counts, Fault(kind, begun, outcome, f"signal {ended}, status {status}; {detail}")
    return counts, None


def fuzz(
    kind: str, files: int, seed: int, seeds: dict[str, list[Path]], first: int = 0
) -> Iterator[Counter[str] | Fault]:
    """Give `files` files of a kind to its reader; yields counts of outcomes, and faults."""
    known = _known(kind, seeds)
    at, end = first, first + files
    while at < end:
        counts, fault = _batch(kind, range(at, min(at + BATCH, end)), seed, seeds, known)
        yield counts
        if fault is not None:
            yield fault
            at = fault.number + 1
        else:
            at = min(at + BATCH, end)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=20_000, help="over all kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help=", ".join(KINDS))
    parser.add_argument("--only", help="KIND:NUMBER, a single file")
    parser.add_argument("--keep", type=Path, help="write files with faults there")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = options.kinds.split(",") if options.kinds else list(KINDS)
    first, each = 0, -(-options.files // len(kinds))
    if options.only:
        name, _, number = options.only.partition(":")
        kinds, first, each = [name], int(number), 1
    faults: list[Fault] = []
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        seeds = write_seeds(Path(folder))
        for kind in kinds:
            begun, counts = time.monotonic(), Counter[str]()
            files = each if options.only else -(-each // KINDS[kind].share)
            for part in fuzz(kind, files, options.seed, seeds, first):
                if isinstance(part, Fault):
                    faults.append(part)
                    _say(
                        f"  {part.outcome} {kind}:{part.number}  {part.detail.splitlines()[-1] if part.detail else ''}"
                    )
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        file = options.keep / f"{kind}-{part.number}{KINDS[kind].suffix}"
                        file.write_bytes(made(kind, part.number, options.seed, seeds))
                        file.with_suffix(file.suffix + ".txt").write_text(part.detail)
                else:
                    counts += part
            total += counts
            listed = ", ".join(f"{name} {count}" for name, count in counts.items())
            _say(f"{kind:12} {sum(counts.values()):7} files in {time.monotonic() - begun:6.1f} s: {listed}")
    _say(f"{sum(total.values())} files: " + ", ".join(f"{name} {count}" for name, count in total.items()))
    return 1 if faults else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
