"""Predictors: a common interface to the class scores of a torch module or of a network on a back end."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam.attribution.method import evaluating, logits, prepared
from neurosam.backends.registry import run
from neurosam.errors import NetworkError
from neurosam.network.network import Network
from neurosam.signals.events import Events

__all__ = ["Predictor", "of_module", "of_network"]


class Predictor(Protocol):
    """A function from input ``[T, B, C, H, W]`` (``[B, C, H, W]`` for an ANN) to class scores ``[B, K]``."""

    def __call__(self, x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        """Scores of a batch."""


def of_module(module: nn.Module) -> Predictor:
    """Logits of a torch module in evaluation mode; the module is not changed.

    Examples
    --------
    >>> from neurosam.evaluation import of_module
    >>> from neurosam import training
    >>> of_module(training.build("4C3-P2-D10", (1, 8, 8)))(np.ones((5, 3, 1, 8, 8), np.float32)).shape
    (3, 10)
    """

    def predict(x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        tensor = prepared("of_module", module, x)
        with evaluating(module), torch.no_grad():
            return np.asarray(logits(module, tensor).cpu().numpy(), dtype=np.float64)

    return predict


def of_network(network: Network, backend: str = "event", scale: float = 1.0, **options: Any) -> Predictor:
    """Outputs of a network on a back end, per step, divided by `scale`.

    Parameters
    ----------
    network : Network
        With one input. What adds up over a run (a last membrane, a spike count) is divided by the number of steps; a
        mean or a maximum is not.
    backend : str
    scale : float
        For a fixed-point network, the integer that represents a membrane of 1 (2^6 over the unit of the readout, see
        QuantisationReport), which makes a softmax meaningful. Rankings and accuracies do not depend on it.
    **options
        Further arguments of :func:`neurosam.run`.

    Raises
    ------
    NetworkError
        If the network has several inputs.

    Examples
    --------
    >>> from neurosam.evaluation import of_network
    >>> network = ns.Network(
    ...     [ns.Population("in", (1, 2, 2)), ns.Population("out", (2,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])), delay=0)],
    ... )
    >>> of_network(network, backend="reference")(np.ones((5, 1, 1, 2, 2))).tolist()
    [[1.0, 4.0]]
    """
    if len(network.inputs) > 1:
        names = ", ".join(repr(p.name) for p in network.inputs)
        raise NetworkError(
            "of_network", f"takes one array, but the network has the inputs {names}; write a function that calls "
            "neurosam.run with events of each, which is a predictor too",
        )  # fmt: skip
    adds_up = network.answers[network.output] in ("last", "count")

    def predict(x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        array = np.asarray(x)
        integral = array.dtype.kind in "biu" or not (array != np.rint(array)).any()
        events = Events.from_dense(array.astype(np.int32) if integral else array)
        output = run(network, events, backend, **options).output
        return np.asarray(output / ((events.steps if adds_up else 1) * scale), dtype=np.float64)

    return predict
