"""The quantisation report, kept in the metadata of the network that it describes.

``metadata["quantisation"]`` is a JSON object with the fields of :class:`QuantisationReport`; infinities and NaN are the
texts "inf" and "nan". A network of any size has a text of bounded size: of very many populations, units of channels or
warnings the first are kept, and ``left_out`` counts the others. Whoever reads a file from a stranger gets a
:class:`FormatError` for whatever is not such an object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from neurosam.deploy.quantisation_report import PopulationReport, QuantisationReport
from neurosam.errors import FormatError
from neurosam.network.network import Network

__all__ = ["KEY", "kept_report", "outlasted", "summary", "with_report"]

KEY = "quantisation"
MOST_POPULATIONS, MOST_UNITS, MOST_WARNINGS, MOST_LETTERS = 256, 2048, 64, 400


def with_report(network: Network, report: QuantisationReport) -> Network:
    """The network with the report in its metadata."""
    return replace(network, metadata={**network.metadata, KEY: _text(report)}, check_alignment=False)


def kept_report(network: Network) -> QuantisationReport | None:
    """The report that was kept with a network; None if there is none.

    Raises
    ------
    FormatError
        If the metadata hold something else under that name.

    Examples
    --------
    >>> from neurosam.deploy.kept_report import kept_report
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.5, -0.25]])))],
    ... )
    >>> fixed, report = ns.quantise(network, "lava")
    >>> fixed.save("two.h5")
    >>> kept_report(ns.load_network("two.h5")).populations == report.populations
    True
    """
    text = network.metadata.get(KEY)
    if text is None:
        return None
    try:
        held = json.loads(text)
        rows = tuple(PopulationReport(**_values(PopulationReport, row)) for row in held["populations"])
        return QuantisationReport(**_values(QuantisationReport, held | {"populations": rows}))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, AttributeError) as error:
        problem = f"is no quantisation report ({type(error).__name__}); quantise the float network again"
        raise FormatError(f"metadata {KEY!r}", problem) from None


def summary(report: QuantisationReport) -> str:
    """The report in a line.

    Examples
    --------
    >>> from neurosam.deploy.kept_report import summary
    >>> from neurosam.deploy.quantisation_report import QuantisationReport
    >>> summary(QuantisationReport("lava", (), agreement=0.984375, steps=32, warnings=("conv1: ...",)))
    'lava, 98.4% agreement in calibration, planned for 32 steps, 1 warning'
    """
    parts = [report.precision]
    if math.isfinite(report.agreement):
        parts.append(f"{report.agreement:.1%} agreement in calibration")
    finite = [row for row in report.populations if math.isfinite(row.weight_snr_db)]
    if finite:
        worst = min(finite, key=lambda row: row.weight_snr_db)
        parts.append(f"weights from {worst.weight_snr_db:.1f} dB ({worst.population})")
    if report.steps is not None:
        parts.append(f"planned for {report.steps:,} steps")
    count = len(report.warnings)
    return ", ".join([*parts, f"{count} warning{'s' * (count != 1)}" if count else "no warnings"])


def outlasted(report: QuantisationReport | None, steps: int) -> str:
    """What a run of that many steps goes beyond, in a sentence; empty if it does not."""
    rows = [] if report is None else [row for row in report.populations if row.safe_steps is not None]
    short = min(rows, key=lambda row: row.safe_steps or 0, default=None)
    if short is None or short.safe_steps is None or short.safe_steps >= steps:
        return ""
    return (
        f"the membrane of {short.population!r} has room for {short.safe_steps:,} steps, as its quantisation found, and "
        f"{steps:,} are run: it may saturate. Export with --longest-run {steps}"
    )


def _text(report: QuantisationReport) -> str:
    room = MOST_UNITS
    rows = []
    for row in report.populations[:MOST_POPULATIONS]:
        kept = row if len(row.channel_units) <= room else replace(row, channel_units=())
        room -= len(kept.channel_units)
        rows.append(kept)
    warnings = tuple(warning[:MOST_LETTERS] for warning in report.warnings[:MOST_WARNINGS])
    plain: dict[str, Any] = _plain(asdict(replace(report, populations=tuple(rows), warnings=warnings)))
    left_out = len(report.populations) - len(rows) + len(report.warnings) - len(warnings)
    return json.dumps(plain | ({"left_out": left_out} if left_out else {}), allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or value in ("inf", "-inf", "nan")):
        raise TypeError(value)
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise TypeError(value)
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


READ: dict[str, Callable[[Any], Any]] = {
    "str": _word,
    "float": _number,
    "int": _whole,
    "int | None": lambda value: None if value is None else _whole(value),
    "tuple[float, ...]": lambda value: tuple(_number(item) for item in value),
    "tuple[str, ...]": lambda value: tuple(_word(item) for item in value),
    "tuple[PopulationReport, ...]": lambda value: value,
}
"""How a field is read, by its annotation."""


def _values(kind: type[PopulationReport | QuantisationReport], held: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields of an object, each of its type; unknown ones, of a later version, are left out."""
    return {item.name: READ[str(item.type)](held[item.name]) for item in fields(kind) if item.name in held}
