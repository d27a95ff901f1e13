"""How much of everything a study does."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace

from neurosam.errors import DataError
from neurosam.training.vgg import LEAKS, NETWORKS, STEPS

__all__ = ["DEPLOYED", "FULL", "ITEMS", "QUICK", "Plan"]

ITEMS = ("mnist5k", "fashion")
"""Data sets whose items lie on canvases."""
EXPLAINED = {"vgg11": ("conv4", "conv6", "conv8")}
"""Layers that the paper explains."""


@dataclass(frozen=True)
class Plan:
    """Sizes of a study; equal plans share a cache.

    Parameters
    ----------
    data : str
        Items for the canvases: "mnist5k", or "fashion" where its package is present; or a folder of pictures (see
        :func:`neurosam.data.load_image_folder`), which are shown as they are: without masks, and without pairs.
    canvas : int
        Side in pixels.
    size : int, optional
        Side to which pictures of a folder are cut and resized; as they are, if None.
    train : int or None
        Pictures to train on; as many as there are items, if None. Canvases are drawn anew, as many as it takes.
    test : int
        Held-out pictures for accuracy, and as many pairs for suppression.
    explained : int
        Held-out pictures whose maps are judged.
    architecture : str
        As in :func:`neurosam.training.build`, or a name as in :mod:`neurosam.training.vgg`.
    explain : tuple of str
        Layers that are explained; every convolution but the first, if empty.
    epochs, ann_epochs, batch : int
        Of the spiking nets and of the ANN.
    lr : float
    steps : int
        T of the net trained with surrogate gradients.
    leak : float
        Its leak; one of `leaks`.
    leaks : tuple of float
        Of Table 1.
    conversion_steps : int
        T of the converted net.
    gammas : tuple of float
        Of Fig. 8, 0, 0.5 and 1 among them; 0.5 elsewhere.
    epsilons : tuple of int
        FGSM's, in 255ths, 0 and 4 among them.
    clutter : bool
        Whether items lie on canvases; without, they are shown as they are.
    deployed : tuple of str
        Data sets whose items are learned as they are, too; of :data:`DEPLOYED`.
    seeds : int
        Trainings of everything, at least 2.
    """

    data: str = "mnist5k"
    canvas: int = 48
    size: int | None = None
    train: int | None = 8000
    test: int = 1000
    explained: int = 200
    architecture: str = "16C5S2-32C3-P2-64C3-P2-64C3-P6-D10"
    explain: tuple[str, ...] = ()
    epochs: int = 4
    ann_epochs: int = 6
    batch: int = 16
    lr: float = 4e-3
    steps: int = 10
    leak: float = 0.9
    leaks: tuple[float, ...] = (0.7, 0.8, 0.9)
    conversion_steps: int = 100
    gammas: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
    epsilons: tuple[int, ...] = (0, 2, 4, 8)
    clutter: bool = True
    deployed: tuple[str, ...] = ITEMS
    seeds: int = 5

    def __post_init__(self) -> None:
        needed: dict[str, set[float]] = {"gammas": {0.0, 0.5, 1.0}, "epsilons": {0, 4}, "leaks": {self.leak}}
        for name, values in needed.items():
            if missing := sorted(values - set(getattr(self, name))):
                raise DataError(f"plan: {name}", f"lack {missing}, which claims are about")
        allowed = {"gammas": math.inf, "epsilons": 255.0, "leaks": 1.0}
        for name, most in allowed.items():
            for value in getattr(self, name):
                if not (0 <= value <= most and math.isfinite(value)):
                    limit = f"0 .. {most:g}" if math.isfinite(most) else "a finite number of at least 0"
                    raise DataError(f"plan: {name}", f"got {value!r}; allowed is {limit}")
        for name in ("test", "explained", "steps", "conversion_steps", "epochs", "ann_epochs", "batch"):
            if getattr(self, name) < 1:
                raise DataError(f"plan: {name}", f"got {getattr(self, name)}; at least 1 is required")
        if unknown := [name for name in self.deployed if name not in ITEMS]:
            raise DataError("plan: deployed", f"got {unknown[0]!r}; known are {', '.join(ITEMS)}")

    @property
    def canvases(self) -> bool:
        """Whether items lie on canvases, with exact masks."""
        return self.clutter and self.data in ITEMS

    @property
    def key(self) -> str:
        """Names the cache of what was found: everything but the number of seeds."""
        return self._key({"seeds"})

    @property
    def training_key(self) -> str:
        """Names the checkpoints: what no training depends on does not count, nor the leak, which is in their names."""
        return self._key(
            {"seeds", "explained", "explain", "leak", "leaks", "conversion_steps", "gammas", "epsilons", "deployed"}
        )

    def _key(self, without: set[str]) -> str:
        settings = {name: value for name, value in asdict(self).items() if name not in without and value is not None}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def of_network(self, name: str) -> Plan:
        """The same with another architecture; one of the paper's by name brings its steps, its leak and its layers."""
        if name not in NETWORKS:
            return replace(self, architecture=name, explain=())
        leaks = tuple(sorted({*self.leaks, LEAKS[name]}))
        return replace(
            self, architecture=name, steps=STEPS[name], leak=LEAKS[name], leaks=leaks, explain=EXPLAINED.get(name, ())
        )


FULL = Plan()
QUICK = Plan(
    train=6000, test=400, explained=50, epochs=3, steps=8, leaks=(0.7, 0.9), conversion_steps=40,
    deployed=("mnist5k",), seeds=3,
)  # fmt: skip
_VGG5 = Plan(clutter=False, canvas=28, architecture="16C3-P2-32C3-P2-32C3-P2-D256-D10", steps=8, epochs=6)
DEPLOYED = {
    "mnist5k": replace(_VGG5, data="mnist5k", train=4000, test=1000),
    "fashion": replace(_VGG5, data="fashion", train=12000, test=2000, steps=12),
}
"""How items are learned as they are, by data set: vgg5 at a quarter of its width."""
