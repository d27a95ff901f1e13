"""The network of a file, or the float network of a trained model or torch module, as it is before quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurosam._util.packages import require_package
from neurosam.cli.common import MODEL, network_in
from neurosam.cli.export_module import shape_of
from neurosam.cli.modules import is_module, load_module
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.trace import SamTrace
from neurosam.signals.stimulus import Stimulus

if TYPE_CHECKING:
    from neurosam.training import SpikingSequential
    from neurosam.training.model_file import Recipe

__all__ = ["any_network", "network_of_model", "spiking_model"]


def any_network(file: Path, shape: str | None) -> Network:
    """The network that a file holds or describes.

    Parameters
    ----------
    file : Path
        A network file, a model of `neurosam train`, or file.py:FUNCTION.
    shape : str, optional
        Of the module's input, "1x28x28"; required for a module, and for nothing else.

    Raises
    ------
    NeurosamError
        If the file holds something else, or the module has no equivalent.
    """
    if is_module(str(file)):
        require_package("info", "torch")
        from neurosam.deploy.from_torch import to_network

        return to_network(load_module(str(file)), shape_of(shape))
    if shape is not None:
        raise NeurosamError("--shape", "goes with file.py:FUNCTION; other files know the shape of their input")
    if file.suffix not in MODEL:
        return network_in(file)
    require_package("info", "torch", "safetensors")
    module, recipe = spiking_model(file)
    return network_of_model(module, recipe, recipe.stimulus, None)


def spiking_model(file: Path) -> tuple[SpikingSequential, Recipe]:
    """Load a trained model; an ANN is refused."""
    from neurosam.training.model_file import load_model

    module, recipe = load_model(file)
    if recipe.ann:
        raise NeurosamError(str(file), f"is an ANN; convert it to a spiking network first: neurosam convert {file}")
    return module, recipe


def network_of_model(module: SpikingSequential, recipe: Recipe, stimulus: Stimulus, trace: SamTrace | None) -> Network:
    """The float network of a trained model, with the stimulus and the recipe's seed in its metadata."""
    from neurosam.deploy.from_torch import to_network

    metadata = stimulus.to_metadata() | {"seed": str(recipe.seed), "architecture": recipe.architecture}
    return to_network(
        module, recipe.input_shape, sam=trace, metadata=metadata, coding=stimulus.coding, magnitude=stimulus.magnitude,
        input_unit=1 / stimulus.magnitude,
    )  # fmt: skip
