"""The measured side: means of the raw logs that Blouw et al. published, as blouw2019.json.

    git clone https://github.com/abr/power_benchmarks && git -C power_benchmarks checkout fce95c8
    python benchmarks/silicon/logs.py power_benchmarks     # writes blouw2019.json again; it must not change

A log has a reading of two rails (VDD: cores, VDDM: memories) about every 0.4 s: before a run (booted, nothing loaded,
then the network is being loaded), during it, and after it (the network is loaded, no step is made). Nothing of the logs
is kept but means.

- *running*: readings between the start and the end that the log's JSON names, all runs of a size together, as the
  authors' own analysis/analysis.py has it (load_running_samples).
- *idle*: the logs of folder idle, without the first 20 and the last 20 rows (load_idle_samples).
- *loaded*: readings from half a second after the end of a run. The authors mention it in the text (section "Data I/O"),
  and do not subtract it.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_text

HERE = Path(__file__).resolve().parent
SETTLED_S = 0.5
EDGE_ROWS = 20
STEPS_AN_INFERENCE = 10
SPOTTER = "spotter"
COLUMNS = ("Total Power (W)", "P_VDD", "P_VDDM", "V_VDD", "V_VDDM")

Readings = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Readings ``[n, 5]`` (COLUMNS), and their times in s since the start of the run."""

    readings: Readings
    time_s: Readings
    duration_s: float
    inferences: float


def main() -> None:
    """Read the logs, write the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="clone of github.com/abr/power_benchmarks")
    parser.add_argument("--out", type=Path, default=HERE / "blouw2019.json")
    options = parser.parse_args()
    write_text(options.out, json.dumps(means(options.checkout / "logs"), indent=1) + "\n")


def means(folder: Path) -> dict[str, Any]:
    """Means over all logs of a kind, in W and s."""
    runs: dict[str, list[Log]] = {}
    for about in sorted((folder / "running").glob("loihi_*.json")):
        scaled = re.fullmatch(r"loihi_I08O08C(\d\d)L\d\d_run\d\d", about.stem)
        runs.setdefault(scaled[1] if scaled else SPOTTER, []).append(log(about))
    idle = [rows(path)[1] for path in sorted((folder / "idle").glob("loihi_*.csv"))]
    edges = [readings[EDGE_ROWS - 1 : 1 - EDGE_ROWS] for readings in idle]
    return {
        "source": "github.com/abr/power_benchmarks at fce95c8, logs/idle/loihi_* and logs/running/loihi_*",
        "idle_w": rails(np.concatenate(edges)),
        "idle_voltage_v": {"vdd": mean(np.concatenate(edges)[:, 3]), "vddm": mean(np.concatenate(edges)[:, 4])},
        "spotter": {"neurons": 512, **size(runs.pop(SPOTTER))},
        "scaled": [
            {"copies": int(n), "neurons": 2560 * int(n) + 512, **size(logs)} for n, logs in sorted(runs.items())
        ],
    }


def size(logs: list[Log]) -> dict[str, Any]:
    """Means of the runs of one size."""
    during = [run.readings[(run.time_s >= 0) & (run.time_s <= run.duration_s)] for run in logs]
    after = [run.readings[run.time_s > run.duration_s + SETTLED_S] for run in logs]
    return {
        "runs": len(logs),
        "running_w": rails(np.concatenate(during)),
        "running_spread_w": mean(np.std([readings[:, 0].mean() for readings in during], ddof=1)),
        "loaded_w": rails(np.concatenate(after)),
        "step_s": round(float(np.mean([run.duration_s / (run.inferences * STEPS_AN_INFERENCE) for run in logs])), 8),
    }


def rails(readings: Readings) -> dict[str, float]:
    """Mean power of both rails together, and of each."""
    return {name: mean(readings[:, column]) for column, name in enumerate(("all", "vdd", "vddm"))}


def mean(values: Any) -> float:
    """A mean to six digits behind the point: microwatts."""
    return round(float(np.mean(values)), 6)


def log(about: Path) -> Log:
    """The log of one run."""
    described = json.loads(about.read_text())
    times, readings = rows(about.with_suffix(".csv"))
    start, end = (moment(described[key]) for key in ("start_time", "end_time"))
    since = np.array([(time - start).total_seconds() for time in times])
    return Log(readings, since, (end - start).total_seconds(), described["n_inferences"])


def rows(path: Path) -> tuple[list[datetime], Readings]:
    """Times and readings of a log."""
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    return [moment(row["Time"]) for row in read], np.array([[float(row[name]) for name in COLUMNS] for row in read])


def moment(text: str) -> datetime:
    """A time as the logs write it."""
    return datetime.strptime(text, "%Y-%m-%d_%H:%M:%S.%f")


if __name__ == "__main__":
    main()
