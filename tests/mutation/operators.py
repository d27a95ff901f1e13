"""Small changes to Python source, each of which a good test should notice.

========== =========================================================================================
operator   change
========== =========================================================================================
boundary   ``<`` to ``<=``, ``>`` to ``>=`` and back; ``==`` to ``!=``, ``is`` to ``is not``, ``in`` to ``not in``
condition  the condition of an ``if`` or a conditional expression negated; ``not`` removed
logic      ``and`` to ``or`` and back
arithmetic ``+`` and ``-``, ``*`` and ``/``, ``<<`` and ``>>``, ``&`` and ``|`` exchanged
term       the second term of a sum or difference, or the first of an ``and`` or ``or``, dropped
number     an integer plus 1, and minus 1 where it is above 1; a float halved
keyword    a keyword argument that is True or False negated
extreme    ``min`` to ``max``, ``minimum`` to ``maximum``, ``any`` to ``all``, ``floor`` to ``ceil``, and back
call       a statement that is nothing but a call replaced by ``pass``; ``with lock`` replaced by no lock
========== =========================================================================================

What no test can or should notice is left alone: annotations, docstrings, texts of messages (f-strings, and what is
raised), imports, ``__all__``, decorators.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants"]

BOUNDARY: dict[type, tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}  # fmt: skip
ARITHMETIC: dict[type, tuple[str, str]] = {
    ast.Add: (r"\+", "-"), ast.Sub: ("-", "+"), ast.Mult: (r"\*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"), ast.Pow: (r"\*\*", "*"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"), ast.BitOr: (r"\|", "&"), ast.MatMult: ("@", "*"),
}  # fmt: skip
PAIRS = (("min", "max"), ("minimum", "maximum"), ("any", "all"), ("floor", "ceil"))
EXTREME = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}


@dataclass(frozen=True, order=True)
class Mutant:
    """One change to one file: bytes ``start:end`` become `text`."""

    line: int
    start: int
    end: int
    text: str
    operator: str

    def apply(self, source: bytes) -> bytes:
        """The changed source."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants(source: bytes) -> list[Mutant]:
    """All changes to a source, in order of place."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.found: list[Mutant] = []
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _span(self, node: Any) -> tuple[int, int]:
        starts = self._starts
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def _code(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.source[start:end].decode()

    def _add(self, operator: str, node: Any, text: str) -> None:
        self.found.append(Mutant(node.lineno, *self._span(node), text, operator))

    def _between(self, operator: str, left: ast.AST, right: Any, old: str, new: str) -> None:
        """Replace the sign between two operands."""
        begin, end = self._span(left)[1], self._span(right)[0]
        gap = self.source[begin:end].decode()
        if match := re.search(old, gap):
            line = self.source[: begin + match.start()].count(b"\n") + 1
            self.found.append(Mutant(line, begin + match.start(), begin + match.end(), new, operator))

    # --- what is left alone ---

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts."""

    def visit_Raise(self, node: ast.Raise) -> None:
        """Messages of errors."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The value of an annotated name, without its annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """The body and the defaults, without annotations and decorators."""
        for part in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None), *node.body):
            self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """The body."""
        for part in node.body:
            self.visit(part)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Not the list of public names, nor aliases of types."""
        target = node.targets[0]
        types = ("Callable[", "tuple[", "npt.", "dict[", "WeakKeyDictionary[")
        if not (isinstance(target, ast.Name) and (target.id == "__all__" or self._code(node.value).startswith(types))):
            self.generic_visit(node)

    # --- changes ---

    def visit_If(self, node: ast.If) -> None:
        """A negated condition, and none for a module's type-checking imports."""
        if self._code(node.test) == "TYPE_CHECKING":
            return
        self._add("condition", node.test, f"not ({self._code(node.test)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """A negated condition."""
        self._add("condition", node.test, f"not ({self._code(node.test)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """A removed ``not``."""
        if isinstance(node.op, ast.Not):
            self._add("condition", node, self._code(node.operand))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Boundaries."""
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            self._between("boundary", left, right, *BOUNDARY[type(op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """The other word, and one operand fewer."""
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between("logic", left, right, rf"\b{old}\b", new)
        rest = f" {old} ".join(f"({self._code(value)})" for value in node.values[1:])
        self._add("term", node, f"({rest})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """The opposite operation, and one term fewer."""
        self._between("arithmetic", node.left, node.right, *ARITHMETIC[type(node.op)])
        if isinstance(node.op, (ast.Add, ast.Sub)):
            self._add("term", node, f"({self._code(node.left)})")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """The opposite operation."""
        self._between("arithmetic", node.target, node.value, *ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Other numbers."""
        value = node.value
        if isinstance(value, bool):
            return
        if isinstance(value, int):
            self._add("number", node, str(value + 1))
            if value > 1:
                self._add("number", node, str(value - 1))
        elif isinstance(value, float):
            self._add("number", node, repr(value / 2 if value else 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        """Opposite extremes and negated keywords."""
        name = node.func
        word = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
        if word in EXTREME:
            self._add("extreme", name, self._code(name)[: -len(word)] + EXTREME[word])
        for keyword in node.keywords:
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
                self._add("keyword", keyword.value, str(not keyword.value.value))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A removed call; not a docstring."""
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call):
            self._add("call", node, "pass")
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        """A removed lock."""
        for item in node.items:
            if self._code(item.context_expr).endswith("lock"):
                self._add("call", item.context_expr, '__import__("contextlib").nullcontext()')
        self.generic_visit(node)


def describe(source: bytes, mutant: Mutant) -> Iterator[str]:
    """The changed lines, as in a diff."""
    begin = source.rfind(b"\n", 0, mutant.start) + 1
    stop = source.find(b"\n", mutant.end)
    after = mutant.apply(source)
    for sign, text in (("-", source[begin:stop]), ("+", after[begin : stop + len(after) - len(source)])):
        yield from (f"{sign}{line}" for line in text.decode().splitlines())
