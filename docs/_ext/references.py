"""Links in docstrings lead to where an object is documented: ``signals.events.encode`` as ``neurosam.encode``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes


def documented(app: Any, env: Any, node: Any, content: Any) -> nodes.reference | None:
    """A link to the name under which the same object is documented, for a target that is not documented itself.

    Where the target cannot be imported as it is written, the only documented name that ends alike will do.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~.")
    wanted, last = _object(target), target.rpartition(".")[2]
    objects = {name: entry for name, entry in env.domains["py"].objects.items() if not entry.aliased}
    alike = {name: entry for name, entry in objects.items() if name.rpartition(".")[2] == last}
    found = [entry for name, entry in alike.items() if wanted is not None and _object(name) is wanted]
    found = found or (list(alike.values()) if len(alike) == 1 else [])
    if not found:
        return None
    page = app.builder.get_relative_uri(node.get("refdoc", env.docname), found[0].docname)
    return nodes.reference("", "", content, internal=True, refuri=f"{page}#{found[0].node_id}")


def _object(name: str) -> Any:
    """What a dotted name stands for, or None."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found
    return None


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("missing-reference", documented)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
