"""Which class a network answers: the one with the largest output, or none.

    prediction = argmax of the output     (the first of several that are equally large)
    no answer  = -1                       where the output does not prefer any class

An output prefers no class if it is the same for all of them, as after a run in which nothing fired or nothing arrived;
with a single class, if it is 0. An output with NaN prefers none either. No answer is not class 0: accuracy counts it as
wrong. Every prediction in this package is made here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError

__all__ = [
    "NO_ANSWER",
    "NO_ANSWER_TEXT",
    "accuracy_text",
    "answer_name",
    "answered",
    "predicted",
    "unanswered",
    "unanswered_text",
]

NO_ANSWER = -1
"""The prediction of a sample whose output prefers no class."""
NO_ANSWER_TEXT = "no answer"


def predicted(output: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The class that each output prefers.

    Parameters
    ----------
    output : (..., classes) array
        At least one class.

    Returns
    -------
    (...) int64 array
        0 .. classes - 1, the first of several largest ones; :data:`NO_ANSWER` where no class is preferred.

    Examples
    --------
    >>> from neurosam.signals.answer import predicted
    >>> predicted([[1, 5, 2], [0, 3, 3], [0, 0, 0], [7, 7, 7]])
    array([ 1,  1, -1, -1])
    >>> predicted([[2.0], [0.0]])
    array([ 0, -1])
    """
    array = np.asarray(output)
    if array.shape[-1] == 1:
        prefers = np.abs(array[..., 0]) > 0
    else:
        prefers = array.max(axis=-1) > array.min(axis=-1)  # false for NaN as well
    return np.asarray(np.where(prefers, array.argmax(axis=-1), NO_ANSWER), dtype=np.int64)


def answered(output: npt.ArrayLike, where: str = "") -> npt.NDArray[np.int64]:
    """The class that each output prefers, where each sample needs one.

    Raises
    ------
    NeurosamError
        If a sample has no answer; `where` is put in front of "target", whose absence asked for it.
    """
    answers = predicted(output)
    if (answers == NO_ANSWER).any():
        at = int(np.argmax(answers == NO_ANSWER))
        problem = f"is needed: sample {at} has no answer; its outputs are the same for all classes"
        raise NeurosamError(f"{where}target", problem)
    return answers


def answer_name(prediction: int, classes: Sequence[str] = ()) -> str:
    """Name of a predicted class: its index if it has no name, "no answer" for :data:`NO_ANSWER`."""
    if prediction == NO_ANSWER:
        return NO_ANSWER_TEXT
    return str(classes[prediction]) if prediction < len(classes) else str(prediction)


def unanswered(predictions: npt.ArrayLike) -> str:
    """How many samples have no answer, to put behind an accuracy: " (3 gave no answer)", or nothing."""
    return unanswered_text(int(np.count_nonzero(np.asarray(predictions) == NO_ANSWER)))


def unanswered_text(count: int) -> str:
    """The same of a number of samples."""
    return f" ({count:,} gave no answer)" if count else ""


def accuracy_text(predictions: npt.ArrayLike, labels: npt.ArrayLike, decimals: int = 2) -> str:
    """Share of right predictions, and how many samples gave no answer, which count as wrong.

    Examples
    --------
    >>> from neurosam.signals.answer import accuracy_text
    >>> accuracy_text([1, 0, -1, 2], labels=[1, 0, 0, 2], decimals=1)
    '75.0% (1 gave no answer)'
    """
    share = float(np.mean(np.asarray(predictions) == np.asarray(labels)))
    return f"{share:.{decimals}%}{unanswered(predictions)}"
