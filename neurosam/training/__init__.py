"""Spiking networks in torch: layers, surrogate gradients, training, conversion of ANNs, and fake quantisation.

Requires the extra ``neurosam[torch]``. Trained modules are exported by :func:`neurosam.export`.
"""

from neurosam._util.packages import require_package

require_package("neurosam.training", "torch", "safetensors")

from neurosam.training.architectures import build, build_ann
from neurosam.training.batches import LabelledImages
from neurosam.training.bntt import BNTT, GainOffset
from neurosam.training.conversion import Conversion, accuracy_by_step, convert
from neurosam.training.fake_quantisation import fake_quantise
from neurosam.training.fine_tune import fine_tune
from neurosam.training.folding import fold_batch_norm
from neurosam.training.history import Epoch, History
from neurosam.training.input_coding import Normalisation, encode_batch
from neurosam.training.neurons import LIF, Readout, Temporal
from neurosam.training.sequential import SpikingSequential
from neurosam.training.surrogate import FastSigmoid, PiecewiseLinear, Surrogate, fire
from neurosam.training.trainer import evaluate, train
from neurosam.training.vgg import describe, vgg

__all__ = [
    "BNTT",
    "LIF",
    "Conversion",
    "Epoch",
    "FastSigmoid",
    "GainOffset",
    "History",
    "LabelledImages",
    "Normalisation",
    "PiecewiseLinear",
    "Readout",
    "SpikingSequential",
    "Surrogate",
    "Temporal",
    "accuracy_by_step",
    "build",
    "build_ann",
    "convert",
    "describe",
    "encode_batch",
    "evaluate",
    "fake_quantise",
    "fine_tune",
    "fire",
    "fold_batch_norm",
    "train",
    "vgg",
]
