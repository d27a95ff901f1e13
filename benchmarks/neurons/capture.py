"""Shared by the scripts of all frameworks: run every case on every drive, and save what the framework's own code did.

    python run_FRAMEWORK.py OUT.npz                                        256 neurons, 200 steps
    python run_FRAMEWORK.py OUT.npz --neurons 5 --steps 40 --last          golden vectors for the tests

A script passes `main` a list of :class:`Case`. A file holds one JSON text, ``about`` (framework, version, and for each
run its module, options, parameters and drive), and arrays: ``DRIVE.inputs`` and ``DRIVE.mantissa`` for each drive,
``spikes`` (runs, steps, neurons) and ``membrane``, which is as long or, with ``--last``, one step. Needs only NumPy.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from drives import DRIVES, Drive, drive

__all__ = ["Answer", "Case", "Run", "load", "main"]


@dataclass(frozen=True)
class Answer:
    """What a module did with one input.

    Parameters
    ----------
    spikes : (steps, neurons) array
        Number of spikes; 0 for a module that does not fire.
    membrane : (steps, neurons) float64 array
        As the module returns it after each step; ``(1, neurons)`` in a file of last steps.
    parameters : dict
        Parameters read from the module (not those given to it), scalars or ``(neurons,)``.
    """

    spikes: Any
    membrane: Any
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A module with options.

    Parameters
    ----------
    module : str
        Name of the class.
    options : dict
        Arguments of its constructor as plain JSON.
    run : function
        Takes a :class:`Drive` and returns an :class:`Answer`.
    drives : tuple of str
        Drives on which it is run.
    layers : int
        2 to run it as two layers with the same options; the answer is that of the second.
    """

    module: str
    options: dict[str, Any]
    run: Callable[[Drive], Answer]
    drives: tuple[str, ...] = DRIVES
    layers: int = 1


@dataclass(frozen=True)
class Run:
    """One run as stored: a case on a drive, with the answer of its last layer."""

    framework: str
    version: str
    module: str
    options: dict[str, Any]
    layers: int
    drive: Drive
    answer: Answer


def main(package: str, framework: str, cases: list[Case]) -> None:
    """Run the cases and save them; the command line is described above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--neurons", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--last", action="store_true", help="save the membrane of the last step only")
    options = parser.parse_args()
    drives = {name: drive(name, options.steps, options.neurons) for name in DRIVES}
    runs, spikes, membrane = [], [], []
    for case in cases:
        for name in case.drives:
            answer = case.run(drives[name])
            if case.layers == 2:
                answer = case.run(drives[name].after(answer.spikes))
            spikes.append(_integers(answer.spikes))
            membrane.append(np.asarray(answer.membrane, np.float64)[-1 if options.last else 0 :])
            values = {key: np.asarray(value, np.float64).tolist() for key, value in answer.parameters.items()}
            what = {"module": case.module, "options": case.options, "layers": case.layers, "drive": name}
            runs.append({**what, "parameters": values})
    about = {
        "framework": framework,
        "version": version(package),
        "steps": options.steps,
        "units": {name: one.unit for name, one in drives.items()},
        "runs": runs,
    }
    arrays = {f"{name}.inputs": np.packbits(one.inputs) for name, one in drives.items()}
    arrays |= {f"{name}.mantissa": one.mantissa for name, one in drives.items()}
    counts = np.stack(spikes)
    arrays |= {"spikes": counts.astype(np.min_scalar_type(counts.max())), "membrane": np.stack(membrane)}
    np.savez_compressed(options.out, about=np.array(json.dumps(about)), **arrays)


def load(path: Path) -> list[Run]:
    """Read the file that a script has written."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(str(arrays["about"]))
    drives = {name: _drive(arrays, name, about) for name in about["units"]}
    runs = []
    for run, spikes, membrane in zip(about["runs"], arrays["spikes"], arrays["membrane"], strict=True):
        parameters = {key: np.asarray(value) for key, value in run["parameters"].items()}
        answer = Answer(spikes.astype(np.int64), membrane, parameters)
        what = (run["module"], run["options"], run["layers"], drives[run["drive"]])
        runs.append(Run(about["framework"], about["version"], *what, answer))
    return runs


def _integers(spikes: Any) -> Any:
    counts = np.rint(spikes).astype(np.int64)
    if (counts != spikes).any() or (counts < 0).any():
        raise ValueError("got a number of spikes that is no integer >= 0")
    return counts


def _drive(arrays: dict[str, Any], name: str, about: dict[str, Any]) -> Drive:
    mantissa = arrays[f"{name}.mantissa"]
    shape = (about["steps"], mantissa.shape[1])
    inputs = np.unpackbits(arrays[f"{name}.inputs"], count=shape[0] * shape[1]).reshape(shape)
    return Drive(name, inputs, mantissa, about["units"][name])
