"""``make kills``: end commands at random moments, by Ctrl-C, SIGTERM and SIGKILL; see what is lost, and what is left.

    PYTHONPATH=.:hw:benchmarks:tests python -m kills --kills 100 --seed 0 [--commands train,export] [--signals KILL]

Each command is run once to its end, which measures its time and gives the result that it has to have. Then it is ended
at moments drawn from all of that time. A fault is

    status    SIGINT does not end with 130, SIGTERM with 143, or more is said than one line
    lost      a file that is neither the whole old one nor the whole new one, or a later run that gives another result
    left      a process, a segment of shared memory, a temporary file or folder; after SIGKILL: of the next run too

A signal that comes before Python listens ends the process itself, which a shell shows as 130 and 143 as well.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from kills.commands import COMMANDS, PREPARE, Command, same_content
from kills.left import MARK, Traces
from neurosam.errors import NeurosamError
from neurosam_hw.lava.interpreter import find

__all__ = ["Bench"]

PROGRAM = [sys.executable, "-m", "neurosam"]
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL}
STATUS = {"INT": (130, -signal.SIGINT), "TERM": (143, -signal.SIGTERM), "KILL": (-signal.SIGKILL,)}
SAID = {"INT": "neurosam: interrupted", "TERM": "neurosam: terminated"}
LIMIT_S = 120.0
"""Time for a command to end once it was told to."""
POLL_S = 0.05
TRIES = 20
"""Of a kill that comes too late."""


class Bench:
    """A command in its folders: ``base`` with the inputs, ``old`` and ``new`` with results, ``trial`` where it ends.

    Parameters
    ----------
    work : Path
    command : Command
    rng : random.Random
    """

    def __init__(self, work: Path, command: Command, rng: random.Random) -> None:
        self.work, self.command, self.rng = work, command, rng
        self.trial, self.temporary = work / "trial", work / "tmp"
        self.seconds = 0.0
        for folder in (work / "old", work / "new", self.trial, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self.traces = Traces("", self.trial, self.temporary)
        for name, options in (("old", command.before), ("new", ())):
            if name == "new" or options:
                done = self.finish(work / name, options)
                if done:
                    raise RuntimeError(done)
        self.inputs = self._inputs()

    def start(self, folder: Path, *options: str) -> subprocess.Popen[bytes]:
        """The command in a folder, with standard error in ``err.txt`` and a mark that it shares with its children."""
        mark = uuid4().hex
        self.traces = Traces(mark, folder, self.temporary)
        return started(folder, (*self.command.arguments, *options), self.temporary, mark, self.work / "err.txt")

    def finish(self, folder: Path, options: tuple[str, ...] = ()) -> str:
        """Run the command to its end; what went wrong, if anything did."""
        begun = time.monotonic()
        status = self.start(folder, *options).wait(LIMIT_S + 20 * self.seconds)
        self.seconds = time.monotonic() - begun
        return f"status {status}: {self._said()[-1:]}" if status else ""

    def kill(self, name: str) -> dict[str, list[str]]:
        """End the command once; the faults, by kind."""
        for _ in range(TRIES):
            shutil.rmtree(self.trial)
            shutil.copytree(self.work / "old", self.trial)
            at = self.rng.random() * self.seconds
            process = self.start(self.trial)
            if self._wait(process, at):
                return self._judged(name, process, at)
        return {"status": [f"ended by itself {TRIES} times"]}

    def _wait(self, process: subprocess.Popen[bytes], at: float) -> bool:
        """Wait for the moment; whether the command still runs then."""
        end = time.monotonic() + at
        while (now := time.monotonic()) < end and process.poll() is None:
            if self.command.lava:
                self.traces.processes()
            time.sleep(min(POLL_S, end - now))
        return process.poll() is None

    def _judged(self, name: str, process: subprocess.Popen[bytes], at: float) -> dict[str, list[str]]:
        process.send_signal(SIGNALS[name])
        if self.command.lava:
            self.traces.processes()
        when = f"at {at:.2f} of {self.seconds:.2f} s"
        faults: dict[str, list[str]] = {"status": [], "lost": [], "left": []}
        try:
            status = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
            faults["status"].append(f"{when}: ran on for {LIMIT_S:g} s")
        if (wrong := self._wrong_status(name, status)) and not faults["status"]:
            faults["status"].append(f"{when}: {wrong}")
        faults["lost"] += [f"{when}: {path}" for path in self.command.outputs if not self._whole(path)]
        left = self.traces.left()
        over = all(map(self._new, self.command.outputs))
        if name == "KILL" or not (self.command.before or over):
            traces, self.traces = self.traces, Traces("", self.trial, self.temporary)
            if problem := self.finish(self.trial, ("--force",) if over and not self.command.before else ()):
                faults["lost"].append(f"{when}: the next run: {problem}")
            faults["lost"] += [
                f"{when}: {path} of the next run" for path in self.command.outputs if not self._new(path)
            ]
            self.traces.prefixes |= traces.prefixes
            left = [line for line in left if line.startswith("process")] if name == "KILL" else left
            left += self.traces.left()
            traces.remove()
        if self._inputs() != self.inputs:
            raise RuntimeError(f"{when}: the command changed its inputs")
        faults["left"] += [f"{when}: {what}" for what in left]
        self.traces.remove()
        return faults

    def _wrong_status(self, name: str, status: int) -> str:
        said = self._said()
        if status == 0 and all(map(self._new, self.command.outputs)):
            return ""  # it was over but for leaving
        if status not in STATUS[name]:
            return f"status {status}: {said[-1:]}"
        if name in SAID and (status > 0) != (len(said) == 1 and said[0].startswith(SAID[name])):
            return f"said {said[-3:]}"
        return ""

    def _said(self) -> list[str]:
        """Lines on standard error, without warnings of the run itself."""
        lines = (self.work / "err.txt").read_text(errors="replace").splitlines()
        return [line for line in lines if not line.startswith("neurosam: warning")]

    def _whole(self, path: str) -> bool:
        old = self.work / "old" / path
        there = self.trial / path
        return self._new(path) or (same_content(there, old) if old.exists() else not there.exists())

    def _new(self, path: str) -> bool:
        return same_content(self.trial / path, self.work / "new" / path)

    def _inputs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.work / "base").iterdir()) if path.is_file()}


def started(
    folder: Path, arguments: tuple[str, ...], temporary: Path, mark: str, errors: Path
) -> subprocess.Popen[bytes]:
    """Start ``neurosam`` in a folder, in a session of its own, with the signals that a terminal gives it."""
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(temporary), MARK: mark, "COLUMNS": "200"}
    with errors.open("wb") as file:
        return subprocess.Popen(
            [*PROGRAM, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=file, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's "&" ignores it
        )  # fmt: skip


def prepare(work: Path) -> None:
    """Make the inputs of all commands."""
    for name in ("base", "tmp"):
        (work / name).mkdir()
    for arguments in PREPARE:
        if started(work / "base", arguments, work / "tmp", "", work / "err.txt").wait():
            raise RuntimeError((work / "err.txt").read_text())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kills", description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="over all commands and signals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="separated by ',' without a space")
    parser.add_argument("--signals", default=",".join(SIGNALS))
    options = parser.parse_args()
    names = [name for name in COMMANDS if name in _split(options.commands)]
    try:
        find()
    except NeurosamError:
        _say("without Lava, which is not installed")
        names = [name for name in names if not COMMANDS[name].lava]
    signals = options.signals.split(",")
    each = -(-options.kills // (len(names) * len(signals)))
    _say(f"{'command':14} {'signal':6} {'kills':>5} {'status':>6} {'lost':>5} {'left':>5}")
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        work = Path(folder)
        prepare(work)
        for name in names:
            bench = Bench(work, COMMANDS[name], random.Random(f"{options.seed} {name}"))
            for number in signals:
                counts: Counter[str] = Counter(kills=each)
                for _ in range(each):
                    for kind, found in bench.kill(number).items():
                        counts[kind] += bool(found)
                        for line in found:
                            _say(f"  {kind} {name} {number} {line}")
                row = " ".join(f"{counts[kind]:{width}}" for kind, width in
                               (("kills", 5), ("status", 6), ("lost", 5), ("left", 5)))  # fmt: skip
                _say(f"{name:14} {number:6} {row}")
                total += counts
    _say(f"{total['kills']} kills: status {total['status']}, lost {total['lost']}, left {total['left']}")
    return 1 if total["status"] + total["lost"] + total["left"] else 0


def _split(text: str) -> list[str]:
    """Names between commas; one of them may have a comma with a space behind it."""
    return [name.replace("\0", ", ") for name in text.replace(", ", "\0").split(",")]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
