"""A trained ANN becomes a spiking network: its weights, and one threshold a layer, balanced from the first to the last.

Let y_t be the weighted input of layer l at step t, and s the spikes of the balanced layers before it:

    theta_l = r * max over t, samples, neurons of y_t        (or a percentile of all of them in place of the maximum)

Layer l then fires by ``v = v + y_t;  s_t = [v > theta_l];  v = v - theta_l s_t``: leak 1, reset by subtraction, so that
the residual membrane is kept (RMP). Its rate is that of the ANN's activation over theta_1 ... theta_l while that lies
below 1. The input is drawn anew for each layer. r is RMP-SNN's scaling of thresholds, 1 for none: below 1 more spikes
travel in the same number of steps, and the largest activations saturate.

A bias acts at every step. To keep its proportion to the weighted input, whose spikes count 1 where the activation was
theta_1 ... theta_(l-1), it is divided by that product. ReLU layers become LIF, batch norm is folded first, dropout
stays (and does nothing in evaluation mode), pooling must be average pooling.

The ANN must have learned the mean of the code: intensities in [0, 1] (``steps=1, coding="direct"``) for "poisson", and
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

from neurosam.errors import DataError, ExportError
from neurosam.training.batches import LabelledImages, check_images
from neurosam.training.folding import fold_batch_norm
from neurosam.training.input_coding import Normalisation, encode_batch
from neurosam.training.neurons import LIF, Readout
from neurosam.training.sequential import SpikingSequential

__all__ = ["Conversion", "accuracy_by_step", "convert"]

_STATELESS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Identity)
_KNOWN = "Conv2d, Linear, BatchNorm (folded), ReLU, AvgPool2d, AdaptiveAvgPool2d, Flatten, Dropout and Identity"


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made.

    Parameters
    ----------
    module : SpikingSequential
        In evaluation mode; each ReLU's name is now that of its neurons. :func:`neurosam.export` takes it as
        it is.
    thresholds : dict of str to float
        By layer, the scaling included.
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
    """Turn an ANN into a spiking network by threshold balancing.

    Parameters
    ----------
    ann : nn.Sequential
        Convolutions and dense layers, each but the last followed by a ReLU; a final
        :class:`~neurosam.training.neurons.Readout` may stand. It stays as it was.
    images : uint8 (N, C, H, W) array
        Calibration set; some hundred images will do.
    steps : int
        T of the calibration, at least 1 (the paper's: 500). The converted network runs for any number of steps.
    coding : {"poisson", "poisson_signed", "latency", "direct"}
        Of the calibration images.
    percentile : float
        In (0, 100]: the smallest weighted input that is not exceeded by more than 100 - `percentile` per cent of all
        of them; 100 is Algorithm 1's maximum.
    scaling : float
        r, above 0, to 1.
    seed : int
        Of the input spikes: layer l draws from (seed, l), batch by batch in order.
    normalisation : Normalisation, optional
        For "poisson_signed".
    batch_size : int
        Samples at once. All steps of a batch are in memory: T x samples x neurons of the largest layer x 4 bytes.

    Returns
    -------
    Conversion

    Raises
    ------
    ExportError
        For a layer that no spiking network can stand for, named; or if a layer's threshold would not be above 0.
    DataError
        For an argument that does not fit.
    """
    _check(images, steps, percentile, scaling, batch_size)
    layers = list(fold_batch_norm(_flat(ann)).named_children())
    if layers and isinstance(layers[-1][1], Readout):
        layers = layers[:-1]
    device = next((p.device for p in ann.parameters()), torch.device("cpu"))
    snn: OrderedDict[str, nn.Module] = OrderedDict()
    thresholds: dict[str, float] = {}
    worth = 1.0  # what a spike of the layer before stands for, in units of the ANN's activation
    weights: str | None = None  # the layer that waits for its neurons
    for name, layer in layers:
        where = f"layer {name!r} ({type(layer).__name__})"
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if weights is not None:
                raise ExportError(where, f"follows {weights!r} without a ReLU between; put one there")
            weights = name
            if layer.bias is not None:
                layer.bias.div_(worth)
            snn[name] = layer
        elif isinstance(layer, nn.ReLU):
            if weights is None:
                raise ExportError(where, "does not directly follow a Conv2d or Linear; its neurons need synapses")
            draws = torch.Generator(device).manual_seed(_stream(seed, len(thresholds)))
            batches = _batches(images, batch_size, steps, coding, draws, normalisation)
            count = len(images) * steps
            top = scaling * _percentile(SpikingSequential(snn).eval(), batches, count, percentile)
            if not top > 0:
                raise ExportError(
                    where, f"would get threshold {top:g}: it never receives positive input on the calibration images"
                )
            snn[name] = LIF(leak=1.0, threshold=top)
            thresholds[name] = top
            worth, weights = worth * top, None
        elif isinstance(layer, _STATELESS):
            if weights is not None and not isinstance(layer, (nn.Dropout, nn.Dropout2d, nn.Identity)):
                raise ExportError(where, f"stands between {weights!r} and its ReLU; put the ReLU first")
            snn[name] = layer
        else:
            raise ExportError(where, f"cannot be converted; known are {_KNOWN}")
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
    """Accuracy after each step of one run, ``[T]``: what waiting longer buys.

    Parameters
    ----------
    module : SpikingSequential
        Ends with a Readout; converted or trained. Used in evaluation mode and left as it was.
    image_set : LabelledImages
    steps, coding, seed, normalisation, batch_size
        As for :func:`convert`.

    Returns
    -------
    (T,) float64 array
        Entry t: share of samples whose largest sum over steps 0 .. t (the first of equals) is their label's.

    Raises
    ------
    DataError
        If the module does not end with a Readout, or an argument does not fit.
    """
    check_images("image_set", image_set)
    children = list(module.named_children())
    if len(children) < 2 or not isinstance(children[-1][1], Readout):
        raise DataError("module", "does not end with a Readout; accuracy by step needs its running sum")
    _check(image_set.images, steps, 100.0, 1.0, batch_size)
    before = children[-2][0]
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    draws = torch.Generator(device).manual_seed(_stream(seed, 0))
    labels = torch.from_numpy(image_set.labels).to(device)
    hits = torch.zeros(steps, dtype=torch.int64, device=device)
    training, first = module.training, 0
    module.eval()
    for x in _batches(image_set.images, batch_size, steps, coding, draws, normalisation):
        scores = module.activations(x.to(_dtype(module)), (before,))[1][before].cumsum(dim=0)
        hits += (scores.argmax(dim=2) == labels[first : first + x.shape[1]]).sum(dim=1)
        first += x.shape[1]
    module.train(training)
    shares: npt.NDArray[np.float64] = hits.cpu().numpy() / len(labels)
    return shares


def _percentile(prefix: SpikingSequential, batches: Iterator[Tensor], count: int, percentile: float) -> float:
    """Nearest-rank percentile of all outputs over `count` pictures, keeping only as many values as can decide it."""
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


def _stream(seed: int, layer: int) -> int:
    return int(np.random.SeedSequence([seed, layer]).generate_state(1, np.uint64)[0]) >> 1


def _flat(ann: nn.Module) -> nn.Sequential:
    """A copy without sequences inside the sequence; ``outer_inner`` names their layers, as on export."""
    if not isinstance(ann, nn.Sequential):
        raise ExportError(type(ann).__name__, "is not an nn.Sequential; wrap the ANN's layers in one")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in copy.deepcopy(ann).named_children():
        inner = _flat(layer).named_children() if isinstance(layer, nn.Sequential) else None
        layers.update({name: layer} if inner is None else {f"{name}_{n}": child for n, child in inner})
    return nn.Sequential(layers).eval()


def _dtype(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters()), torch.float32)


def _check(images: npt.NDArray[np.uint8], steps: int, percentile: float, scaling: float, batch_size: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError("images", f"are {images.dtype} {images.shape}; needed is uint8 (N, C, H, W), no side empty")
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise DataError(name, f"got {value}; at least 1 is required")
    for name, number, top in (("percentile", percentile, 100.0), ("scaling", scaling, 1.0)):
        if not 0 < number <= top:
            raise DataError(name, f"got {number!r}; allowed is above 0, to {top:g}")
