"""A module comes out of the user's own file; what is wrong with the file is told in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from neurosam.cli.modules import is_module, load_module
from neurosam.errors import ExportError

FILE = """
from torch import nn
from neighbour import WIDTH

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(WIDTH, 2))

def build():
    return Net()

def needs(width):
    return Net()

def state():
    return Net().state_dict()

def fails():
    raise ValueError("no weights.pt\\nhere")

net = Net()
if __name__ == "__main__":
    raise RuntimeError("trained again")
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "neighbour.py").write_text("WIDTH = 3")
    (tmp_path / "model.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("x = 1\ny = (\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    return str(tmp_path / "model.py")


@pytest.mark.parametrize("name", ["build", "Net", "net"])
def test_a_module_is_built(file: str, name: str) -> None:
    before = list(sys.path)
    module = load_module(f"{file}:{name}")
    assert isinstance(module, nn.Sequential)
    assert module[0].in_features == 3
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.py:builds", r"model\.py: has no 'builds': .*model\.py:FUNCTION \(it defines Net, build, needs, state"),
        ("model.py", "is a file; name what builds the module"),
        ("model.py:", "is a file; name what builds the module"),
        ("model.py:needs", r"model\.py:needs: raised TypeError: needs\(\) missing 1 required"),
        ("model.py:state", "gives a OrderedDict; a torch nn.Module is required"),
        ("model.py:WIDTH", "gives a int; a torch nn.Module is required"),
        ("model.py:fails", r"raised ValueError at line 19: no weights\.pt here$"),
        ("broken.py:build", r"broken\.py: raised SyntaxError at line 2"),
        ("leaves.py:build", "raised SystemExit at line 2: 3"),
        ("missing.py:build", r"missing\.py: does not exist"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(file: str, name: str, told: str) -> None:
    with pytest.raises(ExportError, match=told) as error:
        load_module(str(Path(file).parent / name))
    assert "\n" not in str(error.value)


def test_the_notation() -> None:
    assert is_module("a/b.py:net")
    assert is_module("b.py")
    assert not is_module("net.h5")
    assert not is_module("net.pyx")
