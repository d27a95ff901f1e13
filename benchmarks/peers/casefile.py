"""A benchmark case as one plain ``.npz`` file, which every peer can read; needs only NumPy and Python 3.8.

    name, shape, steps, decay     v <- v (4096 - decay) / 4096 in every step; shape of the input
    time, neuron                  input spikes; neurons index the flattened shape (C order)
    delay                         steps by which the whole network lags its input; it does not affect the result
    layers                        names, in order; a layer receives the spikes of the previous one in the same step
    NAME.kind                     conv, dense, pool (maximum of 2 x 2) or sparse
    NAME.shape, NAME.threshold    fires if v > threshold, then v <- v - threshold; a pool has no decay and no threshold
    NAME.weight, NAME.scale       int8 mantissas; weights are mantissa x scale. conv (O, I, 3, 3), dense (O, I)
    NAME.stride, NAME.padding     of a conv
    NAME.indices, NAME.indptr     of a sparse layer: rows are targets, sources are its own spikes of the previous step;
    NAME.drive                    each input spike also adds this to the neuron with the same index

Numbers are the integers of the fixed-point network; a peer that computes in float uses them as floats. The only
remaining difference is then the decay, which integers round toward zero.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

UNIT = 4096


@dataclass(frozen=True)
class Layer:
    """One population and its incoming synapses."""

    name: str
    kind: str
    shape: tuple[int, ...]
    threshold: int = 0
    weight: Any = None
    scale: int = 1
    stride: int = 1
    padding: int = 0
    indices: Any = None
    indptr: Any = None
    drive: int = 0

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def at_least(self) -> float:
        """The smallest float32 above the threshold, for peers that fire at ``v >=``."""
        return float(np.nextafter(np.float32(self.threshold), np.float32(np.inf)))

    @property
    def values(self) -> Any:
        """The weights in float32, which holds them exactly."""
        return self.weight.astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True)
class PlainCase:
    """The content of a case file."""

    name: str
    shape: tuple[int, ...]
    steps: int
    decay: int
    delay: int
    time: Any
    neuron: Any
    layers: tuple[Layer, ...]

    @property
    def keep(self) -> float:
        """Fraction of the membrane that is retained per step."""
        return (UNIT - self.decay) / UNIT

    @property
    def recurrent(self) -> bool:
        """Whether the network is one sparse population rather than a chain of layers."""
        return self.layers[0].kind == "sparse"

    def frames(self) -> Any:
        """The input as float32 ``[T, *shape]``."""
        out = np.zeros((self.steps, int(np.prod(self.shape))), np.float32)
        out[self.time, self.neuron] = 1
        return out.reshape(self.steps, *self.shape)


def save(case: PlainCase, path: Path) -> None:
    """Write a case."""
    out = {key: value for key, value in vars(case).items() if key != "layers"}
    out["layers"] = [layer.name for layer in case.layers]
    for layer in case.layers:
        fields = {key: value for key, value in asdict(layer).items() if key != "name" and value is not None}
        out.update({f"{layer.name}.{key}": value for key, value in fields.items()})
    np.savez(path, **out)


def read(path: Path) -> PlainCase:
    """Read a case; nothing in the file is executed."""
    with np.load(path, allow_pickle=False) as file:
        content = {key: file[key] if file[key].ndim else file[key].item() for key in file.files}
    content = {key: tuple(v.tolist()) if key.split(".")[-1] in ("shape", "layers") else v for key, v in content.items()}
    layers: dict[str, dict[str, Any]] = {name: {"name": name} for name in content["layers"]}
    for key, value in content.items():
        name, _, part = key.partition(".")
        if part:
            layers[name][part] = value
    head = {key: content[key] for key in ("name", "shape", "steps", "decay", "delay", "time", "neuron")}
    return PlainCase(**head, layers=tuple(Layer(**parts) for parts in layers.values()))
