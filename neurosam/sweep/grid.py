"""A parameter sweep: a table of settings in, a tidy table out, a row for each setting.

    network     file; as given to the sweep if empty          steps, coding, seed   of the input (images)
    threshold   factor of all thresholds                      backend, dtype        as of neurosam.run
    gamma, mode of all SAM traces                             chip                  also energy and latency there
    bits, precision ("lava", "nxsdk", "float")   the network, a float one, is quantised

An empty cell, or a column that is missing, leaves a setting as it is. What is measured is in measures.py.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from neurosam.deploy.quantise import quantise
from neurosam.deploy.threshold_search import scaled_thresholds
from neurosam.errors import ArgumentError, NetworkError, NeurosamError
from neurosam.explain.sam import SAM
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.trace import MODES
from neurosam.signals.inputs import Inputs

__all__ = ["COLUMNS", "Setting", "at_row", "read_table", "settings_of", "with_setting", "write_table"]

MOST_BYTES, MOST_ROWS = 2**24, 10**5
PRECISIONS: dict[str, Callable[[int], Precision]] = {"lava": Precision.lava, "nxsdk": Precision.nxsdk}
WORDS = {
    "precision": (*PRECISIONS, "float"), "mode": MODES, "dtype": ("float64", "float32"),
    "coding": ("poisson", "latency", "direct"),
}  # fmt: skip
LOWEST: dict[str, float] = {"threshold": 0.0, "gamma": 0.0, "bits": 2, "steps": 1, "seed": 0}


@dataclass(frozen=True)
class Setting:
    """A row of the table; None leaves a setting as it is.

    Raises
    ------
    ArgumentError
        For a value that is not allowed.
    """

    network: str | None = None
    threshold: float | None = None
    gamma: float | None = None
    mode: str | None = None
    bits: int | None = None
    precision: str | None = None
    steps: int | None = None
    coding: str | None = None
    seed: int | None = None
    backend: str | None = None
    dtype: str | None = None
    chip: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in WORDS.items():
            if (word := getattr(self, name)) is not None and word not in allowed:
                raise ArgumentError(name, f"got {word!r}; allowed are {', '.join(allowed)}")
        for name, low in LOWEST.items():
            value = getattr(self, name)
            if value is not None and (not low <= value < 2**31 or (name == "threshold" and value == 0)):
                above = "a number above 0" if name == "threshold" else f"at least {low:g}"
                raise ArgumentError(name, f"got {value}; {above} is required")
        if self.bits is not None and (self.bits > 9 or self.precision == "float"):
            raise ArgumentError("bits", f"got {self.bits} with precision {self.precision or 'lava'}; 2 to 9, in fixed "
                                "point")  # fmt: skip

    @property
    def given(self) -> dict[str, Any]:
        """What the row says."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.given.items()) or "as it is"


COLUMNS = tuple(item.name for item in fields(Setting))
WHOLE, REAL = ("bits", "steps", "seed"), ("threshold", "gamma")


def settings_of(rows: Iterable[Mapping[str, Any]], where: str = "table") -> list[Setting]:
    """The settings of a table.

    Parameters
    ----------
    rows : iterable of mapping
        By column; None, an empty text and a column that is missing mean the same. Numbers may be text.
    where : str
        For errors.

    Raises
    ------
    ArgumentError
        If the table is empty, or a column or value is not known; the message has the row, counted from 1.

    Examples
    --------
    >>> from neurosam.sweep.grid import settings_of
    >>> [str(setting) for setting in settings_of([{"gamma": 0.5}, {"gamma": "1", "bits": ""}])]
    ['gamma 0.5', 'gamma 1.0']
    """
    found = []
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise ArgumentError(where, f"has more than {MOST_ROWS:,} rows; divide it")
        try:
            found.append(_setting(row))
        except ArgumentError as error:
            raise ArgumentError(f"{where}: row {number}: {error.where}", error.problem) from None
    if not found:
        raise ArgumentError(where, f"has no rows; a line for each setting is required, below the names of {_known()}")
    return found


def read_table(path: Path) -> list[Setting]:
    """Read a table of settings (.csv), whose first line has the names of columns.

    Raises
    ------
    ArgumentError
        If it cannot be read, or is no such table.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArgumentError(str(path), f"has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), restkey="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArgumentError(str(path), f"is no table of comma-separated values: {reason}") from None
    return settings_of(rows, str(path))


def write_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table as text, comma-separated: columns in order of appearance, empty cells for None."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def with_setting(network: Network, setting: Setting, calibration: Inputs | None, steps: int) -> Network:
    """The network that a setting describes.

    Parameters
    ----------
    network : Network
        A float network if the setting has bits or a precision in fixed point.
    setting : Setting
    calibration : Inputs, optional
        For :func:`neurosam.quantise`.
    steps : int
        Of the run, for traces.

    Raises
    ------
    NetworkError
        If the network is in fixed point already, or has no thresholds or traces to change.
    """
    wanted = setting.precision or ("lava" if setting.bits is not None else None)
    if wanted is not None and network.fixed:
        raise NetworkError(
            "precision, bits", "quantise a float network, and this one is in fixed point; give the float network that "
            "it was made from (neurosam export --precision float)"
        )  # fmt: skip
    if wanted in PRECISIONS:
        network = quantise(network, PRECISIONS[wanted](setting.bits or 8), calibration)[0]
    if setting.threshold is not None:
        network = _with_threshold(network, setting.threshold)
    if setting.gamma is not None or setting.mode is not None:
        if not network.sam:
            raise NetworkError("gamma, mode", "are of SAM traces, and the network has none (Network.with_sam)")
        network = SAM(network, tuple(network.sam), gamma=setting.gamma, mode=setting.mode).traced(steps)
    return network


def _with_threshold(network: Network, factor: float) -> Network:
    """The network with all thresholds multiplied, and the amounts that are subtracted at a spike."""
    if network.fixed:
        names = [p.name for p in network.populations if isinstance(p.neuron, FixedLIF)]
        return scaled_thresholds(network, dict.fromkeys(names, factor))
    populations = []
    for population in network.populations:
        if isinstance(neuron := population.neuron, LIF):
            amount = None if neuron.reset_amount is None else neuron.reset_amount * factor
            neuron = replace(neuron, threshold=neuron.threshold * factor, reset_amount=amount)
        populations.append(replace(population, neuron=neuron))
    return replace(network, populations=populations)


def _setting(row: Mapping[str, Any]) -> Setting:
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        name = str(unknown[0])
        raise ArgumentError(name or "a cell", f"is beyond the columns that are known: {_known()}")
    values = {name: value for name, value in row.items() if value is not None and str(value).strip() != ""}
    return Setting(**{name: _value(name, value) for name, value in values.items()})


def _value(name: str, value: Any) -> Any:
    """A cell as what its column holds."""
    text = str(value).strip()
    if name not in (*WHOLE, *REAL):
        return text
    try:
        return int(text) if name in WHOLE else float(text)
    except ValueError:
        kind = "an integer" if name in WHOLE else "a number"
        raise ArgumentError(name, f"got {text!r}; {kind} is required") from None


def _cell(value: Any) -> Any:
    """A value as a cell: floats as short as they are exact."""
    return "" if value is None else json.dumps(value) if isinstance(value, (bool, float)) else value


def _known() -> str:
    return ", ".join(COLUMNS)


def at_row(number: int, error: NeurosamError) -> NeurosamError:
    """An error with the row that it belongs to."""
    return type(error)(f"row {number}: {error.where}", error.problem)
