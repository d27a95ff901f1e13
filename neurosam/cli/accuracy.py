"""The held-out accuracy of an exported network, as ``neurosam export`` reports and stores it."""

from __future__ import annotations

from dataclasses import replace

from neurosam.cli.common import progress, say
from neurosam.cli.inputs import presented
from neurosam.errors import DataError, MissingPackageError
from neurosam.network.network import Network
from neurosam.signals.answer import accuracy_text
from neurosam.signals.stimulus import Stimulus

__all__ = ["KEY", "with_accuracy"]

KEY = "accuracy"


def with_accuracy(network: Network, exact: Network | None, samples: int, data: str | None = None) -> Network:
    """Measure accuracy on held-out images of the training data, print it, and store it in the metadata.

    Parameters
    ----------
    network : Network
        Whose metadata name the data, as ``neurosam run`` presents them.
    exact : Network, optional
        The float network that it was quantised from.
    samples : int
        At most; 0 for none.
    data : str, optional
        As of :func:`neurosam.cli.inputs.presented`.

    Returns
    -------
    Network
        The same one where there are no data, which is said.
    """
    from neurosam.backends.registry import run

    if not samples or not Stimulus.from_metadata(network.metadata).data:
        return network
    try:
        events, images = presented(network, data, samples, 0, None)
    except (DataError, MissingPackageError) as error:
        say(f"held-out accuracy: not measured ({error})")
        return network
    with progress("held-out accuracy"):
        shares = [accuracy_text(run(net, events).predictions, images.labels) for net in (network, exact) if net]
    text = shares[0] + (f" (float {shares[1]})" if exact is not None else "")
    text += f" on {len(images):,} held-out samples"
    say(f"accuracy {text}")
    return replace(network, metadata={**network.metadata, KEY: text}, check_alignment=False)
