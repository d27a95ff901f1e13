"""Chunks on executors that lose work, break, or fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

import neurosam as ns
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import AHEAD, MOST_LOSSES, execute
from neurosam.sweep.workers import Workers
from support.sweeping import double


class Lost(Exception):
    """A worker is gone."""


class Faulty(Executor):
    """Does the n-th task unless `fault` returns an exception for n."""

    def __init__(self, fault: Callable[[int], BaseException | None]) -> None:
        self.fault, self.tasks, self.waiting = fault, 0, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        future: Future[Any] = Future()
        if (error := self.fault(self.tasks)) is not None:
            future.set_exception(error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


class Renewed(Workers):
    """Workers whose executor can be made again."""

    lost = (Lost,)

    def __init__(self, fault: Callable[[int], BaseException | None]) -> None:
        super().__init__(Faulty(fault), 2)
        self.ended: list[str] = []

    def reopen(self) -> Executor:
        self.ended.append("reopen")
        return self._executor

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")


def run(workers: Workers, samples: int = 50, **options: Any) -> dict[int, int]:
    results: dict[int, int] = {}
    counted: list[int] = []

    def done(chunk: range, result: list[int]) -> None:
        counted.extend(chunk)
        results.update(zip(chunk, result, strict=True))

    execute(workers, Chunks([range(samples)]), lambda chunk: partial(double, chunk), done, samples, **options)
    assert sorted(counted) == list(range(samples))
    return results


EXPECTED = {sample: 2 * sample for sample in range(50)}


def test_any_executor_does_the_work() -> None:
    told: list[tuple[int, int]] = []
    with ThreadPoolExecutor(3) as executor:
        assert run(Workers(executor), progress=lambda *at: told.append(at)) == EXPECTED
        assert executor.submit(int).result() == 0  # it is still open
    assert told[0] == (0, 50)
    assert told[-1] == (50, 50)
    assert told == sorted(told)


@pytest.mark.parametrize("error", [Lost(), BrokenExecutor()])
def test_what_is_lost_is_done_again(error: BaseException) -> None:
    workers = Renewed(lambda n: error if n in (2, 3, 9) else None)
    assert run(workers) == EXPECTED
    assert workers.ended[-1] == "close"
    assert ("reopen" in workers.ended) == isinstance(error, BrokenExecutor)


def test_what_is_lost_again_and_again_is_given_up() -> None:
    workers = Renewed(lambda n: Lost())
    with pytest.raises(ns.BackendError, match=rf"lost the samples from 0 on {MOST_LOSSES} times: their workers ended"):
        run(workers)
    assert workers.ended == ["abort"]


def test_an_error_of_the_work_stops_all() -> None:
    workers = Renewed(lambda n: ns.EventError("events", "are wrong") if n == 3 else None)
    with pytest.raises(ns.EventError, match="events: are wrong"):
        run(workers)
    assert workers.ended == ["abort"]


def test_an_interrupt_ends_the_workers() -> None:
    workers = Renewed(lambda n: None)

    def interrupted(done: int, _: int) -> None:
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(workers, progress=interrupted)
    assert workers.ended == ["abort"]


def test_a_bounded_number_is_in_flight() -> None:
    held: list[tuple[Future[Any], Callable[[], Any]]] = []
    most = 0

    class Slow(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            nonlocal most
            future: Future[Any] = Future()
            held.append((future, partial(fn, *args, **kwargs)))
            most = max(most, len(held))
            return future

    class One(Workers):
        def count(self) -> int:
            if len(held) >= AHEAD:
                future, work = held.pop(0)
                future.set_result(work())
            return 1

    with pytest.raises(KeyboardInterrupt):  # the last ones are never done
        execute(
            One(Slow()), Chunks([range(40)]), lambda chunk: partial(double, chunk), lambda *_: None, 40,
            progress=lambda done, total: exec("raise KeyboardInterrupt") if done > 20 else None,
        )  # fmt: skip
    assert most == AHEAD


def test_errors_travel() -> None:
    import pickle

    from neurosam_hw.errors import MappingError

    for error in (ns.EventError("a", "b"), ns.MissingPackageError("a", "b"), MappingError("a", "b")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.where, copy.problem, str(copy)) == (type(error), "a", "b", "a: b")
