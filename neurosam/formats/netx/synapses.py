"""Synapses of a netx layer: slayer's Pool, an input that is passed on, delays by source.

slayer's Pool lays the channels of a picture below each other, so that windows must tile each channel: the stride is the
kernel, there is no padding, and a side that the kernel does not divide is filled up with ``side % kernel`` zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from neurosam.formats.netx.layout import Integers
from neurosam.hdf5.foreign import Foreign
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, Synapse, neurons

__all__ = ["delayed", "one_to_one", "pool_synapse"]

Pair = tuple[int, int]


def pool_synapse(
    layer: Foreign, weight: Integers, shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Synapse:
    """The synapses of a pool layer behind (C, H, W); `weight` is ``(1, 1, kH, kW)``.

    Raises
    ------
    FormatError
        If slayer's windows do not tile each channel, so that they mix channels.
    """
    channels, height, width = shape
    kernel = weight.shape[2:]
    if weight.shape[:2] != (1, 1):
        raise layer.error("weight", f"has shape {weight.shape}; (1, 1, kH, kW), one window for all channels, is needed")
    rows, columns = height + height % kernel[0], width + width % kernel[1]
    if stride != kernel or padding != (0, 0) or dilation != (1, 1) or rows % kernel[0]:
        raise layer.error(
            "stride", f"is {stride} of windows {kernel}, padding {padding}, dilation {dilation} on {height} x {width}: "
            "slayer's windows mix channels. Use a stride as large as the kernel, without padding"
        )  # fmt: skip
    if (rows, columns) == (height, width):
        return Conv2d(np.repeat(weight, channels, axis=0), stride, groups=channels)
    out = (channels, rows // kernel[0], columns // kernel[1])
    channel, y, x = np.indices(shape).reshape(3, -1)
    inside = x // kernel[1] < out[2]
    target = np.ravel_multi_index((channel[inside], y[inside] // kernel[0], x[inside] // kernel[1]), out)
    order = np.argsort(target, kind="stable")
    source = np.flatnonzero(inside)[order]
    values = weight[0, 0][y[source] % kernel[0], x[source] % kernel[1]]
    indptr = np.searchsorted(target[order], np.arange(channels * out[1] * out[2] + 1))
    return Sparse(indptr, source, values, height * width * channels, out)


def one_to_one(shape: Shape) -> Synapse:
    """Each source adds its events to the target with its own address."""
    if len(shape) == 1:
        return Sparse.one_to_one(shape, 1)
    return Conv2d(np.ones((shape[0], 1, 1, 1), dtype=np.int8), groups=shape[0])


def delayed(synapse: Synapse, shape: Shape, delays: Integers | None, extra: Any) -> Iterator[tuple[Synapse, Any]]:
    """Synapses with a delay of 1 and that of their source; of a convolution, one for each delay that occurs."""
    if delays is None and extra is None:
        yield synapse, 1
        return
    late = np.zeros(neurons(shape), dtype=np.int64) if delays is None else delays
    if extra is None and (late == late[0]).all():
        yield synapse, int(1 + late[0])
    elif isinstance(synapse, Dense):
        yield synapse, np.broadcast_to(1 + late, synapse.weight.shape) + (0 if extra is None else extra)
    elif isinstance(synapse, Sparse):
        yield synapse, 1 + late[synapse.indices]
    else:
        of_channel = late.reshape(shape[0], -1)[:, 0]
        outputs, per_group = synapse.weight.shape[:2]
        group = np.arange(outputs) // (outputs // synapse.groups)
        steps = of_channel[group[:, None] * per_group + np.arange(per_group)]
        for value in np.unique(steps).tolist():
            weight = np.where((steps == value)[:, :, None, None], synapse.weight, 0)
            yield replace(synapse, weight=weight), 1 + value
