"""Install the wheel into fresh environments, for each Python and each extra, and run a command of each.

    python benchmarks/install/compare.py                                    # every Python that is found, every extra
    python benchmarks/install/compare.py --pythons 3.11,3.12 --extras none,viz,nir

The versions are those that pip chooses, but for torch, which is that of constraints.txt. Every environment is removed
when it has been tried (--keep keeps them). Those with torch take gigabytes on Linux, unless pip finds a CPU build.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
LIMIT_S = 1200
"""Longest time of a command: an installation, or the compilation of the event back end's kernels."""

NETWORK = """
import numpy as np, neurosam as ns
rng, neuron = np.random.default_rng(0), ns.LIF(leak=0.9, threshold=1.0, reset="zero")
populations = [("in", (2, 8, 8), None), ("conv", (4, 6, 6), neuron), ("out", (3,), ns.Readout())]
net = ns.Network(
    [ns.Population(*population) for population in populations],
    [ns.Projection("in", "conv", ns.Conv2d(rng.normal(0.2, 0.4, (4, 2, 3, 3)))),
     ns.Projection("conv", "out", ns.Dense(rng.normal(0, 0.1, (3, 144))))],
).with_sam()
net.save("float.h5")
ns.Events.from_dense(rng.random((10, 4, 2, 8, 8)) < 0.3).save("events.h5")
sources = np.concatenate([np.sort(rng.choice(64, 8, replace=False)) for _ in range(64)])
links = ns.Sparse(np.arange(0, 513, 8), sources, rng.integers(1, 9, 512), 64, (64,))
ns.Network(
    [ns.Population("in", (64,)), ns.Population("out", (64,), ns.FixedLIF(membrane_decay=410, threshold=9))],
    [ns.Projection("in", "out", links)],
).save("sparse.h5")
"""
CAMERA = """
import numpy as np, faery
rows = [(t * 100, t % 8, t // 8, t % 2 == 0) for t in range(64)]
events = np.array(rows, dtype=[("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
faery.file_encoder.events_to_file([events.astype(faery.EVENTS_DTYPE)], "camera.aedat4", (8, 8))
"""
BASE = (
    "neurosam --help",
    f"python -c '{NETWORK}'",
    "neurosam quantise float.h5 --events events.h5 -o net.h5",
    "neurosam info net.h5",
    "neurosam run net.h5 --events events.h5 --record all -o run.h5",
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "none": ("(neurosam verify net.h5 --events events.h5 2>&1 || true) | grep -F 'neurosam[torch]'",),
    "torch": ("neurosam verify net.h5 --events events.h5",),
    "viz": ("neurosam explain net.h5 --events events.h5 -o explained",),
    "nir": ("neurosam export float.h5 --format nir -o float.nir",),
    "events": (f"python -c '{CAMERA}'", "neurosam run net.h5 camera.aedat4"),
    "frames": ("neurosam export net.h5 --format graphml -o net.graphml",),
    "hw": ("neurosam map sparse.h5 --chip loihi1",),
    "dask": (
        "neurosam run net.h5 --events events.h5 -o swept.h5 --jobs 2",
        "python -c 'from neurosam.sweep import Cluster; import distributed'",
    ),
    "demo": (
        "neurosam train --arch 4C5S2-P2-D10 --steps 2 --epochs 1 --batch 256 -o digits.safetensors",
        "neurosam export digits.safetensors",
    ),
}
"""What is run with each extra, in one folder, after BASE."""
FROM_311 = {"hw"}
"""Extras whose commands read chips, which need Python 3.11."""


def interpreter(version: str) -> str | None:
    """A Python of this version, on PATH or from pyenv; None if there is none."""
    found = [f"python{version}"]
    if shutil.which("pyenv"):
        listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
        found += [f"{root}/versions/{name}/bin/python" for name in listed.split() if name.startswith(f"{version}.")]
    test = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
    for python in found:
        if (
            shutil.which(python)
            and not subprocess.run([python, "-c", test], capture_output=True, check=False).returncode
        ):
            return python
    return None


def run(command: str, folder: Path, binaries: Path, cache: Path) -> str:
    """Run a command with the programs of an environment; returns the last line of what it said if it failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NUMBA_CACHE_DIR": os.fspath(cache)}
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, timeout=LIMIT_S, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if not result.returncode:
        return ""
    said = result.stdout.strip().splitlines()
    return f"{command.strip().splitlines()[0][:60]}: status {result.returncode}: {said[-1] if said else ''}"


def tried(python: str, extra: str, wheel: Path, work: Path) -> str:
    """What went wrong with one extra of one Python; nothing if all went well."""
    home = work / f"venv-{Path(python).name}-{extra}"
    shutil.rmtree(home, ignore_errors=True)
    folder = home / "folder"
    folder.parent.mkdir(parents=True)
    subprocess.run([python, "-m", "venv", os.fspath(home)], check=True, timeout=LIMIT_S)
    folder.mkdir()
    pin = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    (home / "torch.txt").write_text(f"{pin[0] if pin else ''}\n")
    target = f"{wheel}[{extra}]" if extra != "none" else f"{wheel}"
    steps = [f"python -m pip --disable-pip-version-check install -q -c {home / 'torch.txt'} '{target}'", *BASE]
    for command in (*steps, *COMMANDS[extra]):
        if wrong := run(command, folder, home / "bin", work / "kernels"):
            return wrong
    return ""


def main() -> None:
    """Build the wheel, try it, and print a table; exit status 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", default=",".join(PYTHONS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--extras", default=",".join(COMMANDS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/installs"), help="folder for the environments")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    options = parser.parse_args()
    extras = options.extras.split(",")
    if unknown := set(extras) - set(COMMANDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(COMMANDS)}")
    work = options.work.resolve()
    shutil.rmtree(work / "wheel", ignore_errors=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", os.fspath(work / "wheel"), os.fspath(ROOT)]
    subprocess.run(build, check=True, timeout=LIMIT_S)
    (wheel,) = (work / "wheel").glob("neurosam-*.whl")
    faults = 0
    for version in options.pythons.split(","):
        python = interpreter(version)
        for extra in extras:
            if python is None or (extra in FROM_311 and version == "3.10"):
                print(f"| {version} | {extra} | not tried | |", flush=True)
                continue
            start = time.monotonic()
            wrong = tried(python, extra, wheel, work)
            faults += bool(wrong)
            print(f"| {version} | {extra} | {wrong or 'ok'} | {time.monotonic() - start:.0f} s |", flush=True)
            if not options.keep:
                for home in work.glob("venv-*"):
                    shutil.rmtree(home, ignore_errors=True)
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
