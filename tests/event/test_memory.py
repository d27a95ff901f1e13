"""No kernel takes the address of an array that it has made itself: Numba frees it after the last use of its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from neurosam.backends import event

SOURCES = sorted(Path(event.__file__ or "").parent.rglob("*.py"))
MAKERS = {"array", "empty", "full", "ones", "zeros", "empty_like", "zeros_like"}


def makes(value: ast.expr) -> bool:
    """Whether an expression is ``np.empty(...)`` or another new array."""
    call = value.func if isinstance(value, ast.Call) else None
    return isinstance(call, ast.Attribute) and call.attr in MAKERS and ast.unparse(call.value) == "np"


def assigned(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Pairs of target and value of an assignment."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))  # with a starred target the two do not correspond
    return [(target, value)]


def addressed(source: str) -> list[str]:
    """Names of a module's functions' own arrays whose address is taken, as ``function: array``."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        own = {
            name.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for name, value in assigned(node.targets[0], node.value)
            if isinstance(name, ast.Name) and makes(value)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "address":
                names = {part.id for part in ast.walk(node.args[0]) if isinstance(part, ast.Name)}
                found += [f"{function.name}: {name}" for name in sorted(names & own)]
                if makes(node.args[0]):
                    found.append(f"{function.name}: one without a name")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_kernels_own_arrays_are_used_by_name(path: Path) -> None:
    assert addressed(path.read_text(encoding="utf-8")) == []


def test_there_are_sources_to_search() -> None:
    assert {path.parent.name for path in SOURCES} >= {"kernels", "plan", "executors", "simd"}


def test_the_search_finds_them() -> None:
    own = "def f(x):\n    a, sums = x, np.empty(3)\n    p = address(sums, 0)\n    q = address(a, 0)\n"
    assert addressed(own) == ["f: sums"]
    assert addressed("def f(x):\n    a = np.zeros(3)\n    p = address(a.view(np.int8), 0)\n") == ["f: a"]
    assert addressed("def f(x):\n    p = address(np.empty(3), 0)\n") == ["f: one without a name"]
