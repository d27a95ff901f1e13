"""Metrics of a run: accuracy, sparsity, memory and operations, under NeuroBench's names where it defines them.

Examples
--------
>>> from neurosam import metrics
>>> network = ns.Network(
...     [
...         ns.Population("in", (2,)),
...         ns.Population("a", (4,), ns.FixedLIF(membrane_decay=0, threshold=2)),
...         ns.Population("out", (2,), ns.FixedReadout()),
...     ],
...     [
...         ns.Projection("in", "a", ns.Dense(np.array([[3, 0], [0, 1], [0, 0], [1, 1]], np.int8)), delay=0),
...         ns.Projection("a", "out", ns.Dense(np.array([[1, 0, 0, 0], [0, 1, 1, 1]], np.int8)), delay=0),
...     ],
... )
>>> events = ns.Events.from_dense(np.array([[1, 0], [1, 1], [0, 0]]).reshape(3, 1, 2))
>>> recording = ns.run(network, events, "reference", ns.Record.everything(network))
>>> metrics.accuracy(recording, [0])
1.0
>>> metrics.spikes_per_step(network, recording)["a"].tolist()
[1.0, 2.0, 0.0]
>>> metrics.activation_sparsity(network, recording), metrics.connection_sparsity(network)
(0.75, 0.5)
>>> operations = metrics.synaptic_operations(network, recording, events)
>>> operations["a->out"].effective_acs, operations["a->out"].dense, metrics.deliveries(network, recording, events)
(3, 24, {'in->a': 12, 'a->out': 6})
>>> metrics.footprint_bytes(network), metrics.state_bytes(network), metrics.membrane_updates(network, recording)
(46, 24, 10)
>>> metrics.neurobench(network, recording, events)["SynapticOperations"]
{'Effective_MACs': 0.0, 'Effective_ACs': 9.0, 'Dense': 48.0}
"""

from neurosam.metrics.connections import deliveries, fan_out
from neurosam.metrics.measures import (
    accuracy,
    activation_sparsity,
    activation_sparsity_by_layer,
    membrane_updates,
    neurobench,
    neuron_operations,
    spikes_per_step,
)
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.metrics.static import connection_sparsity, footprint_bytes, parameter_count, state_bytes
from neurosam.signals.overflow import Overflow, overflow_warning, overflows

__all__ = [
    "Operations",
    "Overflow",
    "accuracy",
    "activation_sparsity",
    "activation_sparsity_by_layer",
    "connection_sparsity",
    "deliveries",
    "fan_out",
    "footprint_bytes",
    "membrane_updates",
    "neurobench",
    "neuron_operations",
    "overflow_warning",
    "overflows",
    "parameter_count",
    "spikes_per_step",
    "state_bytes",
    "synaptic_operations",
]
