"""How commands end: a status that says what happened, and a line; whatever streams they were given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from neurosam.cli.errors import report, report_errors

MAIN = "from neurosam.cli import main; main()"
SIGNAL = """
import os, signal, sys, typer.core
before = typer.core.TyperGroup.make_context
def hit(*given, **more):
    os.kill(os.getpid(), signal.SIGTERM)
    return before(*given, **more)
typer.core.TyperGroup.make_context = hit
"""


def ended(command: str, code: str = MAIN, folder: Path | None = None) -> tuple[int, str, str]:
    """Status, output and errors of a command of a shell, in which ``neurosam`` runs `code`."""
    environment = {**os.environ, "CODE": code, "PYTHON": sys.executable}
    line = 'neurosam() { "$PYTHON" -c "$CODE" "$@"; }; ' + command
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("neurosam --help | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("neurosam --version > /dev/full", 2, "neurosam: No space left on device\n"),
        ("neurosam info none.h5 <&- >&-", 2, "neurosam: none.h5: does not exist; check the name\n"),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path: Path, command: str, status: int, said: str) -> None:
    assert ended(command, folder=tmp_path) == (status, "", said)


def test_a_signal_before_the_command_is_said() -> None:
    """Typer would be silent, and end with the status of Ctrl-C."""
    assert ended("neurosam chips", SIGNAL + MAIN) == (143, "", "neurosam: terminated; no file was left half-written\n")


def test_ctrl_c_in_text_that_is_executed_ends_with_130() -> None:
    """Python itself would end by the signal, since it saw a KeyboardInterrupt leave exec."""
    code = (
        "import neurosam.cli.plugins as p\n"
        "def load(point):\n"
        "    exec('import os, signal; os.kill(os.getpid(), signal.SIGINT); [0 for i in range(10**8)]')\n"
        "p._load = load\n"
    )
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + code + MAIN
    done = subprocess.run([sys.executable, "-c", code, "chips"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "neurosam: interrupted\n")


def test_a_defect_has_a_status_and_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyError("no such key")) == 70
    *trace, line = capsys.readouterr().err.splitlines()
    assert trace[-1] == "KeyError: 'no such key'"
    assert line == "neurosam: a defect of neurosam (KeyError: 'no such key'); its traceback is above, please report it"
    app = typer.Typer()

    @app.command()
    def odd() -> None:
        with report_errors():
            raise AssertionError

    assert CliRunner().invoke(app).exit_code == 70


def test_a_lack_of_memory_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (caught.value, MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")):
        assert report(error) == 2
        assert capsys.readouterr().err == "neurosam: out of memory; give fewer --samples or --steps, or record less\n"
