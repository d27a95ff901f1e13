"""The parameters of one NIR node of neurons with the checks that all presets share, and what a preset makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.formats.nir.drawing import Node
from neurosam.network.neuron import LIF, Readout

__all__ = ["CLOSE", "Cell", "Parameters", "Values"]

Values = npt.NDArray[Any]

CLOSE = 1e-6
"""Relative difference up to which a factor is taken as 1: parameters are stored in float32."""


@dataclass(frozen=True)
class Cell:
    """A layer of neurons, and what its input is multiplied by."""

    neuron: LIF | Readout
    gain: Any = 1.0


@dataclass(frozen=True)
class Parameters:
    """Fields of a node of neurons, in the precision of the file.

    Parameters
    ----------
    node : Node
    values : mapping of str to array
        Each of one element, or of the shape of the layer; read as attributes.
    dt : float
        Step, in the unit of the time constants.
    """

    node: Node
    values: Mapping[str, Values]
    dt: float

    def __getattr__(self, name: str) -> Values:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    def rate(self, tau: str) -> Values:
        """``dt / tau``; refused above 1, where Euler's rule is unstable."""
        rate: Values = self.dt / self._positive(tau)
        if (rate > 1 + CLOSE).any():
            raise self.node.error(
                f"has {tau} {self.values[tau].min():g}, less than the step dt of {self.dt:g}: a leak below 0; give a "
                "smaller dt (Norse 1.1 writes dt * tau instead of tau: dt is then the square of its step)"
            )
        return np.minimum(rate, rate.dtype.type(1))  # type: ignore[no-any-return]

    def decay(self, tau: str) -> Values:
        """``exp(-dt / tau)``."""
        decay: Values = np.exp(-self.dt / self._positive(tau))
        return decay

    def must(self, name: str, value: float | Values, framework: str) -> None:
        """Refuse a parameter that a framework's importer refuses or drops."""
        if not np.allclose(self.values[name], value, rtol=CLOSE, atol=1e-12):
            raise self.node.error(
                f"has {name} {np.ravel(self.values[name])[0]:g}; {framework}'s importer takes it as "
                f"{np.ravel(value)[0]:g}. Give source 'euler' to have it as NIR defines it"
            )

    def _positive(self, tau: str) -> Values:
        if (self.values[tau] <= 0).any():
            raise self.node.error(f"has {tau} {self.values[tau].min():g}; a time constant is above 0")
        return self.values[tau]


def one(gain: Any) -> Any:
    """A gain that is 1 within the rounding of float32 is 1."""
    return 1.0 if np.allclose(gain, 1.0, rtol=0, atol=CLOSE) else gain


def hard_reset(value: Values) -> dict[str, Any]:
    """A reset to `value`, to zero by its own name."""
    return {"reset": "value", "reset_value": value} if value.any() else {"reset": "zero"}
