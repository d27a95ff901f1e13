"""Files of trained networks: the weights, and the recipe from which to build their module.

A model is one safetensors file: the state dict, with the recipe as JSON in its metadata under "neurosam-model". It
holds only numbers and text, so loading an untrusted file cannot run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from neurosam._util.untrusted import MALFORMED
from neurosam.errors import DataError, NetworkError, NeurosamError
from neurosam.signals.stimulus import Stimulus
from neurosam.training.architectures import build, build_ann
from neurosam.training.neurons import LIF
from neurosam.training.sequential import SpikingSequential, named_layers
from neurosam.training.tensor_file import read_tensors, write_tensors

__all__ = ["Recipe", "load_model", "save_model"]

_KEY = "neurosam-model"


@dataclass(frozen=True)
class Recipe:
    """The parameters from which to build a module, and the stimulus with which it was trained.

    Parameters
    ----------
    architecture : str
        Such as ``"16C3-P2-32C3-P2-D10"``; :func:`~neurosam.training.vgg.describe` returns those of the paper.
    input_shape : (C, H, W)
    stimulus : Stimulus
        How images were encoded.
    leak, threshold : float
    reset, order : str
        See :class:`~neurosam.training.LIF`.
    seed : int
        Seed of the initial weights and of the training.
    bntt : bool
        Whether batch norm through time, over the steps of the stimulus, replaces batch norm.
    ann : bool
        Whether the module is an ANN, with ReLU units in place of neurons and with batch norm, for conversion.
    thresholds : dict of str to float
        Thresholds of a converted network by neuron layer, which replace `threshold`; such a network has biases and no
        batch norm.
    """

    architecture: str
    input_shape: tuple[int, int, int]
    stimulus: Stimulus
    leak: float = 0.9
    threshold: float = 1.0
    reset: str = "subtract"
    order: str = "integrate_first"
    seed: int = 0
    bntt: bool = False
    ann: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def build(self) -> SpikingSequential:
        """Build the module with initial weights.

        Raises
        ------
        NetworkError
            If the parameters do not match each other.
        """
        if self.ann:
            return build_ann(self.architecture, self.input_shape, batch_norm=True, seed=self.seed)
        module = build(
            self.architecture,
            self.input_shape,
            leak=self.leak,
            threshold=self.threshold,
            reset=self.reset,
            order=self.order,
            batch_norm=not self.thresholds,
            bntt=self.stimulus.steps if self.bntt else 0,
            seed=self.seed,
        )
        if self.thresholds:
            names = {name for name, layer in named_layers(module) if isinstance(layer, LIF)}
            if names != self.thresholds.keys():
                raise NetworkError(
                    "thresholds", f"are of {sorted(self.thresholds)}; {self.architecture} requires {sorted(names)}"
                )
            for name, threshold in self.thresholds.items():
                setattr(module, name, LIF(self.leak, threshold, reset=self.reset, order=self.order))
        return module

    def converted(self, thresholds: Mapping[str, float], stimulus: Stimulus) -> Recipe:
        """The recipe of the spiking network to which :func:`~neurosam.training.conversion.convert` converted this ANN.

        Parameters
        ----------
        thresholds : mapping of str to float
            Those of the :class:`~neurosam.training.conversion.Conversion`.
        stimulus : Stimulus
            How images are encoded for the spiking network.
        """
        return replace(self, ann=False, leak=1.0, stimulus=stimulus, thresholds=dict(thresholds))


def save_model(path: str | os.PathLike[str], module: SpikingSequential, recipe: Recipe) -> None:
    """Write weights and recipe to a file, atomically.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    about = asdict(recipe) | {"stimulus": recipe.stimulus.to_metadata()}
    try:
        write_tensors(path, module.state_dict(), {_KEY: json.dumps(about)})
    except Exception as error:
        raise DataError(str(path), f"cannot write the model: {error}") from error


def load_model(path: str | os.PathLike[str]) -> tuple[SpikingSequential, Recipe]:
    """Read a trained network from a file; the module is in evaluation mode.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not a model of neurosam.
    """
    from safetensors import SafetensorError

    place = Path(path)
    if not place.is_file():
        raise DataError(str(place), "does not exist; `neurosam train` writes one")
    try:
        tensors, metadata = read_tensors(place)
        fields = json.loads(metadata[_KEY])
        stimulus = Stimulus.from_metadata(fields["stimulus"])
        recipe = Recipe(**{**fields, "stimulus": stimulus, "input_shape": tuple(fields["input_shape"])})
        with torch.device("meta"):  # shapes without memory, before a recipe can ask for any amount of it
            expected = {name: value.shape for name, value in recipe.build().state_dict().items()}
        if expected != {name: value.shape for name, value in tensors.items()}:
            raise ValueError("its tensors are not those of its recipe")
        module = recipe.build()
        module.load_state_dict(tensors)
    except (
        OSError, SafetensorError, RuntimeError, MemoryError, NeurosamError, *MALFORMED,
    ) as error:  # fmt: skip
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(str(place), f"is not a model that `neurosam train` wrote ({reason})") from error
    return module.eval(), recipe
