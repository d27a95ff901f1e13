"""Measuring the grid on recorded runs: a file for each network, bits per weight and number of steps.

    FOLDER/trace-bits/<network>, <weights> bits, <steps> steps.npz
        accuracy            of the run
        keys                [S] settings
        values              [S, L, M, B] losses.MEASURES of each layer and sample
        faithful_keys       [F] settings whose maps are also deleted and inserted by, and "float"
        faithful            [F, L, 2, B'] area under the curves of deletion and of insertion
        examples            [F, 4, h, w] the first samples' maps of the middle layer, summed over steps

A file that exists is not measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import replacing
from neurosam._util.untrusted import MALFORMED_ARCHIVE
from neurosam.errors import DataError
from neurosam.evaluation import deletion, insertion
from neurosam.explain.narrow_trace import narrow_maps
from neurosam_study.trace_bits.losses import MEASURES, Reference, losses
from neurosam_study.trace_bits.nets import Bench, Run
from neurosam_study.trace_bits.settings import GAMMA, STEPS, Grid, Setting

__all__ = ["COUNT", "FLOAT", "Measured", "measure"]

Array = npt.NDArray[np.float64]

FLOAT = "float"
"""Key of the float map among the maps that are judged by deletion and insertion."""
JUDGED, POINTS = 20, 10
"""Samples and points of the curves of deletion and insertion."""
EXAMPLES = 4
"""Samples whose maps are drawn."""
COUNT = "count"
"""Key of the spike counts among them."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The content of one file.

    Attributes
    ----------
    bench : str
    weight_bits, steps : int
    layers : tuple of str
    accuracy : float
    values : dict of str to (L, M, B) array
        By setting.
    faithful : dict of str to (L, 2, B') array
        By setting; empty where it was not measured.
    examples : dict of str to (4, h, w) array
        Maps of the first samples, summed over steps, by the keys of `faithful`.
    """

    bench: str
    weight_bits: int
    steps: int
    layers: tuple[str, ...]
    accuracy: float
    values: dict[str, Array]
    faithful: dict[str, Array]
    examples: dict[str, Array]

    def of(self, setting: Setting, measure: str) -> Array:
        """A measure of each layer and sample, ``[L, B]``."""
        return self.values[setting.key][:, MEASURES.index(measure)]


def measure(bench: Bench, grid: Grid, folder: Path, say: Callable[[str], None]) -> list[Measured]:
    """Everything about one network; what its files hold is not measured again."""
    found = []
    for weight_bits in grid.weight_bits:
        units = list(_units(bench, grid, weight_bits))
        missing = [
            (steps, path) for steps, _ in units if not (path := _path(folder, bench, weight_bits, steps)).exists()
        ]
        if missing:
            say(f"{bench.name}: recording {weight_bits}-bit weights")
            run = bench.record(weight_bits, max(steps for steps, _ in missing))
            for steps, path in missing:
                say(f"{bench.name}: {weight_bits}-bit weights, {steps} steps")
                settings = next(s for number, s in units if number == steps)
                judged = steps == _judged_steps(bench) and weight_bits == grid.weight_bits[0]
                _save(path, _measured(bench, run, weight_bits, steps, settings, grid, judged))
        found += [_load(_path(folder, bench, weight_bits, steps), bench, weight_bits, steps) for steps, _ in units]
    return found


def _units(bench: Bench, grid: Grid, weight_bits: int) -> Iterator[tuple[int, list[Setting]]]:
    """Numbers of steps, and the traces that are tried there."""
    for steps in sorted({min(steps, bench.most_steps) for steps in grid.steps}):
        if weight_bits == grid.weight_bits[0]:
            yield steps, list(grid.settings(steps))
        elif steps == _judged_steps(bench):
            yield steps, [Setting(s.bits, s.rounding, steps=steps) for s in grid.at_other_weights()]


def _judged_steps(bench: Bench) -> int:
    return min(STEPS, bench.most_steps)


def _measured(
    bench: Bench, run: Run, weight_bits: int, steps: int, settings: Sequence[Setting], grid: Grid, judged: bool
) -> Measured:
    count = grid.samples_of(steps)
    references = [Reference(run.spikes[layer], steps, bench.masks, count) for layer in bench.layers]
    values = {
        setting.key: np.stack(
            [np.stack([*losses(reference, setting, bench.seed).values()]) for reference in references]
        )
        for setting in settings
    }
    faithful, examples = {}, {}
    if judged:
        x = bench.events(steps, 0, JUDGED).dense()
        target = run.predictor(x).argmax(axis=1)
        for key, maps in _maps(references, steps, grid, bench.seed):
            areas = [
                [curve(run.predictor, x, m[:, :JUDGED], target, points=POINTS).area for curve in (deletion, insertion)]
                for m in maps
            ]
            faithful[key] = np.asarray(areas)
            examples[key] = maps[len(maps) // 2][:, :EXAMPLES].sum(axis=0)
    return Measured(bench.name, weight_bits, steps, bench.layers, run.accuracy, values, faithful, examples)


def _maps(references: list[Reference], steps: int, grid: Grid, seed: int) -> Iterator[tuple[str, list[Array]]]:
    """The maps that deletion and insertion judge: float, and each width by rounding down and at random."""
    yield FLOAT, [reference.maps(GAMMA, "strict") for reference in references]
    yield COUNT, [reference.counts for reference in references]
    for rounding in ("floor", "stochastic"):
        for bits in grid.bits:
            setting = Setting(bits, rounding, steps=steps)
            trace = setting.trace()
            yield setting.key, [np.asarray(narrow_maps(r.lists, trace, seed=seed), np.float64) for r in references]


def _path(folder: Path, bench: Bench, weight_bits: int, steps: int) -> Path:
    return folder / "trace-bits" / f"{bench.name}, {weight_bits} bits, {steps} steps.npz"


def _save(path: Path, measured: Measured) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            accuracy=np.float64(measured.accuracy),
            keys=np.array(list(measured.values)),
            values=np.stack(list(measured.values.values())).astype(np.float32),
            faithful_keys=np.array(list(measured.faithful), dtype=np.str_),
            faithful=np.stack(list(measured.faithful.values())) if measured.faithful else np.zeros(0),
            examples=np.stack(list(measured.examples.values())) if measured.examples else np.zeros(0),
        )


def _load(path: Path, bench: Bench, weight_bits: int, steps: int) -> Measured:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            values = dict(zip(file["keys"].tolist(), file["values"].astype(np.float64), strict=True))
            faithful = dict(zip(file["faithful_keys"].tolist(), file["faithful"], strict=True))
            examples = dict(zip(file["faithful_keys"].tolist(), file["examples"], strict=True))
            accuracy = float(file["accuracy"])
    except MALFORMED_ARCHIVE as error:
        raise DataError(str(path), f"is damaged ({error}); delete it, and it is measured again") from error
    return Measured(bench.name, weight_bits, steps, bench.layers, accuracy, values, faithful, examples)
