"""Torch functions as layers: one table, from the name of a function to what records it.

Everything linear has a layer: a synapse of its own (convolutions, matrices), a pool, or, probed with one basis vector
after the other, a sparse matrix (probing.py). What is not linear is refused by what it is, but only where its value
reaches a layer of neurons or the output.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from neurosam.deploy.readers.nearest import unknown_neuron
from neurosam.deploy.tracing import arithmetic, pooling
from neurosam.deploy.tracing.calls import Call, NotExpressible, array, per_channel
from neurosam.deploy.tracing.movement import MOVES, move
from neurosam.deploy.tracing.nodes import Dropped, Source
from neurosam.deploy.tracing.probing import probe
from neurosam.deploy.tracing.recording import Recording, tensors_in
from neurosam.graph.layers import Input, MaxPool, Offset, Pool, Scale, Weights
from neurosam.network.synapse import Conv2d, Dense

__all__ = ["ATTENTION", "record"]


def record(
    recording: Recording, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> None:
    """Record one call of a function that was given a value of the network."""
    call = Call(recording, recording.where(name.strip("_")), func, args, kwargs, result)
    for x in tensors_in((args, kwargs)):
        value = recording.value(x)
        if value is not None and value.refused is not None:
            call.block(value.refused)
            return
    try:
        if name in MOVES or name == "__setitem__":
            move(call, name)
        else:
            _compute(call, name)
    except NotExpressible as problem:
        call.refuse(str(problem))


def _compute(call: Call, name: str) -> None:
    plain = name.strip("_")
    function = FUNCTIONS.get(plain)
    if function is None:
        raise NotExpressible(_unknown(call, plain))
    try:
        inspect.signature(function).bind(call, *call.args, **call.kwargs)
    except TypeError as error:
        raise NotExpressible(f"calls {plain} with an argument that is not supported ({error})") from error
    function(call, *call.args, **call.kwargs)


def convolve(
    call: Call, input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> None:  # fmt: skip
    """conv1d, which is a conv2d of one row, and conv2d."""
    if call.traced(weight):
        raise NotExpressible("has weights that depend on the input")
    axes = weight.ndim - 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    kernel = array(weight)
    stride, dilation = _sides(stride, axes), _sides(dilation, axes)
    before, after = _padding(padding, kernel.shape[2:], dilation)
    if before != after:  # "same" with an even kernel: one side is padded more
        sources, shape = _padded(call, sources, shape, before, after)
        before = (0,) * axes
    row = kernel if axes == 2 else kernel[:, :, None]
    synapse = Conv2d(row, _two(stride, 1), _two(before, 0), _two(dilation, 1), groups)
    out = call.result.shape[-axes - 1 :]
    weighted = (Source(call.node(Weights(synapse), sources, out, entering=shape)),)
    call.give(rows, call.one(call.shifted(weighted, out, _bias(bias)), out))


def linear(call: Call, input: Tensor, weight: Tensor, bias: Any = None) -> None:
    """A matrix that acts on the last axis."""
    if call.traced(weight):
        raise NotExpressible("multiplies two values of the network; weights must be constant")
    rows, sources, shape = call.trace(input)
    if len(shape) != 1 or rows.lead != input.shape[:-1]:
        probe(call, input)
        return
    weighted = (Source(call.node(Weights(Dense(array(weight))), sources, weight.shape[:1])),)
    call.give(rows, call.one(call.shifted(weighted, weight.shape[:1], _bias(bias)), weight.shape[:1]))


def batch_norm(
    call: Call, input: Tensor, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> None:  # fmt: skip
    """A gain of weight / sqrt(variance + eps), and the mean and the bias as constants."""
    if training or running_mean is None or running_var is None:
        raise NotExpressible(
            "is a batch norm without running statistics, which depends on the batch; train it with "
            "track_running_stats=True"
        )
    rows, sources, shape = call.trace(input, lead=1)
    mean, ones = array(running_mean), np.ones(running_mean.shape)
    gain = (ones if weight is None else array(weight)) / np.sqrt(array(running_var) + eps)
    sources = call.shifted(sources, shape, per_channel(-mean, shape))
    sources = call.scaled(sources, shape, per_channel(gain, shape))
    sources = call.shifted(sources, shape, per_channel(0 * ones if bias is None else array(bias), shape))
    call.give(rows, call.one(sources, shape))


def instance_norm(
    call: Call, input: Tensor, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> None:  # fmt: skip
    """With running statistics, the same as batch norm."""
    if use_input_stats:
        raise NotExpressible(_statistics("instance_norm"))
    batch_norm(call, input, running_mean, running_var, weight, bias, False, momentum, eps)


def relu(call: Call, input: Tensor, inplace: bool = False) -> None:
    """The identity where nothing is negative."""
    if not all(_never_negative(source) for source in call.trace(input)[1]):
        raise NotExpressible(
            "is a ReLU, which is no spiking neuron; put a layer of neurons in its place (an ANN: neurosam convert)"
        )
    _same(call, input)


def dropout(call: Call, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> None:
    """The identity outside training."""
    if training and p:
        raise NotExpressible("drops values at random; use a Dropout module, which eval() switches off")
    _same(call, input)


def softmax(call: Call, input: Tensor, dim: Any = None, *_: Any, **__: Any) -> None:
    """Left out at the very end."""
    rows, sources, shape = call.trace_any(input)
    if dim is not None and dim % input.ndim < len(rows.lead):
        raise NotExpressible("is a softmax over steps or samples; take it over the last axis")
    call.give(rows, call.node(Dropped("softmax"), sources, shape, key="softmax"))


def linear_function(call: Call, *args: Any, **kwargs: Any) -> None:
    """Any other linear function of one value."""
    inputs = [x for x in tensors_in((args, kwargs)) if call.traced(x)]
    if len(inputs) != 1:
        raise NotExpressible("multiplies two values of the network; a network adds what its synapses weigh")
    probe(call, inputs[0])


def interpolate(call: Call, input: Tensor, *args: Any, **kwargs: Any) -> None:
    """Nearest neighbours are moved, other modes are linear."""
    if kwargs.get("mode", args[2] if len(args) > 2 else "nearest") in ("nearest", "nearest-exact"):
        move(call, "interpolate")
    else:
        probe(call, input)


def _same(call: Call, x: Tensor) -> None:
    value = call.recording.value(x)
    call.recording.values[call.result] = value


def _never_negative(source: Source) -> bool:
    """Whether the values of a source are spikes, or sums of spikes with weights and constants of at least 0."""
    node, what = source.node, source.node.what
    if isinstance(what, Input):
        return False  # events can be signed
    if node.spiking:
        return True
    if isinstance(what, Weights):
        factor: Any = what.synapse.weight
    elif isinstance(what, (Scale, Offset)):
        factor = what.factor if isinstance(what, Scale) else what.value
    elif isinstance(what, (Pool, MaxPool)):
        factor = 1.0
    else:
        return False
    return bool(np.all(factor >= 0)) and all(_never_negative(before) for before in node.sources)


def _sides(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, (tuple, list)) else (int(value),) * axes


def _two(sides: tuple[int, ...], none: int) -> tuple[int, int]:
    """Of height and width; the height of a row is `none`."""
    return (none, sides[0]) if len(sides) == 1 else (sides[0], sides[1])


def _padding(padding: Any, kernel: Any, dilation: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Zeros before and after along each axis."""
    if padding == "valid":
        return (0,) * len(kernel), (0,) * len(kernel)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    both = _sides(padding, len(kernel))
    return both, both


def _padded(
    call: Call, sources: tuple[Source, ...], shape: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[tuple[Source, ...], tuple[int, ...]]:
    node = call.one(sources, shape)
    index = np.arange(node.size).reshape(shape)
    index = np.pad(index, ((0, 0), *zip(before, after, strict=True)), constant_values=-1)
    return (Source(node, 0, index.reshape(-1)),), index.shape


def _bias(bias: Any) -> Any:
    return 0.0 if bias is None else array(bias)


def _statistics(name: str) -> str:
    return (
        f"is a {name}, whose mean and variance depend on the input of the moment, so it is no constant synapse; "
        "train with BatchNorm instead, which is folded into the weights"
    )


def _unknown(call: Call, name: str) -> str:
    """What is said about a function that no layer has."""
    if name in COMPARISONS and (found := call.recording.thresholding()) is not None:
        call.where = (found[0], type(found[1]).__name__)
        return unknown_neuron(found[1])
    if name in NORMS:
        return _statistics(name)
    if name in ("multi_head_attention_forward", "scaled_dot_product_attention"):
        return ATTENTION
    if name in RANDOM:
        return f"draws random numbers ({name}), and a network has none; switch them off in evaluation mode"
    if name in ACTIVATIONS:
        return f"is a {name}, which is no spiking neuron; put a layer of neurons in its place"
    return f"computes {name}, which has no equivalent in a network; put a layer of neurons there, or leave it out"


COMPARISONS = frozenset(
    ("gt", "ge", "lt", "le", "heaviside", "sign", "greater", "greater_equal", "floor", "trunc", "round")
)
NORMS = frozenset(("group_norm", "layer_norm", "local_response_norm", "rms_norm", "normalize"))
RANDOM = frozenset(("rand_like", "randn_like", "randint_like", "bernoulli", "normal", "poisson", "multinomial"))
ACTIVATIONS = frozenset(
    ("gelu", "sigmoid", "tanh", "elu", "selu", "leaky_relu", "prelu", "hardtanh", "hardswish", "hardsigmoid", "silu",
     "relu6", "softplus", "clamp", "clip", "celu", "mish", "logsigmoid", "softsign", "threshold", "exp", "abs")
)  # fmt: skip
ATTENTION = "is attention, which multiplies values of the network with each other; no synapse can, so leave it out"

FUNCTIONS: dict[str, Callable[..., None]] = {
    "conv1d": convolve,
    "conv2d": convolve,
    "linear": linear,
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "relu": relu,
    "dropout": dropout,
    "softmax": softmax,
    "log_softmax": softmax,
    "interpolate": interpolate,
    "upsample": interpolate,
    **dict.fromkeys(("dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"), dropout),
    **dict.fromkeys(
        ("conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "matmul", "mm", "bmm", "einsum", "fold",
         "avg_pool3d", "adaptive_avg_pool3d", "cumsum", "tensordot", "addmm", "rmatmul"),
        linear_function,
    ),
    **pooling.FUNCTIONS,
    **arithmetic.FUNCTIONS,
}  # fmt: skip
