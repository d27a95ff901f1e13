"""How far a computation is: told once, to whom asked, in a terminal and in a notebook, and nowhere else."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam._util import progress as module
from neurosam._util.progress import reported, say, task


class Shell:
    """What is displayed in a notebook, and the picture that is left."""

    def __init__(self) -> None:
        self.kernel, self.display_pub = object(), self
        self.seen: list[str] = []
        self.left: dict[str, dict[str, str]] = {}

    def publish(self, data: dict[str, str], *, transient: dict[str, str], update: bool) -> None:
        assert update == (transient["display_id"] in self.left), "the first is shown, the others take its place"
        self.left[transient["display_id"]] = data
        self.seen.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    return shell


def network() -> ns.Network:
    return ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
        [ns.Projection("in", "out", ns.Dense(np.array([[0.75, 0.5]])))],
    )


EVENTS = ns.Events.from_dense(np.ones((4, 3, 2)))


def test_a_notebook_sees_every_step_and_then_nothing(notebook: Shell) -> None:
    ns.run(network(), EVENTS, threads=1)  # the kernels are loaded now
    with ns.progress():
        ns.run(network(), EVENTS, threads=1)
    assert notebook.seen == ["running", "running 1 of 3", "running 2 of 3", "running 3 of 3", ""]
    assert list(notebook.left.values()) == [{"text/plain": "", "text/html": ""}]


def test_of_nested_tasks_the_outermost_is_shown(notebook: Shell) -> None:
    with ns.progress():
        ns.verify(network(), EVENTS, ("event", "reference"))
        with ns.progress():  # the same bar
            ns.run(network(), EVENTS)
    titles = [text.partition(" ")[0] for text in notebook.seen if text]
    assert sorted(set(titles), key=titles.index) == ["verifying", "running"]
    assert len(notebook.left) == 1


def test_a_function_of_ones_own_is_called_instead(notebook: Shell) -> None:
    told: list[tuple[int, int]] = []
    with ns.progress():
        ns.verify(network(), EVENTS, ("event", "reference"), None, lambda *tick: told.append(tick))
        ns.run(network(), EVENTS, progress=lambda *tick: told.append(tick), threads=1)
    assert told == [(3, 3), (1, 3), (2, 3), (3, 3)]
    assert notebook.seen == []


def test_what_is_said_stands_behind_the_title(notebook: Shell) -> None:
    with ns.progress(), task("<b>") as tick:
        assert tick is not None
        tick(1, 4)
        say("compiling")
        say("compiling")
        assert "&lt;b&gt;: compiling <progress value='1' max='4'></progress> 1 of 4" in str(notebook.left)
    assert notebook.seen == ["<b>", "<b> 1 of 4", "<b>: compiling 1 of 4", ""]
    say("nobody hears it")


def test_a_failure_leaves_no_bar(notebook: Shell) -> None:
    with suppress(ZeroDivisionError), ns.progress(), task("failing") as tick:
        assert tick is not None
        tick(1 // 0, 1)
    assert notebook.seen == ["failing", ""]
    with task("later") as tick:
        assert tick is None


def test_kernels_that_are_compiled_are_told(notebook: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurosam.backends.event.runtime import jit

    def twice(x: int) -> int:
        return 2 * x

    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)  # where it has not been stored yet
    with ns.progress(), task("running"):
        assert jit.kernel(twice)(3) == 6
        say("")
    assert notebook.seen == ["running", "running: compiling kernels, once on this machine", "running", ""]


def test_a_terminal_has_a_bar_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with ns.progress(), task("[red]counting") as tick:
        assert tick is not None
        tick(2, 5)
        say("slowly")
        time.sleep(0.2)  # rich draws ten times a second
    out, err = capfd.readouterr()
    assert out == ""
    assert "[red]counting: slowly" in err
    assert "2/5" in err


def test_elsewhere_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    with ns.progress(), task("counting") as tick:
        assert tick is None
    assert capfd.readouterr() == ("", "")


def test_a_reported_function_keeps_its_name_and_arguments(notebook: Shell) -> None:
    @reported("adding")
    def add(a: int, b: int = 1, progress: Any = None, *, c: int = 0) -> int:
        """Add."""
        progress(1, 1)
        return a + b + c

    with ns.progress():
        assert (add(1), add(1, b=2), add(1, 2, c=3)) == (2, 3, 6)
    assert add.__name__ == "add"
    assert notebook.seen == ["adding", "adding 1 of 1"] * 3 + [""]
