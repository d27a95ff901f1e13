"""Build small spiking networks from one line of text, such as ``"16C3-P2-32C3-P2-32C3-D10"``.

    description = token "-" token ... "-" D<classes>
    <n>C<k>        convolution to n channels, kernel k x k, padding (k - 1) // 2, then batch norm, then LIF neurons
    <n>C<k>S<s>    the same with stride s
    P<k>, M<k>     average pooling, max pooling (OR of spikes), k x k with stride k; incomplete windows are dropped
    G              global average pooling: one value per channel
    D<n>           dense layer of n LIF neurons, with batch norm; the last D is the readout and has neither

Module names are flat: ``conv1_conv``, ``conv1_bn``, ``conv1`` (the neurons), ``pool1``, ``flatten``, ``dense1_linear``,
``dense1_bn``, ``dense1``, ``out_linear``, ``out``. On export, the names of the neuron layers become those of the
populations. Batch norm through time is named ``conv1_bntt`` and so on. The networks of the paper are in vgg.py.

:func:`build_ann` puts a ReLU where :func:`build` puts neurons, under the same name. The result is the network that
Grad-CAM explains and that conversion starts from. Trained with ``steps=1, coding="direct"``, it is an ordinary ANN.

Source: the notation follows Ciresan, Meier & Schmidhuber 2012 (arXiv 1202.2745); the blocks (convolution without bias,
batch norm, LIF, average pooling of spikes; readout without batch norm) follow Kim & Panda 2021 (arXiv 2103.14441).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt
import torch
from torch import nn

from neurosam._util.arguments import integer
from neurosam.errors import NetworkError
from neurosam.training.bntt import BNTT
from neurosam.training.neurons import LIF, Readout
from neurosam.training.sequential import SpikingSequential
from neurosam.training.surrogate import Surrogate

__all__ = ["build", "build_ann"]

_TOKEN = re.compile(
    r"(?P<channels>\d+)C(?P<kernel>\d+)(S(?P<stride>\d+))?|(?P<pool>[PM])(?P<size>\d+)|(?P<everything>G)|D(?P<units>\d+)",
    re.ASCII,
)
_ALLOWED = 'allowed are <n>C<k>, <n>C<k>S<s>, P<k>, M<k>, G and D<n>, joined by "-", as in "16C3-P2-32C3S2-D10"'
_LARGEST = 65536
_MOST_LAYERS = 1024


def build(
    description: str,
    input_shape: tuple[int, int, int],
    *,
    leak: float | npt.ArrayLike = 0.9,
    threshold: float | npt.ArrayLike = 1.0,
    reset: str = "subtract",
    order: str = "integrate_first",
    current_leak: float | npt.ArrayLike | None = None,
    surrogate: Surrogate | None = None,
    batch_norm: bool = True,
    bntt: int = 0,
    dropout: float = 0.0,
    seed: int = 0,
) -> SpikingSequential:
    """Build a network with fresh random weights.

    Parameters
    ----------
    description : str
        See the module's docstring.
    input_shape : (C, H, W)
        Shape of one image, each at least 1.
    leak, threshold, reset, order, current_leak, surrogate
        Parameters of every LIF layer, see :class:`~neurosam.training.neurons.LIF`.
    batch_norm : bool
        Whether convolutions and hidden dense layers are followed by batch norm; without it they have biases.
    bntt : int
        Number of steps of batch norm through time, which replaces batch norm; 0 for none. As in the paper, no layer
        then has a bias, and initial weights are from Xavier's uniform distribution with gain 2.
    dropout : float
        Fraction of spikes dropped before each dense layer in training, in [0, 1), redrawn in every step; 0 adds no
        dropout layers.
    seed : int
        Seed of the initial weights. The global random state of torch is not changed.

    Returns
    -------
    SpikingSequential
        ``[T, B, C, H, W]`` to ``[B, classes]``, in training mode, float32, on the CPU.

    Raises
    ------
    NetworkError
        If the description cannot be parsed, does not end with a dense layer, or has a window larger than its input.

    Examples
    --------
    >>> import torch
    >>> from neurosam.training import build
    >>> module = build("4C3-P2-D10", (1, 8, 8), leak=0.95)
    >>> [name for name, _ in module.named_children()]
    ['conv1_conv', 'conv1_bn', 'conv1', 'pool1', 'flatten', 'out_linear', 'out']
    >>> module(torch.ones(5, 3, 1, 8, 8)).shape
    torch.Size([3, 10])
    """
    if bntt and not batch_norm:
        raise NetworkError("bntt", f"got {bntt} with batch_norm=False; it is a batch norm, so leave that at True")

    def neurons() -> nn.Module:
        return LIF(leak, threshold, reset=reset, order=order, current_leak=current_leak, surrogate=surrogate)

    norm = _Norm(batch_norm, integer("bntt", bntt, 0, _LARGEST), bias=not bntt)
    return _build(description, input_shape, neurons, norm, dropout, seed)


def build_ann(
    description: str,
    input_shape: tuple[int, int, int],
    *,
    batch_norm: bool = False,
    bias: bool = True,
    dropout: float = 0.0,
    seed: int = 0,
) -> SpikingSequential:
    """Build the same architecture with ReLU units, for images without time.

    Parameters
    ----------
    description, input_shape, batch_norm, dropout, seed
        As for :func:`build`.
    bias : bool
        Whether layers without batch norm have a bias, including the readout. Without biases, the converted network has
        none either.

    Returns
    -------
    SpikingSequential
        ``[T, B, C, H, W]`` to ``[B, classes]``, meant for T = 1: train it with ``steps=1, coding="direct"``.

    Examples
    --------
    >>> import torch
    >>> from neurosam.training import build_ann
    >>> build_ann("4C3-P2-D10", (1, 8, 8))(torch.ones(1, 3, 1, 8, 8)).shape
    torch.Size([3, 10])
    """
    return _build(description, input_shape, nn.ReLU, _Norm(batch_norm, 0, bias), dropout, seed)


def _build(
    description: str,
    input_shape: tuple[int, int, int],
    neurons: Callable[[], nn.Module],
    norm: _Norm,
    dropout: float,
    seed: int,
) -> SpikingSequential:
    if len(input_shape) != 3:
        raise NetworkError("input_shape", f"got {input_shape!r}; three integers (C, H, W) are required")
    channels, height, width = (integer("input_shape", size, 1, _LARGEST) for size in input_shape)
    if not 0.0 <= dropout < 1.0:
        raise NetworkError("dropout", f"got {dropout!r}; allowed is [0, 1)")
    if description.count("-") >= _MOST_LAYERS:
        raise NetworkError("description", f"has {description.count('-') + 1} layers; at most {_MOST_LAYERS} are built")
    tokens = [_parse(token, description) for token in description.split("-")]
    last = tokens[-1]
    if not isinstance(last, _Dense):
        raise NetworkError("description", f"{description!r} does not end with a dense layer, D<classes>")

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer("seed", seed, 0, 2**63 - 1))
        plan = _Plan((channels, height, width), neurons, norm, dropout)
        for token in tokens[:-1]:
            if isinstance(token, _Dense):
                plan.dense(token)
            elif plan.features:
                raise NetworkError("description", f"{token.text!r} comes after a dense layer; only D<n> may")
            elif isinstance(token, _Conv):
                plan.convolution(token)
            else:
                plan.pool(token)
        plan.readout(last)
    return SpikingSequential(plan.layers)


@dataclass(frozen=True)
class _Conv:
    text: str
    channels: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class _Pool:
    text: str
    size: int
    """0 for global pooling."""
    spikes_or: bool


@dataclass(frozen=True)
class _Dense:
    text: str
    units: int


@dataclass(frozen=True)
class _Norm:
    """Normalisation between weights and neurons."""

    present: bool
    steps: int
    """Number of steps of batch norm through time; 0 for ordinary batch norm."""
    bias: bool
    """Whether layers without batch norm have a bias."""

    @property
    def hidden_bias(self) -> bool:
        return self.bias and not self.present

    def layer(self, channels: int, ordinary: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]) -> tuple[str, nn.Module]:
        return ("bntt", BNTT(channels, self.steps)) if self.steps else ("bn", ordinary(channels))

    def start(self, layer: nn.Conv2d | nn.Linear) -> nn.Module:
        """The layer with its initial weights: torch's, or with batch norm through time those of the paper."""
        if self.steps:
            nn.init.xavier_uniform_(layer.weight, gain=2.0)
        return layer


class _Plan:
    """The layers so far, and the output shape of the last one."""

    def __init__(
        self, shape: tuple[int, int, int], neurons: Callable[[], nn.Module], norm: _Norm, dropout: float
    ) -> None:
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.features = 0  # units after flattening; 0 before it
        self._channels, self._height, self._width = shape
        self._neurons, self._norm, self._dropout = neurons, norm, dropout
        self._counts = {"conv": 0, "pool": 0, "dense": 0}

    def convolution(self, token: _Conv) -> None:
        name = self._next("conv")
        padding = (token.kernel - 1) // 2
        self._shrink(token.text, token.kernel, token.stride, padding)
        synapses = nn.Conv2d(
            self._channels, token.channels, token.kernel, token.stride, padding, bias=self._norm.hidden_bias
        )
        self.layers[f"{name}_conv"] = self._norm.start(synapses)
        self._channels = token.channels
        self._fire(name, token.channels, nn.BatchNorm2d)

    def pool(self, token: _Pool) -> None:
        if not token.size:
            self._height = self._width = 1
            self.layers[self._next("pool")] = nn.AdaptiveAvgPool2d(1)
            return
        self._shrink(token.text, token.size, token.size, 0)
        self.layers[self._next("pool")] = nn.MaxPool2d(token.size) if token.spikes_or else nn.AvgPool2d(token.size)

    def dense(self, token: _Dense) -> None:
        name = self._next("dense")
        self._linear(name, token.units, bias=self._norm.hidden_bias)
        self._fire(name, token.units, nn.BatchNorm1d)

    def readout(self, token: _Dense) -> None:
        self._linear("out", token.units, bias=self._norm.bias)
        self.layers["out"] = Readout()

    def _fire(self, name: str, channels: int, ordinary: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]) -> None:
        if self._norm.present:
            suffix, norm = self._norm.layer(channels, ordinary)
            self.layers[f"{name}_{suffix}"] = norm
        self.layers[name] = self._neurons()

    def _linear(self, name: str, units: int, bias: bool) -> None:
        if not self.features:
            self.layers["flatten"] = nn.Flatten()
            self.features = self._channels * self._height * self._width
        if self._dropout:
            self.layers[f"{name}_dropout"] = nn.Dropout(self._dropout)
        self.layers[f"{name}_linear"] = self._norm.start(nn.Linear(self.features, units, bias=bias))
        self.features = units

    def _next(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind]}"

    def _shrink(self, token: str, kernel: int, stride: int, padding: int) -> None:
        """Update the shape for a convolution or pooling; refuse a window larger than its input."""
        for side in (self._height, self._width):
            if side + 2 * padding < kernel:
                raise NetworkError(
                    f"description: {token!r}", f"the window is larger than the remaining side of {side} pixels"
                )
        self._height = (self._height + 2 * padding - kernel) // stride + 1
        self._width = (self._width + 2 * padding - kernel) // stride + 1


def _parse(token: str, description: str) -> _Conv | _Pool | _Dense:
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NetworkError("description", f"got {token!r} in {description!r}; {_ALLOWED}")
    numbers = {
        key: integer(f"description: {token!r}", int(text), 1, _LARGEST)
        for key, text in match.groupdict().items()
        if text is not None and text.isdigit()
    }
    if match["everything"]:
        return _Pool(token, 0, spikes_or=False)
    if "units" in numbers:
        return _Dense(token, numbers["units"])
    if "size" in numbers:
        return _Pool(token, numbers["size"], spikes_or=match["pool"] == "M")
    return _Conv(token, numbers["channels"], numbers["kernel"], numbers.get("stride", 1))
