"""Other published measurements: what our model says of each, or why it can say nothing.

All figures come from the chips' files; `neurosam chips NAME` prints them with their sources.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosam_hw.chips.figure import Figure
from neurosam_hw.chips.load import load_chip

__all__ = ["Row", "rows"]

TRUENORTH_RATE_HZ, TRUENORTH_SYNAPSES = 20, 128
TRUENORTH_W = 72e-3


@dataclass(frozen=True)
class Row:
    """A measurement.

    Parameters
    ----------
    what : str
    predicted, measured : float, optional
        In `unit`; None where there is nothing to predict it from.
    unit : str
    remark : str
        What the ratio means, or why there is none.
    """

    what: str
    predicted: float | None
    measured: float | None
    unit: str
    remark: str

    @property
    def ratio(self) -> float | None:
        """Predicted by measured."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured


def rows(loaded_w: float) -> list[Row]:
    """All rows; `loaded_w` is what Blouw et al.'s chip draws at rest with a network loaded."""
    return [truenorth(), odin(), loihi_boards(loaded_w), xylo(), *without()]


def truenorth() -> Row:
    """The all-in figure times all events of the network that it was taken from: a check of its arithmetic."""
    chip = load_chip("truenorth")
    neurons = number(chip.figure("limits.cores")) * number(chip.figure("limits.neurons_per_core"))
    events_hz = neurons * TRUENORTH_RATE_HZ * TRUENORTH_SYNAPSES
    predicted = events_hz * number(chip.figure("energy.synaptic_operation_all_in"))
    return Row(
        "TrueNorth, 1,048,576 neurons at 20 Hz, 128 active synapses each",
        predicted,
        TRUENORTH_W,
        "W",
        "all-in: the figure is this measurement divided by its events, so this checks arithmetic, not a model. At "
        "another rate it is wrong by the static power in it",
    )


def odin() -> Row:
    """How much of an all-in figure is the operation."""
    chip = load_chip("odin")
    return Row(
        "ODIN, a synaptic operation: incremental against all-in",
        number(chip.figure("energy.synaptic_operation")),
        number(chip.figure("energy.synaptic_operation_all_in")),
        "J",
        "both measured, at its best rate: a third of the all-in figure is leakage and idle power",
    )


def loihi_boards(loaded_w: float) -> Row:
    """Two boards' power at rest."""
    frady = load_chip("loihi1").boards["frady2020"]
    return Row(
        "Loihi 1 at rest with a network loaded: Blouw et al.'s board against Frady et al.'s 32 chips",
        loaded_w,
        number(frady.figures["idle_per_chip"]),
        "W",
        "both measured. The 29.5 mW that are quoted as idle are of a chip that was booted and holds nothing",
    )


def xylo() -> Row:
    """What the published energy is."""
    board = load_chip("xylo-a2").boards["bos2024"]
    return Row(
        "Xylo Audio 2, keyword spotting: duration that its two published figures stand for",
        None,
        number(board.figures["inference"]) / number(board.figures["running"]),
        "s",
        "6.6 µJ by 291 µW, without power at rest. Not possible: the public model gives cycles, and neither an energy "
        "of a cycle nor the network's rates are published",
    )


def without() -> list[Row]:
    """What cannot be compared."""
    speck = load_chip("speck").boards["yao2024"].figures["idle"]
    return [
        Row("Speck at rest", None, number(speck), "W", "a board's figure. No energy of an operation is published"),
        Row(
            "SpiNNaker 2, DVS gesture, an inference",
            None,
            0.459,
            "J",
            "not possible: neither the network nor its rates are published",
        ),
        Row(
            "SANA-FE against Loihi 1: 11.7 % of the dynamic energy, 24.3 % of the latency",
            None,
            None,
            "",
            "its authors' own statement. Not possible to repeat: their measurements (loihi_spiking.csv, "
            "loihi_gesture_32x32_*.csv in scripts/) are not in the repository",
        ),
    ]


def number(figure: Figure) -> float:
    """The one value of a figure, in its base unit."""
    value = figure.value_si
    if not isinstance(value, (int, float)):
        raise SystemExit(f"{figure.name}: got {figure.value_text}; one number is required")
    return float(value)
