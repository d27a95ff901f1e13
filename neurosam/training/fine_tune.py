"""Fine-tuning for hardware: training continues with weights of the bit width that they will have on the chip.

Batch norm is folded first, because hardware stores the folded weights. The network is then trained with quantised
weights in the forward pass and straight-through gradients (fake_quantisation.py). The resulting weights lie on the grid
that :func:`neurosam.quantise` chooses, so exporting them adds no quantisation error.

What :func:`neurosam.export` accepts can be fine-tuned: trained or converted, with batch norm (through time) or without,
with nested sequences. A network that ends with weights gets the readout that export would add. One that ends with
spiking neurons is trained on its spike counts.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from neurosam.training.batches import LabelledImages
from neurosam.training.fake_quantisation import fake_quantise
from neurosam.training.folding import fold_batch_norm
from neurosam.training.history import History
from neurosam.training.neurons import LIF, Readout
from neurosam.training.sequential import SpikingSequential, named_layers
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
        A trained network; it is not changed. Weights that two of its layers share become independent.
    train_set, test_set : LabelledImages
    bits : int
        Bits per weight, including the sign, 2 .. 16.
    epochs : int
    lr : float
        Initial learning rate; a tenth of that used in training, or less.
    **options
        Further arguments of :func:`~neurosam.training.trainer.train`, of which ``steps`` is required.

    Returns
    -------
    module : SpikingSequential
        Flat, batch norm folded, weights quantised, in evaluation mode.
    history : History

    Raises
    ------
    ExportError
        If batch norm cannot be folded.
    DataError, NetworkError
        As from :func:`~neurosam.training.trainer.train`, and for `bits` out of range.
    """
    folded = fold_batch_norm(module)
    layers = dict(named_layers(folded))
    last = next(reversed(layers.values()), None)
    readout = "readout" if "out" in layers else "out"
    if not isinstance(last, Readout):
        folded.add_module(readout, Readout("sum" if isinstance(last, LIF) else "mean"))
    with fake_quantise(folded, bits):
        history = train(folded, train_set, test_set, epochs=epochs, lr=lr, **options)
    if isinstance(last, LIF):
        delattr(folded, readout)
    return folded.eval(), history
