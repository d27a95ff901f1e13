"""A torch module from the user's own Python file, named as ``file.py:build``: a function that returns it, or itself.

The file is run as ``python file.py`` would run it, with its folder on the search path, but not as ``__main__``: what
stands behind ``if __name__ == "__main__":`` (a training) is left out.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from neurosam.errors import ExportError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["is_module", "load_module"]


def is_module(text: str) -> bool:
    """Whether an argument is written as ``file.py:name`` (or as ``file.py``, whose name is still to be given)."""
    return text.endswith(".py") or ".py:" in text


def load_module(text: str) -> nn.Module:
    """Run the user's file and return the module that it builds.

    Parameters
    ----------
    text : str
        ``file.py:name``; `name` is a function without arguments that returns the module, a class derived from
        ``nn.Module`` that takes none, or a module.

    Raises
    ------
    ExportError
        If the file or the name does not exist, the code raises, or what comes is no ``nn.Module``; in a sentence, with
        the line of the user's file at which it happened.
    """
    file, _, name = text.rpartition(":") if ".py:" in text else (text, "", "")
    path = Path(file)
    if not path.is_file():
        raise ExportError(file, "does not exist; give FILE.py:FUNCTION, a function that returns the module")
    with _own_folder(path):
        offered = _run(path)
        if not name.isidentifier() or not hasattr(offered, name):
            own = [k for k, v in vars(offered).items() if getattr(v, "__module__", "") == offered.__name__]
            problem = f"has no {name!r}" if name else "is a file; name what builds the module in it"
            raise ExportError(file, f"{problem}: {file}:FUNCTION (it defines {', '.join(own) or 'nothing'})")
        from torch import nn

        built = getattr(offered, name)
        if callable(built) and not isinstance(built, nn.Module):
            with _in_a_sentence(text, path):
                built = built()
    if not isinstance(built, nn.Module):
        raise ExportError(text, f"gives a {type(built).__name__}; a torch nn.Module is required (return the module)")
    return built


def _run(path: Path) -> ModuleType:
    """Execute a file; it stays in ``sys.modules``, since classes are looked up there."""
    name = f"_neurosam_user_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExportError(str(path), "is not a Python file; its name must end in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    with _in_a_sentence(str(path), path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _own_folder(path: Path) -> Iterator[None]:
    """Let the file import its neighbours."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _in_a_sentence(where: str, path: Path) -> Iterator[None]:
    """Report what the user's code raises, with the line of it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ExportError(where, f"raised {type(error).__name__}{_line(error, path)}: {_text(error)}") from None


def _line(error: BaseException, path: Path) -> str:
    """Where in the user's file it happened."""
    if isinstance(error, SyntaxError):
        return f" at line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f" at line {lines[-1]}" if lines else ""


def _text(error: BaseException) -> str:
    message: Any = error.msg if isinstance(error, SyntaxError) else error
    return " ".join(str(message).split()) or "no message"
