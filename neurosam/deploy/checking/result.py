"""The result of checking a network against the module that it was exported from: counts per layer, and explanations."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosam.deploy.checking.explain_difference import Explanation, Place
from neurosam.deploy.fidelity import snr_db

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["ExportCheck", "FirstSpike", "LayerCheck"]


@dataclass(frozen=True)
class LayerCheck:
    """The spikes of one layer in the module and in the network, each running by itself.

    Attributes
    ----------
    population, module : str
        Its names in the network and in the module.
    compared : int
        Neurons times steps times samples; 0 for a readout, which never fires. What arrives at it is compared all the
        same.
    module_spikes, network_spikes : int
    differing : int
        How many of `compared` differ.
    first_step : int or None
        The first step at which one does.
    """

    population: str
    module: str
    compared: int
    module_spikes: int
    network_spikes: int
    differing: int
    first_step: int | None

    @property
    def agreement(self) -> float:
        """Fraction of neurons, steps and samples with the same spikes."""
        return 1 - self.differing / self.compared if self.compared else 1.0

    @property
    def spike_snr_db(self) -> float:
        """Number of the module's spikes over the number of places that differ, in dB (fidelity.py)."""
        return snr_db(self.module_spikes, self.differing)


@dataclass(frozen=True)
class FirstSpike:
    """The first spike in causal order that only one of the two has: everything before it is equal."""

    population: str
    place: Place
    module: float
    network: float

    def __str__(self) -> str:
        return f"{self.population}, {self.place}: {self.module:g} in the module, {self.network:g} in the network"


@dataclass(frozen=True)
class ExportCheck:
    """The result of :func:`neurosam.check_export`.

    Attributes
    ----------
    steps, samples : int
    quantised : bool
        Whether the network computes in integers; differences are then expected, and measured.
    layers : tuple of LayerCheck
        In order of evaluation.
    first : FirstSpike or None
        The first spike that differs.
    explanations : tuple of Explanation
        At most two for a layer (its synapses, its neurons), in order of evaluation; each found with the spikes of the
        module's own layers arriving, so that it is not the consequence of another.
    not_compared : tuple of str
        Populations with neurons that the module has no layer for, such as those of max pooling.
    """

    steps: int
    samples: int
    quantised: bool
    layers: tuple[LayerCheck, ...]
    first: FirstSpike | None = None
    explanations: tuple[Explanation, ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def differing(self) -> int:
        """Spikes that differ in all layers."""
        return sum(layer.differing for layer in self.layers)

    @property
    def equal(self) -> bool:
        """Whether nothing differs but what rounding explains."""
        return not self.quantised and all(e.kind == "rounding" for e in self.explanations)

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if self.quantised:
            agreement = 1 - self.differing / max(1, sum(layer.compared for layer in self.layers))
            return f"quantised: {agreement:.2%} of spikes and silences agree"
        if not self.equal:
            return "NOT the same network"
        return "the same network" if not self.differing else "the same network, but for rounding"

    def explained(self, population: str) -> tuple[Explanation, ...]:
        """The explanations of one layer."""
        return tuple(e for e in self.explanations if e.population == population)

    def to_dict(self) -> dict[str, Any]:
        """The result as lists, dicts, numbers and strings, for JSON."""
        first = self.first
        return {
            "verdict": self.verdict,
            "equal": self.equal,
            "quantised": self.quantised,
            "steps": self.steps,
            "samples": self.samples,
            "layers": [
                asdict(layer) | {"agreement": layer.agreement, "spike_snr_db": _plain(layer.spike_snr_db)}
                for layer in self.layers
            ],
            "first": None if first is None else asdict(first) | {"place": first.place.to_dict()},
            "explanations": [e.to_dict() for e in self.explanations],
            "not_compared": list(self.not_compared),
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as text (NaN and infinities as strings)."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def table(self) -> Table:
        """A table for the terminal, one row per layer, with the explanations below."""
        from neurosam._util.tables import PlainTable

        table = PlainTable(f"module and network: {self.verdict}", self._caption(), caption_justify="left")
        for name in ("layer", "in the module"):
            table.add_column(name)
        for name in ("spikes", "differ", "agree", "first step", "SNR dB"):
            table.add_column(name, justify="right")
        table.add_column("reason")
        for layer in self.layers:
            reasons = ", ".join(dict.fromkeys(e.kind for e in self.explained(layer.population)))
            if layer.differing and not reasons:
                reasons = "quantisation" if self.quantised else "layers before it"
            cells: tuple[str, ...] = (
                f"{layer.module_spikes:,}", f"{layer.differing:,}", f"{layer.agreement:.2%}",
                "-" if layer.first_step is None else str(layer.first_step), _db(layer.spike_snr_db),
            )  # fmt: skip
            style = "bold red" if self.explained(layer.population) and not (self.quantised or self.equal) else None
            cells = cells if layer.compared else ("-",) * len(cells)
            table.add_row(layer.population, layer.module, *cells, reasons, style=style)
        return table

    def __str__(self) -> str:
        return f"{self.verdict}\n{self._caption()}"

    def _caption(self) -> str:
        lines = [f"{self.samples} sample(s), {self.steps} steps"]
        if self.first is not None:
            lines.append(f"first difference: {self.first}")
        lines += [str(explanation) for explanation in self.explanations]
        if self.not_compared:
            lines.append(f"not in the module: {', '.join(self.not_compared)}")
        return "\n".join(lines)


def _plain(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def _db(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"
