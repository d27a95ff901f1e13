"""Results of ``neurosam bench`` as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurosam._util.atomic_write import write_text
from neurosam_bench.plots import plots

__all__ = ["draw", "markdown"]

Row = Mapping[str, Any]
Column = tuple[str, str, Callable[[Any], str]]
"""Heading, key, and formatter of the value."""


def scaled(factor: float, digits: int) -> Callable[[Any], str]:
    """Return a formatter of numbers in another unit; None becomes ""."""
    return lambda value: "" if value is None else f"{factor * value:,.{digits}f}"


def share(value: Any) -> str:
    """Format a fraction in per cent."""
    return f"{100 * value:.3g} %"


MS, MILLIONS, BILLIONS, MEGABYTES, RATIO = (
    scaled(1e3, 2),
    scaled(1e-6, 1),
    scaled(1e-9, 1),
    scaled(1e-6, 0),
    scaled(1, 2),
)

CASE: tuple[Column, ...] = (
    ("", "what", str), ("steps", "steps", str), ("runs", "runs", str), ("ms", "median_s", MS),
    ("ratio", "ratio", RATIO), ("G operations/s", "operations_per_s", BILLIONS),
)  # fmt: skip
LAYERS: tuple[Column, ...] = (
    ("", "population", str), ("path", "path", str), ("ms", "median_s", MS), ("of the run", "of_run", share),
    ("M operations", "operations", MILLIONS), ("M updates", "updates", MILLIONS),
    ("G operations/s", "operations_per_s", BILLIONS), ("of the gather", "of_gather", share),
    ("of the far gather", "of_gather_far", share), ("limit", "limit", lambda value: value or ""),
)  # fmt: skip
SWEEP: dict[str, tuple[str, tuple[Column, ...]]] = {
    "activity": (
        "Ratios are the dense rival's time over the event back end's: above 1, the event back end wins. Int8 is the "
        "convolutions alone, without neurons: no complete dense run with these kernels can be faster.",
        (
            ("", "case", str), ("activity", "activity", share), ("M operations", "operations", MILLIONS),
            ("event, ms", "event_s", MS), ("float32, ms", "float32_s", MS), ("ratio", "float32_ratio", RATIO),
            ("int8, ms", "int8_s", MS), ("ratio", "int8_ratio", RATIO),
        ),
    ),
    "batch": (
        "Samples in one run; all are different.",
        (
            ("", "case", str), ("samples", "samples", str), ("ms", "median_s", MS), ("ms per sample", "sample_s", MS),
            ("G operations/s", "operations_per_s", BILLIONS), ("1 thread over all", "one_thread", RATIO),
        ),
    ),
    "steps": (
        "Nothing recorded; each in a new process. Resident memory before the runs (network, input, kernels), and peak.",
        (
            ("", "case", str), ("steps", "steps", str), ("ms", "median_s", MS),
            ("ns per neuron and step", "update_s", scaled(1e9, 2)), ("before, MB", "before_bytes", MEGABYTES),
            ("peak, MB", "peak_bytes", MEGABYTES),
        ),
    ),
    "neurons": (
        "10 steps, nothing recorded; each in a new process. `picture`: two convolutional layers; `recurrent`: 10 "
        "synapses per neuron.",
        (
            ("", "case", str), ("neurons", "neurons", scaled(1, 0)), ("ms", "median_s", MS),
            ("ns per neuron and step", "update_s", scaled(1e9, 2)), ("M operations", "operations", MILLIONS),
            ("before, MB", "before_bytes", MEGABYTES), ("peak, MB", "peak_bytes", MEGABYTES),
        ),
    ),
    "sam": (
        "Spike activation maps of the first layers; ratios are to a run without any.",
        (
            ("", "case", str), ("layers", "layers", str), ("last", "last", str), ("ms", "median_s", MS),
            ("ratio", "ratio", scaled(1, 3)),
        ),
    ),
}  # fmt: skip
SESSIONS: tuple[Column, ...] = (
    ("", "case", str), ("", "what", str), ("median, ms", "median_s", scaled(1e3, 3)),
    ("99th percentile, ms", "p99_s", scaled(1e3, 3)),
)  # fmt: skip
SESSIONS_NOTE = "Single steps of small networks on one thread, from a dense array to the output (`ns.Session.step`)."
EQUAL: tuple[Column, ...] = (
    ("", "case", str), ("samples", "samples", str), ("steps", "steps", str),
    ("values compared", "compared", scaled(1, 0)), ("differing", "differing", scaled(1, 0)), ("first", "first", str),
)  # fmt: skip
THROUGHPUT: tuple[Column, ...] = (
    ("", "case", str), ("samples", "samples", str), ("what", "what", str), ("ms", "median_s", MS),
    ("samples/s", "samples_per_s", scaled(1, 1)), ("G operations/s", "operations_per_s", BILLIONS),
    ("time over event's", "ratio", RATIO),
)  # fmt: skip


def markdown(results: Mapping[str, Any], plot_files: Sequence[str] = ()) -> str:
    """Format the page: limits, cases, sweeps, fits, or the tables of a device; `plot_files` go below their tables."""
    machine = results["machine"]
    lines = [
        f"# neurosam {machine['neurosam']} on {machine['machine']}, {machine['cores']} cores, {machine['date']}",
        "",
        f"Python {machine['python']}, numpy {machine['numpy']}, numba {machine['numba']}. Medians of "
        f"{results['plan']['repeats']} runs after a warm-up run unless stated otherwise; a ratio is the median of the "
        "ratios to the first row within a repeat. Operations are synaptic operations: weights added.",
    ]
    if "gather_G_per_s" in machine:
        lines += ["", _limits(machine)]
    if "startup" in results:
        lines += ["", _startup(results["startup"])]
    if "device" in results:
        lines += _device(results["device"])
    for case in results.get("cases", ()):
        lines += _case(case)
    if "sessions" in results:
        lines += ["", "## A step at a time", "", SESSIONS_NOTE, *table(SESSIONS, results["sessions"])]
    for kind, rows in results.get("sweeps", {}).items():
        note, columns = SWEEP[kind]
        lines += ["", f"## Sweep over {kind}", "", note, *table(columns, rows)]
        if kind == "activity":
            lines += _crossings(results.get("crossings", ()))
        lines += _plot(plot_files, kind)
    if results.get("linear"):
        lines += _linear(results["linear"], plot_files)
    return "\n".join(lines) + "\n"


def draw(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Write results.md and the plots that it shows; return the names of the files."""
    plot_files = plots(results, folder)
    write_text(folder / "results.md", markdown(results, plot_files))
    return ["results.md", *plot_files]


def table(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Format a Markdown table after an empty line; columns that no row has are left out, text is left-aligned."""
    present = [column for column in columns if any(column[1] in row for row in rows)]
    text_keys = {key for _, key, show in present if all(isinstance(row.get(key, ""), str) for row in rows)}
    lines = ["", "| " + " | ".join(heading for heading, _, _ in present) + " |"]
    lines.append("|" + "|".join("---" if key in text_keys else "---:" for _, key, _ in present) + "|")
    for row in rows:
        cells = (show(row[key]) if key in row else "" for _, key, show in present)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def _limits(machine: Row) -> str:
    return (
        f"Limits of one thread, each on layers made for it: gather {machine['gather_G_per_s']:.0f} G operations/s "
        f"with weights in the L1 cache, {machine['gather_far_G_per_s']:.0f} (far) with 1.2 MB of them, 5 % active; "
        f"scatter {machine['scatter_G_per_s']:.0f}; {machine['neurons_G_per_s']:.1f} G neuron updates/s; copy "
        f"{machine['copy_GB_per_s']:.0f} GB/s."
    )


def _startup(startup: Mapping[str, Row]) -> str:
    compiled, cached = startup["compiled"], startup["cached"]
    return (
        f"A new process has its first result {cached['seconds']:.2f} s after the imports ({cached['hits']} kernels "
        f"from the cache, {cached['misses']} compiled); {compiled['seconds']:.1f} s if it has to compile them "
        f"({compiled['misses']} kernels), once."
    )


def _case(case: Row) -> list[str]:
    lines = [
        "",
        f"## {case['case']}",
        "",
        f"{case['activity']:.1%} activity, {case['synaptic_operations'] / 1e6:,.1f} M operations, "
        f"{case['neuron_updates'] / 1e6:,.1f} M neuron updates.",
        *table(CASE, case["rows"]),
    ]
    if "memory" in case:
        memory = case["memory"]
        before, peak, recorded = (memory[f"{key}_bytes"] / 1e6 for key in ("before", "peak", "peak_recorded"))
        lines += [
            "",
            f"Resident memory in a new process: {before:,.0f} MB with network, input and kernels, at most {peak:,.0f} "
            f"in the run, {recorded:,.0f} with all spikes recorded.",
        ]
    if "layers" in case:
        lines += ["", "Where one thread's time goes:", *table(LAYERS, case["layers"])]
    if "references" in case:
        lines += [
            "",
            "Dense PyTorch in other arrangements, and the reference back end:",
            *table(CASE, case["references"]),
        ]
    return lines


def _crossings(crossings: Sequence[Row]) -> list[str]:
    lines = [""] if crossings else []
    for row in crossings:
        where = f" above {100 * row['activity']:.2g} % activity" if row["wins"] == "above" else ""
        word = {"never": "never wins", "always": "always wins", "above": "wins"}[row["wins"]]
        lines.append(f"- {row['case']}: dense {row['rival']} {word}{where}.")
    return lines


def _linear(fits: Sequence[Row], plot_files: Sequence[str]) -> list[str]:
    columns: tuple[Column, ...] = (
        ("", "case", str), ("fixed, ms", "fixed_s", scaled(1e3, 3)),
        ("ns per operation", "operation_s", scaled(1e9, 4)), ("ns per neuron and step", "update_s", scaled(1e9, 3)),
        ("R²", "r2", scaled(1, 4)), ("median error", "error", share),
    )  # fmt: skip
    return [
        "",
        "## Cost against events",
        "",
        "`seconds = fixed + a operations + b updates`, fitted by least squares of the relative errors to the sweeps "
        "over activity and steps.",
        *table(columns, fits),
        *_plot(plot_files, "linear"),
    ]


def _device(device: Row) -> list[str]:
    cuda = f", CUDA {device['cuda']}" if device["cuda"] else ""
    return [
        "",
        f"## {device['name']}, {device['date']}",
        "",
        f"torch {device['torch']}{cuda}. Spikes, membranes and spike activation maps of all populations, the reference "
        "back end on this device against the event back end on the CPU:",
        *table(EQUAL, device["equivalence"]),
        "",
        "Throughput of whole runs, up to the results in CPU memory:",
        *table(THROUGHPUT, device["throughput"]),
    ]


def _plot(plot_files: Sequence[str], kind: str) -> list[str]:
    return [line for name in plot_files if name == f"{kind}.png" for line in ("", f"![{kind}]({name})")]
