"""A recorded forward pass: every torch function on a value that depends on the input becomes a node.

:class:`Recording` is a ``TorchFunctionMode``. Modules need not be known: nn.Conv2d ends in ``conv2d``, and so does any
class derived from it, a ``weight_norm`` in front of it, or another framework's own convolution. Only layers of neurons
are leaves (leaves.py): their forward is replaced in the copy that is traced, and runs unrecorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from neurosam.deploy.readers.nearest import has_threshold
from neurosam.deploy.tracing.axes import Addresses, Rows, Value
from neurosam.deploy.tracing.nodes import Node, Source, What
from neurosam.graph.layers import Input

__all__ = ["Recording", "tensors_in"]

CONVERSIONS = frozenset(
    ("float", "double", "half", "bfloat16", "to", "type", "type_as", "detach", "cpu", "contiguous", "data")
)
"""Functions that return their input here: everything is float64, and nothing is trained."""


IN_PLACE = frozenset(("__iadd__", "__isub__", "__imul__", "__itruediv__"))

READS = frozenset(
    ("item", "tolist", "numpy", "__array__", "__bool__", "__float__", "__int__", "__index__", "__contains__", "equal",
     "allclose", "is_nonzero")
)  # fmt: skip
"""Functions by which values leave torch: what is done with them is not recorded."""


class DefectError(Exception):
    """A defect of the recording itself, as opposed to a module that cannot be run."""


class Recording(TorchFunctionMode):
    """Records what happens to the tensors that are named as input by :meth:`enter`.

    Parameters
    ----------
    functions : function
        ``functions(recording, name, function, args, kwargs, result)`` records one call of a torch function.
    source : Input
    shape : tuple of int
        Of one step of one sample of the input, as torch has it.
    steps, samples : int
        Of the recorded pass.
    """

    def __init__(self, functions: Callable[..., None], source: Input, shape: tuple[int, ...], steps: int, samples: int):
        super().__init__()
        self.functions = functions
        self.steps, self.samples = steps, samples
        self.addresses = Addresses()
        self.values: Any = WeakIdKeyDictionary()
        self.input = self.entry = Node(source, (), shape, "input", "input")
        self.nodes: list[Node] = [self.input]
        self.watched = False
        self.looped = False
        self.read_out = ""
        self.failure: tuple[str, str] | None = None
        self._by_key: dict[Any, Node] = {}
        self._running: list[tuple[str, nn.Module]] = []
        self._paused = 0

    def enter(self, x: Tensor, steps: npt.NDArray[np.int64], lead: tuple[int, ...]) -> Tensor:
        """Name a tensor as input: `steps` of its rows (STATIC: the same in every step); samples vary fastest."""
        samples = np.tile(np.arange(self.samples), steps.size // self.samples)
        self.values[x] = self.addresses.new(self.entry, Rows(steps, samples, lead))
        return x

    def value(self, x: Any) -> Value | None:
        """Where a tensor's elements come from; None if it does not depend on the input."""
        return self.values.get(x) if isinstance(x, Tensor) else None

    def attach(self, path: str, module: nn.Module) -> None:
        """Keep account of when a module runs, for messages and names."""
        module.register_forward_pre_hook(lambda _module, _args: self._running.append((path, module)))
        module.register_forward_hook(self._leave)

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._running.pop()

    def where(self, name: str) -> tuple[str, str]:
        """Path and kind of the module that runs; a function that a composite module calls is named itself."""
        if not self._running:
            return "", name
        path, module = self._running[-1]
        kind = type(module).__name__
        return (path, f"{kind}: {name}") if any(True for _ in module.children()) else (path, kind)

    def thresholding(self) -> tuple[str, nn.Module] | None:
        """Path and module of what compares with a threshold: the innermost that has one, else the innermost."""
        for path, module in reversed(self._running):
            if has_threshold(module):
                return path, module
        return self._running[-1] if self._running else None

    @property
    def length(self) -> int:
        """Steps so far: of the input, or of a loop inside the module."""
        return max(self.steps, max(node.calls for node in self.nodes)) if self.looped else self.steps

    @property
    def paused(self) -> bool:
        """Whether nothing is recorded now."""
        return self._paused > 0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Record nothing inside."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    def node(self, what: What, sources: tuple[Source, ...], shape: Any, where: tuple[str, str], key: Any) -> Node:
        """The node of a function, named by `key`, and these sources; made if there is none."""
        full = (key, tuple(source.key for source in sources))
        if full not in self._by_key:
            self._by_key[full] = self.add(Node(what, sources, tuple(int(side) for side in shape), *where))
        return self._by_key[full]

    def add(self, node: Node) -> Node:
        """A node of its own."""
        self.nodes.append(node)
        return node

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function, and record it if it is given a value that depends on the input."""
        kwargs = kwargs or {}
        if self._paused or not any(x in self.values for x in tensors_in((args, kwargs))):
            return func(*args, **kwargs)
        name = _name(func)
        if name in CONVERSIONS and args[0].is_floating_point() and not _makes_integers(args, kwargs):
            return args[0]
        if name in READS:
            self.read_out = self.read_out or self.label(name.strip("_"))
        if name == "__iter__":
            return iter(args[0].unbind(0))
        recorded_args = args
        if _is_in_place(name) and args[0] not in self.values:  # the constant, before it is changed
            recorded_args = (args[0].clone(), *args[1:])
        with self.pause():
            try:
                out = func(*args, **kwargs)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                self.failure = self.failure or (self.label(name), _said(name, args, error))
                raise
            if isinstance(out, Tensor) and out.is_floating_point() and out.dtype != torch.float64:
                out = out.double()
            result = args[0] if name == "__setitem__" else out
            if any(True for _ in tensors_in(result)):
                try:
                    self.functions(self, name, func, recorded_args, kwargs, result)
                except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
                    raise DefectError(f"while recording {name}") from error
        return out

    @property
    def running(self) -> nn.Module | None:
        """The innermost module that runs."""
        return self._running[-1][1] if self._running else None

    def label(self, name: str = "") -> str:
        """What the module that runs is called in messages, or else `name`."""
        path, kind = self.where(name)
        kind = kind.partition(":")[0] if not name else kind
        return f"layer {path!r} ({kind})" if path else f"module ({kind})"


def tensors_in(items: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(items, Tensor):
        yield items
    elif isinstance(items, dict):
        yield from tensors_in(tuple(items.values()))
    elif isinstance(items, (tuple, list)):
        for item in items:
            yield from tensors_in(item)


def _name(func: Any) -> str:
    """``conv2d``; of an attribute, ``shape``."""
    name = str(getattr(func, "__name__", func))
    return str(func.__self__.__name__) if name == "__get__" else name


def _is_in_place(name: str) -> bool:
    """add_, and ``+=``."""
    return (name.endswith("_") and not name.endswith("__")) or (name.startswith("__i") and name in IN_PLACE)


def _makes_integers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    wanted = [x.dtype if isinstance(x, Tensor) else x for x in (*args[1:], *kwargs.values())]
    return any(isinstance(x, torch.dtype) and not x.is_floating_point for x in wanted)


def _said(name: str, args: tuple[Any, ...], error: Exception) -> str:
    """What torch says, or what is usually the matter."""
    shapes = [tuple(x.shape) for x in tensors_in(args)]
    if name == "linear" and len(shapes[0]) > 2 and shapes[0][-1] != shapes[1][-1]:
        return f"has input of shape {shapes[0][1:]}; put nn.Flatten before it"
    if name == "conv2d" and len(shapes[0]) == 3:
        return f"has input of shape {shapes[0][1:]}; (C, H, W) is required, as in (1, {shapes[0][1]}, {shapes[0][2]})"
    return f"got {shapes[0]}: {str(error).splitlines()[0]}"
