"""Rules: what a chip's figures allow, and what of it a network or a mapping breaks."""

from neurosam_hw.rules.assumptions import assumptions
from neurosam_hw.rules.check import check, check_mapping, check_traces
from neurosam_hw.rules.findings import Findings, Unchecked, Violation, joined
from neurosam_hw.rules.limits import Limits
from neurosam_hw.rules.registry import RULES, Broken, Rule, rule

__all__ = [
    "RULES",
    "Broken",
    "Findings",
    "Limits",
    "Rule",
    "Unchecked",
    "Violation",
    "assumptions",
    "check",
    "check_mapping",
    "check_traces",
    "joined",
    "rule",
]
