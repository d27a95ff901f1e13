"""Sizes of a study."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace

from neurosam.errors import DataError
from neurosam.network.trace import MODES
from neurosam.training.vgg import LEAKS, NETWORKS, STEPS

__all__ = ["CODINGS", "DEPLOYED", "DRAWS", "FULL", "ITEMS", "METHODS", "QUICK", "Plan"]

ITEMS = ("mnist5k", "fashion")
"""Data sets whose images can be placed on canvases, as "items"."""
CODINGS = ("poisson", "latency", "direct")
"""Codings of the nets whose methods are judged."""
DRAWS = ", mean of draws"
"""End of the names of methods that are averaged over draws of the input's spikes."""
METHODS = (
    "SAM", f"SAM{DRAWS}", "class SAM", "spike count", "SNN-Grad-CAM", "saliency", "input x gradient",
    "guided backpropagation", "integrated gradients", f"integrated gradients{DRAWS}", "SmoothGrad", "LRP", "TSA",
    "RISE", "Score-CAM", "occlusion", "random", "input",
)  # fmt: skip
"""Methods that can be judged; see methods.py."""
EXPLAINED = {"vgg11": ("conv4", "conv6", "conv8")}
"""Layers that the paper explains."""


@dataclass(frozen=True)
class Plan:
    """Sizes of a study; equal plans share a cache.

    Parameters
    ----------
    data : str
        Items for the canvases: "mnist5k", or "fashion" if its package is installed; or a folder of images (see
        :func:`neurosam.data.load_image_folder`), used without canvases and so without masks and pairs.
    canvas : int
        Side in pixels.
    size : int, optional
        Side to which images of a folder are cropped and resized; None leaves them as they are.
    train : int or None
        Number of training images; None for one per item. Items are placed again on as many canvases as needed.
    test : int
        Number of held-out images for accuracy, and of pairs for suppression.
    explained : int
        Number of held-out images whose maps are evaluated.
    architecture : str
        As in :func:`neurosam.training.build`, or a name as in :mod:`neurosam.training.vgg`.
    explain : tuple of str
        Layers to explain; empty for every convolution but the first.
    epochs, ann_epochs, batch : int
        Of the spiking nets and of the ANN.
    lr : float
    steps : int
        Steps per sample of the net trained with surrogate gradients.
    leak : float
        Its leak; one of `leaks`.
    leaks : tuple of float
        Of Table 1.
    conversion_steps : int
        Steps per sample of the converted net.
    gammas : tuple of float
        For Fig. 8, including 0, 0.5 and 1; elsewhere gamma is 0.5.
    modes : tuple of str
        Modes of the traces for Fig. 8; elsewhere it is "strict".
    references : int
        ANNs that no other net descends from, whose Grad-CAM maps are compared with.
    draws : int
        Draws of the input's spikes that maps are averaged over in Fig. 9.
    epsilons : tuple of int
        Sizes of the FGSM attack in 255ths, including 0 and 4.
    clutter : bool
        Whether items are placed on canvases; otherwise their images are used directly.
    judged : int
        Number of explained images that the methods are judged on.
    methods : tuple of str
        Methods that are judged, of :data:`METHODS`.
    codings : tuple of str
        Codings under which they are judged, of :data:`CODINGS`; each has a net of its own.
    masks : int
        Masks of RISE.
    weight_bits : tuple of int
        Bits of the weights that are rounded to randomise a net, 2..8.
    recordings : str
        Folder of labelled recordings of an event camera (see :func:`neurosam.data.load_recordings`) on which methods
        are judged too; "" for none.
    deployed : tuple of str
        Data sets for the deployment experiment, which uses no canvases; keys of :data:`DEPLOYED`.
    seeds : int
        Number of training seeds, at least 2.
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
    modes: tuple[str, ...] = ("strict", "inclusive", "official")
    references: int = 3
    draws: int = 4
    epsilons: tuple[int, ...] = (0, 2, 4, 8)
    clutter: bool = True
    judged: int = 40
    methods: tuple[str, ...] = METHODS
    codings: tuple[str, ...] = CODINGS
    masks: int = 400
    weight_bits: tuple[int, ...] = (8, 6, 5, 4, 3, 2)
    recordings: str = ""
    deployed: tuple[str, ...] = ITEMS
    seeds: int = 5

    def __post_init__(self) -> None:
        required: dict[str, set[float]] = {"gammas": {0.0, 0.5, 1.0}, "epsilons": {0, 4}, "leaks": {self.leak}}
        for name, values in required.items():
            if missing := sorted(values - set(getattr(self, name))):
                raise DataError(f"plan: {name}", f"lack {missing}, which the claims need")
        allowed = {"gammas": math.inf, "epsilons": 255.0, "leaks": 1.0}
        for name, maximum in allowed.items():
            for value in getattr(self, name):
                if not (0 <= value <= maximum and math.isfinite(value)):
                    limit = f"0 .. {maximum:g}" if math.isfinite(maximum) else "a finite number >= 0"
                    raise DataError(f"plan: {name}", f"got {value!r}; allowed is {limit}")
        for name in (
            "test", "explained", "steps", "conversion_steps", "epochs", "ann_epochs", "batch", "references", "draws",
            "judged", "masks",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise DataError(f"plan: {name}", f"got {getattr(self, name)}; at least 1 is required")
        if not self.modes or any(mode not in MODES for mode in self.modes):
            raise DataError("plan: modes", f"got {self.modes}; allowed: {', '.join(MODES)}")
        named = {"deployed": ITEMS, "methods": METHODS, "codings": CODINGS, "weight_bits": range(2, 9)}
        for name, known in named.items():
            if unknown := [value for value in getattr(self, name) if value not in known]:
                raise DataError(f"plan: {name}", f"got {unknown[0]!r}; allowed: {', '.join(map(str, known))}")

    @property
    def canvases(self) -> bool:
        """Whether images are canvases, with exact masks."""
        return self.clutter and self.data in ITEMS

    @property
    def key(self) -> str:
        """Key of the cached results: depends on everything but the number of seeds."""
        return self._key({"seeds"})

    @property
    def training_key(self) -> str:
        """Key of the checkpoints: depends on all settings of training but the leak, which is in their file names."""
        return self._key(
            {
                "seeds",
                "explained",
                "explain",
                "leak",
                "leaks",
                "conversion_steps",
                "gammas",
                "modes",
                "references",
                "draws",
                "epsilons",
                "judged",
                "methods",
                "codings",
                "masks",
                "weight_bits",
                "recordings",
                "deployed",
            }
        )

    def _key(self, without: set[str]) -> str:
        settings = {name: value for name, value in asdict(self).items() if name not in without and value is not None}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def of_network(self, name: str) -> Plan:
        """Return the plan with another architecture; a name of the paper's also sets its steps, leak and layers."""
        if name not in NETWORKS:
            return replace(self, architecture=name, explain=())
        leaks = tuple(sorted({*self.leaks, LEAKS[name]}))
        return replace(
            self, architecture=name, steps=STEPS[name], leak=LEAKS[name], leaks=leaks, explain=EXPLAINED.get(name, ())
        )


FULL = Plan()
QUICK = Plan(
    train=6000, test=400, explained=50, epochs=3, steps=8, leaks=(0.7, 0.9), conversion_steps=40, references=2,
    draws=2, masks=60, deployed=("mnist5k",), seeds=3,
)  # fmt: skip
_VGG5 = Plan(clutter=False, canvas=28, architecture="16C3-P2-32C3-P2-32C3-P2-D256-D10", steps=8, epochs=6)
DEPLOYED = {
    "mnist5k": replace(_VGG5, data="mnist5k", train=4000, test=1000),
    "fashion": replace(_VGG5, data="fashion", train=12000, test=2000, steps=12),
}
"""Plans of the deployment experiment by data set: vgg5 at a quarter of its width."""
