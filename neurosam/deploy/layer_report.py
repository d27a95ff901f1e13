"""A quantisation report by layer: how exact each population is, and where predictions are lost.

Networks between the float network and the fixed-point one show where. In each, some populations have their rounded
parameters (dequantise.py) and the others keep their float ones:

    only this       one population is rounded
    up to this      it and all before it are rounded
    fixed point     all are rounded, and computed in integers: what the last "up to this" lacks is the integer rule

Signal-to-noise ratios are explained in fidelity.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import reported
from neurosam.arithmetic import FRACTION_BITS
from neurosam.backends.registry import run
from neurosam.deploy.dequantise import dequantise, hybrid
from neurosam.deploy.fidelity import Fidelity, measure_fidelity, snr_db
from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.errors import EventError
from neurosam.network.network import Network
from neurosam.signals.events import Events

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Effect", "LayerQuality", "LayerReport", "layer_report"]


@dataclass(frozen=True)
class Effect:
    """A network's outputs against those of the float network.

    Attributes
    ----------
    agreement : float
        Fraction of samples with the same prediction.
    accuracy : float or None
        Fraction of samples whose prediction is the label; None without labels.
    output_snr_db : float
        Power of the float outputs over the power of the difference, both without each sample's mean over classes, which
        does not affect predictions.
    """

    agreement: float
    accuracy: float | None
    output_snr_db: float


@dataclass(frozen=True)
class LayerQuality:
    """What quantisation did to one population, and to the predictions through it.

    Attributes
    ----------
    population : str
    weight_snr_db : float
        Power of the weights of all projections to it over the power of their error.
    alone, deployed : Fidelity
        With the spikes of the float network arriving, and in the fixed-point network.
    only_this, up_to_this : Effect
        Of the network in which it alone is rounded, and of the one in which all before it are rounded as well.
    """

    population: str
    weight_snr_db: float
    alone: Fidelity
    deployed: Fidelity
    only_this: Effect
    up_to_this: Effect


@dataclass(frozen=True)
class LayerReport:
    """The result of :func:`layer_report`.

    Attributes
    ----------
    precision : str
    weight_bits : int
    steps, samples : int
        Of the events it was measured on.
    float_accuracy : float or None
        Accuracy of the float network; None without labels.
    layers : tuple of LayerQuality
        In order of evaluation.
    fixed : Effect
        Of the fixed-point network.
    """

    precision: str
    weight_bits: int
    steps: int
    samples: int
    float_accuracy: float | None
    layers: tuple[LayerQuality, ...]
    fixed: Effect

    def to_dict(self) -> dict[str, Any]:
        """The report as lists, dicts, numbers and strings, for JSON; NaN and infinities are strings."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def tables(self) -> tuple[Table, ...]:
        """Tables for the terminal: each layer alone, each layer deployed, and where predictions are lost."""
        on = f"{self.samples} sample(s), {self.steps} steps"
        noise = ("weights", "inputs", "membranes", "spikes", "differ")
        activity = ("rate", "change")
        alone = _table(
            f"each layer alone: signal-to-noise in dB ({self.precision}, {self.weight_bits}-bit weights, {on})",
            ("layer", *noise, *activity),
            [(x.population, _db(x.weight_snr_db), *_cells(x.alone)) for x in self.layers],
            "with the float network's spikes arriving; differ: neurons and steps with another number of spikes\n"
            "rate: spikes per neuron and step in float; change: of the rate by quantisation",
        )
        deployed = _table(
            "each layer deployed: signal-to-noise in dB",
            ("layer", *noise[1:], *activity),
            [(x.population, *_cells(x.deployed)) for x in self.layers],
            "in the fixed-point network, with quantised layers before it",
        )
        effect = (*(["accuracy"] if self.float_accuracy is not None else []), "output dB")
        lost = _table(
            "where predictions are lost",
            ("rounded", "only this", *effect, "up to this", *effect),
            [
                *((x.population, *_effect(x.only_this), *_effect(x.up_to_this)) for x in self.layers),
                ("all, in integers", "", *("" for _ in effect), *_effect(self.fixed)),
            ],
            "only this, up to this: agreement with the float network's predictions"
            + ("" if self.float_accuracy is None else f" (accuracy {self.float_accuracy:.2%})")
            + "\noutput: signal-to-noise of the outputs",
        )
        return alone, deployed, lost


@reported("measuring layers")
def layer_report(
    network: Network,
    fixed: Network,
    quantisation: QuantisationReport,
    events: Events,
    labels: npt.NDArray[np.int64] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LayerReport:
    """Measure every layer of a quantised network against the float network that it was made from.

    Parameters
    ----------
    network : Network
        In float64.
    fixed : Network
        Its quantised form; thresholds and biases may have been changed since.
    quantisation : QuantisationReport
        As :func:`neurosam.quantise` returned it, for the units.
    events : Events
        Typical input, better not that of the calibration; a hundred samples are enough for signal-to-noise ratios.
    labels : (B,) int64 array, optional
        For accuracies.
    progress : callable, optional
        Called with (runs done, all runs).

    Returns
    -------
    LayerReport

    Raises
    ------
    EventError
        If there are no samples, or the number of labels differs from that of samples.
    NetworkError
        If the networks do not correspond.

    Examples
    --------
    >>> from neurosam.deploy.layer_report import layer_report
    >>> rng = np.random.default_rng(0)
    >>> network = ns.Network(
    ...     [
    ...         ns.Population("in", (8,)),
    ...         ns.Population("a", (6,), ns.LIF(leak=0.9, threshold=1.0)),
    ...         ns.Population("out", (3,), ns.Readout()),
    ...     ],
    ...     [
    ...         ns.Projection("in", "a", ns.Dense(rng.normal(0, 0.5, (6, 8)))),
    ...         ns.Projection("a", "out", ns.Dense(rng.normal(0, 0.5, (3, 6)))),
    ...     ],
    ... )
    >>> spikes = ns.Events.from_dense((rng.random((10, 32, 8)) < 0.3).astype(np.uint8))
    >>> fixed, quantisation = ns.quantise(network, ns.Precision.lava(4), spikes)
    >>> report = layer_report(network, fixed, quantisation, spikes)
    >>> [layer.population for layer in report.layers]
    ['a', 'out']
    >>> report.layers[0].only_this == report.layers[0].up_to_this  # nothing is before the first layer
    True
    """
    if not events.samples:
        raise EventError("layer_report: events", "have no samples; at least 1 is required")
    if labels is not None and labels.shape != (events.samples,):
        raise EventError(
            "layer_report: labels", f"got {labels.shape} for {events.samples} samples; one each is required"
        )
    units = {row.population: row.unit_by_channel for row in quantisation.populations}
    rounded = dequantise(network, fixed, units)
    names = [name for group in network.groups for name in group if network[name].neuron is not None]
    output = run(network, events)
    total, done = 2 * len(names) + 2, 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    def effect(other: Network, scale: float = 1.0) -> Effect:
        recording = run(other, events)
        tick()
        accuracy = None if labels is None else float(np.mean(recording.predictions == labels))
        agreement = float(np.mean(recording.predictions == output.predictions))
        return Effect(agreement, accuracy, _output_snr_db(output.output, recording.output * scale))

    fidelity = measure_fidelity(network, rounded, fixed, units, events)
    tick()
    layers = []
    for i, name in enumerate(names):
        only = effect(hybrid(network, rounded, [name]))
        up_to = effect(hybrid(network, rounded, names[: i + 1])) if i else only
        layers.append(LayerQuality(name, _weight_snr_db(network, rounded, name), *fidelity[name], only, up_to))
    readout = fixed.readout
    whole = effect(fixed, 1.0 if readout.fires else units[readout.name] / (1 << FRACTION_BITS))
    precision = fixed.precision
    return LayerReport(
        precision=quantisation.precision,
        weight_bits=0 if precision is None else precision.weight_bits,
        steps=events.steps,
        samples=events.samples,
        float_accuracy=None if labels is None else float(np.mean(output.predictions == labels)),
        layers=tuple(layers),
        fixed=whole,
    )


def _output_snr_db(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    x, y = (np.asarray(a, dtype=np.float64).reshape(len(a), -1) for a in (x, y))
    x, y = (a - a.mean(axis=1, keepdims=True) for a in (x, y))
    return snr_db(float(np.vdot(x, x)), float(np.vdot(x - y, x - y)))


def _weight_snr_db(network: Network, rounded: Network, name: str) -> float:
    pairs = zip(network.incoming(name), rounded.incoming(name), strict=True)
    weights = [(p.synapse.weight, q.synapse.weight) for p, q in pairs]
    return snr_db(sum(float(np.vdot(p, p)) for p, _ in weights), sum(float(np.vdot(p - q, p - q)) for p, q in weights))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> Table:
    from rich.box import SIMPLE_HEAD

    from neurosam._util.tables import PlainTable

    table = PlainTable(
        title, caption, title_style="bold", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, caption_style="dim",
        caption_justify="left",
    )  # fmt: skip
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _db(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def _cells(fidelity: Fidelity) -> tuple[str, ...]:
    noise = (_db(fidelity.input_snr_db), _db(fidelity.membrane_snr_db), _db(fidelity.spike_snr_db))
    if np.isnan(fidelity.rate_change):
        return (*noise, "-", "-", "-")
    return (*noise, f"{fidelity.differing:.2%}", f"{fidelity.rate:.3f}", f"{fidelity.rate_change:+.1%}")


def _effect(effect: Effect) -> tuple[str, ...]:
    accuracy = [] if effect.accuracy is None else [f"{effect.accuracy:.2%}"]
    return f"{effect.agreement:.2%}", *accuracy, _db(effect.output_snr_db)
