"""Results of a training run, by epoch."""

from __future__ import annotations

from dataclasses import dataclass

from neurosam.training.input_coding import Normalisation

__all__ = ["Epoch", "History"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set.

    Parameters
    ----------
    number : int
        From 1.
    loss : float
        Mean cross-entropy in nats over the epoch, during which the weights change.
    train_accuracy : float
        0 .. 1, likewise.
    test_accuracy : float
        0 .. 1, after the epoch.
    seconds : float
        Wall-clock time, including the test.
    test_unanswered : int
        Samples of the test whose outputs were the same for all classes, which is wrong (signals/answer.py).
    """

    number: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    test_unanswered: int = 0


@dataclass(frozen=True)
class History:
    """All epochs of a run, including those before an interruption.

    Parameters
    ----------
    epochs : tuple of Epoch
        At least one.
    normalisation : Normalisation or None
        Of the input, for the code "poisson_signed"; pass it to :func:`~neurosam.training.trainer.evaluate`.
    """

    epochs: tuple[Epoch, ...]
    normalisation: Normalisation | None

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test set after the last epoch, 0 .. 1."""
        return self.epochs[-1].test_accuracy

    @property
    def test_unanswered(self) -> int:
        """Samples of the test set that had no answer after the last epoch."""
        return self.epochs[-1].test_unanswered
