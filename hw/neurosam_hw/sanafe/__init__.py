"""Files for SANA-FE, a simulator of chips by others, and its results held against neurosam's."""

from neurosam_hw.sanafe.comparison import Comparison, compare_results
from neurosam_hw.sanafe.placing import place_inputs
from neurosam_hw.sanafe.results import Results, read_results
from neurosam_hw.sanafe.write import export

__all__ = ["Comparison", "Results", "compare_results", "export", "place_inputs", "read_results"]
