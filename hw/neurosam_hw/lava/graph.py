"""A network as connected Lava Processes, in Lava's layout and on Lava's clock.

Images have the layout ``(W, H, C)`` in Lava. Where a matrix reads or feeds one, ports are transposed, so that weights
keep the network's layout (a Conv's kernel is flipped: Lava convolves, torch correlates).

===========================  =========================================  ==================
in the network               in Lava                                    implemented by
===========================  =========================================  ==================
LIF, reset "zero"            LIF, or LIFReset                           Lava
LIF, reset "subtract"        SoftLIF                                    ours
LIF with gain and offset     TableLIF                                   ours
LIF with other options       OptionLIF                                  ours
a state to start from        OptionLIF                                  ours
Readout                      LIF, threshold out of reach                Lava
Readout as an output port    Readout, or OptionLIF                      ours
what saturates or wraps      OptionLIF beside Lava's or ours (watch)    ours
Dense                        Dense                                      Lava
Sparse                       Sparse                                     Lava
Conv2d                       Conv, or Sparse (weights.py says when)     Lava
SumPool2d                    Conv of ones (or Sparse)                   Lava
remaining delay              Sparse identities                          Lava
lag between presentations    Window                                     ours
SamTrace                     SpikeTrace, then a Conv of ones            ours, then Lava
===========================  =========================================  ==================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix, identity

from neurosam.network import synapse as syn
from neurosam.network.bounds import proven
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF as FloatLIF
from neurosam.network.neuron import Readout as FloatReadout
from neurosam_hw.lava.dynamics import ENDLESS
from neurosam_hw.lava.neurons import is_stock, lif_arguments
from neurosam_hw.lava.option_lif.process import OptionLIF
from neurosam_hw.lava.readout.process import Readout
from neurosam_hw.lava.soft_lif.process import SoftLIF
from neurosam_hw.lava.spike_trace.process import SpikeTrace
from neurosam_hw.lava.table_lif.process import TableLIF
from neurosam_hw.lava.timing import Timing, timing
from neurosam_hw.lava.weights import Signed, as_matrix, conv_fits, pooling, signed, sums
from neurosam_hw.lava.window.process import Window

__all__ = ["Graph", "layout", "tag", "wire"]

DRIVES = ("bias", "bias_mantissa", "offset", "offset_64ths")
"""Parameters that can make a neuron active without input."""

GRADED = 24
"""``num_message_bits`` of messages that carry a number."""

Port = Any
"""A port of Lava, or a view of one."""


@dataclass
class Graph:
    """The Processes of a network.

    Attributes
    ----------
    timing : Timing
    neurons : dict of str to Process
        LIF, LIFReset, SoftLIF, TableLIF, OptionLIF or Readout of each population.
    watches : dict of str to OptionLIF
        By population that may saturate or wrap around, what counts it: the neurons' own Process, or one that receives
        the same input beside it.
    maps : dict of str to Conv
        The last Process of each spike activation map; its ``a_out`` is ``(W, H, 1)``, one step after the spikes.
    processes : list of Process
        All of them.
    """

    timing: Timing
    neurons: dict[str, Any] = field(default_factory=dict)
    maps: dict[str, Any] = field(default_factory=dict)
    watches: dict[str, Any] = field(default_factory=dict)
    processes: list[Any] = field(default_factory=list)


def tag(network: Network) -> str:
    """Tag that selects Lava's models."""
    return "fixed_pt" if network.fixed else "floating_pt"


def layout(shape: syn.Shape) -> tuple[int, ...]:
    """A population's shape in Lava: ``(W, H, C)`` or ``(N,)``."""
    return tuple(reversed(shape))


def wire(
    network: Network,
    sources: Mapping[str, Port],
    interval: int | None = None,
    sam: tuple[str, ...] = (),
    readout_port: bool = False,
    watch: bool = True,
) -> Graph:
    """Create and connect the Processes of a network.

    Parameters
    ----------
    network : Network
    sources : mapping of str to OutPort or InPort
        By input population, sends its events in Lava's layout; own step 0 of the first presentation is Lava's step 1.
    interval : int, optional
        Steps per presentation; None for a single endless one.
    sam : tuple of str
        Populations whose map is computed.
    readout_port : bool
        Whether to give output populations that are readouts a port for their membrane.
    watch : bool
        Whether to count what saturates or wraps around where that is possible.

    Raises
    ------
    BackendError
        If Lava cannot compute something exactly; the message names it.
    """
    return _Wiring(network, sources, interval, readout_port, watch).all(sam)


class _Wiring:
    def __init__(
        self, network: Network, sources: Mapping[str, Port], interval: int | None, readout_port: bool, watch: bool
    ) -> None:
        self.network, self.interval, self.readout_port, self.watch = network, interval, readout_port, watch
        self.graph = Graph(timing(network))
        self.ports: dict[str, Port] = dict(sources)

    def all(self, sam: tuple[str, ...]) -> Graph:
        for population in self.network.populations:
            if population.neuron is not None:
                process = self.graph.neurons[population.name] = self.keep(self.neuron(population))
                if population.fires:
                    self.ports[population.name] = process.s_out
                self.count(population, process)
        for projection, wait in zip(self.network.projections, self.graph.timing.wait, strict=True):
            self.projection(projection, wait)
        for name in sam:
            self.graph.maps[name] = self.trace(self.network[name])
        return self.graph

    def keep(self, process: Any) -> Any:
        self.graph.processes.append(process)
        return process

    def clock(self, name: str) -> dict[str, Any]:
        """Restart parameters of a population: its start, and the interval."""
        interval = ENDLESS if self.interval is None else self.interval
        return {"reset_interval": interval, "reset_offset": self.graph.timing.start[name] + 1}

    # --- populations ---

    def neuron(self, population: Population) -> Any:
        """Create the Process of a population with neurons; Lava's own if it has one."""
        neuron, name = population.neuron, population.name
        if neuron is None:
            raise ValueError(f"{name} is the input")
        if not is_stock(neuron) or (self.has_port(name) and leaks(neuron)):
            return self.options(population, neuron, name)
        lif = lif_arguments(neuron, self.network.precision)
        common: dict[str, Any] = {"shape": layout(population.shape), "name": name}
        if self.has_port(name):
            return Readout(bias_mant=lif["bias_mant"], bias_exp=lif["bias_exp"], **common, **self.clock(name))
        if isinstance(neuron, (FixedLIF, FloatLIF)):
            reset = neuron.reset_amount_64ths if isinstance(neuron, FixedLIF) else neuron.reset_amount
            amount = 0 if reset is None else reset
            if neuron.gain is not None:
                offset: Any = neuron.offset_64ths if isinstance(neuron, FixedLIF) else neuron.offset
                shift = neuron.gain_shift if isinstance(neuron, FixedLIF) else None
                return TableLIF(
                    gain=neuron.gain, offset=offset, gain_shift=shift, reset_amount=amount, **lif, **common,
                    **self.clock(name),
                )  # fmt: skip
            if neuron.reset == "subtract":
                return SoftLIF(reset_amount=amount, **lif, **common, **self.clock(name))
        if self.interval is None and not self.has_drive(name):
            return LIF(**lif, **common)
        clock = self.clock(name)
        return LIFReset(
            **lif,
            **common,
            reset_interval=clock["reset_interval"],
            reset_offset=clock["reset_offset"] % clock["reset_interval"],
        )

    def options(self, population: Population, neuron: Neuron, name: str | None = None) -> OptionLIF:
        """Create our Process with all options."""
        return OptionLIF(
            shape=layout(population.shape), neuron=neuron, precision=self.network.precision, name=name,
            **self.clock(population.name),
        )  # fmt: skip

    def count(self, population: Population, process: Any) -> None:
        """Let something count what saturates or wraps around, unless it cannot happen."""
        neuron = population.neuron
        if neuron is None or not self.watch or not self.network.fixed or all(proven(self.network, population.name)):
            return
        own = isinstance(process, OptionLIF)
        self.graph.watches[population.name] = process if own else self.keep(self.options(population, neuron))

    def has_port(self, name: str) -> bool:
        """Whether a population's membrane has a port: an output that is a readout."""
        return self.readout_port and name in self.network.answers and not self.network[name].fires

    def has_drive(self, name: str) -> bool:
        """Whether a population can be active before own step 0: it, or one before it, has a bias or an offset."""
        seen, waiting = {name}, [name]
        while waiting:
            neuron = self.network[waiting[0]].neuron
            parameters = (getattr(neuron, name, None) for name in DRIVES)
            if any(value is not None and np.any(value) for value in parameters):
                return True
            before = {p.source for p in self.network.incoming(waiting.pop(0))} - seen
            seen |= before
            waiting += before
        return False

    # --- projections ---

    def projection(self, projection: Projection, wait: int) -> None:
        """Connect window, relays, pool and synapse of one projection."""
        network, lag = self.network, self.network.lag(projection)
        source, target = network[projection.source], network[projection.target]
        port, shape = self.ports[source.name], source.shape
        if lag > 0 and (self.interval is not None or self.has_drive(source.name)):
            window = self.keep(Window(shape=layout(shape), lag=lag, **self.clock(source.name)))
            port.connect(window.s_in)
            port = window.s_out
        graded = source.neuron is None or source.largest_event > 1
        for _ in range(wait):
            relay = self.keep(self.relay(syn.neurons(shape)))
            flatten(port).connect(relay.s_in)
            port = relay.a_out.reshape(layout(shape)) if len(shape) == 3 else relay.a_out
        if projection.pool is not None:
            ones = pooling(projection.pool, shape[0], network.fixed)
            bound = source.largest_event * projection.pool.area
            port, shape = self.convolve(projection, ones, port, shape, graded, 0, bound)
            graded = True
        into = self.into(target.name)
        bound = sums(network, projection) if network.fixed else 0
        synapse, where = projection.synapse, f"projection {projection.label}"
        if isinstance(synapse, syn.Conv2d):
            out, _ = self.convolve(projection, synapse, port, shape, graded, projection.exponent, bound)
            connect(out, into)
            return
        weights: dict[str, Any] = {"weights": synapse.weight}
        if network.fixed:
            mantissas = signed(where, synapse.weight, projection.exponent, bound)
            weights = fixed_arguments(mantissas, mantissas.weight)
        messages = {"num_message_bits": GRADED if graded else 0, "name": projection.label}
        if isinstance(synapse, syn.Sparse):
            process = self.keep(Sparse(**{**weights, "weights": csr(synapse, weights["weights"])}, **messages))
        else:
            process = self.keep(Dense(**weights, **messages))
        torch_order(port, shape).connect(process.s_in)
        connect(image_port(process.a_out, target.shape), into)

    def into(self, name: str) -> list[Port]:
        """Input ports of a population: its neurons', and those of what counts beside them."""
        neurons, watch = self.graph.neurons[name], self.graph.watches.get(name)
        return [neurons.a_in] if watch is None or watch is neurons else [neurons.a_in, watch.a_in]

    def relay(self, size: int) -> Any:
        """Create a relay, which delays every message by one step."""
        number = np.int32 if self.network.fixed else np.float64
        sign = {"sign_mode": SignMode.EXCITATORY} if self.network.fixed else {}
        return Sparse(weights=csr_matrix(identity(size, dtype=number)), num_message_bits=GRADED, **sign)

    def convolve(
        self, projection: Projection, conv: syn.Conv2d, port: Port, shape: syn.Shape, graded: bool, exponent: int,
        bound: float,
    ) -> tuple[Port, syn.Shape]:  # fmt: skip
        """Create a Conv or an equivalent Sparse; return its output port as an image in Lava's layout, and its shape."""
        target = conv.output_shape(shape)
        messages = {"num_message_bits": GRADED if graded else 0, "name": projection.label}
        if conv_fits(conv, exponent, bound, self.network.fixed):
            stride, padding, dilation = (part[::-1] for part in conv.geometry)
            process = self.keep(
                Conv(
                    weight=kernel(conv.weight), input_shape=layout(shape), stride=stride, padding=padding,
                    dilation=dilation, groups=conv.groups, **messages,
                )
            )  # fmt: skip
            port.connect(process.s_in)
            return process.a_out, target
        matrix = as_matrix(conv, shape)
        arguments: dict[str, Any] = {"weights": csr(matrix, matrix.weight)}
        if self.network.fixed:
            mantissas = signed(f"projection {projection.label}", matrix.weight, exponent, int(bound))
            arguments = fixed_arguments(mantissas, csr(matrix, mantissas.weight))
        process = self.keep(Sparse(**arguments, **messages))
        torch_order(port, shape).connect(process.s_in)
        return image_port(process.a_out, target), target

    # --- spike activation maps ---

    def trace(self, population: Population) -> Any:
        """Create a SpikeTrace and the Conv of ones that sums it over channels."""
        name, shape = population.name, layout(syn.as_chw(population.shape))
        trace = self.keep(SpikeTrace(shape=layout(population.shape), trace=self.network.sam[name], **self.clock(name)))
        self.ports[name].connect(trace.s_in)
        ones = np.ones((1, 1, 1, shape[-1]), dtype=np.int32 if self.network.fixed else np.float64)
        total = self.keep(Conv(weight=ones, input_shape=shape, num_message_bits=GRADED, name=f"sam {name}"))
        scores = trace.ncs_out.reshape(shape) if len(population.shape) == 1 else trace.ncs_out
        scores.connect(total.s_in)
        return total


def connect(port: Port, into: list[Port]) -> None:
    """Connect a port with each of some input ports."""
    for target in into:
        port.connect(target)


def leaks(neuron: Neuron) -> bool:
    """Whether a readout has a leak or a current."""
    if isinstance(neuron, FixedReadout):
        return neuron.membrane_decay is not None or neuron.current_decay is not None
    if isinstance(neuron, FloatReadout):
        return neuron.current_leak is not None or bool((np.asarray(neuron.leak) != 1.0).any())
    return False


def kernel(weight: Any) -> Any:
    """Convert a kernel from torch's ``(O, C / g, kH, kW)`` to Lava's ``(O, kW, kH, C / g)``, flipped."""
    number = np.int32 if weight.dtype == np.int8 else np.float64
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)).astype(number)


def fixed_arguments(mantissas: Signed, weights: Any) -> dict[str, Any]:
    """Arguments of Lava's Dense and Sparse for fixed-point weights."""
    return {"weights": weights, "weight_exp": mantissas.exponent, "sign_mode": SignMode[mantissas.mode]}


def csr(matrix: syn.Sparse, weight: Any) -> Any:
    """Convert a compressed matrix to scipy's."""
    return csr_matrix((weight, matrix.indices, matrix.indptr), shape=(len(matrix.indptr) - 1, matrix.sources))


def flatten(port: Port) -> Port:
    """Flatten a port in Lava's order."""
    return port if len(port.shape) == 1 else port.flatten()


def torch_order(port: Port, shape: syn.Shape) -> Port:
    """Flatten a port in the network's order ``(C, H, W)``."""
    return port if len(shape) == 1 else port.transpose([2, 1, 0]).flatten()


def image_port(port: Port, shape: syn.Shape) -> Port:
    """Reshape a flat port in the network's order to an image ``(W, H, C)``."""
    return port if len(shape) == 1 else port.reshape(shape).transpose([2, 1, 0])
