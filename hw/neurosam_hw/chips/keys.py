"""The keys of a chip file: what each figure means, its kind of quantity, and whether it is one value or a list.

A key that is not listed here is refused, so a misspelt one cannot pass as an unknown figure.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOARD", "SECTIONS", "Key"]


@dataclass(frozen=True)
class Key:
    """What a key of a chip file stands for.

    Parameters
    ----------
    kind : str
        Kind of quantity, a key of ``units.UNITS``.
    meaning : str
    many : bool
        Whether a list is allowed in place of one value: one item for each core, tile count or allowed width.
    scope : str
        The one scope that is allowed; empty if the file chooses.
    """

    kind: str
    meaning: str
    many: bool = False
    scope: str = ""


def _energy(meaning: str) -> Key:
    return Key("energy", meaning, scope="per-term")


def _time(meaning: str) -> Key:
    return Key("time", meaning, scope="per-term")


SECTIONS: dict[str, dict[str, Key]] = {
    "limits": {
        "cores": Key("count", "cores on a chip"),
        "neurons": Key("count", "neurons on a chip"),
        "synapses": Key("count", "synapses on a chip"),
        "neurons_per_core": Key("count", "neurons or compartments a core holds"),
        "synapses_per_core": Key("count", "synapses a core holds"),
        "input_channels": Key("count", "input channels"),
        "hidden_neurons": Key("count", "neurons that may be recurrent"),
        "output_neurons": Key("count", "neurons that are read out"),
        "output_channels": Key("count", "channels that leave the chip"),
        "axons_in_per_core": Key("count", "input axons a core holds"),
        "axons_out_per_core": Key("count", "output axons a core holds"),
        "fan_in": Key("count", "synapses onto one neuron"),
        "destinations_per_core": Key("count", "cores that one core can send to"),
        "memory_per_core": Key("memory", "memory of a core for everything"),
        "synapse_memory_per_core": Key("memory", "memory of a core for synapses"),
        "synapse_word": Key("memory", "unit in which synaptic memory is allotted; rows are rounded up to it"),
        "synapse_row_header": Key("memory", "bits in front of a row of synapses"),
        "synapses_per_row": Key("count", "synapses in a row"),
        "synapse_index_bits": Key("memory", "allowed widths of the target's index", many=True),
        "decay_profiles_per_core": Key("count", "different pairs of decays on a core"),
        "threshold_profiles_per_core": Key("count", "different thresholds on a core"),
        "synapse_formats_per_core": Key("count", "different synapse formats on a core"),
        "shared_base_max": Key("count", "largest offset of a shared kernel's targets"),
        "shared_base_step_16": Key("count", "what that offset is a multiple of, for 16-bit population axons"),
        "axon_bits": Key("memory", "bits for the number of an input axon in a packet"),
        "population_axon_slots_32": Key("count", "axon slots that a 32-bit population axon takes"),
        "population_axon_bits_16": Key("memory", "bits for the axon's number in a 16-bit population packet"),
        "population_atom_bits_16": Key("memory", "bits for the neuron in its population that take none of them"),
        "population_atom_bits_max_16": Key("memory", "bits for the neuron in its population, at most"),
        "kernel_memory": Key("count", "kernel weights a core holds, by core", many=True),
        "neuron_memory": Key("count", "neuron states a core holds, by core", many=True),
        "bias_memory": Key("count", "biases a core holds, by core", many=True),
        "kernel_size_max": Key("count", "largest height or width of a kernel"),
        "strides": Key("count", "allowed strides", many=True),
        "map_size_max": Key("count", "largest height or width of a map"),
        "embedded_processors": Key("count", "ordinary processors on the chip"),
    },
    "numbers": {
        "weight_bits": Key("memory", "widths of a weight, sign included where it has one", many=True),
        "weight_signed": Key("boolean", "whether one projection may have weights of both signs"),
        "weight_min": Key("integer", "smallest weight of a projection with both signs"),
        "weight_max": Key("integer", "largest weight of a projection with both signs"),
        "weight_step": Key("integer", "what weights of both signs are multiples of, at the largest width"),
        "weight_exponent_min": Key("integer", "smallest exponent of a projection"),
        "weight_exponent_max": Key("integer", "largest exponent of a projection"),
        "weight_shift": Key("integer", "bits by which weights enter shifted left, at exponent 0"),
        "weight_types": Key("count", "different weights per neuron, chosen by the axon's type"),
        "current": Key("boolean", "whether neurons have a synaptic current with a decay"),
        "current_bits": Key("memory", "width of the synaptic current"),
        "membrane_bits": Key("memory", "width of the membrane, sign included where it has one"),
        "membrane_signed": Key("boolean", "whether a membrane can be below 0"),
        "decay": Key("boolean", "whether membranes decay by a factor"),
        "decay_bits": Key("memory", "width of a decay"),
        "bias_bits": Key("memory", "width of a bias mantissa"),
        "bias_exponent_bits": Key("memory", "width of a bias exponent"),
        "threshold_bits": Key("memory", "width of a threshold mantissa"),
        "threshold_signed": Key("boolean", "whether that width includes a sign"),
        "threshold_shift": Key("integer", "bits by which thresholds enter shifted left"),
        "fires_at": Key("boolean", "whether a membrane equal to the threshold fires"),
        "delay_bits": Key("memory", "width of a synaptic delay"),
        "delay_max": Key("step", "longest synaptic delay"),
        "refractory_max": Key("step", "longest refractory period"),
        "graded_spikes": Key("boolean", "whether a spike carries a value"),
        "payload_bits": Key("memory", "width of that value"),
        "tables": Key("boolean", "whether a neuron can have gains and offsets by step"),
        "programmable_neurons": Key("boolean", "whether neurons run a program"),
        "traces": Key("boolean", "whether a neuron has a trace of its spikes"),
        "trace_bits": Key("memory", "width of a trace, without a sign"),
        "trace_impulse_max": Key("integer", "largest impulse that a spike adds to a trace"),
        "trace_every_step": Key("boolean", "whether traces are updated in every step, and not at spikes alone"),
        "trace_unit": Key("boolean", "whether a unit updates a SAM trace at its neuron's spikes and sends its score"),
    },
    "resets": {
        "zero": Key("boolean", "the membrane becomes zero at a spike"),
        "value": Key("boolean", "the membrane becomes a chosen value at a spike"),
        "subtract": Key("boolean", "the threshold is subtracted at a spike"),
        "none": Key("boolean", "the membrane stays as it is at a spike"),
    },
    "energy": {
        "synaptic_operation": _energy("a synaptic operation alone"),
        "synaptic_operation_all_in": Key(
            "energy", "everything that the chip draws, by synaptic operation", scope="all-in"
        ),
        "synapse_dense": _energy("a synaptic operation of a dense projection"),
        "synapse_sparse": _energy("a synaptic operation of a sparse projection"),
        "synapse_convolution": _energy("a synaptic operation of a shared kernel"),
        "neuron_update_active": _energy("a step of a neuron that is active"),
        "neuron_update_inactive": _energy("a step of a neuron that is not"),
        "neuron_access": _energy("a step of any neuron, before what an update and a spike add"),
        "neuron_update": _energy("what an update adds"),
        "spike": _energy("what a spike adds at its neuron"),
        "trace_update": _energy("an update of a trace"),
        "trace_read": _energy("a trace that a processor on the chip reads"),
        "axon_in": _energy("a message that a core receives"),
        "axon_out": _energy("a packet that a core sends"),
        "spike_in_tile": _energy("a spike delivered within its tile"),
        "hop": _energy("a spike from one router to the next, where directions are not told apart"),
        "hop_east_west": _energy("a spike from one tile to the next, east or west"),
        "hop_north_south": _energy("a spike from one tile to the next, north or south"),
        "hop_between_chips": _energy("a spike from one chip to another, beyond its hops"),
    },
    "time": {
        "synaptic_operation": _time("a synaptic operation"),
        "synapse_dense": _time("a synaptic operation of a dense projection"),
        "synapse_sparse": _time("a synaptic operation of a sparse projection"),
        "synapse_convolution": _time("a synaptic operation of a shared kernel"),
        "neuron_update_active": _time("a step of a neuron that is active"),
        "neuron_update_inactive": _time("a step of a neuron that is not"),
        "neuron_access": _time("a step of any neuron, before what an update and a spike add"),
        "neuron_update": _time("what an update adds"),
        "spike": _time("what a spike adds at its neuron"),
        "trace_update": _time("an update of a trace"),
        "trace_read": _time("a trace that a processor on the chip reads"),
        "axon_in": _time("a message that a core receives"),
        "axon_out": _time("a packet that a core sends"),
        "spike_in_tile": _time("a spike delivered within its tile"),
        "hop_east_west": _time("a spike from one tile to the next, east or west"),
        "hop_north_south": _time("a spike from one tile to the next, north or south"),
        "event": Key("time", "an event from input to output", scope="all-in"),
        "step_min": Key("time", "shortest step", scope="all-in"),
        "step": Key("time", "length of a step, where it is fixed", scope="all-in"),
        "clock": Key("frequency", "clock of the cores"),
        "cycles_input_spike": Key("cycle", "an input spike, for each hidden neuron"),
        "cycles_input_channel": Key("cycle", "a step, for each input channel"),
        "cycles_hidden_synapse": Key("cycle", "a hidden spike, for each recurrent synapse"),
        "cycles_hidden_neuron": Key("cycle", "a step, for each hidden neuron's synapses"),
        "cycles_output_synapse": Key("cycle", "a hidden spike, for each output neuron"),
        "cycles_output_spike": Key("cycle", "a hidden spike, for the output layer"),
        "cycles_hidden_update": Key("cycle", "a step, for each hidden neuron's membrane"),
        "cycles_hidden_fired": Key("cycle", "a step, for each hidden neuron that fires, without aliases"),
        "cycles_output_update": Key("cycle", "a step, for each output neuron"),
        "cycles_skip_unconnected": Key(
            "boolean", "whether hidden neurons without input (output) weights take no cycles for spikes from (to) there"
        ),
    },
    "noc": {
        "mesh_width": Key("count", "columns of the mesh"),
        "mesh_height": Key("count", "rows of the mesh"),
        "cores_per_tile": Key("count", "cores that share a router"),
        "multicast": Key("boolean", "whether one packet reaches several cores"),
        "shared_weights": Key("boolean", "whether several neurons share a kernel in memory"),
        "population_axons": Key("boolean", "whether one axon serves a population of neurons"),
    },
    "sync": {
        "barrier": Key("time", "end of a step, by number of tiles", many=True, scope="per-term"),
        "barrier_tiles": Key("count", "numbers of tiles that `barrier` is given for", many=True),
    },
}
"""Sections of a chip file and their keys."""

BOARD: dict[str, Key] = {
    "chips": Key("count", "chips on the board"),
    "voltage": Key("voltage", "supply of the cores"),
    "idle": Key("power", "power at rest, all rails", scope="all-in"),
    "idle_core_rail": Key("power", "power at rest of the cores' rail", scope="per-term"),
    "idle_memory_rail": Key("power", "power at rest of the memories' rail", scope="per-term"),
    "idle_per_chip": Key("power", "power at rest, by chip", scope="all-in"),
    "loaded": Key("power", "power at rest with a network loaded, all rails", scope="all-in"),
    "running": Key("power", "power while a network runs", scope="all-in"),
    "maximum": Key("power", "power that is never exceeded", scope="all-in"),
    "constant": Key("power", "power above rest that no network changes: host, I/O", scope="per-term"),
    "slope_per_neuron": Key("power", "power above rest by neuron, of a network that was scaled", scope="per-term"),
    "host": Key("power", "power of the host", scope="per-term"),
    "io": Key("power", "power of input and output", scope="per-term"),
    "inference": Key("energy", "an inference of the network named in `conditions`", scope="all-in"),
    "inferences": Key("frequency", "inferences in a second, of the network named in `conditions`"),
}
"""Keys of a board."""
