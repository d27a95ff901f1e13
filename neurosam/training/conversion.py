"""Convert a trained ANN to a spiking network by threshold balancing: its weights, and one threshold per layer.

Thresholds are set from the first layer to the last. With y_t the weighted input of layer l at step t, computed from the
spikes of the layers before it, which are already balanced:

    theta_l = r * max over t, samples, neurons of y_t        (or a percentile of all of them instead of the maximum)

Layer l then fires by ``v = v + y_t;  s_t = [v > theta_l];  v = v - theta_l s_t``: leak 1 and reset by subtraction, so
the residual membrane is kept (RMP). Its rate is the activation of the ANN divided by theta_1 ... theta_l, as long as
this is below 1. The input spikes are redrawn for each layer. r is RMP-SNN's scaling of thresholds, 1 for none: below 1,
more spikes are emitted in the same number of steps, and the largest activations saturate.

A bias is added in every step. A spike stands for an activation of the product theta_1 ... theta_(l-1), so the bias is
divided by it to keep its proportion to the weighted input. ReLU layers become LIF layers, batch norm is folded first,
dropout is kept (it has no effect in evaluation mode), and pooling must be average pooling.

The ANN must be trained on the mean of the code: intensities in [0, 1] (``steps=1, coding="direct"``) for "poisson", and
min(1, |z| / 2) sign(z) for "poisson_signed".

Source: Kim & Panda 2021 (arXiv 2103.14441), Algorithm 1; Sengupta et al. 2019 (Front. Neurosci. 13:95); Han,
Srinivasan & Roy 2020 (RMP-SNN, CVPR), section 4; Rueckauer et al. 2017 (Front. Neurosci. 11:682), percentiles.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurosam._util.progress import task
from neurosam.errors import DataError, ExportError
from neurosam.signals.answer import predicted
from neurosam.training.batches import LabelledImages, check_images, stream_seed
from neurosam.training.folding import fold_batch_norm
from neurosam.training.input_coding import Normalisation, encode_batch
from neurosam.training.neurons import LIF, Readout
from neurosam.training.sequential import SpikingSequential, flat_layers, named_layers

__all__ = ["Conversion", "accuracy_by_step", "convert"]

_STATELESS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Identity)
_KNOWN = "Conv2d, Linear, BatchNorm (folded), ReLU, AvgPool2d, AdaptiveAvgPool2d, Flatten, Dropout and Identity"


@dataclass(frozen=True)
class Conversion:
    """The result of :func:`convert`.

    Parameters
    ----------
    module : SpikingSequential
        In evaluation mode. The neuron layers have the names of the ReLUs; :func:`neurosam.export` accepts the module.
    thresholds : dict of str to float
        By layer, including the scaling.
    """

    module: SpikingSequential
    thresholds: dict[str, float]


@torch.no_grad()
def convert(
    ann: nn.Sequential,
    images: npt.NDArray[np.uint8],
    *,
    steps: int = 500,
    coding: str = "poisson",
    percentile: float = 100.0,
    scaling: float = 1.0,
    seed: int = 0,
    normalisation: Normalisation | None = None,
    batch_size: int = 16,
) -> Conversion:
    """Convert an ANN to a spiking network by threshold balancing.

    Parameters
    ----------
    ann : nn.Sequential
        Convolutions and dense layers, each except the last followed by a ReLU; it may end with a
        :class:`~neurosam.training.neurons.Readout`. It is not changed.
    images : uint8 (N, C, H, W) array
        Calibration set; a few hundred images are enough.
    steps : int
        T of the calibration, at least 1 (500 in the paper). The converted network runs for any number of steps.
    coding : {"poisson", "poisson_signed", "latency", "direct"}
        Coding of the calibration images.
    percentile : float
        In (0, 100]: the threshold is the smallest weighted input that at most 100 - `percentile` per cent of all
        weighted inputs exceed; 100 is the maximum of Algorithm 1.
    scaling : float
        r, in (0, 1].
    seed : int
        Seed of the input spikes: layer l draws from the stream (seed, l), batch after batch.
    normalisation : Normalisation, optional
        For "poisson_signed".
    batch_size : int
        Samples per batch. All steps of a batch are in memory: T x samples x neurons of the largest layer x 4 bytes.

    Returns
    -------
    Conversion

    Raises
    ------
    ExportError
        For a layer that cannot be converted, by name, or if the threshold of a layer would not be above 0.
    DataError
        For an argument that is not valid.

    Examples
    --------
    >>> from neurosam.training import convert
    >>> from neurosam import training
    >>> ann = training.build_ann("4C3-P2-8C3-D10", (1, 8, 8), seed=0)
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    >>> conversion = convert(ann, images, steps=10)
    >>> list(conversion.thresholds)
    ['conv1', 'conv2']
    >>> all(threshold > 0 for threshold in conversion.thresholds.values())
    True
    """
    _check(images, steps, percentile, scaling, batch_size)
    layers = named_layers(fold_batch_norm(_flat(ann)))
    if layers and isinstance(layers[-1][1], Readout):
        layers = layers[:-1]
    device = next((p.device for p in ann.parameters()), torch.device("cpu"))
    snn: OrderedDict[str, nn.Module] = OrderedDict()
    thresholds: dict[str, float] = {}
    magnitude = 1.0  # activation of the ANN that a spike of the previous layer stands for
    weights: str | None = None  # name of the weight layer whose neurons are still to come
    for name, layer in layers:
        where = f"layer {name!r} ({type(layer).__name__})"
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if weights is not None:
                raise ExportError(where, f"follows {weights!r} without a ReLU between; put one there")
            weights = name
            if layer.bias is not None:
                layer.bias.div_(magnitude)
            snn[name] = layer
        elif isinstance(layer, nn.ReLU):
            if weights is None:
                raise ExportError(where, "does not directly follow a Conv2d or Linear; its neurons require synapses")
            draws = torch.Generator(device).manual_seed(stream_seed(seed, len(thresholds)))
            batches = _batches(images, batch_size, steps, coding, draws, normalisation)
            count = len(images) * steps
            threshold = scaling * _percentile(SpikingSequential(snn).eval(), batches, count, percentile)
            if not threshold > 0:
                raise ExportError(
                    where,
                    f"would get threshold {threshold:g}: it never receives positive input on the calibration images",
                )
            snn[name] = LIF(leak=1.0, threshold=threshold)
            thresholds[name] = threshold
            magnitude, weights = magnitude * threshold, None
        elif isinstance(layer, _STATELESS):
            if weights is not None and not isinstance(layer, (nn.Dropout, nn.Dropout2d, nn.Identity)):
                raise ExportError(where, f"is between {weights!r} and its ReLU; put the ReLU first")
            snn[name] = layer
        else:
            raise ExportError(where, f"cannot be converted; supported are {_KNOWN}")
    if weights is None:
        raise ExportError("ann", "does not end with a Conv2d or Linear; its last layer must give the class scores")
    snn["out" if "out" not in snn else "readout"] = Readout()
    return Conversion(SpikingSequential(snn).eval(), thresholds)


@torch.no_grad()
def accuracy_by_step(
    module: SpikingSequential,
    image_set: LabelledImages,
    *,
    steps: int,
    coding: str = "poisson",
    seed: int = 0,
    normalisation: Normalisation | None = None,
    batch_size: int = 32,
) -> npt.NDArray[np.float64]:
    """Accuracy after each step of a run, ``[T]``.

    Parameters
    ----------
    module : SpikingSequential
        Converted or trained, with a Readout as its last layer. Run in evaluation mode; not changed.
    image_set : LabelledImages
    steps, coding, seed, normalisation, batch_size
        As for :func:`convert`.

    Returns
    -------
    (T,) float64 array
        Entry t: fraction of samples whose largest sum over steps 0 .. t (the first of equals) is at the label's index;
        sums that are all equal are no answer, which is wrong.

    Raises
    ------
    DataError
        If the module does not end with a Readout, or an argument is not valid.
    """
    check_images("image_set", image_set)
    children = named_layers(module)
    if len(children) < 2 or not isinstance(children[-1][1], Readout):
        raise DataError("module", "does not end with a Readout; accuracy by step requires its running sum")
    _check(image_set.images, steps, 100.0, 1.0, batch_size)
    before = children[-2][0]
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    draws = torch.Generator(device).manual_seed(stream_seed(seed, 0))
    hits = np.zeros(steps, dtype=np.int64)
    training, first = module.training, 0
    module.eval()
    with task("measuring accuracy") as tick:
        for x in _batches(image_set.images, batch_size, steps, coding, draws, normalisation):
            scores = module.activations(x.to(_dtype(module)), (before,))[1][before].cumsum(dim=0)
            answers = predicted(scores.cpu().numpy())
            hits += np.count_nonzero(answers == image_set.labels[first : first + x.shape[1]], axis=1)
            first += x.shape[1]
            if tick is not None:
                tick(first, len(image_set.labels))
    module.train(training)
    shares: npt.NDArray[np.float64] = hits / len(image_set.labels)
    return shares


def _percentile(prefix: SpikingSequential, batches: Iterator[Tensor], count: int, percentile: float) -> float:
    """Nearest-rank percentile of all outputs over `count` images, storing only the largest values needed for it."""
    best: Tensor | None = None
    keep = 1
    dtype = _dtype(prefix)
    for x in batches:
        values = prefix(x.to(dtype)).flatten()
        if best is None:
            total = values.numel() // (x.shape[0] * x.shape[1]) * count
            keep = total - max(1, math.ceil(total * (percentile / 100))) + 1
            best = values[:0]
        candidates = torch.cat([best, values])
        best = candidates.topk(min(keep, candidates.numel()), sorted=False).values
    return float("nan") if best is None else float(best.min())


def _batches(
    images: npt.NDArray[np.uint8],
    batch_size: int,
    steps: int,
    coding: str,
    draws: torch.Generator,
    normalisation: Normalisation | None,
) -> Iterator[Tensor]:
    for start in range(0, len(images), batch_size):
        chosen = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).to(draws.device)
        yield encode_batch(chosen, steps, coding, draws, normalisation)


def _flat(ann: nn.Module) -> nn.Sequential:
    """A copy in evaluation mode without nested sequences."""
    if not isinstance(ann, nn.Sequential):
        raise ExportError(type(ann).__name__, "is not an nn.Sequential; wrap the ANN's layers in one")
    return nn.Sequential(OrderedDict(flat_layers(copy.deepcopy(ann)))).eval()


def _dtype(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters()), torch.float32)


def _check(images: npt.NDArray[np.uint8], steps: int, percentile: float, scaling: float, batch_size: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError("images", f"are {images.dtype} {images.shape}; non-empty uint8 (N, C, H, W) is required")
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise DataError(name, f"got {value}; at least 1 is required")
    for name, number, top in (("percentile", percentile, 100.0), ("scaling", scaling, 1.0)):
        if not 0 < number <= top:
            raise DataError(name, f"got {number!r}; allowed is above 0, to {top:g}")
