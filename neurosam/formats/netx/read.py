"""netx in: what lava-dl trained, as the Network of integers that it is on the chip.

Each layer is a population behind one projection, in the order of the file:

    input         the input population. With a neuron of its own, the input sends graded events, one value a step, to a
                  population of these neurons: what lava-dl calls the bias of the input layer, ``weight x + bias``
    flatten       (C, H, W) in that order
    dense, conv   Dense and Conv2d; dense_rec with a second Dense from the layer to itself, one step later
    pool          one convolution a channel, with the windows of slayer's Pool
    average       a readout that counts the spikes of each group

A layer's delays are those of its spikes, as slayer trains them. netx delays the layer's input instead, which is the
same where no bias acts meanwhile. The last layer's delay needs a population that repeats its spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurosam.arithmetic import DECAY_ONE
from neurosam.errors import FormatError, NetworkError
from neurosam.formats.netx.layout import (
    Integers,
    agree,
    integers,
    neuron_of,
    optional_integers,
    own_name,
    sides,
    text,
    weights,
)
from neurosam.formats.netx.matrix import read_by_netx
from neurosam.formats.netx.synapses import delayed, one_to_one, pool_synapse
from neurosam.hdf5.foreign import Foreign, opened_foreign
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import BIAS_HIGH, THRESHOLD_MAX, FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, Synapse, as_chw, neurons

__all__ = ["is_netx", "load_netx"]

MAX_NEURONS = 2**24
"""Most neurons of a layer, so that a file cannot claim more than fits into memory."""
WANTED = "a file that lava-dl's export_hdf5 wrote"
MAX_NETX_DELAY = 62
MAX_DELAY = 2**12
NAMES = {"dense_rec": "recurrent", "average": "average"}
REFUSED = {
    "convT": "a transposed convolution", "unpool": "unpooling", "concat": "a concatenation",
    "dense_comp": "a complex matrix, for resonators",
}  # fmt: skip


def load_netx(
    path: str | Path, *, input_shape: Shape | None = None, magnitude: int | None = None, currents: bool = False
) -> Network:
    """Read a network that lava-dl wrote (``export_hdf5``), or :func:`save_netx`.

    Parameters
    ----------
    path : str or Path
        Anybody's file: everything is checked before memory is taken.
    input_shape : tuple of int, optional
        ``(C, H, W)``, needed where the file begins with a convolution or pooling and does not say its input's shape.
    magnitude : int, optional
        Largest ``|value|`` of an input event; 1 if None, or 4095 for an input layer with neurons of its own.
    currents : bool
        Give neurons that forget their current at once (``iDecay`` 4096) one all the same, so that it can be recorded.

    Returns
    -------
    Network
        In fixed point. What was decided is in its ``metadata``, as are the steps of training.

    Raises
    ------
    FormatError
        If the file is damaged or of another layout, or a layer is none that a Network has: sigma-delta, resonators.

    Examples
    --------
    >>> from neurosam.formats.netx import load_netx, save_netx
    >>> neuron = ns.FixedLIF(membrane_decay=410, threshold=64, reset="zero")
    >>> network = ns.Network(
    ...     populations=[ns.Population("in", shape=(3,)), ns.Population("out", shape=(2,), neuron=neuron)],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[64, -32, 100], [0, 90, 2]]))],
    ... )
    >>> save_netx(network, "two.net")
    >>> load_netx("two.net").projections[0].synapse.weight.tolist()
    [[64, -32, 100], [0, 90, 2]]
    """
    with opened_foreign(path, WANTED) as root:
        chain = _Chain(root, input_shape, magnitude, currents)
        for number, layer in enumerate(_layers(root)):
            try:
                chain.add(number, layer)
            except NetworkError as error:
                raise layer.error("", f"cannot be a population: {error}") from None
        try:
            return chain.network()
        except NetworkError as error:
            raise root.error("", f"is no network: {error}") from None


def is_netx(path: str | Path) -> bool:
    """Whether a file is HDF5 in netx's layout, whatever else is wrong with it."""
    try:
        with opened_foreign(path, WANTED) as root:
            return _has_layers(root)
    except FormatError:
        return False


def _has_layers(root: Foreign) -> bool:
    if "layer" not in root.members() or not root.is_group("layer"):
        return False
    layers = root.inner("layer")
    return "0" in layers.members() and layers.is_group("0") and "type" in layers.inner("0").members()


def _layers(root: Foreign) -> Iterator[Foreign]:
    if not _has_layers(root):
        raise root.error("", "is not netx: it has no /layer/0/type. lava-dl's export_hdf5 writes it")
    layers = root.inner("layer")
    for number in range(len(layers.members())):
        yield layers.inner(str(number))


class _Chain:
    """The network so far: each layer is appended to the last one."""

    def __init__(self, root: Foreign, input_shape: Shape | None, magnitude: int | None, currents: bool) -> None:
        self.root, self.input_shape, self.magnitude, self.currents = root, input_shape, magnitude, currents
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.delays: Integers | None = None  # of the last layer's spikes, for each of its neurons
        self.flat = False
        self.notes: list[str] = []

    @property
    def last(self) -> Population:
        """The population that the next layer receives from."""
        return self.populations[-1]

    def add(self, number: int, layer: Foreign) -> None:
        """Append a layer of the file."""
        kind = text(layer, "type")
        if kind == "input":
            self._input(number, layer)
        elif kind == "flatten":
            self.flat = True
        elif kind in ("dense", "dense_rec"):
            self._dense(layer, kind)
        elif kind in ("conv", "pool"):
            self._windows(layer, kind)
        elif kind == "average":
            self._average(layer)
        else:
            what = REFUSED.get(kind, "none that is known here")
            raise layer.error("type", f"is {kind!r}: {what}; input, flatten, dense, dense_rec, conv, pool and average "
                              "are read")  # fmt: skip

    def network(self) -> Network:
        """The network, with a population that repeats late spikes of the last layer."""
        if len(self.populations) < 2:
            raise self.root.error("layer", "has no layer with neurons; at least one is required")
        if self.delays is not None and self.last.fires:
            relay = FixedLIF(membrane_decay=DECAY_ONE, threshold=1, reset="zero")
            count = neurons(self.last.shape)
            once = Sparse(np.arange(count + 1), np.arange(count), np.full(count, 2), count, self.last.shape)
            self._append(Population("delayed", self.last.shape, relay), once)
        neuron = self.last.neuron
        never = isinstance(neuron, FixedLIF) and bool(np.all(neuron.threshold == THRESHOLD_MAX))
        if never:
            self.notes.append(f"{self.last.name} has the largest threshold: its membrane is the answer, not its spikes")
        return Network(
            self.populations, self.projections, outputs={self.last.name: "last"} if never else None,
            metadata=self._metadata(),
        )  # fmt: skip

    def _metadata(self) -> dict[str, str]:
        """What was found and decided; how long a sample was in training, if the file says so."""
        metadata = {"netx.layers": str(len(self.root.inner("layer").members()))}
        if self.notes:
            metadata["netx.decided"] = "; ".join(self.notes)
        if "simulation" in self.root.members():
            steps = optional_integers(self.root.inner("simulation"), "tSample", (0, 1), 1, 2**31 - 1)
            if steps is not None and steps.size == 1:
                metadata["steps"] = str(int(steps.reshape(-1)[0]))
        return metadata

    def _input(self, number: int, layer: Foreign) -> None:
        if number:
            raise layer.error("type", "is input, which only the first layer can be")
        own = "neuron" in layer.members()
        magnitude = self.magnitude or (BIAS_HIGH if own else 1)
        shape = self._shape(layer)
        if self.input_shape is not None and shape != tuple(self.input_shape):
            raise layer.error("shape", f"is {shape}; input_shape is {tuple(self.input_shape)}. Leave it out")
        self._begin(Population("in" if own else own_name(layer) or "in", shape, magnitude=magnitude))
        if not own:
            return
        neuron = neuron_of(layer, as_chw(shape)[0], self.currents, biased=False)
        self._append(Population(own_name(layer) or "input", shape, neuron), one_to_one(shape))
        parts = [optional_integers(layer, name, (0, 1), -(2**15), 2**15) for name in ("weight", "bias")]
        if all(part is not None and part.size == 1 for part in parts):
            weight, bias = (int(part.reshape(-1)[0]) for part in parts if part is not None)
            self.notes.append(f"an input x of lava-dl is an event of round({weight} x {bias:+d}) in every step")
        else:
            self.notes.append("the input's events are the biases of its neurons, in every step")

    def _begin(self, population: Population) -> None:
        if neurons(population.shape) > MAX_NEURONS:
            raise self.root.error("layer/0", f"has an input of shape {population.shape}; {MAX_NEURONS} neurons at most")
        self.populations.append(population)
        self.flat = len(population.shape) == 1

    def _dense(self, layer: Foreign, kind: str) -> None:
        weight = weights(layer, "weight", (1, 2))
        if weight.ndim == 1:
            count = int(np.prod(integers(layer, "shape", (0, 1), 1, 2**31 - 1).reshape(-1), dtype=object))
            if not count or weight.size % count:
                raise layer.error("weight", f"has {weight.size} values, which are no matrix for {count} outputs")
            weight = weight.reshape(count, -1)
        if not self.populations:
            shape = tuple(self.input_shape or (weight.shape[1],))
            self._begin(Population("in", shape))
            self.flat = self.flat or neurons(shape) == weight.shape[1]
        if not self.flat and self.last.shape[1:] not in ((), (1, 1)):
            raise layer.error("type", f"is {kind} behind {self.last.shape}; a flatten layer is required in between")
        self.flat = True
        agree(layer, "inFeatures", weight.shape[1])
        agree(layer, "outFeatures", weight.shape[0])
        population = self._population(layer, kind, (weight.shape[0],))
        late = optional_integers(layer, "delay", (0, 1, 2), 0, MAX_DELAY)
        if late is not None and late.ndim == 2:  # of each synapse
            if late.shape != weight.shape:
                raise layer.error("delay", f"has shape {late.shape}; the weights have {weight.shape}")
            self._append(population, Dense(weight), late)
        elif late is not None and late.size == weight.shape[1] != weight.shape[0]:  # of each input
            self._append(population, Dense(weight), np.broadcast_to(late.reshape(1, -1), weight.shape))
        else:
            self._append(population, Dense(weight))
            self._late(layer, late)
        if kind == "dense_rec":
            recurrent = weights(layer, "weight_rec", (1, 2))
            if recurrent.size != weight.shape[0] ** 2:
                raise layer.error("weight_rec", f"has {recurrent.size} values for {weight.shape[0]} neurons")
            name = population.name
            self.projections.append(Projection(name, name, Dense(recurrent.reshape(weight.shape[0], -1))))
        if not np.array_equal(read_by_netx(weight), weight):
            self.notes.append(f"netx 0.6 itself runs other weights than those in the file for {population.name}")

    def _windows(self, layer: Foreign, kind: str) -> None:
        """A convolution, or pooling."""
        weight = weights(layer, "weight", (4, 5))
        if weight.ndim == 5 and weight.shape[-1] != 1:
            raise layer.error(
                "weight", f"has shape {weight.shape}; (O, I, kH, kW), perhaps with a 1 behind, is required"
            )
        weight = weight.reshape(weight.shape[:4])
        if not self.populations:
            if self.input_shape is None:
                raise layer.error(
                    "", f"is a {kind}, and no layer says the input's shape; give input_shape=(C, H, W) "
                    "(neurosam import --shape CxHxW)"
                )  # fmt: skip
            self._begin(Population("in", tuple(self.input_shape)))
        if len(self.last.shape) != 3 or self.flat:
            raise layer.error("type", f"is {kind} behind {neurons(self.last.shape)} flat neurons; it needs (C, H, W)")
        stride, padding, dilation = sides(layer, "stride"), sides(layer, "padding", 0, 0), sides(layer, "dilation", 1)
        synapse: Synapse
        if kind == "pool":
            synapse = pool_synapse(layer, weight, self.last.shape, stride, padding, dilation)
        else:
            groups = int(integers(layer, "groups", (0,), 1, 2**16)) if "groups" in layer.members() else 1
            synapse = Conv2d(weight, stride, padding, dilation, groups)
            agree(layer, "inChannels", synapse.weight.shape[1] * groups)
            agree(layer, "outChannels", synapse.weight.shape[0])
        shape = synapse.output_shape(self.last.shape)
        if "shape" in layer.members() and self._shape(layer) != shape:
            raise layer.error("shape", f"is {self._shape(layer)}; its synapses give {shape}")
        self._append(self._population(layer, kind, shape), synapse)
        self._late(layer, optional_integers(layer, "delay", (0, 1), 0, MAX_DELAY))

    def _average(self, layer: Foreign) -> None:
        """Spikes of equal groups, counted by a readout."""
        if not self.populations:
            raise layer.error("type", "is average, which no file can begin with")
        outputs, count = neurons(self._shape(layer)), neurons(self.last.shape)
        if count % outputs:
            raise layer.error("shape", f"is {outputs} groups of {count} neurons, which are not equal")
        each = count // outputs
        synapse = Sparse(np.arange(outputs + 1) * each, np.arange(count), np.ones(count, dtype=np.int8), count)
        self._append(Population(own_name(layer) or "average", (outputs,), FixedReadout()), synapse)
        self.notes.append(f"average: {each * 64} of a membrane are one spike of each neuron of a group")

    def _population(self, layer: Foreign, kind: str, shape: Shape) -> Population:
        count = 1 + sum(p.name.rstrip("0123456789") == NAMES.get(kind, kind) for p in self.populations)
        neuron = neuron_of(layer, as_chw(shape)[0], self.currents)
        if neurons(shape) > MAX_NEURONS:
            raise layer.error("", f"has {neurons(shape)} neurons; {MAX_NEURONS} at most")
        return Population(own_name(layer) or f"{NAMES.get(kind, kind)}{count}", shape, neuron)

    def _shape(self, layer: Foreign) -> Shape:
        shape = tuple(integers(layer, "shape", (1,), 1, 2**31 - 1).tolist())
        if len(shape) == 2:
            return (1, *shape)
        if len(shape) not in (1, 3):
            raise layer.error("shape", f"is {shape}; (C, H, W) or (C,) is required")
        return shape

    def _late(self, layer: Foreign, late: Integers | None) -> None:
        """Remember the delays of a layer's spikes, given for each channel."""
        self.delays = None
        if late is None or not late.any():
            return
        channels, height, width = as_chw(self.last.shape)
        if late.size not in (1, channels):
            raise layer.error("delay", f"has {late.size} values; 1 or {channels}, one for each channel, are required")
        self.delays = np.repeat(np.broadcast_to(late.reshape(-1), channels), height * width)
        if late.max() > MAX_NETX_DELAY:
            self.notes.append(f"{self.last.name} has delays up to {late.max()}; netx itself stops at {MAX_NETX_DELAY}")

    def _append(self, population: Population, synapse: Synapse, extra: Any = None) -> None:
        """Append a population and the synapses from the last one to it; `extra` steps of delay for each synapse."""
        source, delays = self.last, self.delays
        if delays is not None or extra is not None:  # it starts when input would arrive without delays
            population = replace(population, onset=len(self.populations))
        for part, delay in delayed(synapse, source.shape, delays, extra):
            self.projections.append(Projection(source.name, population.name, part, delay))
        self.populations.append(population)
        self.delays = None
