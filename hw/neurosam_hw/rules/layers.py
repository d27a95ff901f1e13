"""Rules about what is connected to what: fan-in, delays, values of spikes, and chips that hold a layer as a whole.

Some limits exist on some chips only: kernels by core (Speck holds one convolution a core), numbers of hidden and output
neurons (Xylo), synapses onto a neuron (TrueNorth). A chip whose file does not have such a figure has no such limit.
"""

from __future__ import annotations

from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Sparse, as_chw, neurons
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.resources.fan_in import fan_in as fan_in_of
from neurosam_hw.resources.fan_in import synapses_onto
from neurosam_hw.resources.layers import layer_memory
from neurosam_hw.rules.limits import Limits
from neurosam_hw.rules.registry import Broken, rule

__all__: list[str] = []

BY_CORE = "limits.kernel_memory"
"""The figure of chips that hold one layer a core."""


@rule("population", "limits.fan_in")
def fan_in(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A neuron has no more synapses than the chip allows onto one."""
    if not network.incoming(population.name) or not limits.stated("limits.fan_in"):
        return None
    used = int(fan_in_of(network, population.name).max())
    remedy = "use smaller kernels, fewer channels or groups, or sparse connections"
    return _at_most(used, limits.number("limits.fan_in"), remedy)


@rule("network")
def cycle(network: Network, limits: Limits) -> Broken | None:
    """A cycle has a step for each of its projections, which every chip needs."""
    try:
        HardwareSchedule.of(network)
    except MappingError as error:
        used = f"fewer steps at {error.where}"
        return Broken(used, "a step for each projection", "give the projections of the cycle a delay of 1")
    return None


@rule("projection", "numbers.delay_max")
def delay(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """The delay that the chip has to keep is not above its longest; each hop takes a step at least."""
    try:
        delays = HardwareSchedule.of(network).delays
    except MappingError:
        return None
    used = next(d for own, d in zip(network.projections, delays, strict=True) if own is projection)
    if used == 1:
        return None
    return _at_most(used, limits.number("numbers.delay_max"), "shorten the delay, or the longest path beside it")


@rule("population", "numbers.graded_spikes", "numbers.payload_bits")
def graded_spikes(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A spike carries a value only where the chip's spikes do, and one that fits."""
    largest = population.largest_event
    if largest == 1 or all(p.source != population.name for p in network.projections):
        return None
    if population.neuron is not None:
        own = "use max_spikes=1"
    elif "coding" in network.metadata:
        own = "use a coding by spikes (--coding poisson)"
    else:
        own = "encode the input as spikes before it reaches the chip"
    if not limits.has("numbers.graded_spikes"):
        return Broken(f"values to {largest:,}", "no value", own)
    used = largest.bit_length() + (population.neuron is None)
    bits = limits.number("numbers.payload_bits")
    return (
        None
        if used <= bits
        else Broken(f"{used} bit", f"{bits} bit", f"use smaller values, or {own.removeprefix('use ')}")
    )


@rule("population", "numbers.graded_spikes")
def signed_events(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Input events of both signs need spikes that carry a value."""
    signed = population.neuron is None and network.metadata.get("coding") == "poisson_signed"
    if not signed or limits.has("numbers.graded_spikes"):
        return None
    return Broken("events of both signs", "spikes", "use --coding poisson, or an input for each sign")


@rule("population", "limits.destinations_per_core", BY_CORE)
def destinations(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Where a core holds a layer, a layer sends to no more layers than a core can send to."""
    if population.neuron is None or not limits.stated(BY_CORE) or not limits.stated("limits.destinations_per_core"):
        return None
    used = len({p.target for p in network.outgoing(population.name)})
    return _at_most(used, limits.number("limits.destinations_per_core"), "let fewer layers follow it")


@rule("network", "limits.cores", BY_CORE)
def layers(network: Network, limits: Limits) -> Broken | None:
    """Where a core holds a layer, there are no more layers than cores."""
    if not limits.stated(BY_CORE):
        return None
    used = sum(p.neuron is not None for p in network.populations)
    return _at_most(used, limits.number("limits.cores"), "use fewer layers")


@rule("population", BY_CORE, "limits.neuron_memory", "limits.bias_memory")
def layer_size(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Where a core holds a layer, there is a core with enough memory for kernels, neurons and biases."""
    if population.neuron is None or not limits.stated(BY_CORE):
        return None
    cores = list(zip(*(limits.numbers(f"limits.{kind}_memory") for kind in ("kernel", "neuron", "bias")), strict=True))
    channels, height, width = as_chw(population.shape)
    used = layer_memory(network, Piece(population.name, 0, ((0, channels), (0, height), (0, width))))
    if any(all(need <= has for need, has in zip(used, core, strict=True)) for core in cores):
        return None
    allowed = "; ".join(", ".join(f"{has:,}" for has in core) for core in sorted(set(cores)))
    return Broken(", ".join(f"{need:,}" for need in used), allowed, "use fewer channels, a smaller map, or a stride")


@rule("projection", BY_CORE)
def kernels(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """Where a core holds a layer as kernels, projections are convolutions or dense."""
    if not isinstance(projection.synapse, Sparse) or not limits.stated(BY_CORE):
        return None
    return Broken("sparse", "kernels", "use Conv2d or Dense")


@rule("projection", "limits.kernel_size_max")
def kernel_size(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """Kernels are not larger than the chip's largest; a dense layer is a kernel as large as its source's map."""
    synapse = projection.synapse
    if isinstance(synapse, Sparse) or not limits.stated("limits.kernel_size_max"):
        return None
    shape = network[projection.source].shape
    source = projection.pool.output_shape(shape) if projection.pool else shape
    used = synapse.weight.shape[2:] if isinstance(synapse, Conv2d) else as_chw(source)[1:]
    return _at_most(max(used), limits.number("limits.kernel_size_max"), "use a smaller kernel, or pool the map first")


@rule("projection", "limits.strides")
def strides(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """Convolutions have strides that the chip has."""
    synapse = projection.synapse
    if not isinstance(synapse, Conv2d) or not limits.stated("limits.strides"):
        return None
    allowed = limits.numbers("limits.strides")
    other = [stride for stride in synapse.geometry[0] if stride not in allowed]
    if not other:
        return None
    return Broken(other[0], ", ".join(map(str, allowed)), "use one of these strides")


@rule("population", "limits.map_size_max")
def map_size(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Maps are not higher or wider than the chip's largest."""
    if not limits.stated("limits.map_size_max"):
        return None
    used = max(as_chw(population.shape)[1:])
    return _at_most(used, limits.number("limits.map_size_max"), "use a smaller input, or a stride")


@rule("network", "limits.input_channels")
def input_channels(network: Network, limits: Limits) -> Broken | None:
    """The inputs together are no more than the chip's input channels."""
    used = sum(neurons(p.shape) for p in network.inputs)
    return _stated(limits, "limits.input_channels", used, "use a smaller input")


@rule("network", "limits.hidden_neurons")
def hidden_neurons(network: Network, limits: Limits) -> Broken | None:
    """The neurons that are not read out are no more than the chip's hidden neurons."""
    used = sum(neurons(p.shape) for p in network.populations if p.neuron and p.name not in network.answers)
    return _stated(limits, "limits.hidden_neurons", used, "use fewer neurons")


@rule("network", "limits.output_neurons")
def output_neurons(network: Network, limits: Limits) -> Broken | None:
    """The neurons that are read out are no more than the chip's output neurons."""
    used = sum(neurons(network[name].shape) for name in network.answers)
    return _stated(limits, "limits.output_neurons", used, "use fewer output neurons")


@rule("network", "limits.output_channels")
def output_channels(network: Network, limits: Limits) -> Broken | None:
    """The neurons that are read out are no more than the channels that leave the chip."""
    used = sum(neurons(network[name].shape) for name in network.answers)
    return _stated(limits, "limits.output_channels", used, "use fewer output neurons")


@rule("network", "limits.neurons")
def chip_neurons(network: Network, limits: Limits) -> Broken | None:
    """The neurons are no more than the chip holds."""
    return _stated(limits, "limits.neurons", _neurons(network), "use fewer neurons")


@rule("network", "limits.cores", "limits.neurons_per_core")
def single_core(network: Network, limits: Limits) -> Broken | None:
    """On a chip of one core, the neurons are no more than that core holds."""
    if limits.figure("limits.cores").value != 1:
        return None
    return _at_most(_neurons(network), limits.number("limits.neurons_per_core"), "use fewer neurons")


@rule("network", "limits.cores", "limits.synapses_per_core")
def single_core_synapses(network: Network, limits: Limits) -> Broken | None:
    """On a chip of one core, the synapses are no more than that core holds."""
    if limits.figure("limits.cores").value != 1 or not limits.stated("limits.synapses_per_core"):
        return None
    used = sum(int(synapses_onto(network, p).sum()) for p in network.projections)
    return _at_most(used, limits.number("limits.synapses_per_core"), "use fewer neurons, or sparse connections")


def _neurons(network: Network) -> int:
    return sum(neurons(p.shape) for p in network.populations if p.neuron is not None)


def _stated(limits: Limits, figure: str, used: int, remedy: str) -> Broken | None:
    """Against a limit that only some chips have."""
    return _at_most(used, limits.number(figure), remedy) if limits.stated(figure) else None


def _at_most(used: int, most: int, remedy: str) -> Broken | None:
    return None if used <= most else Broken(used, most, remedy)
