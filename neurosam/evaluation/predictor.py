"""One way to ask any model for its class scores: a torch module, or a network on a back end."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam.attribution.method import evaluating, logits, prepared
from neurosam.backends.registry import run
from neurosam.network.network import Network
from neurosam.signals.events import Events

__all__ = ["Predictor", "of_module", "of_network"]


class Predictor(Protocol):
    """Input ``[T, B, C, H, W]`` (or ``[B, C, H, W]`` for an ANN) to class scores ``[B, K]``."""

    def __call__(self, x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        """Scores of a batch."""


def of_module(module: nn.Module) -> Predictor:
    """Logits of a torch module in evaluation mode; the module stays as it was."""

    def predict(x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        tensor = prepared("of_module", module, x)
        with evaluating(module), torch.no_grad():
            return np.asarray(logits(module, tensor).cpu().numpy(), dtype=np.float64)

    return predict


def of_network(network: Network, backend: str = "event", scale: float = 1.0, **options: Any) -> Predictor:
    """Outputs of a network on a back end, divided by the number of steps and by `scale`.

    Parameters
    ----------
    network : Network
    backend : str
    scale : float
        For a fixed-point network the worth of 1 in membrane units (2^6 over the readout's unit, see
        QuantisationReport), so that a softmax means something; ranks and hits need none.
    **options
        More arguments of :func:`neurosam.backends.run`.
    """

    def predict(x: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        array = np.asarray(x)
        whole = array.dtype.kind in "biu" or not (array != np.rint(array)).any()
        events = Events.from_dense(array.astype(np.int32) if whole else array)
        output = run(network, events, backend, **options).output
        return np.asarray(output / (events.steps * scale), dtype=np.float64)

    return predict
