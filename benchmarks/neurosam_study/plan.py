"""Sizes of a study."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from neurosam.data.event_camera import is_recordings
from neurosam.errors import DataError
from neurosam.network.trace import MODES
from neurosam.training.input_coding import FRAMES
from neurosam.training.vgg import LEAKS, NETWORKS, STEPS

__all__ = [
    "CODINGS", "DEPLOYED", "DRAWS", "FULL", "ITEMS", "METHODS", "N_MNIST", "ORDERS", "QUICK", "TINY_IMAGENET", "Plan",
    "shortened",
]  # fmt: skip

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
ORDERS = ("fire_first", "integrate_first")
"""Orders of the neurons: the paper's equations, and its released code (see neurosam.training.LIF)."""
OPTIMIZERS = {"adam": ("cosine", 0.0, 4e-3), "sgd": ("step", 5e-4, 0.1)}
"""Schedule, weight decay and default learning rate; SGD's are the paper's, with momentum 0.9."""
RECORDING_US = 300_000
"""Length of an N-MNIST recording: three saccades of 100 ms."""


@dataclass(frozen=True)
class Plan:
    """Sizes of a study; equal plans share a cache.

    Parameters
    ----------
    data : str
        Items for the canvases: "mnist5k", or "fashion" if its package is installed. Or a folder, used without canvases:
        of Tiny-ImageNet (its boxes are the masks), of images, or of N-MNIST's recordings (without an ANN).
    luminance : str
        Of the canvases, see :class:`neurosam.data.Clutter`: "canvas" gives distractors and background the item's own
        levels, so that brightness does not tell where it is; "distractors" the distractors alone; "dimmed" neither.
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
    width : float
        Factor for the hidden channels of a named architecture.
    orders : tuple of str
        Orders of the neurons of the nets trained with surrogate gradients. The first is that of every experiment; the
        others are measured in accuracy, Fig. 6a, 6b and 10 and in deployment.
    explain : tuple of str
        Layers to explain; empty for every convolution but the first.
    epochs, ann_epochs, batch : int
        Of the spiking nets and of the ANN.
    optimizer : {"adam", "sgd"}
        "sgd" as in the paper: momentum 0.9, weight decay 5e-4, rate divided by 10 after 50, 70 and 90 % of the epochs.
    lr : float, optional
        4e-3 for Adam and 0.1 for SGD if None.
    steps : int
        Steps per sample of the net trained with surrogate gradients.
    leak : float
        Its leak; one of `leaks`.
    leaks : tuple of float
        Of Table 1.
    conversion_steps : int
        Steps per sample of the converted nets.
    percentiles : tuple of float
        Of the conversion: the first is that of every experiment, as for `orders`; 100 is the maximum, as in the paper.
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
    deployed : tuple of str
        Data sets for the deployment experiment, which uses no canvases; keys of :data:`DEPLOYED`. Nets of a folder are
        always deployed.
    seeds : int
        Number of training seeds, at least 2.
    """

    data: str = "mnist5k"
    canvas: int = 48
    luminance: str = "canvas"
    size: int | None = None
    train: int | None = 8000
    test: int = 1000
    explained: int = 200
    architecture: str = "16C5S2-32C3-P2-64C3-P2-64C3-P6-D10"
    width: float = 1.0
    explain: tuple[str, ...] = ()
    orders: tuple[str, ...] = ORDERS
    epochs: int = 8
    ann_epochs: int = 10
    batch: int = 16
    optimizer: str = "adam"
    lr: float | None = None
    steps: int = 15
    leak: float = 0.95
    leaks: tuple[float, ...] = (0.7, 0.8, 0.95)
    conversion_steps: int = 100
    percentiles: tuple[float, ...] = (100.0, 99.9)
    gammas: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
    modes: tuple[str, ...] = ("strict", "inclusive", "official")
    references: int = 3
    draws: int = 4
    epsilons: tuple[int, ...] = (0, 2, 4, 8)
    clutter: bool = True
    judged: int = 40
    methods: tuple[str, ...] = METHODS
    codings: tuple[str, ...] = CODINGS
    masks: int = 200
    weight_bits: tuple[int, ...] = (8, 6, 5, 4, 3, 2)
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
        if not self.orders or not {*self.orders} <= {*ORDERS} or len({*self.orders}) < len(self.orders):
            raise DataError("plan: orders", f"got {self.orders}; allowed, each once: {', '.join(ORDERS)}")
        if not self.percentiles or not all(0 < value <= 100 for value in self.percentiles):
            raise DataError("plan: percentiles", f"got {self.percentiles}; allowed is above 0, to 100")
        if self.width != 1 and self.architecture not in NETWORKS:
            raise DataError("plan: width", f"got {self.width}, which only networks by name have: {', '.join(NETWORKS)}")
        if self.optimizer not in OPTIMIZERS:
            raise DataError("plan: optimizer", f"got {self.optimizer!r}; allowed: {', '.join(OPTIMIZERS)}")
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
    def recordings(self) -> bool:
        """Whether the data is a folder of an event camera's recordings, which have no ANN."""
        return self.data not in ITEMS and is_recordings(self.data)

    @property
    def deployments(self) -> dict[str, Plan]:
        """Plans of the deployment experiment by name: those of `deployed`, and of a folder its own."""
        plans = {name: DEPLOYED[name] for name in self.deployed}
        return plans if self.data in ITEMS else plans | {Path(self.data).resolve().name: self}

    @property
    def surrogates(self) -> dict[str, str]:
        """Orders of the nets trained with surrogate gradients, by the names that figures use."""
        first, *others = self.orders
        return {"surrogate": first} | {f"surrogate, {order.replace('_', ' ')}": order for order in others}

    @property
    def schedule(self) -> str:
        """Schedule of the learning rate."""
        return OPTIMIZERS[self.optimizer][0]

    @property
    def weight_decay(self) -> float:
        """Weight decay of the optimiser."""
        return OPTIMIZERS[self.optimizer][1]

    @property
    def rate(self) -> float:
        """Initial learning rate."""
        return OPTIMIZERS[self.optimizer][2] if self.lr is None else self.lr

    @property
    def judged_codings(self) -> tuple[str, ...]:
        """Codings of the nets whose methods are judged; recordings have one of their own."""
        return (FRAMES,) if self.recordings else self.codings

    @property
    def key(self) -> str:
        """Key of the cached results: depends on everything but the number of seeds."""
        return self._key({"seeds"})

    @property
    def ann_key(self) -> str:
        """Key of the checkpoints of ANNs: depends on the data, the architecture and their training."""
        return self._key(_NOT_TRAINED | {"steps", "epochs"})

    @property
    def training_key(self) -> str:
        """Key of the checkpoints of spiking nets, whose leak and order are in the file names."""
        return self._key(_NOT_TRAINED | {"ann_epochs"})

    def _key(self, without: set[str]) -> str:
        settings = {name: value for name, value in asdict(self).items() if name not in without and value is not None}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def of_network(self, name: str) -> Plan:
        """Return the plan with another architecture; a name of the paper's also sets its steps, leak and layers."""
        if name not in NETWORKS:
            return replace(self, architecture=name, width=1.0, explain=())
        leaks = tuple(sorted({*self.leaks, LEAKS[name]}))
        return replace(
            self, architecture=name, width=1.0, steps=STEPS[name], leak=LEAKS[name], leaks=leaks,
            explain=EXPLAINED.get(name, ()),
        )  # fmt: skip


_NOT_TRAINED = {
    "seeds", "explained", "explain", "orders", "leak", "leaks", "conversion_steps", "percentiles", "gammas", "modes",
    "references", "draws", "epsilons", "judged", "methods", "codings", "masks", "weight_bits", "deployed",
}  # fmt: skip
"""Settings that no training depends on."""
FULL = Plan(
    luminance="distractors", train=6000, explained=100, epochs=5, ann_epochs=8, steps=10, leaks=(0.7, 0.95),
    codings=CODINGS[:2], judged=30, masks=100,
)  # fmt: skip
"""Canvases, for two cores and three hours. Their background is dark: within these epochs, nets that are to tell items
from distractors of the same brightness on a background of the same brightness ("canvas") learn 34 % of the digits."""
_VGG5 = Plan(
    clutter=False, canvas=28, architecture="16C3-P2-32C3-P2-32C3-P2-D256-D10", orders=ORDERS[1:], steps=8, epochs=6
)  # fmt: skip
DEPLOYED = {
    "mnist5k": replace(_VGG5, data="mnist5k", train=4000, test=1000),
    "fashion": replace(_VGG5, data="fashion", train=12000, test=2000, steps=12),
}
"""Plans of the deployment experiment by data set: vgg5 at a quarter of its width."""
TINY_IMAGENET = Plan(
    train=None, test=1000, explained=100, architecture="vgg5", width=0.25, epochs=8, ann_epochs=16, batch=32,
    optimizer="sgd", steps=10, leaks=(0.7, 0.95), conversion_steps=200, clutter=False, judged=30, masks=100,
    codings=("poisson", "direct"), deployed=(), seeds=3,
)  # fmt: skip
"""Tiny-ImageNet, or other pictures: with twenty classes and ``size=32``, 90 minutes of a core for the trainings."""
N_MNIST = replace(TINY_IMAGENET, architecture="16C3-P2-32C3-P2-32C3-P2-D10", width=1.0, optimizer="adam", steps=15)
"""Recordings of N-MNIST, each divided into equal steps."""


def shortened(plan: Plan) -> Plan:
    """A plan of minutes, but weak evidence."""
    return replace(
        plan, train=6000 if plan.canvases else 2000, test=400, explained=50,
        orders=plan.orders[:1], epochs=3, ann_epochs=3, steps=min(plan.steps, 10), leaks=(min(plan.leaks), plan.leak),
        conversion_steps=40, references=2, draws=2, judged=12, masks=60,
        deployed=plan.deployed[:1], seeds=3,
    )  # fmt: skip


QUICK = shortened(FULL)
