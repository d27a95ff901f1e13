"""lava-dl's netx HDF5 (0.6, and the older slayer's): what lies where, and its values, read with suspicion.

Everything is under ``/layer/<i>/``, without attributes; what is not named here is ignored, as netx ignores it.

    type          input, flatten, dense, dense_rec, conv, pool, average: text of fixed length
    shape         (C, H, W), (C, 1, 1) or (C,), of the layer's output
    weight        torch's layout: (O, I), (I,) for one output; (O, I / groups, kH, kW), perhaps with a 1 at the end
    weight_rec    dense_rec: (O, O), from the layer's own spikes of the step before
    bias          per channel, in units of the weights, added to the membrane in every step
    delay         steps that a layer's spikes are late, for each channel (an axonal delay); (O, I): of each synapse
    stride, padding, dilation, groups, inChannels, outChannels, kernelSize, inFeatures, outFeatures
    neuron/       type (CUBA, or LOIHI in older files; text of variable length), iDecay, vDecay, vThMant; refDelay 1
    name          of the population: neurosam's own, beside what netx reads

Numbers are floats that hold integers, or integers. ``/simulation/tSample`` is the number of steps in training.

netx makes a hard-reset LIF of a neuron, with ``du = iDecay - 1``, ``dv = vDecay`` and a bias exponent of 6, so that
``iDecay`` and ``vDecay`` are decays without an offset: ``u <- u (4096 - iDecay) / 4096 + I``. A dense layer without a
neuron integrates: ``iDecay`` 0, ``vDecay`` 4096.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE
from neurosam.hdf5.foreign import Foreign
from neurosam.network.elements import MAX_NAME
from neurosam.network.fixed_neuron import BIAS_HIGH, BIAS_LOW, THRESHOLD_MAX, FixedLIF, FixedReadout

__all__ = [
    "UNREACHABLE",
    "WEIGHT_HIGH",
    "WEIGHT_LOW",
    "Integers",
    "integers",
    "neuron_of",
    "optional_integers",
    "sides",
]

Integers = npt.NDArray[np.int64]

WEIGHT_LOW, WEIGHT_HIGH = -256, 254
"""What slayer writes: even numbers; netx clips others."""
UNREACHABLE = 2**18
"""A threshold that no membrane reaches: written for a readout."""
CUBA = ("CUBA", "LOIHI")
OTHER_NEURONS = {
    "SDNN": "sends graded differences (sigma-delta), which no population here does",
    "ALIF": "has an adaptive threshold that decays in another way than FixedLIF's",
    "RF_PHASE": "is a resonator, with a complex state", "RF_IZHIKEVICH": "is a resonator, with a complex state",
    "ADRF_PHASE": "is a resonator, with a complex state", "ADRF_IZHIKEVICH": "is a resonator, with a complex state",
}  # fmt: skip
UNIT = {
    "gradedSpike": (0, "sends graded spikes"), "messageBits": (0, "sends graded spikes"),
    "refDelay": (1, "has a refractory period, which netx ignores"),
    "weight_exp": (0, "scales its weights by a power of two (WgtScaleBatchNorm), which netx ignores"),
    "wgtExp": (0, "scales its weights by a power of two, which netx ignores"),
}  # fmt: skip


def integers(group: Foreign, name: str, ndims: tuple[int, ...], low: int, high: int) -> Integers:
    """A dataset of whole numbers, of any number type.

    Raises
    ------
    FormatError
        If it is missing, holds fractions, NaN or values out of range, or has another rank.
    """
    array = group.value(name)
    if isinstance(array, str) or array.dtype.kind not in "biuf" or array.ndim not in ndims:
        what = "text" if isinstance(array, str) else f"{array.dtype} of shape {array.shape}"
        raise group.error(name, f"is {what}; numbers of {' or '.join(map(str, ndims))} dimension(s) are required")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise group.error(name, "holds NaN or infinite values; train or export the network again")
        if (fractions := array[array != np.rint(array)]).size:
            raise group.error(
                name, f"holds fractions, such as {fractions.flat[0]:.6g}; netx's numbers are integers, as slayer's "
                "export_hdf5 writes them for quantised blocks"
            )  # fmt: skip
    if array.size and (array.min() < low or array.max() > high):
        raise group.error(name, f"holds values {array.min():.6g}..{array.max():.6g}; {low}..{high} is allowed")
    out: Integers = array.astype(np.int64)
    return out


def text(group: Foreign, name: str) -> str:
    """A dataset of one text: a scalar, or an array of one."""
    value = group.value(name)
    if not isinstance(value, str) and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise group.error(name, f"is no text of at most {MAX_NAME} letters")
    return value


def optional_integers(group: Foreign, name: str, ndims: tuple[int, ...], low: int, high: int) -> Integers | None:
    """The same; None if the dataset is missing."""
    return integers(group, name, ndims, low, high) if name in group.members() else None


def sides(group: Foreign, name: str, default: int | None = None, low: int = 1) -> tuple[int, int]:
    """(height, width): two numbers, or one for both."""
    if default is not None and name not in group.members():
        return default, default
    values = integers(group, name, (0, 1), low, 2**16).reshape(-1).tolist()
    if len(values) not in (1, 2):
        raise group.error(name, f"has {len(values)} numbers; (height, width) is required")
    return values[0], values[-1]


def weights(layer: Foreign, name: str, ndims: tuple[int, ...]) -> Integers:
    """Weights, at least one."""
    if name in layer.members() and layer.is_group(name):
        raise layer.error(name, "is complex, for a resonator, which no population here is")
    weight = integers(layer, name, ndims, WEIGHT_LOW, WEIGHT_HIGH + 1)
    if not weight.size:
        raise layer.error(name, "is empty")
    return weight


def agree(layer: Foreign, name: str, count: int) -> None:
    """Refuse a file that says a number of channels or features which the weights do not have."""
    stated = optional_integers(layer, name, (0, 1), 1, 2**31 - 1)
    if stated is not None and (stated != count).any():
        raise layer.error(name, f"is {stated.reshape(-1)[0]}; the weights have {count}")


def own_name(layer: Foreign) -> str | None:
    """The name that :func:`save_netx` gave a layer."""
    return text(layer, "name") if "name" in layer.members() else None


def neuron_of(group: Foreign, channels: int, currents: bool, biased: bool = True) -> FixedLIF | FixedReadout:
    """The neuron of a layer, with its bias if `biased`; see :func:`neurosam.formats.netx.load_netx` for `currents`."""
    bias: Any = 0
    if biased and "bias" in group.members():
        bias = _per_channel(group, "bias", channels, BIAS_LOW, BIAS_HIGH)
    if "neuron" not in group.members():
        return FixedReadout(bias_mantissa=bias, membrane_decay=DECAY_ONE, current_decay=-1)
    neuron = group.inner("neuron")
    kind = text(neuron, "type")
    if kind not in CUBA:
        why = OTHER_NEURONS.get(kind, "is none that is known here")
        raise neuron.error("type", f"is {kind}, which {why}; CUBA is read (slayer.block.cuba)")
    for name, (plain, meaning) in UNIT.items():
        if name in neuron.members() and (integers(neuron, name, (0, 1), -64, 64) != plain).any():
            raise neuron.error(name, f"says that the layer {meaning}; {plain} is read")
    current = _per_channel(neuron, "iDecay", channels, 0, DECAY_ONE)
    membrane = _per_channel(neuron, "vDecay", channels, 0, DECAY_ONE)
    threshold = _per_channel(neuron, "vThMant", channels, 1, 2**31)
    forgets = np.all(np.asarray(current) == DECAY_ONE)
    current_decay = None if forgets and not currents else current - 1
    if np.all(np.asarray(threshold) > THRESHOLD_MAX):
        keeps = not np.any(membrane)
        return FixedReadout(bias_mantissa=bias, membrane_decay=None if keeps else membrane, current_decay=current_decay)
    return FixedLIF(
        membrane_decay=membrane, threshold=threshold, reset="zero", bias_mantissa=bias, current_decay=current_decay
    )


def _per_channel(group: Foreign, name: str, channels: int, low: int, high: int) -> Any:
    """A number, or one for each channel where they differ."""
    values = integers(group, name, (0, 1), low, high).reshape(-1)
    if values.size not in (1, channels):
        raise group.error(name, f"has {values.size} values; 1 or {channels}, one for each channel, are required")
    return int(values[0]) if (values == values[0]).all() else values
