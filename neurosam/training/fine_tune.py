"""Fine-tuning for hardware: a last pass in which every weight already has the few bits that it will have on the chip.

Batch norm is folded first (hardware holds the folded weights), then the network trains with quantised weights forward
and straight-through gradients backward (quantisation.py). The result's weights lie on the grid that
:func:`neurosam.deploy.quantise.quantise` will choose, so that exporting them loses nothing more.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from neurosam.training.batches import LabelledImages
from neurosam.training.fake_quantisation import fake_quantise
from neurosam.training.folding import fold_batch_norm
from neurosam.training.history import History
from neurosam.training.sequential import SpikingSequential
from neurosam.training.trainer import train

__all__ = ["fine_tune"]


def fine_tune(
    module: nn.Sequential,
    train_set: LabelledImages,
    test_set: LabelledImages,
    *,
    bits: int = 8,
    epochs: int = 1,
    lr: float = 2e-4,
    **options: Any,
) -> tuple[SpikingSequential, History]:
    """Train a copy with quantised weights.

    Parameters
    ----------
    module : nn.Sequential
        A trained network; it stays as it was.
    train_set, test_set : LabelledImages
    bits : int
        Of a weight, sign included, 2 .. 16.
    epochs : int
    lr : float
        Learning rate at the start; a tenth of training's, or less.
    **options
        More arguments of :func:`~neurosam.training.trainer.train` (``steps`` is required there).

    Returns
    -------
    module : SpikingSequential
        Batch norm folded, weights quantised, in evaluation mode.
    history : History
    """
    folded = fold_batch_norm(module)
    with fake_quantise(folded, bits):
        history = train(folded, train_set, test_set, epochs=epochs, lr=lr, **options)
    return folded.eval(), history
