"""Compare runs, recordings or networks: whether they are equal, where they first differ, and what rounding explains."""

from neurosam.equivalence.behaviour import compare_behaviour
from neurosam.equivalence.comparison import compare, report, verify
from neurosam.equivalence.divergence import Divergence
from neurosam.equivalence.network_diff import Difference, compare_networks
from neurosam.equivalence.required import lacking
from neurosam.equivalence.result import Equivalence, Tally

__all__ = [
    "Difference", "Divergence", "Equivalence", "Tally", "compare", "compare_behaviour", "compare_networks", "lacking",
    "report", "verify",
]  # fmt: skip
