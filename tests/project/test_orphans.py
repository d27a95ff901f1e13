"""Temporary files: removed by their writer, or, if it was killed, by the next one in that folder - and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from neurosam._util import orphans
from neurosam._util.atomic_write import write_text
from neurosam._util.orphans import NAME, remove_orphans, temporary_name

WRITER = """
import sys, time
from neurosam._util.atomic_write import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _each_folder_anew() -> None:
    orphans._remove_once.cache_clear()


def test_what_a_killed_process_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "a.txt")], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        remove_orphans(tmp_path)
        assert len(list(tmp_path.glob(".neurosam-*"))) == 1, "its writer is alive"
        writer.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.glob(".neurosam-*"))) == 1
    orphans._remove_once.cache_clear()
    write_text(tmp_path / "b.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def named(**parts: str) -> str:
    """A temporary name like those of this process, with other parts."""
    match = NAME.fullmatch(temporary_name())
    assert match is not None
    host, boot, namespace, pid, started = match.groups()
    own = {"host": host, "boot": boot, "namespace": namespace, "pid": pid, "started": started} | parts
    return f".neurosam-{own['host']}-{own['boot']}-{own['namespace']}-{own['pid']}-{own['started']}-{'0' * 16}.tmp"


@pytest.mark.parametrize(
    ("other", "orphan"),
    [
        ({}, False),
        ({"pid": "4194999"}, True),
        ({"started": "1"}, True),
        ({"started": "0"}, False),
        ({"boot": "00000000"}, True),
        ({"boot": "00000000", "host": "00000000"}, False),
        ({"pid": "4194999", "host": "00000000"}, False),
        ({"pid": "4194999", "namespace": "00000000"}, False),
        ({"pid": "9999999999"}, True),
        (".neurosam-0123456789abcdef.tmp", False),
        ("results.tmp", False),
    ],
    ids=str,
)
def test_only_what_is_proven_to_be_an_orphan(tmp_path: Path, other: str | dict[str, str], orphan: bool) -> None:
    name = other if isinstance(other, str) else named(**other)
    if not Path("/proc/self/stat").exists() and "-1-" in name:
        pytest.skip("the system does not say when a process started")
    (tmp_path / name).touch()
    remove_orphans(tmp_path)
    assert (tmp_path / name).exists() is not orphan


def test_folders_are_removed_where_they_are_asked_for(tmp_path: Path) -> None:
    dead, alive, file, link = (named(pid="4194999"), named(), named(pid="4194998"), named(pid="4194997"))
    for name in (dead, alive):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.h5").touch()
    (tmp_path / file).touch()
    (tmp_path / link).symlink_to(tmp_path / alive, target_is_directory=True)
    remove_orphans(tmp_path, folders=True)
    assert {path.name for path in tmp_path.iterdir()} == {alive, file, link}
    assert (tmp_path / alive / "network.h5").exists()


def test_links_and_folders_of_such_a_name_stay(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    link, folder = tmp_path / named(pid="4194999"), tmp_path / named(pid="4194998")
    link.symlink_to(tmp_path / "precious")
    folder.mkdir()
    remove_orphans(tmp_path)
    assert os.path.lexists(link)
    assert folder.is_dir()
