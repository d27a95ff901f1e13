"""SANA-FE's description of the network, ``snn.yaml``: groups, one line an edge, and where neurons are.

About 39 bytes and 34 microseconds of reading an edge, so large networks are not written this way (write.py). Without
an attribute for the synapse of an edge, all edges onto a group are of one kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from neurosam_hw.sanafe.edges import Edges
from neurosam_hw.sanafe.plan import Group, Plan

__all__ = ["snn"]


def snn(plan: Plan, edges: Iterable[Edges]) -> str:
    """The text of ``snn.yaml``; `edges` are those of the plan's projections."""
    return "".join(f"{line}\n" for line in _lines(plan, edges))


def _lines(plan: Plan, edges: Iterable[Edges]) -> Iterator[str]:
    yield from ("network:", "  name: neurosam", "  groups:")
    for group in plan.groups:
        yield from _group(group)
    yield "  edges:"
    for (source, target, _), found in zip(plan.projections, edges, strict=True):
        for s, t, weight in zip(*(column.tolist() for column in found), strict=True):
            yield f"    - {source}.{s} -> {target}.{t}: [weight: {float(weight)!r}]"
    yield "mappings:"
    for group in plan.groups:
        for first, stop, core in group.cores:
            yield f"  - {group.name}.{_range(first, stop)}: [core: {core}]"


def _group(group: Group) -> Iterator[str]:
    yield f"    - name: {group.name}"
    yield "      attributes:"
    for attribute in ("log_spikes: true", "dendrite_hw_name: dendrite", f"synapse_hw_name: {group.synapse}"):
        yield f"        - {attribute}"
    yield "      neurons:"
    for first, stop, attributes in group.soma:
        text = ", ".join(f"{name}: {_value(value)}" for name, value in attributes.items())
        yield f"        - {_range(first, stop)}: [{text}]"


def _value(value: Any) -> str:
    """A word in quotes, since names of units hold brackets; numbers with all their digits."""
    return f"'{value}'" if isinstance(value, str) else repr(value)


def _range(first: int, stop: int) -> str:
    """Neurons as SANA-FE counts them: the last one belongs to the range."""
    return str(first) if stop == first + 1 else f"{first}..{stop - 1}"
