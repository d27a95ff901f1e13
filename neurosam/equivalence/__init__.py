"""Compare runs, recordings or networks: whether they are equal, where they first differ, and what a pass is worth."""

from neurosam.equivalence.against import verify_recording
from neurosam.equivalence.behaviour import compare_behaviour
from neurosam.equivalence.comparison import compare, report, verify
from neurosam.equivalence.divergence import Divergence
from neurosam.equivalence.isolation import Isolation, Layer, isolate
from neurosam.equivalence.margins import Margins, margins
from neurosam.equivalence.mutants import Outcome, Score, score
from neurosam.equivalence.mutation import Mutant, mutated
from neurosam.equivalence.network_diff import Difference, compare_networks
from neurosam.equivalence.required import lacking
from neurosam.equivalence.result import Equivalence, Tally
from neurosam.equivalence.search import Found, search

__all__ = [
    "Difference", "Divergence", "Equivalence", "Found", "Isolation", "Layer", "Margins", "Mutant", "Outcome", "Score",
    "Tally", "compare", "compare_behaviour", "compare_networks", "isolate", "lacking", "margins", "mutated", "report",
    "score", "search", "verify", "verify_recording",
]  # fmt: skip
