"""Every error that neurosam raises on purpose, as one small family.

A message is one or two sentences: where (the file, layer or argument), what was got, what is allowed, and what to do.
The command line prints the message alone and exits with status 2; a traceback always means a defect in neurosam.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "DataError",
    "EventError",
    "ExportError",
    "FormatError",
    "NetworkError",
    "NeurosamError",
]


class NeurosamError(Exception):
    """Base class of the errors that a user can mend.

    Parameters
    ----------
    where : str
        The thing at fault as the user knows it: a file, a layer, an argument.
    problem : str
        What was got, what is allowed, and what to do about it.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem


class NetworkError(NeurosamError):
    """A network, population, projection or precision that cannot exist (shape, range, name, cycle)."""


class EventError(NeurosamError):
    """Input events that do not fit: out of range, unsorted, at negative time, of a wrong type."""


class FormatError(NeurosamError):
    """A file that is missing, truncated, foreign, newer than this version, or hostile."""


class BackendError(NeurosamError):
    """A back end that is unknown, not installed, or cannot run the network."""


class ExportError(NeurosamError):
    """A torch module or a calibration that cannot become a network."""


class DataError(NeurosamError):
    """A data set, image folder or checkpoint that cannot be used."""
