"""Every error that neurosam raises on purpose, as one small family.

A message is one or two sentences: where (the file, layer or argument), what was got, what is allowed, and what to do.
The command line prints the message alone and exits with status 2; a traceback always means a defect in neurosam.
"""

from __future__ import annotations

__all__ = [
    "AlignmentWarning",
    "ArgumentError",
    "BackendError",
    "DataError",
    "EventError",
    "ExportError",
    "FormatError",
    "MissingPackageError",
    "NetworkError",
    "NeurosamError",
    "RangeWarning",
]

MOST = 2000
"""Characters of a message's part, beyond which its middle is left out: it may list names from a file."""


class NeurosamError(Exception):
    """Base class of the errors that a user can fix.

    Parameters
    ----------
    where : str
        What is at fault, as the user knows it: a file, a layer, an argument.
    problem : str
        What was got, what is allowed, and what to do about it.

    Examples
    --------
    >>> try:
    ...     ns.Population("in", shape=(28, 28))
    ... except ns.NeurosamError as error:
    ...     print(error)
    population 'in': got shape (28, 28); (C, H, W) or (N,) is required; a picture of one channel is (1, 28, 28)
    """

    def __init__(self, where: str, problem: str) -> None:
        where, problem = _shortened(where), _shortened(problem)
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem

    def __reduce__(self) -> tuple[type[NeurosamError], tuple[str, str]]:
        """How it passes from a worker to the process that asked for the work."""
        return type(self), (self.where, self.problem)


class ArgumentError(NeurosamError, ValueError):
    """An argument out of range that is no part of a network: a precision, a number of threads, a population to record.

    It is a ``ValueError`` as well.
    """


class NetworkError(NeurosamError):
    """A network, population, projection or trace that cannot exist (shape, range, name, cycle)."""


class EventError(NeurosamError):
    """Input events that do not fit: out of range, unsorted, at negative time, of a wrong type."""


class FormatError(NeurosamError):
    """A file that is missing, truncated, not neurosam's, newer than this version, or hostile."""


class BackendError(NeurosamError):
    """A back end that is unknown, not installed, or cannot run the network."""


class MissingPackageError(BackendError, ModuleNotFoundError):
    """An optional package that is needed and not installed; the message has the command that installs it.

    It is a ``ModuleNotFoundError`` as well.
    """


class ExportError(NeurosamError):
    """A torch module or a calibration that cannot become a network."""


class DataError(NeurosamError):
    """A data set, image folder or checkpoint that cannot be used."""


class RangeWarning(UserWarning):
    """Integers left their range in a run: the result is the chip's, but no longer that of the trained network.

    Examples
    --------
    >>> import warnings
    >>> net = ns.Network(
    ...     populations=[ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())],
    ...     projections=[ns.Projection("in", "out", ns.Dense(np.array([[127]])), exponent=7)],
    ... )
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     recording = ns.run(net, ns.Events.from_dense(np.ones((10, 1, 1))))
    >>> caught[0].category.__name__, recording.saturated["out"]
    ('RangeWarning', array([2]))
    """


class AlignmentWarning(UserWarning):
    """Paths of different length meet in a network: a target adds up different steps of the input.

    Examples
    --------
    A shortcut around one layer, with the default delay of 1 for all. The sum starts when the shortcut arrives, and then
    waits a step for the layer; ``delay=2`` for the shortcut would align them.

    >>> import warnings
    >>> neuron = ns.LIF(leak=0.9, threshold=1.0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     net = ns.Network(
    ...         [ns.Population("in", (2,)), ns.Population("layer", (2,), neuron), ns.Population("sum", (2,), neuron)],
    ...         [
    ...             ns.Projection("in", "layer", ns.Dense(np.eye(2))),
    ...             ns.Projection("layer", "sum", ns.Dense(np.eye(2))),
    ...             ns.Projection("in", "sum", ns.Dense(np.eye(2))),
    ...         ],
    ...     )
    >>> print(str(caught[0].message).partition(". ")[0])
    in->sum delivers 1 step(s) earlier than layer->sum, so 'sum' adds up different steps of the input
    """


def _shortened(text: str) -> str:
    if len(text) <= MOST:
        return text
    return f"{text[: MOST // 2]} ... ({len(text) - MOST} characters) ... {text[-MOST // 2 :]}"
