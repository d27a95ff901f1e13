"""Branches that meet: the projections by which several populations reach one target.

    concatenate    one kernel over the channels of all sources, in order: each projection has the part of its source
    add            the same weights for every source

A target adds what its projections deliver, so both are exact: the sum of the parts is what one projection would give
whose source is the concatenation, or the sum, of these sources. It would not be with an exponent below 0, which rounds
down the sum of each projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurosam.errors import NetworkError
from neurosam.network.elements import Population, Projection
from neurosam.network.synapse import Conv2d, Shape, Sparse, SumPool2d, Synapse, neurons

__all__ = ["add", "concatenate"]


def concatenate(
    sources: Sequence[Population],
    target: str,
    synapse: Synapse,
    *,
    delay: int | Sequence[int] = 1,
    pool: SumPool2d | None = None,
    exponent: int = 0,
) -> tuple[Projection, ...]:
    """Projections from several populations as from one that has their channels, one source after the other.

    Parameters
    ----------
    sources : sequence of Population
        For Conv2d of one height and width; Dense and Sparse take the neurons of each in C order.
    target : str
        Name of the target.
    synapse : Dense, Conv2d or Sparse
        Weights for the channels (Conv2d, without groups) or neurons of all sources.
    delay : int or sequence of int
        Steps, for all sources or one for each.
    pool : SumPool2d, optional
        In front of the synapses, of each source.
    exponent : int
        Fixed point, at least 0.

    Returns
    -------
    tuple of Projection
        One for each source, in order.

    Raises
    ------
    NetworkError
        If the weights are not for as many channels or neurons as the sources have.

    Examples
    --------
    >>> left, right = ns.Population("left", (2,)), ns.Population("right", (1,))
    >>> for projection in ns.concatenate([left, right], "out", ns.Dense([[0.5, -0.25, 1.0]]), delay=[1, 2]):
    ...     print(projection.label, projection.synapse.weight, projection.delay)
    left->out [[ 0.5  -0.25]] 1
    right->out [[1.]] 2
    """
    where = f"concatenate into {target!r}"
    shapes = _shapes(where, sources, pool)
    _exact(where, sources, exponent)
    if isinstance(synapse, Conv2d) and synapse.groups > 1:
        raise NetworkError(
            where, f"got {synapse.groups} groups; a group's channels would be those of several sources. Use groups=1"
        )
    convolution = isinstance(synapse, Conv2d)
    if convolution and len({shape[1:] for shape in shapes}) > 1:
        got = ", ".join(map(str, shapes))
        raise NetworkError(where, f"got sources of shapes {got}; all need one height and width")
    sizes = [shape[0] if convolution else neurons(shape) for shape in shapes]
    expected = synapse.sources if isinstance(synapse, Sparse) else synapse.weight.shape[1]
    if sum(sizes) != expected:
        unit = "channels" if convolution else "neurons"
        raise NetworkError(where, f"got weights for {expected} {unit}; the sources have {' + '.join(map(str, sizes))}")
    ends = np.cumsum(sizes).tolist()
    return tuple(
        Projection(source.name, target, _columns(synapse, end - size, end), steps, pool, exponent)
        for source, size, end, steps in zip(sources, sizes, ends, _delays(where, sources, delay), strict=True)
    )


def add(
    sources: Sequence[Population],
    target: str,
    synapse: Synapse | float,
    *,
    delay: int | Sequence[int] = 1,
    pool: SumPool2d | None = None,
    exponent: int = 0,
) -> tuple[Projection, ...]:
    """Projections from several populations of one shape, each through the same weights.

    Parameters
    ----------
    sources : sequence of Population
        All of one shape.
    target : str
        Name of the target.
    synapse : Dense, Conv2d, Sparse or number
        A number is the weight of one-to-one synapses, as of an identity shortcut: a float, or an int as mantissa.
    delay, pool, exponent
        As for :func:`concatenate`.

    Returns
    -------
    tuple of Projection
        One for each source, in order.

    Raises
    ------
    NetworkError
        If the sources differ in shape.

    Examples
    --------
    >>> main, shortcut = ns.Population("main", (4, 8, 8)), ns.Population("shortcut", (4, 8, 8))
    >>> [(p.label, p.synapse.synapses(main.shape)) for p in ns.add([main, shortcut], "sum", 1.0)]
    [('main->sum', 256), ('shortcut->sum', 256)]
    """
    where = f"add into {target!r}"
    shapes = _shapes(where, sources, pool)
    _exact(where, sources, exponent)
    if len(set(shapes)) > 1:
        raise NetworkError(where, f"got sources of shapes {', '.join(map(str, shapes))}; they must have the same one")
    if isinstance(synapse, (int, float)):
        synapse = Sparse.one_to_one(shapes[0], synapse)
    return tuple(
        Projection(source.name, target, synapse, steps, pool, exponent)
        for source, steps in zip(sources, _delays(where, sources, delay), strict=True)
    )


def _shapes(where: str, sources: Sequence[Population], pool: SumPool2d | None) -> list[Shape]:
    """What each source delivers to the synapses."""
    if not sources:
        raise NetworkError(where, "got no sources; at least one is required")
    return [pool.output_shape(source.shape) if pool else source.shape for source in sources]


def _exact(where: str, sources: Sequence[Population], exponent: int) -> None:
    if exponent < 0 and len(sources) > 1:
        raise NetworkError(where, f"got exponent {exponent}; below 0 the sum of each source is rounded. Use at least 0")


def _delays(where: str, sources: Sequence[Population], delay: int | Sequence[int]) -> list[int]:
    """One delay for each source."""
    delays = [delay] * len(sources) if isinstance(delay, int) else list(delay)
    if len(delays) != len(sources):
        raise NetworkError(where, f"got {len(delays)} delays for {len(sources)} sources; give one, or one for each")
    return delays


def _columns(synapse: Synapse, start: int, stop: int) -> Synapse:
    """The weights of the input channels, or source neurons, ``start:stop``."""
    if not isinstance(synapse, Sparse):
        return replace(synapse, weight=synapse.weight[:, start:stop])
    chosen = (synapse.indices >= start) & (synapse.indices < stop)
    before = np.concatenate([[0], np.cumsum(chosen)])  # chosen entries in front of each
    return replace(
        synapse, indptr=before[synapse.indptr], indices=synapse.indices[chosen] - start, weight=synapse.weight[chosen],
        sources=stop - start,
    )  # fmt: skip
