"""The reference back end: a network in torch, on a CPU or a GPU, exact in integers."""

from neurosam._util.packages import require_package

require_package("back end 'reference'", "torch")

from neurosam.backends.reference.backend import ReferenceBackend

__all__ = ["ReferenceBackend"]
