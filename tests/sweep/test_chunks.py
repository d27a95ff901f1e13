"""Every sample is in exactly one chunk, whatever was measured, lost, or there before."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from neurosam.sweep.chunks import FIRST, GROWTH, MOST, TARGET_S, Chunks, chunk_size, disjoint, missing

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: range(pair[0], sum(pair))))


@given(
    st.integers(0, 500), st.sampled_from([1, 3, 16]), st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=40), st.integers(1, 200),
)  # fmt: skip
def test_every_sample_is_in_exactly_one_chunk(
    samples: int, grain: int, workers: int, feed: list[tuple[float, bool]], most: int
) -> None:
    """In particular if chunks come back because their worker was lost."""
    chunks, seen, steps = Chunks([range(samples)], grain, most), Counter[int](), iter(feed)
    while (chunk := chunks.take(workers)) is not None:
        seconds, lost = next(steps, (0.1, False))
        assert chunk.start % grain == 0
        assert len(chunk) % grain == 0 or chunk.stop == samples
        assert len(chunk) <= max(most, grain)
        if lost:
            chunks.put_back(chunk)
        else:
            chunks.measure(len(chunk), seconds)
            seen.update(chunk)
    assert seen == Counter(range(samples))
    assert chunks.left == 0


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 100)), max_size=16), st.integers(1, 10**6))
def test_sizes_follow_the_measured_time(measured: list[tuple[int, float]], left: int) -> None:
    size = chunk_size(measured, left, workers=2)
    assert 1 <= size <= max(1, min(left, MOST))
    if not measured:
        assert size <= FIRST
        return
    assert size <= GROWTH * max(count for count, _ in measured)
    each_s = sum(time for _, time in measured) / sum(count for count, _ in measured)
    assert size == 1 or (size - 1) * each_s < TARGET_S
    assert size <= -(-left // 4)


@given(RANGES)
def test_of_overlapping_ranges_disjoint_ones_are_kept(ranges: list[range]) -> None:
    kept = disjoint(ranges)
    assert set(kept) <= set(ranges)
    count = Counter(sample for part in kept for sample in part)
    assert set(count.values()) <= {1}
    for part in ranges:  # what is left out overlaps what is kept
        assert part in kept or count.keys() & set(part)


@given(RANGES)
def test_what_is_missing_completes_what_is_there(ranges: list[range]) -> None:
    there = disjoint(ranges)
    whole = Counter(sample for part in (*there, *missing(80, there)) for sample in part)
    assert whole == Counter(range(80))
