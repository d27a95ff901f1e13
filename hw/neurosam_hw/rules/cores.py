"""Rules about the cores of a mapping: what each uses of the chip (resources/), and that layers and chips are whole.

A limit that the chip's file does not have is none of this chip; one that it has without a value is not checked.
"""

from __future__ import annotations

from neurosam.network.synapse import neurons
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.resources.use import LIMITS, Use, allowed
from neurosam_hw.rules.limits import Limits
from neurosam_hw.rules.registry import Broken, rule

__all__ = ["BOUNDED"]

BY_CORE = "limits.kernel_memory"
SPREAD = "spread the layer over more cores (neurosam map)"
SMALLER = "use a smaller layer"

BOUNDED = {
    "neurons": ("A core has no more neurons than it holds.", SPREAD),
    "synapses": ("A core has no more synapses than it holds.", SPREAD),
    "synapse_bits": ("The synapses of a core fit its memory for them, by the chip's row formula.", SPREAD),
    "memory_bits": ("Synapses and neurons of a core fit its memory.", SPREAD),
    "axons_in": ("A core has no more input axons than it holds.", SPREAD),
    "axons_out": ("A core has no more output axons than it holds, those of 32 bits counted twice.", SPREAD),
    "destinations": ("A core sends to no more cores than it can.", "let fewer layers follow it"),
    "decay_profiles": ("The neurons of a core have no more different decays than it holds.", "give a layer one leak"),
    "threshold_profiles": (
        "The neurons of a core have no more different thresholds than it holds.", "quantise with --scale population",
    ),
    "synapse_formats": (
        "The synapses of a core have no more different formats than it holds.", "put layers on cores of their own",
    ),
    "kernel_memory": ("The kernels of a layer fit its core.", SMALLER),
    "neuron_memory": ("The neurons of a layer fit its core.", SMALLER),
    "bias_memory": ("The biases of a layer fit its core.", SMALLER),
}  # fmt: skip
"""What a core has a limited number of, by the name in a Use: what the rule asks for, and what to do."""


def _bounded(what: str, meaning: str, remedy: str) -> None:
    """Register the rule that a core uses no more of something than it has."""
    figure = LIMITS[what]

    def check(mapping: CoreMapping, core: int, use: Use, limits: Limits) -> Broken | None:
        if not limits.stated(figure):
            return None
        limits.numbers(figure)
        most, used = allowed(mapping.chip, what, int(mapping.positions[core, 1])), getattr(use, what)
        return None if most is None or used <= most else Broken(used, most, remedy)

    check.__name__, check.__doc__ = f"core_{what}", meaning
    rule("core", figure)(check)


for _what, (_meaning, _remedy) in BOUNDED.items():
    _bounded(_what, _meaning, _remedy)


@rule("core", "limits.synapse_index_bits")
def core_index_bits(mapping: CoreMapping, core: int, use: Use, limits: Limits) -> Broken | None:
    """The number of a core's last neuron fits the widest index of a synapse."""
    if not limits.stated("limits.synapse_index_bits"):
        return None
    widest = max(limits.numbers("limits.synapse_index_bits"))
    used = (use.neurons - 1).bit_length()
    return None if used <= widest else Broken(f"{used} bit", f"{widest} bit", SPREAD)


@rule("core", BY_CORE)
def core_layer(mapping: CoreMapping, core: int, use: Use, limits: Limits) -> Broken | None:
    """Where a core holds a layer, it holds one, and the whole of it."""
    if not limits.stated(BY_CORE):
        return None
    pieces = mapping.pieces_on(core)
    parts = [p for p in pieces if p.size < neurons(mapping.network[p.population].shape)]
    if len({p.population for p in pieces}) == 1 and not parts:
        return None
    used = "a part of a layer" if parts else f"{len(pieces)} layers"
    return Broken(used, "one layer", "place each layer on one core")


@rule("core", "limits.cores", BY_CORE)
def core_chip(mapping: CoreMapping, core: int, use: Use, limits: Limits) -> Broken | None:
    """A chip of one core, or of a layer a core, is used alone: it has no network to others."""
    chip = int(mapping.positions[core, 0])
    if not chip or not (limits.figure("limits.cores").value == 1 or limits.stated(BY_CORE)):
        return None
    return Broken(f"chip {chip}", "chip 0", "use a smaller network")
